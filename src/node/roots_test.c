// SPDX-License-Identifier: Apache-2.0
//
// Of whom there are rows. What is in them is tested in sim/reconcile_test.c.
#include "node/roots.h"

#include "base/bitmap.h"
#include "node/internal.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>

enum { MEMBERS = 500, MEMORY = 2 << 20 };

static struct node *fixture(void) {
    static _Alignas(64) uint8_t memory[MEMORY];
    static char names[MEMBERS][8];
    memset(memory, 0, sizeof(memory));
    struct arena arena = arena_over(memory, sizeof(memory));
    struct node *node = calloc(1, sizeof(*node));
    node->options.members_max = MEMBERS;
    map_init(&node->map, &arena, MEMBERS);
    node->map.replication = REPLICATION_DEFAULT;
    node->map.member_count = MEMBERS;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "n%03u", i);
        node->map.members[i] = (struct map_member){
            .id = i + 1, .name = names[i], .host = names[i], .shards = 1, .weight = 1};
        node->map.members[i].rack = node->map.members[i].dc = "";
    }
    map_propose(&node->map);
    struct arena of_roots = arena_over(memory + arena.used, roots_memory_size(MEMBERS));
    roots_init(node, &of_roots);
    return node;
}

// Whether a slot of the group is one of both; of all groups, if it is SLOT_GROUPS.
static bool stand_together(const struct node *node, uint32_t member, uint32_t group) {
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        const struct map_run *run = map_run_of(&node->map, (uint16_t)slot);
        bool is_wanted = group == SLOT_GROUPS || slot / GROUP_SLOTS == group;
        bool are_both = map_place_in(run, member) < REPLICAS_MAX &&
                        map_place_in(run, node->self) < REPLICAS_MAX;
        if (is_wanted && are_both) return true;
    }
    return false;
}

static void check_rows(struct node *node) {
    const struct roots *roots = &node->roots;
    bool has[MEMBERS] = {false};
    uint32_t count = 0;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        uint32_t row = roots->row_of[i];
        assert_int_equal(row != ROOTS_NO_ROW, stand_together(node, i, SLOT_GROUPS));
        if (row == ROOTS_NO_ROW) continue;
        assert_in_range(row, 0, roots->row_count - 1);
        assert_false(has[row]);
        has[row] = true;
        count++;
    }
    assert_int_equal(count, roots->row_count);
    for (uint32_t i = 0; i < SLOT_GROUPS; i++) {
        assert_int_equal(bitmap_has(roots->groups, i), stand_together(node, node->self, i));
    }
}

static void who_shares_slots_has_a_row(void **state) {
    (void)state;
    struct node *node = fixture();
    uint32_t least = MEMBERS;
    for (uint32_t turn = 0; turn < 2 * MEMBERS; turn += MEMBERS / 3 + 1) {
        node->self = turn % MEMBERS; // another map, as far as rows go
        roots_on_map(node);
        check_rows(node);
        if (node->roots.row_count < least) least = node->roots.row_count;
    }
    assert_in_range(least, REPLICATION_DEFAULT, MEMBERS / 10);
    free(node);
}

int roots_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(who_shares_slots_has_a_row),
    };
    return cmocka_run_group_tests_name("roots", cases, NULL, NULL);
}
