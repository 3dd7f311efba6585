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

struct segment_info *segment_set_find(const struct segment_set *set, uint32_t number) {
    if (set->count == 0) return NULL;
    uint32_t low = 0;
    uint32_t high = set->count - 1;
    // There are gaps only after damage, so the first guess is nearly always right.
    uint32_t guess = number - segment_set_at(set, 0)->number;
    if (guess <= high && segment_set_at(set, guess)->number == number) {
        return segment_set_at(set, guess);
    }
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (segment_set_at(set, middle)->number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    struct segment_info *found = segment_set_at(set, low);
    return found->number == number ? found : NULL;
}
