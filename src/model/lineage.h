// SPDX-License-Identifier: Apache-2.0
//
// lineage.h -- which changes have made the latest maps of a cluster.
//
// It is agreed on with the map. So whoever was away, and is told the latest map only, learns what
// became of a change of its own that it had proposed before.
#ifndef QUOIT_MODEL_LINEAGE_H
#define QUOIT_MODEL_LINEAGE_H

#include "base/must.h"

#include <stdint.h>

enum { LINEAGE_MAPS = 16 };

// The author of the map of epoch e is at e % LINEAGE_MAPS: a random number that stands for the
// change; 0: the cluster was founded with it, or it is older than the cluster.
struct lineage {
    uint64_t authors[LINEAGE_MAPS];
};

// The author of the map of that epoch, which is one of the latest LINEAGE_MAPS.
static inline uint64_t lineage_author(const struct lineage *lineage, uint64_t epoch) {
    return lineage->authors[epoch % LINEAGE_MAPS];
}

static inline void lineage_set(struct lineage *lineage, uint64_t epoch, uint64_t author) {
    lineage->authors[epoch % LINEAGE_MAPS] = author;
}

// How many authors go with a map of that epoch, its own one included: the founded one has none.
static inline uint64_t lineage_count(uint64_t epoch) {
    must(epoch > 0);
    return epoch - 1 < LINEAGE_MAPS ? epoch - 1 : LINEAGE_MAPS;
}

#endif
