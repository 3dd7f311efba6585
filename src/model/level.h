// SPDX-License-Identifier: Apache-2.0
//
// level.h -- consistency levels: how many replicas an operation waits for.
//
// A level is chosen per operation, on the connection, or by configuration; the nearest wins. What
// it amounts to depends on how many replicas the key has.
#ifndef QUOIT_MODEL_LEVEL_H
#define QUOIT_MODEL_LEVEL_H

#include "base/limits.h"
#include "base/slice.h"
#include "base/status.h"

enum level_kind {
    LEVEL_UNSET,
    LEVEL_QUORUM,
    LEVEL_ALL,
    LEVEL_COUNT,
    // What these promise is known and nothing keeps it yet: see level_gap.
    LEVEL_LOCAL_ONE,
    LEVEL_LOCAL_QUORUM,
    LEVEL_EACH_QUORUM,
    LEVEL_SLOPPY,
};

struct level {
    enum level_kind kind;
    uint32_t count; // of LEVEL_COUNT: from 1
};

#define LEVEL_TEXT_SIZE 16

// ONE, TWO, THREE, QUORUM, ALL, LOCAL_ONE, LOCAL_QUORUM, EACH_QUORUM, SLOPPY, or a number from 1 to
// REPLICAS_MAX; letters in either case. ST_INVALID for anything else.
NODISCARD enum status level_parse(struct slice text, struct level *level);

// What is missing for operations to have this level; NULL where nothing is.
const char *level_gap(struct level level);

// How many of `replicas` copies the level needs. ST_UNAVAILABLE when it asks for more than there
// are. Requires a level that is set and has no gap.
NODISCARD enum status level_need(struct level level, uint32_t replicas, uint32_t *need);

// The name, as level_parse accepts it; "UNSET" for none.
void level_text(struct level level, char text[LEVEL_TEXT_SIZE]);

#endif
