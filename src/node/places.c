// SPDX-License-Identifier: Apache-2.0
#include "node/places.h"

#include "base/hash.h"
#include "model/keyspace.h"

static_assert((uint64_t)CELL_COUNT << PLACE_BITS <= (uint64_t)1 << 53, "cursors fit a double");
static_assert(PLACES_BYTES >= 2 * KEY_SIZE_MAX, "the longest key finds room behind another");

uint64_t place_of_key(struct slice key) {
    uint64_t place = hash_bytes(key, 0x5ca9) >> (64 - PLACE_BITS);
    return place == 0 ? 1 : place;
}

void places_init(struct places *p, struct arena *arena) {
    *p = (struct places){.bytes = arena_take(arena, PLACES_BYTES, 1)};
}

bool places_find(const struct places *p, uint64_t cursor, struct slice *key) {
    uint64_t oldest = p->count < PLACES_MAX ? 0 : p->count - PLACES_MAX;
    for (uint64_t i = p->count; i > oldest; i--) {
        uint32_t at = (uint32_t)((i - 1) % PLACES_MAX);
        if (p->notes[at].begin + PLACES_BYTES < p->written) return false; // written over
        if (p->notes[at].cursor != cursor) continue;
        *key = (struct slice){p->bytes + p->notes[at].begin % PLACES_BYTES, p->notes[at].size};
        return true;
    }
    return false;
}

uint64_t places_note(struct places *p, uint32_t cell, struct slice key) {
    must(key.size > 0);
    must(key.size <= KEY_SIZE_MAX);
    uint64_t cursor = cursor_begin(cell) | place_of_key(key);
    struct slice known;
    if (places_find(p, cursor, &known) && slice_equal(known, key)) return cursor;
    uint64_t left = PLACES_BYTES - p->written % PLACES_BYTES;
    if (left < key.size) p->written += left; // keys lie in one piece
    memcpy(p->bytes + p->written % PLACES_BYTES, key.data, key.size);
    uint32_t at = (uint32_t)(p->count++ % PLACES_MAX);
    p->notes[at].cursor = cursor;
    p->notes[at].begin = p->written;
    p->notes[at].size = (uint32_t)key.size;
    p->written += key.size;
    return cursor;
}
