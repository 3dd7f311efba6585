// SPDX-License-Identifier: Apache-2.0
//
// block_read.h -- reads a part of a table, and tells a bad sector from a bad device.
//
// A device says ST_IO of a sector that it cannot read any more, and so it does of everything when
// it is failing itself, or for a moment. So what cannot be read is tried again, and between the
// tries something else of the tables is read. Where that can be, and this cannot after all tries,
// it is damaged like what fails its checksum. Else nothing is known but that it cannot be read now.
#ifndef QUOIT_STORE_BLOCK_READ_H
#define QUOIT_STORE_BLOCK_READ_H

#include "env/env.h"

enum { BLOCK_READ_TRIES = 4 };

struct sstable;
struct block_read;
typedef void block_read_done(struct block_read *r);

struct block_read {
    struct env *env; // set by the caller, like all up to tries
    block_read_done *done;
    struct sstable *table; // pinned, or not in a set yet
    uint64_t offset;
    uint8_t *to; // as for env_read or env_read_direct
    uint32_t size;
    bool is_direct;
    uint32_t tries; // BLOCK_READ_TRIES, or 1: ST_CORRUPT is no answer then

    enum status status; // result: ST_OK, ST_CORRUPT, or as from env
    uint32_t got;       // result: bytes

    struct env_op op; // the rest is private
    uint32_t failures;
    bool is_alive;         // the device has read something else meanwhile
    struct sstable *other; // where that is
};

void block_read_start(struct block_read *r);

#endif
