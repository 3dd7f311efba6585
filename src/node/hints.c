// SPDX-License-Identifier: Apache-2.0
#include "node/hints.h"

#include "node/genesis.h"
#include "node/internal.h"

// One that the store has not finished with, in a buffer of the node.
struct hint_job {
    struct node *node;
    struct link *from; // NULL: nobody waits
    uint64_t from_life;
    uint64_t id;
    uint64_t held;
    struct hint hint;
    uint8_t hint_key[HINT_KEY_SIZE];
    struct store_write write;
    struct store_read read;
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

static bool has_room(const struct node *node, const struct hint *hint) {
    uint64_t size = store_partition_of(node->store, hints_partition).size;
    if (store_stats(node->store).is_full) return false;
    return size + HINT_KEY_SIZE + HINT_HEAD_SIZE + hint->key.size + hint->record.size <=
           node->options.hints_max;
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
    if (old.size > 0) {
        enum status st = hint_decode(&held, old);
        if (st != ST_OK) return st;
        if (!slice_equal(held.key, job->hint.key)) return ST_BUSY; // of the same hash
        if (job->hint.record.size == 0) return ST_OK;
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

static void answer(struct link *link, uint64_t id, enum status status) {
    const struct message_hint_done done = {.id = id, .status = status};
    struct writer w = link_begin(link, 64);
    message_hint_done_encode(&done, &w);
    (void)link_end(link, MESSAGE_HINT_DONE, &w);
}

static void on_kept(struct store_write *write) {
    struct hint_job *job = CONTAINER_OF(write, struct hint_job, write);
    struct link *link = link_of(job);
    genesis_renew_if_forgotten(job->node);
    if (write->status == ST_OK) job->node->stats.hints_kept++;
    // What a mending member forgot, its word cannot vouch for.
    enum status st = node_has_vote(job->node) ? write->status : ST_UNAVAILABLE;
    if (link != NULL) answer(link, job->id, st);
    give_job(job);
}

static void begin(struct hint_job *job, uint32_t target, uint16_t keyspace) {
    hint_key_write(job->hint_key, (uint16_t)target, keyspace, job->hint.key);
    job->write = (struct store_write){
        .apply = keep,
        .done = on_kept,
        .partition = hints_partition,
        .key = {job->hint_key, HINT_KEY_SIZE},
    };
    store_put(job->node->store, &job->write);
}

void hints_note(struct node *node, uint32_t target, struct partition partition, struct slice key) {
    const struct hint hint = {.key = key};
    if (!has_room(node, &hint)) return;
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

static enum status refusal(const struct node *node, const struct message_hint *m,
                           const struct hint *hint) {
    bool fits = is_fit(node, m->key, m->keyspace, m->slot, m->target) && m->record.size > 0 &&
                m->record.size <= node->record_max;
    if (!fits) return ST_INVALID;
    if (!node_has_vote(node)) return ST_UNAVAILABLE;
    return has_room(node, hint) ? ST_OK : ST_NO_SPACE;
}

void hints_on_hint(struct node *node, struct link *link, const struct message_hint *m) {
    const struct hint hint = {m->round, m->key, m->record};
    enum status st = refusal(node, m, &hint);
    struct hint_job *job = st == ST_OK ? take_job(node, link, m->id, &hint) : NULL;
    if (job != NULL) {
        begin(job, m->target, m->keyspace);
        return;
    }
    node->stats.hints_refused++;
    answer(link, m->id, st == ST_OK ? ST_BUSY : st);
}

// Giving.

void hints_aim(struct store_read *read, uint8_t *hint_key, uint16_t target, uint16_t keyspace,
               struct slice key) {
    hint_key_write(hint_key, target, keyspace, key);
    read->partition = hints_partition;
    read->key = (struct slice){hint_key, HINT_KEY_SIZE};
}

uint32_t hints_open(struct store_read *read, struct slice key) {
    struct hint hint = {0};
    struct slice value = read->record;
    read->record = (struct slice){0};
    if (read->status != ST_OK) return 0;
    read->status = hint_decode(&hint, value);
    if (read->status != ST_OK) return 0;
    bool is_it = slice_equal(hint.key, key) && hint.record.size > 0;
    if (is_it) {
        read->record = hint.record;
    } else {
        read->status = ST_NOT_FOUND;
    }
    return hint.round;
}

static void give(struct link *link, const struct message_get *m, struct store_read *read) {
    uint32_t round = hints_open(read, m->key);
    replica_answer_get(link, m->id, m->held, round, read);
}

static void on_read(struct store_read *read) {
    struct hint_job *job = CONTAINER_OF(read, struct hint_job, read);
    struct link *link = link_of(job);
    if (!node_has_vote(job->node)) read->status = ST_UNAVAILABLE;
    const struct message_get m = {.id = job->id, .held = job->held, .key = job->hint.key};
    if (link != NULL) give(link, &m, read);
    give_job(job);
}

void hints_on_get(struct node *node, struct link *link, const struct message_get *m) {
    struct store_read read = {.status = ST_UNAVAILABLE};
    bool fits = is_fit(node, m->key, m->keyspace, m->slot, m->target) && node_has_vote(node);
    struct hint_job *job = NULL;
    if (fits) job = take_job(node, link, m->id, &(struct hint){.key = m->key});
    if (job == NULL) {
        give(link, m, &read);
        return;
    }
    job->held = m->held;
    job->read.done = on_read;
    hints_aim(&job->read, job->hint_key, m->target, m->keyspace, job->hint.key);
    if (store_get(node->store, &job->read)) on_read(&job->read);
}
