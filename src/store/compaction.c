// SPDX-License-Identifier: Apache-2.0
#include "store/compaction.h"

enum {
    BASE_SHARE = 5,   // a major merge when what lies above the base is this part of it
    TIGHT_SHARE = 20, // or this one where memory is short
    MAJOR_LEAST = 4,
    MINOR_LEAST = 4,
    MINOR_MEMORY = 6,  // a minor merge makes at most so many times the memory for tables
    MINOR_TABLES = 4,  // or as much as so many tables of the base
    TABLES_MANY = 12,  // above the base, by sequence
    TABLES_FIRST = 24, // some of these come before a major merge, which takes long:
    MINOR_QUICK = 8,   // so many, which does not
    TABLES_HIGH = 36,
    TABLES_MAX = MERGE_SOURCES_MAX - 8, // more wait until there are fewer
    SPACE_MANY = 25,                    // hundredths of the base above it
    SPACE_MAX = 125,
    SPACE_LEAST = 4,  // tables that a base counts for at least
    MEMORY_MANY = 60, // hundredths of the memory for filters and indexes
    MEMORY_MAX = 90,  // what is left then is for merges, which give some back
    PRESSURE_HOLD = 50,
    READ_SIZE = 64 * 1024,
    STEP_SIZE = 64 * 1024,
    STEPS_MOST = 4,
    STEP_NS = 2 * 1000 * 1000,
};

static void on_timer(struct timer *timer);
static void on_ready(struct merge *m);

size_t compaction_memory_size(uint32_t record_size_max) {
    return sstable_writer_memory_size(record_size_max) + FULL_KEY_MAX + (size_t)64 * 3;
}

void compaction_init(struct compaction *c, struct arena *arena, struct tlsf *memory,
                     uint32_t record_size_max) {
    sstable_writer_init(&c->writer, arena, c->env, memory, c->compressor, record_size_max);
    c->merge.env = c->env;
    c->merge.memory = memory;
    c->merge.compressor = c->compressor;
    c->merge.ready = on_ready;
    c->merge.read_size = READ_SIZE;
    c->merge.seek = arena_take(arena, FULL_KEY_MAX + 1, 1);
    c->timer.fired = on_timer;
    c->state = COMPACTION_IDLE;
}

// Choosing.

static uint32_t above_base(const struct compaction *c) {
    uint32_t count = 0;
    while (count < c->set->count && c->set->tables[count]->sequence > 0) count++;
    return count;
}

static uint64_t size_of(const struct compaction *c, uint32_t from, uint32_t to) {
    uint64_t size = 0;
    for (uint32_t i = from; i < to; i++) {
        const struct sstable *t = c->set->tables[i];
        size += sstable_share(t, t->size, t->first, t->last);
    }
    return size;
}

static uint64_t memory_size(const struct compaction *c) {
    return (uint64_t)c->merge.memory->unit_count * TLSF_UNIT;
}

// Hundredths of the memory for tables that are in use.
static uint64_t memory_use(const struct compaction *c) {
    return c->merge.memory->used * 100 / memory_size(c);
}

// Bytes that a merge may have for what it reads: the rest is for what it makes.
static uint64_t reading_memory(const struct compaction *c) {
    return (memory_size(c) - c->merge.memory->used) / 2;
}

// Bytes that a table takes of that: blocks as they are on disk, one that is expanded, and a key.
static uint64_t reading_size(const struct sstable *t) {
    uint64_t block = piece_size_of(t->block_max);
    uint64_t key = t->block_max < FULL_KEY_MAX ? t->block_max : FULL_KEY_MAX;
    return (block > READ_SIZE ? block : READ_SIZE) + t->block_max + key;
}

// Tables of one sequence go together.
static uint32_t end_of_sequence(const struct compaction *c, uint32_t first) {
    uint32_t end = first + 1;
    while (end < c->set->count &&
           c->set->tables[end]->sequence == c->set->tables[first]->sequence) {
        end++;
    }
    return end;
}

static uint32_t sequence_count(const struct compaction *c, uint32_t above) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < above; i = end_of_sequence(c, i)) count++;
    return count;
}

// How large a table that a minor merge makes may be. Its index, a two hundredth or so of that, is
// one piece of memory, which is the harder to find the larger it is.
static uint64_t minor_size_max(const struct compaction *c) {
    uint64_t most = MINOR_MEMORY * memory_size(c);
    return most > MINOR_TABLES * c->table_size ? most : MINOR_TABLES * c->table_size;
}

// Tables in a row that may become one.
struct run {
    uint32_t from;
    uint32_t end;
    uint32_t count; // by sequence
    uint64_t size;  // bytes
};

// As many as there may be from `from` on, and `most` by sequence. `may_try`: the fewest that are
// worth a merge also where memory is too little, as far as can be told before.
static struct run run_from(const struct compaction *c, uint32_t from, uint32_t above, uint32_t most,
                           bool may_try) {
    struct run run = {.from = from, .end = from};
    uint64_t memory = 0;
    while (run.end < above && run.count < most) {
        uint32_t next = end_of_sequence(c, run.end);
        uint64_t size = run.size + size_of(c, run.end, next);
        for (uint32_t i = run.end; i < next; i++) memory += reading_size(c->set->tables[i]);
        if (size > minor_size_max(c) || next - from > MERGE_SOURCES_MAX - 1) break;
        bool is_least = may_try && run.count < MINOR_LEAST;
        if (memory > reading_memory(c) && !is_least) break;
        run.end = next;
        run.size = size;
        run.count++;
    }
    return run;
}

static void take_inputs(struct compaction *c, uint32_t from, uint32_t to) {
    c->job.input_count = 0;
    c->job.newest = c->set->tables[from]->sequence;
    c->job.from = UINT32_MAX;
    c->job.end = 0;
    for (uint32_t i = from; i < to; i++) {
        struct sstable *t = c->set->tables[i];
        c->job.inputs[c->job.input_count++] = t;
        if (t->first < c->job.from) c->job.from = t->first;
        if (t->last > c->job.end) c->job.end = t->last;
    }
    c->job.begin = c->job.from;
}

// Of so many above the base the most tables in a row that may become one, but no more than `most`
// by sequence; if that leaves a choice, those that are least work. False: too few.
static bool take_minor(struct compaction *c, uint32_t above, uint32_t most, bool may_try) {
    struct run best = {0};
    for (uint32_t from = 0; from < above; from = end_of_sequence(c, from)) {
        struct run run = run_from(c, from, above, most, may_try);
        bool is_less = run.count == best.count && run.size < best.size;
        if (run.count > best.count || is_less) best = run;
    }
    if (best.count < MINOR_LEAST) return false;
    take_inputs(c, best.from, best.end);
    c->job.is_major = false;
    c->job.sequence = c->job.newest;
    return true;
}

// The tables right above the base that may go into it at once: the first of them. Those of one
// sequence may always try.
static uint32_t major_begin(const struct compaction *c, uint32_t above) {
    uint64_t memory = 0;
    for (uint32_t i = above; i < c->set->count; i++) {
        uint64_t size = reading_size(c->set->tables[i]);
        if (size > memory) memory = size; // one of the base at a time
    }
    uint32_t begin = above;
    for (uint32_t i = above; i-- > 0 && above - i < MERGE_SOURCES_MAX;) {
        memory += reading_size(c->set->tables[i]);
        if (memory > reading_memory(c) && begin < above) break;
        bool is_first = i == 0 || c->set->tables[i - 1]->sequence != c->set->tables[i]->sequence;
        if (is_first) begin = i;
    }
    return begin;
}

static bool choose_damaged(struct compaction *c) {
    for (uint32_t i = 0; i < c->set->count; i++) {
        const struct sstable *t = c->set->tables[i];
        if (!t->is_damaged || !t->is_forgiven) continue;
        take_inputs(c, i, i + 1);
        c->job.is_major = false;
        c->job.sequence = t->sequence;
        return true;
    }
    return false;
}

// Where the first table lies that has damage which may not go, or the end: what is older stays.
static uint32_t sound_end(const struct compaction *c) {
    uint32_t end = 0;
    while (end < c->set->count) {
        const struct sstable *t = c->set->tables[end];
        if (t->is_damaged && !t->is_forgiven) break;
        end++;
    }
    return end;
}

static bool choose(struct compaction *c) {
    if (choose_damaged(c)) return true;
    uint32_t above = above_base(c);
    uint32_t sound = sound_end(c);
    if (above == 0 || sound == 0) return false;
    uint32_t whole = above < sound ? above : sound;
    bool are_many = sequence_count(c, whole) >= TABLES_FIRST;
    if (are_many && take_minor(c, whole, MINOR_QUICK, false)) return true;
    uint64_t upper = size_of(c, 0, above);
    uint64_t base = size_of(c, above, c->set->count);
    bool is_large = upper * BASE_SHARE >= base && sequence_count(c, above) >= MAJOR_LEAST;
    bool is_tight = upper * TIGHT_SHARE >= base && memory_use(c) >= MEMORY_MAX;
    bool is_major = c->is_wanted || is_large || is_tight;
    uint32_t begin = major_begin(c, above);
    if (is_major && sound == c->set->count && begin < above) {
        // Each goes through the whole base, so not for a few tables if these can become one.
        if (begin > 0 && take_minor(c, whole, TABLES_MAX, false)) return true;
        take_inputs(c, begin, above);
        c->job.is_major = true;
        c->job.sequence = 0;
        return true;
    }
    return sequence_count(c, whole) >= TABLES_MANY && take_minor(c, whole, TABLES_MAX, true);
}

// Puts a major merge aside, between two of its stretches, for a minor one of what has come since it
// began.
static void pause_if_due(struct compaction *c) {
    uint32_t newer = 0;
    while (newer < c->set->count && c->set->tables[newer]->sequence > c->job.newest) newer++;
    if (!c->job.is_major || newer > sound_end(c) || sequence_count(c, newer) < TABLES_MANY) return;
    struct compaction_job job = c->job;
    if (take_minor(c, newer, TABLES_MAX, false)) c->paused = job;
}

// How far merges are behind.

bool compaction_is_behind(const struct compaction *c) {
    bool is_tight = c->state != COMPACTION_IDLE && memory_use(c) >= MEMORY_MAX;
    return is_tight || above_base(c) >= TABLES_MAX;
}

bool compaction_is_stuck(const struct compaction *c) {
    bool has_failed = c->status != ST_OK && c->status != ST_CANCELLED;
    return has_failed && c->state == COMPACTION_IDLE && compaction_is_behind(c);
}

// A merge that is put aside for another is the one to tell of.
uint32_t compaction_percent(const struct compaction *c) {
    bool is_paused = c->paused.input_count > 0;
    const struct compaction_job *job = is_paused ? &c->paused : &c->job;
    uint32_t at = is_paused || c->partition == UINT32_MAX ? job->from : c->partition;
    if (c->state == COMPACTION_IDLE || at <= job->begin) return 0;
    if (at > job->end) return 100; // the base goes on behind what is merged into it
    // Numbers of keyspaces have gaps between them.
    uint64_t begin = keyspaces_before(c->keyspaces, job->begin);
    uint64_t end = keyspaces_before(c->keyspaces, job->end);
    return (uint32_t)((keyspaces_before(c->keyspaces, at) - begin) * 100 / (end - begin + 1));
}

// Where the value lies between the two, in parts of PRESSURE_MOST.
static uint32_t pressure_of(uint64_t value, uint64_t low, uint64_t high) {
    if (value <= low) return 0;
    if (value >= high) return PRESSURE_MOST;
    return (uint32_t)((value - low) * PRESSURE_MOST / (high - low));
}

static void look(struct compaction *c) {
    if (c->generation == c->set->generation) return;
    c->generation = c->set->generation;
    uint32_t above = above_base(c);
    uint64_t upper = size_of(c, 0, above);
    uint64_t base = size_of(c, above, c->set->count);
    c->upper_share = (uint32_t)(upper / (1 + (base + upper) / THROTTLE_WHOLE));
    if (base < SPACE_LEAST * c->table_size) base = SPACE_LEAST * c->table_size;
    uint32_t by_space = pressure_of(upper / (base / 100 + 1), SPACE_MANY, SPACE_MAX);
    uint32_t by_count = pressure_of(sequence_count(c, above), TABLES_MANY, TABLES_HIGH);
    uint32_t by_memory = pressure_of(memory_use(c), MEMORY_MANY, MEMORY_MAX);
    c->pressure = by_space > by_count ? by_space : by_count;
    if (by_memory > c->pressure) c->pressure = by_memory;
}

// At the first pressure under which writes wait they get twice what keeps the size of things as it
// is, at the highest half of it.
bool compaction_allows_writes(struct compaction *c) {
    look(c);
    if (c->pressure < PRESSURE_HOLD || c->state == COMPACTION_IDLE) return true;
    uint64_t above = c->pressure - PRESSURE_HOLD;
    uint64_t range = PRESSURE_MOST - PRESSURE_HOLD;
    uint64_t share = (uint64_t)c->upper_share * (4 * range - 3 * above) / (2 * range);
    return throttle_allows(&c->throttle, c->env->now, share);
}

void compaction_note_written(struct compaction *c, uint64_t bytes) {
    if (c->pressure >= PRESSURE_HOLD) throttle_note_written(&c->throttle, bytes);
}

// Ending.

static void over(struct compaction *c, enum status status) {
    c->state = COMPACTION_IDLE;
    c->status = status;
    c->paused.input_count = 0;
    if (status == ST_OK) {
        c->count++;
    } else if (status != ST_CANCELLED) {
        env_log(c->env, ENV_WARNING, "tables_not_merged from=%u until=%u status=\"%s\"",
                c->job.from, c->to, status_text(status));
    }
    c->done(c);
}

static void on_abandoned(struct sstable_writer *w) {
    struct compaction *c = CONTAINER_OF(w, struct compaction, writer);
    over(c, c->status);
}

// Requires that the merge is quiet and the writer idle.
static void give_up(struct compaction *c, enum status status) {
    timer_disarm(c->timers, &c->timer);
    c->status = status;
    c->state = COMPACTION_WRITER;
    merge_end(&c->merge);
    if (c->made != NULL) sstable_set_give(c->set, c->made);
    c->made = NULL;
    if (c->writer.state == WRITER_FREE) {
        over(c, status);
    } else {
        sstable_writer_abandon(&c->writer, c->manifest->is_uncertain, on_abandoned);
    }
}

static void step_later(struct compaction *c) {
    c->state = COMPACTION_MERGE;
    look(c);
    uint64_t pressure = c->pressure;
    if (c->is_wanted && pressure < PRESSURE_HOLD) pressure = PRESSURE_HOLD;
    c->budget = STEP_SIZE + pressure * (STEPS_MOST - 1) * STEP_SIZE / PRESSURE_MOST;
    uint64_t ease = pressure < PRESSURE_HOLD ? PRESSURE_HOLD - pressure : 0;
    uint64_t pause = STEP_NS * ease / PRESSURE_HOLD;
    uint64_t debt = pressure * PACE_DEBT_MOST / PRESSURE_HOLD;
    uint64_t took = c->env->now - c->began + pause;
    pause += pace_rest(c->pace, PACE_MERGES, c->env->now, took, debt);
    c->began = c->env->now + pause;
    timer_arm(c->timers, &c->timer, c->began);
}

// The manifest.

static void begin_stretch(struct compaction *c);
static void on_saved(struct manifest_file *m);

static void save(struct compaction *c) {
    c->state = COMPACTION_MANIFEST;
    if (c->manifest->is_busy) return; // compaction_go_on comes again
    if (c->manifest->is_uncertain || c->is_stopping) {
        give_up(c, c->is_stopping ? ST_CANCELLED : ST_IO);
        return;
    }
    struct manifest *next = &c->manifest->next;
    manifest_copy(next, &c->manifest->current);
    for (uint32_t i = 0; i < c->job.input_count; i++)
        manifest_trim(next, c->job.inputs[i]->number, c->to);
    if (c->base != NULL) manifest_trim(next, c->base->number, c->to);
    if (c->writer.state == WRITER_DONE) {
        const struct manifest_table made = {
            .number = c->writer.plan.number,
            .first = c->job.from,
            .last = c->to,
            .sequence = c->job.sequence,
        };
        manifest_add(next, &made);
    }
    if (!c->keyspaces->is_unswept) manifest_forget_drops(next);
    c->manifest->context = c;
    manifest_save(c->manifest, on_saved);
}

static bool is_any_damaged(const struct compaction *c) {
    bool is_damaged = c->base != NULL && c->base->is_damaged;
    for (uint32_t i = 0; i < c->job.input_count; i++) is_damaged |= c->job.inputs[i]->is_damaged;
    return is_damaged;
}

static void trim_inputs(struct compaction *c) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->job.input_count; i++) {
        struct sstable *t = c->job.inputs[i];
        bool stays = t->last > c->to;
        sstable_set_trim(c->set, t, c->to);
        if (stays) c->job.inputs[kept++] = t;
    }
    c->job.input_count = kept;
    if (c->base != NULL) sstable_set_trim(c->set, c->base, c->to);
    c->base = NULL;
}

static void go_to_next(struct compaction *c) {
    bool is_through = c->job.input_count == 0;
    if (is_through && c->paused.input_count == 0) {
        over(c, ST_OK);
        return;
    }
    if (c->is_stopping) {
        over(c, ST_CANCELLED);
        return;
    }
    if (is_through) {
        c->count++;
        c->job = c->paused;
        c->paused.input_count = 0;
    } else {
        c->job.from = c->to + 1;
        pause_if_due(c);
    }
    begin_stretch(c);
}

// The stretch is taken away from what went into it before the new table takes its place, so that
// tables never overlap.
static void on_saved(struct manifest_file *m) {
    struct compaction *c = m->context;
    if (m->status != ST_OK) {
        give_up(c, m->status);
        return;
    }
    bool was_damaged = is_any_damaged(c);
    trim_inputs(c);
    if (c->writer.state == WRITER_DONE) {
        c->written += c->writer.offset;
        sstable_writer_take(&c->writer, c->made);
        c->made->first = c->made->whole_first = c->job.from;
        c->made->last = c->to;
        sstable_set_add(c->set, c->made);
    } else {
        sstable_set_give(c->set, c->made);
    }
    c->made = NULL;
    if (was_damaged) c->cleaned(c, c->job.from, c->to);
    go_to_next(c);
}

// Merging.

static void on_finished(struct sstable_writer *w) {
    struct compaction *c = CONTAINER_OF(w, struct compaction, writer);
    if (w->status != ST_OK) {
        give_up(c, w->status);
        return;
    }
    merge_end(&c->merge);
    save(c);
}

static void end_stretch(struct compaction *c) {
    c->state = COMPACTION_WRITER;
    if (sstable_writer_key_count(&c->writer) > 0) {
        sstable_writer_finish(&c->writer, on_finished);
    } else {
        sstable_writer_abandon(&c->writer, false, on_finished);
    }
}

static void on_writer(struct sstable_writer *w) {
    step_later(
        CONTAINER_OF(w, struct compaction, writer)); // which sees whether the writer has failed
}

static void add_record(struct compaction *c) {
    struct partition partition = full_key_partition(c->merge.key);
    struct slice key = full_key_rest(c->merge.key);
    struct slice record = c->merge.record;
    uint64_t size = key.size + record.size;
    c->budget -= size < c->budget ? size : c->budget;
    throttle_note_merged(&c->throttle, c->env->now, size);
    if (record.size == 0 && c->job.is_major) return; // nothing lies below
    if (!keyspaces_serves(c->keyspaces, partition)) return;
    uint64_t digest = record.size == 0 ? 0 : record_digest(key, record);
    sstable_writer_add(&c->writer, partition, key, record, digest);
}

static void step(struct compaction *c) {
    c->state = COMPACTION_MERGE;
    while (c->budget > 0) {
        if (c->writer.status != ST_OK) {
            give_up(c, c->writer.status);
            return;
        }
        if (sstable_writer_is_full(&c->writer)) {
            c->state = COMPACTION_WRITER;
            sstable_writer_write(&c->writer, on_writer);
            return;
        }
        switch (merge_next(&c->merge)) {
        case MERGE_LOADING:
            return;
        case MERGE_FAILED:
            give_up(c, c->merge.status);
            return;
        case MERGE_END:
            end_stretch(c);
            return;
        case MERGE_RECORD:
            break;
        }
        uint32_t partition = partition_number(full_key_partition(c->merge.key));
        if (partition != c->partition && sstable_writer_size(&c->writer) >= c->split_size) {
            c->to = partition - 1;
            c->cuts++;
            end_stretch(c);
            return;
        }
        c->partition = partition;
        add_record(c);
    }
    step_later(c);
}

static void try_step(struct compaction *c) {
    if (!merge_is_quiet(&c->merge)) return; // on_ready comes
    if (c->is_stopping) {
        give_up(c, ST_CANCELLED);
    } else {
        step(c);
    }
}

static void on_ready(struct merge *m) {
    struct compaction *c = CONTAINER_OF(m, struct compaction, merge);
    if (c->state != COMPACTION_MERGE || timer_is_armed(&c->timer)) return;
    if (c->writer.state == WRITER_OPEN) try_step(c);
}

static void on_timer(struct timer *timer) {
    struct compaction *c = CONTAINER_OF(timer, struct compaction, timer);
    try_step(c);
}

// Stretches.

// The table of the base that lies under the stretch or is the next, and how far the stretch goes.
// Tables of the base have no gaps between them: what lies before one goes into it, and what lies
// behind the last, too, or else makes a new one.
static void find_base(struct compaction *c) {
    c->base = NULL;
    c->to = c->job.end;
    if (!c->job.is_major) return;
    for (uint32_t i = above_base(c); i < c->set->count; i++) {
        struct sstable *t = c->set->tables[i];
        bool is_last = i + 1 == c->set->count;
        if (t->last < c->job.from) continue;
        c->base = t;
        if (t->first < c->job.from) c->job.from = t->first; // all of it goes into what is made
        if (!is_last || t->last > c->job.end) c->to = t->last;
        return;
    }
}

// Large stretches are cut into tables of about the size that they should have.
static void plan_split(struct compaction *c) {
    uint64_t size = c->base == NULL ? 0 : c->base->size;
    for (uint32_t i = 0; i < c->job.input_count; i++) {
        size += sstable_share(c->job.inputs[i], c->job.inputs[i]->size, c->job.from, c->to);
    }
    uint64_t pieces = size / c->table_size;
    // Above the base a merge makes one table: what counts there is how many there are.
    c->pieces = pieces < 2 || !c->job.is_major ? 1 : pieces;
    c->split_size = c->pieces == 1 ? UINT64_MAX : size / c->pieces;
}

// For about how many keys the filter of the next table of the stretch is to be made.
static uint64_t count_keys(const struct compaction *c) {
    enum { SLACK = 1024 };
    uint64_t keys = c->base == NULL ? 0 : c->base->key_count;
    for (uint32_t i = 0; i < c->job.input_count; i++) {
        keys += sstable_share(c->job.inputs[i], c->job.inputs[i]->key_count, c->job.from, c->to);
    }
    keys /= c->pieces;
    keys += keys / 8 + SLACK;
    return c->job.is_major ? keys : filter_keys_above(keys);
}

static void add_sources(struct compaction *c) {
    struct merge *m = &c->merge;
    merge_begin(m, c->to);
    for (uint32_t i = 0; i < c->job.input_count && m->status == ST_OK; i++) {
        if (c->job.inputs[i]->first <= c->to) m->status = merge_add(m, c->job.inputs[i]);
    }
    if (c->base != NULL && m->status == ST_OK) m->status = merge_add(m, c->base);
}

static void begin_stretch(struct compaction *c) {
    find_base(c);
    plan_split(c);
    add_sources(c);
    c->partition = UINT32_MAX;
    c->made = sstable_set_take(c->set);
    if (c->made == NULL || c->merge.status != ST_OK) {
        give_up(c, c->made == NULL ? ST_NO_MEMORY : c->merge.status);
        return;
    }
    merge_seek(&c->merge, partition_of_number(c->job.from), (struct slice){NULL, 0}, false);
    const struct sstable_plan plan = {
        .number = manifest_take_numbers(c->manifest, 1),
        .storage = c->storage,
        .sequence = c->job.sequence,
        .hash_seed = c->hash_seed,
        .key_count = count_keys(c),
        .block_size = c->block_size,
    };
    c->state = COMPACTION_WRITER;
    sstable_writer_open(&c->writer, &plan, on_writer);
}

// What has come since it began to rest may be so much that it should not.
static void wake_if_pressed(struct compaction *c) {
    if (c->state != COMPACTION_MERGE || !timer_is_armed(&c->timer)) return;
    look(c);
    if (c->pressure < PRESSURE_HOLD) return;
    c->began = c->env->now;
    timer_arm(c->timers, &c->timer, c->began);
}

void compaction_start_if_due(struct compaction *c) {
    wake_if_pressed(c);
    if (c->state != COMPACTION_IDLE || c->is_stopping || c->manifest->is_uncertain) return;
    bool is_chosen = choose(c);
    if (!is_chosen || c->job.is_major) c->is_wanted = false; // there is no more to it than that
    c->began = c->env->now;
    if (is_chosen) begin_stretch(c);
}

void compaction_go_on(struct compaction *c) {
    if (c->state == COMPACTION_MANIFEST && !c->manifest->is_busy) save(c);
}

void compaction_stop(struct compaction *c) {
    c->is_stopping = true;
    if (c->state == COMPACTION_MERGE && timer_is_armed(&c->timer)) {
        timer_disarm(c->timers, &c->timer);
        try_step(c);
    }
    compaction_go_on(c);
}
