// SPDX-License-Identifier: Apache-2.0
//
// The store against a map, with one thing going wrong at the k-th occasion for it, for every k.
#include "sim/store_model_case.h"

struct kind {
    const char *name;
    enum fault fault;
    bool is_a_lie; // the disk said OK, or gives back what it was not given
    uint64_t sync_interval_ns;
};

// Not const: cmocka hands each to its case.
static struct kind kinds[] = {
    {"write fails", FAULT_DISK_WRITE_ERROR, false, 0},
    {"sync fails", FAULT_DISK_SYNC_ERROR, false, 0},
    {"sync fails, later", FAULT_DISK_SYNC_ERROR, false, 50 * NS_PER_MS},
    {"read fails", FAULT_DISK_READ_ERROR, false, 0},
    {"no space", FAULT_DISK_FULL, false, 0},
    {"no descriptor", FAULT_DESCRIPTORS, false, 0},
    {"bit rot", FAULT_DISK_ROT, true, 0},
    {"misdirected write", FAULT_DISK_MISDIRECT, true, 0},
    {"write never made", FAULT_DISK_PHANTOM, true, 0},
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

// Opens; where the one fault prevents that, once more. False: what there is is refused, which only
// a lie of the disk may lead to.
static bool open_somehow(struct model *m) {
    enum status status = shop_open(m->shop);
    if (status != ST_OK) {
        assert_int_equal(machine_open_things(m->shop->machine).files, 0);
        machine_kill(m->shop->machine);
        status = shop_open(m->shop);
    }
    if (m->may_be_damaged && status == ST_CORRUPT) return false;
    assert_int_equal(status, ST_OK);
    if (!m->may_be_damaged) assert_false(store_stats(m->shop->store).was_damaged);
    return true;
}

static bool perform_somehow(struct model *m, enum model_operation operation) {
    if (operation != MODEL_REOPEN) {
        model_perform(m, operation);
        return true;
    }
    model_end(m);
    // What was acknowledged and never synced may be gone, for good.
    for (uint32_t i = 0; i < MODEL_KEYS; i++) m->keys[i].told = m->keys[i].acked;
    if (!open_somehow(m)) return false;
    if (m->shop->options.sync_interval_ns > 0) assert_int_equal(model_check(m), 0);
    return true;
}

// What is missing was noticed: else it looks like what was never synced, which the last batch may,
// and then no dot of it is minted again.
static void check(struct model *m, uint32_t epoch) {
    uint32_t lost = model_check(m);
    if (lost == 0 || store_stats(m->shop->store).was_damaged) return;
    assert_int_equal(lost, 1);
    assert_true(store_actor(m->shop->store).epoch > epoch);
}

// Another write, now that nothing goes wrong any more.
static void go_on(struct model *m) {
    bool is_failed = store_stats(m->shop->store).is_failed;
    uint64_t refused = m->refused;
    model_perform(m, MODEL_PUT);
    if (!m->may_be_damaged) assert_int_equal(m->refused > refused, is_failed);
}

// Ends one way or another, and starts.
static void end_and_check(struct model *m, uint32_t k, uint32_t epoch) {
    if (k % 2 == 0) {
        machine_power_loss(m->shop->machine);
    } else {
        machine_kill(m->shop->machine);
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (!open_somehow(m)) return;
        check(m, epoch);
        go_on(m);
        check(m, epoch);
        model_settle(m);
        machine_power_loss(m->shop->machine);
    }
}

// Goes through the sequence with the fault at its k-th occasion. False: there were fewer.
static bool suffer(const struct model *start, const struct model_sequence *s, uint32_t kind,
                   uint32_t k) {
    struct model *m = model_fork(start, test_seed() + k, k / 2 % DISK_PERSONALITIES);
    struct machine *machine = m->shop->machine;
    enum fault fault = kinds[kind].fault;
    m->may_be_damaged = kinds[kind].is_a_lie;
    // With an interval, so that there is something to sync when the process ends.
    bool may_wait = kinds[kind].sync_interval_ns == 0 && k % 3 > 0;
    m->waits = m->may_be_damaged || may_wait;
    m->turn += k;
    m->shop->options.sync_interval_ns = kinds[kind].sync_interval_ns;
    uint64_t before = world_fault_count(m->shop->world, fault);
    machine_plan_fault(machine, fault, k);
    bool is_open = open_somehow(m);
    uint32_t epoch = is_open ? store_actor(m->shop->store).epoch : 0;
    for (uint32_t i = 0; i < s->length && is_open; i++) {
        is_open = perform_somehow(m, s->operations[i]);
    }
    m->waits = true;
    if (is_open) {
        model_settle(m);
        machine_plan_fault(machine, fault, 0);
        check(m, epoch);
        // Where there was no room for a segment, it looks once a second.
        if (fault == FAULT_DISK_FULL) shop_run(m->shop, 3 * NS_PER_SECOND);
        go_on(m);
        end_and_check(m, k, epoch);
    }
    bool happened = world_fault_count(m->shop->world, fault) > before;
    model_free(m);
    return happened;
}

static uint32_t suffer_at_every_occasion(const struct model *start, const struct model_sequence *s,
                                         uint32_t kind) {
    uint32_t k = 1;
    do {
        snprintf(model_where, sizeof(model_where), "%s k=%u length=%u operations=%u%u%u",
                 kinds[kind].name, k, s->length, s->operations[0],
                 s->length > 1 ? s->operations[1] : 0, s->length > 2 ? s->operations[2] : 0);
    } while (suffer(start, s, kind, k++));
    model_where[0] = '\0';
    return k - 2;
}

// One sequence that goes through everything, and a share of all short ones.
static void suffer_everywhere(uint32_t kind, const struct model *start) {
    static const struct model_sequence whole = {
        .length = 10,
        .operations = {MODEL_OVERWRITE, MODEL_FLUSH, MODEL_PUT, MODEL_DELETE, MODEL_COMPACT,
                       MODEL_REOPEN, MODEL_FLUSH, MODEL_DELETE, MODEL_REOPEN, MODEL_PUT},
    };
    uint64_t occasions = suffer_at_every_occasion(start, &whole, kind);
    assert_true(occasions > 5);
    uint64_t sequences = 1;
    struct model_sequence s;
    for (uint32_t number = 0; model_sequence_of(number, &s); number++) {
        if (hash_number(test_seed() * KINDS + kind + number) % test_every() != 0) continue;
        occasions += suffer_at_every_occasion(start, &s, kind);
        sequences++;
    }
    print_message("%s: at each of %llu occasions in %llu sequences, 0 failed\n", kinds[kind].name,
                  (unsigned long long)occasions, (unsigned long long)sequences);
}

// A case for each kind: all occasions take long.
static void suffer_one(void **state) {
    const struct kind *kind = *state;
    struct model *start = model_prepare();
    suffer_everywhere((uint32_t)(kind - kinds), start);
    model_free(start);
}

// A disk that is full from any request on, for a while.

static void on_effect(struct shop *shop) {
    struct model *m = shop->context;
    if (m->number == 0 || --m->number > 0) return;
    machine_set_quota(shop->machine, disk_used(machine_disk(shop->machine)));
}

static void open_though_full(struct model *m) {
    enum status status = shop_open(m->shop);
    if (status == ST_OK) return;
    assert_int_equal(status, ST_NO_SPACE);
    machine_kill(m->shop->machine);
    machine_set_quota(m->shop->machine, UINT64_MAX);
    assert_int_equal(shop_open(m->shop), ST_OK);
}

// False: there were fewer requests.
static bool fill_up(const struct model *start, const struct model_sequence *s, uint32_t k) {
    struct model *m = model_fork(start, test_seed() + k, k % DISK_PERSONALITIES);
    struct machine *machine = m->shop->machine;
    m->turn += k;
    m->number = k;
    m->shop->on_effect = on_effect;
    open_though_full(m);
    for (uint32_t i = 0; i < s->length; i++) {
        if (s->operations[i] == MODEL_REOPEN) {
            model_end(m);
            open_though_full(m);
        } else {
            model_perform(m, s->operations[i]);
        }
    }
    bool happened = m->number == 0;
    m->shop->on_effect = NULL;
    assert_int_equal(model_check(m), 0);
    if (k % 2 == 0) {
        machine_power_loss(machine);
        open_though_full(m);
        assert_int_equal(model_check(m), 0);
    }
    assert_false(store_stats(m->shop->store).is_failed);
    machine_set_quota(machine, UINT64_MAX);
    shop_run(m->shop, 3 * NS_PER_SECOND); // as above
    go_on(m);
    end_and_check(m, k, 0);
    model_free(m);
    return happened;
}

static void a_disk_full_from_any_request_on_loses_nothing(void **state) {
    (void)state;
    struct model *start = model_prepare();
    uint64_t occasions = 0;
    uint64_t sequences = 0;
    struct model_sequence s;
    for (uint32_t number = 0; model_sequence_of(number, &s); number++) {
        if (hash_number(test_seed() * KINDS + number) % test_every() != 0) continue;
        uint32_t k = 1;
        do {
            snprintf(model_where, sizeof(model_where), "full k=%u sequence=%u", k, number);
        } while (fill_up(start, &s, k++));
        occasions += k - 2;
        sequences++;
    }
    model_where[0] = '\0';
    print_message("disk full: from each of %llu requests on in %llu sequences, 0 failed\n",
                  (unsigned long long)occasions, (unsigned long long)sequences);
    model_free(start);
}

static struct CMUnitTest case_of(struct kind *kind) {
    return (struct CMUnitTest){
        .name = kind->is_a_lie ? "one_lie_at_any_occasion_is_never_served"
                               : "one_failure_at_any_occasion_loses_nothing",
        .test_func = suffer_one,
        .teardown_func = model_tell_where,
        .initial_state = kind,
    };
}

int store_kth_test(void) {
    const struct CMUnitTest cases[] = {
        case_of(&kinds[0]),
        case_of(&kinds[1]),
        case_of(&kinds[2]),
        case_of(&kinds[3]),
        case_of(&kinds[4]),
        case_of(&kinds[5]),
        case_of(&kinds[6]),
        case_of(&kinds[7]),
        case_of(&kinds[8]),
        cmocka_unit_test_teardown(a_disk_full_from_any_request_on_loses_nothing, model_tell_where),
    };
    return cmocka_run_group_tests_name("store_kth", cases, NULL, NULL);
}
