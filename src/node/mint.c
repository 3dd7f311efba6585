// SPDX-License-Identifier: Apache-2.0
#include "node/mint.h"

#include "node/genesis.h"
#include "node/internal.h"
#include "node/purge_answer.h"
#include "node/stand_in.h"

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

static struct version next_dot(struct operation *o) {
    struct store *store = o->node->store;
    if (o->self_place == REPLICAS_MAX) return stand_in_mint(o);
    return (struct version){store_actor(store), store_mint(store)};
}

enum status mint(struct operation *o, struct slice held) {
    struct node *node = o->node;
    if (o->is_finished) return ST_CANCELLED; // its time ran out first
    if (!node_is_current(node, o->key, o->partition.keyspace)) return ST_INVALID;
    struct record *before = &node->records[0];
    struct record *after = &node->records[1];
    struct context *seen = &node->contexts[0];
    enum status st = record_decode(before, held);
    if (st == ST_OK) st = superseded(o, before, seen);
    if (st != ST_OK) return st;
    // What the store holds came by a merge, which has looked; a dot used twice would be worse. Of a
    // plain write that is a part of what it has seen.
    bool is_plain = o->kind == REQUEST_REPLACE;
    if (!is_plain && genesis_has_forgotten(node, &before->context)) return ST_INVALID;
    if (genesis_has_forgotten(node, seen)) return ST_INVALID;
    // An old value is written again only where it still is: it may have been deleted and purged.
    // Who is no replica cannot know that it is: its floor is not that of the replicas.
    bool is_replica = o->self_place != REPLICAS_MAX;
    uint64_t floor = is_replica ? purge_fence(node, o->partition.slot)->floor : UINT64_MAX;
    bool is_old = o->timestamp != 0 && o->timestamp <= floor;
    if (is_old && !context_descends(&before->context, seen)) return ST_BUSY;
    struct version dot = next_dot(o);
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
    note_siblings(o, after->sibling_count);
    if (is_replica) expiry_note(node, o->partition, after);
    const struct node_options *options = &node->options;
    if (options->minted != NULL) options->minted(options->minted_context, o->key, &sibling, seen);
    return ST_OK;
}

bool mint_supersede(struct operation *o, const struct context *met, uint64_t timestamp) {
    struct node *node = o->node;
    struct context *all = &node->contexts[0];
    must(met != all);
    context_clear(all);
    if (o->extra_size > 0) {
        struct reader r = reader_of((struct slice){o->extra, o->extra_size});
        context_decode(all, &r);
    }
    if (context_join(all, met) != ST_OK) return false;
    size_t size = context_encoded_size(all);
    uint8_t *extra = buffer_take(node, size);
    if (extra == NULL) return false;
    struct writer w = writer_to(extra, size);
    context_encode(all, &w);
    must(!w.failed);
    if (o->extra != NULL) buffer_give(node, o->extra);
    o->extra = extra;
    o->extra_size = (uint32_t)size;
    if (timestamp > o->extra_timestamp) o->extra_timestamp = timestamp;
    return true;
}
