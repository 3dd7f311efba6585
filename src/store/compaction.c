// SPDX-License-Identifier: Apache-2.0
#include "store/compaction.h"

enum {
    BASE_SHARE = 5, // a major merge when what lies above the base is this part of it
    MAJOR_LEAST = 4,
    MINOR_LEAST = 4,
    TABLES_MANY = 12, // above the base, by sequence
    TABLES_URGENT = 24,
    TABLES_MAX = MERGE_SOURCES_MAX - 8, // more wait until there are fewer
    READ_SIZE = 64 * 1024,
    STEP_SIZE = 64 * 1024,
    STEP_NS = 2 * 1000 * 1000,
    RETRY_NS = 1000 * 1000 * 1000,
};

static void on_timer(struct timer *timer);
static void on_ready(struct merge *m);

size_t compaction_memory_size(uint32_t record_size_max) {
    return sstable_writer_memory_size(record_size_max) + sizeof(struct record) + FULL_KEY_MAX +
           (size_t)64 * 3;
}

void compaction_init(struct compaction *c, struct arena *arena, struct tlsf *memory,
                     uint32_t record_size_max) {
    sstable_writer_init(&c->writer, arena, c->env, memory, record_size_max);
    c->scratch = ARENA_NEW(arena, struct record);
    c->merge.env = c->env;
    c->merge.memory = memory;
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

// The newest that are of about one size: each not larger than all newer ones together, twice.
static uint32_t minor_end(const struct compaction *c, uint32_t above) {
    uint32_t end = end_of_sequence(c, 0);
    uint64_t size = size_of(c, 0, end);
    uint32_t count = 1;
    while (end < above) {
        uint32_t next = end_of_sequence(c, end);
        uint64_t more = size_of(c, end, next);
        if (next > MERGE_SOURCES_MAX - 1) break;
        if (count >= MINOR_LEAST && more > 2 * size) break;
        size += more;
        end = next;
        count++;
    }
    return end;
}

static void take_inputs(struct compaction *c, uint32_t from, uint32_t to) {
    c->input_count = 0;
    c->from = UINT32_MAX;
    c->end = 0;
    for (uint32_t i = from; i < to; i++) {
        struct sstable *t = c->set->tables[i];
        c->inputs[c->input_count++] = t;
        if (t->first < c->from) c->from = t->first;
        if (t->last > c->end) c->end = t->last;
    }
}

static bool choose_damaged(struct compaction *c) {
    for (uint32_t i = 0; i < c->set->count; i++) {
        const struct sstable *t = c->set->tables[i];
        if (!t->is_damaged || !t->is_forgiven) continue;
        take_inputs(c, i, i + 1);
        c->is_major = false;
        c->sequence = t->sequence;
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
    uint64_t upper = size_of(c, 0, above);
    uint64_t base = size_of(c, above, c->set->count);
    bool is_major =
        c->is_wanted || (upper * BASE_SHARE >= base && sequence_count(c, above) >= MAJOR_LEAST);
    if (is_major && sound == c->set->count && above < MERGE_SOURCES_MAX) {
        take_inputs(c, 0, above);
        c->is_major = true;
        c->sequence = 0;
        return true;
    }
    if (above > sound) above = sound;
    if (sequence_count(c, above) < TABLES_MANY) return false;
    take_inputs(c, 0, minor_end(c, above));
    c->is_major = false;
    c->sequence = c->inputs[0]->sequence;
    return true;
}

bool compaction_is_behind(const struct compaction *c) {
    return above_base(c) >= TABLES_MAX;
}

static bool is_urgent(const struct compaction *c) {
    return c->is_wanted || sequence_count(c, above_base(c)) >= TABLES_URGENT;
}

// Ending.

static void over(struct compaction *c, enum status status) {
    c->state = COMPACTION_IDLE;
    c->status = status;
    if (status == ST_OK) {
        c->count++;
    } else if (status != ST_CANCELLED) {
        env_log(c->env, ENV_WARNING, "tables_not_merged from=%u until=%u status=\"%s\"", c->from,
                c->to, status_text(status));
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
    c->budget = is_urgent(c) ? 4 * STEP_SIZE : STEP_SIZE;
    uint64_t pause = is_urgent(c) ? 0 : STEP_NS;
    timer_arm(c->timers, &c->timer, c->env->now + pause);
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
    for (uint32_t i = 0; i < c->input_count; i++) manifest_trim(next, c->inputs[i]->number, c->to);
    if (c->base != NULL) manifest_trim(next, c->base->number, c->to);
    if (c->writer.state == WRITER_DONE) {
        const struct manifest_table made = {
            .number = c->writer.plan.number,
            .first = c->from,
            .last = c->to,
            .sequence = c->sequence,
        };
        manifest_add(next, &made);
    }
    c->manifest->context = c;
    manifest_save(c->manifest, on_saved);
}

static void trim_inputs(struct compaction *c) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->input_count; i++) {
        struct sstable *t = c->inputs[i];
        bool stays = t->last > c->to;
        sstable_set_trim(c->set, t, c->to);
        if (stays) c->inputs[kept++] = t;
    }
    c->input_count = kept;
    if (c->base != NULL) sstable_set_trim(c->set, c->base, c->to);
    c->base = NULL;
}

// The stretch is taken away from what went into it before the new table takes its place, so that
// tables never overlap.
static void on_saved(struct manifest_file *m) {
    struct compaction *c = m->context;
    if (m->status != ST_OK) {
        give_up(c, m->status);
        return;
    }
    trim_inputs(c);
    if (c->writer.state == WRITER_DONE) {
        c->written += c->writer.offset;
        sstable_writer_take(&c->writer, c->made);
        c->made->first = c->made->whole_first = c->from;
        c->made->last = c->to;
        sstable_set_add(c->set, c->made);
    } else {
        sstable_set_give(c->set, c->made);
    }
    c->made = NULL;
    if (c->input_count == 0) {
        over(c, ST_OK);
    } else if (c->is_stopping) {
        over(c, ST_CANCELLED);
    } else {
        c->from = c->to + 1;
        begin_stretch(c);
    }
}

// Merging.

static void on_finished(struct sstable_writer *w) {
    struct compaction *c = CONTAINER_OF(w, struct compaction, writer);
    c->read += c->merge.read_bytes;
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
    if (record.size == 0 && c->is_major) return; // nothing lies below
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
    c->to = c->end;
    if (!c->is_major) return;
    for (uint32_t i = above_base(c); i < c->set->count; i++) {
        struct sstable *t = c->set->tables[i];
        bool is_last = i + 1 == c->set->count;
        if (t->last < c->from) continue;
        c->base = t;
        if (t->first < c->from) c->from = t->first; // all of it goes into what is made
        if (!is_last || t->last > c->end) c->to = t->last;
        return;
    }
}

// Large stretches are cut into tables of about the size that they should have.
static void plan_split(struct compaction *c) {
    uint64_t size = c->base == NULL ? 0 : c->base->size;
    for (uint32_t i = 0; i < c->input_count; i++) {
        size += sstable_share(c->inputs[i], c->inputs[i]->size, c->from, c->to);
    }
    uint64_t pieces = size / c->table_size;
    // Above the base a merge makes one table: what counts there is how many there are.
    c->split_size = pieces < 2 || !c->is_major ? UINT64_MAX : size / pieces;
}

// About how many keys the stretch has.
static uint64_t count_keys(const struct compaction *c) {
    enum { SLACK = 1024 };
    uint64_t keys = c->base == NULL ? 0 : c->base->key_count;
    for (uint32_t i = 0; i < c->input_count; i++) {
        keys += sstable_share(c->inputs[i], c->inputs[i]->key_count, c->from, c->to);
    }
    return keys + keys / 8 + SLACK;
}

static void add_sources(struct compaction *c) {
    struct merge *m = &c->merge;
    merge_begin(m, c->to);
    for (uint32_t i = 0; i < c->input_count && m->status == ST_OK; i++) {
        if (c->inputs[i]->first <= c->to) m->status = merge_add(m, c->inputs[i]);
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
        give_up(c, c->made == NULL ? ST_NO_SPACE : c->merge.status);
        return;
    }
    merge_seek(&c->merge, partition_of_number(c->from), (struct slice){NULL, 0}, false);
    const struct sstable_plan plan = {
        .number = manifest_take_numbers(c->manifest, 1),
        .storage = c->storage,
        .sequence = c->sequence,
        .hash_seed = c->hash_seed,
        .key_count = count_keys(c),
        .block_size = c->block_size,
        .codec = c->codec,
    };
    c->state = COMPACTION_WRITER;
    sstable_writer_open(&c->writer, &plan, on_writer);
}

void compaction_start_if_due(struct compaction *c) {
    if (c->state != COMPACTION_IDLE || c->is_stopping || c->manifest->is_uncertain) return;
    bool is_chosen = choose(c);
    if (!is_chosen || c->is_major) c->is_wanted = false; // there is no more to it than that
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
