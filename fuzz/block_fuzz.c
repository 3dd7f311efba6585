// SPDX-License-Identifier: Apache-2.0
//
// Bytes as a block, and a full key to look for in them. Whatever they are, reading stays within its
// bounds, and goes the same way twice. Entries that come out in order must make a block from which
// the same come out, and in which each can be found.
#include "fuzz/fuzz.h"

#include "store/block.h"

enum { INPUT_MAX = 4096, ENTRIES_MAX = 1024, KEYS_MAX = 64 * 1024, CAPACITY = 128 * 1024 };

struct found {
    struct slice key;
    struct slice record;
};

static struct found entries[ENTRIES_MAX];
static uint8_t keys[KEYS_MAX]; // of the entries
static uint8_t key_bytes[FULL_KEY_MAX];
static uint8_t last[FULL_KEY_MAX];
static uint8_t rebuilt[CAPACITY];
static struct block_builder builder;

// How many entries there are, up to the first that is out of order or has no room.
static uint32_t walk(struct slice bytes) {
    struct block_cursor c;
    uint32_t count = 0;
    size_t used = 0;
    block_open(&c, bytes, key_bytes);
    while (count < ENTRIES_MAX && block_next(&c)) {
        must(c.is_valid);
        must(!c.failed);
        must(c.key.size >= FULL_KEY_HEAD);
        must(c.key.size <= block_key_most(bytes));
        must(c.record.data >= bytes.data);
        must(c.record.data + c.record.size <= bytes.data + bytes.size);
        if (count > 0 && slice_compare(entries[count - 1].key, c.key) >= 0) break;
        if (c.key.size > KEYS_MAX - used) break;
        memcpy(keys + used, c.key.data, c.key.size);
        entries[count].key = (struct slice){keys + used, c.key.size};
        entries[count++].record = c.record;
        used += c.key.size;
    }
    return count;
}

static void check_seek(struct slice bytes, struct slice wanted) {
    struct block_cursor c;
    block_open(&c, bytes, key_bytes);
    bool is_found = block_seek(&c, wanted);
    must(is_found == c.is_valid);
    must(!is_found || !c.failed);
    if (is_found) must(slice_compare(c.key, wanted) >= 0);
    if (c.failed) must(!block_seek(&c, wanted));
    block_open(&c, bytes, key_bytes);
    for (bool has_one = block_seek_back(&c, wanted, false); has_one; has_one = block_prev(&c)) {
        must(c.is_valid);
        must(c.record.data >= bytes.data);
        must(c.record.data + c.record.size <= bytes.data + bytes.size);
    }
}

static void check_rebuilt(uint32_t count) {
    struct block_cursor c;
    block_init(&builder, rebuilt, CAPACITY, last);
    uint32_t added = 0;
    while (added < count &&
           block_add(&builder, entries[added].key, entries[added].record, CAPACITY)) {
        added++;
    }
    if (added == 0) return;
    struct slice block = block_finish(&builder);
    must(block.size == block_size(&builder));
    block_open(&c, block, key_bytes);
    for (uint32_t i = 0; i < added; i++) {
        must(block_next(&c));
        must(slice_equal(c.key, entries[i].key));
        must(slice_equal(c.record, entries[i].record));
    }
    must(!block_next(&c));
    must(!c.failed);
    for (uint32_t i = 0; i < added; i++) {
        must(block_seek(&c, entries[i].key));
        must(slice_equal(c.key, entries[i].key));
        must(slice_equal(c.record, entries[i].record));
    }
    block_end(&c);
    for (uint32_t i = added; i > 0; i--) {
        must(block_prev(&c));
        must(slice_equal(c.key, entries[i - 1].key));
        must(slice_equal(c.record, entries[i - 1].record));
    }
    must(!block_prev(&c));
    must(!c.failed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > INPUT_MAX) return 0;
    struct slice bytes = {data, size};
    check_seek(bytes, (struct slice){data, size < 8 ? size : 8});
    uint32_t count = walk(bytes);
    if (count > 0) check_seek(bytes, entries[count - 1].key);
    check_rebuilt(count);
    return 0;
}
