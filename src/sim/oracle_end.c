// SPDX-License-Identifier: Apache-2.0
//
// The oracle's last word: what all members hold when everything is healed.
#include "sim/memory.h"
#include "sim/oracle_event.h"

#include <string.h>

#define PURGE_NS (500 * NS_PER_MS)

enum { HELD_MAX = 1 << 20, PURGES_AWAITED = 20 };

struct held {
    struct store_read read;
    bool is_done;
    size_t size;
    uint8_t bytes[HELD_MAX];
};

static void on_held(struct store_read *read) {
    struct held *h = CONTAINER_OF(read, struct held, read);
    h->is_done = true;
    h->size = read->status == ST_OK ? read->record.size : 0;
    must(h->size <= HELD_MAX);
    if (h->size > 0) memcpy(h->bytes, read->record.data, h->size);
}

// The record itself, wherever it is; the world goes on until it was read.
static enum status held_record(const struct oracle *oracle, uint32_t member, uint32_t key,
                               struct held *h, struct record *record) {
    const struct process *p = &oracle->cluster->processes[member];
    struct world *world = oracle->cluster->world;
    struct slice name = key_bytes(&oracle->keys[key]);
    struct node *node = cluster_node(oracle->cluster, member);
    h->read = (struct store_read){.done = on_held, .key = name};
    h->read.partition = cluster_partition(oracle->cluster, member, name);
    h->is_done = false;
    machine_enter(p->machine);
    if (store_get(node_store(node), &h->read)) on_held(&h->read);
    machine_leave(p->machine);
    uint64_t until = world_now(world) + 60 * NS_PER_SECOND;
    while (!h->is_done && world_step(world, until)) {
    }
    if (!h->is_done) return ST_TIMEOUT;
    if (h->read.status != ST_OK && h->read.status != ST_NOT_FOUND) return h->read.status;
    return record_decode(record, (struct slice){h->bytes, h->size});
}

// What the first replica of the run and the one at `place` hold of it, but for keyspaces of which
// that one has no copy.
static bool hold_the_same(const struct map *map, const struct map_run *run, uint32_t place,
                          const struct node *first, const struct node *other) {
    for (uint32_t i = 0; i < run->count * KEYSPACES_MAX; i++) {
        const struct keyspace *k = &map->keyspaces[i % KEYSPACES_MAX];
        if (k->state == KEYSPACE_FREE || place >= map_copies(k, run)) continue;
        uint32_t cell = cell_of(run->first, 0) + i;
        if (node_cell(first, cell).digest != node_cell(other, cell).digest) return false;
    }
    return true;
}

bool oracle_is_converged(const struct oracle *oracle) {
    const struct cluster *cluster = oracle->cluster;
    for (uint32_t i = 0; i < cluster->options.members; i++) {
        if (!cluster_is_serving(cluster, i)) return false;
        const struct node *node = cluster_node(cluster, i);
        if (node_map(node)->member_count != cluster->options.members) return false;
        if (node_member(node, node_self(node))->state != MEMBER_SERVING) return false;
        if (node_store_stats(node).is_full) return false;
        if (node_hints(node).key_count > 0) return false;
        const struct node *zeroth = cluster_node(cluster, 0);
        if (node_map(node)->epoch != node_map(zeroth)->epoch) return false;
        if (node_map_author(node) != node_map_author(zeroth)) return false;
        for (uint32_t j = 0; j < cluster->options.members; j++) {
            if (!node_member_is_up(node, j)) return false;
        }
    }
    const struct map *map = node_map(cluster_node(cluster, 0));
    for (uint32_t i = 0; i < map->run_count; i++) {
        const struct map_run *run = &map->runs[i];
        const struct node *first = cluster_node(cluster, run->replicas[0].member);
        for (uint32_t j = 1; j < run->replica_count; j++) {
            const struct node *other = cluster_node(cluster, run->replicas[j].member);
            if (!hold_the_same(map, run, j, first, other)) return false;
        }
    }
    return true;
}

void oracle_check_maps(struct oracle *oracle) {
    const struct cluster *cluster = oracle->cluster;
    const struct map *first = NULL;
    for (uint32_t i = 0; i < cluster->options.members; i++) {
        const struct node *node = cluster_node(cluster, i);
        const struct map *map = node == NULL ? NULL : node_map(node);
        if (map == NULL || map->epoch == 0) continue;
        if (first == NULL) first = map;
        if (map->epoch != first->epoch) continue; // O27 is about these
        size_t size = map_encoded_size(map);
        uint8_t *bytes = memory_take(2, size);
        bool same = size == map_encoded_size(first);
        if (same) {
            map_encode(first, bytes, size);
            map_encode(map, bytes + size, size);
            same = memcmp(bytes, bytes + size, size) == 0;
        }
        if (!same) oracle_fail(oracle, "two clusters: n%u has another map", i + 1);
        memory_give(bytes);
    }
}

// An event that was never known to be durable may be gone with a crash, though later counters of
// its actor cover it: it counts only where it is found. Of one that was retired there is no other
// trace left than what it superseded.
static bool has_happened(const struct oracle_event *e, uint32_t key, const struct record *record) {
    if (e->key != key || e->is_dead) return false;
    if (!context_covers(&record->context, e->dot)) return e->is_retired && e->is_kept;
    return e->is_kept || holds(record, e->dot);
}

// O31. A purged tombstone may be back, where a member was not reached when it was to be removed.
static uint32_t count_purged(struct oracle *oracle, uint32_t key, const struct record *record) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < oracle->event_count; i++) {
        const struct oracle_event *e = &oracle->events[i];
        if (e->key != key || e->is_dead || e->purged_at == 0 || !holds(record, e->dot)) continue;
        count++;
        if (e->write == ORACLE_NONE || oracle->writes[e->write].is_tombstone) continue;
        oracle_fail(oracle, "O31 key=%s w%u is there, it was purged", oracle->keys[key].name,
                    e->write);
    }
    return count;
}

// O3: the siblings are the events that have happened and that no other event had seen.
static void check_siblings(struct oracle *oracle, uint32_t key, const struct record *record) {
    uint32_t wanted = count_purged(oracle, key, record);
    for (uint32_t i = 0; i < oracle->event_count; i++) {
        const struct oracle_event *e = &oracle->events[i];
        if (e->purged_at > 0 || !has_happened(e, key, record)) continue;
        bool is_superseded = false;
        for (uint32_t j = 0; j < oracle->event_count && !is_superseded; j++) {
            const struct oracle_event *other = &oracle->events[j];
            is_superseded = has_seen(other, e->dot) && has_happened(other, key, record);
        }
        if (is_superseded) continue;
        wanted++;
        if (!holds(record, e->dot)) {
            oracle_fail(oracle, "O3 key=%s the live sibling of w%u is gone", oracle->keys[key].name,
                        e->write);
        }
    }
    if (wanted != record->sibling_count) {
        oracle_fail(oracle, "O3 key=%s has %u siblings, %u are right", oracle->keys[key].name,
                    record->sibling_count, wanted);
    }
    if (record->sibling_count > 1) oracle->counts.concurrent++;
}

static void check_acknowledged(struct oracle *oracle, uint32_t key, const struct record *record) {
    const struct oracle_key *k = &oracle->keys[key];
    for (uint32_t i = 0; i < k->write_count; i++) {
        const struct oracle_write *w = &oracle->writes[k->writes[i]];
        if (w->outcome != OUTCOME_OK) continue;
        if (w->event == ORACLE_NONE) {
            if (w->is_tombstone) continue; // there was nothing to delete, or it cannot be told
            oracle_fail(oracle, "O1 key=%s w%u has its OK and was never stored", k->name,
                        k->writes[i]);
        } else if (oracle->events[w->event].purged_at == 0 &&
                   !context_covers(&record->context, oracle->events[w->event].dot)) {
            if (w->needs.write <= 1 && oracle_has_lost_bytes(oracle)) continue;
            oracle_fail(oracle, "O2 key=%s the acknowledged w%u is lost", k->name, k->writes[i]);
        }
    }
}

// What its replicas hold of the key; *first is what the first does. False: it fails, or they
// differ.
static bool read_replicas(struct oracle *oracle, uint32_t key, struct record *first,
                          uint32_t *other) {
    static struct record record;
    static struct held of_first;
    static struct held of_other;
    const struct map *map = node_map(cluster_node(oracle->cluster, 0));
    const struct map_run *run = map_run_of(map, slot_of(key_bytes(&oracle->keys[key])));
    for (uint32_t i = 0; i < run->replica_count; i++) {
        uint32_t member = run->replicas[i].member;
        struct held *held = i == 0 ? &of_first : &of_other;
        *other = member;
        enum status st = held_record(oracle, member, key, held, i == 0 ? first : &record);
        if (st != ST_OK) {
            oracle_fail(oracle, "O6 key=%s cannot be read at n%u: %s", oracle->keys[key].name,
                        member + 1, status_text(st));
            return false;
        }
        struct slice bytes = {held->bytes, held->size};
        if (!slice_equal(bytes, (struct slice){of_first.bytes, of_first.size})) return false;
    }
    return true;
}

// A purge takes a record from one replica after the other.
static void check_key(struct oracle *oracle, uint32_t key) {
    static struct record first;
    uint32_t other = 0;
    bool is_same = read_replicas(oracle, key, &first, &other);
    for (uint32_t i = 0; i < PURGES_AWAITED && !is_same && !oracle->has_failed; i++) {
        world_run(oracle->cluster->world, world_now(oracle->cluster->world) + PURGE_NS);
        is_same = read_replicas(oracle, key, &first, &other);
    }
    if (!is_same) {
        oracle_fail(oracle, "O6 key=%s differs at n%u", oracle->keys[key].name, other + 1);
    }
    oracle->counts.converged++;
    if (oracle->keys[key].is_forked) return;
    check_acknowledged(oracle, key, &first);
    check_siblings(oracle, key, &first);
}

void oracle_check_end(struct oracle *oracle) {
    oracle_check_maps(oracle);
    for (uint32_t i = 0; i < oracle->key_count; i++) check_key(oracle, i);
}
