// SPDX-License-Identifier: Apache-2.0
#include "model/level.h"

#include "base/text.h"

// LEVEL_COUNT by its name; the index is the count.
static const char *const count_names[] = {NULL, "ONE", "TWO", "THREE"};
enum { COUNT_NAMES = sizeof(count_names) / sizeof(count_names[0]) };

static_assert(REPLICAS_MAX < 1000 && LEVEL_TEXT_SIZE > 3, "a number fits the text");

enum status level_parse(struct slice text, struct level *level) {
    *level = (struct level){LEVEL_UNSET, 0};
    uint64_t number;
    if (text_equal_nocase(text, SLICE("QUORUM"))) {
        level->kind = LEVEL_QUORUM;
    } else if (text_equal_nocase(text, SLICE("ALL"))) {
        level->kind = LEVEL_ALL;
    } else if (text_to_u64(text, &number)) {
        if (number == 0 || number > REPLICAS_MAX) return ST_INVALID;
        *level = (struct level){LEVEL_COUNT, (uint32_t)number};
    } else {
        for (uint32_t i = 1; i < COUNT_NAMES; i++) {
            if (!text_equal_nocase(text, slice_of_string(count_names[i]))) continue;
            *level = (struct level){LEVEL_COUNT, i};
        }
    }
    return level->kind == LEVEL_UNSET ? ST_INVALID : ST_OK;
}

enum status level_need(struct level level, uint32_t replicas, uint32_t *need) {
    switch (level.kind) {
    case LEVEL_QUORUM:
        *need = replicas / 2 + 1;
        break;
    case LEVEL_ALL:
        *need = replicas;
        break;
    case LEVEL_COUNT:
        must(level.count > 0);
        *need = level.count;
        break;
    case LEVEL_UNSET:
    default:
        unreachable();
    }
    return *need > 0 && *need <= replicas ? ST_OK : ST_UNAVAILABLE;
}

void level_text(struct level level, char text[LEVEL_TEXT_SIZE]) {
    struct text out = text_over(text, LEVEL_TEXT_SIZE);
    switch (level.kind) {
    case LEVEL_UNSET:
        text_string(&out, "UNSET");
        break;
    case LEVEL_QUORUM:
        text_string(&out, "QUORUM");
        break;
    case LEVEL_ALL:
        text_string(&out, "ALL");
        break;
    case LEVEL_COUNT:
        must(level.count > 0);
        if (level.count < COUNT_NAMES) {
            text_string(&out, count_names[level.count]);
        } else {
            text_u64(&out, level.count);
        }
        break;
    default:
        unreachable();
    }
    must(!out.clipped);
}
