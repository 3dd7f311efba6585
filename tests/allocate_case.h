// SPDX-License-Identifier: Apache-2.0
//
// allocate_case.h -- maps as tests of allocation need them: members with texts of their own, and
// what must hold for the runs of any of them.
#ifndef QUOIT_TESTS_ALLOCATE_CASE_H
#define QUOIT_TESTS_ALLOCATE_CASE_H

#include "base/arena.h"
#include "model/map.h"
#include "tests/test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MAX = 16, TEXTS_OF_MEMBER = 6 };

struct cluster {
    struct map map;
    void *memory;
    char (*texts)[TEXT_MAX];
    uint32_t text_count;
};

static inline void cluster_init(struct cluster *c, uint32_t members_max) {
    size_t size = map_memory_size(members_max);
    c->memory = aligned_alloc(64, (size + 63) / 64 * 64);
    assert_non_null(c->memory);
    memset(c->memory, 0, size);
    struct arena arena = arena_over(c->memory, size);
    map_init(&c->map, &arena, members_max);
    c->map.replication = REPLICATION_DEFAULT;
    c->texts = calloc((size_t)members_max * TEXTS_OF_MEMBER, TEXT_MAX);
    assert_non_null(c->texts);
    c->text_count = 0;
}

static inline void cluster_free(struct cluster *c) {
    free(c->memory);
    free(c->texts);
}

// A text that lasts as long as the cluster.
__attribute__((format(printf, 2, 3))) static inline const char *text_of(struct cluster *c,
                                                                        const char *format, ...) {
    assert_true(c->text_count < c->map.members_max * TEXTS_OF_MEMBER);
    char *text = c->texts[c->text_count++];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, TEXT_MAX, format, arguments);
    va_end(arguments);
    assert_in_range(size, 1, TEXT_MAX - 1);
    return text;
}

static inline struct map_member *add_member(struct cluster *c) {
    uint32_t i = c->map.member_count++;
    struct map_member *m = &c->map.members[i];
    *m = (struct map_member){.id = i + 1, .rack = "", .dc = "", .port = 7379};
    m->shards = m->weight = 1;
    m->name = text_of(c, "member-%04u", i);
    m->host = text_of(c, "host-%04u", i);
    m->address = text_of(c, "10.0.%u.%u", i / 256, i % 256);
    return m;
}

static inline uint32_t racks_of(const struct map *map, const struct map_run *run) {
    uint32_t racks = 0;
    for (uint32_t i = 0; i < run->replica_count; i++) {
        bool is_new = true;
        for (uint32_t j = 0; j < i; j++) {
            const struct map_member *a = &map->members[run->replicas[i].member];
            const struct map_member *b = &map->members[run->replicas[j].member];
            if (strcmp(a->rack, b->rack) == 0 && strcmp(a->dc, b->dc) == 0) is_new = false;
        }
        racks += is_new;
    }
    return racks;
}

static inline void check_run(const struct map *map, const struct map_run *run, uint32_t hosts,
                             uint32_t racks) {
    assert_true(run->count > 0);
    assert_int_equal(run->replica_count, map->replication < hosts ? map->replication : hosts);
    assert_int_equal(racks_of(map, run), run->replica_count < racks ? run->replica_count : racks);
    for (uint32_t i = 0; i < run->replica_count; i++) {
        const struct map_member *m = &map->members[run->replicas[i].member];
        assert_true(run->replicas[i].shard < m->shards);
        for (uint32_t j = 0; j < i; j++) {
            assert_string_not_equal(m->host, map->members[run->replicas[j].member].host);
        }
    }
}

// Every slot once, on distinct hosts, in as many racks as can be.
static inline void check_map(const struct map *map, uint32_t hosts, uint32_t racks) {
    uint32_t slot = 0;
    assert_true(map->run_count <= RUNS_MAX);
    for (uint32_t i = 0; i < map->run_count; i++) {
        const struct map_run *run = &map->runs[i];
        assert_int_equal(run->first, slot);
        check_run(map, run, hosts, racks);
        slot += run->count;
    }
    assert_int_equal(slot, SLOT_COUNT);
}

#endif
