// SPDX-License-Identifier: Apache-2.0
//
// The sums of a file of facts, and a footprint as the log carries it. What is accepted must encode
// to the bytes it was decoded from, and the sums of all partitions must be the totals.
#include "fuzz/fuzz.h"

#include "store/facts.h"

enum { INPUT_MAX = 16 * 1024 };

static _Alignas(64) uint8_t memory[4 * 1024 * 1024];
static uint8_t again[INPUT_MAX];
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
    for (uint32_t slot = 0; slot <= SLOT_SYSTEM; slot++) {
        if (facts.parts[slot].key_count == 0) continue;
        struct partition p = {.slot = (uint16_t)slot};
        struct store_partition part = facts_of(&facts, p);
        must(part.live_count <= part.key_count);
        sum.key_count += part.key_count;
        sum.live_count += part.live_count;
        sum.size += part.size;
        for (uint32_t i = 0; i < STORE_LEAVES; i++) part.digest -= part.leaves[i];
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
        facts_init(&facts, &arena);
    }
    enum status status = facts_decode(&facts, input);
    check_sums();
    if (status != ST_OK) {
        must(status == ST_CORRUPT);
        must(facts.totals.key_count == 0);
        return 0;
    }
    struct writer w = writer_to(again, sizeof(again));
    facts_encode(&facts, &w);
    must(!w.failed);
    must(slice_equal(writer_bytes(&w), input));
    return 0;
}
