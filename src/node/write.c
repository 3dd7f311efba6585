// SPDX-License-Identifier: Apache-2.0
#include "node/write.h"

#include "node/forward.h"
#include "node/genesis.h"
#include "node/hints.h"
#include "node/internal.h"
#include "node/peers.h"
#include "node/purge_answer.h"
#include "node/stand_in.h"

static void store_round(struct operation *o);
static void decide(struct operation *o);

#define WALL_MS_MAX (UINT64_MAX >> 16)

// Timestamps never repeat on a node and follow the wall clock where it lets them. A write's is
// above those that it supersedes, whatever the clocks say: EXPIRE writes an old value again with
// the old time, and that must not hide a SET it did not know of. The node's own clock is left as it
// is: one key with a time far ahead makes no other key's wrong.
static uint64_t next_timestamp(struct node *node, uint64_t superseded) {
    uint64_t wall_ms = node->env->wall_ms;
    uint64_t now = (wall_ms < WALL_MS_MAX ? wall_ms : WALL_MS_MAX) << 16;
    node->hlc = now > node->hlc ? now : node->hlc + 1;
    if (node->hlc > superseded) return node->hlc;
    return superseded < UINT64_MAX ? superseded + 1 : superseded;
}

// The highest of the siblings that are superseded: here, where the client or the first round met
// them, and by tombstones that were purged. What a client says of them is in a token, so a member
// said it: it makes this key's time as late as the value's own would where that is held.
static uint64_t superseded_timestamp(const struct operation *o, const struct record *before,
                                     const struct context *seen) {
    uint64_t highest = purge_fence(o->node, o->partition.slot)->floor;
    if (o->extra_timestamp > highest) highest = o->extra_timestamp;
    for (uint32_t i = 0; i < before->sibling_count; i++) {
        const struct sibling *s = &before->siblings[i];
        if (s->timestamp > highest && context_covers(seen, s->dot)) highest = s->timestamp;
    }
    return highest;
}

// Replicas whose word can be had now.
static uint32_t voter_count(const struct operation *o) {
    const struct node *node = o->node;
    uint32_t count = 0;
    for (uint32_t i = 0; i < o->replica_count; i++) {
        uint32_t member = o->replicas[i];
        bool is_mending = node->members.entries[member].state == MEMBER_MENDING;
        count += member == node->self || (peer_is_up(node, member) && !is_mending);
    }
    return count;
}

// What the write supersedes: a plain one all that is known here and all that its first round met
// elsewhere; the others what their client had seen.
static enum status superseded(struct operation *o, const struct record *before,
                              struct context *seen) {
    context_clear(seen);
    struct slice encoded =
        o->kind == REQUEST_WRITE ? o->seen : (struct slice){o->extra, o->extra_size};
    if (encoded.size > 0) {
        struct reader r = reader_of(encoded);
        context_decode(seen, &r);
        if (!reader_done(&r)) return ST_CORRUPT;
    }
    return o->kind == REQUEST_REPLACE ? context_join(seen, &before->context) : ST_OK;
}

// Whether what this member has minted is within its share of a record, so that it will merge with
// whatever the other replicas mint meanwhile. Bytes: node.c makes room for a largest value of each.
// A member that lost its disk mints under another name and has a second share.
static bool is_within_share(const struct operation *o, const struct record *after, uint64_t self) {
    struct record_share share = record_share_of(after, self);
    if (share.sibling_count <= 1) return true;
    return share.sibling_count <= SIBLINGS_MAX / o->replica_count &&
           share.values_size <= o->node->options.value_size_max;
}

// A client that never hands a context back comes to the limit sooner or later.
static void note_siblings(const struct operation *o, uint32_t count) {
    struct node *node = o->node;
    if (count > node->stats.siblings_most) node->stats.siblings_most = count;
    if (count < SIBLINGS_MANY) return;
    node->stats.sibling_writes++;
    if (!log_is_due(node, &node->siblings_logged)) return;
    env_log(
        node->env, ENV_WARNING,
        "a key has many values beside each other: is it written without the context of what was "
        "read? siblings=%u slot=%u key_hash=%016llx writes=%llu",
        count, o->partition.slot, (unsigned long long)hash_bytes(o->key, 0),
        (unsigned long long)node->stats.sibling_writes);
}

static enum status mint(struct store_write *write, struct slice old, struct slice *new) {
    struct operation *o = CONTAINER_OF(write, struct operation, write);
    struct node *node = o->node;
    if (o->is_finished) return ST_CANCELLED; // its time ran out first
    if (!node_is_current(node, o->key, o->partition.keyspace)) return ST_INVALID;
    struct record *before = &node->records[0];
    struct record *after = &node->records[1];
    struct context *seen = &node->contexts[0];
    enum status st = record_decode(before, old);
    if (st == ST_OK) st = superseded(o, before, seen);
    if (st != ST_OK) return st;
    // What the store holds came by a merge, which has looked; a dot used twice would be worse. Of a
    // plain write that is a part of what it has seen.
    bool is_plain = o->kind == REQUEST_REPLACE;
    if (!is_plain && genesis_has_forgotten(node, &before->context)) return ST_INVALID;
    if (genesis_has_forgotten(node, seen)) return ST_INVALID;
    // An old value is written again only where it still is: it may have been deleted and purged.
    bool is_old = o->timestamp != 0 && o->timestamp <= purge_fence(node, o->partition.slot)->floor;
    if (is_old && !context_descends(&before->context, seen)) return ST_BUSY;
    struct version dot = {store_actor(node->store), store_mint(node->store)};
    o->dot = dot;
    o->purge_round = purge_round(node, o->partition.slot);
    uint64_t timestamp = o->timestamp;
    if (timestamp == 0) {
        timestamp = next_timestamp(node, superseded_timestamp(o, before, seen));
    }
    const struct sibling sibling = {
        .dot = dot,
        .timestamp = timestamp,
        .expires_ms = o->expires_ms,
        .is_tombstone = o->is_tombstone,
        .value = o->value,
    };
    st = record_update(before, seen, &sibling, after);
    if (st != ST_OK) return st;
    if (!is_within_share(o, after, dot.actor.storage)) return ST_TOO_LARGE;
    size_t size = record_encoded_size(after);
    if (o->record != NULL) buffer_give(node, o->record);
    o->record = buffer_take(node, size);
    o->record_size = 0;
    if (o->record == NULL) return ST_BUSY;
    struct writer w = writer_to(o->record, size);
    record_encode(after, &w);
    must(!w.failed);
    o->record_size = (uint32_t)size;
    *new = operation_record(o);
    note_siblings(o, after->sibling_count);
    expiry_note(node, o->partition, after);
    const struct node_options *options = &node->options;
    if (options->minted != NULL) options->minted(options->minted_context, o->key, &sibling, seen);
    return ST_OK;
}

// Sending.

static bool send_hint(struct operation *o, uint32_t place) {
    struct link *link = peer_link(o->node, o->stand_ins[place]);
    if (link == NULL) return false;
    const struct message_hint hint = {
        .id = o->id,
        .target = o->replicas[place],
        .keyspace = o->partition.keyspace,
        .slot = o->partition.slot,
        .round = o->purge_round,
        .key = o->key,
        .record = operation_record(o),
    };
    struct writer w = link_begin(link, 64 + (uint32_t)(hint.key.size + hint.record.size));
    message_hint_encode(&hint, &w);
    return link_end(link, MESSAGE_HINT, &w);
}

static bool send_record(struct operation *o, uint32_t place) {
    if ((o->stood_in >> place & 1) != 0) return send_hint(o, place);
    struct link *link = peer_link(o->node, o->replicas[place]);
    if (link == NULL) return false;
    o->sent_rounds[place] = o->purge_round;
    bool wants_context = o->kind == REQUEST_REPLACE && o->round == 1;
    const struct message_put put = {
        .id = o->id,
        .flags = wants_context ? PUT_WANTS_CONTEXT : 0,
        .keyspace = o->partition.keyspace,
        .slot = o->partition.slot,
        .round = o->purge_round,
        .key = o->key,
        .record = operation_record(o),
        .left_ms = operation_left_ms(o),
    };
    struct writer w = link_begin(link, 64 + (uint32_t)(put.key.size + put.record.size));
    message_put_encode(&put, &w);
    return link_end(link, MESSAGE_PUT, &w);
}

// A replica has agreed to a purge since it was sent the record. If that is still what is held here,
// it is so in the present round, too; and who refuses it next is sent it in that round as well.
static bool send_again(struct operation *o, uint32_t place) {
    struct store_read read = {.partition = o->partition, .key = o->key};
    uint32_t round = purge_round(o->node, o->partition.slot);
    bool is_held = round > o->purge_round && store_peek(o->node->store, &read) == ST_OK &&
                   slice_equal(read.record, operation_record(o));
    if (is_held) o->purge_round = round;
    return o->purge_round > o->sent_rounds[place] && send_record(o, place);
}

// The record is durable here: one vote. Now, and not before, others may see it.
static void on_stored(struct store_write *write) {
    struct operation *o = CONTAINER_OF(write, struct operation, write);
    const struct node_options *options = &o->node->options;
    if (write->status == ST_OK && options->minted != NULL) {
        const struct sibling stored = {.dot = o->dot};
        options->minted(options->minted_context, o->key, &stored, NULL);
    }
    o->is_storing = false;
    if (operation_release(o)) return;
    if (write->status == ST_INVALID) genesis_renew_if_forgotten(o->node);
    if (write->status == ST_CORRUPT && o->round == 1 && o->replica_count > 1) {
        // Others have it whole; whoever asks us to coordinate asks them himself.
        if (o->request == NULL) {
            operation_finish(o, ST_UNAVAILABLE);
        } else {
            forward_start(o, o->is_sloppy ? o->replica_count / 2 + 1 : o->quorum.need);
        }
        return;
    }
    if (write->status != ST_OK) {
        // A failed disk may have kept the record all the same; anything else has left no trace.
        bool is_unknown = write->status == ST_IO || o->round > 1;
        enum status st = write->status == ST_INVALID ? ST_BUSY : write->status;
        operation_finish(o, is_unknown ? ST_TIMEOUT : st);
        return;
    }
    o->asked = 0;
    quorum_vote(&o->quorum, o->self_place, true);
    for (uint32_t i = 0; i < o->replica_count; i++) {
        if (i == o->self_place) continue;
        if (send_record(o, i)) {
            o->asked |= 1u << i;
        } else {
            quorum_vote(&o->quorum, i, false);
            hints_note(o->node, o->replicas[i], o->partition, o->key);
        }
    }
    decide(o);
}

static void store_round(struct operation *o) {
    quorum_init(&o->quorum, o->replica_count, o->quorum.need);
    o->is_storing = true;
    o->write = (struct store_write){
        .apply = mint,
        .done = on_stored,
        .partition = o->partition,
        .key = o->key,
    };
    store_put(o->node->store, &o->write);
}

void write_start(struct operation *o, uint32_t need) {
    struct node *node = o->node;
    node->stats.writes++;
    if (o->is_sloppy) need = stand_in_choose(o, need);
    o->quorum.need = need;
    if (!o->is_sloppy && voter_count(o) < need) {
        quorum_init(&o->quorum, o->replica_count, need);
        o->quorum.yes = (1u << voter_count(o)) - 1; // as many as could have been asked
        operation_finish(o, ST_UNAVAILABLE);
        return;
    }
    store_round(o);
}

// Answers.

// Keeps what a replica knew outside our context, for the second round.
static bool remember(struct operation *o, const struct message_put_done *m) {
    struct node *node = o->node;
    struct context *all = &node->contexts[0];
    struct context *more = &node->contexts[1];
    context_clear(all);
    if (o->extra_size > 0) {
        struct reader kept = reader_of((struct slice){o->extra, o->extra_size});
        context_decode(all, &kept);
    }
    struct reader r = reader_of(m->context);
    context_decode(more, &r);
    if (!reader_done(&r) || context_join(all, more) != ST_OK) return false;
    size_t size = context_encoded_size(all);
    if (o->extra != NULL) buffer_give(node, o->extra);
    o->extra = buffer_take(node, size);
    o->extra_size = 0;
    if (o->extra == NULL) return false;
    struct writer w = writer_to(o->extra, size);
    context_encode(all, &w);
    must(!w.failed);
    o->extra_size = (uint32_t)size;
    if (m->timestamp > o->extra_timestamp) o->extra_timestamp = m->timestamp;
    return true;
}

static void decide(struct operation *o) {
    switch (quorum_verdict(&o->quorum)) {
    case QUORUM_OPEN:
        return;
    case QUORUM_LOST:
        operation_finish(o, ST_TIMEOUT); // it is here, and may be elsewhere
        return;
    case QUORUM_MET:
        if (o->kind == REQUEST_REPLACE && o->extra_size > 0 && o->round == 1) {
            o->round = 2;
            o->node->stats.second_rounds++;
            operation_renew_id(o);
            store_round(o);
        } else {
            operation_finish(o, ST_OK);
        }
        return;
    }
    unreachable();
}

void write_on_answer(struct operation *o, uint32_t member, const struct message_put_done *m) {
    uint32_t place = operation_waiting_place(o, member);
    if (place == REPLICAS_MAX || o->is_storing || o->is_forwarded_away) return;
    if ((o->stood_in >> place & 1) != 0) return;
    purge_hear(o->node, member, o->partition.slot, m->round);
    if (m->status == ST_FENCED && send_again(o, place)) return;
    bool is_good = m->status == ST_OK;
    bool wants_context = o->kind == REQUEST_REPLACE && o->round == 1;
    if (is_good && wants_context && m->context.size > 0) is_good = remember(o, m);
    quorum_vote(&o->quorum, place, is_good);
    decide(o);
}

void write_on_hinted(struct operation *o, uint32_t member, const struct message_hint_done *m) {
    uint32_t place = operation_waiting_place(o, member);
    bool is_awaited = o->kind == REQUEST_REPLACE || o->kind == REQUEST_WRITE;
    if (!is_awaited || place == REPLICAS_MAX || o->is_storing || o->is_forwarded_away) return;
    if ((o->stood_in >> place & 1) == 0) return;
    quorum_vote(&o->quorum, place, m->status == ST_OK);
    // Who says that he cannot stand in is one that cannot be reached.
    uint32_t left = o->replica_count - quorum_count(o->quorum.no);
    if (m->status != ST_OK && o->quorum.need > left) o->quorum.need = left;
    decide(o);
}

void write_on_lost(struct operation *o, uint32_t member) {
    uint32_t place = operation_waiting_place(o, member);
    if (place == REPLICAS_MAX || o->is_storing) return;
    quorum_vote(&o->quorum, place, false);
    decide(o);
}
