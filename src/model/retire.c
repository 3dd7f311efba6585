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

uint32_t retire_departed(struct record *r, struct storage_set live, struct storage_set departed,
                         const struct context *stable) {
    if (!context_descends(stable, &r->context)) return 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < r->context.count; i++) {
        struct version entry = r->context.entries[i];
        bool is_gone = has(departed, entry.actor.storage) && !has(live, entry.actor.storage);
        if (!is_gone || is_used(r, entry.actor)) r->context.entries[kept++] = entry;
    }
    uint32_t taken = r->context.count - kept;
    r->context.count = kept;
    return taken;
}

void retire_meet(struct context *stable, const struct context *other) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < stable->count; i++) {
        struct version entry = stable->entries[i];
        uint64_t counter = context_counter(other, entry.actor);
        if (counter == 0) continue;
        if (counter < entry.counter) entry.counter = counter;
        stable->entries[kept++] = entry;
    }
    stable->count = kept;
}
