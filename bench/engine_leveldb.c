// SPDX-License-Identifier: Apache-2.0
//
// LevelDB by its C API. Half of the budget is the cache of blocks, half two write buffers; filters
// and indexes come on top. It reads through the kernel's cache, always.
#include "bench/engine_threads.h"

#include <leveldb/c.h>
#include <string.h>

enum {
    BITS_A_KEY = 10,
    BLOCK_SIZE = 4096,
    WRITE_BUFFERS = 2,
    FILES_MAX = 10000,
};

static leveldb_t *db;
static leveldb_options_t *how;
static leveldb_readoptions_t *to_read;
static leveldb_writeoptions_t *to_write;

static void open_leveldb(const struct engine_options *options) {
    how = leveldb_options_create();
    leveldb_options_set_create_if_missing(how, 1);
    leveldb_options_set_block_size(how, BLOCK_SIZE);
    leveldb_options_set_filter_policy(how, leveldb_filterpolicy_create_bloom(BITS_A_KEY));
    leveldb_options_set_cache(how, leveldb_cache_create_lru(options->budget / 2));
    leveldb_options_set_compression(how, leveldb_no_compression);
    leveldb_options_set_write_buffer_size(how, options->budget / 2 / WRITE_BUFFERS);
    leveldb_options_set_max_open_files(how, FILES_MAX);
    to_read = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(to_read, 1); // as the others do
    to_write = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(to_write, options->is_forced);
    char *error = NULL;
    db = leveldb_open(how, options->directory, &error);
    if (error != NULL) give_up("leveldb", error);
}

static bool succeeded(char *error) {
    if (error != NULL) leveldb_free(error);
    return error == NULL;
}

static bool get(struct slice key, char **value, size_t *size) {
    char *error = NULL;
    *value = leveldb_get(db, to_read, (const char *)key.data, key.size, size, &error);
    return succeeded(error);
}

static bool put(struct slice key, struct slice value) {
    char *error = NULL;
    leveldb_put(db, to_write, (const char *)key.data, key.size, (const char *)value.data,
                value.size, &error);
    return succeeded(error);
}

static bool scan(struct slice tag, uint64_t *found) {
    leveldb_iterator_t *i = leveldb_create_iterator(db, to_read);
    leveldb_iter_seek(i, (const char *)tag.data, tag.size);
    for (; leveldb_iter_valid(i); leveldb_iter_next(i), ++*found) {
        size_t size;
        const char *key = leveldb_iter_key(i, &size);
        if (size < tag.size || memcmp(key, tag.data, tag.size) != 0) break;
        leveldb_iter_value(i, &size);
    }
    char *error = NULL;
    leveldb_iter_get_error(i, &error);
    leveldb_iter_destroy(i);
    return succeeded(error);
}

static void compact_all(void) {
    leveldb_compact_range(db, NULL, 0, NULL, 0);
}

static const struct threads_calls calls = {get, leveldb_free, put, scan, compact_all};

static void run_leveldb(struct run *run, struct tally *sum) {
    threads_run(&calls, run, sum);
}

static void compact_leveldb(void) {
    threads_compact(&calls);
}

static void close_leveldb(void) {
    threads_end();
    leveldb_close(db);
}

const struct engine engine_leveldb = {
    .name = "leveldb",
    .open = open_leveldb,
    .run = run_leveldb,
    .compact = compact_leveldb,
    .is_compacting = threads_are_compacting,
    .rest = threads_rest,
    .close = close_leveldb,
};
