// SPDX-License-Identifier: Apache-2.0
#include "base/codec.h"

#include "tests/test.h"

// Any prefix of a valid record must be refused, and refused without reading past its end (the
// sanitizer watches that part).
static void every_truncation_is_refused(void **state) {
    (void)state;
    uint8_t bytes[64];
    struct writer w = writer_to(bytes, sizeof(bytes));
    write_u8(&w, 7);
    write_u64(&w, 0x0102030405060708u);
    write_sized(&w, SLICE("key"));
    assert_true(!w.failed);

    for (size_t size = 0; size <= w.size; size++) {
        struct reader r = reader_of((struct slice){bytes, size});
        uint8_t kind = read_u8(&r);
        uint64_t sequence = read_u64(&r);
        struct slice key = read_sized(&r, 16);
        assert_true(reader_done(&r) == (size == w.size));
        if (!reader_done(&r)) continue;
        assert_true(kind == 7);
        assert_true(sequence == 0x0102030405060708u);
        assert_true(slice_equal(key, SLICE("key")));
    }
}

int codec_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(every_truncation_is_refused),
    };
    return cmocka_run_group_tests_name("codec", cases, NULL, NULL);
}
