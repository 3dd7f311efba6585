// SPDX-License-Identifier: Apache-2.0
#include "wire/dump.h"

#include "base/little.h"
#include "base/rng.h"
#include "base/text.h"
#include "tests/test.h"

// Initialises a slice in a table.
#define BYTES(literal)                                                                             \
    { (const uint8_t *)(literal), sizeof(literal) - 1 }

enum { STRING_MAX = 70000 };

static uint8_t memory[STRING_MAX + DUMP_OVERHEAD];
static uint8_t string_memory[STRING_MAX];

static void the_checksum_is_the_known_one(void **state) {
    (void)state;
    assert_true(dump_checksum(SLICE("123456789")) == 0xe9c6d914c4b8d9cau);
    assert_true(dump_checksum(SLICE("")) == 0);
}

// What redis-server 7.0 says to DUMP.
static const struct {
    struct slice string;
    struct slice dump;
} known[] = {
    {BYTES(""), BYTES("\x00\x00\x0a\x00\x5d\x9b\x5c\x40\x0f\x7f\xa2\xda")},
    {BYTES("a"), BYTES("\x00\x01\x61\x0a\x00\xbf\xfe\xef\x9b\x8f\x36\x7d\xb4")},
    {BYTES("0"), BYTES("\x00\xc0\x00\x0a\x00\x98\x40\xa7\x78\xf8\x50\x03\x08")},
    {BYTES("-1"), BYTES("\x00\xc0\xff\x0a\x00\x0c\x93\x7e\x24\x85\x08\x9d\xc5")},
    {BYTES("127"), BYTES("\x00\xc0\x7f\x0a\x00\x0d\xb5\xeb\x31\x52\x54\xc5\x14")},
    {BYTES("-128"), BYTES("\x00\xc0\x80\x0a\x00\x99\x66\x32\x6d\x2f\x0c\x5b\xd9")},
    {BYTES("128"), BYTES("\x00\xc1\x80\x00\x0a\x00\xeb\x7a\xb3\xb5\x10\xcf\x4b\x65")},
    {BYTES("-129"), BYTES("\x00\xc1\x7f\xff\x0a\x00\x17\x60\x82\x28\x54\x80\x84\x80")},
    {BYTES("-32768"), BYTES("\x00\xc1\x00\x80\x0a\x00\xb5\x40\x06\x47\x53\xbb\x1a\xce")},
    {BYTES("32767"), BYTES("\x00\xc1\xff\x7f\x0a\x00\x49\x5a\x37\xda\x17\xf4\xd5\x2b")},
    {BYTES("32768"), BYTES("\x00\xc2\x00\x80\x00\x00\x0a\x00\x45\xd8\x2e\xed\xd5\xbd\xa9\x10")},
    {BYTES("2147483647"),
     BYTES("\x00\xc2\xff\xff\xff\x7f\x0a\x00\x2c\x74\xe5\x9e\xe0\x2e\xad\xa1")},
    {BYTES("-2147483648"),
     BYTES("\x00\xc2\x00\x00\x00\x80\x0a\x00\xc7\x4f\x87\x3e\x33\x55\x81\x87")},
    {BYTES("2147483648"), BYTES("\x00\x0a\x32\x31\x34\x37\x34\x38\x33\x36\x34\x38\x0a\x00\xe7\xb1"
                                "\x29\xa3\x4c\x1d\x76\xee")},
    {BYTES("007"), BYTES("\x00\x03\x30\x30\x37\x0a\x00\x72\x58\xe2\x7b\x4c\x69\xba\xd9")},
    {BYTES("-0"), BYTES("\x00\x02\x2d\x30\x0a\x00\xd5\x41\x1f\xd9\xd6\xd0\x50\xcc")},
    {BYTES("hello \x00\xff"),
     BYTES("\x00\x08\x68\x65\x6c\x6c\x6f\x20\x00\xff\x0a\x00\xd8\x0a\x00\xa6\x02\x8e\x38\x30")},
};

static void a_dump_is_what_redis_would_have_made_of_it(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        size_t size = dump_encode(known[i].string, memory);
        assert_int_equal(size, known[i].dump.size);
        assert_memory_equal(memory, known[i].dump.data, size);
    }
}

static void expect_around(size_t string_size, struct slice head, struct slice tail) {
    memset(string_memory, 'x', string_size);
    size_t size = dump_encode((struct slice){string_memory, string_size}, memory);
    assert_int_equal(size, head.size + string_size + tail.size);
    assert_memory_equal(memory, head.data, head.size);
    assert_memory_equal(memory + size - tail.size, tail.data, tail.size);
}

static void sizes_take_the_bytes_that_they_need(void **state) {
    (void)state;
    expect_around(63, SLICE("\x00\x3f"), SLICE("\x0a\x00\x14\x0c\x79\x5c\xdf\xfb\xaa\xfb"));
    expect_around(64, SLICE("\x00\x40\x40"), SLICE("\x0a\x00\x37\x6c\x9d\x02\x3d\xc5\x29\x73"));
    expect_around(16383, SLICE("\x00\x7f\xff"), SLICE("\x0a\x00\xfa\x74\x3a\x43\xee\x37\x3b\xbb"));
    expect_around(16384, SLICE("\x00\x80\x00\x00\x40\x00"),
                  SLICE("\x0a\x00\xfc\xb0\xfa\x29\x49\x75\xb7\xb8"));
}

// Compressed by redis-server 7.0.
static const struct slice compressed[] = {
    BYTES("\x00\xc3\x09\x1e\x01\x61\x61\xe0\x11\x00\x01\x61\x61\x0a\x00\x45\x73\x7c\xbb\x2b\x64\x7b"
          "\xbb"),
    BYTES("\x00\xc3\x0b\x1e\x03\x61\x62\x63\x61\xe0\x0f\x02\x01\x62\x63\x0a\x00\x88\x74\xbe\x6d\x67"
          "\xe5\x9d\x2a"),
    BYTES("\x00\xc3\x0c\x41\x90\x01\x78\x78\xe0\xff\x00\xe0\x7b\x00\x01\x78\x78\x0a\x00\x1a\xb9\x9f"
          "\xcd\x2c\xbc\xcf\xca"),
    BYTES("\x00\xc3\x29\x40\x4b\x15\x74\x68\x65\x20\x71\x75\x69\x63\x6b\x20\x62\x72\x6f\x77\x6e\x20"
          "\x66\x6f\x78\x3b\x20\x74\xe0\x0f\x14\x07\x6c\x61\x7a\x79\x20\x64\x6f\x67\xe0\x0a\x22\x01"
          "\x6f\x78\x0a\x00\x6b\x4d\xb4\xfc\xab\xff\x90\x83"),
};

static void what_redis_compressed_is_expanded(void **state) {
    (void)state;
    static const char *const texts[] = {
        NULL, "abcabcabcabcabcabcabcabcabcabc", NULL,
        "the quick brown fox; the quick brown fox; the lazy dog; the quick brown fox"};
    static const char letters[] = {'a', 0, 'x', 0};
    static const size_t sizes[] = {30, 30, 400, 75};
    for (size_t i = 0; i < 4; i++) {
        struct dump_string string;
        assert_int_equal(dump_decode(compressed[i], &string), DUMP_OK);
        assert_true(string.is_compressed);
        assert_int_equal(string.size, sizes[i]);
        assert_true(dump_expand(&string, memory));
        if (texts[i] == NULL) {
            for (size_t at = 0; at < sizes[i]; at++) assert_int_equal(memory[at], letters[i]);
        } else {
            assert_memory_equal(memory, texts[i], sizes[i]);
        }
    }
}

static void every_string_comes_back(void **state) {
    (void)state;
    struct rng rng = {.state = test_seed()};
    for (int round = 0; round < 2000; round++) {
        size_t string_size = rng_below(&rng, round % 100 == 0 ? STRING_MAX : 300);
        for (size_t i = 0; i < string_size; i++) string_memory[i] = (uint8_t)rng_next(&rng);
        char digits[I64_TEXT_MAX];
        if (round % 2 == 0) {
            int64_t number = (int64_t)rng_next(&rng) >> rng_below(&rng, 64);
            string_size = i64_to_text(number, digits);
            memcpy(string_memory, digits, string_size);
        }
        size_t size = dump_encode((struct slice){string_memory, string_size}, memory);
        assert_true(size <= string_size + DUMP_OVERHEAD);
        struct dump_string string;
        assert_int_equal(dump_decode((struct slice){memory, size}, &string), DUMP_OK);
        assert_false(string.is_compressed);
        assert_int_equal(string.size, string_size);
        assert_true(slice_equal(string.bytes, (struct slice){string_memory, string_size}));
    }
}

static size_t sealed(struct slice bytes) {
    memcpy(memory, bytes.data, bytes.size);
    (void)store_u16(memory + bytes.size, DUMP_VERSION);
    struct slice summed = {memory, bytes.size + 2};
    (void)store_u64(memory + summed.size, dump_checksum(summed));
    return summed.size + 8;
}

static void what_is_no_dump_is_told_apart(void **state) {
    (void)state;
    static const struct {
        struct slice bytes;
        enum dump_result result;
    } cases[] = {
        {BYTES("\x00\x01\x61"), DUMP_OK},
        {BYTES("\x00\x81\x00\x00\x00\x00\x00\x00\x00\x01\x61"), DUMP_OK},
        {BYTES(""), DUMP_BAD},
        {BYTES("\x00"), DUMP_BAD},
        {BYTES("\x00\x02\x61"), DUMP_BAD},
        {BYTES("\x00\x01\x61\x61"), DUMP_BAD},
        {BYTES("\x00\x81\xff\xff\xff\xff\xff\xff\xff\xff\x61"), DUMP_BAD},
        {BYTES("\x00\x82\x61"), DUMP_BAD},
        {BYTES("\x00\xc4\x61"), DUMP_BAD},
        {BYTES("\x00\xc2\x61\x61\x61"), DUMP_BAD},
        {BYTES("\x00\xc3\x02\x01\x00"), DUMP_BAD},
        {BYTES("\x01\x01\x61"), DUMP_NO_STRING},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t size = sealed(cases[i].bytes);
        struct dump_string string;
        assert_int_equal(dump_decode((struct slice){memory, size}, &string), cases[i].result);
        memory[size - 1] ^= 1;
        assert_int_equal(dump_decode((struct slice){memory, size}, &string), DUMP_BAD_CHECKSUM);
        assert_int_equal(dump_decode((struct slice){memory, 9}, &string), DUMP_BAD_CHECKSUM);
    }
}

static void what_expands_to_something_else_is_refused(void **state) {
    (void)state;
    static const struct {
        struct slice bytes; // of two sizes, then compressed
        bool is_good;
    } cases[] = {
        {BYTES("\x04\x05\x00\x61\x40\x00"), true}, // one as it is, four times the byte before
        {BYTES("\x04\x04\x00\x61\x40\x00"), false}, {BYTES("\x04\x06\x00\x61\x40\x00"), false},
        {BYTES("\x04\x05\x00\x61\x40\x01"), false}, // from before the beginning
        {BYTES("\x03\x05\x00\x61\x40"), false},     {BYTES("\x03\x0b\x00\x61\xe0"), false},
        {BYTES("\x02\x02\x01\x61"), false},         {BYTES("\x00\x00"), true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t bytes[16] = {0, 0xc3};
        memcpy(bytes + 2, cases[i].bytes.data, cases[i].bytes.size);
        size_t size = sealed((struct slice){bytes, cases[i].bytes.size + 2});
        struct dump_string string;
        uint8_t out[16];
        assert_int_equal(dump_decode((struct slice){memory, size}, &string), DUMP_OK);
        assert_true(string.size <= sizeof(out));
        assert_int_equal(dump_expand(&string, out), cases[i].is_good);
    }
}

int dump_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_checksum_is_the_known_one),
        cmocka_unit_test(a_dump_is_what_redis_would_have_made_of_it),
        cmocka_unit_test(sizes_take_the_bytes_that_they_need),
        cmocka_unit_test(what_redis_compressed_is_expanded),
        cmocka_unit_test(every_string_comes_back),
        cmocka_unit_test(what_is_no_dump_is_told_apart),
        cmocka_unit_test(what_expands_to_something_else_is_refused),
    };
    return cmocka_run_group_tests_name("dump", cases, NULL, NULL);
}
