// SPDX-License-Identifier: Apache-2.0
#include "server/order.h"

#include "base/hash.h"
#include "server/internal.h"

// Keys compared one by one before two commands with many keys count as sharing one.
enum { PAIRS_MAX = 4096 };

bool order_is_single(const struct server *server) {
    const struct map *map = node_map(server->node);
    return map->epoch > 0 && map->member_count == 1;
}

static uint64_t key_bit(struct slice key) {
    return (uint64_t)1 << (hash_bytes(key, 0) & 63);
}

static bool is_keyed(const struct command *c) {
    return c->fault == FAULT_NONE && c->spec->first_key > 0;
}

void order_enter(struct command *c) {
    struct session *s = c->session;
    c->key_bits = 0;
    c->is_alone = true;
    if (!is_keyed(c)) return;
    if ((c->flags & COMMAND_STEPPED) == 0 && order_is_single(s->server)) {
        // The node orders these; should something stepped come along, it compares the keys.
        c->key_bits = UINT64_MAX;
        c->is_alone = false;
        s->key_bits = UINT64_MAX;
        return;
    }
    uint32_t last = command_last_key(c->spec, c->argument_count);
    for (uint32_t i = c->spec->first_key; i <= last; i += c->spec->key_step) {
        c->key_bits |= key_bit(c->arguments[i]);
    }
    c->is_alone = (s->key_bits & c->key_bits) == 0;
    s->key_bits |= c->key_bits;
}

static bool shares_key(const struct command *a, const struct command *b) {
    if ((a->key_bits & b->key_bits) == 0) return false;
    uint32_t a_last = command_last_key(a->spec, a->argument_count);
    uint32_t b_last = command_last_key(b->spec, b->argument_count);
    uint32_t pairs = 0;
    for (uint32_t i = a->spec->first_key; i <= a_last; i += a->spec->key_step) {
        for (uint32_t j = b->spec->first_key; j <= b_last; j += b->spec->key_step) {
            if (slice_equal(a->arguments[i], b->arguments[j])) return true;
            if (++pairs == PAIRS_MAX) return true;
        }
    }
    return false;
}

static bool is_barrier(const struct command *c) {
    return c->fault != FAULT_QUEUED && (c->flags & COMMAND_BARRIER) != 0;
}

static bool conflicts(const struct command *earlier, const struct command *later, bool is_single) {
    if (earlier->state == COMMAND_ANSWERED) return false;
    if (is_barrier(earlier) || is_barrier(later)) return true;
    if (!is_keyed(earlier) || !is_keyed(later)) return false;
    uint32_t flags = earlier->flags | later->flags;
    if ((flags & COMMAND_WRITE) == 0) return false;
    // One member carries out the writes of a key as they come to it; a command that has not started
    // has not come to it.
    if (is_single && (flags & (COMMAND_STEPPED | COMMAND_READ)) == 0 &&
        earlier->state == COMMAND_RUNNING) {
        return false;
    }
    return shares_key(earlier, later);
}

struct command *order_blocker(const struct command *c) {
    const struct session *s = c->session;
    if (s->queue.next == &c->link) return NULL;
    bool is_single = order_is_single(s->server);
    if (!is_barrier(c) && s->stepped_count == 0) {
        // What is under way is all reads, or all writes, as this one is.
        bool is_write = (c->flags & COMMAND_WRITE) != 0;
        bool is_alike = s->reading_count == (is_write ? 0 : s->running_count);
        bool is_clear = s->blocked_count == 0 && s->again_count == 0 && is_alike;
        if (c->is_alone || (is_single && is_clear)) return NULL;
    }
    for (struct list *at = c->link.prev; at != &s->queue; at = at->prev) {
        struct command *earlier = CONTAINER_OF(at, struct command, link);
        if (conflicts(earlier, c, is_single)) return earlier;
    }
    return NULL;
}

static void unblock(struct command *c) {
    struct session *s = c->session;
    must(s->blocked_count > 0);
    s->blocked_count--;
    c->blocker = NULL;
}

void order_leave(struct command *c) {
    struct session *s = c->session;
    if (s->blocked_count == 0) return;
    for (struct list *at = c->link.next; at != &s->queue; at = at->next) {
        struct command *later = CONTAINER_OF(at, struct command, link);
        if (later->blocker != c) continue;
        unblock(later);
        later->blocker = order_blocker(later);
        if (later->blocker != NULL) {
            s->blocked_count++;
        } else {
            s->has_ready = true;
        }
    }
}

void order_withdraw(struct command *c) {
    if (c->blocker == NULL) return;
    unblock(c);
}
