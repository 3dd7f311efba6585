// SPDX-License-Identifier: Apache-2.0
#include "model/level.h"

#include "base/text.h"

struct name {
    const char *text;
    struct level level;
};

static const struct name names[] = {
    {"ONE", {LEVEL_COUNT, 1}},
    {"TWO", {LEVEL_COUNT, 2}},
    {"THREE", {LEVEL_COUNT, 3}},
    {"QUORUM", {LEVEL_QUORUM, 0}},
    {"ALL", {LEVEL_ALL, 0}},
    {"LOCAL_ONE", {LEVEL_LOCAL_ONE, 0}},
    {"LOCAL_QUORUM", {LEVEL_LOCAL_QUORUM, 0}},
    {"EACH_QUORUM", {LEVEL_EACH_QUORUM, 0}},
    {"SLOPPY", {LEVEL_SLOPPY, 0}},
    {"UNSET", {LEVEL_UNSET, 0}}, // the last: not a level that can be asked for
};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

static_assert(REPLICAS_MAX < 1000 && LEVEL_TEXT_SIZE > 3, "a number fits the text");

enum status level_parse(struct slice text, struct level *level) {
    *level = (struct level){LEVEL_UNSET, 0};
    uint64_t number;
    if (text_to_u64(text, &number)) {
        if (number == 0 || number > REPLICAS_MAX) return ST_INVALID;
        *level = (struct level){LEVEL_COUNT, (uint32_t)number};
        return ST_OK;
    }
    for (uint32_t i = 0; i < NAMES - 1; i++) {
        if (!text_equal_nocase(text, slice_of_string(names[i].text))) continue;
        *level = names[i].level;
        return ST_OK;
    }
    return ST_INVALID;
}

const char *level_gap(struct level level) {
    switch (level.kind) {
    case LEVEL_LOCAL_ONE:
    case LEVEL_LOCAL_QUORUM:
    case LEVEL_EACH_QUORUM:
        return "copies in several data centres";
    case LEVEL_UNSET:
    case LEVEL_SLOPPY:
    case LEVEL_QUORUM:
    case LEVEL_ALL:
    case LEVEL_COUNT:
        return NULL;
    }
    unreachable();
}

enum status level_need(struct level level, uint32_t replicas, uint32_t *need) {
    switch (level.kind) {
    case LEVEL_QUORUM:
    case LEVEL_SLOPPY:
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
    case LEVEL_LOCAL_ONE:
    case LEVEL_LOCAL_QUORUM:
    case LEVEL_EACH_QUORUM:
    default:
        unreachable();
    }
    return *need > 0 && *need <= replicas ? ST_OK : ST_UNAVAILABLE;
}

void level_text(struct level level, char text[LEVEL_TEXT_SIZE]) {
    struct text out = text_over(text, LEVEL_TEXT_SIZE);
    const char *name = NULL;
    for (uint32_t i = 0; i < NAMES; i++) {
        const struct level *named = &names[i].level;
        if (named->kind == level.kind && named->count == level.count) name = names[i].text;
    }
    must(name != NULL || (level.kind == LEVEL_COUNT && level.count > 0));
    if (name != NULL) {
        text_string(&out, name);
    } else {
        text_u64(&out, level.count);
    }
    must(!out.clipped);
}
