// SPDX-License-Identifier: Apache-2.0
#include "store/compress.h"

#include "base/rng.h"
#include "tests/malloc_trap.h"
#include "tests/test.h"

#include <stdlib.h>

// A compressor in memory of its own, of exactly the size that it says.
struct made {
    struct compressor c;
    void *memory;
};

static struct made make(bool writes) {
    size_t size = (compressor_memory_size(writes) + 63) / 64 * 64;
    struct made m = {.memory = aligned_alloc(64, size)};
    assert_non_null(m.memory);
    memset(m.memory, 0, size);
    struct arena arena = arena_over(m.memory, size);
    compressor_init(&m.c, &arena, writes);
    return m;
}

// Of few letters it becomes smaller, of all 256 it does not.
static void draw(struct rng *rng, uint8_t *bytes, uint32_t size, uint32_t letters) {
    for (uint32_t i = 0; i < size; i++) bytes[i] = (uint8_t)rng_below(rng, letters);
}

// In memory of exactly the sizes, as the sanitizers see.
static enum status expand(struct compressor *c, struct piece p, struct slice content,
                          struct slice expected) {
    uint8_t *from = malloc(content.size + 1);
    uint8_t *to = malloc(p.raw_size + 1);
    struct slice raw;
    memcpy(from + 1, content.data, content.size);
    enum status status = piece_expand(c, &p, (struct slice){from + 1, content.size}, to + 1, &raw);
    if (status == ST_OK) assert_int_equal(raw.size, p.raw_size);
    if (status == ST_OK && expected.data != NULL) assert_true(slice_equal(raw, expected));
    free(to);
    free(from);
    return status;
}

static void what_was_filled_expands_to_the_same(void **state) {
    (void)state;
    for (enum codec codec = CODEC_NONE; codec < CODECS; codec++) {
        struct rng rng = {test_seed()};
        struct made m = make(true);
        uint32_t compressed_count = 0;
        for (uint32_t round = 0; round < 500; round++) {
            uint32_t size = 1 + rng_below(&rng, 3000);
            uint8_t *bytes = malloc(size);
            uint8_t *to = malloc(size);
            draw(&rng, bytes, size, rng_chance(&rng, 1, 3) ? 256 : 1 + rng_below(&rng, 5));
            struct slice raw = {bytes, size};
            struct piece p = piece_fill(&m.c, codec, raw, to);
            struct slice content = {to, p.size};
            assert_int_equal(p.raw_size, size);
            assert_int_equal(expand(&m.c, p, content, raw), ST_OK);
            if (p.codec == CODEC_NONE) {
                assert_true(slice_equal(content, raw));
            } else {
                compressed_count++;
                assert_int_equal(p.codec, codec);
                assert_true(p.size < size);
                p.raw_size--;
                assert_int_equal(expand(&m.c, p, content, (struct slice){0}), ST_CORRUPT);
            }
            free(to);
            free(bytes);
        }
        if (codec == CODEC_NONE) {
            assert_int_equal(compressed_count, 0);
        } else {
            assert_in_range(compressed_count, 100, 499);
        }
        free(m.memory);
    }
}

// Each piece says what it is in: one store holds what was written under all settings.
static void what_is_written_now_does_not_matter_for_what_is_read(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    struct made writer = make(true);
    struct made reader = make(false);
    uint8_t bytes[2000];
    for (uint32_t round = 0; round < 200; round++) {
        draw(&rng, bytes, sizeof(bytes), 4);
        struct slice raw = {bytes, sizeof(bytes)};
        writer.c.codec = (enum codec)(round % CODECS);
        for (enum codec codec = 0; codec < CODECS; codec++) {
            uint8_t stored[sizeof(bytes)];
            struct piece p = piece_fill(&writer.c, codec, raw, stored);
            assert_int_equal(p.codec, codec);
            struct slice content = {stored, p.size};
            assert_int_equal(expand(&writer.c, p, content, raw), ST_OK);
            assert_int_equal(expand(&reader.c, p, content, raw), ST_OK);
        }
    }
    free(writer.memory);
    free(reader.memory);
}

static void a_keyspace_has_the_codec_that_was_named_or_that_of_all_others(void **state) {
    (void)state;
    struct compressor c = {.codec = CODEC_LZ4};
    assert_int_equal(compressor_codec_of(&c, 0), CODEC_LZ4);
    c.named[0] = (struct keyspace_codec){7, CODEC_ZSTD};
    c.named[1] = (struct keyspace_codec){UINT16_MAX, CODEC_NONE};
    c.named_count = 2;
    assert_int_equal(compressor_codec_of(&c, 0), CODEC_LZ4);
    assert_int_equal(compressor_codec_of(&c, 7), CODEC_ZSTD);
    assert_int_equal(compressor_codec_of(&c, UINT16_MAX), CODEC_NONE);
    c.named_count = 1;
    assert_int_equal(compressor_codec_of(&c, UINT16_MAX), CODEC_LZ4);
}

// Small ones, for which a context uses little of its memory, and then the largest: it must do for
// all, and nothing may be asked for.
static void sizes_may_come_in_any_order(void **state) {
    (void)state;
    enum { LARGEST = 9 * 1024 * 1024 };
    struct rng rng = {test_seed()};
    uint8_t *bytes = malloc(LARGEST);
    uint8_t *stored = malloc(LARGEST);
    uint8_t *again = malloc(LARGEST);
    draw(&rng, bytes, LARGEST, 2);
    assert_true(malloc_trap_works());
    for (enum codec codec = CODEC_LZ4; codec < CODECS; codec++) {
        struct made m = make(true);
        for (uint32_t round = 0; round < 3000; round++) {
            uint32_t size = round % 1000 == 999 ? LARGEST : 1 + rng_below(&rng, 4096);
            struct slice raw = {bytes, size};
            malloc_trap_arm();
            struct piece p = piece_fill(&m.c, codec, raw, stored);
            struct slice found;
            enum status status =
                piece_expand(&m.c, &p, (struct slice){stored, p.size}, again, &found);
            assert_int_equal(malloc_trap_disarm(), 0);
            assert_int_equal(status, ST_OK);
            assert_true(slice_equal(found, raw));
            if (size > 300) assert_int_equal(p.codec, codec);
        }
        free(m.memory);
    }
    free(again);
    free(stored);
    free(bytes);
}

static void what_is_not_compressed_is_refused(void **state) {
    (void)state;
    for (enum codec codec = CODEC_LZ4; codec < CODECS; codec++) {
        struct rng rng = {test_seed()};
        struct made m = make(true);
        uint8_t bytes[1000];
        uint8_t stored[1000];
        draw(&rng, bytes, sizeof(bytes), 3);
        struct slice raw = {bytes, sizeof(bytes)};
        const struct piece good = piece_fill(&m.c, codec, raw, stored);
        assert_in_range(good.size, 100, sizeof(bytes) - 1);
        struct piece p = good;
        p.raw_size++;
        struct slice any = {0};
        assert_int_equal(expand(&m.c, p, (struct slice){stored, good.size}, any), ST_CORRUPT);
        for (size_t cut = 0; cut < good.size; cut++) {
            assert_int_equal(expand(&m.c, good, (struct slice){stored, cut}, any), ST_CORRUPT);
        }
        for (uint32_t round = 0; round < 20000; round++) {
            uint8_t flipped[1000];
            memcpy(flipped, stored, good.size);
            for (uint32_t flips = 1 + rng_below(&rng, 4); flips > 0; flips--) {
                flipped[rng_below(&rng, good.size)] = (uint8_t)rng_next(&rng);
            }
            p.raw_size = rng_below(&rng, 1100);
            enum status status = expand(&m.c, p, (struct slice){flipped, good.size}, any);
            assert_true(status == ST_OK || status == ST_CORRUPT);
        }
        assert_int_equal(expand(&m.c, good, (struct slice){stored, good.size}, raw), ST_OK);
        free(m.memory);
    }
}

// A frame of another version of the format, and one behind which there is more than it says: the
// library's own tool would allocate for the first.
static void old_frames_are_refused_without_asking_for_memory(void **state) {
    (void)state;
    struct made m = make(false);
    for (uint8_t version = 0x21; version <= 0x27; version++) {
        uint8_t content[40] = {version, 0xb5, 0x2f, 0xfd};
        uint8_t to[100];
        struct piece p = {sizeof(content), sizeof(to), CODEC_ZSTD};
        struct slice raw;
        malloc_trap_arm();
        enum status status =
            piece_expand(&m.c, &p, (struct slice){content, sizeof(content)}, to, &raw);
        assert_int_equal(malloc_trap_disarm(), 0);
        assert_int_equal(status, ST_CORRUPT);
    }
    free(m.memory);
}

int compress_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_was_filled_expands_to_the_same),
        cmocka_unit_test(what_is_written_now_does_not_matter_for_what_is_read),
        cmocka_unit_test(a_keyspace_has_the_codec_that_was_named_or_that_of_all_others),
        cmocka_unit_test(sizes_may_come_in_any_order),
        cmocka_unit_test(what_is_not_compressed_is_refused),
        cmocka_unit_test(old_frames_are_refused_without_asking_for_memory),
    };
    return cmocka_run_group_tests_name("compress", cases, NULL, NULL);
}
