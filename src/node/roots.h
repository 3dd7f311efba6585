// SPDX-License-Identifier: Apache-2.0
//
// roots.h -- what this member and each other one should both hold, as numbers to compare.
//
// The tree of what two members share:
//
//     root -> branches, one for each group of slots -> partitions -> leaves -> keys
//
// The store keeps partitions and leaves up to date with every write (store/facts.h). A branch is
// the sum of the digests of those partitions of its slots of which both have copies, and the root
// that of the branches: each is the sum of a number for every record, of which the key is a part.
// So equal roots mean equal data.
// Branches are added up anew only where the store has changed. There are rows of them for those
// members only with which slots are shared: in a large cluster these are few.
#ifndef QUOIT_NODE_ROOTS_H
#define QUOIT_NODE_ROOTS_H

#include "node/node.h"

#define ROOTS_NO_ROW UINT16_MAX

struct roots {
    uint64_t *branches;                // SLOT_GROUPS to a row; rows are touched as they are wanted
    uint16_t *row_of;                  // a member's, or ROOTS_NO_ROW: nothing is shared with it
    uint32_t row_count;                // of members that stand in a run with this one
    uint64_t changes[SLOT_GROUPS];     // of the store, when the branches of a group were added up
    uint8_t is_known[SLOT_GROUPS / 8]; // base/bitmap.h: those that are
    uint8_t groups[SLOT_GROUPS / 8];   // likewise: those with slots of this member
    uint64_t added_up;                 // when branches were last added up, ns
};

size_t roots_memory_size(uint32_t members_max);
void roots_init(struct node *node, struct arena *arena);

// There is a map, or another one: nothing is known any more.
void roots_on_map(struct node *node);

// The branches that are shared with a member, as they are now: SLOT_GROUPS of them. Lends until the
// next call. Requires a map.
const uint64_t *roots_branches(struct node *node, uint32_t member);

// The root that is shared with a member, as it was at most ROOTS_AGE_NS ago.
#define ROOTS_AGE_NS (500 * NS_PER_MS)
uint64_t roots_with(struct node *node, uint32_t member);

// Whether this member and another both have copies of what the keyspace with that number has in the
// slot.
bool roots_share(const struct node *node, uint16_t keyspace, uint32_t slot, uint32_t member);

// Whether there is any that they do, and how many there are among the slots from first to last.
bool roots_share_any(const struct node *node, uint32_t member);
uint64_t roots_shared_count(const struct node *node, uint32_t first, uint32_t last,
                            uint32_t member);

#endif
