// SPDX-License-Identifier: Apache-2.0
//
// flush.h -- what the log alone holds becomes a table, and the log before it goes.
//
// A flush begins at the end of the log as it is then, its position. It saves the facts as they are
// at this moment, and writes every record whose frame lies before the position into a table, in
// order, step by step while writes go on. A record that is replaced before the flush has come by is
// left out: its successor is in the log behind the position. So, before the log goes:
//
//     facts, table on disk -> log synced beyond all that was seen -> manifest -> segments removed
//
//     IDLE -> FACTS -> TABLE -> BARRIER -> MANIFEST -> SEGMENTS -> IDLE
//     any of them up to MANIFEST -> GIVE_UP -> IDLE
//
// A crash anywhere before the manifest leaves files that nobody names; after it, segments that
// nobody needs. A failure ends in IDLE with the log as it was, to be tried again.
#ifndef QUOIT_STORE_FLUSH_H
#define QUOIT_STORE_FLUSH_H

#include "store/commit_log.h"
#include "store/facts.h"
#include "store/manifest.h"
#include "store/memtable.h"
#include "store/sstable_writer.h"

enum flush_state {
    FLUSH_IDLE,
    FLUSH_FACTS,    // the file of facts is being written
    FLUSH_TABLE,    // the writer has something to do, or the walk goes on in the next turn
    FLUSH_BARRIER,  // the log has to be synced
    FLUSH_MANIFEST, // the manifest waits for its turn, or is being saved
    FLUSH_SEGMENTS, // segments are being removed
    FLUSH_GIVE_UP,  // what was written is being removed
};

struct flush;
typedef void flush_done(struct flush *f);

struct flush {
    struct env *env; // set by the owner, like all up to done
    struct memtable *table;
    struct commit_log *log;
    struct facts *facts;
    struct sstable_set *set;
    struct manifest_file *manifest;
    uint64_t hash_seed;
    uint32_t block_size;
    struct compressor *compressor;
    flush_done *switched; // the records are in a table now: what was dirty before is clean
    flush_done *done;     // it is over, for good or ill (status)

    enum flush_state state;
    enum status status;
    bool is_stopping; // gives up as soon as it can
    uint64_t position;
    uint64_t barrier;
    struct sstable_writer writer;
    struct sstable *made; // to be added with the manifest, or NULL
    uint32_t facts_number;
    uint32_t old_facts_number;
    uint64_t key_count;
    struct env_op op;
    struct env_file *file;
    char name[FILE_NAME_SIZE];
    struct tlsf *memory;  // of tables
    uint8_t *facts_bytes; // a piece: in facts_own, or where that is too small in a block of memory
    size_t facts_size;
    uint32_t facts_block; // 0: none
    uint8_t *facts_own;   // room for the facts of one keyspace
    uint32_t partition;   // number of that being walked through
    uint8_t *after;       // the last key visited of it
    size_t after_size;    // 0: none yet
    uint32_t visits;      // since others had their turn
    uint64_t count;       // flushes done
    uint64_t written;     // bytes of tables
};

size_t flush_memory_size(uint32_t record_size_max);
void flush_init(struct flush *f, struct arena *arena, struct tlsf *memory,
                uint32_t record_size_max);

// Makes facts_bytes as large as a file of facts of so many bytes, until flush_give_facts. False:
// there is no memory. For opening, before the first flush.
NODISCARD bool flush_take_facts(struct flush *f, size_t size);
void flush_give_facts(struct flush *f);

// Begins. `key_count`: about so many entries are dirty. Requires FLUSH_IDLE.
void flush_start(struct flush *f, uint64_t key_count);

// To be called when the log was synced further, or has failed, and when the manifest is free again.
void flush_go_on(struct flush *f);

// Gives up what is under way; `done` follows. Nothing happens when it is idle.
void flush_stop(struct flush *f);

#endif
