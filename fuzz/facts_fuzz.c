// SPDX-License-Identifier: Apache-2.0
//
// The sums of a file of facts, and a footprint as the log carries it. What is accepted must encode
// to the bytes it was decoded from, and the sums of all partitions must be the totals.
#include "fuzz/fuzz.h"

#include "store/facts.h"

enum { INPUT_MAX = 16 * 1024, KEYSPACES = 3 };

static _Alignas(64) uint8_t memory[8 * 1024 * 1024];
static uint8_t again[INPUT_MAX];
static struct keyspaces keyspaces;
static struct facts facts;

static void check_footprint(struct slice input) {
    struct footprint f;
    struct reader r = reader_of(input);
    if (!footprint_load(&r, &f)) return;
    must(input.size - r.rest.size == FOOTPRINT_SIZE);
    must(f.size > 0 || !f.is_live);
    must(footprint_store(again, &f) == again + FOOTPRINT_SIZE);
    must(memcmp(again, input.data, FOOTPRINT_SIZE) == 0);
}

static void check_sums(void) {
    struct part_facts sum = {0};
    for (uint32_t i = 0; i != PARTITION_NONE; i = keyspaces_next(&keyspaces, i)) {
        struct store_partition part = facts_of(&facts, partition_of_number(i));
        if (part.key_count == 0) continue;
        must(part.live_count <= part.key_count);
        sum.key_count += part.key_count;
        sum.live_count += part.live_count;
        sum.size += part.size;
        for (uint32_t leaf = 0; leaf < STORE_LEAVES; leaf++) part.digest -= part.leaves[leaf];
        must(part.digest == 0);
    }
    must(sum.key_count == facts.totals.key_count);
    must(sum.live_count == facts.totals.live_count);
    must(sum.size == facts.totals.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > INPUT_MAX) return 0;
    struct slice input = {data, size};
    check_footprint(input);
    if (facts.parts == NULL) {
        struct arena arena = arena_over(memory, sizeof(memory));
        keyspaces_init(&keyspaces, &arena, KEYSPACES);
        facts_init(&facts, &arena, &keyspaces);
    }
    enum status status = facts_decode(&facts, input);
    check_sums();
    if (status != ST_OK) {
        must(status == ST_CORRUPT || status == ST_TOO_LARGE);
        must(facts.totals.key_count == 0);
        return 0;
    }
    struct writer w = writer_to(again, sizeof(again));
    facts_encode(&facts, &w);
    must(!w.failed);
    must(slice_equal(writer_bytes(&w), input));
    return 0;
}
