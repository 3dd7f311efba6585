// SPDX-License-Identifier: Apache-2.0
#include "model/map.h"

#include "base/text.h"
#include "tests/test.h"

#include <stdlib.h>

static struct map *map_of(uint32_t members_max) {
    size_t size = sizeof(struct map) + 64 + map_memory_size(members_max);
    size = (size + 63) / 64 * 64;
    void *memory = aligned_alloc(64, size);
    assert_non_null(memory);
    memset(memory, 0, size);
    struct arena arena = arena_over(memory, size);
    struct map *map = ARENA_NEW(&arena, struct map);
    assert_ptr_equal(map, memory);
    map_init(map, &arena, members_max);
    map->replication = REPLICATION_DEFAULT;
    return map;
}

static enum status parse(struct map *map, const char *text) {
    return map_parse_initial(slice_of_string(text), map);
}

static void the_first_members_are_parsed_and_sorted(void **state) {
    (void)state;
    struct map *map = map_of(3);
    assert_int_equal(parse(map, "c=[::1]:1,a=10.0.0.1:7379,B.x-y_9=node.example.org:55535"), ST_OK);
    assert_int_equal(map->member_count, 3);
    assert_string_equal(map->members[0].name, "B.x-y_9");
    assert_string_equal(map->members[1].name, "a");
    assert_string_equal(map->members[2].name, "c");
    assert_string_equal(map->members[0].address, "node.example.org");
    assert_string_equal(map->members[1].address, "10.0.0.1");
    assert_string_equal(map->members[2].address, "::1");
    assert_string_equal(map->members[2].host, "c");
    assert_int_equal(map->members[0].port, 55535);
    assert_int_equal(map->members[2].weight, 1);
    assert_int_equal(map->members[2].shards, 1);

    char text[ADDRESS_SIZE_MAX + 1];
    map_member_address(&map->members[0], PORT_PEER_OFFSET, text);
    assert_string_equal(text, "node.example.org:65535");
    map_member_address(&map->members[2], 0, text);
    assert_string_equal(text, "[::1]:1");
    assert_int_equal(map_find_name(map, SLICE("a")), 1);
    assert_int_equal(map_find_name(map, SLICE("aa")), 3);
    assert_int_equal(map_find_name(map, SLICE("")), 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(map_find_name(map, slice_of_string(map->members[i].name)), i);
        assert_int_equal(map_find_id(map, map->members[i].id), i);
    }
    assert_int_equal(map_find_id(map, 1), 3);
    free(map);
}

static void bad_lists_of_members_are_refused(void **state) {
    (void)state;
    struct map *map = map_of(2);
    const char *const bad[] = {
        "",
        "a",
        "a=",
        "a=h",
        "a=h:",
        "a=:1",
        "=h:1",
        "a=h:0",
        "a=h:55536",
        "a=h:01",
        "a=h:x",
        "a=h:-1",
        "a=h:1,",
        ",a=h:1",
        "a=h:1,,b=h:2",
        "a=h:1 ",
        " a=h:1",
        "a b=h:1",
        "a=::1:1",
        "a=[h]:1",
        "a=[::1:1",
        "a=[]:1",
        "a=h:1:1",
        "a=[::g]:1",
        "a=h:1,a=h:2",
        "a=h:1,b=h:1",
        "a=h/:1",
        "a=h=x:1",
        "\xc3\xa4=h:1",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(parse(map, bad[i]), ST_INVALID);
        assert_int_equal(map->member_count, 0);
    }
    assert_int_equal(parse(map, "a=h:1,b=h:2"), ST_OK);
    assert_int_equal(parse(map, "a=h:1,b=h:2,c=h:3"), ST_TOO_LARGE);
    assert_int_equal(map->member_count, 0);
    free(map);
}

static void names_and_hosts_have_a_longest_length(void **state) {
    (void)state;
    struct map *map = map_of(1);
    char text[400];
    for (uint32_t over = 0; over <= 1; over++) {
        struct text name = text_over(text, sizeof(text));
        for (uint32_t i = 0; i < NAME_SIZE_MAX + over; i++) text_char(&name, 'n');
        text_string(&name, "=h:1");
        assert_int_equal(parse(map, text), over ? ST_INVALID : ST_OK);
        struct text host = text_over(text, sizeof(text));
        text_string(&host, "a=");
        for (uint32_t i = 0; i < HOST_SIZE_MAX + over; i++) text_char(&host, 'h');
        text_string(&host, ":55535");
        assert_int_equal(parse(map, text), over ? ST_INVALID : ST_OK);
    }
    free(map);
}

static void maps_survive_the_way_to_bytes_and_back(void **state) {
    (void)state;
    struct map *map = map_of(5);
    struct map *again = map_of(5);
    assert_int_equal(parse(map, "a=h1:1,b=h2:2,c=h3:3,d=[::4]:4,e=h5:5"), ST_OK);
    memcpy(map->members[1].rack, "r", 2);
    memcpy(map->members[2].dc, "d", 2);
    map_propose(map);
    map->cluster.bytes[3] = 7;
    map->epoch = 12;

    size_t size = map_encoded_size(map);
    uint8_t *bytes = malloc(size + 1);
    map_encode(map, bytes, size);
    bytes[size] = 0;
    assert_int_equal(map_decode(again, (struct slice){bytes, size}), ST_OK);
    assert_int_equal(again->epoch, 12);
    assert_memory_equal(again->members, map->members, 5 * sizeof(*map->members));
    assert_memory_equal(again->runs, map->runs, map->run_count * sizeof(*map->runs));
    assert_memory_equal(again->run_of_slot, map->run_of_slot, sizeof(map->run_of_slot));
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        const struct map_run *run = map_run_of(again, (uint16_t)slot);
        assert_true(run->first <= slot && slot < (uint32_t)run->first + run->count);
    }
    for (size_t cut = 0; cut <= size + 1; cut++) {
        if (cut == size) continue;
        assert_int_equal(map_decode(again, (struct slice){bytes, cut}), ST_CORRUPT);
        assert_int_equal(again->epoch, 0);
    }
    free(bytes);
    free(map);
    free(again);
}

// Whatever bit is changed, the result is refused or is itself the encoding of a map.
static void what_is_decoded_is_canonical(void **state) {
    (void)state;
    struct map *map = map_of(3);
    assert_int_equal(parse(map, "a=h1:1,b=h2:2,c=h3:3"), ST_OK);
    map_propose(map);
    size_t size = map_encoded_size(map);
    uint8_t *bytes = malloc(size);
    uint8_t *again = malloc(size);
    map_encode(map, bytes, size);
    for (size_t i = 0; i < size; i++) {
        uint8_t kept = bytes[i];
        for (uint32_t bit = 0; bit < 8; bit++) {
            bytes[i] = (uint8_t)(kept ^ 1u << bit);
            if (map_decode(map, (struct slice){bytes, size}) != ST_OK) continue;
            assert_int_equal(map_encoded_size(map), size);
            map_encode(map, again, size);
            assert_memory_equal(bytes, again, size);
        }
        bytes[i] = kept;
    }
    free(bytes);
    free(again);
    free(map);
}

int map_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_first_members_are_parsed_and_sorted),
        cmocka_unit_test(bad_lists_of_members_are_refused),
        cmocka_unit_test(names_and_hosts_have_a_longest_length),
        cmocka_unit_test(maps_survive_the_way_to_bytes_and_back),
        cmocka_unit_test(what_is_decoded_is_canonical),
    };
    return cmocka_run_group_tests_name("map", cases, NULL, NULL);
}
