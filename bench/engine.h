// SPDX-License-Identifier: Apache-2.0
//
// engine.h -- storage engines under one load: what there is to do, and who does it.
//
// An engine is opened on a directory with a budget of memory and then carries out runs, one after
// the other. A run is a stream of tasks, drawn from one place by however many hands are at work:
// Quoit's store has so many requests under way in one thread, the others have so many threads.
//
// There are two ways to pace a run:
//
//     closed loop  the end of a task is what allows the next: as fast as the engine goes
//     open loop    tasks are due at fixed moments, whatever the engine does, and a latency counts
//                  from the moment its task was due
//
// Keys are 16 bytes: a tag in braces, which decides the slot, and a number in it. KEYS_A_TAG keys
// share a tag, so a scan of a tag gives so many. Values are random bytes which follow from the key,
// so any value read can be checked.
#ifndef QUOIT_BENCH_ENGINE_H
#define QUOIT_BENCH_ENGINE_H

#include "base/histogram.h"
#include "base/rng.h"
#include "base/slice.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    KEY_SIZE = 16,
    TAG_SIZE = 8, // "{000000}"
    KEYS_A_TAG = 128,
    VALUE_MAX = 64 * 1024,
    HANDS_MAX = 256,
};

// Marks the number of a key that is not there, though others of its tag are.
#define KEY_MISSING (UINT64_C(1) << 63)

struct engine_options {
    const char *directory;
    uint64_t budget;    // bytes of memory for caches and buffers
    uint64_t key_count; // 0 to key_count - 1 are there after a fill
    uint32_t value_size;
    bool is_forced; // writes are on disk when they are done
    bool is_direct; // reads of tables go past the kernel's cache, where the engine can
};

enum task_kind { TASK_GET, TASK_PUT, TASK_SCAN };

struct task {
    enum task_kind kind;
    uint64_t key; // its number; of a scan, any key of the tag
    uint64_t due; // ns of the monotonic clock: latencies count from here
};

// All keys once, in random order; random keys; keys that are there, or are not; scans of random
// tags; half gets of keys that are there, half puts.
enum workload { LOAD_FILL, LOAD_OVERWRITE, LOAD_HIT, LOAD_MISS, LOAD_SCAN, LOAD_MIXED, LOADS };

// What a hand has done.
struct tally {
    struct histogram latencies; // ns
    uint64_t found;             // values that were there; of scans, keys
    uint64_t wrong;             // values that are not those of their keys, and failures
};

struct run {
    enum workload workload;
    uint32_t hands;
    uint64_t count; // of tasks; UINT64_MAX: until time is up
    uint64_t begin; // ns of the monotonic clock
    uint64_t until;
    uint64_t rate; // of an open loop, tasks a second; 0: closed
    const struct engine_options *options;
    uint64_t seed;
    atomic_uint_fast64_t next; // number of the next task
};

// Draws a task. False: there are no more. The number of the hand's own random numbers goes on.
bool run_draw(struct run *run, struct rng *rng, struct task *task);

// When the next task of an open loop is due.
uint64_t run_due(const struct run *run);

// `to` has KEY_SIZE bytes.
void key_write(uint64_t key, uint8_t *to);

// Lends the value of a key until the next call for the same `place`, of VALUE_MAX bytes.
struct slice value_of(const struct engine_options *options, uint64_t key, uint8_t *place);

// Notes the end of a task. `value`: what a get has found, NULL data for nothing.
void tally_get(struct tally *tally, const struct run *run, const struct task *task,
               struct slice value, uint64_t now);
void tally_end(struct tally *tally, const struct task *task, uint64_t now);

uint64_t clock_ns(void);

_Noreturn void give_up(const char *what, const char *why);

struct engine {
    const char *name;
    void (*open)(const struct engine_options *options);
    void (*run)(struct run *run, struct tally *sum);
    void (*compact)(void);       // begins to merge everything, in the background
    bool (*is_compacting)(void); // that is under way
    void (*rest)(uint64_t ns);   // lets background work go on for so long
    void (*close)(void);
};

extern const struct engine engine_quoit;
extern const struct engine engine_rocksdb;
extern const struct engine engine_leveldb;

#endif
