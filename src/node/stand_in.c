// SPDX-License-Identifier: Apache-2.0
#include "node/stand_in.h"

#include "base/bitmap.h"
#include "node/hints.h"
#include "node/internal.h"
#include "node/peers.h"

static bool is_fit(const struct node *node, uint32_t member) {
    return member == node->self ? node_has_vote(node) : peer_is_fit(node, member);
}

static uint32_t fit_places(const struct operation *o) {
    uint32_t places = 0;
    for (uint32_t i = 0; i < o->replica_count; i++) {
        if (is_fit(o->node, o->replicas[i])) places |= 1u << i;
    }
    return places;
}

// Whether somebody on the member's host is asked already, or would be if he could be reached.
static bool is_host_taken(const struct operation *o, uint32_t member) {
    const struct map *map = &o->node->map;
    const char *host = map->members[member].host;
    for (uint32_t i = 0; i < o->replica_count; i++) {
        if (strcmp(map->members[o->replicas[i]].host, host) == 0) return true;
        bool is_stood_in = operation_is_stood_in(o, i);
        if (is_stood_in && strcmp(map->members[o->stand_ins[i]].host, host) == 0) return true;
    }
    return false;
}

static void fill_places(struct operation *o, uint32_t absent) {
    const struct node *node = o->node;
    const struct map *map = &node->map;
    uint8_t seen[MEMBERS_MAX / 8] = {0};
    uint32_t left = map->member_count;
    uint32_t first = map->run_of_slot[o->partition.slot];
    for (uint32_t i = 0; i < map->run_count && absent != 0 && left > 0; i++) {
        const struct map_run *run = &map->runs[(first + i) % map->run_count];
        for (uint32_t k = 0; k < run->replica_count && absent != 0; k++) {
            uint32_t member = run->replicas[k].member;
            if (bitmap_has(seen, member)) continue;
            bitmap_add(seen, member);
            left--;
            if (!is_fit(node, member) || is_host_taken(o, member)) continue;
            uint32_t place = (uint32_t)__builtin_ctz(absent);
            o->stand_ins[place] = (uint16_t)member;
            o->stood_in |= 1u << place;
            absent &= absent - 1;
        }
    }
}

static uint32_t at_least_one(uint32_t need, uint32_t reached) {
    uint32_t most = need < reached ? need : reached;
    return most > 0 ? most : 1;
}

uint32_t stand_in_choose(struct operation *o, uint32_t need) {
    uint32_t fit = fit_places(o);
    uint32_t all = (uint32_t)((UINT64_C(1) << o->replica_count) - 1);
    o->stood_in = 0;
    fill_places(o, all & ~fit);
    return at_least_one(need, quorum_count(fit | o->stood_in));
}

uint32_t stand_in_need_of_replicas(const struct operation *o, uint32_t need) {
    return at_least_one(need, quorum_count(fit_places(o)));
}

void stand_in_renew(struct node *node) {
    for (uint32_t i = 0; i < node->peer_count; i++) node->peers[i].hint_actor = 0;
}

struct version stand_in_mint(struct operation *o) {
    struct node *node = o->node;
    uint32_t own = operation_own_place(o);
    must(own < o->replica_count);
    struct peer *target = &node->peers[o->replicas[own]];
    while (target->hint_actor == 0) target->hint_actor = rng_next(&node->rng);
    return (struct version){{target->hint_actor, 1}, ++node->hints_minted};
}

bool stand_in_may_mint(struct operation *o) {
    (void)stand_in_choose(o, 1);
    uint32_t own = operation_own_place(o);
    bool is_one = o->self_place == REPLICAS_MAX && own != REPLICAS_MAX && fit_places(o) == 0;
    is_one = is_one && !store_is_failed(o->node->store);
    return is_one && hints_have_room(o->node, o->key.size + o->value.size + o->seen.size);
}
