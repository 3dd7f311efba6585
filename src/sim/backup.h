// SPDX-License-Identifier: Apache-2.0
//
// backup.h -- what `quoit restore` does, on simulated disks; and whether a snapshot is what it
// says.
#ifndef QUOIT_SIM_BACKUP_H
#define QUOIT_SIM_BACKUP_H

#include "sim/disk.h"
#include "sim/world.h"
#include "store/store.h"

// A disk that holds, all synced, the store made of the snapshot; NULL when there is no manifest of
// one, or it is not good, or files are missing. Borrows the dice of `from`; to be destroyed.
struct disk *backup_restore(struct disk *from, const char *snapshot, uint64_t actor,
                            uint64_t cluster);

// Opens a store made of the snapshot, in a world of its own, and adds up what it holds. NULL: it is
// what was saved; else what is wrong, lent until the next call.
const char *backup_check(struct disk *from, const char *snapshot,
                         const struct store_options *options);

#endif
