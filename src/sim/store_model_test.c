// SPDX-License-Identifier: Apache-2.0
//
// The store against a map, with power gone at every request: all sequences of up to three
// operations, and long ones drawn at random.
#include "sim/store_model_case.h"

#include <inttypes.h>

enum {
    LONG_LENGTH = 120,
    LONG_SEQUENCES = 1000, // of which one in test_every() is played
    LONG_EVERY = 200,      // images of them are tried, one in so many
    RECOVERY_EFFECTS = 24, // of opening, at most
};

static struct counts {
    uint64_t sequences;
    uint64_t images;
    uint64_t again; // of these, crashed once more on the way back
} counts;

static void report(const char *what) {
    print_message("%s: %llu sequences, %llu crash images, %llu of them crashed again on the way "
                  "back, 0 lost anything\n",
                  what, (unsigned long long)counts.sequences, (unsigned long long)counts.images,
                  (unsigned long long)counts.again);
    counts = (struct counts){0};
}

// Crashing.

static void open_sound(struct model *m) {
    assert_int_equal(shop_open(m->shop), ST_OK);
    struct store_stats stats = store_stats(m->shop->store);
    assert_false(stats.was_damaged);
    assert_int_equal(stats.damaged, 0);
    assert_int_equal(stats.recounts, 0); // the facts of the last flush were there
    assert_int_equal(model_check(m), 0);
}

// Power goes once more while the store opens, at any request.
static void crash_on_the_way_back(struct model *m, uint64_t effects) {
    shop_begin(m->shop);
    uint64_t last = machine_disk_effects(m->shop->machine) + effects;
    while (!m->shop->is_opened && machine_disk_effects(m->shop->machine) < last) {
        assert_true(shop_step(m->shop, UINT64_MAX));
    }
    machine_power_loss(m->shop->machine);
    counts.again++;
}

static void go_on(struct model *m) {
    for (uint32_t operation = MODEL_PUT; operation <= MODEL_FLUSH; operation++) {
        model_perform(m, (enum model_operation)operation);
    }
    assert_int_equal(m->refused, 0);
    assert_int_equal(model_reopen(m), ST_OK);
    assert_int_equal(model_check(m), 0);
}

// What a power loss now would leave opens, holds what it must, and can be gone on with.
static void try_image(struct model *m, uint32_t personality) {
    uint64_t hash = hash_number(m->salt ^ hash_number(m->number));
    struct model *twin = model_fork(m, hash, personality);
    counts.images++;
    if (hash % 2 == 0) crash_on_the_way_back(twin, hash / 2 % RECOVERY_EFFECTS);
    open_sound(twin);
    if (hash / 64 % 4 == 0) { // what was shown stays
        machine_power_loss(twin->shop->machine);
        open_sound(twin);
    }
    if (hash / 256 % 4 == 0) go_on(twin);
    model_free(twin);
}

static void on_effect(struct shop *shop) {
    struct model *m = shop->context;
    for (uint32_t personality = 0; personality < DISK_PERSONALITIES; personality++) {
        m->number++;
        if (hash_number(m->salt + m->number) % m->every != 0) continue;
        try_image(m, personality);
    }
}

// All short sequences.

static void play(const struct model *start, uint32_t number, bool waits, bool is_slow) {
    struct model_sequence s;
    assert_true(model_sequence_of(number, &s));
    struct model *m = model_fork(start, test_seed() + number, DISK_ORDERED);
    m->waits = waits;
    m->turn += number;
    m->every = test_every();
    m->salt = hash_number(test_seed() * 4 + (waits ? 2 : 0) + (is_slow ? 1 : 0)) ^ number;
    // A request overtakes many others now and then.
    if (is_slow) world_options(m->shop->world)->rates[FAULT_DISK_SLOW] = FAULT_CERTAIN / 8;
    m->shop->on_effect = on_effect;
    m->shop->effects = machine_disk_effects(m->shop->machine);
    assert_int_equal(shop_open(m->shop), ST_OK);
    model_perform_all(m, s.operations, s.length);
    model_settle(m);
    m->shop->on_effect = NULL;
    assert_int_equal(model_check(m), 0);
    assert_int_equal(m->refused, 0);
    counts.sequences++;
    model_free(m);
}

// How the operations of a sequence follow each other.
struct manner {
    const char *name;
    bool waits;
    bool is_slow;
};

enum { MANNERS = 4 };

// Not const: cmocka hands each to its case.
static struct manner manners[MANNERS] = {
    {"one after the other", true, false},
    {"at once", false, false},
    {"one after the other, slow disk", true, true},
    {"at once, slow disk", false, true},
};

static void short_sequences(const struct model *start, const char *from,
                            const struct manner *manner) {
    struct model_sequence s;
    for (uint32_t number = 0; model_sequence_of(number, &s); number++) {
        bool is_its_turn = manner == &manners[hash_number(test_seed() + number) % MANNERS];
        if (test_every() > 1 && !is_its_turn) continue;
        snprintf(model_where, sizeof(model_where), "%s, %s: sequence=%u", from, manner->name,
                 number);
        play(start, number, manner->waits, manner->is_slow);
    }
    model_where[0] = '\0';
}

static void every_short_sequence_from_nothing_survives_every_crash(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    struct model *start = model_new(test_seed(), &options);
    for (uint32_t i = 0; i < MANNERS; i++) short_sequences(start, "from nothing", &manners[i]);
    report("from nothing");
    model_free(start);
}

// A case for each manner: all of them take long.
static void every_short_sequence_from_tables_survives_every_crash(void **state) {
    const struct manner *manner = *state;
    struct model *start = model_prepare();
    short_sequences(start, "from tables", manner);
    char what[64];
    snprintf(what, sizeof(what), "from tables, %s", manner->name);
    report(what);
    model_free(start);
}

// Long ones.

static void make_random(struct model *m) {
    struct rng *rng = &m->shop->rng;
    struct store_options *o = &m->shop->options;
    o->memory_max = 0; // the least there is
    o->flush_size = rng_spread(rng, 400, 16384);
    o->table_size = rng_spread(rng, 500, 20000);
    o->block_size = (uint32_t)rng_spread(rng, 64, 4096);
    o->lookups_max = (uint32_t)rng_spread(rng, 1, 16);
    o->codec = rng_chance(rng, 1, 2) ? CODEC_LZ4 : CODEC_NONE;
    o->sync_interval_ns = rng_chance(rng, 1, 4) ? rng_spread(rng, NS_PER_MS, NS_PER_SECOND) : 0;
    struct world_options *w = world_options(m->shop->world);
    w->rates[FAULT_DISK_SLOW] = rng_chance(rng, 1, 2) ? FAULT_CERTAIN / 10 : 0;
    w->slow_max = NS_PER_SECOND;
}

static enum model_operation draw(struct rng *rng) {
    if (rng_chance(rng, 1, 24)) return MODEL_DROP;
    static const enum model_operation operations[16] = {
        MODEL_PUT,       MODEL_PUT,       MODEL_PUT,       MODEL_OVERWRITE,
        MODEL_OVERWRITE, MODEL_OVERWRITE, MODEL_OVERWRITE, MODEL_OVERWRITE,
        MODEL_OVERWRITE, MODEL_DELETE,    MODEL_DELETE,    MODEL_DELETE,
        MODEL_FLUSH,     MODEL_FLUSH,     MODEL_COMPACT,   MODEL_REOPEN,
    };
    return operations[rng_below(rng, 16)];
}

static void play_long(uint64_t seed) {
    struct world_options options = world_quiet();
    struct model *m = model_new(seed, &options);
    make_random(m);
    m->every = LONG_EVERY;
    m->salt = hash_number(seed);
    m->shop->on_effect = on_effect;
    assert_int_equal(shop_open(m->shop), ST_OK);
    for (uint32_t i = 0; i < LONG_LENGTH; i++) {
        enum model_operation operation = draw(&m->shop->rng);
        m->waits = rng_chance(&m->shop->rng, 1, 8) || m->busy > MODEL_WRITES / 2;
        model_perform_all(m, &operation, 1);
    }
    model_settle(m);
    m->shop->on_effect = NULL;
    assert_int_equal(model_check(m), 0);
    assert_int_equal(m->refused, 0);
    counts.sequences++;
    model_free(m);
}

static void long_sequences_survive_crashes(void **state) {
    (void)state;
    uint64_t count = LONG_SEQUENCES / test_every();
    for (uint64_t i = 0; i < count; i++) {
        snprintf(model_where, sizeof(model_where), "long seed=%" PRIu64, test_seed() + i);
        play_long(test_seed() + i);
    }
    model_where[0] = '\0';
    report("long");
}

// Tables so small beside the base that they are merged with each other long before that is.
static void play_above_a_base(uint64_t seed) {
    struct world_options options = world_quiet();
    struct model *m = model_new(seed, &options);
    m->large_from = m->targets = 8;
    m->shop->options.flush_size = 1;
    m->shop->options.table_size = UINT64_C(64) * 1024;
    assert_int_equal(shop_open(m->shop), ST_OK);
    for (uint32_t i = 1; i < MODEL_KEYS; i++) model_perform(m, MODEL_PUT);
    model_perform(m, MODEL_COMPACT);
    assert_true(store_stats(m->shop->store).table_count < 5);
    m->every = LONG_EVERY;
    m->salt = hash_number(seed);
    m->shop->on_effect = on_effect;
    for (uint32_t i = 0; i < 70; i++) {
        enum model_operation operation = draw(&m->shop->rng);
        bool is_change = operation == MODEL_OVERWRITE || operation == MODEL_DELETE;
        m->waits = rng_chance(&m->shop->rng, 1, 2) || m->busy > MODEL_WRITES / 2;
        if (is_change) model_perform_all(m, &operation, 1);
    }
    model_settle(m);
    m->shop->on_effect = NULL;
    assert_int_equal(model_check(m), 0);
    counts.sequences++;
    model_free(m);
}

static void merges_above_the_base_lose_nothing(void **state) {
    (void)state;
    uint64_t count = LONG_SEQUENCES / test_every() / 4;
    for (uint64_t i = 0; i < count; i++) {
        snprintf(model_where, sizeof(model_where), "above seed=%" PRIu64, test_seed() + i);
        play_above_a_base(test_seed() + i);
    }
    model_where[0] = '\0';
    report("above a base");
}

static struct CMUnitTest from_tables(struct manner *manner) {
    return (struct CMUnitTest){
        .name = "every_short_sequence_from_tables_survives_every_crash",
        .test_func = every_short_sequence_from_tables_survives_every_crash,
        .teardown_func = model_tell_where,
        .initial_state = manner,
    };
}

int store_model_test(void) {
    const struct CMUnitTest cases[] = {
        from_tables(&manners[0]),
        from_tables(&manners[1]),
        from_tables(&manners[2]),
        from_tables(&manners[3]),
        cmocka_unit_test_teardown(every_short_sequence_from_nothing_survives_every_crash,
                                  model_tell_where),
        cmocka_unit_test_teardown(long_sequences_survive_crashes, model_tell_where),
        cmocka_unit_test_teardown(merges_above_the_base_lose_nothing, model_tell_where),
    };
    return cmocka_run_group_tests_name("store_model", cases, NULL, NULL);
}
