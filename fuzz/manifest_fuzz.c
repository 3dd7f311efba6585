// SPDX-License-Identifier: Apache-2.0
//
// Bytes as a manifest as they come; and as a copy without its checksum, which is made for it, since
// no fuzzer finds one. What is accepted must encode to the bytes it was decoded from, and either
// copy alone must say the same.
#include "fuzz/fuzz.h"

#include "base/little.h"
#include "store/manifest.h"

enum { COPY_MAX = 8 * 1024 };

static struct manifest_table tables[SSTABLES_MAX];
static uint8_t bytes[2 * COPY_MAX];
static uint8_t again[2 * COPY_MAX];

static bool decodes(struct slice file, uint32_t copies) {
    struct manifest m = {.tables = tables};
    uint32_t good = 0;
    enum status status = manifest_decode(&m, file, &good);
    must(status == ST_OK || status == ST_CORRUPT || status == ST_INVALID);
    must((status == ST_OK) == (good > 0));
    if (status != ST_OK) return false;
    must(good <= 2);
    if (copies > 0) must(good == copies);
    must(m.storage != 0);
    must(m.table_count <= SSTABLES_MAX);
    must(manifest_encode(&m, again) == file.size);
    if (good == 2) must(memcmp(again, file.data, file.size) == 0);
    return true;
}

// Every table goes: one of a single partition by losing it, others as a whole.
static void check_changes(struct slice file) {
    struct manifest m = {.tables = tables};
    uint32_t good = 0;
    if (manifest_decode(&m, file, &good) != ST_OK) return;
    while (m.table_count > 0) {
        uint32_t before = m.table_count;
        struct manifest_table first = m.tables[0];
        manifest_trim(&m, first.number, first.first);
        if (m.table_count == before) {
            must(m.tables[0].first == first.first + 1);
            must(m.tables[0].first <= m.tables[0].last);
            manifest_remove(&m, first.number);
        }
        must(m.table_count == before - 1);
    }
}

static void check_signed(struct slice input) {
    size_t size = input.size + sizeof(uint64_t);
    if (size > COPY_MAX || input.size == 0) return;
    memcpy(bytes, input.data, input.size);
    (void)store_u64(bytes + input.size, hash_bytes(input, 0x71756f69746d616eu));
    memcpy(bytes + size, bytes, size);
    struct slice file = {bytes, 2 * size};
    if (!decodes(file, 2)) return;
    check_changes(file);
    for (size_t copy = 0; copy < 2; copy++) {
        bytes[copy * size + size / 2] ^= 1;
        must(decodes(file, 1));
        must(memcmp(again, bytes + (1 - copy) * size, size) == 0);
        bytes[copy * size + size / 2] ^= 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice input = {data, size};
    if (size > COPY_MAX) return 0;
    (void)decodes(input, 0);
    check_signed(input);
    return 0;
}
