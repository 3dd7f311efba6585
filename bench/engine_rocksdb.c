// SPDX-License-Identifier: Apache-2.0
//
// RocksDB by its C API. Half of the budget is the cache of blocks, half four write buffers; filters
// and indexes come on top. Levels begin at the size of the write buffers together.
#include "bench/engine_threads.h"

#include <rocksdb/c.h>
#include <string.h>

enum {
    BITS_A_KEY = 10,
    BLOCK_SIZE = 4096,
    WRITE_BUFFERS = 4,
    JOBS = 2,
};

static rocksdb_t *db;
static rocksdb_options_t *how;
static rocksdb_readoptions_t *to_read;
static rocksdb_writeoptions_t *to_write;

static void open_rocksdb(const struct engine_options *options) {
    uint64_t buffer = options->budget / 2 / WRITE_BUFFERS;
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_size(table, BLOCK_SIZE);
    rocksdb_block_based_options_set_filter_policy(
        table, rocksdb_filterpolicy_create_bloom_full(BITS_A_KEY));
    rocksdb_block_based_options_set_block_cache(table,
                                                rocksdb_cache_create_lru(options->budget / 2));
    how = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(how, 1);
    rocksdb_options_set_block_based_table_factory(how, table);
    rocksdb_options_set_compression(how, rocksdb_no_compression);
    rocksdb_options_set_write_buffer_size(how, buffer);
    rocksdb_options_set_max_write_buffer_number(how, WRITE_BUFFERS);
    rocksdb_options_set_max_bytes_for_level_base(how, WRITE_BUFFERS * buffer);
    rocksdb_options_set_target_file_size_base(how, buffer);
    rocksdb_options_set_max_background_jobs(how, JOBS);
    rocksdb_options_set_use_direct_reads(how, options->is_direct);
    rocksdb_options_set_use_direct_io_for_flush_and_compaction(how, options->is_direct);
    to_read = rocksdb_readoptions_create();
    to_write = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(to_write, options->is_forced);
    char *error = NULL;
    db = rocksdb_open(how, options->directory, &error);
    if (error != NULL) give_up("rocksdb", error);
}

static bool succeeded(char *error) {
    if (error != NULL) rocksdb_free(error);
    return error == NULL;
}

static bool get(struct slice key, char **value, size_t *size) {
    char *error = NULL;
    *value = rocksdb_get(db, to_read, (const char *)key.data, key.size, size, &error);
    return succeeded(error);
}

static bool put(struct slice key, struct slice value) {
    char *error = NULL;
    rocksdb_put(db, to_write, (const char *)key.data, key.size, (const char *)value.data,
                value.size, &error);
    return succeeded(error);
}

static bool scan(struct slice tag, uint64_t *found) {
    rocksdb_iterator_t *i = rocksdb_create_iterator(db, to_read);
    rocksdb_iter_seek(i, (const char *)tag.data, tag.size);
    for (; rocksdb_iter_valid(i); rocksdb_iter_next(i), ++*found) {
        size_t size;
        const char *key = rocksdb_iter_key(i, &size);
        if (size < tag.size || memcmp(key, tag.data, tag.size) != 0) break;
        rocksdb_iter_value(i, &size);
    }
    char *error = NULL;
    rocksdb_iter_get_error(i, &error);
    rocksdb_iter_destroy(i);
    return succeeded(error);
}

static void compact_all(void) {
    rocksdb_compact_range(db, NULL, 0, NULL, 0);
}

static const struct threads_calls calls = {get, rocksdb_free, put, scan, compact_all};

static void run_rocksdb(struct run *run, struct tally *sum) {
    threads_run(&calls, run, sum);
}

static void compact_rocksdb(void) {
    threads_compact(&calls);
}

static void close_rocksdb(void) {
    threads_end();
    rocksdb_close(db);
}

const struct engine engine_rocksdb = {
    .name = "rocksdb",
    .open = open_rocksdb,
    .run = run_rocksdb,
    .compact = compact_rocksdb,
    .is_compacting = threads_are_compacting,
    .rest = threads_rest,
    .close = close_rocksdb,
};
