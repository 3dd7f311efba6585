// SPDX-License-Identifier: Apache-2.0
#include "node/hints.h"

#include "node/genesis.h"
#include "node/internal.h"
#include "node/purge_answer.h"

// One that the store has not finished with, in a buffer of the node.
struct hint_job {
    struct node *node;
    struct link *from; // NULL: nobody waits
    uint64_t from_life;
    uint64_t id;
    uint64_t held;
    uint64_t until; // ns: then nobody waits for it any more
    enum hint_kind kind;
    struct hint hint;
    uint8_t hint_key[HINT_KEY_SIZE];
    struct store_write write;
    struct hints_look look;
    uint8_t bytes[]; // key, then record
};

static struct hint_job *take_job(struct node *node, struct link *from, uint64_t id,
                                 const struct hint *hint) {
    struct hint_job *job =
        (void *)buffer_take(node, sizeof(*job) + hint->key.size + hint->record.size);
    if (job == NULL) return NULL;
    memset(job, 0, sizeof(*job));
    job->node = node;
    job->from = from;
    job->from_life = from == NULL ? 0 : from->life;
    job->id = id;
    job->until = UINT64_MAX;
    job->hint = *hint;
    (void)buffer_keep(buffer_keep(job->bytes, &job->hint.key), &job->hint.record);
    node->hints_busy++;
    return job;
}

static void give_job(struct hint_job *job) {
    job->node->hints_busy--;
    buffer_give(job->node, (uint8_t *)job);
}

// The link the question came on, if it is still that connection.
static struct link *link_of(const struct hint_job *job) {
    struct link *link = job->from;
    return link != NULL && link->life == job->from_life && link_is_open(link) ? link : NULL;
}

bool hints_have_room(const struct node *node, uint64_t size) {
    if (store_stats(node->store).is_full) return false;
    size += HINT_KEY_SIZE + HINT_HEAD_SIZE;
    return node_hints(node).size + size <= node->options.hints_max;
}

bool hints_have_minted(const struct node *node) {
    struct store_partition minted = store_partition_of(node->store, hints_partition(HINT_MINTED));
    return minted.key_count > 0 || node->minted_busy > 0;
}

bool hints_have_copies(const struct node *node) {
    return store_partition_of(node->store, hints_partition(HINT_COPY)).key_count > 0;
}

bool hints_is_void(const struct node *node, const struct hint *hint) {
    return hint->round < purge_cleared(node, slot_of(hint->key));
}

static bool is_void(const struct node *node, enum hint_kind kind, const struct hint *hint) {
    return kind == HINT_MINTED && hints_is_void(node, hint);
}

// Of a copy that is kept already it is said when it is handed off; of one that comes it is said
// now, so that its sender looks for what there is by then.
static bool comes_too_late(const struct node *node, const struct hint *hint) {
    return hint->record.size > 0 && hints_is_void(node, hint);
}

// Keeping.

// Both are there: what is kept is what both say, as of the earlier of their rounds.
static enum status merge(struct hint_job *job, const struct hint *held, struct slice *new) {
    struct node *node = job->node;
    struct record *known = &node->records[0];
    struct record *told = &node->records[1];
    struct record *merged = &node->records[2];
    enum status st = record_decode(known, held->record);
    if (st == ST_OK) st = record_decode(told, job->hint.record);
    if (st == ST_OK) st = record_merge(known, told, merged, NULL);
    if (st != ST_OK) return st;
    uint32_t round = held->round < job->hint.round ? held->round : job->hint.round;
    struct writer w = writer_to(node->scratch, node->scratch_size);
    hint_encode_head(round, job->hint.key, record_encoded_size(merged), &w);
    record_encode(merged, &w);
    *new = writer_bytes(&w);
    return w.failed ? ST_TOO_LARGE : ST_OK;
}

static enum status keep(struct store_write *write, struct slice old, struct slice *new) {
    struct hint_job *job = CONTAINER_OF(write, struct hint_job, write);
    struct node *node = job->node;
    struct hint held = {0};
    *new = old;
    if (node_is_too_late(node, job->until)) return ST_BUSY;
    if (comes_too_late(node, &job->hint)) return ST_FENCED;
    if (old.size > 0) {
        enum status st = hint_decode(&held, old);
        if (st != ST_OK) return st;
        if (!slice_equal(held.key, job->hint.key)) return ST_BUSY; // of the same hash
        if (job->hint.record.size == 0) return ST_OK;
        if (is_void(node, job->kind, &held)) held.record = (struct slice){0};
    }
    if (job->hint.record.size > 0) {
        struct record *told = &node->records[1];
        enum status st = record_decode(told, job->hint.record);
        if (st != ST_OK) return st;
        // It comes by another way than what this member holds as a replica, and shows as much.
        if (genesis_has_forgotten(node, &told->context) && node->forgotten == 0) return ST_INVALID;
    }
    if (held.record.size > 0) return merge(job, &held, new);
    struct writer w = writer_to(node->scratch, node->scratch_size);
    hint_encode(&job->hint, &w);
    *new = writer_bytes(&w);
    return w.failed ? ST_TOO_LARGE : ST_OK;
}

static void answer(struct link *link, uint64_t id, enum status status, uint32_t round) {
    const struct message_hint_done done = {.id = id, .status = status, .round = round};
    struct writer w = link_begin(link, 64);
    message_hint_done_encode(&done, &w);
    (void)link_end(link, MESSAGE_HINT_DONE, &w);
}

static void on_kept(struct store_write *write) {
    struct hint_job *job = CONTAINER_OF(write, struct hint_job, write);
    struct link *link = link_of(job);
    job->node->minted_busy -= job->kind == HINT_MINTED;
    genesis_renew_if_forgotten(job->node);
    if (write->status == ST_OK) job->node->stats.hints_kept++;
    // What a mending member forgot, its word cannot vouch for.
    enum status st = node_has_vote(job->node) ? write->status : ST_UNAVAILABLE;
    uint32_t round = purge_fence(job->node, slot_of(job->hint.key))->cleared; // durable
    if (link != NULL) answer(link, job->id, st, round);
    give_job(job);
}

static void begin(struct hint_job *job, uint32_t target, uint16_t keyspace) {
    hint_key_write(job->hint_key, (uint16_t)target, keyspace, job->hint.key);
    job->write = (struct store_write){
        .apply = keep,
        .done = on_kept,
        .partition = hints_partition(job->kind),
        .key = {job->hint_key, HINT_KEY_SIZE},
        .is_asked_for = link_of(job) != NULL,
    };
    job->node->minted_busy += job->kind == HINT_MINTED;
    store_put(job->node->store, &job->write);
}

void hints_note(struct node *node, uint32_t target, struct partition partition, struct slice key) {
    const struct hint hint = {.key = key};
    if (!hints_have_room(node, key.size)) return;
    struct hint_job *job = take_job(node, NULL, 0, &hint);
    if (job != NULL) begin(job, target, partition.keyspace);
}

// Whether this member may stand in for that one: it has a copy of the key, and this one has none.
static bool is_fit(const struct node *node, struct slice key, uint16_t keyspace, uint16_t slot,
                   uint16_t target) {
    if (node->state != NODE_SERVING || key.size == 0 || slot != slot_of(key)) return false;
    if (!node_is_current(node, key, keyspace) || target >= node->map.member_count) return false;
    const struct map_run *run = map_run_of(&node->map, slot);
    uint32_t copies = map_copies(map_keyspace_of(&node->map, key), run);
    return map_place_in(run, target) < copies && map_place_in(run, node->self) >= copies;
}

static enum status refusal(const struct node *node, const struct message_hint *m) {
    bool fits = is_fit(node, m->key, m->keyspace, m->slot, m->target) && m->record.size > 0 &&
                m->record.size <= node->record_max;
    if (!fits || !fence_believes(purge_fence(node, m->slot), m->round)) return ST_INVALID;
    if (!node_has_vote(node)) return ST_UNAVAILABLE;
    return hints_have_room(node, m->key.size + m->record.size) ? ST_OK : ST_NO_SPACE;
}

void hints_on_hint(struct node *node, struct link *link, const struct message_hint *m) {
    const struct hint hint = {m->round, m->key, m->record};
    enum status st = refusal(node, m);
    struct hint_job *job = st == ST_OK ? take_job(node, link, m->id, &hint) : NULL;
    if (job != NULL) {
        job->kind = m->is_minted ? HINT_MINTED : HINT_COPY;
        job->until = link_until(link, m->left_ms);
        begin(job, m->target, m->keyspace);
        return;
    }
    node->stats.hints_refused++;
    answer(link, m->id, st == ST_OK ? ST_BUSY : st, 0);
}

// Minting.

enum status hints_unwrap(struct node *node, struct slice key, struct slice value,
                         struct hint *held) {
    struct hint hint = {0};
    *held = hint;
    uint16_t slot = slot_of(key);
    if (purge_round(node, slot) < purge_cleared(node, slot))
        return ST_BUSY; // about to agree, or mending
    if (value.size == 0) return ST_OK;
    enum status st = hint_decode(&hint, value);
    if (st != ST_OK) return st;
    if (!slice_equal(hint.key, key)) return ST_BUSY; // of the same hash
    if (!hints_is_void(node, &hint)) *held = hint;
    return ST_OK;
}

enum status hints_wrap(struct node *node, uint32_t round, struct slice key, struct slice record,
                       struct slice *value) {
    const struct hint hint = {.round = round, .key = key, .record = record};
    struct writer w = writer_to(node->scratch, node->scratch_size);
    hint_encode(&hint, &w);
    *value = writer_bytes(&w);
    return w.failed ? ST_TOO_LARGE : ST_OK;
}

// Giving.

// Keeps what was found, joined with what was found before.
static enum status join(struct hints_look *look, struct slice record) {
    struct node *node = look->node;
    if (look->held != NULL) {
        struct record *known = &node->records[0];
        struct record *told = &node->records[1];
        struct record *joined = &node->records[2];
        enum status st = record_decode(known, look->record);
        if (st == ST_OK) st = record_decode(told, record);
        if (st == ST_OK) st = record_merge(known, told, joined, NULL);
        if (st != ST_OK) return st;
        struct writer w = writer_to(node->scratch, node->record_max);
        record_encode(joined, &w);
        if (w.failed) return ST_TOO_LARGE;
        record = writer_bytes(&w);
    }
    uint8_t *bytes = buffer_take(node, record.size);
    if (bytes == NULL) return ST_BUSY;
    memcpy(bytes, record.data, record.size);
    hints_end_look(look);
    look->held = bytes;
    look->record = (struct slice){bytes, record.size};
    return ST_OK;
}

static enum hint_kind kind_of(const struct hints_look *look) {
    return (enum hint_kind)(look->step % HINT_KINDS);
}

static enum status take_found(struct hints_look *look) {
    struct node *node = look->node;
    struct hint hint = {0};
    if (look->read.status == ST_NOT_FOUND) return ST_OK;
    if (look->read.status != ST_OK) return look->read.status;
    enum status st = hint_decode(&hint, look->read.record);
    if (st != ST_OK) return st;
    enum hint_kind kind = kind_of(look);
    bool is_it = slice_equal(hint.key, look->key) && hint.record.size > 0;
    if (!is_it || is_void(node, kind, &hint)) return ST_OK;
    uint32_t round = kind == HINT_MINTED ? purge_round(node, slot_of(look->key)) : hint.round;
    if (round < look->round) look->round = round;
    return join(look, hint.record);
}

static void on_found(struct store_read *read);

// True when it is through.
static bool look_on(struct hints_look *look) {
    const struct map *map = &look->node->map;
    const struct map_run *run = map_run_of(map, slot_of(look->key));
    uint32_t steps = HINT_KINDS * map_copies(map_keyspace_of(map, look->key), run);
    while (look->status == ST_OK && look->step < steps) {
        uint16_t target = run->replicas[look->step / HINT_KINDS].member;
        hint_key_write(look->hint_key, target, look->keyspace, look->key);
        look->read = (struct store_read){.done = on_found, .is_asked_for = true};
        look->read.partition = hints_partition(kind_of(look));
        look->read.key = (struct slice){look->hint_key, HINT_KEY_SIZE};
        if (!store_get(look->node->store, &look->read)) return false;
        look->status = take_found(look);
        look->step++;
    }
    if (look->status == ST_OK && look->held == NULL) look->status = ST_NOT_FOUND;
    return true;
}

static void on_found(struct store_read *read) {
    struct hints_look *look = CONTAINER_OF(read, struct hints_look, read);
    look->status = take_found(look);
    look->step++;
    if (look_on(look)) look->done(look);
}

bool hints_look(struct node *node, struct hints_look *look) {
    look->node = node;
    look->step = 0;
    look->held = NULL;
    look->status = ST_OK;
    look->record = (struct slice){0};
    look->round = UINT32_MAX;
    return look_on(look);
}

void hints_end_look(struct hints_look *look) {
    if (look->held != NULL) buffer_give(look->node, look->held);
    look->held = NULL;
}

static void answer_get(struct hint_job *job) {
    struct link *link = link_of(job);
    struct store_read read = {.status = job->look.status, .record = job->look.record};
    if (!node_has_vote(job->node)) read.status = ST_UNAVAILABLE;
    uint32_t round = read.status == ST_OK ? job->look.round : 0;
    const struct message_get m = {.id = job->id, .held = job->held};
    if (link != NULL) replica_answer_get(link, &m, round, &read);
    hints_end_look(&job->look);
    give_job(job);
}

static void on_looked(struct hints_look *look) {
    answer_get(CONTAINER_OF(look, struct hint_job, look));
}

void hints_on_get(struct node *node, struct link *link, const struct message_get *m) {
    bool fits = is_fit(node, m->key, m->keyspace, m->slot, m->target) && node_has_vote(node);
    struct hint_job *job = NULL;
    if (fits) job = take_job(node, link, m->id, &(struct hint){.key = m->key});
    if (job == NULL) {
        struct store_read read = {.status = ST_UNAVAILABLE};
        replica_answer_get(link, m, 0, &read);
        return;
    }
    job->held = m->held;
    job->look.done = on_looked;
    job->look.keyspace = m->keyspace;
    job->look.key = job->hint.key;
    if (hints_look(node, &job->look)) answer_get(job);
}
