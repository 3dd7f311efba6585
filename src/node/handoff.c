// SPDX-License-Identifier: Apache-2.0
#include "node/handoff.h"

#include "node/hints.h"
#include "node/internal.h"
#include "node/peers.h"
#include "node/purge_answer.h"

#define PAUSE_NS (1 * NS_PER_MS)
#define ROUND_NS (1 * NS_PER_SECOND)
#define PATIENCE_NS (5 * NS_PER_SECOND)

enum { REST_SHARE = 3, INDEX_BITS = 8 };

static_assert(HANDOFF_BATCH <= 1 << INDEX_BITS, "an id names each item of a batch");

static void on_step(struct timer *timer);
static void list(struct node *node);

void handoff_init(struct node *node) {
    node->handoff.step.fired = on_step;
    for (uint32_t i = 0; i < HANDOFF_BATCH; i++) node->handoff.items[i].node = node;
}

static void rest(struct node *node, uint64_t ns) {
    node->handoff.state = HANDOFF_RESTING;
    if (node->state != NODE_SERVING) return;
    timer_arm(&node->timers, &node->handoff.step, node->env->now + ns);
}

static void give_items(struct node *node) {
    struct handoff *h = &node->handoff;
    for (uint32_t i = 0; i < h->count; i++) buffer_give(node, h->items[i].value);
    h->count = 0;
    h->size = 0;
}

// Who mends takes what it is given, but its word does not count. Who took nothing rests for a
// while, so that the others have their turn.
static bool is_reached(struct node *node, uint32_t target) {
    if (target >= node->map.member_count || target == node->self) return false;
    uint64_t refused = node->peers[target].refused_hints;
    if (refused != 0 && node->env->now - refused < ROUND_NS) return false;
    return peer_is_fit(node, target);
}

// Sending.

static bool is_stored(const struct handoff *h) {
    bool is = false;
    for (uint32_t i = 0; i < h->count; i++) is |= h->items[i].is_stored;
    return is;
}

// How much of the room for hints is taken.
static uint64_t debt(const struct node *node) {
    uint64_t most = node->options.hints_max / PACE_DEBT_MOST;
    return most == 0 ? PACE_DEBT_MOST : node_hints(node).size / most;
}

static void end_batch_if_over(struct node *node) {
    struct handoff *h = &node->handoff;
    bool is_waiting = is_stored(h);
    for (uint32_t i = 0; i < h->count; i++) is_waiting |= h->items[i].is_waiting;
    if (h->state != HANDOFF_SENDING || is_waiting) return;
    node->peers[h->target].refused_hints = h->has_moved ? 0 : node->env->now;
    give_items(node);
    h->target++;
    uint64_t took = node->env->now - h->began;
    uint64_t ns = REST_SHARE * took > PAUSE_NS ? REST_SHARE * took : PAUSE_NS;
    rest(node, ns + pace_rest(node->pace, PACE_HANDOFF, node->env->now, took + ns, debt(node)));
}

// What was kept since goes out another time.
static enum status remove_if_same(struct store_write *write, struct slice old, struct slice *new) {
    const struct handoff_item *item = CONTAINER_OF(write, struct handoff_item, removal);
    const struct node_options *options = &item->node->options;
    struct hint hint;
    *new = old;
    if (old.size == 0 || hash_bytes(old, 0) != item->hash) return ST_OK;
    *new = (struct slice){0};
    item->node->peers[item->node->handoff.target].hint_actor = 0;
    bool is_told = options->handed != NULL && !item->is_dropped && hint_decode(&hint, old) == ST_OK;
    if (is_told) {
        uint32_t target = item->node->handoff.target;
        options->handed(options->minted_context, target, hint.key, hint.record);
    }
    return ST_OK;
}

static void on_removed(struct store_write *write) {
    struct handoff_item *item = CONTAINER_OF(write, struct handoff_item, removal);
    struct node *node = item->node;
    item->is_stored = false;
    if (write->status == ST_OK) {
        node->handoff.has_moved = true;
        node->stats.hints_dropped += item->is_dropped;
        node->stats.hints_handed += !item->is_dropped;
    }
    end_batch_if_over(item->node);
}

static void remove_item(struct handoff_item *item) {
    item->is_stored = true;
    item->removal = (struct store_write){
        .apply = remove_if_same,
        .done = on_removed,
        .partition = hints_partition(item->node->handoff.kind),
        .key = {item->hint_key, HINT_KEY_SIZE},
    };
    store_put(item->node->store, &item->removal);
}

static void drop_item(struct handoff_item *item) {
    item->is_dropped = true;
    remove_item(item);
}

static void send(struct handoff_item *item, uint32_t round, struct slice record) {
    struct node *node = item->node;
    struct handoff *h = &node->handoff;
    struct link *link = peer_link(node, h->target);
    if (link == NULL) return;
    const struct message_put put = {
        .id = MESSAGE_ID_HANDOFF | h->serial << INDEX_BITS | (uint64_t)(item - h->items),
        .keyspace = item->keyspace,
        .slot = slot_of(item->hint.key),
        .round = round,
        .key = item->hint.key,
        .record = record,
    };
    struct writer w = link_begin(link, 64 + (uint32_t)(put.key.size + record.size));
    message_put_encode(&put, &w);
    item->is_waiting = link_end(link, MESSAGE_PUT, &w);
    item->sent_round = round;
}

// What this replica holds itself, in place of what was noted. It may have been purged.
static void send_own(struct handoff_item *item) {
    if (item->read.status == ST_OK) {
        send(item, item->hint.round, item->read.record);
    } else if (item->read.status == ST_NOT_FOUND) {
        drop_item(item);
    }
}

static void on_own_read(struct store_read *read) {
    struct handoff_item *item = CONTAINER_OF(read, struct handoff_item, read);
    item->is_stored = false;
    bool is_wanted = item->node->state == NODE_SERVING && !item->node->handoff.has_given_up;
    if (is_wanted) send_own(item);
    end_batch_if_over(item->node);
}

static void begin_item(struct handoff_item *item) {
    struct node *node = item->node;
    // All keys of the keyspace were dropped at once.
    if (keyspace_find_number(node->map.keyspaces, item->keyspace) == KEYSPACES_MAX) {
        drop_item(item);
        return;
    }
    uint16_t slot = slot_of(item->hint.key);
    if (node->handoff.kind == HINT_MINTED) {
        if (hints_is_void(node, &item->hint)) {
            drop_item(item);
        } else if (node->peers[node->handoff.target].has_told_fences) {
            send(item, purge_round(node, slot), item->hint.record);
        }
        return;
    }
    if (item->hint.record.size > 0) {
        send(item, item->hint.round, item->hint.record);
        return;
    }
    item->hint.round = purge_round(node, slot);
    item->read = (struct store_read){.done = on_own_read, .key = item->hint.key};
    item->read.partition = (struct partition){item->keyspace, slot};
    item->is_stored = !store_get(node->store, &item->read);
    if (!item->is_stored) send_own(item);
}

static void begin_batch(struct node *node) {
    struct handoff *h = &node->handoff;
    h->state = HANDOFF_SENDING;
    h->ends = 0;
    h->has_moved = false;
    h->has_given_up = false;
    h->serial++;
    timer_arm(&node->timers, &h->step, node->env->now + PATIENCE_NS);
    for (uint32_t i = 0; i < h->count; i++) begin_item(&h->items[i]);
    end_batch_if_over(node);
}

// Who stands in is told of no rounds but by those who refuse it.
static void send_minted_again(struct handoff_item *item, uint32_t round) {
    struct node *node = item->node;
    uint16_t slot = slot_of(item->hint.key);
    purge_hear(node, node->handoff.target, slot, round);
    bool may = !node->handoff.has_given_up && !hints_is_void(node, &item->hint);
    round = purge_round(node, slot);
    if (may && round > item->sent_round) send(item, round, item->hint.record);
}

// What has no room, now, will have; what cannot be merged stays until a client replaces it.
static void note_refused(const struct handoff_item *item, enum status status) {
    struct node *node = item->node;
    bool is_for_good = status == ST_HISTORY_FULL || status == ST_TOO_LARGE || status == ST_INVALID;
    if (!is_for_good) return;
    node->peers[node->handoff.target].hint_places[node->handoff.kind].refused++;
    if (!log_is_due(node, &node->hints_logged)) return;
    env_log(node->env, ENV_WARNING,
            "a hint is not taken by the member that it is for, and is kept; what helps is in "
            "docs/consistency.md, SLOPPY member=%s "
            "status=\"%s\" slot=%u key_hash=%016llx",
            node->map.members[node->handoff.target].name, status_text(status),
            slot_of(item->hint.key), (unsigned long long)hash_bytes(item->hint.key, 0));
}

void handoff_on_answer(struct node *node, uint32_t member, const struct message_put_done *m) {
    struct handoff *h = &node->handoff;
    uint64_t id = m->id & ~MESSAGE_ID_HANDOFF;
    uint64_t index = id & ((1 << INDEX_BITS) - 1);
    bool is_awaited = h->state == HANDOFF_SENDING && member == h->target &&
                      id >> INDEX_BITS == h->serial && index < h->count &&
                      h->items[index].is_waiting;
    if (!is_awaited) return;
    struct handoff_item *item = &h->items[index];
    item->is_waiting = false;
    if (m->status == ST_OK) {
        remove_item(item);
    } else if (m->status == ST_FENCED && h->kind == HINT_COPY) {
        drop_item(item);
    } else if (m->status == ST_FENCED) {
        send_minted_again(item, m->round);
    } else {
        note_refused(item, m->status);
    }
    end_batch_if_over(node);
}

static void give_up(struct node *node) {
    struct handoff *h = &node->handoff;
    h->has_given_up = true;
    for (uint32_t i = 0; i < h->count; i++) h->items[i].is_waiting = false;
    end_batch_if_over(node);
}

void handoff_on_lost(struct node *node, uint32_t member) {
    if (node->handoff.state == HANDOFF_SENDING && member == node->handoff.target) give_up(node);
}

// Listing.

// Keeps a copy of a hint. False: there is no room for it.
static bool take_hint(struct node *node, struct slice key, struct slice value) {
    struct handoff *h = &node->handoff;
    struct handoff_item *item = &h->items[h->count];
    item->value = buffer_take(node, value.size);
    if (item->value == NULL) return false;
    memcpy(item->value, value.data, value.size);
    memcpy(item->hint_key, key.data, HINT_KEY_SIZE);
    item->hash = hash_bytes(value, 0);
    item->is_waiting = false;
    item->is_stored = false;
    item->is_dropped = false;
    if (hint_decode(&item->hint, (struct slice){item->value, value.size}) != ST_OK) {
        buffer_give(node, item->value); // nobody can have it; it stays for who looks into it
        return true;
    }
    h->size += (uint32_t)value.size;
    h->count++;
    return true;
}

// False ends the list: with all that one batch takes, or where the hints of another target begin.
static bool on_hint(struct store_scan *scan, struct slice key, struct slice value,
                    bool is_durable) {
    struct node *node = CONTAINER_OF(scan, struct node, handoff.scan);
    struct handoff *h = &node->handoff;
    uint16_t target;
    if (node->state != NODE_SERVING) return false;
    if (!hint_key_read(key, &target, &h->items[h->count].keyspace)) return true;
    if (target != h->target) {
        if (target < node->map.member_count) h->next = target;
        return false;
    }
    if (!is_durable) return true;
    bool is_large = h->count > 0 && h->size + value.size > HANDOFF_BYTES_MAX;
    if (is_large) return false;
    h->has_room = take_hint(node, key, value);
    return h->has_room && h->count < HANDOFF_BATCH;
}

// The next batch for the target begins behind this one.
static void keep_place(struct node *node) {
    struct handoff *h = &node->handoff;
    struct hint_place *place = &node->peers[h->target].hint_places[h->kind];
    memcpy(place->after, h->items[h->count - 1].hint_key, HINT_KEY_SIZE);
    place->is_set = true;
}

// All hints there are for these members were sent to them.
static void end_round(struct node *node, enum hint_kind kind, uint32_t first, uint32_t end) {
    for (uint32_t i = first; i < end && i < node->peer_count; i++) {
        struct hint_place *place = &node->peers[i].hint_places[kind];
        place->refused_before = place->refused;
        place->refused = 0;
    }
}

uint64_t handoff_stuck(const struct node *node) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < node->peer_count; i++) {
        for (enum hint_kind kind = 0; kind < HINT_KINDS; kind++) {
            const struct hint_place *place = &node->peers[i].hint_places[kind];
            bool is_more = place->refused > place->refused_before;
            sum += is_more ? place->refused : place->refused_before;
        }
    }
    return sum;
}

// True: there is more to list at once.
static bool end_list(struct node *node) {
    struct handoff *h = &node->handoff;
    if (node->state != NODE_SERVING) {
        give_items(node);
        rest(node, 0);
        return false;
    }
    if (h->count > 0) {
        keep_place(node);
        begin_batch(node);
        return false;
    }
    if (h->scan.status != ST_OK || !h->has_room) {
        rest(node, ROUND_NS);
        return false;
    }
    if (h->target < node->peer_count) node->peers[h->target].hint_places[h->kind].is_set = false;
    end_round(node, h->kind, h->target, h->next);
    h->target = h->next;
    if (h->next < MEMBERS_MAX) return true;
    // At the end: the other kind, then once more this one, then there is nothing to do for now.
    h->target = 0;
    h->kind = (h->kind + 1) % HINT_KINDS;
    h->ends++;
    if (h->ends <= HINT_KINDS) return true;
    h->ends = 0;
    rest(node, ROUND_NS);
    return false;
}

static void on_listed(struct store_scan *scan) {
    struct node *node = CONTAINER_OF(scan, struct node, handoff.scan);
    if (end_list(node)) list(node);
}

// Passes who cannot be reached: what is listed then ends where the hints of another one begin.
static void aim(struct node *node) {
    struct handoff *h = &node->handoff;
    while (h->target < node->map.member_count && !is_reached(node, h->target)) h->target++;
    hint_key_first(h->after, (uint16_t)h->target);
    if (h->target >= node->peer_count) return;
    const struct hint_place *place = &node->peers[h->target].hint_places[h->kind];
    if (place->is_set) memcpy(h->after, place->after, HINT_KEY_SIZE);
}

static void list(struct node *node) {
    struct handoff *h = &node->handoff;
    do {
        aim(node);
        h->state = HANDOFF_LISTING;
        h->next = MEMBERS_MAX;
        h->has_room = true;
        h->scan = (struct store_scan){
            .visit = on_hint,
            .done = on_listed,
            .partition = hints_partition(h->kind),
            .after = {h->after, HINT_KEY_SIZE},
        };
        if (!store_each(node->store, &h->scan)) return;
    } while (end_list(node));
}

static void on_step(struct timer *timer) {
    struct node *node = CONTAINER_OF(timer, struct node, handoff.step);
    struct handoff *h = &node->handoff;
    if (h->state == HANDOFF_SENDING) {
        give_up(node);
        return;
    }
    if (node_hints(node).key_count == 0) {
        for (enum hint_kind kind = 0; kind < HINT_KINDS; kind++) {
            end_round(node, kind, 0, node->peer_count);
        }
        rest(node, ROUND_NS);
        return;
    }
    h->began = node->env->now;
    list(node);
}

void handoff_start(struct node *node) {
    rest(node, ROUND_NS);
}

void handoff_stop(struct node *node) {
    timer_disarm(&node->timers, &node->handoff.step);
    give_up(node);
}

bool handoff_is_busy(const struct node *node) {
    return node->handoff.state == HANDOFF_LISTING || is_stored(&node->handoff);
}
