// SPDX-License-Identifier: Apache-2.0
#include "node/replica.h"

#include "node/genesis.h"
#include "node/hints.h"
#include "node/internal.h"
#include "node/peers.h"
#include "node/purge_answer.h"

size_t replica_memory_size(uint32_t capacity) {
    return capacity * sizeof(struct replica_job) + 64;
}

void replica_init(struct node *node, struct arena *arena, uint32_t capacity) {
    struct replica *replica = &node->replica;
    replica->jobs = ARENA_ARRAY(arena, struct replica_job, capacity);
    replica->capacity = capacity;
    list_init(&replica->free);
    for (uint32_t i = 0; i < capacity; i++) {
        replica->jobs[i].node = node;
        list_init(&replica->jobs[i].link);
        list_append(&replica->free, &replica->jobs[i].link);
    }
}

static struct replica_job *take_job(struct node *node, struct link *from, uint64_t id) {
    struct replica *replica = &node->replica;
    if (list_is_empty(&replica->free)) return NULL;
    struct replica_job *job = CONTAINER_OF(replica->free.prev, struct replica_job, link);
    list_remove(&job->link);
    replica->busy_count++;
    job->from = from;
    job->from_life = from == NULL ? 0 : from->life;
    job->id = id;
    job->until = UINT64_MAX;
    job->flags = 0;
    job->bytes = NULL;
    job->context = NULL;
    job->context_size = 0;
    job->timestamp = 0;
    job->merged = NULL;
    return job;
}

static void give_job(struct replica_job *job) {
    struct node *node = job->node;
    if (job->bytes != NULL) buffer_give(node, job->bytes);
    if (job->context != NULL) buffer_give(node, job->context);
    list_append(&node->replica.free, &job->link);
    node->replica.busy_count--;
}

// The link the question came on, if it is still that connection.
static struct link *link_of(const struct replica_job *job) {
    struct link *link = job->from;
    return link != NULL && link->life == job->from_life && link_is_open(link) ? link : NULL;
}

// Putting.

static void send_put_done(struct link *link, const struct message_put_done *done) {
    if (done->id == 0) return;
    struct writer w = link_begin(link, 64 + (uint32_t)done->context.size);
    message_put_done_encode(done, &w);
    (void)link_end(link, MESSAGE_PUT_DONE, &w);
}

static void refuse_put(struct link *link, uint64_t id, enum status status) {
    const struct message_put_done done = {.id = id, .status = status};
    send_put_done(link, &done);
}

// Keeps what was known here outside the record's context. False when memory is out.
static bool note_context(struct replica_job *job, const struct record *held,
                         const struct context *told) {
    const struct context *known = &held->context;
    if ((job->flags & PUT_WANTS_CONTEXT) == 0 || context_descends(told, known)) return true;
    size_t size = context_encoded_size(known);
    job->context = buffer_take(job->node, size);
    if (job->context == NULL) return false;
    struct writer w = writer_to(job->context, size);
    context_encode(known, &w);
    must(!w.failed);
    job->context_size = (uint32_t)size;
    const struct sibling *latest = record_latest(held);
    job->timestamp = latest == NULL ? 0 : latest->timestamp;
    return true;
}

// Two processes have minted under one name. Both values are kept; somebody has to end one of them.
static void note_conflict(struct node *node, const struct store_write *write) {
    node->stats.dot_conflicts++;
    if (!log_is_due(node, &node->conflict_logged)) return;
    env_log(
        node->env, ENV_ERROR,
        "one dot has different contents, all are kept: a data directory was copied, or replaced by "
        "an older copy slot=%u key_hash=%016llx times=%llu",
        write->partition.slot, (unsigned long long)hash_bytes(write->key, 0),
        (unsigned long long)node->stats.dot_conflicts);
}

// Whether the partition that a record is for is where the key is written to now, or one where
// something of it may be left. Tombstones may be where a key was before its keyspace came: replicas
// are equal there, too. So may values, while it comes or goes and keys are found to stand in the
// way: a member that mends takes them when it compares.
static bool may_be_here(const struct replica_job *job, const struct record *told) {
    const struct node *node = job->node;
    uint16_t keyspace = job->write.partition.keyspace;
    if (node_is_current(node, job->write.key, keyspace)) return true;
    if (keyspace_find_number(node->map.keyspaces, keyspace) == KEYSPACES_MAX) return false;
    return !record_has_value(told) || (node->is_mending && job->from == NULL);
}

static enum status merge(struct store_write *write, struct slice old, struct slice *new) {
    struct replica_job *job = CONTAINER_OF(write, struct replica_job, write);
    struct node *node = job->node;
    struct record *known = &node->records[0];
    struct record *told = &node->records[1];
    struct record *merged = &node->records[2];
    *new = old;
    if (slice_equal(old, job->record)) return ST_OK;
    if (node_is_too_late(node, job->until)) return ST_BUSY;
    enum status st = record_decode(told, job->record);
    if (st == ST_OK && job->record.size > 0 && !may_be_here(job, told)) return ST_INVALID;
    if (st == ST_OK) st = record_decode(known, old);
    if (st != ST_OK) return st;
    const struct fence *fence = purge_fence(node, write->partition.slot);
    // Who mends takes what it can get, once it has given way to those who remember.
    bool takes_all = node->is_mending && !fence->is_behind && !job->is_in_doubt;
    if (!takes_all && !fence_admits(fence, job->round, told, &known->context)) return ST_FENCED;
    // All that comes into this store comes this way: after what knows better nothing is minted.
    // What cannot be is not taken, or no later epoch could follow.
    if (genesis_has_forgotten(node, &told->context) && node->forgotten == 0) return ST_INVALID;
    bool is_trusted = job->round > 0 && !job->is_kept;
    if (old.size == 0 || (is_trusted && fence_yields(fence, known, told))) {
        expiry_note(node, write->partition, told);
        *new = job->record;
        return ST_OK;
    }
    if (job->record.size == 0) return ST_OK;
    bool conflict = false;
    st = record_merge(known, told, merged, &conflict);
    if (st != ST_OK) return st;
    if (conflict) note_conflict(node, write);
    if (!note_context(job, known, &told->context)) return ST_BUSY;
    struct writer w = writer_to(node->scratch, node->record_max);
    record_encode(merged, &w);
    if (w.failed) return ST_TOO_LARGE;
    expiry_note(node, write->partition, merged);
    if (!slice_equal(writer_bytes(&w), old)) *new = writer_bytes(&w);
    return ST_OK;
}

static void on_merged(struct store_write *write) {
    struct replica_job *job = CONTAINER_OF(write, struct replica_job, write);
    struct link *link = link_of(job);
    genesis_renew_if_forgotten(job->node);
    if (link != NULL) {
        // What a mending member forgot, its word cannot vouch for.
        enum status st = node_has_vote(job->node) ? write->status : ST_UNAVAILABLE;
        const struct message_put_done done = {
            .id = job->id,
            .status = st,
            .round = purge_round(job->node, write->partition.slot),
            .timestamp = job->timestamp,
            .context = {job->context, job->context_size},
        };
        send_put_done(link, &done);
    }
    if (job->merged != NULL) job->merged(job);
    give_job(job);
}

// Whether somebody waits for what was sent: not so for what is repaired or handed off.
static bool is_asked_for(const struct replica_job *job) {
    return job->id != 0 && (job->id & MESSAGE_ID_HANDOFF) == 0;
}

static enum status begin_merge(struct replica_job *job, const struct told *told) {
    struct node *node = job->node;
    job->bytes = buffer_take(node, told->key.size + told->record.size);
    if (job->bytes == NULL) return ST_BUSY;
    job->write = (struct store_write){
        .apply = merge,
        .done = on_merged,
        .partition = told->partition,
        .key = told->key,
        .is_asked_for = is_asked_for(job),
    };
    job->record = told->record;
    (void)buffer_keep(buffer_keep(job->bytes, &job->write.key), &job->record);
    job->round = told->round;
    job->is_in_doubt = told->is_in_doubt;
    job->is_kept = told->is_kept;
    store_put(node->store, &job->write);
    genesis_renew_if_forgotten(node); // so that it becomes durable with what has shown it
    return ST_OK;
}

static bool is_fit(const struct node *node, struct slice key, uint16_t keyspace, uint16_t slot) {
    if (node->state != NODE_SERVING || key.size == 0 || key.size > KEY_SIZE_MAX) return false;
    return slot == slot_of(key) &&
           keyspace_find_number(node->map.keyspaces, keyspace) < KEYSPACES_MAX;
}

void replica_on_put(struct node *node, struct link *link, const struct message_put *m) {
    bool fits = is_fit(node, m->key, m->keyspace, m->slot) && m->record.size > 0 &&
                m->record.size <= node->record_max;
    uint64_t until = link_until(link, m->left_ms);
    bool is_taken = fits && !node_is_too_late(node, until);
    struct replica_job *job = is_taken ? take_job(node, link, m->id) : NULL;
    if (job == NULL) {
        refuse_put(link, m->id, fits ? ST_BUSY : ST_INVALID);
        return;
    }
    job->until = until;
    job->flags = m->flags;
    const struct told told = {{m->keyspace, m->slot}, m->key, m->record, m->round, false, false};
    enum status st = begin_merge(job, &told);
    if (st == ST_OK) return;
    refuse_put(link, m->id, st);
    give_job(job);
}

bool replica_merge(struct node *node, const struct told *told,
                   void (*merged)(struct replica_job *job), uint64_t id) {
    struct replica_job *job = take_job(node, NULL, 0);
    if (job == NULL) return false;
    job->merged = merged;
    job->merged_id = id;
    if (begin_merge(job, told) == ST_OK) return true;
    give_job(job);
    return false;
}

// Getting.

void replica_answer_get(struct link *link, const struct message_get *m, uint32_t round,
                        const struct store_read *read) {
    struct message_get_done done = {.id = m->id, .status = read->status, .round = round};
    if (read->status == ST_OK) {
        bool is_hash = m->wants_hash && read->record.size > link->node->options.hash_above;
        uint64_t hash = is_hash || m->held != 0 ? hash_held(read->record) : 0;
        done.is_same = m->held != 0 && m->held == hash;
        if (is_hash && !done.is_same) done.hash = hash;
        if (!is_hash && !done.is_same) done.record = read->record;
    }
    struct writer w = link_begin(link, 64 + (uint32_t)done.record.size);
    message_get_done_encode(&done, &w);
    (void)link_end(link, MESSAGE_GET_DONE, &w);
}

static void on_read(struct store_read *read) {
    struct replica_job *job = CONTAINER_OF(read, struct replica_job, read);
    struct link *link = link_of(job);
    if (!node_has_vote(job->node))
        read->status = ST_UNAVAILABLE; // what is damaged is not just absent
    const struct message_get m = {.id = job->id, .held = job->held, .wants_hash = job->wants_hash};
    if (link != NULL) replica_answer_get(link, &m, job->round, read);
    give_job(job);
}

// Most answers are at hand; only for the others is anything kept.
void replica_on_get(struct node *node, struct link *link, const struct message_get *m) {
    struct store_read read = {
        .done = on_read,
        .partition = {m->keyspace, m->slot},
        .key = m->key,
        .is_asked_for = true,
        .status = ST_UNAVAILABLE,
    };
    uint32_t round = m->slot < SLOT_COUNT ? purge_round(node, m->slot) : 0;
    if (node_is_too_late(node, link_until(link, m->left_ms)) || !node_admits_peer(node)) {
        read.status = ST_BUSY;
        replica_answer_get(link, m, round, &read);
        return;
    }
    if (m->target != MESSAGE_NO_MEMBER) {
        hints_on_get(node, link, m);
        return;
    }
    bool fits = is_fit(node, m->key, m->keyspace, m->slot) && node_has_vote(node) &&
                node_is_current(node, m->key, m->keyspace);
    if (!fits || store_peek(node->store, &read) != ST_BUSY) {
        replica_answer_get(link, m, round, &read);
        return;
    }
    struct replica_job *job = take_job(node, link, m->id);
    if (job == NULL) {
        read.status = ST_UNAVAILABLE;
        replica_answer_get(link, m, round, &read);
        return;
    }
    job->held = m->held;
    job->wants_hash = m->wants_hash;
    job->round = round;
    job->bytes = buffer_take(node, m->key.size);
    if (job->bytes == NULL) {
        read.status = ST_BUSY;
        replica_answer_get(link, m, round, &read);
        give_job(job);
        return;
    }
    memcpy(job->bytes, m->key.data, m->key.size);
    job->read = read;
    job->read.key.data = job->bytes;
    if (!store_get(node->store, &job->read)) return;
    replica_answer_get(link, m, round, &job->read);
    give_job(job);
}

// Offering.

static void end_offer(struct replica_job *job) {
    struct link *link = link_of(job);
    job->write.status = job->read.status;
    if (job->read.status == ST_OK) {
        const struct message_put put = {
            .keyspace = job->read.partition.keyspace,
            .slot = job->read.partition.slot,
            .round = job->round,
            .key = job->read.key,
            .record = job->read.record,
        };
        struct writer w = {.failed = true};
        if (link != NULL) {
            w = link_begin(link, 64 + (uint32_t)(put.key.size + put.record.size));
            message_put_encode(&put, &w);
        }
        if (w.failed || !link_end(link, MESSAGE_PUT, &w)) job->write.status = ST_UNAVAILABLE;
    }
    if (job->merged != NULL) job->merged(job);
    give_job(job);
}

static void on_offer_read(struct store_read *read) {
    end_offer(CONTAINER_OF(read, struct replica_job, read));
}

bool replica_offer(struct node *node, struct link *link, struct partition partition,
                   struct slice key, void (*offered)(struct replica_job *job)) {
    struct replica_job *job = take_job(node, link, 0);
    if (job == NULL) return false;
    job->bytes = buffer_take(node, key.size);
    if (job->bytes == NULL) {
        give_job(job);
        return false;
    }
    memcpy(job->bytes, key.data, key.size);
    job->merged = offered;
    job->round = purge_round(node, partition.slot);
    job->read = (struct store_read){.done = on_offer_read, .partition = partition};
    job->read.key = (struct slice){job->bytes, key.size};
    if (store_get(node->store, &job->read)) end_offer(job);
    return true;
}
