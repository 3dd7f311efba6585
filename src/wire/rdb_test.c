// SPDX-License-Identifier: Apache-2.0
#include "wire/rdb.h"

#include "base/codec.h"
#include "base/text.h"
#include "tests/golden.h"
#include "tests/test.h"

#include <stdlib.h>

enum { FILE_MAX = 4096, VALUE_MAX = 256 };

// What a file holds, in short: "text=hello list:lists ..."
struct summary {
    char memory[FILE_MAX];
    struct text text;
};

static void add_string(struct summary *s, const struct dump_string *string) {
    uint8_t expanded[VALUE_MAX];
    struct slice bytes = string->bytes;
    if (string->is_compressed) {
        assert_in_range(string->size, 0, sizeof(expanded));
        assert_true(dump_expand(string, expanded));
        bytes = (struct slice){expanded, string->size};
    }
    text_bytes(&s->text, bytes);
}

static enum status summarize(struct slice file, struct summary *s) {
    struct rdb rdb;
    struct rdb_entry entry;
    s->text = text_over(s->memory, sizeof(s->memory));
    enum status status = rdb_open(&rdb, file);
    if (status != ST_OK) return status;
    while ((status = rdb_next(&rdb, &entry)) == ST_OK) {
        bool is_string = entry.kind == RDB_STRING;
        add_string(s, &entry.key);
        text_char(&s->text, is_string ? '=' : ':');
        if (is_string) add_string(s, &entry.value);
        if (!is_string) text_string(&s->text, rdb_kind_name(entry.kind));
        if (entry.expires_ms != 0) {
            text_char(&s->text, '@');
            text_i64(&s->text, entry.expires_ms);
        }
        if (entry.database != 0) text_string(&s->text, "/elsewhere");
        text_char(&s->text, ' ');
    }
    assert_false(s->text.clipped);
    return status;
}

static void assert_holds(const struct summary *s, const char *text) {
    if (strstr(s->memory, text) == NULL) fail_msg("%s is not in %s", text, s->memory);
}

static struct slice golden(uint8_t memory[FILE_MAX]) {
    return golden_read("redis.rdb", memory, FILE_MAX);
}

static void what_redis_saved_is_read(void **state) {
    (void)state;
    uint8_t memory[FILE_MAX];
    struct summary s;
    assert_int_equal(summarize(golden(memory), &s), ST_NOT_FOUND);
    const char *const wanted[] = {
        "text=hello ",
        "int8=-7 ",
        "int16=12345 ",
        "int32=-123456789 ",
        "digits=99999999999 ",
        "empty= ",
        "lasts=v@4102444800123 ",
        "packed=aaaaaaaaaaaa",
        "aaaaab ",
        "list:lists ",
        "set:sets ",
        "ints:sets ",
        "sorted:sorted sets ",
        "hash:hashes ",
        "stream:streams ",
        "hashes:hashes ",
        "sorteds:sorted sets ",
        "sets:sets ",
        "other=1/elsewhere ",
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) assert_holds(&s, wanted[i]);
}

static void damage_is_found_before_anything_is_read(void **state) {
    (void)state;
    uint8_t memory[FILE_MAX];
    struct summary s;
    struct slice file = golden(memory);
    for (size_t size = 0; size < file.size; size++) {
        enum status status = summarize((struct slice){memory, size}, &s);
        assert_int_equal(status, size < 9 ? ST_INVALID : ST_CORRUPT);
        assert_int_equal(s.text.size, 0);
    }
    for (size_t i = 9; i < file.size; i++) {
        memory[i] ^= 4;
        assert_int_equal(summarize(file, &s), ST_CORRUPT);
        assert_int_equal(s.text.size, 0);
        memory[i] ^= 4;
    }
}

// Without a checksum, as a server can be told to save, anything may stand there. It ends, and
// reads nothing that is not the file's.
static void nonsense_comes_to_an_end(void **state) {
    (void)state;
    uint8_t memory[FILE_MAX];
    struct slice file = golden(memory);
    for (size_t at = 9; at + 9 < file.size; at++) {
        for (int value = 0; value < 256; value += 5) {
            uint8_t *copy = malloc(file.size); // so that a sanitizer knows where it ends
            assert_non_null(copy);
            memcpy(copy, memory, file.size);
            copy[at] = (uint8_t)value;
            memset(copy + file.size - 8, 0, 8);
            struct rdb rdb;
            struct rdb_entry entry;
            assert_int_equal(rdb_open(&rdb, (struct slice){copy, file.size}), ST_OK);
            size_t before = rdb_position(&rdb);
            while (rdb_next(&rdb, &entry) == ST_OK) {
                assert_true(rdb_position(&rdb) > before);
                before = rdb_position(&rdb);
            }
            free(copy);
        }
    }
}

// Forms that the golden file has not: each is one key "k", and a string "z" behind it shows that
// its end was found.
static void check_form(const char *head, struct slice value, const char *wanted) {
    static const uint8_t end[] = {0, 1, 'z', 1, 'y', 0xff, 0, 0, 0, 0, 0, 0, 0, 0};
    uint8_t memory[FILE_MAX];
    struct writer w = writer_to(memory, sizeof(memory));
    write_bytes(&w, slice_of_string(head));
    write_bytes(&w, value);
    write_bytes(&w, (struct slice){end, sizeof(end)});
    struct summary s;
    enum status status = summarize(writer_bytes(&w), &s);
    if (wanted == NULL) {
        assert_int_equal(status, ST_INVALID);
        return;
    }
    assert_int_equal(status, ST_NOT_FOUND);
    assert_string_equal(s.memory, wanted);
}
#define CHECK_FORM(head, value, wanted) check_form(head, SLICE(value), wanted)
#define ID "12345678abcdefgh"
#define TIME "12345678"

static void values_of_other_kinds_are_passed_over(void **state) {
    (void)state;
    CHECK_FORM("REDIS0003", "\xfd\x01\x00\x00\x00\x00\x01k\x01v", "k=v@1000 z=y ");
    CHECK_FORM("REDIS0003",
               "\x03\x01k\x04\x01"
               "a\xfe\x01"
               "b\xfd\x01"
               "c\xff\x01"
               "d\x03"
               "1.5",
               "k:sorted sets z=y ");
    CHECK_FORM("REDIS0007",
               "\x09\x01k\x04"
               "zipm",
               "k:hashes z=y ");
    CHECK_FORM("REDIS0007",
               "\x0e\x01k\x02\x01"
               "a\x01"
               "b",
               "k:lists z=y ");
    CHECK_FORM("REDIS0009",
               "\x07\x01k\x81" TIME "\x01\x05\x02\x81" TIME "\x03"
               "ffff\x04" TIME "\x05\x03"
               "str\x00",
               "k:modules z=y ");
    CHECK_FORM("REDIS0009", "\xf7\x81" TIME "\x02\x02\x00\xf8\x05\xf9\x07\x00\x01k\x01v",
               "k=v z=y ");
    CHECK_FORM("REDIS0009",
               "\x0f\x01k\x01\x01n\x01p\x01\x02\x03\x01\x01g\x04\x05\x01" ID TIME "\x01\x01\x01"
               "c" TIME "\x01" ID,
               "k:streams z=y ");
    CHECK_FORM("REDIS0011",
               "\x15\x01k\x01\x01n\x01p\x01\x02\x03\x04\x05\x06\x07\x08\x01\x01g\x04"
               "\x05\x06\x01" ID TIME "\x01\x01\x01"
               "c" TIME TIME "\x01" ID,
               "k:streams z=y ");
    CHECK_FORM("REDIS0012",
               "\x18\x01k" TIME "\x02\x00\x01"
               "f\x01v\x09\x01g\x01w",
               "k:hashes z=y ");
    CHECK_FORM("REDIS0012",
               "\x19\x01k" TIME "\x03"
               "lpx",
               "k:hashes z=y ");
    CHECK_FORM("VALKEY080",
               "\xf4\x01\x02\x03\x16\x01k\x01\x01"
               "f\x01v" TIME,
               "k:hashes z=y ");
    CHECK_FORM("REDIS0011",
               "\xf5\x04"
               "code\x00\x01k\xc0\x05",
               "k=5 z=y ");
    // There it meant something else, and nobody can say where that ends.
    CHECK_FORM("REDIS0012",
               "\x16\x01k\x01\x01"
               "f\x01v" TIME,
               NULL);
    CHECK_FORM("REDIS0009", "\x06\x01k\x01v", NULL);
}

int rdb_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_redis_saved_is_read),
        cmocka_unit_test(damage_is_found_before_anything_is_read),
        cmocka_unit_test(nonsense_comes_to_an_end),
        cmocka_unit_test(values_of_other_kinds_are_passed_over),
    };
    return cmocka_run_group_tests_name("rdb", cases, NULL, NULL);
}
