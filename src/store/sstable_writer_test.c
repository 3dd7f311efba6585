// SPDX-License-Identifier: Apache-2.0
#include "store/sstable_writer.h"

#include "tests/test.h"

#include <stdlib.h>

// A disk that takes everything and keeps nothing; what is asked is done when the test says so.
struct sink {
    struct env env;
    struct env_op *asked; // one at a time
    enum status sync_status;
    uint64_t unsynced; // bytes
    uint64_t unsynced_max;
};

static void ask(struct env *env, struct env_op *op) {
    struct sink *sink = CONTAINER_OF(env, struct sink, env);
    assert_null(sink->asked);
    op->status = ST_OK;
    sink->asked = op;
}

static void sink_open(struct env *env, struct env_op *op, const char *name, enum env_open mode,
                      struct env_file **file) {
    (void)name;
    (void)mode;
    *file = (struct env_file *)env; // anything but NULL
    ask(env, op);
}

static void sink_write(struct env *env, struct env_op *op, struct env_file *file, uint64_t offset,
                       const uint8_t *from, uint32_t size) {
    (void)file;
    (void)offset;
    (void)from;
    struct sink *sink = CONTAINER_OF(env, struct sink, env);
    sink->unsynced += size;
    if (sink->unsynced > sink->unsynced_max) sink->unsynced_max = sink->unsynced;
    op->size = size;
    ask(env, op);
}

static void sink_sync(struct env *env, struct env_op *op, struct env_file *file) {
    (void)file;
    struct sink *sink = CONTAINER_OF(env, struct sink, env);
    sink->unsynced = 0;
    ask(env, op);
    op->status = sink->sync_status;
}

static void sink_close(struct env *env, struct env_op *op, struct env_file *file) {
    (void)file;
    ask(env, op);
}

static void sink_remove(struct env *env, struct env_op *op, const char *name) {
    (void)name;
    ask(env, op);
}

static void sink_log(struct env *env, enum env_level level, struct slice line) {
    (void)env;
    (void)level;
    (void)line;
}

static const struct env_ops sink_ops = {
    .open = sink_open,
    .write = sink_write,
    .sync = sink_sync,
    .close = sink_close,
    .remove = sink_remove,
    .log = sink_log,
};

static void run(struct sink *sink) {
    while (sink->asked != NULL) {
        struct env_op *op = sink->asked;
        sink->asked = NULL;
        op->done(op);
    }
}

static void on_done(struct sstable_writer *w) {
    (void)w;
}

enum { RECORD_MAX = 1024 };

struct fixture {
    void *region; // that the allocator gave
    struct sink sink;
    struct tlsf memory;
    uint32_t taken; // a block of it, or 0
    struct compressor compressor;
    struct sstable_writer writer;
};

// `taken`: bytes of the memory that are in use before.
static struct fixture *fixture_new(size_t memory_size, size_t taken) {
    struct fixture *f = calloc(1, sizeof(*f));
    size_t size = memory_size + sstable_writer_memory_size(RECORD_MAX) +
                  compressor_memory_size(true) + (size_t)128;
    f->region = calloc(1, size + 64); // pages that are not touched cost nothing
    f->sink.env.ops = &sink_ops;
    uint8_t *memory = f->region;
    struct arena arena = arena_over(memory + (64 - (uintptr_t)memory % 64) % 64, size);
    tlsf_init(&f->memory, &arena, memory_size);
    if (taken > 0) f->taken = tlsf_take(&f->memory, taken);
    compressor_init(&f->compressor, &arena, true);
    sstable_writer_init(&f->writer, &arena, &f->sink.env, &f->memory, &f->compressor, RECORD_MAX);
    static const struct sstable_plan plan = {
        .number = 1, .storage = 1, .sequence = 1, .key_count = 1, .block_size = 64};
    sstable_writer_open(&f->writer, &plan, on_done);
    run(&f->sink);
    assert_int_equal(f->writer.status, ST_OK);
    return f;
}

// What was made in part can be abandoned, and leaves nothing in memory.
static void fixture_end(struct fixture *f) {
    sstable_writer_abandon(&f->writer, false, on_done);
    run(&f->sink);
    assert_int_equal(f->writer.state, WRITER_FREE);
    if (f->taken != 0) tlsf_give(&f->memory, f->taken);
    assert_int_equal(f->memory.used, 0);
    free(f->region);
    free(f);
}

// So keys come in order.
static void store_be32(uint8_t *to, uint32_t number) {
    for (uint32_t i = 0; i < 4; i++) to[3 - i] = (uint8_t)(number >> 8 * i);
}

static void add(struct fixture *f, uint8_t *key, size_t size, uint32_t number) {
    store_be32(key + size - 4, number);
    sstable_writer_add(&f->writer, (struct partition){0}, (struct slice){key, size},
                       SLICE("a record"), 1);
    if (!sstable_writer_is_full(&f->writer)) return;
    sstable_writer_write(&f->writer, on_done);
    run(&f->sink);
}

static void an_index_that_is_too_large_is_refused(void **state) {
    (void)state;
    static uint8_t key[KEY_SIZE_MAX]; // differs at its end only, and so do the separators
    struct fixture *f = fixture_new((size_t)2 * TLSF_SIZE_MAX, 0);
    uint32_t count = 0;
    while (f->writer.status == ST_OK) {
        add(f, key, sizeof(key), ++count);
        assert_true(count < TLSF_SIZE_MAX / KEY_SIZE_MAX);
    }
    assert_int_equal(f->writer.status, ST_NO_MEMORY);
    assert_true(count > TLSF_SIZE_MAX / KEY_SIZE_MAX / 2);
    fixture_end(f);
}

static void a_table_that_is_too_large_is_refused(void **state) {
    (void)state;
    uint8_t key[8] = {0};
    struct fixture *f = fixture_new(1 << 20, 0);
    f->writer.offset = SSTABLE_SIZE_MAX / 2;
    for (uint32_t i = 1; i < 20; i++) add(f, key, sizeof(key), i);
    assert_int_equal(f->writer.status, ST_OK);
    f->writer.offset = SSTABLE_SIZE_MAX - 2 * (uint64_t)TLSF_SIZE_MAX; // an index, a filter
    for (uint32_t i = 20; i < 40; i++) add(f, key, sizeof(key), i);
    assert_int_equal(f->writer.status, ST_TOO_LARGE);
    fixture_end(f);
}

static size_t blocks_of_a_thousand(uint32_t percent) {
    enum { MEMORY = 1 << 20 };
    uint8_t key[8] = {0};
    struct fixture *f = fixture_new(MEMORY, (size_t)MEMORY / 100 * percent);
    for (uint32_t i = 1; i <= 1000; i++) add(f, key, sizeof(key), i);
    assert_int_equal(f->writer.status, ST_OK);
    size_t count = f->writer.units.size / sizeof(uint32_t);
    fixture_end(f);
    return count;
}

static void blocks_are_larger_where_memory_is_short(void **state) {
    (void)state;
    size_t count = blocks_of_a_thousand(0);
    assert_int_equal(blocks_of_a_thousand(50), count);
    assert_in_range(blocks_of_a_thousand(60), count / 4 + 1, count / 2);
    assert_in_range(blocks_of_a_thousand(72), count / 10, count / 4);
}

// Codecs of keyspaces.

static void add_to(struct fixture *f, uint16_t keyspace, uint32_t number) {
    static const uint8_t record[100];
    uint8_t key[] = {(uint8_t)number};
    struct partition partition = {keyspace, (uint16_t)(number / 10)};
    sstable_writer_add(&f->writer, partition, (struct slice){key, sizeof(key)},
                       (struct slice){record, sizeof(record)}, 1);
}

enum { KINDS = 5 };
static const struct keyspace_codec kinds[KINDS] = {
    {0, CODEC_NONE}, {3, CODEC_ZSTD}, {4, CODEC_ZSTD}, {9, CODEC_LZ4}, {12, CODEC_NONE},
};

// Sees that all records of the block may be in its codec, and counts them by keyspace.
static void check_block(struct fixture *f, const struct piece *p, struct slice content,
                        uint32_t counts[KINDS]) {
    uint8_t expanded[8192];
    static uint8_t key[FULL_KEY_MAX];
    struct slice raw;
    struct block_cursor c;
    assert_in_range(p->raw_size, 1, sizeof(expanded));
    assert_int_equal(piece_expand(&f->compressor, p, content, expanded, &raw), ST_OK);
    block_open(&c, raw, key);
    while (block_next(&c)) {
        uint32_t kind = 0;
        while (kinds[kind].keyspace != full_key_partition(c.key).keyspace) kind++;
        assert_int_equal(p->codec, kinds[kind].codec);
        counts[kind]++;
    }
    assert_false(c.failed);
}

static void a_block_ends_where_the_codec_does(void **state) {
    (void)state;
    enum { RECORDS = 55, BLOCKS = 9 }; // a block and a half each, but two keyspaces share one
    struct fixture *f = fixture_new(1 << 20, 0);
    f->writer.plan.block_size = 4096;
    f->compressor.named_count = 3;
    memcpy(f->compressor.named, kinds + 1, 3 * sizeof(kinds[0]));
    for (uint32_t kind = 0; kind < KINDS; kind++) {
        for (uint32_t i = 0; i < RECORDS; i++) add_to(f, kinds[kind].keyspace, i);
    }
    // A change meanwhile is for keyspaces that are still to come, and for other tables.
    f->compressor.codec = CODEC_LZ4;
    add_to(f, kinds[KINDS - 1].keyspace, RECORDS);
    add_to(f, UINT16_MAX, 0);
    assert_int_equal(f->writer.status, ST_OK);
    assert_int_equal(f->writer.units.size / sizeof(uint32_t), BLOCKS + 1);

    uint32_t counts[KINDS] = {0};
    uint32_t blocks = 0;
    for (size_t at = 0; at < f->writer.out_size; blocks++) {
        struct piece p;
        struct slice content;
        struct slice rest = {f->writer.out + at, f->writer.out_size - at};
        assert_int_equal(piece_open(f->writer.id, at, rest, &p, &content), ST_OK);
        check_block(f, &p, content, counts);
        at += piece_size_of(p.size);
    }
    assert_int_equal(blocks, BLOCKS);
    for (uint32_t kind = 0; kind < KINDS; kind++) {
        assert_int_equal(counts[kind], RECORDS + (kind == KINDS - 1));
    }
    fixture_end(f);
}

// Until so many bytes are written, or a failure.
static void add_much(struct fixture *f, uint64_t size) {
    static const uint8_t record[RECORD_MAX / 2];
    uint8_t key[4];
    while (f->writer.status == ST_OK && sstable_writer_size(&f->writer) < size) {
        store_be32(key, (uint32_t)sstable_writer_key_count(&f->writer));
        sstable_writer_add(&f->writer, (struct partition){0}, (struct slice){key, sizeof(key)},
                           (struct slice){record, sizeof(record)}, 1);
        if (!sstable_writer_is_full(&f->writer)) continue;
        sstable_writer_write(&f->writer, on_done);
        run(&f->sink);
    }
}

static void a_large_table_is_forced_to_disk_a_part_at_a_time(void **state) {
    (void)state;
    const uint64_t mib = UINT64_C(1) << 20;
    struct fixture *f = fixture_new(TLSF_SIZE_MAX, 0);
    add_much(f, 30 * mib);
    assert_int_equal(f->writer.status, ST_OK);
    assert_in_range(f->sink.unsynced_max, 8 * mib, 9 * mib); // few syncs, and small ones
    fixture_end(f);
}

// The kernel tells of it once; the sync at the end would say that all is well.
static void a_part_that_did_not_come_to_disk_spoils_the_table(void **state) {
    (void)state;
    const uint64_t mib = UINT64_C(1) << 20;
    struct fixture *f = fixture_new(TLSF_SIZE_MAX, 0);
    add_much(f, 10 * mib);
    assert_int_equal(f->writer.status, ST_OK);
    f->sink.sync_status = ST_IO;
    add_much(f, 30 * mib);
    assert_int_equal(f->writer.status, ST_IO);
    fixture_end(f);
}

int sstable_writer_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(an_index_that_is_too_large_is_refused),
        cmocka_unit_test(a_table_that_is_too_large_is_refused),
        cmocka_unit_test(blocks_are_larger_where_memory_is_short),
        cmocka_unit_test(a_block_ends_where_the_codec_does),
        cmocka_unit_test(a_large_table_is_forced_to_disk_a_part_at_a_time),
        cmocka_unit_test(a_part_that_did_not_come_to_disk_spoils_the_table),
    };
    return cmocka_run_group_tests_name("sstable_writer", cases, NULL, NULL);
}
