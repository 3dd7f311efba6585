// SPDX-License-Identifier: Apache-2.0
//
// versions_bench -- what versions cost: bytes of a record beside its value, and time to read it, to
// write over it and to merge it with another.
//
// A record is one value and the context of so many members that have written the key. Times are the
// best of ROUNDS rounds, on one core.
#include "model/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TIMES = 200000, ROUNDS = 5, VALUE_SIZE = 400 };

static struct record records[3];
static uint8_t value[VALUE_SIZE];
static uint8_t bytes[64 * 1024];
static uint8_t other_bytes[64 * 1024];

_Noreturn void must_fail(const char *cond, const char *file, int line) {
    fprintf(stderr, "%s:%d: must(%s)\n", file, line, cond);
    abort();
}

static double now_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static struct slice encode(const struct record *r, uint8_t *to) {
    struct writer w = writer_to(to, sizeof(bytes));
    record_encode(r, &w);
    must(!w.failed);
    return writer_bytes(&w);
}

// The key as it is when `writers` members have each written over what was there, `rounds` times.
static struct slice written(uint32_t writers, uint32_t rounds, uint8_t *to) {
    struct record *before = &records[0];
    struct record *after = &records[1];
    record_clear(before);
    for (uint32_t i = 0; i < writers * rounds; i++) {
        const struct sibling s = {
            .dot = {{.storage = i % writers + 1, .epoch = 1}, i / writers + 1},
            .timestamp = i + 1,
            .value = {value, sizeof(value)},
        };
        must(record_update(before, &before->context, &s, after) == ST_OK);
        must(record_decode(before, encode(after, to)) == ST_OK);
    }
    return encode(before, to);
}

// The three things that a store and a coordinator do with a record.

static void get(struct slice record, struct slice other) {
    (void)other;
    must(record_decode(&records[0], record) == ST_OK);
    must(record_visible(&records[0], 1) != NULL);
}

static void put(struct slice record, struct slice other) {
    static uint8_t to[sizeof(bytes)];
    (void)other;
    must(record_decode(&records[0], record) == ST_OK);
    const struct sibling s = {
        .dot = {{.storage = 1, .epoch = 1}, UINT32_MAX},
        .timestamp = UINT32_MAX,
        .value = {value, sizeof(value)},
    };
    must(record_update(&records[0], &records[0].context, &s, &records[1]) == ST_OK);
    (void)encode(&records[1], to);
}

static void merge(struct slice record, struct slice other) {
    static uint8_t to[sizeof(bytes)];
    bool conflict = false;
    must(record_decode(&records[0], record) == ST_OK);
    must(record_decode(&records[1], other) == ST_OK);
    must(record_merge(&records[0], &records[1], &records[2], &conflict) == ST_OK);
    (void)encode(&records[2], to);
}

static double ns_of(void (*act)(struct slice record, struct slice other), struct slice record,
                    struct slice other) {
    double best = 1e18;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        double begin = now_ns();
        for (uint32_t i = 0; i < TIMES; i++) act(record, other);
        double took = (now_ns() - begin) / TIMES;
        if (took < best) best = took;
    }
    return best;
}

int main(void) {
    static const uint32_t writers[] = {1, 2, 3, 5, 10, 30};
    printf("writers  bytes beside a value of %d  get ns  put ns  merge ns\n", VALUE_SIZE);
    for (size_t i = 0; i < sizeof(writers) / sizeof(writers[0]); i++) {
        struct slice record = written(writers[i], 2, bytes);
        struct slice other = written(writers[i], 1, other_bytes);
        printf("%7u  %26zu  %6.0f  %6.0f  %8.0f\n", writers[i], record.size - VALUE_SIZE,
               ns_of(get, record, other), ns_of(put, record, other), ns_of(merge, record, other));
    }
    return 0;
}
