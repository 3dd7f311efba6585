// SPDX-License-Identifier: Apache-2.0
#include "model/members.h"

#include "base/slice.h"

uint32_t members_place_count(uint32_t members_max) {
    uint32_t count = 2;
    while (count < 2 * members_max) count *= 2;
    return count;
}

// Ids are hashes, whose lowest bit is set. At least half of the places are empty.
static uint32_t first_place(const struct members *m, uint64_t id) {
    return (uint32_t)(id >> 1) & (m->place_count - 1);
}

static uint32_t next_place(const struct members *m, uint32_t place) {
    return (place + 1) & (m->place_count - 1);
}

void members_on_ids(struct members *m) {
    must(m->place_count >= 2 * m->count);
    must(m->count < UINT16_MAX);
    memset(m->places, 0, m->place_count * sizeof(*m->places));
    for (uint32_t i = 0; i < m->count; i++) {
        uint32_t place = first_place(m, m->entries[i].id);
        while (m->places[place] != 0) place = next_place(m, place);
        m->places[place] = (uint16_t)(i + 1);
    }
}

uint32_t members_find(const struct members *m, uint64_t id) {
    if (m->count == 0) return 0;
    uint32_t place = first_place(m, id);
    for (; m->places[place] != 0; place = next_place(m, place)) {
        uint32_t index = m->places[place] - 1u;
        if (m->entries[index].id == id) return index;
    }
    return m->count;
}

// Which of two entries stays: by incarnation, then by heartbeat. An owner that behaves never gives
// two entries the same pair; of two that claim it, all members keep the same one.
static int entry_compare(const struct member_entry *a, const struct member_entry *b) {
    if (a->incarnation != b->incarnation) return a->incarnation < b->incarnation ? -1 : 1;
    if (a->heartbeat != b->heartbeat) return a->heartbeat < b->heartbeat ? -1 : 1;
    uint8_t bytes[2][MEMBER_ENTRY_ENCODED_SIZE];
    struct writer wa = writer_to(bytes[0], sizeof(bytes[0]));
    struct writer wb = writer_to(bytes[1], sizeof(bytes[1]));
    member_entry_encode(a, &wa);
    member_entry_encode(b, &wb);
    return memcmp(bytes[0], bytes[1], MEMBER_ENTRY_ENCODED_SIZE);
}

bool members_merge_entry(struct members *members, uint32_t index,
                         const struct member_entry *entry) {
    must(index < members->count);
    must(entry->id != 0);
    struct member_entry *known = &members->entries[index];
    must(known->id == 0 || known->id == entry->id);
    if (known->id != 0 && entry_compare(known, entry) >= 0) return false;
    *known = *entry;
    return true;
}

void member_entry_encode(const struct member_entry *entry, struct writer *w) {
    must(entry->state < MEMBER_STATES && entry->troubles < 1u << MEMBER_TROUBLES);
    write_u64(w, entry->id);
    write_u64(w, entry->incarnation);
    write_u64(w, entry->heartbeat);
    write_u64(w, entry->storage);
    write_u8(w, (uint8_t)(entry->state | (uint32_t)entry->troubles << 4));
    write_u64(w, entry->key_count);
    write_u64(w, entry->disk_size);
    write_u64(w, entry->memory_size);
    write_u32(w, entry->load);
    write_u8(w, entry->merged);
}

void member_entry_decode(struct member_entry *entry, struct reader *r) {
    entry->id = read_u64(r);
    entry->incarnation = read_u64(r);
    entry->heartbeat = read_u64(r);
    entry->storage = read_u64(r);
    uint8_t both = read_u8(r);
    uint8_t state = both & 15;
    if (state >= MEMBER_STATES) r->failed = true;
    entry->troubles = both >> 4;
    entry->state = (enum member_state)(state < MEMBER_STATES ? state : 0);
    entry->key_count = read_u64(r);
    entry->disk_size = read_u64(r);
    entry->memory_size = read_u64(r);
    entry->load = read_u32(r);
    entry->merged = read_u8(r);
    if (entry->merged > 100 && entry->merged != MEMBER_MERGES_NOTHING) r->failed = true;
}
