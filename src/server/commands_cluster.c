// SPDX-License-Identifier: Apache-2.0
//
// The cluster as clients of Redis Cluster know it: each slot belongs to the first of its replicas
// that is up, and there are no others. Every node gives the same text, so long as they agree about
// who is up.
#include "server/commands.h"

#include "base/text.h"

#include <inttypes.h>

// Neighbouring slots with the same first replica.
struct stretch {
    uint32_t first;
    uint32_t last;
    struct map_replica owner;
};

static struct map_replica owner_of(const struct node *node, const struct map_run *run) {
    uint32_t place = map_place_in(run, node_first_of(node, run));
    must(place < run->replica_count);
    return run->replicas[place];
}

// Looks them all up, for next_stretch.
static void find_owners(struct server *server) {
    const struct map *map = node_map(server->node);
    for (uint32_t i = 0; map->epoch > 0 && i < map->run_count; i++) {
        server->owners[i] = owner_of(server->node, &map->runs[i]);
    }
}

// The stretch that begins with run *at, which moves behind it. False: there is none.
static bool next_stretch(const struct server *server, uint32_t *at, struct stretch *stretch) {
    const struct map *map = node_map(server->node);
    if (map->epoch == 0 || *at >= map->run_count) return false;
    stretch->first = map->runs[*at].first;
    stretch->owner = server->owners[*at];
    for (; *at < map->run_count; (*at)++) {
        const struct map_run *run = &map->runs[*at];
        struct map_replica owner = server->owners[*at];
        if (owner.member != stretch->owner.member || owner.shard != stretch->owner.shard) break;
        stretch->last = run->first + run->count - 1u;
    }
    return true;
}

static uint32_t shard_port(const struct map_member *member, uint32_t shard) {
    return member->port + PORT_SHARD_OFFSET + PORT_SHARD_STEP * shard;
}

void local_cluster_slots(struct command *c, struct reply *r) {
    struct server *server = c->session->server;
    const struct map *map = node_map(server->node);
    find_owners(server);
    size_t mark = r->size;
    uint64_t count = 0;
    struct stretch stretch;
    for (uint32_t at = 0; next_stretch(server, &at, &stretch); count++) {
        const struct map_member *member = &map->members[stretch.owner.member];
        char id[MEMBER_ID_TEXT_SIZE + 1];
        map_member_id_text(member, id);
        reply_array(r, 3);
        reply_integer(r, stretch.first);
        reply_integer(r, stretch.last);
        reply_array(r, 4);
        reply_bulk_string(r, member->address);
        reply_integer(r, shard_port(member, stretch.owner.shard));
        reply_bulk_string(r, id);
        reply_map(r, 0);
    }
    reply_array_before(r, mark, count);
}

static void write_shard_node(const struct node *node, uint32_t index, struct reply *r) {
    const struct map_member *member = &node_map(node)->members[index];
    char id[MEMBER_ID_TEXT_SIZE + 1];
    map_member_id_text(member, id);
    reply_map(r, 7);
    reply_bulk(r, SLICE("id"));
    reply_bulk_string(r, id);
    reply_bulk(r, SLICE("port"));
    reply_integer(r, shard_port(member, 0));
    reply_bulk(r, SLICE("ip"));
    reply_bulk_string(r, member->address);
    reply_bulk(r, SLICE("endpoint"));
    reply_bulk_string(r, member->address);
    reply_bulk(r, SLICE("role"));
    reply_bulk(r, SLICE("master"));
    reply_bulk(r, SLICE("replication-offset"));
    reply_integer(r, 0);
    reply_bulk(r, SLICE("health"));
    reply_bulk(r, node_member_is_up(node, index) ? SLICE("online") : SLICE("fail"));
}

void local_cluster_shards(struct command *c, struct reply *r) {
    struct server *server = c->session->server;
    const struct node *node = server->node;
    const struct map *map = node_map(node);
    find_owners(server);
    uint32_t members = map->epoch == 0 ? 0 : map->member_count;
    reply_array(r, members);
    for (uint32_t i = 0; i < members; i++) {
        reply_map(r, 2);
        reply_bulk(r, SLICE("slots"));
        size_t mark = r->size;
        uint64_t count = 0;
        struct stretch stretch;
        for (uint32_t at = 0; next_stretch(server, &at, &stretch);) {
            if (stretch.owner.member != i) continue;
            reply_integer(r, stretch.first);
            reply_integer(r, stretch.last);
            count += 2;
        }
        reply_array_before(r, mark, count);
        reply_bulk(r, SLICE("nodes"));
        reply_array(r, 1);
        write_shard_node(node, i, r);
    }
}

static void write_node_line(const struct server *server, uint32_t index, struct text *text) {
    const struct node *node = server->node;
    const struct map *map = node_map(node);
    const struct map_member *member = &map->members[index];
    char id[MEMBER_ID_TEXT_SIZE + 1];
    map_member_id_text(member, id);
    bool is_self = index == node_self(node);
    bool is_up = node_member_is_up(node, index);
    text_printf(text, "%s %s:%" PRIu32 "@%u %s%s - 0 0 %" PRIu64 " %s", id, member->address,
                shard_port(member, 0), (unsigned)(member->port + PORT_PEER_OFFSET),
                is_self ? "myself," : "", is_up || is_self ? "master" : "master,fail", map->epoch,
                is_up || is_self ? "connected" : "disconnected");
    struct stretch stretch;
    for (uint32_t at = 0; next_stretch(server, &at, &stretch);) {
        if (stretch.owner.member != index) continue;
        text_printf(text, stretch.first == stretch.last ? " %" PRIu32 : " %" PRIu32 "-%" PRIu32,
                    stretch.first, stretch.last);
    }
    text_char(text, '\n');
}

void local_cluster_nodes(struct command *c, struct reply *r) {
    struct server *server = c->session->server;
    const struct map *map = node_map(server->node);
    struct text text = server_text(server);
    find_owners(server);
    uint32_t members = map->epoch == 0 ? 0 : map->member_count;
    for (uint32_t i = 0; i < members; i++) write_node_line(server, i, &text);
    reply_verbatim(r, text_slice(&text));
}

// Slots of which a majority of the replicas are up: those that a quorum can be had for. None before
// this member serves anything.
static uint32_t count_served_slots(const struct node *node) {
    const struct map *map = node_map(node);
    uint32_t served = 0;
    if (node_state(node) != NODE_SERVING) return 0;
    for (uint32_t i = 0; i < map->run_count; i++) {
        const struct map_run *run = &map->runs[i];
        uint32_t up = 0;
        for (uint32_t j = 0; j < run->replica_count; j++) {
            up += node_member_is_up(node, run->replicas[j].member);
        }
        if (2 * up > run->replica_count) served += run->count;
    }
    return served;
}

void local_cluster_info(struct command *c, struct reply *r) {
    const struct node *node = c->session->server->node;
    const struct map *map = node_map(node);
    bool is_formed = map->epoch > 0;
    uint32_t members = is_formed ? map->member_count : 0;
    uint32_t down = 0;
    for (uint32_t i = 0; i < members; i++) {
        if (!node_member_is_up(node, i) && i != node_self(node)) down++;
    }
    struct node_stats stats = node_stats(node);
    uint32_t slots = is_formed ? SLOT_COUNT : 0;
    char memory[1024];
    struct text text = text_over(memory, sizeof(memory));
    uint32_t served = count_served_slots(node);
    text_printf(&text, "cluster_enabled:1\r\ncluster_state:%s\r\n",
                served == SLOT_COUNT ? "ok" : "fail");
    text_printf(&text, "cluster_slots_assigned:%" PRIu32 "\r\ncluster_slots_ok:%" PRIu32 "\r\n",
                slots, served);
    text_printf(&text, "cluster_slots_pfail:0\r\ncluster_slots_fail:%" PRIu32 "\r\n",
                slots - served);
    text_printf(&text, "cluster_known_nodes:%" PRIu32 "\r\ncluster_size:%" PRIu32 "\r\n", members,
                members);
    text_printf(&text, "cluster_current_epoch:%" PRIu64 "\r\ncluster_my_epoch:%" PRIu64 "\r\n",
                map->epoch, map->epoch);
    text_printf(&text,
                "cluster_stats_messages_sent:%" PRIu64
                "\r\ncluster_stats_messages_received:%" PRIu64 "\r\n",
                stats.frames_sent, stats.frames_received);
    text_printf(&text, "cluster_nodes_down:%" PRIu32 "\r\n", down);
    reply_verbatim(r, text_slice(&text));
}

void local_cluster_keyslot(struct command *c, struct reply *r) {
    reply_integer(r, slot_of(c->arguments[2]));
}

// What this node holds of the slot, expired keys that were not yet removed included.
void local_cluster_countkeysinslot(struct command *c, struct reply *r) {
    int64_t slot;
    if (!text_to_i64(c->arguments[2], &slot)) {
        reply_error(r, SLICE("ERR value is not an integer or out of range"));
        return;
    }
    if (slot < 0 || slot >= SLOT_COUNT) {
        reply_error(r, SLICE("ERR Invalid slot"));
        return;
    }
    struct store_partition held = node_slot(c->session->server->node, (uint16_t)slot);
    reply_integer(r, (int64_t)held.live_count);
}

void local_cluster_myid(struct command *c, struct reply *r) {
    const struct node *node = c->session->server->node;
    const struct map *map = node_map(node);
    if (map->epoch == 0) {
        command_refuse_not_serving(c, r);
        return;
    }
    char id[MEMBER_ID_TEXT_SIZE + 1];
    map_member_id_text(&map->members[node_self(node)], id);
    reply_bulk_string(r, id);
}

void local_cluster_links(struct command *c, struct reply *r) {
    const struct node *node = c->session->server->node;
    const struct map *map = node_map(node);
    size_t mark = r->size;
    uint64_t count = 0;
    for (uint32_t i = 0; map->epoch > 0 && i < map->member_count; i++) {
        if (i == node_self(node) || !node_member_is_up(node, i)) continue;
        char id[MEMBER_ID_TEXT_SIZE + 1];
        map_member_id_text(&map->members[i], id);
        reply_map(r, 2);
        reply_bulk(r, SLICE("direction"));
        reply_bulk(r, SLICE("to"));
        reply_bulk(r, SLICE("node"));
        reply_bulk_string(r, id);
        count++;
    }
    reply_array_before(r, mark, count);
}

void local_cluster_refused(struct command *c, struct reply *r) {
    (void)c;
    reply_error(r, SLICE("ERR not supported: Quoit's members and slots are not set by clients"));
}
