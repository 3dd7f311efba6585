// SPDX-License-Identifier: Apache-2.0
//
// The judge of keys whose keyspaces come and go: what it lets pass, and what it does not.
#include "sim/tenancy.h"

#include "base/text.h"
#include "tests/test.h"

#include <string.h>

enum { EAST, WEST };

struct court {
    struct oracle oracle;
    struct tenancy tenancy;
    uint32_t key;
};

static struct court *court_new(void) {
    static struct court court;
    oracle_init(&court.oracle);
    tenancy_init(&court.tenancy, &court.oracle);
    court.key = tenancy_add_key(&court.tenancy, "east:1", EAST);
    return &court;
}

static void court_free(struct court *c) {
    tenancy_free(&c->tenancy);
    oracle_free(&c->oracle);
}

static uint32_t write_from(struct court *c, bool is_delete, uint64_t begin, uint64_t end,
                           enum outcome outcome) {
    uint32_t write = tenancy_begin_write(&c->tenancy, c->key, is_delete, begin);
    if (outcome != OUTCOME_PENDING) tenancy_end_write(&c->tenancy, write, outcome, end);
    return write;
}

static uint32_t set(struct court *c, uint64_t begin, uint64_t end, enum outcome outcome) {
    return write_from(c, false, begin, end, outcome);
}

static uint32_t del(struct court *c, uint64_t begin, uint64_t end, enum outcome outcome) {
    return write_from(c, true, begin, end, outcome);
}

static void flush(struct court *c, uint64_t begin, uint64_t end, enum outcome outcome) {
    uint32_t number = tenancy_begin_flush(&c->tenancy, begin);
    if (outcome != OUTCOME_PENDING) tenancy_end_flush(&c->tenancy, number, outcome, end);
}

// Whether the judge objects, and with that word.
static bool objects(struct court *c, const char *word) {
    bool has_failed = c->oracle.has_failed;
    if (has_failed) assert_non_null(strstr(c->oracle.failure, word));
    c->oracle.has_failed = false;
    return has_failed;
}

static bool read_is_wrong(struct court *c, uint64_t begin, uint32_t write) {
    char value[TENANCY_VALUE_MAX] = "";
    if (write != ORACLE_NONE) tenancy_value(write, value);
    struct slice found = write == ORACLE_NONE ? (struct slice){0} : slice_of_string(value);
    tenancy_judge_read(&c->tenancy, c->key, begin, found);
    return objects(c, "O28");
}

static bool move_is_wrong(struct court *c, uint32_t prefix, uint64_t begin) {
    tenancy_judge_move(&c->tenancy, prefix, begin);
    return objects(c, "O29");
}

static void a_value_that_nobody_wrote_to_the_key_is_wrong(void **state) {
    (void)state;
    struct court *c = court_new();
    uint32_t other = tenancy_add_key(&c->tenancy, "east:2", EAST);
    uint32_t mine = set(c, 1, 2, OUTCOME_UNKNOWN);
    uint32_t gone = del(c, 1, 2, OUTCOME_UNKNOWN);
    uint32_t refused = set(c, 1, 2, OUTCOME_NOT_DONE);
    assert_false(read_is_wrong(c, 3, mine));
    assert_false(read_is_wrong(c, 3, ORACLE_NONE));
    assert_true(read_is_wrong(c, 3, gone));
    assert_true(read_is_wrong(c, 3, refused));
    assert_true(read_is_wrong(c, 3, refused + 1));
    c->key = other;
    assert_true(read_is_wrong(c, 3, mine));
    assert_false(read_is_wrong(c, 3, ORACLE_NONE));
    static const char *const strange[] = {"", "t", "t1x", "x1", "w1."};
    for (uint32_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
        tenancy_judge_read(&c->tenancy, c->key, 3, slice_of_string(strange[i]));
        assert_true(objects(c, "never written"));
    }
    court_free(c);
}

static void what_was_done_is_there_while_nothing_can_have_replaced_it(void **state) {
    (void)state;
    static const struct {
        bool is_delete;
        uint64_t begin;
        uint64_t end;
        enum outcome outcome;
        bool is_excuse;
    } others[] = {
        {false, 1, 9, OUTCOME_OK, false},     {false, 1, 11, OUTCOME_OK, true},
        {false, 1, 0, OUTCOME_PENDING, true}, {false, 1, 2, OUTCOME_UNKNOWN, true},
        {false, 12, 18, OUTCOME_OK, true},    {false, 12, 18, OUTCOME_NOT_DONE, false},
        {true, 1, 9, OUTCOME_OK, false},      {true, 25, 0, OUTCOME_PENDING, true},
        {true, 1, 9, OUTCOME_UNKNOWN, true},
    };
    for (uint32_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct court *c = court_new();
        uint32_t write = set(c, 10, 20, OUTCOME_OK);
        (void)write_from(c, others[i].is_delete, others[i].begin, others[i].end, others[i].outcome);
        assert_false(read_is_wrong(c, 30, write));
        assert_int_equal(read_is_wrong(c, 30, ORACLE_NONE), !others[i].is_excuse);
        assert_int_equal(c->tenancy.counts.certain, others[i].is_excuse ? 0 : 2);
        assert_false(read_is_wrong(c, 15, ORACLE_NONE)); // it had not ended yet
        court_free(c);
    }
}

static void what_was_replaced_does_not_come_back(void **state) {
    (void)state;
    for (uint32_t is_delete = 0; is_delete < 2; is_delete++) {
        struct court *c = court_new();
        uint32_t first = set(c, 1, 2, OUTCOME_OK);
        uint32_t late = set(c, 1, 12, OUTCOME_OK);
        uint32_t lost = set(c, 1, 2, OUTCOME_UNKNOWN);
        uint32_t second = write_from(c, is_delete == 1, 10, 20, OUTCOME_OK);
        assert_true(read_is_wrong(c, 21, first));
        assert_false(read_is_wrong(c, 20, first)); // at the same time
        assert_false(read_is_wrong(c, 21, late));
        assert_false(read_is_wrong(c, 21, lost));
        if (is_delete == 0) assert_false(read_is_wrong(c, 21, second));
        court_free(c);
    }
}

static void what_was_flushed_does_not_come_back(void **state) {
    (void)state;
    struct court *c = court_new();
    uint32_t before = set(c, 1, 2, OUTCOME_OK);
    uint32_t meanwhile = set(c, 1, 12, OUTCOME_OK);
    assert_false(read_is_wrong(c, 13, before));
    flush(c, 10, 20, OUTCOME_OK);
    assert_false(read_is_wrong(c, 20, before));
    assert_true(read_is_wrong(c, 21, before));
    assert_false(read_is_wrong(c, 21, meanwhile));
    assert_false(read_is_wrong(c, 21, ORACLE_NONE));
    uint32_t after = set(c, 22, 23, OUTCOME_OK);
    assert_false(read_is_wrong(c, 24, after));
    assert_true(read_is_wrong(c, 24, ORACLE_NONE));
    court_free(c);
}

static void a_flush_excuses_what_is_lost_until_it_is_over(void **state) {
    (void)state;
    struct court *c = court_new();
    flush(c, 1, 2, OUTCOME_UNKNOWN);
    uint32_t write = set(c, 10, 20, OUTCOME_OK);
    assert_false(read_is_wrong(c, 30, ORACLE_NONE));
    assert_false(read_is_wrong(c, 30, write)); // nobody knows whether it was flushed
    tenancy_settle(&c->tenancy, 9);
    assert_true(read_is_wrong(c, 30, ORACLE_NONE));
    flush(c, 5, 0, OUTCOME_PENDING);
    assert_false(read_is_wrong(c, 30, ORACLE_NONE));
    court_free(c);

    c = court_new();
    flush(c, 1, 25, OUTCOME_NOT_DONE);
    write = set(c, 10, 20, OUTCOME_OK);
    assert_true(read_is_wrong(c, 30, ORACLE_NONE));
    assert_false(read_is_wrong(c, 30, write));
    court_free(c);
}

static void a_keyspace_with_keys_is_not_moved(void **state) {
    (void)state;
    struct court *c = court_new();
    assert_false(move_is_wrong(c, EAST, 5));
    (void)set(c, 10, 20, OUTCOME_OK);
    assert_false(move_is_wrong(c, EAST, 20)); // it had not been acknowledged
    assert_true(move_is_wrong(c, EAST, 21));
    assert_false(move_is_wrong(c, WEST, 21));
    (void)set(c, 22, 23, OUTCOME_UNKNOWN);
    (void)del(c, 22, 23, OUTCOME_NOT_DONE);
    (void)del(c, 1, 5, OUTCOME_OK);
    assert_true(move_is_wrong(c, EAST, 30)); // one value or the other is there
    (void)del(c, 30, 0, OUTCOME_PENDING);
    assert_false(move_is_wrong(c, EAST, 31));
    court_free(c);

    c = court_new();
    (void)set(c, 10, 20, OUTCOME_OK);
    flush(c, 15, 18, OUTCOME_UNKNOWN);
    assert_false(move_is_wrong(c, EAST, 30));
    court_free(c);
}

int tenancy_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_value_that_nobody_wrote_to_the_key_is_wrong),
        cmocka_unit_test(what_was_done_is_there_while_nothing_can_have_replaced_it),
        cmocka_unit_test(what_was_replaced_does_not_come_back),
        cmocka_unit_test(what_was_flushed_does_not_come_back),
        cmocka_unit_test(a_flush_excuses_what_is_lost_until_it_is_over),
        cmocka_unit_test(a_keyspace_with_keys_is_not_moved),
    };
    return cmocka_run_group_tests_name("tenancy", cases, NULL, NULL);
}
