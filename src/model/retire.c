// SPDX-License-Identifier: Apache-2.0
#include "model/retire.h"

static bool has(struct storage_set set, uint64_t storage) {
    for (uint32_t i = 0; i < set.count; i++) {
        if (set.ids[i] == storage) return true;
    }
    return false;
}

static bool is_used(const struct record *r, struct actor actor) {
    for (uint32_t i = 0; i < r->sibling_count; i++) {
        if (actor_compare(r->siblings[i].dot.actor, actor) == 0) return true;
    }
    return false;
}

bool retire_has_other(const struct record *r, struct storage_set replicas) {
    uint32_t i = 0;
    while (i < r->context.count && has(replicas, r->context.entries[i].actor.storage)) i++;
    return i < r->context.count;
}

static bool may_go(const struct record *r, struct actor actor, struct storage_set replicas) {
    return r->sibling_count > 0 && !has(replicas, actor.storage) && !is_used(r, actor);
}

bool retire_is_due(const struct record *r, struct storage_set replicas) {
    uint32_t i = 0;
    while (i < r->context.count && !may_go(r, r->context.entries[i].actor, replicas)) i++;
    return i < r->context.count;
}

uint32_t retire_take(struct record *r, struct storage_set replicas) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < r->context.count; i++) {
        struct version entry = r->context.entries[i];
        if (!may_go(r, entry.actor, replicas)) r->context.entries[kept++] = entry;
    }
    uint32_t taken = r->context.count - kept;
    r->context.count = kept;
    return taken;
}
