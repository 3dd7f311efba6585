// SPDX-License-Identifier: Apache-2.0
//
// A map in bytes, or a list of first members as text. What is accepted must be canonical, and what
// is proposed for its members must be a map.
#include "fuzz/fuzz.h"

#include "base/text.h"
#include "model/map.h"

enum { MEMBERS = 24, ENCODED_MAX = 512 * 1024 };

static struct map map;
static _Alignas(64) uint8_t memory[512 * 1024];
static uint8_t encoded[ENCODED_MAX];
static uint8_t again[ENCODED_MAX];

static struct slice encode(uint8_t *to) {
    size_t size = map_encoded_size(&map);
    must(size <= ENCODED_MAX);
    map_encode(&map, to, size);
    return (struct slice){to, size};
}

static void check_members(void) {
    char text[ADDRESS_SIZE_MAX + 1];
    char id_text[MEMBER_ID_TEXT_SIZE + 1];
    for (uint32_t i = 0; i < map.member_count; i++) {
        const struct map_member *m = &map.members[i];
        struct slice host;
        uint16_t port;
        must(map_find_id(&map, m->id) == i);
        must(map_find_name(&map, (struct slice){(const uint8_t *)m->name, strlen(m->name)}) == i);
        map_member_id_text(m, id_text);
        map_member_address(m, PORT_PEER_OFFSET, text);
        map_member_address(m, 0, text);
        struct slice address = {(const uint8_t *)text, strlen(text)};
        must(map_parse_address(address, &host, &port) == ST_OK);
        must(port == m->port);
        must(slice_equal(host, slice_of_string(m->address)));
    }
}

static void check_proposal(void) {
    map_propose(&map);
    struct slice proposal = encode(encoded);
    must(map_decode(&map, proposal) == ST_OK);
    must(slice_equal(encode(again), proposal));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > ENCODED_MAX) return 0;
    struct slice input = {data, size};
    struct arena arena = arena_over(memory, sizeof(memory));
    map_init(&map, &arena, MEMBERS);
    if (map_decode(&map, input) == ST_OK) {
        must(slice_equal(encode(encoded), input));
        check_members();
        check_proposal();
    }
    map.replication = REPLICATION_DEFAULT;
    if (map_parse_initial(input, &map) == ST_OK) {
        check_members();
        check_proposal();
    }
    return 0;
}
