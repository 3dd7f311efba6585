// SPDX-License-Identifier: Apache-2.0
//
// block.h -- the piece in which a table is read: sorted entries, keys by what differs from the one
// before.
//
//     block = entry, entry, ... | u32 offset of each restart | u32 count of restarts
//     entry = varint bytes of the key shared with the one before | varint bytes that are not
//             | varint size of the record | bytes of the key | record
//
// Keys are full keys (full_key.h), strictly ascending. A varint is 7 bits a byte, least significant
// first, at most 5 bytes. At a restart a key shares nothing with the one before, so it can be
// compared where it lies: a search is binary over restarts, then runs along at most RESTART_EVERY
// entries. A record without bytes says that the key was removed.
//
// How a block lies in a file is said in sstable_format.h.
#ifndef QUOIT_STORE_BLOCK_H
#define QUOIT_STORE_BLOCK_H

#include "base/status.h"
#include "store/full_key.h"

enum {
    RESTART_EVERY = 16,
    RESTARTS_MAX = 4096, // a block is full then
    ENTRY_HEAD_MAX = 15,
};

struct block_builder {
    uint8_t *data; // borrowed, like
    uint8_t *last; // this: FULL_KEY_MAX bytes for the key added last
    size_t capacity;
    size_t size;
    size_t last_size;
    uint32_t count; // of entries
    uint32_t restart_count;
    uint32_t restarts[RESTARTS_MAX];
};

// Borrows both. A block can always take one entry that fits the capacity with its restart.
void block_init(struct block_builder *b, uint8_t *data, size_t capacity, uint8_t *last);

// Bytes of a block of this one entry, at most.
static inline size_t block_size_of(size_t full_key_size, size_t record_size) {
    return ENTRY_HEAD_MAX + full_key_size + record_size + 2 * sizeof(uint32_t);
}

// Bytes of the block if it were finished now.
static inline size_t block_size(const struct block_builder *b) {
    return b->size + (b->restart_count + 1) * sizeof(uint32_t);
}

// Adds an entry past all others. False, and no change, when the block would exceed `limit` bytes or
// the capacity; but the first entry may exceed the limit.
bool block_add(struct block_builder *b, struct slice full_key, struct slice record, size_t limit);

// Completes the block. Lends its bytes until block_clear.
struct slice block_finish(struct block_builder *b);

// Begins anew.
void block_clear(struct block_builder *b);

// Moving over the entries of a block. The bytes may be anything: what is not a block fails.
struct block_cursor {
    struct slice bytes; // borrowed
    uint8_t *key_bytes; // borrowed: block_key_most(bytes)
    uint32_t end;       // of the entries
    uint32_t at;        // offset of the current entry; `end` past the last one
    uint32_t next;      // offset of the entry after the current
    struct slice key;   // the current: its full key, lent until the cursor moves
    struct slice record;
    bool is_valid; // there is a current entry
    bool failed;   // this is no block
};

// Room for any key of the block: at least one byte, at most FULL_KEY_MAX. What a key shares with
// the one before it is in the block, too, so no key is longer than that.
static inline size_t block_key_most(struct slice bytes) {
    if (bytes.size == 0) return 1;
    return bytes.size < FULL_KEY_MAX ? bytes.size : FULL_KEY_MAX;
}

// At no entry yet; block_next moves to the first.
void block_open(struct block_cursor *c, struct slice bytes, uint8_t *key_bytes);

// Moves to the next entry. False when there is none, or the block is none.
bool block_next(struct block_cursor *c);

// Where a search may begin: so many entries, and the offset of one. Requires that it has not
// failed.
uint32_t block_restart_count(const struct block_cursor *c);
uint32_t block_restart(const struct block_cursor *c, uint32_t index);

// Moves to the first entry whose key is not before the full key. False when there is none.
bool block_seek(struct block_cursor *c, struct slice full_key);

// Backwards: to past the last entry; to the entry before the current one; to the last entry whose
// key is before the full key, or, inclusive, is it. A step costs up to RESTART_EVERY forward.
void block_end(struct block_cursor *c);
bool block_prev(struct block_cursor *c);
bool block_seek_back(struct block_cursor *c, struct slice full_key, bool is_inclusive);

#endif
