// SPDX-License-Identifier: Apache-2.0
//
// oracle_event.h -- what the parts of the oracle ask of dots, records and events.
#ifndef QUOIT_SIM_ORACLE_EVENT_H
#define QUOIT_SIM_ORACLE_EVENT_H

#include "sim/oracle.h"

static inline struct slice key_bytes(const struct oracle_key *key) {
    return slice_of_string(key->name);
}

static inline bool same_dot(struct version a, struct version b) {
    return a.counter == b.counter && actor_compare(a.actor, b.actor) == 0;
}

static inline bool holds(const struct record *record, struct version dot) {
    for (uint32_t i = 0; i < record->sibling_count; i++) {
        if (same_dot(record->siblings[i].dot, dot)) return true;
    }
    return false;
}

// Whether the write of the event superseded the dot.
static inline bool has_seen(const struct oracle_event *e, struct version dot) {
    for (uint32_t i = 0; i < e->seen_count; i++) {
        if (actor_compare(e->seen[i].actor, dot.actor) == 0)
            return e->seen[i].counter >= dot.counter;
    }
    return false;
}

#endif
