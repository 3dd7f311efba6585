// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"

#include "base/rng.h"
#include "base/text.h"
#include "tests/test.h"

static void assert_text(const char *bytes, const char *text) {
    char out[64];
    size_t size = base64_encode(slice_of_string(bytes), out);
    assert_true(slice_equal((struct slice){(uint8_t *)out, size}, slice_of_string(text)));
}

static void the_examples_of_the_standard_hold(void **state) {
    (void)state;
    assert_text("", "");
    assert_text("f", "Zg");
    assert_text("fo", "Zm8");
    assert_text("foo", "Zm9v");
    assert_text("foob", "Zm9vYg");
    assert_text("fooba", "Zm9vYmE");
    assert_text("foobar", "Zm9vYmFy");
    assert_text("\xfb\xff\xfe", "-__-");
}

static void bytes_survive_the_way_to_text_and_back(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    for (uint32_t round = 0; round < 2000; round++) {
        uint8_t bytes[50];
        uint8_t again[50];
        char text[BASE64_TEXT_SIZE(sizeof(bytes))];
        uint32_t count = rng_below(&rng, sizeof(bytes) + 1);
        for (uint32_t i = 0; i < count; i++) bytes[i] = (uint8_t)rng_next(&rng);
        size_t size = base64_encode((struct slice){bytes, count}, text);
        struct slice encoded = {(uint8_t *)text, size};
        assert_int_equal(base64_decode(encoded, again, count, &size), ST_OK);
        assert_int_equal(size, count);
        assert_memory_equal(bytes, again, count);
        if (count == 0) continue;
        assert_int_equal(base64_decode(encoded, again, count - 1, &size), ST_TOO_LARGE);
    }
}

// Every text of up to three characters is refused or is what the encoder writes.
static void a_text_has_one_meaning(void **state) {
    (void)state;
    for (uint32_t number = 0; number < 256 * 256 * 4; number++) {
        uint8_t text[3] = {(uint8_t)number, (uint8_t)(number >> 8),
                           (uint8_t)("Aa=-"[number >> 16])};
        for (size_t count = 1; count <= 3; count++) {
            uint8_t bytes[3];
            char again[4];
            size_t size;
            if (base64_decode((struct slice){text, count}, bytes, 3, &size) != ST_OK) continue;
            assert_int_equal(base64_encode((struct slice){bytes, size}, again), count);
            assert_memory_equal(again, text, count);
        }
    }
}

int base64_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_examples_of_the_standard_hold),
        cmocka_unit_test(bytes_survive_the_way_to_text_and_back),
        cmocka_unit_test(a_text_has_one_meaning),
    };
    return cmocka_run_group_tests_name("base64", cases, NULL, NULL);
}
