// SPDX-License-Identifier: Apache-2.0
//
// lcs.h -- the longest common subsequence of two byte strings: all that both hold, in order, with
// whatever else between.
//
// A table of |a| x |b| cells says how long it is for every pair of beginnings. Of the lengths one
// row is kept; of every cell one bit, which says where the walk back from the end goes on. So the
// memory is bounded by the cells, and so is the time.
//
// Where several are equally long, it is the one that Redis finds: the walk goes on in `a` only if
// more is to be had there.
#ifndef QUOIT_BASE_LCS_H
#define QUOIT_BASE_LCS_H

#include "base/slice.h"

// A few milliseconds of them.
#define LCS_CELLS_MAX ((uint64_t)4 << 20)

enum { LCS_SIZE_MAX = 2048 }; // of a result: its square is the cells

// Bytes of memory that two strings take: for the row, and for the bits.
size_t lcs_row_size(size_t b_size);
size_t lcs_bits_size(size_t a_size, size_t b_size);

// A stretch that both have: as many bytes, at these offsets.
struct lcs_match {
    size_t a;
    size_t b;
    size_t size;
};

struct lcs {
    struct slice a;
    struct slice b;
    uint8_t *bits;
    size_t size; // of the longest common subsequence
    size_t a_at; // where the walk is
    size_t b_at;
};

// Finds how long it is. Requires at most LCS_CELLS_MAX cells, and the memory, aligned to 4. Borrows
// the strings and the bits for the life of `l`.
void lcs_find(struct lcs *l, struct slice a, struct slice b, uint32_t *row, uint8_t *bits);

// Walks back from the end of both strings: the next stretch; false when there is none left.
bool lcs_next(struct lcs *l, struct lcs_match *match);

#endif
