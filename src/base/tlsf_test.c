// SPDX-License-Identifier: Apache-2.0
#include "base/tlsf.h"

#include "base/rng.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

enum {
    REGION = 4 << 20,
    BLOCKS = 4096,
    REGION_MOST = REGION / 10 * 8,
    REGION_LEAST = REGION / 100 * 85
};

struct fixture {
    uint8_t *memory;
    struct tlsf tlsf;
    uint32_t blocks[BLOCKS];
    size_t sizes[BLOCKS];
};

static struct fixture *fixture_new(void) {
    struct fixture *f = calloc(1, sizeof(*f));
    f->memory = aligned_alloc(64, REGION);
    memset(f->memory, 0, REGION);
    struct arena arena = arena_over(f->memory, REGION);
    tlsf_init(&f->tlsf, &arena, REGION);
    return f;
}

static void fixture_free(struct fixture *f) {
    free(f->memory);
    free(f);
}

static void paint(struct fixture *f, uint32_t i) {
    memset(tlsf_at(&f->tlsf, f->blocks[i]), (int)(i * 7 % 251), f->sizes[i]);
}

static void check_paint(const struct fixture *f, uint32_t i) {
    const uint8_t *bytes = tlsf_at(&f->tlsf, f->blocks[i]);
    assert_int_equal(tlsf_size(&f->tlsf, f->blocks[i]), f->sizes[i]);
    for (size_t at = 0; at < f->sizes[i]; at++) assert_int_equal(bytes[at], i * 7 % 251);
}

static size_t random_size(struct rng *rng) {
    return 1 + rng_below(rng, 1u << rng_below(rng, 14));
}

static void blocks_keep_their_bytes_through_any_history(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    struct fixture *f = fixture_new();
    for (uint32_t step = 0; step < 60000; step++) {
        uint32_t i = rng_below(&rng, BLOCKS);
        if (f->blocks[i] == 0) {
            f->sizes[i] = random_size(&rng);
            f->blocks[i] = tlsf_take(&f->tlsf, f->sizes[i]);
            if (f->blocks[i] != 0) paint(f, i);
        } else if (rng_chance(&rng, 1, 3)) {
            size_t size = random_size(&rng);
            if (tlsf_resize(&f->tlsf, f->blocks[i], size)) {
                if (size < f->sizes[i]) f->sizes[i] = size;
                assert_int_equal(tlsf_size(&f->tlsf, f->blocks[i]), size);
                assert_true(tlsf_resize(&f->tlsf, f->blocks[i], f->sizes[i]));
                check_paint(f, i);
            }
        } else {
            check_paint(f, i);
            tlsf_give(&f->tlsf, f->blocks[i]);
            f->blocks[i] = 0;
        }
        if (step % 1000 == 0) tlsf_check(&f->tlsf);
    }
    for (uint32_t i = 0; i < BLOCKS; i++) {
        if (f->blocks[i] == 0) continue;
        check_paint(f, i);
        tlsf_give(&f->tlsf, f->blocks[i]);
    }
    tlsf_check(&f->tlsf);
    assert_int_equal(f->tlsf.used, 0);
    assert_int_not_equal(tlsf_take(&f->tlsf, REGION - REGION / 16), 0); // all in one piece again
    fixture_free(f);
}

static void a_full_region_refuses_and_recovers(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    uint32_t taken = 0;
    while (taken < BLOCKS && (f->blocks[taken] = tlsf_take(&f->tlsf, 5000)) != 0) taken++;
    assert_true(taken > REGION / 5000 * 9 / 10);
    assert_true(taken < BLOCKS);
    assert_int_equal(tlsf_take(&f->tlsf, 5000), 0);
    tlsf_check(&f->tlsf);
    tlsf_give(&f->tlsf, f->blocks[7]);
    assert_int_equal(tlsf_take(&f->tlsf, 4999), f->blocks[7]);
    tlsf_check(&f->tlsf);
    fixture_free(f);
}

// Sizes change under a full store: new blocks must find the room that the old ones left.
static void little_room_is_lost_between_blocks(void **state) {
    (void)state;
    struct rng rng = {test_seed() + 1};
    struct fixture *f = fixture_new();
    for (uint32_t phase = 0; phase < 4; phase++) {
        uint32_t base = 100 + 900 * phase;
        for (uint32_t step = 0; step < 40000; step++) {
            uint32_t i = rng_below(&rng, BLOCKS);
            if (f->blocks[i] != 0) tlsf_give(&f->tlsf, f->blocks[i]);
            f->blocks[i] = tlsf_take(&f->tlsf, base + rng_below(&rng, base));
            if (f->tlsf.used > REGION_MOST) {
                uint32_t victim = rng_below(&rng, BLOCKS);
                if (f->blocks[victim] != 0) tlsf_give(&f->tlsf, f->blocks[victim]);
                f->blocks[victim] = 0;
            }
        }
        for (uint32_t i = 0; i < BLOCKS; i++) {
            if (f->blocks[i] != 0) continue;
            f->blocks[i] = tlsf_take(&f->tlsf, base);
            if (f->blocks[i] == 0) break;
        }
        if (phase > 0) assert_true(f->tlsf.used > REGION_LEAST);
    }
    tlsf_check(&f->tlsf);
    fixture_free(f);
}

int tlsf_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(blocks_keep_their_bytes_through_any_history),
        cmocka_unit_test(a_full_region_refuses_and_recovers),
        cmocka_unit_test(little_room_is_lost_between_blocks),
    };
    return cmocka_run_group_tests_name("tlsf", cases, NULL, NULL);
}
