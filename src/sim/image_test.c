// SPDX-License-Identifier: Apache-2.0
#include "sim/image.h"

#include "base/rng.h"
#include "tests/test.h"

#include <string.h>

enum { SPACE = 5 * IMAGE_PAGE + 123 };

// The same as a plain array, in which everything past the size is zero.
struct flat {
    uint8_t bytes[SPACE];
    uint64_t size;
};

static void check_equal(const struct image *image, const struct flat *flat) {
    static uint8_t bytes[SPACE];
    assert_int_equal(image->size, flat->size);
    image_read(image, 0, bytes, SPACE);
    assert_memory_equal(bytes, flat->bytes, SPACE);
}

static void an_image_is_an_array_that_takes_no_room(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    for (uint32_t round = 0; round < 20; round++) {
        struct image image = {0};
        static struct flat flat;
        memset(&flat, 0, sizeof(flat));
        for (uint32_t i = 0; i < 60; i++) {
            if (rng_chance(&rng, 1, 4)) {
                uint32_t size = rng_below(&rng, SPACE + 1);
                image_resize(&image, size);
                memset(flat.bytes + size, 0, SPACE - size);
                flat.size = size;
            } else {
                uint8_t bytes[6000];
                uint32_t size = rng_below(&rng, sizeof(bytes)) + 1;
                uint32_t offset = rng_below(&rng, SPACE - size + 1);
                for (uint32_t b = 0; b < size; b++) bytes[b] = (uint8_t)rng_next(&rng);
                image_write(&image, offset, bytes, size);
                memcpy(flat.bytes + offset, bytes, size);
                if (flat.size < offset + size) flat.size = offset + size;
            }
            check_equal(&image, &flat);
        }
        struct image copy = image_copy(&image);
        check_equal(&copy, &flat);
        image_write(&copy, 0, (const uint8_t *)"?", 1);
        check_equal(&image, &flat); // it is another's
        image_free(&copy);
        image_free(&image);
    }
}

static void a_gigabyte_of_nothing_is_free(void **state) {
    (void)state;
    struct image image = {0};
    image_resize(&image, 1ull << 30);
    uint8_t byte = 1;
    image_read(&image, (1ull << 30) - 1, &byte, 1);
    assert_int_equal(byte, 0);
    assert_int_equal(image.page_count, 0);
    image_free(&image);
}

static void zeros_are_free_until_something_else_is_there(void **state) {
    (void)state;
    static const uint8_t zeros[2 * IMAGE_PAGE];
    struct image image = {0};
    image_write(&image, 100, zeros, sizeof(zeros));
    assert_int_equal(image.size, 100 + sizeof(zeros));
    for (uint64_t i = 0; i < image.page_count; i++) assert_null(image.pages[i]);
    image_write(&image, IMAGE_PAGE + 7, (const uint8_t *)"?", 1);
    image_write(&image, IMAGE_PAGE, zeros, IMAGE_PAGE); // over it, too
    uint8_t byte = 1;
    image_read(&image, IMAGE_PAGE + 7, &byte, 1);
    assert_int_equal(byte, 0);
    image_write(&image, 0, (const uint8_t[]){0, 0, 5}, 3);
    image_read(&image, 2, &byte, 1);
    assert_int_equal(byte, 5);
    image_free(&image);
}

int image_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(an_image_is_an_array_that_takes_no_room),
        cmocka_unit_test(a_gigabyte_of_nothing_is_free),
        cmocka_unit_test(zeros_are_free_until_something_else_is_there),
    };
    return cmocka_run_group_tests_name("image", cases, NULL, NULL);
}
