// SPDX-License-Identifier: Apache-2.0
//
// segment.h -- the format of the commit log: segments, frames, marks.
//
// The log is a row of files of a fixed size, numbered from 1. A place in it is a position: the
// number of the segment and the offset in it, in one integer that only grows.
//
//     segment = header, header again, batch, batch, ... zeros        each begins on a sector
//     batch   = mark, frame, frame, ... zeros
//     frame   = u32 size of payload | u64 checksum | payload
//     payload = u8 1 | u16 keyspace | u16 slot | old footprint (facts.h) | u32 key size | key |
//     record
//             | u8 2 | mark
//
// A checksum is bound to the storage id and the position: bytes that belong to another file,
// another place or an earlier use of the disk never pass for a frame. The record of a removed key
// is empty.
//
// A batch is what was forced to disk together, so a sector that holds synced bytes is never written
// again. Its mark says who wrote it and what was known to be on disk when it began. With the marks
// recovery tells a torn tail, which nobody was promised, from damage: of a hole in the log, a later
// mark of the same run either says that what lay there had been synced, or none does.
#ifndef QUOIT_STORE_SEGMENT_H
#define QUOIT_STORE_SEGMENT_H

#include "base/hash.h"
#include "base/status.h"
#include "store/facts.h"
#include "store/file_name.h"

enum {
    SEGMENT_VERSION = 2,
    SECTOR_SIZE = 512,
    SEGMENT_FIRST = 2 * SECTOR_SIZE, // offset of the first batch
    FRAME_HEAD_SIZE = 4 + 8,
    RECORD_HEAD_SIZE = 1 + 2 + 2 + FOOTPRINT_SIZE + 4,
    MARK_SIZE = 1 + 4 + 4 + 8 + 8 + 8 + 4 + 1,
    MARK_FRAME_SIZE = FRAME_HEAD_SIZE + MARK_SIZE,
};

static inline uint64_t position_of(uint32_t number, uint32_t offset) {
    return (uint64_t)number << 32 | offset;
}

static inline uint32_t position_number(uint64_t position) {
    return (uint32_t)(position >> 32);
}

static inline uint32_t position_offset(uint64_t position) {
    return (uint32_t)position;
}

// The first sector boundary at or after the offset.
static inline uint32_t sector_up(uint32_t offset) {
    return (offset + SECTOR_SIZE - 1) / SECTOR_SIZE * SECTOR_SIZE;
}

#define SEGMENT_PREFIX SLICE("log-")

struct segment_header {
    uint64_t storage;
    uint32_t number;
    uint64_t size; // of the file
};

void segment_header_encode(const struct segment_header *h, uint8_t to[SEGMENT_FIRST]);

// Reads one copy out of one sector. ST_CORRUPT: not a header; ST_INVALID: of another version.
NODISCARD enum status segment_header_decode(struct slice sector, struct segment_header *h);

struct mark {
    uint32_t run;      // how often the store had been opened
    uint32_t epoch;    // of the actor
    uint64_t minted;   // highest counter used by the actor
    uint64_t tail;     // where the frame before ended
    uint64_t synced;   // everything before was on disk
    uint32_t oldest;   // number of the first segment that is still needed
    bool is_first;     // of its run: `tail` is where recovery found the end of the run before; what
                       // lies between `synced` and there, this run writes again
    bool is_clean;     // the last of its run, which ended in order
    bool has_interval; // writes were acknowledged before they were synced
    bool is_damaged;   // something is missing since some recovery, and was not yet repaired
};

// What a write does to a key.
struct change {
    struct partition partition;
    struct slice key;
    struct slice record;  // empty: the key was removed
    struct footprint old; // of the record before
};

struct frame {
    size_t size; // with its head; also set for ST_TOO_LARGE
    bool is_mark;
    struct mark mark;
    struct change change; // key and record are lent from the bytes
};

static inline size_t change_frame_size(const struct change *c) {
    return FRAME_HEAD_SIZE + RECORD_HEAD_SIZE + c->key.size + c->record.size;
}

// Write change_frame_size() or MARK_FRAME_SIZE bytes.
void change_frame_encode(uint64_t storage, uint64_t position, const struct change *change,
                         uint8_t *frame);
void mark_frame_encode(uint64_t storage, uint64_t position, const struct mark *mark,
                       uint8_t *frame);

// Reads the frame at the start of the bytes. ST_NOT_FOUND: zeros, where a frame would begin;
// ST_TOO_LARGE: may be good, but does not end within the bytes; ST_CORRUPT: none.
NODISCARD enum status frame_decode(uint64_t storage, uint64_t position, struct slice bytes,
                                   struct frame *frame);

// Whether there is a frame that is too large to be decoded: of its head, then of its payload piece
// by piece.
struct frame_check {
    struct hash_stream sum;
    uint64_t wanted; // of the sum
    uint32_t left;   // bytes of payload
};

void frame_check_begin(struct frame_check *c, uint64_t storage, uint64_t position,
                       const uint8_t head[FRAME_HEAD_SIZE]);

// Takes in what is still missing and returns how many bytes that was.
uint32_t frame_check_add(struct frame_check *c, struct slice bytes);

// Requires that nothing is missing.
bool frame_check_end(const struct frame_check *c);

#endif
