// SPDX-License-Identifier: Apache-2.0
//
// store_model_case.h -- a store beside a map of what it must hold, to be broken in very many
// places.
//
// A model is a store (in a shop, which is where its process lives) and a map that outlives the
// process. Of each key the map knows which versions were asked for, the removals among them, and
// the newest one that was acknowledged or shown: what the store holds is that one or a newer one.
//
//     struct model *twin = model_fork(m, seed, personality);   // what power loss now would leave
//
// A fork is another world, so the run that it was taken from goes on as if nothing had happened: a
// sequence of operations runs once, and is crashed at each of its requests, on each kind of disk.
#ifndef QUOIT_SIM_STORE_MODEL_CASE_H
#define QUOIT_SIM_STORE_MODEL_CASE_H

#include "base/hash.h"
#include "sim/store_case.h"

enum {
    MODEL_KEYS = 32,
    MODEL_VERSIONS = 256, // of a key
    MODEL_WRITES = 16,    // at a time
    MODEL_VALUE_MAX = 8192,
    MODEL_FILLER = 0, // the key whose values are so large that a flush follows
    MODEL_FILLER_SIZE = 2500,
    MODEL_FLUSH_SIZE = 2400,
    MODEL_SEQUENCE_MAX = 3, // of all that there are
    MODEL_SEQUENCE_ROOM = 12,
    MODEL_KEYSPACES_MAX = 2 * SHOP_KEYSPACES, // with those that are being dropped
};

#define MODEL_NONE UINT32_MAX

enum model_operation {
    MODEL_PUT, // a new key
    MODEL_OVERWRITE,
    MODEL_DELETE,
    MODEL_FLUSH,
    MODEL_COMPACT,
    MODEL_REOPEN,
    MODEL_DROP,
    MODEL_OPERATIONS,
};

struct model_key {
    uint32_t asked; // highest version that a write was begun for; 0, that there is none, is one
    uint32_t acked; // what the store holds is this one or a later one
    uint32_t told;  // the highest that was acknowledged; more than `acked` while it may be lost
    uint64_t removals[MODEL_VERSIONS / 64];
};

struct model_write {
    struct store_write write;
    struct model *model;
    bool is_busy;
    uint32_t key;
    uint32_t version;
    char name[16];
};

struct model {
    struct shop *shop;
    struct model_key keys[MODEL_KEYS];
    struct model_write writes[MODEL_WRITES];
    uint32_t busy;
    uint32_t turn;       // of those that choose a key
    uint32_t targets;    // keys are chosen below this
    uint32_t large_from; // keys have large values from this on
    bool waits;          // each operation is over before the next begins
    bool may_be_damaged; // the disk broke its word: what is missing has to be noticed
    bool is_dropping;    // asked for, and perhaps done
    bool is_asked;       // of this process
    uint32_t dropping;   // which keyspace
    uint32_t drop_turn;
    uint64_t refused;
    uint8_t value[MODEL_VALUE_MAX];

    // Of whoever forks it.
    uint64_t every;  // it does so one time in so many
    uint64_t number; // of the next fork
    uint64_t salt;
};

static inline struct store_options model_options(void) {
    return (struct store_options){
        .segment_size = UINT64_C(96) * 1024,
        .seed = 7,
        .record_size_max = MODEL_VALUE_MAX,
        .keyspaces_max = MODEL_KEYSPACES_MAX,
        .flush_size = MODEL_FLUSH_SIZE,
        .table_size = 700, // some for each merge into the base
        .block_size = 200,
        .lookups_max = 4,
    };
}

static inline struct model *model_new(uint64_t seed, const struct world_options *options) {
    struct model *m = calloc(1, sizeof(*m));
    m->shop = shop_new(seed, options);
    m->shop->options = model_options();
    m->shop->context = m;
    m->waits = true;
    m->targets = m->large_from = MODEL_KEYS;
    return m;
}

static inline void model_free(struct model *m) {
    shop_free(m->shop);
    free(m);
}

// What would be found after a power loss, on a disk of that personality.
static inline struct model *model_fork(const struct model *m, uint64_t seed, uint32_t personality) {
    struct world_options options = world_quiet();
    options.personality = (int32_t)personality;
    struct model *twin = model_new(seed, &options);
    twin->shop->options = m->shop->options;
    memcpy(twin->keys, m->keys, sizeof(m->keys));
    twin->turn = m->turn;
    twin->targets = m->targets;
    twin->large_from = m->large_from;
    twin->is_dropping = m->is_dropping;
    twin->dropping = m->dropping;
    twin->drop_turn = m->drop_turn;
    memcpy(twin->shop->drops, m->shop->drops, sizeof(m->shop->drops));
    machine_restore(twin->shop->machine, machine_disk(m->shop->machine));
    machine_power_loss(twin->shop->machine);
    return twin;
}

// Versions.

static inline bool model_is_removal(const struct model *m, uint32_t key, uint32_t version) {
    return version == 0 || (m->keys[key].removals[version / 64] >> version % 64 & 1) != 0;
}

static inline size_t model_value(const struct model *m, uint32_t key, uint32_t version,
                                 uint8_t value[MODEL_VALUE_MAX]) {
    struct rng rng = {UINT64_C(1000003) * key + version};
    size_t size = 8 + rng_below(&rng, rng_chance(&rng, 1, 6) ? 900 : 90);
    if (key >= m->large_from) size = MODEL_VALUE_MAX - rng_below(&rng, 900);
    if (key == MODEL_FILLER) size = MODEL_FILLER_SIZE + rng_below(&rng, 600);
    memcpy(value, &key, 4);
    memcpy(value + 4, &version, 4);
    for (size_t i = 8; i < size; i++) value[i] = (uint8_t)(key + version + i);
    return size;
}

// Which version of those from `from` to `upto` the bytes are; MODEL_NONE: none of them. Fails when
// they were never asked for.
static inline uint32_t model_version(struct model *m, uint32_t key, struct slice bytes,
                                     uint32_t from, uint32_t upto) {
    uint32_t version = from;
    if (bytes.size == 0) {
        while (version <= upto && !model_is_removal(m, key, version)) version++;
        return version <= upto ? version : MODEL_NONE;
    }
    assert_true(bytes.size >= 8);
    memcpy(&version, bytes.data + 4, 4);
    uint8_t value[MODEL_VALUE_MAX];
    size_t size = model_value(m, key, version, value);
    assert_true(slice_equal(bytes, (struct slice){value, size}));
    assert_true(version <= m->keys[key].asked);
    assert_false(model_is_removal(m, key, version));
    return version >= from && version <= upto ? version : MODEL_NONE;
}

// Writing.

static inline enum status model_apply(struct store_write *write, struct slice old,
                                      struct slice *new) {
    struct model_write *w = CONTAINER_OF(write, struct model_write, write);
    struct model *m = w->model;
    uint32_t from = m->may_be_damaged ? 0 : m->keys[w->key].acked;
    uint32_t seen = model_version(m, w->key, old, from, w->version - 1);
    assert_int_not_equal(seen, MODEL_NONE); // nothing is forgotten
    *new = (struct slice){NULL, 0};
    if (model_is_removal(m, w->key, w->version)) return ST_OK;
    *new = (struct slice){m->value, model_value(m, w->key, w->version, m->value)};
    return ST_OK;
}

static inline void on_model_written(struct store_write *write) {
    struct model_write *w = CONTAINER_OF(write, struct model_write, write);
    struct model_key *key = &w->model->keys[w->key];
    w->is_busy = false;
    w->model->busy--;
    if (write->status != ST_OK) {
        w->model->refused++;
        return;
    }
    if (key->told < w->version) key->told = w->version;
    bool is_late = w->model->shop->options.sync_interval_ns > 0;
    if (!is_late && key->acked < key->told) key->acked = key->told;
}

// Dropping: the keys of the keyspace are removed, all at once.

static inline bool model_is_of(const struct model *m, uint32_t key, uint32_t keyspace) {
    return shop_keyspace_of(m->shop, key % m->shop->partitions) == keyspace;
}

static inline void model_note_removal(struct model *m, uint32_t key) {
    uint32_t version = ++m->keys[key].asked;
    assert_true(version < MODEL_VERSIONS);
    m->keys[key].removals[version / 64] |= UINT64_C(1) << version % 64;
}

// After a failure that leaves everything as it was the store goes on; after another it is not known
// what the next start finds.
static inline void on_model_dropped(void *context, enum status status) {
    struct model *m = context;
    m->is_asked = false;
    if (status != ST_OK) {
        m->is_dropping = store_stats(m->shop->store).is_failed;
        return;
    }
    m->is_dropping = false;
    m->shop->drops[m->dropping]++; // from now on another takes its place
    for (uint32_t key = 0; key < MODEL_KEYS; key++) {
        if (model_is_of(m, key, m->dropping))
            m->keys[key].acked = m->keys[key].told = m->keys[key].asked;
    }
}

static inline void model_ask_drop(struct model *m) {
    uint16_t number = shop_keyspace(m->dropping, m->shop->drops[m->dropping]);
    machine_enter(m->shop->machine);
    enum status status = store_drop(m->shop->store, number, on_model_dropped, m);
    machine_leave(m->shop->machine);
    m->is_asked = status == ST_OK;
    if (status == ST_TOO_LARGE) m->is_dropping = false;
}

static inline void model_await_drop(struct model *m) {
    uint64_t until = world_now(m->shop->world) + 60 * NS_PER_SECOND;
    while (m->is_asked) assert_true(shop_step(m->shop, until));
}

static inline void model_drop(struct model *m) {
    uint64_t until = world_now(m->shop->world) + 60 * NS_PER_SECOND;
    model_await_drop(m);
    while (m->busy > 0) assert_true(shop_step(m->shop, until));
    m->dropping = m->drop_turn++ % SHOP_KEYSPACES;
    m->is_dropping = true;
    for (uint32_t key = 0; key < MODEL_KEYS; key++) {
        if (model_is_of(m, key, m->dropping)) model_note_removal(m, key);
    }
    model_ask_drop(m);
}

// Requires that fewer than MODEL_WRITES are under way.
static inline void model_write(struct model *m, uint32_t key, bool is_removal) {
    struct model_write *w = m->writes;
    model_await_drop(m);
    while (w->is_busy) w++;
    uint32_t version = ++m->keys[key].asked;
    assert_true(version < MODEL_VERSIONS);
    if (is_removal) m->keys[key].removals[version / 64] |= UINT64_C(1) << version % 64;
    *w = (struct model_write){.model = m, .is_busy = true, .key = key, .version = version};
    w->write = (struct store_write){.apply = model_apply, .done = on_model_written};
    w->write.partition = shop_partition(m->shop, key);
    w->write.key = (struct slice){(const uint8_t *)w->name, shop_name(key, w->name)};
    m->busy++;
    machine_enter(m->shop->machine);
    store_put(m->shop->store, &w->write);
    machine_leave(m->shop->machine);
}

// Reading.

struct model_read {
    struct store_read read;
    struct model *model;
    uint32_t key;
    uint32_t version;
    bool is_done;
    char name[16];
};

static inline void on_model_read(struct store_read *read) {
    struct model_read *r = CONTAINER_OF(read, struct model_read, read);
    const struct model_key *key = &r->model->keys[r->key];
    r->is_done = true;
    r->version = MODEL_NONE;
    bool is_answer = read->status == ST_OK || read->status == ST_NOT_FOUND;
    if (!is_answer) return;
    r->version = model_version(r->model, r->key, read->record, key->acked, key->asked);
    if (r->version != MODEL_NONE || !r->model->may_be_damaged) return;
    r->version = model_version(r->model, r->key, read->record, 0, key->asked);
}

static inline void check_dropped(struct model *m, uint32_t key) {
    uint32_t which = shop_keyspace_of(m->shop, key % m->shop->partitions);
    struct partition partition = shop_partition(m->shop, key);
    for (uint32_t drops = 0; drops < m->shop->drops[which]; drops++) {
        char name[16];
        struct slice bytes = {(const uint8_t *)name, shop_name(key, name)};
        struct shop_found found;
        partition.keyspace = shop_keyspace(which, drops);
        enum status status = shop_find(m->shop, partition, bytes, &found);
        assert_int_equal(status, ST_NOT_FOUND);
        assert_int_equal(store_partition_of(m->shop->store, partition).key_count, 0);
    }
}

static inline enum status model_read(struct model *m, uint32_t key, uint32_t *version) {
    struct model_read r = {.model = m, .key = key, .read.done = on_model_read};
    r.read.partition = shop_partition(m->shop, key);
    r.read.key = (struct slice){(const uint8_t *)r.name, shop_name(key, r.name)};
    machine_enter(m->shop->machine);
    if (store_get(m->shop->store, &r.read)) on_model_read(&r.read);
    machine_leave(m->shop->machine);
    assert_true(shop_wait(m->shop, &r.is_done));
    *version = r.version;
    return r.read.status;
}

// Reads every key: each is what was acknowledged or newer, and from now on at least what it is now.
// Returns how many are not, which are some only where there may be damage.
static inline uint32_t model_check(struct model *m) {
    uint32_t lost = 0;
    uint32_t left = 0; // of what was being dropped
    uint32_t gone = 0;
    if (m->is_asked && !m->may_be_damaged) model_await_drop(m);
    for (uint32_t i = 0; i < MODEL_KEYS; i++) {
        if (!m->may_be_damaged) check_dropped(m, i);
        struct model_key *key = &m->keys[i];
        uint32_t version = MODEL_NONE;
        enum status status = model_read(m, i, &version);
        if (status == ST_IO && store_stats(m->shop->store).is_failed) continue;
        if (status == ST_CORRUPT && m->may_be_damaged) {
            assert_true(store_stats(m->shop->store).was_damaged);
            lost++;
            continue;
        }
        assert_int_equal(status, version == MODEL_NONE || model_is_removal(m, i, version)
                                     ? ST_NOT_FOUND
                                     : ST_OK);
        if (version == MODEL_NONE || version < key->acked) {
            assert_true(m->may_be_damaged);
            lost++;
        } else {
            if (m->is_dropping && model_is_of(m, i, m->dropping)) {
                bool is_removed = model_is_removal(m, i, version);
                left += !is_removed;
                gone += is_removed && !model_is_removal(m, i, key->acked);
            }
            key->told = version;
            if (m->shop->options.sync_interval_ns == 0) key->acked = version;
        }
    }
    bool may_be_half = m->may_be_damaged || m->shop->options.sync_interval_ns > 0;
    assert_true(left == 0 || gone == 0 || may_be_half);
    if (m->is_dropping && !store_stats(m->shop->store).is_failed) { // as its owner would
        if (!m->is_asked) model_ask_drop(m);
        model_await_drop(m);
    }
    if (m->busy == 0) shop_check_sums(m->shop);
    return lost;
}

// Operations.

// Steps while there is something under way, for some seconds at most.
static inline void model_settle(struct model *m) {
    struct shop *shop = m->shop;
    uint64_t until = world_now(shop->world) + 5 * NS_PER_SECOND;
    for (;;) {
        bool is_idle = m->busy == 0 && !m->is_asked &&
                       machine_open_things(shop->machine).requests == 0 &&
                       !store_stats(shop->store).is_compacting;
        if (is_idle || !shop_step(shop, until)) break;
    }
    if (shop->options.sync_interval_ns == 0) return;
    shop_run(shop, 2 * shop->options.sync_interval_ns + NS_PER_SECOND);
    if (store_stats(shop->store).is_failed) return;
    for (uint32_t i = 0; i < MODEL_KEYS; i++) m->keys[i].acked = m->keys[i].told;
}

// A key that is there, as far as was asked, one after the other; or the first of all.
static inline uint32_t model_target(struct model *m) {
    for (uint32_t tries = 0; tries < MODEL_KEYS; tries++) {
        uint32_t key = 1 + (m->turn++ * 5) % (m->targets - 1);
        if (!model_is_removal(m, key, m->keys[key].asked)) return key;
    }
    return 1;
}

static inline uint32_t model_new_key(struct model *m) {
    for (uint32_t i = 0; i < MODEL_KEYS - 1; i++) {
        uint32_t key = 1 + (i * 12) % (MODEL_KEYS - 1);
        if (m->keys[key].asked == 0) return key;
    }
    return model_target(m);
}

// Ends the process in order.
static inline void model_end(struct model *m) {
    uint64_t until = world_now(m->shop->world) + 60 * NS_PER_SECOND;
    while (m->busy > 0 || m->is_asked) assert_true(shop_step(m->shop, until));
    shop_close(m->shop);
    struct machine_open open = machine_open_things(m->shop->machine);
    assert_int_equal(open.requests, 0);
    assert_int_equal(open.files, 0);
    machine_kill(m->shop->machine);
}

// Returns how the next one opened.
static inline enum status model_reopen(struct model *m) {
    model_end(m);
    return shop_open(m->shop);
}

static inline void model_perform(struct model *m, enum model_operation operation) {
    struct shop *shop = m->shop;
    switch (operation) {
    case MODEL_PUT:
        model_write(m, model_new_key(m), false);
        break;
    case MODEL_OVERWRITE:
        model_write(m, model_target(m), false);
        break;
    case MODEL_DELETE:
        model_write(m, model_target(m), true);
        break;
    case MODEL_FLUSH:
        model_write(m, MODEL_FILLER, false);
        break;
    case MODEL_COMPACT:
        machine_enter(shop->machine);
        store_compact(shop->store);
        machine_leave(shop->machine);
        break;
    case MODEL_DROP:
        model_drop(m);
        break;
    case MODEL_REOPEN:
    case MODEL_OPERATIONS:
        break; // the caller's
    }
    if (m->waits) model_settle(m);
}

// Sequences.

static inline void model_perform_all(struct model *m, const enum model_operation *operations,
                                     uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (operations[i] == MODEL_REOPEN) {
            assert_int_equal(model_reopen(m), ST_OK);
        } else {
            model_perform(m, operations[i]);
        }
        if (m->waits) continue;
        for (uint32_t steps = rng_below(&m->shop->rng, 12); steps > 4; steps--) {
            (void)shop_step(m->shop, UINT64_MAX);
        }
    }
}

// A base of some tables, tables above it, records that only the log has; removals in all of them.
static inline struct model *model_prepare(void) {
    static const enum model_operation operations[] = {
        MODEL_PUT,    MODEL_PUT,       MODEL_PUT,       MODEL_PUT,       MODEL_PUT,
        MODEL_PUT,    MODEL_PUT,       MODEL_PUT,       MODEL_DELETE,    MODEL_FLUSH,
        MODEL_PUT,    MODEL_COMPACT,   MODEL_PUT,       MODEL_OVERWRITE, MODEL_DELETE,
        MODEL_FLUSH,  MODEL_OVERWRITE, MODEL_PUT,       MODEL_DELETE,    MODEL_FLUSH,
        MODEL_REOPEN, MODEL_OVERWRITE, MODEL_OVERWRITE, MODEL_DELETE,    MODEL_PUT,
    };
    struct world_options options = world_quiet();
    struct model *m = model_new(test_seed(), &options);
    assert_int_equal(shop_open(m->shop), ST_OK);
    model_perform_all(m, operations, sizeof(operations) / sizeof(operations[0]));
    assert_true(store_stats(m->shop->store).table_count > 4);
    assert_int_equal(model_check(m), 0);
    return m;
}

struct model_sequence {
    uint32_t length;
    enum model_operation operations[MODEL_SEQUENCE_ROOM];
};

// What is being tried, for when it fails; model_tell_where is to be the teardown of the test.
static char model_where[200];

static inline int model_tell_where(void **state) {
    (void)state;
    if (model_where[0] != '\0') print_error("at %s\n", model_where);
    model_where[0] = '\0';
    return 0;
}

// The sequences of one operation, then those of two, then those of three. False: there are no more.
static inline bool model_sequence_of(uint32_t number, struct model_sequence *s) {
    uint32_t count = MODEL_OPERATIONS;
    for (s->length = 1; number >= count; s->length++) {
        if (s->length == MODEL_SEQUENCE_MAX) return false;
        number -= count;
        count *= MODEL_OPERATIONS;
    }
    for (uint32_t i = 0; i < s->length; i++, number /= MODEL_OPERATIONS) {
        s->operations[i] = (enum model_operation)(number % MODEL_OPERATIONS);
    }
    return true;
}

#endif
