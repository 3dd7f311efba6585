// SPDX-License-Identifier: Apache-2.0
//
// findings.h -- what the parts of a check add to: findings and counts.
#ifndef QUOIT_STORE_FINDINGS_H
#define QUOIT_STORE_FINDINGS_H

#include "store/check.h"

struct findings {
    check_found *found;
    void *context;
    struct check_counts counts;
};

// A stretch of bytes; `size` may be 0.
struct stretch {
    uint64_t offset;
    uint64_t size;
};

__attribute__((format(printf, 5, 6))) void findings_add(struct findings *f, const char *file,
                                                        struct stretch where,
                                                        enum check_meaning meaning,
                                                        const char *format, ...);

#endif
