// SPDX-License-Identifier: Apache-2.0
#include "node/expiry.h"

#include "node/internal.h"
#include "tests/test.h"

#include <stdlib.h>

enum { SLOT = 77, CELL = SLOT * KEYSPACES_MAX };

#define SECOND UINT64_C(1000)

static const struct record *expiring(uint64_t ms) {
    static struct record r;
    record_clear(&r);
    r.siblings[0] = (struct sibling){.is_tombstone = true};
    r.siblings[1] = (struct sibling){.expires_ms = ms};
    r.sibling_count = 2;
    return &r;
}

// A node of which only the table of keyspaces is there.
static struct node *begin(void **memory) {
    struct node *node = calloc(1, sizeof(*node));
    size_t size = expiry_memory_size();
    *memory = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    memset(*memory, 0, size);
    struct arena arena = arena_over(*memory, size);
    expiry_init(&node->expiry, &arena);
    node->map.keyspaces[0].state = KEYSPACE_ACTIVE;
    return node;
}

static void note(struct node *node, uint64_t ms) {
    expiry_note(node, (struct partition){.slot = SLOT}, expiring(ms));
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
    expiry_see(e, expiring(500 * SECOND));
    expiry_see(e, expiring(0));
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
    expiry_see(e, expiring(900 * SECOND));
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

int expiry_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_is_not_known_is_due),
        cmocka_unit_test(what_is_written_is_noted_also_while_the_cell_is_gone_through),
    };
    return cmocka_run_group_tests_name("expiry", cases, NULL, NULL);
}
