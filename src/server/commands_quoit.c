// SPDX-License-Identifier: Apache-2.0
//
// QUOIT: what only this server has to say, for its own tools.
#include "server/commands.h"

#include "base/text.h"
#include "server/arguments.h"
#include "server/internal.h"

#include <inttypes.h>
#include <stdio.h>

// Slots of each member of the map.
struct slot_counts {
    uint32_t first[MEMBERS_MAX]; // whose first replica that is up it is
    uint32_t held[MEMBERS_MAX];
};

static void count_slots(const struct node *node, struct slot_counts *counts) {
    const struct map *map = node_map(node);
    must(map->member_count <= MEMBERS_MAX);
    memset(counts, 0, sizeof(*counts));
    for (uint32_t i = 0; i < map->run_count; i++) {
        const struct map_run *run = &map->runs[i];
        counts->first[node_first_of(node, run)] += run->count;
        for (uint32_t j = 0; j < run->replica_count; j++) {
            counts->held[run->replicas[j].member] += run->count;
        }
    }
}

static const char *verdict_text(enum verdict verdict) {
    switch (verdict) {
    case VERDICT_UP:
        return "up";
    case VERDICT_UNREACHABLE:
        return "unreachable";
    case VERDICT_DOWN:
        return "down";
    }
    unreachable();
}

static const char *state_text(const struct node *node, uint32_t index) {
    enum verdict verdict = node_view(node, index).verdict;
    if (verdict != VERDICT_UP && node_has_stranger(node, index)) return "refused";
    if (verdict != VERDICT_UP) return verdict_text(verdict);
    switch (node_member(node, index)->state) {
    case MEMBER_STARTING:
        return "starting";
    case MEMBER_SERVING:
        return "up";
    case MEMBER_MENDING:
        return "mending";
    case MEMBER_STOPPING:
        return "stopping";
    case MEMBER_STATES:
        break;
    }
    unreachable();
}

static void reply_text(struct reply *r, const char *name, const char *value) {
    reply_bulk_string(r, name);
    reply_bulk_string(r, value);
}

static void reply_number(struct reply *r, const char *name, uint64_t value) {
    reply_bulk_string(r, name);
    reply_integer(r, (int64_t)value);
}

// Words with spaces between them.
static void reply_troubles(struct reply *r, uint8_t troubles) {
    static const char *const words[MEMBER_TROUBLES] = {"full", "failed", "damaged", "hints"};
    char memory[64];
    struct text text = text_over(memory, sizeof(memory));
    for (uint32_t i = 0; i < MEMBER_TROUBLES; i++) {
        if ((troubles >> i & 1) == 0) continue;
        text_printf(&text, "%s%s", text.size > 0 ? " " : "", words[i]);
    }
    reply_bulk_string(r, "troubles");
    reply_bulk(r, text_slice(&text));
}

static void reply_member(struct reply *r, const struct node *node, uint32_t index,
                         const struct slot_counts *counts) {
    const struct map_member *member = &node_map(node)->members[index];
    const struct member_entry *entry = node_member(node, index);
    char id[MEMBER_ID_TEXT_SIZE + 1];
    char address[ADDRESS_SIZE_MAX + 1];
    map_member_id_text(member, id);
    map_member_address(member, 0, address);
    bool is_merging = entry->merged != MEMBER_MERGES_NOTHING;
    bool is_self = index == node_self(node);
    reply_map(r, is_self ? 26 : 18);
    reply_text(r, "id", id);
    reply_text(r, "name", member->name);
    reply_text(r, "host", member->host);
    reply_text(r, "address", address);
    reply_text(r, "rack", member->rack);
    reply_text(r, "dc", member->dc);
    reply_text(r, "state", state_text(node, index));
    reply_number(r, "self", is_self);
    reply_number(r, "slots_first", counts->first[index]);
    reply_number(r, "slots_held", counts->held[index]);
    reply_number(r, "keys", entry->key_count);
    reply_number(r, "disk", entry->disk_size);
    reply_number(r, "memory", entry->memory_size);
    reply_number(r, "load", entry->load);
    reply_number(r, "merging", is_merging);
    reply_number(r, "merged", is_merging ? entry->merged : 0);
    reply_number(r, "incarnation", entry->incarnation);
    reply_troubles(r, entry->troubles);
    if (!is_self) return;
    bool is_serving = node_state(node) == NODE_SERVING;
    reply_number(r, "unequal_seconds", is_serving ? node_unequal_ns(node) / NS_PER_SECOND : 0);
    struct node_stats stats = node_stats(node);
    reply_number(r, "slots_behind", stats.slots_behind);
    reply_number(r, "shedding", stats.is_shedding);
    reply_number(r, "shed_requests", stats.shed);
    reply_number(r, "queue_time_us", stats.queue_ns / 1000);
    struct node_purge purge = node_purge_state(node);
    reply_number(r, "purge_blocked", purge.blocked);
    reply_text(r, "purge_waits_for", purge.waits_for);
    reply_number(r, "hints_stuck", stats.hints_stuck);
}

void local_quoit_status(struct command *c, struct reply *r) {
    const struct node *node = c->session->server->node;
    const struct map *map = node_map(node);
    if (map->epoch == 0) {
        command_refuse_not_serving(c, r);
        return;
    }
    struct slot_counts counts;
    count_slots(node, &counts);
    reply_array(r, map->member_count);
    for (uint32_t i = 0; i < map->member_count; i++) reply_member(r, node, i, &counts);
}

static void reply_view(struct reply *r, const struct node *node, uint32_t index) {
    struct node_view view = node_view(node, index);
    char phi[32];
    bool is_heard = view.silence_ns != UINT64_MAX;
    snprintf(phi, sizeof(phi), "%" PRIu32 ".%02" PRIu32, view.level / 100, view.level % 100);
    reply_map(r, 6);
    reply_text(r, "name", node_map(node)->members[index].name);
    reply_text(r, "state", verdict_text(view.verdict));
    reply_text(r, "phi", phi);
    reply_bulk_string(r, "silence_ms");
    reply_integer(r, is_heard ? (int64_t)(view.silence_ns / NS_PER_MS) : -1);
    reply_number(r, "late", node_member_is_late(node, index));
    reply_number(r, "self", index == node_self(node));
}

void local_quoit_view(struct command *c, struct reply *r) {
    const struct node *node = c->session->server->node;
    const struct map *map = node_map(node);
    if (map->epoch == 0) {
        command_refuse_not_serving(c, r);
        return;
    }
    reply_map(r, 2);
    reply_number(r, "doubt", node_doubt(node));
    reply_bulk_string(r, "members");
    reply_array(r, map->member_count);
    for (uint32_t i = 0; i < map->member_count; i++) reply_view(r, node, i);
}

static bool is_refused(const struct command *c, struct reply *r) {
    if (node_state(c->session->server->node) == NODE_SERVING) return false;
    command_refuse_not_serving(c, r);
    return true;
}

static void reply_digest(struct reply *r, uint64_t digest) {
    char text[17];
    snprintf(text, sizeof(text), "%016" PRIx64, digest);
    reply_bulk_string(r, text);
}

// Equal on two members that hold the same records.
void local_quoit_digest(struct command *c, struct reply *r) {
    const struct node *node = c->session->server->node;
    if (is_refused(c, r)) return;
    struct store_partition sum = {0};
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        struct store_partition partition = node_slot(node, (uint16_t)slot);
        sum.digest += partition.digest;
        sum.key_count += partition.key_count;
        sum.live_count += partition.live_count;
        sum.size += partition.size;
    }
    reply_map(r, 4);
    reply_bulk_string(r, "digest");
    reply_digest(r, sum.digest);
    reply_number(r, "records", sum.key_count);
    reply_number(r, "live", sum.live_count);
    reply_number(r, "size", sum.size);
}

static bool read_slot(struct slice argument, uint16_t *slot) {
    int64_t number;
    if (!text_to_i64(argument, &number) || number < 0 || number >= SLOT_COUNT) return false;
    *slot = (uint16_t)number;
    return true;
}

// Of all keyspaces that is as much work as others can wait for.
enum { DIGESTS_SLOTS_MAX = 256 };

// What this member has copies of in the slots from first to last.
static void reply_partitions(const struct node *node, uint32_t place, uint16_t first, uint16_t last,
                             struct reply *r) {
    const struct map *map = node_map(node);
    size_t mark = r->size;
    uint64_t count = 0;
    for (uint32_t slot = first; slot <= last; slot++) {
        const struct map_run *run = map_run_of(map, (uint16_t)slot);
        uint32_t copies = map_copies(&map->keyspaces[place], run);
        if (map_place_in(run, node_self(node)) >= copies) continue;
        struct store_partition partition = node_cell(node, cell_of(slot, place));
        reply_array(r, 3);
        reply_integer(r, slot);
        reply_digest(r, partition.digest);
        reply_integer(r, (int64_t)partition.key_count);
        count++;
    }
    reply_array_before(r, mark, count);
}

// Who compares what members say here knows by the epoch that they speak of the same map. A keyspace
// that comes or goes is left out: it takes no writes, and its copies may not be where they belong.
void local_quoit_digests(struct command *c, struct reply *r) {
    struct node *node = c->session->server->node;
    uint16_t first;
    uint16_t last;
    if (!read_slot(c->arguments[2], &first) || !read_slot(c->arguments[3], &last) || first > last) {
        reply_error(r, SLICE("ERR Invalid slot"));
        return;
    }
    if (last - first >= DIGESTS_SLOTS_MAX) {
        reply_error(r, SLICE("ERR more than 256 slots: ask for fewer at a time"));
        return;
    }
    if (is_refused(c, r)) return;
    if (store_is_recounting(node_store(node))) {
        reply_error(r, SLICE("BUSY this node adds up anew what it holds, after damage"));
        return;
    }
    const struct map *map = node_map(node);
    reply_map(r, 2);
    reply_number(r, "epoch", map->epoch);
    reply_bulk_string(r, "keyspaces");
    size_t mark = r->size;
    uint64_t count = 0;
    for (uint32_t place = 0; place < KEYSPACES_MAX; place++) {
        const struct keyspace *k = &map->keyspaces[place];
        if (k->state != KEYSPACE_ACTIVE) continue;
        reply_array(r, 2);
        reply_bulk_string(r, k->name);
        reply_partitions(node, place, first, last, r);
        count++;
    }
    reply_array_before(r, mark, count);
}

static void reply_repair(const struct node *node, struct reply *r) {
    struct node_repair repair = node_repair_state(node);
    reply_map(r, 5);
    reply_number(r, "first", repair.first);
    reply_number(r, "last", repair.last);
    reply_number(r, "done", repair.done);
    reply_number(r, "total", repair.total);
    reply_number(r, "peers_left", repair.peers_left);
}

// Begins at once, in place of what was asked for before; without arguments it shows how it goes.
void local_quoit_repair(struct command *c, struct reply *r) {
    struct node *node = c->session->server->node;
    uint16_t first = 0;
    uint16_t last = SLOT_COUNT - 1;
    bool is_all = c->argument_count == 3 && argument_is(c->arguments[2], "ALL");
    bool is_one = c->argument_count == 4 && argument_is(c->arguments[2], "SLOT");
    if (c->argument_count > 2 && !is_all && !is_one) {
        reply_error(r, SLICE("ERR QUOIT REPAIR takes ALL, SLOT and a number, or nothing"));
        return;
    }
    if (is_one && !read_slot(c->arguments[3], &first)) {
        reply_error(r, SLICE("ERR Invalid slot"));
        return;
    }
    if (is_refused(c, r)) return;
    if (!is_all && !is_one) {
        reply_repair(node, r);
        return;
    }
    if (is_one) last = first;
    node_repair(node, first, last);
    reply_ok(r);
}

// Says so at once; INFO tells how it goes.
void local_quoit_compact(struct command *c, struct reply *r) {
    struct node *node = c->session->server->node;
    if (is_refused(c, r)) return;
    node_compact(node);
    reply_ok(r);
}

// Snapshots.

static void answer_snapshot(struct command *c, enum status status) {
    static const char *const errors[] = {
        [ST_NOT_FOUND] = "NOTFOUND there is no snapshot of that name",
        [ST_BUSY] = "BUSY another snapshot is being made or deleted, or files are too many",
        [ST_UNAVAILABLE] = "MENDING this node fetches what it lacks; its data is not whole yet",
        [ST_INVALID] = "ERR there is a snapshot of that name already; not done",
        [ST_TOO_LARGE] = "TOOMANY there are as many snapshots, or files of them, as there can be",
        [ST_CORRUPT] = "DAMAGED data was found damaged; a snapshot would not be whole",
        [ST_NO_SPACE] = "DISKFULL no room for another segment of the log; not done",
        [ST_CANCELLED] = "BUSY this node is shutting down; not done",
    };
    if (status == ST_OK) {
        answer_ok(c);
        return;
    }
    bool is_known = status < sizeof(errors) / sizeof(errors[0]) && errors[status] != NULL;
    answer_error(c, is_known ? errors[status] : "IOERR the disk refused; not done");
}

static void on_snapshot(void *context, enum status status) {
    answer_snapshot(context, status);
}

void start_quoit_snapshot(struct command *c) {
    struct node *node = c->session->server->node;
    if (!store_snapshot_name_is_good(c->arguments[2])) {
        answer_error(c, "ERR a name is 1 to 31 letters, digits, '-' and '_', the first a letter or "
                        "a digit; not done");
        return;
    }
    enum status status = node_snapshot_make(node, c->arguments[2], on_snapshot, c);
    if (status != ST_OK) answer_snapshot(c, status);
}

void start_quoit_delsnapshot(struct command *c) {
    struct node *node = c->session->server->node;
    enum status status = node_snapshot_delete(node, c->arguments[2], on_snapshot, c);
    if (status != ST_OK) answer_snapshot(c, status);
}

void local_quoit_snapshots(struct command *c, struct reply *r) {
    struct node *node = c->session->server->node;
    if (is_refused(c, r)) return;
    struct store_snapshot all[SNAPSHOTS_MAX];
    uint32_t count = store_snapshots(node_store(node), all);
    reply_array(r, count);
    for (uint32_t i = 0; i < count; i++) {
        reply_map(r, 4);
        reply_text(r, "name", all[i].name);
        reply_number(r, "files", all[i].file_count);
        reply_number(r, "bytes", all[i].size);
        reply_number(r, "own_bytes", all[i].own);
    }
}
