// SPDX-License-Identifier: Apache-2.0
//
// What may be a file of Redis, without its checksum. Reading it must end, and strings that it says
// are compressed must expand to what they say, or be refused.
#include "fuzz/fuzz.h"

#include "wire/rdb.h"

enum { FILE_MAX = 1 << 16, STRING_MAX = 1 << 16, CHECKSUM_SIZE = 8 };

static uint8_t file[FILE_MAX];
static uint8_t expanded[STRING_MAX];

static void check_string(const struct dump_string *string) {
    if (!string->is_compressed) {
        must(string->size == string->bytes.size);
    } else if (string->size <= STRING_MAX) {
        (void)dump_expand(string, expanded);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct rdb rdb;
    struct rdb_entry entry;
    if (size > FILE_MAX) return 0;
    if (size > 0) memcpy(file, data, size);
    if (size >= CHECKSUM_SIZE) memset(file + size - CHECKSUM_SIZE, 0, CHECKSUM_SIZE);
    if (rdb_open(&rdb, (struct slice){file, size}) != ST_OK) return 0;
    size_t before = rdb_position(&rdb);
    while (rdb_next(&rdb, &entry) == ST_OK) {
        must(rdb_position(&rdb) > before);
        must(rdb_position(&rdb) <= size);
        before = rdb_position(&rdb);
        check_string(&entry.key);
        if (entry.kind == RDB_STRING) check_string(&entry.value);
    }
    return 0;
}
