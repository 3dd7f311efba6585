// SPDX-License-Identifier: Apache-2.0
#include "node/agreement_edit.h"

#include "base/text.h"

#define NUMBERS (UINT32_C(1) << 16)

static bool refuse(struct keyspace_change *change, enum keyspace_outcome outcome) {
    change->outcome = outcome;
    return false;
}

static bool is_moving(const struct keyspace_change *change, const struct keyspace *old) {
    const struct keyspace *w = &change->wanted;
    if ((change->fields & KEYSPACE_REPLICATION) != 0 && w->replication != old->replication)
        return true;
    return (change->fields & KEYSPACE_CONFLICT) != 0 && w->conflict != old->conflict;
}

// Takes over what is said.
static void take_fields(struct keyspace *k, const struct keyspace_change *change) {
    const struct keyspace *w = &change->wanted;
    if ((change->fields & KEYSPACE_REPLICATION) != 0) k->replication = w->replication;
    if ((change->fields & KEYSPACE_READ) != 0) k->read = w->read;
    if ((change->fields & KEYSPACE_WRITE) != 0) k->write = w->write;
    if ((change->fields & KEYSPACE_CONFLICT) != 0) k->conflict = w->conflict;
    if ((change->fields & KEYSPACE_TTL) != 0) k->ttl_ms = w->ttl_ms;
    if ((change->fields & KEYSPACE_COMPRESSION) != 0) k->compression = w->compression;
}

// A key has no more copies than there are hosts for, whatever the keyspace asks for.
static bool is_flawed(const struct keyspace *k, const struct map *map) {
    struct keyspace placed = *k;
    uint32_t copies = map->run_count == 0 ? k->replication : map->runs[0].replica_count;
    if (placed.replication > copies) placed.replication = copies;
    return keyspace_flaw(&placed) != NULL;
}

// Puts the definition into an empty place under a number of its own.
static bool add_coming(struct keyspace_change *change, struct map *next, struct keyspace k) {
    uint32_t place = keyspace_find_free(next->keyspaces);
    if (place == KEYSPACES_MAX) return refuse(change, KEYSPACE_FULL);
    if (next->next_keyspace >= NUMBERS) return refuse(change, KEYSPACE_NO_NUMBER);
    if (k.replication > next->replication) return refuse(change, KEYSPACE_COPIES);
    if (is_flawed(&k, next)) return refuse(change, KEYSPACE_FLAWED);
    k.number = (uint16_t)next->next_keyspace++;
    k.state = KEYSPACE_COMING;
    next->keyspaces[place] = k;
    change->number = k.number;
    return true;
}

static bool create(struct keyspace_change *change, struct map *next) {
    struct slice name = slice_of_string(change->wanted.name);
    uint32_t place = keyspace_find(next->keyspaces, name);
    if (place < KEYSPACES_MAX) {
        bool is_there = next->keyspaces[place].state == KEYSPACE_ACTIVE;
        return refuse(change, is_there ? KEYSPACE_THERE : KEYSPACE_CHANGING);
    }
    struct keyspace k = {.replication = next->keyspaces[KEYSPACE_DEFAULT].replication};
    memcpy(k.name, change->wanted.name, sizeof(k.name));
    take_fields(&k, change);
    return add_coming(change, next, k);
}

static bool alter(struct keyspace_change *change, struct map *next, struct keyspace *old) {
    struct keyspace k = *old;
    take_fields(&k, change);
    if (!is_moving(change, old)) {
        if (is_flawed(&k, next)) return refuse(change, KEYSPACE_FLAWED);
        change->number = k.number;
        *old = k;
        return true;
    }
    if (old == next->keyspaces) return refuse(change, KEYSPACE_FIXED);
    if (!add_coming(change, next, k)) return false;
    old->state = KEYSPACE_GOING;
    return true;
}

static bool drop(struct keyspace_change *change, struct map *next, struct keyspace *old) {
    if (old == next->keyspaces) return refuse(change, KEYSPACE_FIXED);
    old->state = KEYSPACE_GOING;
    change->number = old->number;
    return true;
}

static bool flush(struct keyspace_change *change, struct map *next) {
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) {
        enum keyspace_state state = next->keyspaces[i].state;
        bool is_changing = state != KEYSPACE_FREE && state != KEYSPACE_ACTIVE;
        if (is_changing) return refuse(change, KEYSPACE_CHANGING);
    }
    if (next->next_keyspace + next->keyspace_count > NUMBERS) {
        return refuse(change, KEYSPACE_NO_NUMBER);
    }
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) {
        struct keyspace *k = &next->keyspaces[i];
        if (k->state == KEYSPACE_ACTIVE) k->number = (uint16_t)next->next_keyspace++;
    }
    change->number = next->keyspaces[KEYSPACE_DEFAULT].number;
    return true;
}

static bool edit(struct keyspace_change *change, struct map *next) {
    if (change->verb == KEYSPACE_FLUSH) return flush(change, next);
    if (change->verb == KEYSPACE_CREATE) return create(change, next);
    uint32_t place = keyspace_find(next->keyspaces, slice_of_string(change->wanted.name));
    if (place == KEYSPACES_MAX) return refuse(change, KEYSPACE_NOT_THERE);
    struct keyspace *old = &next->keyspaces[place];
    if (old->state != KEYSPACE_ACTIVE) return refuse(change, KEYSPACE_CHANGING);
    return change->verb == KEYSPACE_ALTER ? alter(change, next, old) : drop(change, next, old);
}

bool agreement_edit(struct keyspace_change *change, struct map *next) {
    bool is_made = edit(change, next);
    map_count_keyspaces(next);
    return is_made;
}

// Whether keys stand in the way of it, or of the other one of its name.
static bool is_held(const struct map *map, uint32_t place, uint8_t held) {
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) {
        if (map->keyspaces[i].state == KEYSPACE_FREE || (held >> i & 1) == 0) continue;
        if (strcmp(map->keyspaces[i].name, map->keyspaces[place].name) == 0) return true;
    }
    return false;
}

void agreement_decide(struct map *next, uint8_t held) {
    uint8_t stays = 0;
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) {
        enum keyspace_state state = next->keyspaces[i].state;
        if (state == KEYSPACE_FREE) continue;
        bool is_made = !is_held(next, i, held);
        bool is_there = state == KEYSPACE_ACTIVE || (state == KEYSPACE_COMING) == is_made;
        if (is_there) stays |= (uint8_t)(1u << i);
    }
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) {
        struct keyspace *k = &next->keyspaces[i];
        if ((stays >> i & 1) != 0) {
            k->state = KEYSPACE_ACTIVE;
        } else {
            *k = (struct keyspace){.state = KEYSPACE_FREE};
        }
    }
    map_count_keyspaces(next);
}

bool agreement_needs_all(const struct keyspace_change *change) {
    uint32_t moving = KEYSPACE_REPLICATION | KEYSPACE_CONFLICT;
    return change->verb != KEYSPACE_ALTER || (change->fields & moving) != 0;
}

enum keyspace_fate agreement_fate(const struct keyspace_change *change, const struct map *map) {
    uint32_t place = keyspace_find_number(map->keyspaces, change->number);
    enum keyspace_state state =
        place == KEYSPACES_MAX ? KEYSPACE_FREE : map->keyspaces[place].state;
    if (change->verb == KEYSPACE_FLUSH) return FATE_DONE; // a later one is one, too
    if (state == KEYSPACE_COMING || state == KEYSPACE_GOING) return FATE_OPEN;
    bool is_there = state == KEYSPACE_ACTIVE;
    bool has_gap = change->judged != 0 && map->epoch > change->judged + 1;
    if (!is_there && has_gap) return FATE_UNKNOWN;
    return is_there == (change->verb != KEYSPACE_DROP) ? FATE_DONE : FATE_FAILED;
}
