// SPDX-License-Identifier: Apache-2.0
#include "env/file_conformance.h"

#include <string.h>

static void a_new_file_is_empty(struct suite *s) {
    struct env_file *file = NULL;
    struct ask *a = new_ask(s);
    ASK(s, env_open(s->env, &a->op, "a", ENV_CREATE, &file));
    assert_null(file);
    assert_int_equal(finish(s, a), ST_OK);
    assert_int_equal(a->op.value, 0);
    uint8_t byte;
    assert_int_equal(read_at(s, file, 0, &byte, 1), 0);
    close_file(s, file);
}

static void what_does_not_exist_cannot_be_opened_renamed_or_removed(struct suite *s) {
    struct env_file *file = NULL;
    struct ask *open = new_ask(s);
    ASK(s, env_open(s->env, &open->op, "a", ENV_OPEN, &file));
    assert_int_equal(finish(s, open), ST_NOT_FOUND);
    assert_null(file);
    struct ask *rename = new_ask(s);
    ASK(s, env_rename(s->env, &rename->op, "a", "b"));
    assert_int_equal(finish(s, rename), ST_NOT_FOUND);
    struct ask *remove = new_ask(s);
    ASK(s, env_remove(s->env, &remove->op, "a"));
    assert_int_equal(finish(s, remove), ST_NOT_FOUND);
}

static void what_was_written_is_read_back(struct suite *s) {
    struct env_file *file = opened(s, "a", ENV_CREATE);
    assert_int_equal(write_at(s, file, 0, "hello", 5), ST_OK);
    assert_int_equal(write_at(s, file, 3, "p me", 4), ST_OK);
    struct ask *sync = new_ask(s);
    ASK(s, env_sync(s->env, &sync->op, file));
    assert_int_equal(finish(s, sync), ST_OK);
    struct ask *names = new_ask(s);
    ASK(s, env_sync_names(s->env, &names->op));
    assert_int_equal(finish(s, names), ST_OK);
    close_file(s, file);

    struct ask *again = new_ask(s);
    ASK(s, env_open(s->env, &again->op, "a", ENV_OPEN, &file));
    assert_int_equal(finish(s, again), ST_OK);
    assert_int_equal(again->op.value, 7);
    char text[7];
    assert_int_equal(read_at(s, file, 0, text, 7), 7);
    assert_memory_equal(text, "help me", 7);
    close_file(s, file);
}

static void a_read_is_short_only_at_the_end(struct suite *s) {
    struct env_file *file = opened(s, "a", ENV_CREATE);
    assert_int_equal(write_at(s, file, 0, "0123456789", 10), ST_OK);
    char text[20];
    assert_int_equal(read_at(s, file, 2, text, 5), 5);
    assert_memory_equal(text, "23456", 5);
    assert_int_equal(read_at(s, file, 4, text, 20), 6);
    assert_memory_equal(text, "456789", 6);
    assert_int_equal(read_at(s, file, 10, text, 20), 0);
    assert_int_equal(read_at(s, file, 1000, text, 20), 0);
    close_file(s, file);
}

static void a_gap_reads_as_zeros(struct suite *s) {
    struct env_file *file = opened(s, "a", ENV_CREATE);
    assert_int_equal(write_at(s, file, 100, "x", 1), ST_OK);
    char text[101];
    memset(text, 'y', sizeof(text));
    assert_int_equal(read_at(s, file, 0, text, 101), 101);
    for (int i = 0; i < 100; i++) assert_int_equal(text[i], 0);
    assert_int_equal(text[100], 'x');
    close_file(s, file);
}

static void creating_takes_the_place_of_an_older_file(struct suite *s) {
    struct env_file *file = opened(s, "a", ENV_CREATE);
    assert_int_equal(write_at(s, file, 0, "old", 3), ST_OK);
    close_file(s, file);
    file = opened(s, "a", ENV_CREATE);
    char text[3];
    assert_int_equal(read_at(s, file, 0, text, 3), 0);
    close_file(s, file);
}

static void allocated_room_reads_as_zeros_and_counts(struct suite *s) {
    struct env_file *file = opened(s, "a", ENV_CREATE);
    assert_int_equal(write_at(s, file, 0, "log", 3), ST_OK);
    struct ask *a = new_ask(s);
    ASK(s, env_allocate(s->env, &a->op, file, 65536));
    assert_int_equal(finish(s, a), ST_OK);
    static char text[65536 + 1];
    memset(text, 'y', sizeof(text));
    assert_int_equal(read_at(s, file, 0, text, sizeof(text)), 65536);
    assert_memory_equal(text, "log", 3);
    for (int i = 3; i < 65536; i++) assert_int_equal(text[i], 0);
    close_file(s, file);
    struct ask *again = new_ask(s);
    ASK(s, env_open(s->env, &again->op, "a", ENV_OPEN, &file));
    assert_int_equal(finish(s, again), ST_OK);
    assert_int_equal(again->op.value, 65536);
    close_file(s, file);
}

static void a_rename_replaces_and_a_removed_file_stays_readable(struct suite *s) {
    struct env_file *a = opened(s, "a", ENV_CREATE);
    struct env_file *b = opened(s, "b", ENV_CREATE);
    assert_int_equal(write_at(s, a, 0, "aa", 2), ST_OK);
    assert_int_equal(write_at(s, b, 0, "bb", 2), ST_OK);
    struct ask *rename = new_ask(s);
    ASK(s, env_rename(s->env, &rename->op, "a", "b"));
    assert_int_equal(finish(s, rename), ST_OK);
    char text[2];
    struct env_file *c = opened(s, "b", ENV_OPEN);
    assert_int_equal(read_at(s, c, 0, text, 2), 2);
    assert_memory_equal(text, "aa", 2);
    assert_int_equal(read_at(s, b, 0, text, 2), 2);
    assert_memory_equal(text, "bb", 2);

    struct ask *remove = new_ask(s);
    ASK(s, env_remove(s->env, &remove->op, "b"));
    assert_int_equal(finish(s, remove), ST_OK);
    assert_int_equal(read_at(s, c, 0, text, 2), 2);
    assert_memory_equal(text, "aa", 2);
    struct env_file *gone = NULL;
    struct ask *open = new_ask(s);
    ASK(s, env_open(s->env, &open->op, "b", ENV_OPEN, &gone));
    assert_int_equal(finish(s, open), ST_NOT_FOUND);
    close_file(s, a);
    close_file(s, b);
    close_file(s, c);
}

static enum status linked(struct suite *s, const char *from, const char *to) {
    struct ask *a = new_ask(s);
    ASK(s, env_link(s->env, &a->op, from, to));
    return finish(s, a);
}

static void removed(struct suite *s, const char *name) {
    struct ask *a = new_ask(s);
    ASK(s, env_remove(s->env, &a->op, name));
    assert_int_equal(finish(s, a), ST_OK);
}

static void a_file_stays_until_its_last_name_goes(struct suite *s) {
    struct env_file *a = opened(s, "a", ENV_CREATE);
    close_file(s, opened(s, "taken", ENV_CREATE));
    assert_int_equal(linked(s, "none", "b"), ST_NOT_FOUND);
    assert_int_equal(linked(s, "a", "taken"), ST_IO);
    assert_int_equal(linked(s, "a", "b"), ST_OK);
    assert_int_equal(write_at(s, a, 0, "aa", 2), ST_OK);
    close_file(s, a);
    removed(s, "a");
    struct env_file *b = opened(s, "b", ENV_OPEN);
    char text[2];
    assert_int_equal(read_at(s, b, 0, text, 2), 2);
    assert_memory_equal(text, "aa", 2);
    close_file(s, b);

    // A name that is replaced takes nothing from the other.
    assert_int_equal(linked(s, "b", "c"), ST_OK);
    struct ask *rename = new_ask(s);
    ASK(s, env_rename(s->env, &rename->op, "taken", "b"));
    assert_int_equal(finish(s, rename), ST_OK);
    struct env_file *c = opened(s, "c", ENV_OPEN);
    assert_int_equal(read_at(s, c, 0, text, 2), 2);
    assert_memory_equal(text, "aa", 2);
    close_file(s, c);
}

static void names_are_listed_in_byte_order(struct suite *s) {
    static const char *const names[] = {"b.table", "a", "b-1", "Z_9", "b"};
    uint8_t list[64];
    struct ask *none = new_ask(s);
    ASK(s, env_list(s->env, &none->op, list, sizeof(list)));
    assert_int_equal(finish(s, none), ST_OK);
    assert_int_equal(none->op.size, 0);

    for (int i = 0; i < 5; i++) close_file(s, opened(s, names[i], ENV_CREATE));
    static const char expected[] = "Z_9\0a\0b\0b-1\0b.table"; // the last zero is the literal's
    struct ask *all = new_ask(s);
    ASK(s, env_list(s->env, &all->op, list, sizeof(list)));
    assert_int_equal(finish(s, all), ST_OK);
    assert_int_equal(all->op.size, sizeof(expected));
    assert_memory_equal(list, expected, sizeof(expected));

    struct ask *exact = new_ask(s);
    ASK(s, env_list(s->env, &exact->op, list, sizeof(expected)));
    assert_int_equal(finish(s, exact), ST_OK);
    struct ask *small = new_ask(s);
    ASK(s, env_list(s->env, &small->op, list, sizeof(expected) - 1));
    assert_int_equal(finish(s, small), ST_TOO_LARGE);
}

static void a_mebibyte_is_written_whole(struct suite *s) {
    enum { SIZE = 1024 * 1024 };
    static uint8_t out[SIZE];
    static uint8_t in[SIZE];
    for (uint32_t i = 0; i < SIZE; i++) out[i] = (uint8_t)(i * 2654435761u >> 13);
    memset(in, 0, SIZE);
    struct env_file *file = opened(s, "a", ENV_CREATE);
    assert_int_equal(write_at(s, file, 5, out, SIZE), ST_OK);
    assert_int_equal(read_at(s, file, 5, in, SIZE), SIZE);
    assert_memory_equal(in, out, SIZE);
    close_file(s, file);
}

static void many_requests_on_a_file_run_side_by_side(struct suite *s) {
    enum { COUNT = 100, SIZE = 512 };
    static uint8_t out[COUNT][SIZE];
    static uint8_t in[COUNT][SIZE];
    struct ask *asks[COUNT];
    struct env_file *file = opened(s, "a", ENV_CREATE);
    for (uint32_t i = 0; i < COUNT; i++) {
        memset(out[i], (int)i, SIZE);
        asks[i] = new_ask(s);
        ASK(s, env_write(s->env, &asks[i]->op, file, (uint64_t)i * SIZE, out[i], SIZE));
    }
    for (uint32_t i = 0; i < COUNT; i++) assert_int_equal(finish(s, asks[i]), ST_OK);
    for (uint32_t i = 0; i < COUNT; i++) {
        asks[i]->calls = 0;
        ASK(s, env_read(s->env, &asks[i]->op, file, (uint64_t)i * SIZE, in[i], SIZE));
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(finish(s, asks[i]), ST_OK);
        assert_int_equal(asks[i]->op.size, SIZE);
    }
    assert_memory_equal(in, out, sizeof(out));
    close_file(s, file);
}

static uint32_t read_direct_at(struct suite *s, struct env_file *file, uint64_t offset, uint8_t *to,
                               uint32_t size) {
    struct ask *a = new_ask(s);
    ASK(s, env_read_direct(s->env, &a->op, file, offset, to, size));
    assert_int_equal(finish(s, a), ST_OK);
    return a->op.size;
}

static void a_direct_read_gives_what_any_other_gives(struct suite *s) {
    enum { UNIT = ENV_DIRECT_UNIT, LAST = 2 * UNIT, SIZE = LAST + 1000 };
    static uint8_t out[SIZE];
    static _Alignas(UNIT) uint8_t in[4 * UNIT];
    for (uint32_t i = 0; i < SIZE; i++) out[i] = (uint8_t)(i % 251);
    struct env_file *file = opened(s, "a", ENV_CREATE);
    assert_int_equal(write_at(s, file, 0, out, SIZE), ST_OK);
    struct ask *sync = new_ask(s);
    ASK(s, env_sync(s->env, &sync->op, file));
    assert_int_equal(finish(s, sync), ST_OK);
    assert_int_equal(read_direct_at(s, file, 0, in, 4 * UNIT), SIZE);
    assert_memory_equal(in, out, SIZE);
    assert_int_equal(read_direct_at(s, file, UNIT, in + UNIT, UNIT), UNIT);
    assert_memory_equal(in + UNIT, out + UNIT, UNIT);
    assert_int_equal(read_direct_at(s, file, LAST, in, UNIT), SIZE - LAST);
    assert_memory_equal(in, out + LAST, SIZE - LAST);
    assert_int_equal(read_direct_at(s, file, LAST + UNIT, in, UNIT), 0);
    uint32_t unit = s->env->direct_unit;
    assert_in_range(unit, 1, UNIT);
    assert_int_equal(read_direct_at(s, file, unit, in, unit), unit);
    assert_memory_equal(in, out + unit, unit);
    close_file(s, file);
}

static void free_space_is_known(struct suite *s) {
    struct ask *a = new_ask(s);
    ASK(s, env_space(s->env, &a->op));
    assert_int_equal(finish(s, a), ST_OK);
    assert_true(a->op.value > 0);
}

static void a_full_disk_refuses_writes_and_works_again_once_there_is_room(struct suite *s) {
    enum { SIZE = 256 * 1024 };
    static uint8_t bytes[SIZE];
    memset(bytes, 'x', SIZE);
    struct env_file *small = opened(s, "small", ENV_CREATE);
    assert_int_equal(write_at(s, small, 0, "kept", 4), ST_OK);
    struct env_file *file = opened(s, "big", ENV_CREATE);
    enum status st = ST_OK;
    uint64_t offset = 0;
    for (int i = 0; i < 100 && st == ST_OK; i++) {
        st = write_at(s, file, offset, bytes, SIZE);
        offset += SIZE;
    }
    assert_int_equal(st, ST_NO_SPACE);
    struct ask *allocate = new_ask(s);
    ASK(s, env_allocate(s->env, &allocate->op, small, 64ull * 1024 * 1024));
    assert_int_equal(finish(s, allocate), ST_NO_SPACE);
    char text[4];
    assert_int_equal(read_at(s, small, 0, text, 4), 4);
    assert_memory_equal(text, "kept", 4);

    close_file(s, file);
    struct ask *remove = new_ask(s);
    ASK(s, env_remove(s->env, &remove->op, "big"));
    assert_int_equal(finish(s, remove), ST_OK);
    assert_int_equal(write_at(s, small, 0, bytes, SIZE), ST_OK);
    close_file(s, small);
}

const struct env_case file_cases[] = {
    ENV_CASE(a_new_file_is_empty),
    ENV_CASE(what_does_not_exist_cannot_be_opened_renamed_or_removed),
    ENV_CASE(what_was_written_is_read_back),
    ENV_CASE(a_read_is_short_only_at_the_end),
    ENV_CASE(a_gap_reads_as_zeros),
    ENV_CASE(creating_takes_the_place_of_an_older_file),
    ENV_CASE(allocated_room_reads_as_zeros_and_counts),
    ENV_CASE(a_rename_replaces_and_a_removed_file_stays_readable),
    ENV_CASE(a_file_stays_until_its_last_name_goes),
    ENV_CASE(names_are_listed_in_byte_order),
    ENV_CASE(a_mebibyte_is_written_whole),
    ENV_CASE(many_requests_on_a_file_run_side_by_side),
    ENV_CASE(a_direct_read_gives_what_any_other_gives),
    ENV_CASE(free_space_is_known),
    ENV_CASE_SMALL(a_full_disk_refuses_writes_and_works_again_once_there_is_room),
    {NULL, NULL, false},
};
