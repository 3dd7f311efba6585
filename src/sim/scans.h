// SPDX-License-Identifier: Apache-2.0
//
// scans.h -- walks through all keys by SCAN, and what they must have listed when they end.
//
// Any client may change the member between two pages. While there is trouble a page only must not
// list what never was: it leaves out what the members that are up do not know. A walk that begins
// after healing lists every key once that was there before and stays, and none that was gone.
#ifndef QUOIT_SIM_SCANS_H
#define QUOIT_SIM_SCANS_H

#include "sim/oracle.h"

enum { SCANS_CURSOR_MAX = 24 };

struct scan_walk {
    char cursor[SCANS_CURSOR_MAX]; // "": a new walk begins with the next page
    uint32_t page;                 // keys asked for
    uint64_t start;                // ns
    bool was_listed[ORACLE_KEYS_MAX];
};

// A key that somebody else judges: walks may show it, or not.
void scans_add_guest(struct oracle *oracle, const char *name);

// Draws the next page, of a new walk or of that under way.
void scans_draw(struct scan_walk *walk, struct rng *rng, uint64_t now);

// The reply to a page. At the end of a walk that began at `healed_at` or later all of it is judged;
// healed_at is UINT64_MAX while there is trouble.
void scans_judge(struct oracle *oracle, struct scan_walk *walk, uint64_t healed_at,
                 struct slice reply);

#endif
