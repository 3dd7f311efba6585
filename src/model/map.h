// SPDX-License-Identifier: Apache-2.0
//
// map.h -- the epoch-numbered map: who the members are and which of them hold which slots.
//
// The 16384 slots form a ring. The map cuts it into runs of neighbouring slots; each run names its
// replicas in order. These lists are the truth that every member acts on; how they are proposed
// (clockwise, over distinct hosts, then racks) is the business of map_propose and of nobody else.
//
// A map is a value: built or decoded once, never changed, replaced as a whole. Equal inputs give
// equal maps, byte for byte.
#ifndef QUOIT_MODEL_MAP_H
#define QUOIT_MODEL_MAP_H

#include "base/arena.h"
#include "base/limits.h"
#include "base/slice.h"
#include "base/status.h"
#include "model/keyspace.h"
#include "model/slot.h"

enum {
    CLUSTER_ID_SIZE = 16,

    // More runs than this slow cluster clients down: they parse the list on every connection.
    RUNS_MAX = 1024,

    // Copies in the `default` keyspace, if the cluster has as many hosts.
    REPLICATION_DEFAULT = 3,

    PORT_PEER_OFFSET = 10000,
    PORT_SHARD_OFFSET = 2000,
    PORT_SHARD_STEP = 100,
    PORT_MAX = 65535 - PORT_PEER_OFFSET, // of the main port

    // A host name, or an IPv6 address, that still fits ADDRESS_SIZE_MAX with "[]:65535" around it.
    HOST_SIZE_MAX = ADDRESS_SIZE_MAX - 8,

    MEMBER_ID_TEXT_SIZE = 40,

    // Bytes of all strings of a member, at most, with the zeros behind them.
    MEMBER_STRINGS_MAX = 4 * (NAME_SIZE_MAX + 1) + ADDRESS_SIZE_MAX + 1,

    // Of a member in an encoded map, at most.
    MEMBER_ENCODED_MAX = 8 + 4 * (1 + NAME_SIZE_MAX) + 2 + HOST_SIZE_MAX + 3 * 2,
};

struct cluster_id {
    uint8_t bytes[CLUSTER_ID_SIZE];
};

// Its strings are the map's, as a rule, one behind the other: each member knows of each other one,
// and there may be a thousand. What is not needed of the room for them is never touched.
struct map_member {
    uint64_t id;      // never 0; unique in the history of the cluster
    uint64_t storage; // of its data directory; stands beside the map's bytes (node/genesis.h)
    const char *name;
    const char *host;    // copies go to distinct hosts
    const char *rack;    // and to distinct racks while there are any; may be empty
    const char *dc;      // may be empty
    const char *address; // host part only, no brackets; for clients and peers alike
    uint16_t port;       // the main one; the others follow from it
    uint16_t shards;     // from 1
    uint16_t weight;     // share of slots, relative to the others; from 1
};

// What a member says of itself.
struct map_description {
    char name[NAME_SIZE_MAX + 1];
    char host[NAME_SIZE_MAX + 1];
    char rack[NAME_SIZE_MAX + 1];
    char dc[NAME_SIZE_MAX + 1];
    char address[ADDRESS_SIZE_MAX + 1];
    uint16_t port;
    uint16_t shards;
    uint16_t weight;
};

struct map_replica {
    uint16_t member; // index into the members
    uint16_t shard;
};

struct map_run {
    uint16_t first; // slot
    uint16_t count; // of slots
    uint32_t replica_count;
    struct map_replica *replicas; // distinct hosts, preferred first; of the map's, as a rule
};

// Whoever claims a later one invents it: there must always be a next.
#define MAP_EPOCH_MAX (UINT64_MAX / 2)

struct map {
    struct cluster_id cluster;
    uint64_t epoch;       // 0: no map yet
    uint32_t replication; // copies wanted in `default`
    uint32_t member_count;
    uint32_t members_max;
    struct map_member *members; // the first ones by name, others as they were admitted
    char *strings;              // of the members, MEMBER_STRINGS_MAX for each
    uint32_t strings_size;      // bytes in use
    uint32_t run_count;
    struct map_run *runs;                     // in slot order, covering every slot once
    struct map_replica *replicas;             // of the runs: room for REPLICAS_MAX of each
    uint16_t run_of_slot[SLOT_COUNT];         // index into runs
    struct keyspace keyspaces[KEYSPACES_MAX]; // by place; an empty one in epoch 0
    uint32_t keyspace_count;                  // of places that are not empty
    uint32_t next_keyspace;                   // a number that no keyspace ever had
};

// An empty map with room for that many members and RUNS_MAX runs.
void map_init(struct map *map, struct arena *arena, uint32_t members_max);

// Bytes that map_init takes from the arena.
size_t map_memory_size(uint32_t members_max);

// Fills in the runs, and the keyspace `default`, of epoch 1 for the members given (map->members,
// member_count and replication are set, the rest is not; the members need not be sorted yet).
// Deterministic, whatever the order of the members. The slots a member is first for are its share
// by weight, to the slot.
void map_propose(struct map *map);

// Fills in all but the members and the replication, which are set, of the epoch after the present
// one: runs that move little more data than they must (reallocate.h). Deterministic, whatever the
// order of the members.
void map_propose_next(struct map *map, const struct map *present);

// must()s what map_decode demands of a map, but for what a member says of itself: ids and addresses
// are distinct, as names are, the runs cover each slot once, on distinct hosts, on shards that
// there are. And slots find their runs.
void map_check(const struct map *map);

// An empty map unless the bytes are one well-formed map that fits: ST_TOO_LARGE where it has more
// members than there is room for, else ST_CORRUPT.
NODISCARD enum status map_decode(struct map *map, struct slice bytes);

// Requires an epoch above 0.
size_t map_encoded_size(const struct map *map);
void map_encode(const struct map *map, uint8_t *to, size_t size);

// True when a member that describes itself like this can stand in a map. Its address is not looked
// at, and its host may be empty.
bool map_description_is_sound(const struct map_description *description);

// True when others can call a member there.
bool map_address_is_sound(const struct map_description *description);

// Makes a member, but for its id and storage, what is described. It may be described again; all
// members of the map are made so, or none is.
void map_describe(struct map *map, uint32_t member, const struct map_description *description);

// The run a slot lies in. Requires epoch > 0. Lends until the map is replaced.
const struct map_run *map_run_of(const struct map *map, uint16_t slot);

// The number of a cluster that is told from others with the same first members by a word, which is
// good as a name (name.h). Never 0.
uint64_t map_cluster_number(struct slice word);

// A number that is the same for maps in which members of the same names hold the same slots, in the
// same order, whatever else the maps say. Requires epoch > 0.
uint64_t map_placement(const struct map *map);

// The keyspace of a key; in epoch 0 one that says nothing. Lends until the map is replaced.
static inline const struct keyspace *map_keyspace_of(const struct map *map, struct slice key) {
    uint32_t place = KEYSPACE_DEFAULT;
    if (map->keyspace_count > 1) place = keyspace_of_key(map->keyspaces, key);
    return &map->keyspaces[place];
}

// The cell of a key. Requires epoch > 0.
uint32_t map_cell_of(const struct map *map, struct slice key);

// The partition of a cell. Requires that its keyspace is there.
static inline struct partition map_partition_of(const struct map *map, uint32_t cell) {
    return (struct partition){map->keyspaces[cell_place(cell)].number, (uint16_t)cell_slot(cell)};
}

// Replicas that a key of the keyspace has in the run: the first so many.
static inline uint32_t map_copies(const struct keyspace *k, const struct map_run *run) {
    return k->replication < run->replica_count ? k->replication : run->replica_count;
}

// Replicas that any run has, at most.
uint32_t map_copies_max(const struct map *map);

// After a change of the table.
void map_count_keyspaces(struct map *map);

// Where the member stands in the run's list, or REPLICAS_MAX if it does not.
uint32_t map_place_in(const struct map_run *run, uint32_t member);

// Index of a member, or members_max when there is none.
uint32_t map_find_name(const struct map *map, struct slice name);
uint32_t map_find_id(const struct map *map, uint64_t id);
uint32_t map_find_storage(const struct map *map, uint64_t storage);

// Writes "host:port" with a port offset added, for env_connect; an IPv6 host gets its brackets.
void map_member_address(const struct map_member *member, uint32_t port_offset,
                        char text[ADDRESS_SIZE_MAX + 1]);

// The 40 hexadecimal digits by which Redis Cluster clients know a member.
void map_member_id_text(const struct map_member *member, char text[MEMBER_ID_TEXT_SIZE + 1]);

// Parses "host:port"; *host lends from it, without brackets. ST_INVALID unless well formed and the
// port is from 1 to PORT_MAX.
NODISCARD enum status map_parse_address(struct slice text, struct slice *host, uint16_t *port);

// Parses "name=host:port,name=host:port,..." into members sorted by name. Names are letters,
// digits,
// '.', '-' and '_'; IPv6 addresses stand in brackets. Each member gets an id that follows from its
// name, a host of its own (its name), no rack, one shard and weight 1. ST_INVALID on bad syntax or
// a name or address that stands twice, ST_TOO_LARGE when there are more than members_max; the map
// then has no members.
NODISCARD enum status map_parse_initial(struct slice text, struct map *map);

#endif
