// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

#include "store/internal.h"

enum {
    MEMORY_MIN = 256 * 1024,
    TABLES_MEMORY_MIN = 12 * 1024 * 1024,
    BLOCK_SIZE_DEFAULT = 4096,
    LOOKUPS_DEFAULT = 256,
    TABLE_SIZE_DEFAULT = 64 * 1024 * 1024,
    TABLES_WANTED = 512, // above so many of the base, they are made larger
    LOG_SEGMENTS_MIN = 4,
    TICK_NS = 1000 * 1000 * 1000,
    RETRY_NS = 1000 * 1000 * 1000,
};

#define FLUSH_SIZE_MAX (UINT64_C(1) << 30)

static struct store_options sane(const struct store_options *options) {
    struct store_options o = *options;
    if (o.memory_max < MEMORY_MIN) o.memory_max = MEMORY_MIN;
    must(o.memory_max <= STORE_MEMORY_MAX);
    o.segment_size -= o.segment_size % SECTOR_SIZE;
    // What is refused to writes must do for what makes room.
    if (o.disk_reserve < 2 * o.segment_size) o.disk_reserve = 2 * o.segment_size;
    if (o.block_size == 0) o.block_size = BLOCK_SIZE_DEFAULT;
    if (o.lookups_max == 0) o.lookups_max = LOOKUPS_DEFAULT;
    if (o.table_size == 0) o.table_size = TABLE_SIZE_DEFAULT;
    if (o.keyspaces_max == 0) o.keyspaces_max = 1;
    uint64_t most = o.memory_max / 4 < FLUSH_SIZE_MAX ? o.memory_max / 4 : FLUSH_SIZE_MAX;
    if (o.flush_size == 0 || o.flush_size > most) o.flush_size = most;
    return o;
}

// Bytes for filters and indexes: as many as for records. With 4 KiB blocks that is enough for data
// fifty times as large, and more only if records are large.
static uint64_t tables_memory(const struct store_options *o) {
    return o->memory_max > TABLES_MEMORY_MIN ? o->memory_max : TABLES_MEMORY_MIN;
}

static struct commit_log_options log_options(const struct store_options *o) {
    return (struct commit_log_options){
        .segment_size = o->segment_size,
        .interval_ns = o->sync_interval_ns,
        .frame_max = FRAME_HEAD_SIZE + RECORD_HEAD_SIZE + KEY_SIZE_MAX + o->record_size_max,
    };
}

// Bytes of the largest record that may be found: what the buffers of the log can hold, and so may
// have been written when limits were larger.
static uint32_t record_limit(const struct store_options *o) {
    struct commit_log_options log = log_options(o);
    return commit_log_buffer_size(&log);
}

static struct lookups_options lookups_options_of(const struct store_options *o) {
    return (struct lookups_options){
        .count = o->lookups_max,
        .block_size = o->block_size * BLOCK_GROWTH,
        .record_size_max = record_limit(o),
        .is_direct = o->is_direct,
    };
}

size_t store_memory_size(const struct store_options *options) {
    struct store_options o = sane(options);
    struct commit_log_options log = log_options(&o);
    struct lookups_options lookups = lookups_options_of(&o);
    uint32_t record = record_limit(&o);
    enum { ROUNDING = 64 * 64 }; // things taken from the arena begin on cache lines
    uint32_t keyspaces = o.keyspaces_max;
    return sizeof(struct store) + sizeof(struct record) + keyspaces_memory_size(keyspaces) +
           memtable_memory_size(o.memory_max, keyspaces) + tables_memory(&o) +
           facts_memory_size(keyspaces) + segment_set_memory_size() + commit_log_memory_size(&log) +
           sstable_set_memory_size() + manifest_file_memory_size() + lookups_memory_size(&lookups) +
           flush_memory_size(record) + compaction_memory_size(record) +
           compressor_memory_size(true) + snapshots_memory_size() + KEY_SIZE_MAX + KEY_SIZE_MAX +
           2 * (size_t)FULL_KEY_MAX + ROUNDING;
}

static void on_log_started(struct commit_log *log);
static void on_shown(struct commit_log *log);
static void on_room(struct commit_log *log);
static void on_log_stopped(struct commit_log *log);
static void on_set_quiet(struct sstable_set *set);
static void on_manifest_idle(struct manifest_file *f);
static void on_looked_up(struct lookup *l);
static void on_lookup_freed(struct lookups *ls);
static void on_switched(struct flush *f);
static void on_flushed(struct flush *f);
static void on_compacted(struct compaction *c);
static void forget_damage(struct store *s);
static void on_cleaned(struct compaction *c, uint32_t first, uint32_t last);
static void on_lost(struct sstable_set *set, uint32_t first, uint32_t last);
static void on_tick(struct timer *timer);
static void on_held(struct timer *timer);

static void create_log(struct store *s, struct arena *arena) {
    struct commit_log_options log = log_options(&s->options);
    segment_set_init(&s->segments, arena);
    commit_log_init(&s->log, arena, s->env, s->timers, &log);
    s->log.segments = &s->segments;
    s->log.started = on_log_started;
    s->log.shown_more = on_shown;
    s->log.has_more_room = on_room;
    s->log.stopped = on_log_stopped;
}

static void create_flush(struct store *s, struct arena *arena) {
    struct flush *f = &s->flush;
    f->env = s->env;
    f->table = &s->table;
    f->log = &s->log;
    f->facts = &s->facts;
    f->set = &s->set;
    f->manifest = &s->manifest;
    f->block_size = s->options.block_size;
    f->compressor = &s->compressor;
    f->switched = on_switched;
    f->done = on_flushed;
    flush_init(f, arena, &s->memory, record_limit(&s->options));
}

static void create_compaction(struct store *s, struct arena *arena) {
    struct compaction *c = &s->compaction;
    c->env = s->env;
    c->timers = s->timers;
    c->set = &s->set;
    c->manifest = &s->manifest;
    c->keyspaces = &s->keyspaces;
    c->table_size = s->options.table_size;
    c->block_size = s->options.block_size;
    c->compressor = &s->compressor;
    c->pace = &s->pace;
    c->done = on_compacted;
    c->cleaned = on_cleaned;
    compaction_init(c, arena, &s->memory, record_limit(&s->options));
}

struct store *store_create(struct arena *arena, struct env *env, struct timers *timers,
                           const struct store_options *options) {
    struct store *s = ARENA_NEW(arena, struct store);
    s->env = env;
    s->timers = timers;
    s->options = sane(options);
    pace_init(&s->pace, env->now);
    keyspaces_init(&s->keyspaces, arena, s->options.keyspaces_max);
    memtable_init(&s->table, arena, &s->keyspaces, s->options.memory_max,
                  store_reserve_size(&s->options), hash_number(s->options.seed + 1));
    tlsf_init(&s->memory, arena, tables_memory(&s->options));
    compressor_init(&s->compressor, arena, true);
    s->compressor.codec = s->options.codec;
    facts_init(&s->facts, arena, &s->keyspaces);
    create_log(s, arena);
    sstable_set_init(&s->set, arena, env, &s->memory);
    s->set.is_quiet = on_set_quiet;
    s->set.lost = on_lost;
    manifest_file_init(&s->manifest, arena, env);
    s->manifest.idle = on_manifest_idle;
    struct lookups_options lookups = lookups_options_of(&s->options);
    lookups_init(&s->lookups, arena, env, &s->set, &lookups);
    s->lookups.compressor = &s->compressor;
    s->lookups.done = on_looked_up;
    s->lookups.freed = on_lookup_freed;
    create_flush(s, arena);
    create_compaction(s, arena);
    store_snapshots_init(s, arena);
    store_scan_init(s, arena);
    store_recount_init(s, arena);
    store_audit_init(s, arena);
    s->scratch = ARENA_NEW(arena, struct record);
    list_init(&s->waiting);
    list_init(&s->pending);
    list_init(&s->finished);
    list_init(&s->readers);
    list_init(&s->starved);
    s->tick.fired = on_tick;
    s->hold.fired = on_held;
    return s;
}

static void over(struct store *s, enum status status) {
    store_done *done = s->done;
    s->done = NULL;
    done(s->done_context, status);
}

// Opening.

static void on_log_started(struct commit_log *log) {
    struct store *s = CONTAINER_OF(log, struct store, log);
    if (log->is_failed) {
        s->done_status = log->failure;
        commit_log_stop(log);
        return;
    }
    store_begin_run(s);
}

static void look_for_space(struct store *s);

void store_opened(struct store *s) {
    if (s->log.is_failed) {
        s->done_status = ST_IO;
        commit_log_stop(&s->log);
        return;
    }
    s->is_open = true;
    look_for_space(s);
    timer_arm(s->timers, &s->tick, s->env->now + TICK_NS);
    store_audit_start(s);
    over(s, ST_OK);
}

void store_open(struct store *s, store_done *done, void *context) {
    must(!s->is_open);
    must(s->done == NULL);
    s->done = done;
    s->done_context = context;
    store_begin_open(s);
}

// Closing: flush and compaction give up, then tables are closed, then the log.

void store_close_when_quiet(struct store *s) {
    bool is_busy = s->is_looking || s->flush.state != FLUSH_IDLE || s->manifest.is_busy ||
                   s->compaction.state != COMPACTION_IDLE || s->recount.is_under_way ||
                   s->audit.is_reading || s->sweep.is_under_way ||
                   s->snapshots.state != SNAPSHOT_IDLE || !lookups_are_idle(&s->lookups);
    if (!is_busy && !s->is_closing_tables) store_close_tables(s);
}

static void on_set_quiet(struct sstable_set *set) {
    struct store *s = CONTAINER_OF(set, struct store, set);
    if (!s->is_closing_tables) return;             // tables that were merged away are gone
    if (!s->log.is_started || s->is_log_stopped) { // opening has failed
        over(s, s->done_status);
        return;
    }
    s->done_status = store_is_failed(s) ? ST_IO : ST_OK;
    commit_log_stop(&s->log);
}

static void on_log_stopped(struct commit_log *log) {
    struct store *s = CONTAINER_OF(log, struct store, log);
    s->is_log_stopped = true;
    if (s->done_status == ST_OK && log->is_failed) s->done_status = ST_IO; // the last sync, too
    if (s->is_closing_tables) {
        over(s, s->done_status);
    } else {
        store_close_tables(s); // the log could not be started
    }
}

void store_close_tables(struct store *s) {
    must(!s->is_closing_tables);
    s->is_closing_tables = true;
    sstable_set_close(&s->set);
}

void store_close(struct store *s, store_done *done, void *context) {
    must(s->is_open);
    must(s->done == NULL);
    must(list_is_empty(&s->waiting));
    must(list_is_empty(&s->pending));
    must(list_is_empty(&s->finished));
    must(list_is_empty(&s->readers));
    must(list_is_empty(&s->starved));
    must(s->recount.is_under_way || s->audit.is_reading || list_is_empty(&s->scanning.queue));
    must(!s->drop.is_wanted);
    s->is_open = false;
    s->is_closing = true;
    s->done = done;
    s->done_context = context;
    timer_disarm(s->timers, &s->tick);
    timer_disarm(s->timers, &s->hold);
    store_audit_stop(s);
    flush_stop(&s->flush);
    compaction_stop(&s->compaction);
    snapshots_stop(&s->snapshots);
    store_close_when_quiet(s);
}

// Space.

static void on_space(struct env_op *op) {
    struct store *s = CONTAINER_OF(op, struct store, space_op);
    s->is_looking = false;
    if (op->status == ST_OK) {
        s->disk_free = op->value;
        bool is_full = op->value < s->options.disk_reserve;
        if (is_full != s->is_disk_full) {
            env_log(s->env, ENV_WARNING, "disk_%s free=%llu reserve=%llu",
                    is_full ? "full" : "free", (unsigned long long)op->value,
                    (unsigned long long)s->options.disk_reserve);
        }
        s->is_disk_full = is_full;
    }
    if (!s->is_open) store_close_when_quiet(s);
}

static void look_for_space(struct store *s) {
    if (s->is_looking) return;
    s->is_looking = true;
    s->space_op.done = on_space;
    env_space(s->env, &s->space_op);
}

static void on_tick(struct timer *timer) {
    struct store *s = CONTAINER_OF(timer, struct store, tick);
    timer_arm(s->timers, timer, s->env->now + TICK_NS);
    look_for_space(s);
    commit_log_tick(&s->log);
    s->is_memory_full = s->is_reserve_wanting = false;
    store_flush_if_due(s);
    compaction_start_if_due(&s->compaction);
    store_count_pinned(s);
    store_wake_writes(s);
    store_drop_go_on(s);
}

static void on_held(struct timer *timer) {
    store_wake_writes(CONTAINER_OF(timer, struct store, hold));
}

// Flush and compaction.

static uint32_t log_segments_max(const struct store *s) {
    uint64_t count = 2 * s->options.flush_size / s->options.segment_size;
    return count > LOG_SEGMENTS_MIN ? (uint32_t)count : LOG_SEGMENTS_MIN;
}

static bool is_flush_due(const struct store *s) {
    uint64_t position = store_clean_before(s);
    if (s->log.tail <= position) return false;
    uint32_t first = position == 0 && s->segments.count > 0
                         ? segment_set_at(&s->segments, 0)->number
                         : position_number(position);
    uint32_t segments = position_number(s->log.cursor) - first;
    if (s->wants_flush || s->dirty_size >= s->options.flush_size) return true;
    return segments >= (s->is_disk_full ? 1 : log_segments_max(s));
}

void store_flush_if_due(struct store *s) {
    if (!s->is_open || s->flush.state != FLUSH_IDLE || store_is_failed(s)) return;
    if (s->env->now < s->flush_retry_at || !is_flush_due(s)) return;
    if (compaction_is_behind(&s->compaction)) return; // on_compacted comes
    s->wants_flush = false;
    s->frozen_count = s->dirty_count;
    s->frozen_size = s->dirty_size;
    s->dirty_count = s->dirty_size = 0;
    flush_start(&s->flush, s->frozen_count);
}

static void on_switched(struct flush *f) {
    struct store *s = CONTAINER_OF(f, struct store, flush);
    s->frozen_count = s->frozen_size = 0;
    s->is_memory_full = s->is_reserve_wanting = false;
    if (s->is_open) store_wake_writes(s);
}

static void on_flushed(struct flush *f) {
    struct store *s = CONTAINER_OF(f, struct store, flush);
    s->dirty_count += s->frozen_count;
    s->dirty_size += s->frozen_size;
    s->frozen_count = s->frozen_size = 0;
    if (f->status != ST_OK) {
        s->flush_retry_at = s->env->now + RETRY_NS;
        s->wants_flush |= s->is_repaired;
    }
    if (!s->is_open) {
        store_close_when_quiet(s);
        return;
    }
    if (f->status == ST_OK) forget_damage(s);
    store_sweep_if_wanted(s);
    look_for_space(s);
    store_flush_if_due(s);
    compaction_start_if_due(&s->compaction);
    store_wake_writes(s);
}

static void on_compacted(struct compaction *c) {
    struct store *s = CONTAINER_OF(c, struct store, compaction);
    if (c->status == ST_CORRUPT) store_note_damage(s);
    if (!s->is_open) {
        store_close_when_quiet(s);
        return;
    }
    if (c->status == ST_OK) {
        uint64_t wanted = s->set.size / TABLES_WANTED;
        c->table_size = wanted > s->options.table_size ? wanted : s->options.table_size;
        compaction_start_if_due(c);
        store_flush_if_due(s);
    }
    store_wake_writes(s); // those who wait for a merge that has failed hear of it, too
}

static void on_manifest_idle(struct manifest_file *f) {
    struct store *s = CONTAINER_OF(f, struct store, manifest);
    manifest_note_drops(&f->current, &s->keyspaces);         // some may be forgotten
    if (f->is_uncertain && s->is_open) store_wake_writes(s); // they hear of it
    snapshots_go_on(&s->snapshots); // before a flush that began after the cut
    flush_go_on(&s->flush);
    compaction_go_on(&s->compaction);
    store_drop_go_on(s);
    if (!s->is_open && s->done != NULL && s->log.is_started) store_close_when_quiet(s);
}

static void on_looked_up(struct lookup *l) {
    struct store *s = CONTAINER_OF(l->owner, struct store, lookups);
    if (l->has_met_damage) store_note_damage(s);
    // The key is that of the first who asked, who may be gone once answered.
    bool is_current = l->drops == s->lookups.drops; // else its keyspace may be gone
    if (l->status == ST_OK && is_current) store_cache(s, l->partition, l->key, l->record);
    store_answer_writes(s, l); // before whatever those who read write next
    store_answer_reads(s, l);
}

static void on_lookup_freed(struct lookups *ls) {
    struct store *s = CONTAINER_OF(ls, struct store, lookups);
    if (!s->is_open) {
        if (s->is_closing) store_close_when_quiet(s);
        return;
    }
    store_wake_reads(s);
    store_wake_writes(s);
}

// Identity.

struct actor store_actor(const struct store *s) {
    return s->actor;
}

uint64_t store_mint(struct store *s) {
    must(s->is_open);
    return ++s->log.mark.minted;
}

struct version store_minted(const struct store *s) {
    return (struct version){s->actor, s->log.mark.minted};
}

void store_renew(struct store *s, uint32_t known) {
    must(s->is_open);
    if (s->actor.epoch < known) s->actor.epoch = known;
    must(s->actor.epoch < UINT32_MAX);
    s->actor.epoch++;
    s->log.mark.epoch = s->actor.epoch;
    s->log.mark.minted = 0;
    s->is_renewed = true;
    env_log(s->env, ENV_WARNING, "actor_renewed epoch=%u", s->actor.epoch);
    (void)store_has_log_room(s); // if there is none, the next write puts the mark before itself
}

// The facts of a damaged log are known only now: they have to be on disk before the damage is
// forgotten.
void store_repaired(struct store *s) {
    must(s->is_open);
    sstable_set_end_forgiving(&s->set); // what is found from now on is new
    if (!s->log.mark.is_damaged) return;
    s->is_repaired = true;
    s->wants_flush = true;
    store_flush_if_due(s);
}

static void forget_damage(struct store *s) {
    if (!s->is_repaired || s->wants_flush || s->recount.is_under_way) return;
    s->is_repaired = false;
    s->log.mark.is_damaged = false;
    if (store_has_log_room(s)) commit_log_mark(&s->log); // else the next mark will say so
}

// Events of the log.

static void on_room(struct commit_log *log) {
    struct store *s = CONTAINER_OF(log, struct store, log);
    store_opening_goes_on(s);
    snapshots_go_on(&s->snapshots);
    if (s->is_open) store_wake_writes(s);
}

static void on_shown(struct commit_log *log) {
    struct store *s = CONTAINER_OF(log, struct store, log);
    store_opening_goes_on(s);
    store_show_writes(s);
    store_show_reads(s);
    snapshots_go_on(&s->snapshots); // before a flush, as above
    flush_go_on(&s->flush);
    if (!s->is_open) return;
    if (s->segment_count != s->segments.count) {
        s->segment_count = s->segments.count;
        look_for_space(s);
        store_flush_if_due(s);
    }
    if (log->is_failed) store_wake_writes(s); // those who wait for room hear of it
}

// Facts.

uint32_t store_leaf_of(struct slice key) {
    return facts_leaf_of(key);
}

uint64_t store_changes(const struct store *s, uint32_t group) {
    must(group < SLOT_GROUPS);
    return s->facts.changes[group];
}

struct store_partition store_partition_of(const struct store *s, struct partition partition) {
    return facts_of(&s->facts, partition);
}

void store_tell_keyspaces_full(struct store *s, uint16_t keyspace) {
    env_log(s->env, ENV_ERROR, "keyspaces_full keyspace=%u keyspaces_max=%u", keyspace,
            s->options.keyspaces_max);
}

// What the node's own partitions count.
static struct part_facts own_facts(const struct store *s) {
    struct part_facts sum = {0};
    for (uint32_t slot = SLOT_COUNT; slot < SLOT_END; slot++) {
        struct partition partition = {.slot = (uint16_t)slot};
        const struct part_facts *part = facts_part(&s->facts, partition);
        sum.key_count += part->key_count;
        sum.live_count += part->live_count;
    }
    return sum;
}

uint32_t store_keyspaces(const struct store *s, uint16_t *numbers, uint32_t max) {
    const struct keyspaces *k = &s->keyspaces;
    uint32_t count = 0;
    for (uint32_t i = 0; i < k->count; i++) {
        uint64_t keys = k->uses[k->places[i].index].keys;
        if (i == 0) keys -= own_facts(s).key_count;
        if (keys == 0) continue;
        if (count < max) numbers[count] = k->places[i].number;
        count++;
    }
    return count;
}

bool store_is_recounting(const struct store *s) {
    return s->recount.is_under_way;
}

uint64_t store_losses(const struct store *s) {
    return s->losses;
}

bool store_is_failed(const struct store *s) {
    return s->log.is_failed || s->manifest.is_uncertain;
}

void store_note_damage(struct store *s) {
    if (s->log.mark.is_damaged && !s->is_repaired) return;
    s->is_repaired = false;
    s->log.mark.is_damaged = true;
    if (s->is_open && store_has_log_room(s)) commit_log_mark(&s->log);
}

static void on_recounted(struct store *s) {
    s->wants_flush = true; // so that it lasts
    if (s->is_open) {
        store_flush_if_due(s);
    } else {
        store_close_when_quiet(s);
    }
}

static void on_cleaned(struct compaction *c, uint32_t first, uint32_t last) {
    struct store *s = CONTAINER_OF(c, struct store, compaction);
    if (s->is_open) store_recount(s, first, last, on_recounted);
}

// Until that is on disk, a start has to add up anew, too.
static void on_lost(struct sstable_set *set, uint32_t first, uint32_t last) {
    struct store *s = CONTAINER_OF(set, struct store, set);
    s->losses++;
    store_note_damage(s);
    if (s->is_open) store_recount(s, first, last, on_recounted);
}

void store_forgive(struct store *s) {
    must(s->is_open);
    sstable_set_forgive(&s->set);
    store_recount(s, 0, PARTITION_NONE, on_recounted);
}

void store_set_codecs(struct store *s, const struct keyspace_codec *codecs, uint32_t count) {
    must(count <= KEYSPACES_MAX);
    s->compressor.named_count = count;
    for (uint32_t i = 0; i < count; i++) s->compressor.named[i] = codecs[i];
}

void store_compact(struct store *s) {
    must(s->is_open);
    s->compaction.is_wanted = true;
    compaction_start_if_due(&s->compaction);
}

struct pace *store_pace(struct store *s) {
    return &s->pace;
}

static uint64_t live_size(const struct store *s) {
    return s->facts.totals.size + s->facts.totals.key_count * (FRAME_HEAD_SIZE + RECORD_HEAD_SIZE);
}

struct store_stats store_stats(const struct store *s) {
    const struct part_facts *all = &s->facts.totals;
    struct part_facts own = own_facts(s);
    return (struct store_stats){
        .key_count = all->key_count - own.key_count,
        .live_count = all->live_count - own.live_count,
        .memory_used = s->table.tlsf.used + s->memory.used,
        .memory_max = s->options.memory_max + tables_memory(&s->options),
        .dirty_size = s->dirty_size + s->frozen_size,
        .log_size = s->segments.size,
        .segment_count = s->segments.count,
        .live_size = live_size(s),
        .table_count = s->set.count,
        .table_size = s->set.size,
        .flushes = s->flush.count,
        .compactions = s->compaction.count,
        .is_compacting = s->compaction.state != COMPACTION_IDLE,
        .compaction_percent = compaction_percent(&s->compaction),
        .bytes_logged = s->logged,
        .bytes_flushed = s->flush.written,
        .bytes_compacted = s->compaction.written,
        .blocks_read = s->lookups.reads,
        .evicted = s->table.evicted,
        .cuts = s->compaction.cuts,
        .recounts = s->recount.count,
        .audited = s->audit.count,
        .audit_rounds = s->audit.rounds,
        .audit_differences = s->audit.differences,
        .disk_free = s->disk_free,
        .snapshot_count = snapshot_set_whole(&s->snapshots.set),
        .snapshot_size = s->snapshots.set.pinned,
        .syncs = s->log.sync_count,
        .writes = s->write_count,
        .damaged = s->recovery.damage_count + s->set.damaged,
        .replayed = s->recovery.replayed,
        .is_full = s->is_disk_full || s->is_memory_full ||
                   commit_log_is_full(&s->log, commit_log_reserve(&s->log)),
        .is_failed = store_is_failed(s),
        .was_damaged = s->log.mark.is_damaged && !s->is_repaired,
    };
}
