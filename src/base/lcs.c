// SPDX-License-Identifier: Apache-2.0
#include "base/lcs.h"

size_t lcs_row_size(size_t b_size) {
    return (b_size + 1) * sizeof(uint32_t);
}

size_t lcs_bits_size(size_t a_size, size_t b_size) {
    return a_size * b_size / 8 + 1;
}

static size_t cell_of(const struct lcs *l, size_t a_at, size_t b_at) {
    return (a_at - 1) * l->b.size + (b_at - 1);
}

void lcs_find(struct lcs *l, struct slice a, struct slice b, uint32_t *row, uint8_t *bits) {
    must(a.size == 0 || b.size <= LCS_CELLS_MAX / a.size);
    *l = (struct lcs){.a = a, .b = b, .bits = bits, .a_at = a.size, .b_at = b.size};
    memset(row, 0, lcs_row_size(b.size));
    memset(bits, 0, lcs_bits_size(a.size, b.size));
    for (size_t i = 1; i <= a.size; i++) {
        uint32_t diagonal = 0; // of the row above, one to the left
        for (size_t j = 1; j <= b.size; j++) {
            uint32_t above = row[j];
            if (a.data[i - 1] == b.data[j - 1]) {
                row[j] = diagonal + 1;
            } else if (above > row[j - 1]) {
                size_t cell = cell_of(l, i, j);
                bits[cell / 8] |= (uint8_t)(1u << cell % 8);
            } else {
                row[j] = row[j - 1];
            }
            diagonal = above;
        }
    }
    l->size = row[b.size];
}

bool lcs_next(struct lcs *l, struct lcs_match *match) {
    match->size = 0;
    while (l->a_at > 0 && l->b_at > 0) {
        if (l->a.data[l->a_at - 1] == l->b.data[l->b_at - 1]) {
            match->a = --l->a_at;
            match->b = --l->b_at;
            match->size++;
            continue;
        }
        if (match->size > 0) break;
        size_t cell = cell_of(l, l->a_at, l->b_at);
        if ((l->bits[cell / 8] >> cell % 8 & 1) != 0) {
            l->a_at--;
        } else {
            l->b_at--;
        }
    }
    return match->size > 0;
}
