// SPDX-License-Identifier: Apache-2.0
#include "store/check.h"

#include "store/check_sums.h"
#include "store/check_table.h"
#include "store/manifest.h"
#include "store/recovery.h"
#include "store/snapshot_set.h"

#include <inttypes.h>

enum {
    NAMES_SIZE = 1024 * 1024, // of all files
    WINDOW_MIN = 1024 * 1024, // of the log
};

struct check {
    struct env *env;
    struct check_options options;
    check_done *done;
    void *context;
    struct findings findings;
    struct tlsf memory;
    struct compressor compressor; // for reading
    struct record *scratch;
    struct env_op op;
    enum status status;

    uint8_t *names;
    uint32_t names_size;
    struct manifest_file manifest;
    struct keyspaces keyspaces;
    struct facts facts;
    struct env_file *file; // of the facts
    char name[FILE_NAME_SIZE];
    uint8_t *facts_bytes;
    size_t facts_capacity;
    bool are_facts_many; // of more keyspaces than can be looked at
    bool has_sums;       // which are to be compared with the tables
    struct key_set keys; // written in the log since the manifest, with the digest of the record
    struct part_facts written; // what these add up to
    bool has_keys;             // all of them are there

    struct segment_set segments;
    struct recovery recovery;
    uint8_t *window;
    uint32_t window_size;

    struct sstable_set set;
    uint32_t table; // of the set, being looked at or closed
    struct table_check tables;
    struct sum_check sums;
};

static const struct stretch nowhere;

static uint32_t window_size_of(const struct check_options *o) {
    uint32_t frame = FRAME_HEAD_SIZE + RECORD_HEAD_SIZE + KEY_SIZE_MAX + o->record_size_max;
    return frame > WINDOW_MIN ? frame : WINDOW_MIN;
}

size_t check_memory_size(const struct check_options *o) {
    enum { ROUNDING = 64 * 32 }; // things taken from the arena begin on cache lines
    return sizeof(struct check) + o->memory_max + compressor_memory_size(false) +
           sizeof(struct record) + NAMES_SIZE + manifest_file_memory_size() +
           keyspaces_memory_size(o->keyspaces_max) + facts_memory_size(o->keyspaces_max) +
           facts_file_size_max(o->keyspaces_max) + segment_set_memory_size() + window_size_of(o) +
           sstable_set_memory_size() +
           table_check_memory_size(o->record_size_max, o->keyspaces_max) + sum_check_memory_size() +
           ROUNDING;
}

static void on_manifest_idle(struct manifest_file *f) {
    (void)f;
}

static void on_table_checked(struct table_check *checked);
static void on_sums_checked(struct sum_check *s);

static void create_tables(struct check *c, struct arena *arena) {
    sstable_set_init(&c->set, arena, c->env, &c->memory);
    c->tables.env = c->sums.merge.env = c->env;
    c->tables.memory = c->sums.merge.memory = &c->memory;
    c->tables.compressor = c->sums.merge.compressor = &c->compressor;
    c->tables.findings = c->sums.findings = &c->findings;
    c->tables.scratch = c->sums.scratch = c->scratch;
    c->tables.done = on_table_checked;
    table_check_init(&c->tables, arena, c->options.record_size_max, c->options.keyspaces_max);
    c->keys.memory = &c->memory;
    c->sums.facts = &c->facts;
    c->sums.written = &c->keys;
    c->sums.done = on_sums_checked;
    sum_check_init(&c->sums, arena);
}

struct check *check_create(struct arena *arena, struct env *env,
                           const struct check_options *options) {
    struct check *c = ARENA_NEW(arena, struct check);
    c->env = env;
    c->options = *options;
    c->scratch = ARENA_NEW(arena, struct record);
    tlsf_init(&c->memory, arena, options->memory_max);
    compressor_init(&c->compressor, arena, false);
    c->names = arena_take(arena, NAMES_SIZE, 1);
    manifest_file_init(&c->manifest, arena, env);
    c->manifest.idle = on_manifest_idle;
    keyspaces_init(&c->keyspaces, arena, options->keyspaces_max);
    facts_init(&c->facts, arena, &c->keyspaces);
    c->facts_capacity = facts_file_size_max(options->keyspaces_max);
    c->facts_bytes = arena_take(arena, c->facts_capacity, 1);
    segment_set_init(&c->segments, arena);
    c->window_size = window_size_of(options);
    c->window = arena_take(arena, c->window_size, 1);
    create_tables(c, arena);
    return c;
}

struct check_counts check_counts(const struct check *c) {
    struct check_counts counts = c->findings.counts;
    counts.bytes += c->segments.size;
    return counts;
}

static struct check *of(struct env_op *op) {
    return CONTAINER_OF(op, struct check, op);
}

#define ADD(c, file, where, meaning, ...)                                                          \
    findings_add(&(c)->findings, file, where, meaning, __VA_ARGS__)

// The end.

static void on_table_closed(struct env_op *op);

static void close_tables(struct check *c) {
    for (; c->table < c->set.count; c->table++) {
        if (c->set.tables[c->table]->file == NULL) continue;
        c->op.done = on_table_closed;
        env_close(c->env, &c->op, c->set.tables[c->table]->file);
        return;
    }
    c->done(c->context, c->status);
}

static void on_table_closed(struct env_op *op) {
    struct check *c = of(op);
    struct sstable *t = c->set.tables[c->table];
    t->file = NULL;
    sstable_give_memory(&c->memory, t);
    close_tables(c);
}

static void end(struct check *c, enum status status) {
    c->status = status;
    c->table = 0;
    close_tables(c);
}

// Tables: those above the base stay open, as they are merged with each table of the base.

static void next_table(struct check *c);

static void add_up(struct check *c, struct sstable *base) {
    sum_check_stretch(&c->sums, &c->set, base, base == NULL ? PARTITION_LAST : base->last);
}

static void on_base_closed(struct env_op *op) {
    struct check *c = of(op);
    struct sstable *t = c->set.tables[c->table++];
    t->file = NULL;
    sstable_give_memory(&c->memory, t);
    next_table(c);
}

static void end_table(struct check *c) {
    struct sstable *t = c->set.tables[c->table];
    if (t->file == NULL || t->sequence > 0) {
        c->table++;
        next_table(c);
        return;
    }
    c->op.done = on_base_closed;
    env_close(c->env, &c->op, t->file);
}

static void on_sums_checked(struct sum_check *s) {
    struct check *c = CONTAINER_OF(s, struct check, sums);
    c->has_sums = !s->has_failed;
    if (c->table == c->set.count) {
        end(c, ST_OK);
    } else {
        end_table(c);
    }
}

static void on_table_checked(struct table_check *checked) {
    struct check *c = CONTAINER_OF(checked, struct check, tables);
    struct sstable *t = checked->table;
    if (!checked->is_loaded) t->file = NULL;
    if (!checked->is_whole) c->has_sums = false; // the next start adds up what there is
    if (c->has_sums && t->sequence == 0) {
        add_up(c, t);
    } else {
        end_table(c);
    }
}

static void next_table(struct check *c) {
    if (c->table < c->set.count) {
        table_check_start(&c->tables, c->set.tables[c->table], c->manifest.current.storage);
    } else if (c->has_sums && c->sums.next <= PARTITION_LAST) {
        add_up(c, NULL);
    } else {
        end(c, ST_OK);
    }
}

static void begin_tables(struct check *c) {
    const struct manifest *m = &c->manifest.current;
    for (uint32_t i = 0; i < m->table_count; i++) {
        struct sstable *t = sstable_set_take(&c->set);
        must(t != NULL); // a manifest names at most SSTABLES_MAX
        t->number = m->tables[i].number;
        t->first = m->tables[i].first;
        t->last = m->tables[i].last;
        t->sequence = m->tables[i].sequence;
        if (sstable_set_fits(&c->set, t)) {
            sstable_set_add(&c->set, t);
            continue;
        }
        ADD(c, MANIFEST_NAME, nowhere, CHECK_LOST, "table %" PRIu32 " overlaps another one",
            t->number);
        sstable_set_give(&c->set, t);
        c->has_sums = false;
    }
    if (m->facts_number > 0) file_name(FACTS_PREFIX, m->facts_number, c->name);
    sum_check_begin(&c->sums, m->facts_number > 0 ? c->name : MANIFEST_NAME, m->storage);
    c->table = 0;
    next_table(c);
}

// Files that nobody names.

static void check_names(struct check *c) {
    const struct manifest *m = &c->manifest.current;
    const char *names = (const char *)c->names;
    for (uint32_t at = 0; at < c->names_size; at += (uint32_t)strlen(names + at) + 1) {
        if (!manifest_leaves_over(m, names + at)) continue;
        c->findings.counts.left_over++;
        ADD(c, names + at, nowhere, CHECK_HARMLESS, "left over: the next start removes it");
    }
}

// The log.

static const char *segment_name(struct check *c, uint32_t number) {
    file_name(SEGMENT_PREFIX, number, c->name);
    return c->name;
}

static struct stretch from_position(uint64_t from, uint64_t until) {
    bool is_one = position_number(from) == position_number(until);
    return (struct stretch){position_offset(from), is_one ? until - from : 0};
}

static void on_log_damage(struct recovery *r, const struct log_damage *d) {
    struct check *c = CONTAINER_OF(r, struct check, recovery);
    const char *name = segment_name(c, position_number(d->from));
    struct stretch where = from_position(d->from, d->until);
    switch (d->kind) {
    case LOG_HEADER:
        ADD(c, name, where, CHECK_MENDED, "%s",
            d->good_copies == 1 ? "one of two headers is damaged" : "both headers are damaged");
        return;
    case LOG_HOLE:
        ADD(c, name, where, CHECK_LOST, "damaged, until segment %" PRIu32 " offset %" PRIu32,
            position_number(d->until), position_offset(d->until));
        return;
    case LOG_BEGIN:
        ADD(c, name, where, CHECK_LOST, "the log should begin in segment %" PRIu32 "%s",
            position_number(d->until), r->position == 0 ? ", or a manifest is missing" : "");
        return;
    case LOG_END:
        ADD(c, name, where, CHECK_LOST,
            "the log ends here, tables go up to segment %" PRIu32 " offset %" PRIu32,
            position_number(d->until), position_offset(d->until));
        return;
    }
    unreachable();
}

// The sums are those at the manifest's position, where what the log has replaced since was still
// there; but tables may be without it already. So these keys are taken out of the sums as the log
// tells what they were, and are left out when tables are added up.
static void note_change(struct check *c, const struct change *change, struct stretch where) {
    static const struct footprint none;
    if (!keyspaces_serves(&c->keyspaces, change->partition)) return;
    uint64_t hash = full_key_hash(c->recovery.storage, change->partition, change->key);
    struct footprint now = footprint_of(c->scratch, change->partition, change->key, change->record);
    uint64_t *seen = key_set_find(&c->keys, hash);
    if (seen == NULL) {
        bool is_counted =
            facts_change(&c->facts, change->partition, change->key, &change->old, &none);
        part_facts_change(&c->written, change->key, &none, &now);
        c->has_keys = is_counted && key_set_add(&c->keys, hash, now.digest);
        return;
    }
    if (*seen != change->old.digest) {
        ADD(c, c->name, where, CHECK_MENDED, "is said to replace another record than that before");
    }
    part_facts_change(&c->written, change->key, &change->old, &now);
    *seen = now.digest;
}

static enum status on_record(struct recovery *r, uint64_t position, const struct frame *frame) {
    struct check *c = CONTAINER_OF(r, struct check, recovery);
    c->findings.counts.records++;
    const char *name = segment_name(c, position_number(position));
    struct stretch where = {position_offset(position), frame->size};
    const char *flaw = check_flaw(c->scratch, frame->change.partition, frame->change.record);
    if (flaw != NULL) ADD(c, name, where, CHECK_LOST, "%s", flaw);
    if (position < r->position && position + frame->size > r->position) {
        ADD(c, name, where, CHECK_LOST, "tables go up to the middle of a record");
    }
    bool is_whole = c->has_keys && !r->was_damaged && !r->has_gap;
    if (is_whole && position >= r->position) note_change(c, &frame->change, where);
    return ST_OK;
}

static void tell_end_of_log(struct check *c) {
    const struct recovery *r = &c->recovery;
    if (r->mark.is_damaged) {
        ADD(c, segment_name(c, position_number(r->end)), from_position(r->end, r->end), CHECK_LOST,
            "something was lost earlier, and is not mended yet");
    }
    if (r->has_mark && !r->is_blank) {
        ADD(c, segment_name(c, position_number(r->end)), from_position(r->end, r->dirty_end),
            CHECK_HARMLESS, "the log ends here: what follows was promised to nobody");
    }
}

static void tell_failure_of_log(struct check *c, enum status status) {
    const struct recovery *r = &c->recovery;
    uint32_t number = position_number(r->position);
    if (c->segments.count > 0) number = segment_set_at(&c->segments, 0)->number;
    if (status == ST_CORRUPT) {
        ADD(c, segment_name(c, number), nowhere, CHECK_LOST,
            "of the log nothing can be read, or it is another's than the tables, or of another "
            "version: it will not start");
    } else {
        ADD(c, segment_name(c, r->reader.number), nowhere, CHECK_LOST,
            status == ST_TOO_LARGE ? "has records that are larger than can be looked at"
                                   : "cannot be read");
    }
}

// Before a restored store is opened for the first time it holds what its snapshot was made of.
static void compare_with_origin(struct check *c) {
    const struct manifest_origin *origin = &c->manifest.current.origin;
    if (origin->kind != MANIFEST_RESTORED || !c->has_sums) return;
    if (c->recovery.number_max > position_number(origin->end)) return;
    uint64_t key_count = c->facts.totals.key_count + c->written.key_count;
    uint64_t digest = facts_digest(&c->facts);
    for (uint32_t i = 0; i < STORE_LEAVES; i++) digest += c->written.leaves[i];
    if (key_count == origin->key_count && digest == origin->digest) return;
    ADD(c, MANIFEST_NAME, nowhere, CHECK_LOST,
        "restored from a snapshot of %" PRIu64 " keys with digest %016" PRIx64 ", is %" PRIu64
        " with %016" PRIx64 ": it will not start",
        origin->key_count, origin->digest, key_count, digest);
}

static void on_log_over(struct recovery *r, enum status status) {
    struct check *c = CONTAINER_OF(r, struct check, recovery);
    c->findings.counts.segments = c->segments.count;
    if (status == ST_OK) {
        tell_end_of_log(c);
    } else {
        tell_failure_of_log(c, status);
    }
    if (!c->has_keys) {
        ADD(c, segment_name(c, position_number(r->end)), nowhere, CHECK_HARMLESS,
            "too many keys or keyspaces for the memory there is: sums are not compared");
    }
    // After damage the next start adds up anew.
    bool is_whole = !r->was_damaged && !r->mark.is_damaged && !r->has_gap;
    c->has_sums &= status == ST_OK && is_whole && c->has_keys;
    compare_with_origin(c);
    check_names(c);
    begin_tables(c);
}

static void check_log(struct check *c) {
    c->has_keys = true;
    recovery_init(&c->recovery, c->env, &c->segments, c->window, c->window_size, c->window_size);
    c->recovery.position = c->manifest.current.position;
    c->recovery.tables_storage = c->manifest.current.storage;
    c->recovery.only_looks = true;
    c->recovery.replay = on_record;
    c->recovery.found = on_log_damage;
    c->recovery.done = on_log_over;
    recovery_start(&c->recovery);
}

// Facts.

static void facts_over(struct check *c) {
    if (c->are_facts_many) {
        ADD(c, c->name, nowhere, CHECK_HARMLESS, "of too many keyspaces: sums are not compared");
    } else if (!c->has_sums) {
        ADD(c, c->name, nowhere, CHECK_MENDED, "cannot be read: the next start adds up anew");
    }
    check_log(c);
}

static void on_facts_closed(struct env_op *op) {
    facts_over(of(op));
}

static void on_facts_read(struct env_op *op) {
    struct check *c = of(op);
    const struct manifest *m = &c->manifest.current;
    struct slice bytes = {c->facts_bytes, op->size};
    enum status status = op->status;
    if (status == ST_OK) status = facts_open(&c->facts, m->storage, m->facts_number, bytes);
    c->are_facts_many |= status == ST_TOO_LARGE;
    c->has_sums = status == ST_OK;
    if (op->status == ST_OK) c->findings.counts.bytes += op->size;
    op->done = on_facts_closed;
    env_close(c->env, op, c->file);
}

static void on_facts_opened(struct env_op *op) {
    struct check *c = of(op);
    if (op->status != ST_OK) {
        c->has_sums = false;
        facts_over(c);
        return;
    }
    c->are_facts_many = op->value > c->facts_capacity;
    op->done = on_facts_read;
    env_read(c->env, op, c->file, 0, c->facts_bytes, (uint32_t)c->facts_capacity);
}

static void check_facts(struct check *c) {
    uint32_t number = c->manifest.current.facts_number;
    c->has_sums = true;
    if (number == 0) {
        check_log(c);
        return;
    }
    file_name(FACTS_PREFIX, number, c->name);
    c->op.done = on_facts_opened;
    env_open(c->env, &c->op, c->name, ENV_OPEN, &c->file);
}

// The manifest.

static void on_manifest(struct manifest_file *f) {
    struct check *c = CONTAINER_OF(f, struct check, manifest);
    if (f->status != ST_OK) {
        const char *why = f->status == ST_INVALID   ? "of another version"
                          : f->status == ST_CORRUPT ? "neither copy is good"
                                                    : "cannot be read";
        ADD(c, MANIFEST_NAME, nowhere, CHECK_LOST, "%s: it will not start", why);
        end(c, ST_OK);
        return;
    }
    c->findings.counts.bytes += f->size;
    if (f->current.origin.kind == MANIFEST_SNAPSHOT) {
        ADD(c, MANIFEST_NAME, nowhere, CHECK_LOST,
            "of a snapshot: it will not start, but can be restored");
        end(c, ST_OK);
        return;
    }
    if (manifest_is_missing(&f->current, (const char *)c->names, c->names_size)) {
        ADD(c, MANIFEST_NAME, nowhere, CHECK_LOST, "gone, its tables are there: it will not start");
        end(c, ST_OK);
        return;
    }
    manifest_note_drops(&f->current, &c->keyspaces);
    if (f->good == 1) {
        ADD(c, MANIFEST_NAME, nowhere, CHECK_MENDED, "one of two copies is damaged");
    }
    check_facts(c);
}

// Whether files of this name are looked at.
static bool is_of_store(const char *name) {
    uint32_t number = 0;
    return strcmp(name, MANIFEST_NAME) == 0 || file_name_parse(SSTABLE_PREFIX, name, &number) ||
           file_name_parse(FACTS_PREFIX, name, &number) ||
           file_name_parse(SEGMENT_PREFIX, name, &number);
}

static void on_listed(struct env_op *op) {
    struct check *c = of(op);
    if (op->status != ST_OK) {
        end(c, op->status);
        return;
    }
    const char *names = (const char *)c->names;
    c->names_size = op->size;
    for (uint32_t at = 0; at < c->names_size; at += (uint32_t)strlen(names + at) + 1) {
        c->findings.counts.files += is_of_store(names + at);
        struct snapshot_part part;
        c->findings.counts.snapshots += snapshot_file_parse(names + at, &part);
    }
    manifest_read(&c->manifest, on_manifest);
}

void check_start(struct check *c, check_found *found, check_done *done, void *context) {
    c->findings.found = found;
    c->findings.context = c->context = context;
    c->done = done;
    c->op.done = on_listed;
    env_list(c->env, &c->op, c->names, NAMES_SIZE);
}
