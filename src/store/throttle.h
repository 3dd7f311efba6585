// SPDX-License-Identifier: Apache-2.0
//
// throttle.h -- how much may be written while merges are behind.
//
// What merges do in a second is measured, and a share of it may be written in the next: the share
// that keeps what lies above the base from growing. Time is what writes wait for, not single steps
// of a merge, so they come evenly also while the merge waits for the disk.
//
//     merged bytes --> rate (mean of the last fifths of a second) --> credit <-- writes
//
// There is always something to be had, so nobody waits for ever where merges fail.
#ifndef QUOIT_STORE_THROTTLE_H
#define QUOIT_STORE_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

// Shares are in parts of this.
enum { THROTTLE_WHOLE = 1024 };

struct throttle {
    uint64_t rate;      // bytes a second that were merged, lately
    uint64_t begin;     // ns: of the time being measured
    uint64_t merged;    // bytes since then
    int64_t credit;     // bytes that may be written; less than 0: that were, and have to be earned
    uint64_t credit_at; // ns: when credit was last given
};

// Merges have gone on by so many bytes.
void throttle_note_merged(struct throttle *t, uint64_t now, uint64_t bytes);

// Gives credit for the time since the last call; true when there is any.
bool throttle_allows(struct throttle *t, uint64_t now, uint64_t share);

// So many bytes were written.
void throttle_note_written(struct throttle *t, uint64_t bytes);

#endif
