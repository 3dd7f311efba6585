// SPDX-License-Identifier: Apache-2.0
//
// A map in bytes; one map has one encoding:
//
//     map    = u8 format version (2 or 3), 16 bytes cluster id, u64 epoch, u8 replication
//              u16 count, then the members, as they were admitted
//              u16 count, then the runs, from slot 0 on
//              the keyspaces (keyspace.h), u32 number of the next one
//     member = u64 id, name, host, rack, dc, u16 size and address, u16 port, u16 shards, u16 weight
//              where a name is u8 size, then its characters
//     run    = u16 slots, u8 count, then for each replica: u16 member, u16 shard
//
// The version is the least that the map allows: 3 when a keyspace sets its compression. So members
// of a release that knows no such thing can read what does without it.
#include "model/map.h"

#include "base/codec.h"
#include "base/hash.h"
#include "base/text.h"
#include "model/allocate.h"
#include "model/name.h"
#include "model/reallocate.h"

enum { VERSION_PLAIN = 2, VERSION_COMPRESSION = 3 };

#define ID_SEED 0x71756f69746d6964u      // "quoitmid"
#define CLUSTER_SEED 0x6e657720636c7573u // "new clus"

// What arena_take adds at most to each piece.
enum { ARENA_PADDING = 64 };

void map_init(struct map *map, struct arena *arena, uint32_t members_max) {
    must(members_max > 0);
    must(members_max <= MEMBERS_MAX);
    *map = (struct map){.members_max = members_max};
    map->members = ARENA_ARRAY(arena, struct map_member, members_max);
    size_t strings_max = (size_t)members_max * MEMBER_STRINGS_MAX;
    map->strings = ARENA_ARRAY(arena, char, strings_max);
    map->runs = ARENA_ARRAY(arena, struct map_run, RUNS_MAX);
    map->replicas = ARENA_ARRAY(arena, struct map_replica, (size_t)RUNS_MAX * REPLICAS_MAX);
}

size_t map_memory_size(uint32_t members_max) {
    return (sizeof(struct map_member) + MEMBER_STRINGS_MAX) * members_max +
           (sizeof(struct map_run) + sizeof(struct map_replica) * REPLICAS_MAX) * RUNS_MAX +
           (size_t)4 * ARENA_PADDING;
}

const struct map_run *map_run_of(const struct map *map, uint16_t slot) {
    must(map->epoch > 0);
    must(slot < SLOT_COUNT);
    return &map->runs[map->run_of_slot[slot]];
}

uint64_t map_cluster_number(struct slice word) {
    return hash_bytes(word, CLUSTER_SEED) | 1;
}

uint64_t map_placement(const struct map *map) {
    must(map->epoch > 0);
    uint64_t sum = map->member_count;
    for (uint32_t i = 0; i < map->run_count; i++) {
        const struct map_run *run = &map->runs[i];
        sum = hash_number(sum ^ ((uint64_t)run->first << 32 | run->count));
        for (uint32_t j = 0; j < run->replica_count; j++) {
            const struct map_replica *replica = &run->replicas[j];
            const char *name = map->members[replica->member].name;
            struct slice bytes = {(const uint8_t *)name, strlen(name)};
            sum = hash_bytes(bytes, sum ^ replica->shard);
        }
    }
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) {
        const struct keyspace *k = &map->keyspaces[i];
        if (k->state == KEYSPACE_FREE) continue;
        sum =
            hash_bytes(slice_of_string(k->name), sum ^ k->number ^ (uint64_t)k->replication << 16);
    }
    return sum;
}

uint32_t map_cell_of(const struct map *map, struct slice key) {
    return cell_of(slot_of(key), (uint32_t)(map_keyspace_of(map, key) - map->keyspaces));
}

uint32_t map_copies_max(const struct map *map) {
    uint32_t most = 0;
    for (uint32_t i = 0; i < map->run_count; i++) {
        if (map->runs[i].replica_count > most) most = map->runs[i].replica_count;
    }
    return most;
}

void map_count_keyspaces(struct map *map) {
    map->keyspace_count = 0;
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) {
        map->keyspace_count += map->keyspaces[i].state != KEYSPACE_FREE;
    }
}

uint32_t map_place_in(const struct map_run *run, uint32_t member) {
    for (uint32_t i = 0; i < run->replica_count; i++) {
        if (run->replicas[i].member == member) return i;
    }
    return REPLICAS_MAX;
}

uint32_t map_find_name(const struct map *map, struct slice name) {
    for (uint32_t i = 0; i < map->member_count; i++) {
        if (slice_equal(slice_of_string(map->members[i].name), name)) return i;
    }
    return map->members_max;
}

uint32_t map_find_id(const struct map *map, uint64_t id) {
    for (uint32_t i = 0; i < map->member_count; i++) {
        if (map->members[i].id == id) return i;
    }
    return map->members_max;
}

uint32_t map_find_storage(const struct map *map, uint64_t storage) {
    for (uint32_t i = 0; i < map->member_count; i++) {
        if (map->members[i].storage == storage) return i;
    }
    return map->members_max;
}

void map_member_address(const struct map_member *member, uint32_t port_offset,
                        char text[ADDRESS_SIZE_MAX + 1]) {
    struct text out = text_over(text, ADDRESS_SIZE_MAX + 1);
    bool bracketed = strchr(member->address, ':') != NULL;
    if (bracketed) text_char(&out, '[');
    text_string(&out, member->address);
    if (bracketed) text_char(&out, ']');
    text_char(&out, ':');
    text_u64(&out, (uint64_t)member->port + port_offset);
    must(!out.clipped);
}

void map_member_id_text(const struct map_member *member, char text[MEMBER_ID_TEXT_SIZE + 1]) {
    struct text out = text_over(text, MEMBER_ID_TEXT_SIZE + 1);
    uint8_t bytes[MEMBER_ID_TEXT_SIZE / 2];
    struct writer w = writer_to(bytes, sizeof(bytes));
    write_u64(&w, member->id);
    write_u64(&w, hash_number(member->id));
    write_u32(&w, (uint32_t)hash_number(~member->id));
    text_hex(&out, writer_bytes(&w));
    must(!out.clipped);
}

static bool is_ipv6_char(uint8_t c) {
    return (c >= '0' && c <= '9') || (text_lower(c) >= 'a' && text_lower(c) <= 'f') || c == ':' ||
           c == '.';
}

// A host name, IPv4 or IPv6 address, without brackets.
static bool is_host(struct slice text) {
    if (text.size == 0 || text.size > HOST_SIZE_MAX) return false;
    bool has_colon = memchr(text.data, ':', text.size) != NULL;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (!(has_colon ? is_ipv6_char(c) : name_char_is_good(c))) return false;
    }
    return true;
}

bool map_address_is_sound(const struct map_description *d) {
    return is_host(slice_of_string(d->address)) && d->port > 0 && d->port <= PORT_MAX;
}

static bool is_name_or_empty(const char *string) {
    return string[0] == '\0' || name_is_good(slice_of_string(string));
}

bool map_description_is_sound(const struct map_description *d) {
    if (d->name[0] == '\0' || !is_name_or_empty(d->name)) return false;
    if (!is_name_or_empty(d->host) || !is_name_or_empty(d->rack)) return false;
    return is_name_or_empty(d->dc) && d->shards > 0 && d->shards <= SHARDS_MAX && d->weight > 0;
}

// Copies a string of a member, which is no longer than such a string may be.
static const char *keep_string(struct map *map, struct slice text) {
    if (text.size == 0) return "";
    must(text.size < (size_t)map->members_max * MEMBER_STRINGS_MAX - map->strings_size);
    char *string = map->strings + map->strings_size;
    memcpy(string, text.data, text.size);
    string[text.size] = '\0';
    map->strings_size += (uint32_t)text.size + 1;
    return string;
}

// Each has a place of its own, so that what was said before makes room.
void map_describe(struct map *map, uint32_t member, const struct map_description *d) {
    must(member < map->members_max);
    map->strings_size = member * MEMBER_STRINGS_MAX;
    map->members[member] = (struct map_member){
        .name = keep_string(map, slice_of_string(d->name)),
        .host = keep_string(map, slice_of_string(d->host)),
        .rack = keep_string(map, slice_of_string(d->rack)),
        .dc = keep_string(map, slice_of_string(d->dc)),
        .address = keep_string(map, slice_of_string(d->address)),
        .port = d->port,
        .shards = d->shards,
        .weight = d->weight,
    };
}

enum status map_parse_address(struct slice text, struct slice *host, uint16_t *port) {
    struct slice before = text;
    while (before.size > 0 && before.data[before.size - 1] != ':') before.size--;
    if (before.size == 0) return ST_INVALID;
    struct slice port_text = slice_skip(text, before.size);
    before.size--; // the colon

    bool bracketed =
        before.size >= 2 && before.data[0] == '[' && before.data[before.size - 1] == ']';
    if (bracketed) before = (struct slice){before.data + 1, before.size - 2};
    if (!is_host(before)) return ST_INVALID;
    if (bracketed != (memchr(before.data, ':', before.size) != NULL)) return ST_INVALID;

    uint64_t number;
    if (!text_to_u64(port_text, &number) || number == 0 || number > PORT_MAX) return ST_INVALID;
    *host = before;
    *port = (uint16_t)number;
    return ST_OK;
}

// Insertion sort: membership lists are short, and mostly sorted already.
static void sort_by_name(struct map *map) {
    for (uint32_t i = 1; i < map->member_count; i++) {
        struct map_member moving = map->members[i];
        uint32_t to = i;
        while (to > 0 && strcmp(map->members[to - 1].name, moving.name) > 0) {
            map->members[to] = map->members[to - 1];
            to--;
        }
        map->members[to] = moving;
    }
}

static bool same_address(const struct map_member *a, const struct map_member *b) {
    return a->port == b->port && strcmp(a->address, b->address) == 0;
}

// No name, id or address stands twice, and no id is 0.
static bool members_are_distinct(const struct map *map) {
    for (uint32_t i = 0; i < map->member_count; i++) {
        const struct map_member *m = &map->members[i];
        if (m->id == 0) return false;
        for (uint32_t j = 0; j < i; j++) {
            const struct map_member *other = &map->members[j];
            if (other->id == m->id || strcmp(other->name, m->name) == 0) return false;
            if (same_address(other, m)) return false;
        }
    }
    return true;
}

static enum status parse_member(struct map *map, struct slice text, struct map_member *member) {
    const uint8_t *equals = text.size == 0 ? NULL : memchr(text.data, '=', text.size);
    if (equals == NULL) return ST_INVALID;
    struct slice name = {text.data, (size_t)(equals - text.data)};
    if (!name_is_good(name)) return ST_INVALID;
    struct slice address;
    uint16_t port;
    enum status status = map_parse_address(slice_skip(text, name.size + 1), &address, &port);
    if (status != ST_OK) return status;
    const char *kept = keep_string(map, name);
    *member = (struct map_member){
        .id = hash_bytes(name, ID_SEED),
        .name = kept,
        .host = kept,
        .rack = "",
        .dc = "",
        .address = keep_string(map, address),
        .port = port,
        .shards = 1,
        .weight = 1,
    };
    return ST_OK;
}

static enum status parse_members(struct slice text, struct map *map) {
    for (;;) {
        const uint8_t *comma = text.size == 0 ? NULL : memchr(text.data, ',', text.size);
        struct slice one = text;
        if (comma != NULL) one.size = (size_t)(comma - text.data);
        if (map->member_count == map->members_max) return ST_TOO_LARGE;
        enum status status = parse_member(map, one, &map->members[map->member_count]);
        if (status != ST_OK) return status;
        map->member_count++;
        if (comma == NULL) return ST_OK;
        text = slice_skip(text, one.size + 1);
    }
}

enum status map_parse_initial(struct slice text, struct map *map) {
    map->member_count = 0;
    map->strings_size = 0;
    enum status status = parse_members(text, map);
    if (status == ST_OK) {
        sort_by_name(map);
        if (!members_are_distinct(map)) status = ST_INVALID;
    }
    if (status != ST_OK) map->member_count = 0;
    return status;
}

static void index_slots(struct map *map) {
    for (uint32_t i = 0; i < map->run_count; i++) {
        const struct map_run *run = &map->runs[i];
        for (uint32_t slot = 0; slot < run->count; slot++) {
            map->run_of_slot[run->first + slot] = (uint16_t)i;
        }
    }
}

// Restored data brings its keyspaces along.
static void propose_default(struct map *map) {
    if (map->keyspace_count > 0) return;
    map->keyspaces[KEYSPACE_DEFAULT] = (struct keyspace){
        .state = KEYSPACE_ACTIVE, .replication = map->replication, .name = "default"};
    map->next_keyspace = 1;
    map_count_keyspaces(map);
}

void map_propose(struct map *map) {
    sort_by_name(map);
    allocate_runs(map);
    map->epoch = 1;
    propose_default(map);
    index_slots(map);
}

void map_propose_next(struct map *map, const struct map *present) {
    sort_by_name(map);
    reallocate_runs(map, present);
    map->cluster = present->cluster;
    map->epoch = present->epoch + 1;
    memcpy(map->keyspaces, present->keyspaces, sizeof(map->keyspaces));
    map->keyspace_count = present->keyspace_count;
    map->next_keyspace = present->next_keyspace;
    index_slots(map);
}

static void write_string(struct writer *w, const char *string) {
    struct slice bytes = slice_of_string(string);
    must(bytes.size <= NAME_SIZE_MAX);
    write_u8(w, (uint8_t)bytes.size);
    write_bytes(w, bytes);
}

static void member_encode(const struct map_member *m, struct writer *w) {
    write_u64(w, m->id);
    write_string(w, m->name);
    write_string(w, m->host);
    write_string(w, m->rack);
    write_string(w, m->dc);
    struct slice address = slice_of_string(m->address);
    must(address.size <= HOST_SIZE_MAX);
    write_u16(w, (uint16_t)address.size);
    write_bytes(w, address);
    write_u16(w, m->port);
    write_u16(w, m->shards);
    write_u16(w, m->weight);
}

// Reads a name; an empty one only if that is allowed.
static const char *read_name(struct map *map, struct reader *r, bool may_be_empty) {
    uint8_t size = read_u8(r);
    struct slice name = read_bytes(r, size);
    if (name.size == 0 ? !may_be_empty : !name_is_good(name)) r->failed = true;
    return r->failed ? "" : keep_string(map, name);
}

static void member_decode(struct map *map, struct map_member *m, struct reader *r) {
    *m = (struct map_member){.id = read_u64(r)};
    m->name = read_name(map, r, false);
    m->host = read_name(map, r, false);
    m->rack = read_name(map, r, true);
    m->dc = read_name(map, r, true);
    uint16_t size = read_u16(r);
    struct slice address = read_bytes(r, size);
    if (!is_host(address)) r->failed = true;
    m->address = r->failed ? "" : keep_string(map, address);
    m->port = read_u16(r);
    m->shards = read_u16(r);
    m->weight = read_u16(r);
    if (m->port == 0 || m->port > PORT_MAX || m->weight == 0) r->failed = true;
    if (m->shards == 0 || m->shards > SHARDS_MAX) r->failed = true;
}

static void run_encode(const struct map_run *run, struct writer *w) {
    write_u16(w, run->count);
    write_u8(w, (uint8_t)run->replica_count);
    for (uint32_t i = 0; i < run->replica_count; i++) {
        write_u16(w, run->replicas[i].member);
        write_u16(w, run->replicas[i].shard);
    }
}

static bool host_stands_before(const struct map *map, const struct map_run *run, uint32_t place) {
    const char *host = map->members[run->replicas[place].member].host;
    for (uint32_t i = 0; i < place; i++) {
        if (strcmp(map->members[run->replicas[i].member].host, host) == 0) return true;
    }
    return false;
}

static bool run_is_sound(const struct map *map, const struct map_run *run) {
    if (run->count == 0 || run->count > SLOT_COUNT - run->first) return false;
    if (run->replica_count == 0 || run->replica_count > REPLICAS_MAX) return false;
    for (uint32_t i = 0; i < run->replica_count; i++) {
        const struct map_replica *replica = &run->replicas[i];
        if (replica->member >= map->member_count) return false;
        if (replica->shard >= map->members[replica->member].shards) return false;
        if (host_stands_before(map, run, i)) return false;
    }
    return true;
}

// Its replicas are put there, where there is room for REPLICAS_MAX.
static void run_decode(const struct map *map, struct map_run *run, uint32_t first,
                       struct map_replica *replicas, struct reader *r) {
    *run = (struct map_run){.first = (uint16_t)first, .count = read_u16(r), .replicas = replicas};
    uint32_t replica_count = read_u8(r);
    if (replica_count > REPLICAS_MAX) r->failed = true;
    for (uint32_t i = 0; i < replica_count && !r->failed; i++) {
        run->replicas[i].member = read_u16(r);
        run->replicas[i].shard = read_u16(r);
    }
    run->replica_count = r->failed ? 0 : replica_count;
    if (!run_is_sound(map, run)) r->failed = true;
}

static void map_write(const struct map *map, struct writer *w) {
    bool has_compression = keyspaces_have_compression(map->keyspaces);
    write_u8(w, has_compression ? VERSION_COMPRESSION : VERSION_PLAIN);
    write_bytes(w, (struct slice){map->cluster.bytes, CLUSTER_ID_SIZE});
    write_u64(w, map->epoch);
    write_u8(w, (uint8_t)map->replication);
    write_u16(w, (uint16_t)map->member_count);
    for (uint32_t i = 0; i < map->member_count; i++) member_encode(&map->members[i], w);
    write_u16(w, (uint16_t)map->run_count);
    for (uint32_t i = 0; i < map->run_count; i++) run_encode(&map->runs[i], w);
    keyspaces_encode(map->keyspaces, w);
    write_u32(w, map->next_keyspace);
}

// *is_large: it has more members than there is room for, and was read no further.
static void map_read(struct map *map, struct reader *r, bool *is_large) {
    uint8_t version = read_u8(r);
    struct slice cluster = read_bytes(r, CLUSTER_ID_SIZE);
    if (version != VERSION_PLAIN && version != VERSION_COMPRESSION) r->failed = true;
    if (r->failed) return;
    memcpy(map->cluster.bytes, cluster.data, CLUSTER_ID_SIZE);
    map->epoch = read_u64(r);
    map->replication = read_u8(r);
    uint32_t member_count = read_u16(r);
    if (map->epoch == 0 || map->epoch > MAP_EPOCH_MAX) r->failed = true;
    if (map->replication == 0 || map->replication > REPLICAS_MAX) r->failed = true;
    if (member_count == 0 || member_count > MEMBERS_MAX) r->failed = true;
    *is_large = !r->failed && member_count > map->members_max;
    if (*is_large) r->failed = true;
    for (uint32_t i = 0; i < member_count && !r->failed; i++) {
        member_decode(map, &map->members[i], r);
    }
    if (r->failed) return;
    map->member_count = member_count;

    uint32_t run_count = read_u16(r);
    uint32_t slots = 0;
    struct map_replica *replicas = map->replicas;
    if (run_count > RUNS_MAX) r->failed = true;
    for (uint32_t i = 0; i < run_count && !r->failed; i++) {
        run_decode(map, &map->runs[i], slots, replicas, r);
        slots += map->runs[i].count;
        replicas += map->runs[i].replica_count;
    }
    if (slots != SLOT_COUNT) r->failed = true;
    map->run_count = run_count;

    keyspaces_decode(map->keyspaces, version == VERSION_COMPRESSION, r);
    map->next_keyspace = read_u32(r);
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) {
        const struct keyspace *k = &map->keyspaces[i];
        if (k->state != KEYSPACE_FREE && k->number >= map->next_keyspace) r->failed = true;
    }
    map_count_keyspaces(map);
}

// `first` of a run counts in 16 bits.
static_assert(SLOT_COUNT <= UINT16_MAX, "slots are counted in 16 bits");

enum status map_decode(struct map *map, struct slice bytes) {
    struct reader r = reader_of(bytes);
    bool is_large = false;
    map->member_count = 0;
    map->strings_size = 0;
    map_read(map, &r, &is_large);
    if (reader_done(&r) && members_are_distinct(map)) {
        index_slots(map);
        return ST_OK;
    }
    map->epoch = 0;
    map->member_count = 0;
    map->run_count = 0;
    memset(map->keyspaces, 0, sizeof(map->keyspaces));
    map->keyspace_count = 0;
    return is_large ? ST_TOO_LARGE : ST_CORRUPT;
}

void map_check(const struct map *map) {
    must(map->epoch > 0 && map->epoch <= MAP_EPOCH_MAX);
    must(map->replication > 0 && map->replication <= REPLICAS_MAX);
    must(map->member_count > 0 && map->member_count <= map->members_max);
    must(members_are_distinct(map));
    must(map->run_count > 0 && map->run_count <= RUNS_MAX);
    uint32_t slots = 0;
    for (uint32_t i = 0; i < map->run_count; i++) {
        const struct map_run *run = &map->runs[i];
        must(run->first == slots);
        must(run_is_sound(map, run));
        must(run->replica_count <= map->replication);
        must(map->run_of_slot[slots] == i);
        slots += run->count;
        must(map->run_of_slot[slots - 1] == i);
    }
    must(slots == SLOT_COUNT);
}

size_t map_encoded_size(const struct map *map) {
    size_t size = 1 + CLUSTER_ID_SIZE + 8 + 1 + 2 + 2;
    for (uint32_t i = 0; i < map->member_count; i++) {
        const struct map_member *m = &map->members[i];
        size += 8 + 4 * 1 + 2 + 3 * 2;
        size += strlen(m->name) + strlen(m->host) + strlen(m->rack) + strlen(m->dc);
        size += strlen(m->address);
    }
    for (uint32_t i = 0; i < map->run_count; i++) {
        size += 2 + 1 + map->runs[i].replica_count * (size_t)(2 + 2);
    }
    return size + keyspaces_encoded_size(map->keyspaces) + 4;
}

void map_encode(const struct map *map, uint8_t *to, size_t size) {
    must(map->epoch > 0);
    must(size == map_encoded_size(map));
    struct writer w = writer_to(to, size);
    map_write(map, &w);
    must(!w.failed);
    must(w.size == size);
}
