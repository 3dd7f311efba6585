// SPDX-License-Identifier: Apache-2.0
//
// store_case.h -- what the tests of the store in the simulated world share.
//
// A shop is a store in a machine, with clients that write numbered versions of keys, and a book
// that outlives the process: what was asked, what was acknowledged, which dots were seen by whom.
// Every record that the store gives out is looked up in it.
#ifndef QUOIT_SIM_STORE_CASE_H
#define QUOIT_SIM_STORE_CASE_H

#include "base/timer.h"
#include "model/record.h"
#include "sim/inspector.h"
#include "sim/world.h"
#include "store/store.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SHOP_KEYS = 256,
    SHOP_PARTITIONS = 5,
    SHOP_KEYSPACES = 3,
    SHOP_CLIENTS = 8,
    SHOP_VALUE_MAX = 3000,
    SHOP_DOTS = 1 << 16
};

#define SHOP_MEMORY (UINT64_C(2) << 20)

struct shop;

struct shop_client {
    struct store_write write;
    struct shop *shop;
    uint32_t key;
    uint32_t version;
    char name[16];
};

struct shop_key {
    uint32_t asked; // highest version that a write was begun for
    uint32_t acked; // highest version that was acknowledged or shown
};

struct shop_dot {
    struct actor actor;
    uint64_t counter;
    uint32_t key;
    uint32_t version;
};

struct shop {
    struct world *world;
    struct machine *machine;
    struct store_options options;
    struct rng rng;

    // The process.
    struct timers timers;
    struct env *env;
    struct store *store;
    bool is_opened;
    enum status opened;
    bool is_closed;
    enum status closed;
    bool is_selling; // clients go on
    struct shop_client clients[SHOP_CLIENTS];
    uint32_t busy; // clients that wait

    // The book.
    struct shop_key keys[SHOP_KEYS];
    struct shop_dot *dots;
    uint64_t acked_count;
    uint64_t refused_count;
    enum status refused; // the last status that was not OK
    uint32_t value_max;
    uint32_t partitions;            // that keys are spread over; SHOP_PARTITIONS
    uint32_t drops[SHOP_KEYSPACES]; // so often was the keyspace dropped

    // Called whenever a request has changed the disk; NULL: nobody.
    void (*on_effect)(struct shop *shop);
    void *context; // of whoever set it
    uint64_t effects;

    uint8_t encoded[SHOP_VALUE_MAX + 16384];
    struct record record;
    struct record updated;
};

static inline struct store_options shop_options(void) {
    return (struct store_options){
        .memory_max = SHOP_MEMORY,
        .segment_size = UINT64_C(192) * 1024,
        .seed = 7,
        .record_size_max = SHOP_VALUE_MAX + 16384,
        .keyspaces_max = SHOP_KEYSPACES,
    };
}

static inline void on_shop_trace(void *context, const struct world_line *line) {
    (void)context;
    if (strcmp(line->what, "log") == 0) {
        print_message("    %llu %.*s\n", (unsigned long long)line->at, (int)line->text.size,
                      (const char *)line->text.data);
    }
}

static inline struct shop *shop_new(uint64_t seed, const struct world_options *world_options) {
    struct shop *shop = calloc(1, sizeof(*shop));
    shop->world = world_create(seed, world_options);
    shop->machine = world_add_machine(shop->world, "n1");
    if (getenv("SHOP_TRACE")) world_set_trace(shop->world, on_shop_trace, NULL);
    shop->rng = world_stream(shop->world, 1);
    shop->options = shop_options();
    shop->options.is_direct = seed % 2 != 0;
    shop->dots = calloc(SHOP_DOTS, sizeof(*shop->dots));
    shop->value_max = SHOP_VALUE_MAX;
    shop->partitions = SHOP_PARTITIONS;
    return shop;
}

static inline void shop_free(struct shop *shop) {
    world_destroy(shop->world);
    free(shop->dots);
    free(shop);
}

static inline uint64_t shop_next_wake(const void *node) {
    return timers_next(&((const struct shop *)node)->timers);
}

static inline void shop_wake(void *node) {
    struct shop *shop = node;
    timers_run(&shop->timers, shop->env->now);
}

static inline void on_shop_opened(void *context, enum status status) {
    struct shop *shop = context;
    shop->is_opened = true;
    shop->opened = status;
}

// Begins a process that opens the store; does not wait.
static inline void shop_begin(struct shop *shop) {
    enum { TIMERS = 16, EXTRA = 64 * 1024 };
    struct arena arena = machine_start(shop->machine, store_memory_size(&shop->options) + EXTRA);
    shop->env = machine_env(shop->machine);
    timers_init(&shop->timers, &arena, TIMERS);
    shop->is_opened = shop->is_closed = shop->is_selling = false;
    shop->busy = 0;
    machine_enter(shop->machine);
    shop->store = store_create(&arena, shop->env, &shop->timers, &shop->options);
    machine_attach(shop->machine, shop, shop_next_wake, shop_wake);
    store_open(shop->store, on_shop_opened, shop);
    machine_leave(shop->machine);
}

// As world_step.
static inline bool shop_step(struct shop *shop, uint64_t until) {
    bool has_run = world_step(shop->world, until);
    uint64_t effects = machine_disk_effects(shop->machine);
    bool is_new = effects != shop->effects;
    shop->effects = effects;
    if (is_new && shop->on_effect != NULL) shop->on_effect(shop);
    return has_run;
}

static inline void shop_run(struct shop *shop, uint64_t time) {
    uint64_t until = world_now(shop->world) + time;
    while (shop_step(shop, until)) {
    }
}

static inline bool shop_wait(struct shop *shop, const bool *is_done) {
    uint64_t until = world_now(shop->world) + 600 * NS_PER_SECOND;
    while (!*is_done) {
        if (!shop_step(shop, until)) return false;
    }
    return true;
}

static inline enum status shop_open(struct shop *shop) {
    shop_begin(shop);
    assert_true(shop_wait(shop, &shop->is_opened));
    return shop->opened;
}

static inline void on_shop_closed(void *context, enum status status) {
    struct shop *shop = context;
    shop->is_closed = true;
    shop->closed = status;
}

// The next name of a table among those that machine_durable_names gave, or NULL. *at begins at 0.
static inline const char *shop_next_table(const uint8_t *names, uint32_t size, uint32_t *at) {
    while (*at < size) {
        const char *name = (const char *)names + *at;
        *at += (uint32_t)strlen(name) + 1;
        if (strncmp(name, "table-", 6) == 0) return name;
    }
    return NULL;
}

// Versions.

static inline size_t shop_name(uint32_t key, char name[16]) {
    return (size_t)snprintf(name, 16, "key%u", key);
}

// The number of the keyspace that is one of SHOP_KEYSPACES, or took its place when that, so many
// times, had been dropped.
static inline uint16_t shop_keyspace(uint32_t which, uint32_t drops) {
    static const uint16_t first[SHOP_KEYSPACES] = {0, 7, 65535};
    return drops == 0 ? first[which] : (uint16_t)(1000 * (which + 1) + drops);
}

static inline uint32_t shop_keyspace_of(const struct shop *shop, uint32_t partition) {
    return partition * SHOP_KEYSPACES / shop->partitions;
}

// Each has a slot of its own; the first are of keyspace 0, the last of 65535.
static inline struct partition shop_partition_at(const struct shop *shop, uint32_t number) {
    uint32_t which = shop_keyspace_of(shop, number);
    return (struct partition){shop_keyspace(which, shop->drops[which]), (uint16_t)number};
}

static inline struct partition shop_partition(const struct shop *shop, uint32_t key) {
    return shop_partition_at(shop, key % shop->partitions);
}

// What a version of a key must look like, byte for byte.
static inline size_t shop_value(const struct shop *shop, uint32_t key, uint32_t version,
                                uint8_t value[SHOP_VALUE_MAX]) {
    struct rng rng = {UINT64_C(1000003) * key + version};
    size_t size = 8 + rng_below(&rng, shop->value_max - 8);
    memcpy(value, &key, 4);
    memcpy(value + 4, &version, 4);
    for (size_t i = 8; i < size; i++) value[i] = (uint8_t)(key + version + i);
    return size;
}

static inline void shop_note_dot(struct shop *shop, struct version dot, uint32_t key,
                                 uint32_t version) {
    uint64_t place = (dot.actor.storage ^ UINT64_C(7919) * dot.actor.epoch ^ dot.counter * 31337u);
    for (uint32_t tries = 0; tries < SHOP_DOTS; tries++) {
        struct shop_dot *d = &shop->dots[(place + tries) % SHOP_DOTS];
        if (d->counter == 0) {
            *d = (struct shop_dot){dot.actor, dot.counter, key, version};
            return;
        }
        if (actor_compare(d->actor, dot.actor) != 0 || d->counter != dot.counter) continue;
        assert_int_equal(d->key, key); // else the dot was minted twice
        assert_int_equal(d->version, version);
        return;
    }
    fail();
}

// Looks a record up in the book. Returns its version.
static inline uint32_t shop_check_record(struct shop *shop, uint32_t key, struct slice bytes) {
    uint8_t value[SHOP_VALUE_MAX];
    struct record *r = &shop->record;
    assert_int_equal(record_decode(r, bytes), ST_OK);
    assert_int_equal(r->sibling_count, 1);
    struct slice found = r->siblings[0].value;
    assert_true(found.size >= 8);
    uint32_t version;
    memcpy(&version, found.data + 4, 4);
    size_t size = shop_value(shop, key, version, value);
    assert_true(slice_equal(found, (struct slice){value, size}));
    assert_true(version <= shop->keys[key].asked);
    shop_note_dot(shop, r->siblings[0].dot, key, version);
    return version;
}

// Writing.

static inline enum status shop_apply(struct store_write *write, struct slice old,
                                     struct slice *new) {
    struct shop_client *c = CONTAINER_OF(write, struct shop_client, write);
    struct shop *shop = c->shop;
    uint8_t value[SHOP_VALUE_MAX];
    assert_true(old.size > 0 || shop->keys[c->key].acked == 0); // nothing is forgotten
    assert_int_equal(record_decode(&shop->record, old), ST_OK);
    struct sibling sibling = {.timestamp = 1};
    sibling.value = (struct slice){value, shop_value(shop, c->key, c->version, value)};
    sibling.dot.actor = store_actor(shop->store);
    sibling.dot.counter = store_mint(shop->store);
    assert_int_equal(record_update(&shop->record, &shop->record.context, &sibling, &shop->updated),
                     ST_OK);
    struct writer w = writer_to(shop->encoded, sizeof(shop->encoded));
    record_encode(&shop->updated, &w);
    *new = writer_bytes(&w);
    assert_false(w.failed);
    return ST_OK;
}

static inline void shop_sell(struct shop_client *c);

static inline void on_shop_written(struct store_write *write) {
    struct shop_client *c = CONTAINER_OF(write, struct shop_client, write);
    struct shop *shop = c->shop;
    shop->busy--;
    if (write->status == ST_OK) {
        shop->acked_count++;
        if (shop->keys[c->key].acked < c->version) shop->keys[c->key].acked = c->version;
    } else {
        shop->refused_count++;
        shop->refused = write->status;
    }
    if (shop->is_selling && write->status == ST_OK) shop_sell(c);
}

static inline void shop_write(struct shop_client *c, uint32_t key) {
    c->key = key;
    c->version = ++c->shop->keys[key].asked;
    c->shop->busy++;
    c->write = (struct store_write){.apply = shop_apply, .done = on_shop_written};
    c->write.partition = shop_partition(c->shop, key);
    c->write.key = (struct slice){(const uint8_t *)c->name, shop_name(key, c->name)};
    store_put(c->shop->store, &c->write);
}

static inline void shop_sell(struct shop_client *c) {
    shop_write(c, rng_below(&c->shop->rng, SHOP_KEYS));
}

// Lets all clients write, one after the other each, until is_selling is false.
static inline void shop_start_selling(struct shop *shop, uint32_t clients) {
    shop->is_selling = true;
    machine_enter(shop->machine);
    for (uint32_t i = 0; i < clients; i++) {
        shop->clients[i].shop = shop;
        shop_sell(&shop->clients[i]);
    }
    machine_leave(shop->machine);
}

static inline void shop_stop_selling(struct shop *shop) {
    shop->is_selling = false;
    uint64_t until = world_now(shop->world) + 60 * NS_PER_SECOND;
    while (shop->busy > 0) assert_true(world_step(shop->world, until));
}

// Reading.

struct shop_reader {
    struct store_read read;
    struct shop *shop;
    uint32_t key;
    bool is_done;
    uint32_t version; // 0: none
    char name[16];
};

static inline void on_shop_read(struct store_read *read) {
    struct shop_reader *r = CONTAINER_OF(read, struct shop_reader, read);
    r->is_done = true;
    r->version = 0;
    if (read->status != ST_OK) return;
    r->version = shop_check_record(r->shop, r->key, read->record);
    struct shop_key *key = &r->shop->keys[r->key];
    if (key->acked < r->version) key->acked = r->version;
}

static inline enum status shop_read(struct shop *shop, uint32_t key, uint32_t *version) {
    struct shop_reader r = {.shop = shop, .key = key, .read.done = on_shop_read};
    r.read.partition = shop_partition(shop, key);
    r.read.key = (struct slice){(const uint8_t *)r.name, shop_name(key, r.name)};
    machine_enter(shop->machine);
    if (store_get(shop->store, &r.read)) on_shop_read(&r.read);
    machine_leave(shop->machine);
    assert_true(shop_wait(shop, &r.is_done));
    *version = r.version;
    return r.read.status;
}

// What is there of any key.
struct shop_found {
    struct store_read read;
    bool is_done;
    size_t size;
    uint64_t digest;
    uint8_t bytes[64]; // the first of the record
};

static inline void on_shop_found(struct store_read *read) {
    struct shop_found *f = CONTAINER_OF(read, struct shop_found, read);
    f->is_done = true;
    if (read->status != ST_OK) return;
    f->size = read->record.size;
    f->digest = record_digest(read->key, read->record);
    memcpy(f->bytes, read->record.data, f->size < sizeof(f->bytes) ? f->size : sizeof(f->bytes));
}

static inline enum status shop_find(struct shop *shop, struct partition partition, struct slice key,
                                    struct shop_found *f) {
    *f = (struct shop_found){.read = {.done = on_shop_found, .partition = partition, .key = key}};
    machine_enter(shop->machine);
    if (store_get(shop->store, &f->read)) on_shop_found(&f->read);
    machine_leave(shop->machine);
    assert_true(shop_wait(shop, &f->is_done));
    return f->read.status;
}

// Adding a partition up from a scan of it.
struct shop_sum {
    struct store_scan scan;
    bool is_done;
    struct store_partition sum;
    uint8_t last[32];
    size_t last_size;
};

static inline bool on_shop_visited(struct store_scan *scan, struct slice key, struct slice record,
                                   bool is_durable) {
    struct shop_sum *s = CONTAINER_OF(scan, struct shop_sum, scan);
    (void)is_durable;
    assert_true(slice_compare((struct slice){s->last, s->last_size}, key) < 0);
    memcpy(s->last, key.data, s->last_size = key.size);
    s->sum.digest += record_digest(key, record);
    s->sum.key_count++;
    s->sum.size += key.size + record.size;
    return true;
}

static inline void on_shop_scanned(struct store_scan *scan) {
    CONTAINER_OF(scan, struct shop_sum, scan)->is_done = true;
}

// What partitions are said to add up to is what they hold, in order. Requires that nobody writes.
static inline void shop_check_sums(struct shop *shop) {
    for (uint32_t i = 0; i < shop->partitions; i++) {
        struct shop_sum s = {.scan = {.visit = on_shop_visited, .done = on_shop_scanned}};
        s.scan.partition = shop_partition_at(shop, i);
        machine_enter(shop->machine);
        if (store_each(shop->store, &s.scan)) s.is_done = true;
        machine_leave(shop->machine);
        assert_true(shop_wait(shop, &s.is_done));
        if (s.scan.status == ST_CORRUPT && store_stats(shop->store).was_damaged) continue;
        assert_int_equal(s.scan.status, ST_OK);
        struct store_partition said = store_partition_of(shop->store, s.scan.partition);
        assert_int_equal(said.key_count, s.sum.key_count);
        assert_int_equal(said.size, s.sum.size);
        assert_int_equal(said.digest, s.sum.digest);
    }
}

// Reads every key; each version was asked for. Returns how many are older than what was
// acknowledged.
static inline uint32_t shop_count_lost(struct shop *shop) {
    uint32_t lost = 0;
    for (uint32_t key = 0; key < SHOP_KEYS; key++) {
        uint32_t acked = shop->keys[key].acked;
        uint32_t version = 0;
        enum status status = shop_read(shop, key, &version);
        assert_true(status == ST_OK || status == ST_NOT_FOUND || status == ST_CORRUPT);
        if (status == ST_CORRUPT) assert_true(store_stats(shop->store).was_damaged);
        lost += version < acked;
    }
    return lost;
}

static inline void shop_check_all(struct shop *shop) {
    assert_int_equal(shop_count_lost(shop), 0);
    if (shop->busy == 0) shop_check_sums(shop);
}

// Goes on from what is there now.
static inline void shop_forget(struct shop *shop) {
    for (uint32_t key = 0; key < SHOP_KEYS; key++) shop->keys[key].acked = 0;
    (void)shop_count_lost(shop);
}

// Looks at what the process has left behind.
static inline struct inspection shop_inspect(struct shop *shop) {
    struct inspection i = {0};
    inspect(shop->machine, shop->options.record_size_max, &i);
    assert_int_equal(i.status, ST_OK);
    return i;
}

// Ends the process, so or so. What it has left behind is whole.
static inline void shop_crash(struct shop *shop, bool by_power) {
    if (by_power) {
        machine_power_loss(shop->machine);
    } else {
        machine_kill(shop->machine);
    }
    assert_string_equal(shop_inspect(shop).first, "");
}

// One life of the process, and its death at a random step: of the first `few` one time in three, as
// sometimes the power goes before recovery is through, else of the first `many`.
static inline void shop_live_and_crash(struct shop *shop, uint32_t few, uint32_t many) {
    shop_begin(shop);
    uint32_t steps = rng_below(&shop->rng, rng_chance(&shop->rng, 1, 3) ? few : many);
    while (steps > 0 && !shop->is_opened) {
        assert_true(world_step(shop->world, UINT64_MAX));
        steps--;
    }
    if (shop->is_opened) {
        assert_int_equal(shop->opened, ST_OK);
        assert_false(store_stats(shop->store).was_damaged);
        shop_check_all(shop);
        shop_start_selling(shop, 1 + rng_below(&shop->rng, SHOP_CLIENTS));
        while (steps-- > 0) assert_true(world_step(shop->world, UINT64_MAX));
    }
    shop_crash(shop, !rng_chance(&shop->rng, 1, 3));
}

static inline void shop_close(struct shop *shop) {
    machine_enter(shop->machine);
    store_close(shop->store, on_shop_closed, shop);
    machine_leave(shop->machine);
    assert_true(shop_wait(shop, &shop->is_closed));
}

// Ends the process in order, and sees that nothing is left open.
static inline void shop_end(struct shop *shop) {
    shop_close(shop);
    assert_int_equal(shop->closed, ST_OK);
    struct machine_open open = machine_open_things(shop->machine);
    assert_int_equal(open.requests, 0);
    assert_int_equal(open.files, 0);
    machine_kill(shop->machine);
}

#endif
