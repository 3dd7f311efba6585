// SPDX-License-Identifier: Apache-2.0
#include "node/expiry.h"

#include "node/internal.h"
#include "tests/test.h"

#include <stdlib.h>

enum { SLOT = 77, CELL = SLOT * KEYSPACES_MAX, REPLICA = 7, OTHER = 8 };

#define SECOND UINT64_C(1000)

static struct map former;

static const struct record *expiring(uint64_t ms) {
    static struct record r;
    record_clear(&r);
    r.siblings[0] = (struct sibling){.is_tombstone = true};
    r.siblings[1] = (struct sibling){.expires_ms = ms};
    r.sibling_count = 2;
    return &r;
}

static void make_map(struct map *map, struct arena *arena) {
    map_init(map, arena, 1);
    map->member_count = map->replication = 1;
    map->members[0] = (struct map_member){
        .name = "n1", .host = "h", .rack = "", .dc = "", .weight = 1, .shards = 1};
    map->members[0].storage = REPLICA;
    map_propose(map);
}

// A node of which only the map is there, with one member.
static struct node *begin(void **memory) {
    struct node *node = calloc(1, sizeof(*node));
    size_t size = expiry_memory_size() + 2 * map_memory_size(1);
    *memory = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    memset(*memory, 0, size);
    struct arena arena = arena_over(*memory, size);
    expiry_init(&node->expiry, &arena);
    make_map(&node->map, &arena);
    make_map(&former, &arena);
    return node;
}

static void note(struct node *node, uint64_t ms) {
    expiry_note(node, (struct partition){.slot = SLOT}, expiring(ms));
}

static void see(struct node *node, uint64_t ms) {
    expiry_see(node, (struct partition){.slot = SLOT}, expiring(ms));
}

static void what_is_not_known_is_due(void **state) {
    (void)state;
    void *memory;
    struct node *node = begin(&memory);
    struct expiry *e = &node->expiry;
    assert_true(expiry_is_due(e, CELL, 0));
    note(node, 1000 * SECOND); // that is not all there may be
    assert_true(expiry_is_due(e, CELL, 0));
    expiry_begin(e, CELL);
    see(node, 500 * SECOND);
    see(node, 0);
    assert_true(expiry_is_due(e, CELL, 0)); // until it was gone through
    expiry_end(e);
    assert_false(expiry_is_due(e, CELL, 499 * SECOND));
    assert_true(expiry_is_due(e, CELL, 500 * SECOND));
    expiry_begin(e, CELL);
    expiry_end(e);
    assert_false(expiry_is_due(e, CELL, UINT64_MAX)); // nothing is there
    assert_true(expiry_is_due(e, CELL + 1, 0));
    free(node);
    free(memory);
}

static void what_is_written_is_noted_also_while_the_cell_is_gone_through(void **state) {
    (void)state;
    void *memory;
    struct node *node = begin(&memory);
    struct expiry *e = &node->expiry;
    expiry_begin(e, CELL);
    expiry_end(e);
    note(node, 0);
    assert_false(expiry_is_due(e, CELL, UINT64_MAX));
    note(node, 700 * SECOND + 1); // within the second
    note(node, 900 * SECOND);
    assert_false(expiry_is_due(e, CELL, 699 * SECOND));
    assert_true(expiry_is_due(e, CELL, 700 * SECOND));
    expiry_begin(e, CELL);
    see(node, 900 * SECOND);
    note(node, 800 * SECOND);
    expiry_end(e);
    assert_false(expiry_is_due(e, CELL, 799 * SECOND));
    assert_true(expiry_is_due(e, CELL, 800 * SECOND));
    // Of a keyspace that is not known.
    expiry_note(node, (struct partition){.keyspace = 9, .slot = SLOT}, expiring(1));
    assert_false(expiry_is_due(e, CELL, 799 * SECOND));
    free(node);
    free(memory);
}

// What the one has written on top of what the other one had.
static const struct record *written_over(uint64_t storage, uint64_t former_storage) {
    static struct record r;
    record_clear(&r);
    const struct version own = {{storage, 1}, 1};
    assert_int_equal(context_add(&r.context, own), ST_OK);
    assert_int_equal(context_add(&r.context, (struct version){{former_storage, 1}, 1}), ST_OK);
    r.siblings[r.sibling_count++] = (struct sibling){.dot = own};
    return &r;
}

static void go_through(struct node *node, const struct record *found,
                       const struct record *written) {
    const struct partition partition = {.slot = SLOT};
    expiry_begin(&node->expiry, CELL);
    if (found != NULL) expiry_see(node, partition, found);
    if (written != NULL) expiry_note(node, partition, written);
    expiry_end(&node->expiry);
}

static void what_takes_the_word_of_all_is_noted_until_it_is_gone(void **state) {
    (void)state;
    void *memory;
    struct node *node = begin(&memory);
    const struct expiry *e = &node->expiry;
    go_through(node, written_over(REPLICA, REPLICA), NULL);
    assert_false(expiry_takes_all(e, CELL));
    go_through(node, written_over(REPLICA, OTHER), NULL);
    assert_true(expiry_takes_all(e, CELL));
    assert_false(expiry_takes_all(e, CELL + 1));
    go_through(node, NULL, NULL);
    assert_false(expiry_takes_all(e, CELL));
    expiry_note(node, (struct partition){.slot = SLOT}, written_over(REPLICA, OTHER));
    assert_true(expiry_takes_all(e, CELL));
    go_through(node, NULL, written_over(REPLICA, OTHER));
    assert_true(expiry_takes_all(e, CELL));
    free(node);
    free(memory);
}

static void nothing_is_known_when_another_disk_is_a_replica(void **state) {
    (void)state;
    void *memory;
    struct node *node = begin(&memory);
    struct expiry *e = &node->expiry;
    const struct record *r = written_over(OTHER, REPLICA);
    go_through(node, r, NULL);
    assert_false(expiry_takes_all(e, CELL)); // the value is that of OTHER
    node->map.epoch++;
    expiry_on_map(node, &former);
    assert_false(expiry_is_due(e, CELL, 0));
    expiry_begin(e, CELL);
    expiry_see(node, (struct partition){.slot = SLOT}, r);
    node->map.members[0].storage = OTHER;
    expiry_on_map(node, &former);
    expiry_end(e); // what it has found it has judged by the former map
    assert_true(expiry_is_due(e, CELL, 0));
    go_through(node, r, NULL);
    assert_false(expiry_is_due(e, CELL, UINT64_MAX));
    assert_true(expiry_takes_all(e, CELL));
    free(node);
    free(memory);
}

int expiry_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_is_not_known_is_due),
        cmocka_unit_test(what_is_written_is_noted_also_while_the_cell_is_gone_through),
        cmocka_unit_test(what_takes_the_word_of_all_is_noted_until_it_is_gone),
        cmocka_unit_test(nothing_is_known_when_another_disk_is_a_replica),
    };
    return cmocka_run_group_tests_name("expiry", cases, NULL, NULL);
}
