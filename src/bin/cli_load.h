// SPDX-License-Identifier: Apache-2.0
//
// cli_load.h -- one thread of a load generator: connections, requests, replies, latencies.
//
// Every connection keeps up to `pipeline` requests under way. There are two ways to pace them:
//
//     closed loop   an answer is what allows the next request: as fast as the server goes. What a
//                   stalled server did not get to see is not in the latencies.
//     open loop     requests are due at fixed moments, whatever the server does, and a latency
//                   counts from the moment its request was due, also when it could not be sent.
//
// Keys are "key:" and twelve digits. The value of a key is its twelve digits and then bytes that
// follow from the key, of whatever size is asked for, so that any value read can be checked without
// knowing who wrote it.
//
// A connection that breaks is counted, with the requests that were on it, and opened again.
#ifndef QUOIT_BIN_CLI_LOAD_H
#define QUOIT_BIN_CLI_LOAD_H

#include "base/histogram.h"
#include "base/rng.h"
#include "base/slice.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum load_command { LOAD_GET, LOAD_SET, LOAD_DEL, LOAD_EXISTS, LOAD_PING, LOAD_COMMANDS };

extern const char *const load_command_names[LOAD_COMMANDS]; // in lower case

enum {
    LOAD_ERRORS_MAX = 16,     // different first words that are counted apart
    LOAD_ERROR_TEXT_MAX = 95, // bytes of the example that is kept of each
    LOAD_WORD_MAX = 23,
    LOAD_POOL_SIZE = 64 * 1024, // values begin at different places in as many random bytes
    LOAD_CHECK_EVERY = 32,      // values looked at: one in so many
};

struct load_target {
    struct sockaddr_storage address;
    socklen_t address_size;
    char name[300]; // "host:port", for messages
};

// What all threads of a run share and none changes.
struct load_plan {
    const struct load_target *targets; // connections go round them
    uint32_t target_count;
    uint32_t weights[LOAD_COMMANDS]; // shares of the requests
    uint32_t weight_sum;
    uint64_t key_count;
    bool in_order; // keys one after another, each once, in place of random ones
    uint32_t value_size;
    uint32_t pipeline;
    const uint8_t *pool;   // LOAD_POOL_SIZE + value_size random bytes
    struct slice greeting; // a request that each connection begins with; or empty
};

struct load_error {
    char word[LOAD_WORD_MAX + 1];
    char example[LOAD_ERROR_TEXT_MAX + 1];
    uint64_t count;
};

struct load_result {
    struct histogram latencies[LOAD_COMMANDS]; // ns, of good answers
    uint64_t counts[LOAD_COMMANDS];            // good answers
    uint64_t misses;                           // of them, reads that found nothing
    struct load_error errors[LOAD_ERRORS_MAX]; // the last collects all that found no place
    uint32_t error_words;
    uint64_t error_count;
    uint64_t checked;  // values compared with what they should be
    uint64_t wrong;    // and found different, or replies of an unexpected type
    uint64_t lost;     // requests on a connection that broke
    uint64_t breaks;   // connections that broke
    uint64_t unsent;   // due in an open loop, but never sent
    uint64_t first_ns; // when it began and ended, on the monotonic clock
    uint64_t last_ns;
};

struct load_thread {
    const struct load_plan *plan; // set by the caller, like all up to stop
    uint32_t number;              // from 0
    uint32_t thread_count;
    uint32_t connection_count;
    uint64_t request_count; // 0: until the end of time
    uint64_t duration_ns;   // 0: until the end of requests
    double rate;            // requests per second in an open loop; 0: closed loop
    uint64_t seed;
    const atomic_bool *stop; // somebody wants it to end now

    atomic_ullong done;         // answers so far, for whoever shows progress
    char problem[400];          // why it could not begin, or gave up; empty if all went well
    struct load_result *result; // the thread's own
};

// Runs to the end.
void load_run(struct load_thread *thread);

// Adds the figures of one thread to those of another.
void load_result_add(struct load_result *sum, const struct load_result *result);

uint64_t load_now(void); // ns, monotonic

#endif
