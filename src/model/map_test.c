// SPDX-License-Identifier: Apache-2.0
#include "model/map.h"

#include "base/text.h"
#include "tests/golden.h"
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

static void assert_same_member(const struct map_member *a, const struct map_member *b) {
    assert_int_equal(a->id, b->id);
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->host, b->host);
    assert_string_equal(a->rack, b->rack);
    assert_string_equal(a->dc, b->dc);
    assert_string_equal(a->address, b->address);
    assert_int_equal(a->port, b->port);
    assert_int_equal(a->shards, b->shards);
    assert_int_equal(a->weight, b->weight);
}

static void maps_survive_the_way_to_bytes_and_back(void **state) {
    (void)state;
    struct map *map = map_of(5);
    struct map *again = map_of(5);
    assert_int_equal(parse(map, "a=h1:1,b=h2:2,c=h3:3,d=[::4]:4,e=h5:5"), ST_OK);
    map->members[1].rack = "r";
    map->members[2].dc = "d";
    map_propose(map);
    map->cluster.bytes[3] = 7;
    map->epoch = 12;

    size_t size = map_encoded_size(map);
    uint8_t *bytes = malloc(size + 1);
    map_encode(map, bytes, size);
    bytes[size] = 0;
    assert_int_equal(map_decode(again, (struct slice){bytes, size}), ST_OK);
    assert_int_equal(again->epoch, 12);
    for (uint32_t i = 0; i < 5; i++) assert_same_member(&again->members[i], &map->members[i]);
    assert_int_equal(again->run_count, map->run_count);
    for (uint32_t i = 0; i < map->run_count; i++) {
        const struct map_run *run = &map->runs[i];
        assert_int_equal(again->runs[i].first, run->first);
        assert_int_equal(again->runs[i].count, run->count);
        assert_int_equal(again->runs[i].replica_count, run->replica_count);
        assert_memory_equal(again->runs[i].replicas, run->replicas,
                            run->replica_count * sizeof(*run->replicas));
    }
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
static void check_bits(enum keyspace_compression compression) {
    struct map *map = map_of(3);
    assert_int_equal(parse(map, "a=h1:1,b=h2:2,c=h3:3"), ST_OK);
    map_propose(map);
    map->keyspaces[0].compression = compression;
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

static void what_is_decoded_is_canonical(void **state) {
    (void)state;
    check_bits(COMPRESSION_UNSET);
    check_bits(COMPRESSION_NONE);
}

// A map that is well formed: three members on hosts of their own.
static struct map *good_map(void) {
    struct map *map = map_of(3);
    assert_int_equal(parse(map, "a=h1:1,b=h2:2,c=h3:3"), ST_OK);
    map_propose(map);
    return map;
}

typedef void breaks(struct map *map);

static void has_no_epoch(struct map *map) {
    map->epoch = 0;
}
static void wants_no_copies(struct map *map) {
    map->replication = 0;
}
static void wants_too_many_copies(struct map *map) {
    map->replication = REPLICAS_MAX + 1;
}
static void has_no_members(struct map *map) {
    map->member_count = 0;
}
static void has_a_name_twice(struct map *map) {
    map->members[1].name = "a";
}
static void has_a_bad_name(struct map *map) {
    map->members[1].name = "~";
}
static void has_a_member_without_name(struct map *map) {
    map->members[0].name = "";
}
static void has_a_member_without_host(struct map *map) {
    map->members[0].host = "";
}
static void has_a_bad_rack(struct map *map) {
    map->members[0].rack = " ";
}
static void has_a_bad_address(struct map *map) {
    map->members[0].address = "[1";
}
static void has_an_id_twice(struct map *map) {
    map->members[2].id = map->members[0].id;
}
static void has_an_id_of_0(struct map *map) {
    map->members[2].id = 0;
}
static void has_an_address_twice(struct map *map) {
    map->members[2].port = 1;
    map->members[2].address = "h1";
}
static void has_no_port(struct map *map) {
    map->members[1].port = 0;
}
static void has_a_port_without_peer_port(struct map *map) {
    map->members[1].port = PORT_MAX + 1;
}
static void has_no_shards(struct map *map) {
    map->members[1].shards = 0;
}
static void has_too_many_shards(struct map *map) {
    map->members[1].shards = SHARDS_MAX + 1;
}
static void has_no_weight(struct map *map) {
    map->members[1].weight = 0;
}
static void has_no_runs(struct map *map) {
    map->run_count = 0;
}
static void lacks_a_slot(struct map *map) {
    map->runs[0].count--;
}
static void has_a_slot_too_many(struct map *map) {
    map->runs[0].count++;
}
static void has_an_empty_run(struct map *map) {
    map->runs[1].count = (uint16_t)(map->runs[1].count + map->runs[0].count);
    map->runs[0].count = 0;
}
static void has_a_run_without_replicas(struct map *map) {
    map->runs[5].replica_count = 0;
}
static void has_a_replica_that_is_no_member(struct map *map) {
    map->runs[5].replicas[1].member = 3;
}
static void has_a_replica_on_no_shard(struct map *map) {
    map->runs[5].replicas[1].shard = 1;
}
static void has_a_member_twice_in_a_run(struct map *map) {
    map->runs[5].replicas[1] = map->runs[5].replicas[0];
}
static void has_a_host_twice_in_a_run(struct map *map) {
    map->members[2].host = map->members[0].host;
}

// Whoever joins stands behind the others, whatever its name is.
static void members_keep_the_order_that_the_map_gives_them(void **state) {
    (void)state;
    struct map *map = good_map();
    const struct map_member moving = map->members[0];
    map->members[0] = map->members[2];
    map->members[2] = moving;
    map->epoch = 7;
    size_t size = map_encoded_size(map);
    uint8_t *bytes = malloc(size);
    map_encode(map, bytes, size);
    struct map *copy = good_map();
    assert_int_equal(map_decode(copy, (struct slice){bytes, size}), ST_OK);
    for (uint32_t i = 0; i < 3; i++) {
        const char *name = map->members[i].name;
        assert_string_equal(copy->members[i].name, name);
        assert_int_equal(map_find_name(copy, slice_of_string(name)), i);
    }
    free(bytes);
    free(copy);
    free(map);
}

static void maps_with_any_one_fault_are_refused(void **state) {
    (void)state;
    breaks *const faults[] = {
        has_no_epoch,
        wants_no_copies,
        wants_too_many_copies,
        has_no_members,
        has_a_name_twice,
        has_a_bad_name,
        has_a_member_without_name,
        has_a_member_without_host,
        has_a_bad_rack,
        has_a_bad_address,
        has_an_id_twice,
        has_an_id_of_0,
        has_an_address_twice,
        has_no_port,
        has_a_port_without_peer_port,
        has_no_shards,
        has_too_many_shards,
        has_no_weight,
        has_no_runs,
        lacks_a_slot,
        has_a_slot_too_many,
        has_an_empty_run,
        has_a_run_without_replicas,
        has_a_replica_that_is_no_member,
        has_a_replica_on_no_shard,
        has_a_member_twice_in_a_run,
        has_a_host_twice_in_a_run,
    };
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct map *map = good_map();
        map->epoch = 7;
        faults[i](map);
        // map_encode insists on an epoch; write over the one that is there.
        bool has_epoch = map->epoch > 0;
        map->epoch = 7;
        size_t size = map_encoded_size(map);
        uint8_t *bytes = malloc(size);
        map_encode(map, bytes, size);
        if (!has_epoch) bytes[1 + CLUSTER_ID_SIZE] = 0;
        if (map_decode(map, (struct slice){bytes, size}) != ST_CORRUPT) fail_msg("fault %zu", i);
        assert_int_equal(map->member_count, 0);
        assert_int_equal(map->run_count, 0);
        free(bytes);
        free(map);
    }
}

static void assert_all(const char *string, char c, size_t size) {
    assert_int_equal(strlen(string), size);
    for (size_t i = 0; i < size; i++) assert_int_equal(string[i], c);
}

static void a_member_can_be_described_again_and_has_room_for_the_longest_strings(void **state) {
    (void)state;
    struct map *map = map_of(2);
    struct map *again = map_of(2);
    struct map_description d = {.port = 7, .shards = 2, .weight = 3};
    memset(d.address, 'a', HOST_SIZE_MAX);
    memset(d.rack, 'r', NAME_SIZE_MAX);
    memset(d.dc, 'd', NAME_SIZE_MAX);
    memset(d.name, '1', NAME_SIZE_MAX);
    memset(d.host, '1', NAME_SIZE_MAX);
    for (uint32_t time = 0; time < 3; time++) {
        for (uint32_t i = 2; i-- > 0;) {
            d.name[0] = d.host[0] = d.address[0] = (char)('1' + i);
            map_describe(map, i, &d);
            map->members[i].id = i + 1;
        }
    }
    map->member_count = 2;
    map_propose(map);
    size_t size = map_encoded_size(map);
    uint8_t *bytes = malloc(size);
    map_encode(map, bytes, size);
    assert_int_equal(map_decode(again, (struct slice){bytes, size}), ST_OK);
    for (uint32_t i = 0; i < 2; i++) assert_same_member(&again->members[i], &map->members[i]);
    assert_all(again->members[0].name, '1', NAME_SIZE_MAX);
    assert_all(again->members[1].rack, 'r', NAME_SIZE_MAX);
    assert_all(again->members[1].dc, 'd', NAME_SIZE_MAX);
    assert_int_equal(strlen(again->members[1].address), HOST_SIZE_MAX);
    free(bytes);
    free(again);
    free(map);
}

static void a_map_of_more_members_than_there_is_room_for_is_refused(void **state) {
    (void)state;
    struct map *map = good_map();
    struct map *small = map_of(2);
    size_t size = map_encoded_size(map);
    uint8_t *bytes = malloc(size);
    map_encode(map, bytes, size);
    assert_int_equal(map_decode(small, (struct slice){bytes, size}), ST_TOO_LARGE);
    assert_int_equal(small->member_count, 0);
    assert_int_equal(map_decode(map, (struct slice){bytes, size}), ST_OK);
    free(bytes);
    free(small);
    free(map);
}

static void places_in_a_run_are_found(void **state) {
    (void)state;
    struct map_replica replicas[] = {{7, 0}, {3, 0}, {5, 0}};
    struct map_run run = {.replica_count = 2, .replicas = replicas};
    assert_int_equal(map_place_in(&run, 7), 0);
    assert_int_equal(map_place_in(&run, 3), 1);
    assert_int_equal(map_place_in(&run, 5), REPLICAS_MAX);
}

static void check_encoding(const char *name, enum keyspace_compression compression) {
    struct map *map = map_of(2);
    assert_int_equal(parse(map, "b=[::1]:7380,a=10.0.0.1:7379"), ST_OK);
    map->members[0].rack = "r1";
    map->members[1].dc = "dc";
    for (uint32_t i = 0; i < CLUSTER_ID_SIZE; i++) map->cluster.bytes[i] = (uint8_t)i;
    map->epoch = 5;
    map->run_count = 2;
    struct map_replica replicas[] = {{1, 0}, {0, 0}, {1, 0}};
    map->runs[0] = (struct map_run){0, 100, 1, &replicas[0]};
    map->runs[1] = (struct map_run){100, SLOT_COUNT - 100, 2, &replicas[1]};
    map->keyspaces[0] =
        (struct keyspace){.state = KEYSPACE_ACTIVE, .replication = 3, .name = "default"};
    map->keyspaces[2] = (struct keyspace){
        .state = KEYSPACE_COMING,
        .conflict = CONFLICT_LWW,
        .number = 6,
        .replication = 2,
        .read = {LEVEL_QUORUM, 0},
        .write = {LEVEL_COUNT, 1},
        .ttl_ms = 86400000,
        .compression = compression,
        .name = "feed",
    };
    map->next_keyspace = 7;
    size_t size = map_encoded_size(map);
    uint8_t bytes[512];
    assert_true(size <= sizeof(bytes));
    map_encode(map, bytes, size);
    golden_compare(name, (struct slice){bytes, size});
    struct slice golden = golden_read(name, bytes, sizeof(bytes));
    assert_int_equal(map_decode(map, golden), ST_OK);
    assert_int_equal(map->epoch, 5);
    assert_int_equal(map->keyspaces[0].compression, COMPRESSION_UNSET);
    assert_int_equal(map->keyspaces[2].compression, compression);
    assert_string_equal(map->keyspaces[2].name, "feed");
    assert_int_equal(map->next_keyspace, 7);
    free(map);
}

// What needs no later version is written in the earlier one, for members that know no other.
static void the_encoding_is_the_one_of_all_releases(void **state) {
    (void)state;
    check_encoding("map.v2", COMPRESSION_UNSET);
    check_encoding("map.v3", COMPRESSION_ZSTD);
}

// Founders compute the first map each for itself, so that what is proposed must not change.
static void the_proposal_for_three_members_is_the_one_of_all_releases(void **state) {
    (void)state;
    struct map *map = map_of(3);
    char memory[8192];
    struct text text = text_over(memory, sizeof(memory));
    assert_int_equal(parse(map, "n1=10.0.0.1:7379,n2=10.0.0.2:7379,n3=10.0.0.3:7379"), ST_OK);
    map_propose(map);
    for (uint32_t i = 0; i < map->member_count; i++) {
        char id[MEMBER_ID_TEXT_SIZE + 1];
        map_member_id_text(&map->members[i], id);
        text_printf(&text, "%s %s\n", map->members[i].name, id);
    }
    for (uint32_t i = 0; i < map->run_count; i++) {
        const struct map_run *run = &map->runs[i];
        text_printf(&text, "%u-%u", run->first, run->first + run->count - 1u);
        for (uint32_t j = 0; j < run->replica_count; j++) {
            text_printf(&text, " %s", map->members[run->replicas[j].member].name);
        }
        text_char(&text, '\n');
    }
    assert_false(text.clipped);
    golden_compare("map-of-three", text_slice(&text));
    free(map);
}

static uint64_t placement(const char *members, uint32_t replication, uint32_t heavy) {
    struct map *map = map_of(4);
    assert_int_equal(parse(map, members), ST_OK);
    map->replication = replication;
    if (heavy < map->member_count) map->members[heavy].weight = 2;
    map_propose(map);
    map->epoch = 1;
    uint64_t sum = map_placement(map);
    free(map);
    return sum;
}

static void a_placement_is_who_holds_which_slots(void **state) {
    (void)state;
    static const char same[] = "a=h:1,b=h:2,c=h:3,d=h:4";
    uint64_t sum = placement(same, 2, 9);
    assert_int_equal(placement("d=other:1,a=h:5,c=h:2,b=h:1", 2, 9), sum);
    assert_int_not_equal(placement("a=h:1,b=h:2,c=h:3,e=h:4", 2, 9), sum);
    assert_int_not_equal(placement("a=h:1,b=h:2,c=h:3", 2, 9), sum);
    assert_int_not_equal(placement(same, 3, 9), sum);
    assert_int_not_equal(placement(same, 2, 0), sum);
    assert_int_not_equal(placement("a=h:1", 1, 9), placement("b=h:1", 1, 9));
}

int map_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_first_members_are_parsed_and_sorted),
        cmocka_unit_test(bad_lists_of_members_are_refused),
        cmocka_unit_test(names_and_hosts_have_a_longest_length),
        cmocka_unit_test(maps_survive_the_way_to_bytes_and_back),
        cmocka_unit_test(what_is_decoded_is_canonical),
        cmocka_unit_test(maps_with_any_one_fault_are_refused),
        cmocka_unit_test(members_keep_the_order_that_the_map_gives_them),
        cmocka_unit_test(a_member_can_be_described_again_and_has_room_for_the_longest_strings),
        cmocka_unit_test(a_map_of_more_members_than_there_is_room_for_is_refused),
        cmocka_unit_test(places_in_a_run_are_found),
        cmocka_unit_test(a_placement_is_who_holds_which_slots),
        cmocka_unit_test(the_encoding_is_the_one_of_all_releases),
        cmocka_unit_test(the_proposal_for_three_members_is_the_one_of_all_releases),
    };
    return cmocka_run_group_tests_name("map", cases, NULL, NULL);
}
