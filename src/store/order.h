// SPDX-License-Identifier: Apache-2.0
//
// order.h -- the entries of one partition in ascending order of their keys.
//
// A B+tree of references; its nodes are blocks of the struct tlsf that holds the entries, and its
// root is a variable of the caller, 0 for an empty tree. A leaf takes new entries at its end and is
// sorted when it splits or when somebody asks for order:
//
//     leaf    | sorted entries ... | entries in the order they came ... |
//     inner   | child  separator  child  separator  child |
//
// So a new key in a partition of one leaf, which most are, costs no comparison of keys, and each
// comparison is likely a cache miss. Separators are copies, as short as can tell the neighbours
// apart, so entries may move and go without regard to them.
#ifndef QUOIT_STORE_ORDER_H
#define QUOIT_STORE_ORDER_H

#include "base/status.h"
#include "store/entry.h"

// Adds an entry whose key is not in the tree. False, and no change, when memory is full.
NODISCARD bool order_add(struct tlsf *t, uint32_t *root, uint32_t entry);

// Puts one entry in the place of another with the same key.
void order_replace(struct tlsf *t, uint32_t root, uint32_t old, uint32_t entry);

// Requires that the entry is in the tree.
void order_remove(struct tlsf *t, uint32_t *root, uint32_t entry);

// Where a walk begins, and in which direction it goes: past the key or, inclusive, at it. Without a
// key, at the first entry, or in reverse at the last.
struct order_start {
    struct slice key;
    bool is_inclusive;
    bool is_reverse;
};

// Visits the entries from there on. The visit returns false to end, and may not change the tree.
// False when it was ended.
typedef bool order_visit(void *context, uint32_t entry);
bool order_each(struct tlsf *t, uint32_t root, const struct order_start *start, order_visit *visit,
                void *context);

// must()s the shape of the tree and the place of every key; returns how many entries there are.
uint64_t order_check(struct tlsf *t, uint32_t root);

#endif
