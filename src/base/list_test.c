// SPDX-License-Identifier: Apache-2.0
#include "base/list.h"

#include "base/rng.h"
#include "tests/test.h"

#include <string.h>

enum { ITEMS = 12, STEPS = 20000 };

struct item {
    char name;
    struct list link;
};

// The same list as an array of indices, oldest first.
struct model {
    uint32_t order[ITEMS];
    uint32_t count;
};

static bool model_has(const struct model *m, uint32_t index) {
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->order[i] == index) return true;
    }
    return false;
}

static void model_remove(struct model *m, uint32_t index) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->order[i] != index) m->order[kept++] = m->order[i];
    }
    m->count = kept;
}

static void assert_same(const struct list *head, const struct item *items, const struct model *m) {
    const struct list *forward = head->next;
    const struct list *backward = head->prev;
    for (uint32_t i = 0; i < m->count; i++) {
        assert_ptr_equal(forward, &items[m->order[i]].link);
        assert_ptr_equal(backward, &items[m->order[m->count - 1 - i]].link);
        forward = forward->next;
        backward = backward->prev;
    }
    assert_ptr_equal(forward, head);
    assert_ptr_equal(backward, head);
    assert_true(list_is_empty(head) == (m->count == 0));
}

static void keeps_the_order_of_appending_through_any_removals(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    struct list head;
    struct item items[ITEMS];
    struct model model = {.count = 0};
    list_init(&head);
    for (uint32_t i = 0; i < ITEMS; i++) list_init(&items[i].link);
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t index = rng_below(&rng, ITEMS);
        if (model_has(&model, index)) {
            list_remove(&items[index].link);
            model_remove(&model, index);
        } else {
            list_append(&head, &items[index].link);
            model.order[model.count++] = index;
        }
        assert_same(&head, items, &model);
    }
}

static void a_removed_link_is_on_no_list_and_may_be_removed_again(void **state) {
    (void)state;
    struct list head;
    struct list link;
    list_init(&head);
    list_init(&link);
    list_append(&head, &link);
    list_remove(&link);
    assert_true(list_is_empty(&link));
    list_remove(&link);
    assert_true(list_is_empty(&link));
    assert_true(list_is_empty(&head));
}

static void the_container_is_found_from_its_link(void **state) {
    (void)state;
    struct item item = {.name = 'q'};
    struct list *link = &item.link;
    assert_ptr_equal(CONTAINER_OF(link, struct item, link), &item);
}

int list_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(keeps_the_order_of_appending_through_any_removals),
        cmocka_unit_test(a_removed_link_is_on_no_list_and_may_be_removed_again),
        cmocka_unit_test(the_container_is_found_from_its_link),
    };
    return cmocka_run_group_tests_name("list", cases, NULL, NULL);
}
