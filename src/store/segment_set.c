// SPDX-License-Identifier: Apache-2.0
#include "store/segment_set.h"

#include "base/must.h"

size_t segment_set_memory_size(void) {
    return SEGMENTS_MAX * sizeof(struct segment_info);
}

void segment_set_init(struct segment_set *set, struct arena *arena) {
    *set = (struct segment_set){.ring = ARENA_ARRAY(arena, struct segment_info, SEGMENTS_MAX)};
}

void segment_set_add(struct segment_set *set, uint32_t number, uint64_t size) {
    must(!segment_set_is_full(set));
    if (set->count > 0) must(segment_set_at(set, set->count - 1)->number < number);
    *segment_set_at(set, set->count++) = (struct segment_info){.number = number, .size = size};
    set->size += size;
}

void segment_set_remove_first(struct segment_set *set) {
    must(set->count > 0);
    set->size -= segment_set_at(set, 0)->size;
    set->first = (set->first + 1) % SEGMENTS_MAX;
    set->count--;
}

void segment_set_remove_last(struct segment_set *set) {
    must(set->count > 0);
    set->count--;
    set->size -= segment_set_at(set, set->count)->size;
}
