// SPDX-License-Identifier: Apache-2.0
#include "node/node.h"

#include "base/bitmap.h"
#include "node/epoch.h"
#include "node/forward.h"
#include "node/gather.h"
#include "node/genesis.h"
#include "node/gossip.h"
#include "node/hints.h"
#include "node/inquiry.h"
#include "node/internal.h"
#include "node/peers.h"
#include "node/purge.h"
#include "node/range.h"
#include "node/read.h"
#include "node/reconcile.h"
#include "node/replica_survey.h"
#include "node/sight.h"
#include "node/stand_in.h"
#include "node/survey.h"
#include "node/write.h"

#define PROCESS_SEED 0x7175676970726f63u // draws nothing from the node's random numbers
#define STOP_POLL_NS (10 * NS_PER_MS)
#define PEERS_TARGET_NS (4 * ADMISSION_TARGET_NS)

enum {
    TIMERS_OF_A_NODE = 20,
    SEGMENT_SLACK = 32 * 1024,
    LIST_SIZE = 192 * 1024,
    MEMBER_FACT_SIZE = 560, // room for a member in a map that is stored or told
};

static_assert((int)MEMBER_ENCODED_MAX + 8 <= (int)MEMBER_FACT_SIZE, "a map always fits");

struct node_options node_default_options(void) {
    return (struct node_options){
        .replication = REPLICATION_DEFAULT,
        .members_max = 16,
        .requests_max = 16384,
        .request_memory = (uint64_t)256 << 20,
        .value_size_max = VALUE_SIZE_DEFAULT,
        .timeout_ns = 3 * NS_PER_SECOND,
        .hedge_ns = 30 * NS_PER_MS,
        .hash_above = 256,
        .retire_above = 16,
        .gossip_ns = 200 * NS_PER_MS,
        .suspect_ns = 1200 * NS_PER_MS,
        .reconcile_ns = 60 * NS_PER_SECOND,
        .purge_ns = 5 * NS_PER_SECOND,
        .hints_max = (uint64_t)1 << 30,
        .store =
            {
                .memory_max = (uint64_t)1 << 30,
                .segment_size = (uint64_t)64 << 20,
                .disk_reserve = (uint64_t)64 << 20,
                .keyspaces_max = STORE_KEYSPACES_DEFAULT,
            },
    };
}

uint32_t node_copies_max(uint32_t replication) {
    return replication > REPLICATION_DEFAULT ? replication : REPLICATION_DEFAULT;
}

// What one replica has minted may together be as large as the largest value (mint.c); replicas may
// each hold other siblings, and their merge must still fit.
static uint32_t record_max(const struct node_options *options) {
    return node_copies_max(options->replication) * options->value_size_max + CONTEXT_MAX * 20 +
           SIBLINGS_MAX * 32 + 64;
}

// What is stored for others has its key beside it.
static uint32_t hint_max(const struct node_options *options) {
    return record_max(options) + KEY_SIZE_MAX + HINT_HEAD_SIZE;
}

// The largest is an answer to COMPARE; a map of all members is smaller.
static uint32_t message_max(const struct node_options *options) {
    return record_max(options) + 2 * KEY_SIZE_MAX + 512 * 1024 + MESSAGE_OVERHEAD;
}

static size_t fact_size_max(const struct node_options *o) {
    return CLUSTER_ID_SIZE + 4 + 256 + o->members_max * (size_t)MEMBER_FACT_SIZE +
           (size_t)RUNS_MAX * (8 + 4 * REPLICAS_MAX) + EPOCH_VOTE_SIZE +
           KEYSPACES_MAX * sizeof(struct keyspace) + sizeof(struct lineage);
}

// The largest record that is stored. Where values are small and members many it is the map, or what
// was voted for as the next.
static uint32_t stored_max(const struct node_options *o) {
    size_t fact = fact_size_max(o) + (size_t)CONTEXT_MAX * 20 + 64;
    return fact > hint_max(o) ? (uint32_t)fact : hint_max(o);
}

static struct node_options completed(const struct node_options *options) {
    struct node_options o = *options;
    o.store.record_size_max = stored_max(options);
    // A segment holds its header, the largest record with its key, and where it ends.
    uint64_t segment_min = (uint64_t)o.store.record_size_max + KEY_SIZE_MAX + SEGMENT_SLACK;
    if (o.store.segment_size < segment_min) o.store.segment_size = segment_min;
    if (o.list_size == 0) o.list_size = LIST_SIZE;
    if (o.peer_buffers == 0) o.peer_buffers = BUFFER_USE_DEFAULT;
    if (o.peer_buffer_size == 0) o.peer_buffer_size = 2 * message_max(options) + 4096;
    return o;
}

static uint32_t scratch_size(const struct node_options *options) {
    uint32_t size = stored_max(options);
    return size > SCRATCH_SIZE_MIN ? size : SCRATCH_SIZE_MIN;
}

static uint32_t timers_count(const struct node_options *options) {
    return TIMERS_OF_A_NODE + options->members_max + NODE_SPARE_TIMERS;
}

uint64_t node_data_min(const struct node_options *options) {
    struct node_options o = completed(options);
    return store_memory_min(&o.store);
}

size_t node_memory_size(const struct node_options *options) {
    struct node_options o = completed(options);
    return sizeof(struct node) + timers_count(&o) * sizeof(void *) +
           map_memory_size(o.members_max) + peers_memory_size(&o) +
           o.members_max * (sizeof(struct member_entry) + sizeof(struct rumor)) +
           members_place_count(o.members_max) * sizeof(uint16_t) + 64 + fact_size_max(&o) +
           epoch_memory_size(o.members_max, fact_size_max(&o)) +
           operations_memory_size(o.requests_max) + replica_memory_size(o.requests_max) +
           reconcile_memory_size(o.members_max) + roots_memory_size(o.members_max) +
           places_memory_size() + purge_memory_size() + expiry_memory_size() +
           inquiry_memory_size(o.members_max) + o.request_memory + 64 + scratch_size(&o) +
           store_memory_size(&o.store) + 4096;
}

struct node *node_create(struct arena *arena, struct env *env, const struct node_options *options) {
    struct node *node = ARENA_NEW(arena, struct node);
    node->env = env;
    node->options = completed(options);
    const struct node_options *o = &node->options;
    must(o->peer_buffer_size >= 2 * (message_max(o) + FRAME_HEADER_SIZE));
    must(o->members_max <= MEMBERS_MAX);
    must(o->replication > 0);
    must(o->replication <= REPLICAS_MAX);
    node->rng.state = o->random;
    node->process = hash_number(o->random ^ PROCESS_SEED);
    node->record_max = record_max(o);
    node->message_max = message_max(o);
    timers_init(&node->timers, arena, timers_count(o));
    map_init(&node->map, arena, o->members_max);
    node->initial.members = node->map.members;
    node->initial.strings = node->map.strings;
    node->initial.members_max = o->members_max;
    node->self = MEMBER_NONE;
    node->members.entries = ARENA_ARRAY(arena, struct member_entry, o->members_max);
    node->members.place_count = members_place_count(o->members_max);
    node->members.places = ARENA_ARRAY(arena, uint16_t, node->members.place_count);
    rumors_init(&node->rumors, ARENA_ARRAY(arena, struct rumor, o->members_max), o->members_max);
    inquiry_init(node, arena);
    node->fact_capacity = fact_size_max(o);
    node->fact = ARENA_ARRAY(arena, uint8_t, node->fact_capacity);
    epoch_init(node, arena);
    node->scratch_size = scratch_size(o);
    node->scratch = ARENA_ARRAY(arena, uint8_t, node->scratch_size);
    peers_init(node, arena);
    operations_init(node, arena, o->requests_max);
    replica_init(node, arena, o->requests_max);
    reconcile_init(node, arena);
    roots_init(node, arena);
    purge_init(node, arena);
    expiry_init(&node->expiry, arena);
    handoff_init(node);
    places_init(&node->places, arena);
    agreement_init(node);
    join_init(node);
    admission_init(&node->admission, ADMISSION_TARGET_NS);
    admission_init(&node->admission_peers, PEERS_TARGET_NS);
    node->retries = budget_full(env->now);
    tlsf_init(&node->buffers, arena, o->request_memory);
    node->options.store.seed = rng_next(&node->rng);
    node->store = store_create(arena, env, &node->timers, &node->options.store);
    node->pace = store_pace(node->store);
    return node;
}

uint64_t node_next_wake(const struct node *node) {
    return timers_next(&node->timers);
}

void node_wake(struct node *node) {
    timers_run(&node->timers, node->env->now);
}

struct timers *node_timers(struct node *node) {
    return &node->timers;
}

// Blocks are aligned to 4 bytes, behind a head of 4; a buffer may hold a structure.
enum { BUFFER_SHIFT = 8 - TLSF_HEAD };

uint8_t *buffer_take(struct node *node, size_t size) {
    uint32_t block = tlsf_take(&node->buffers, size + BUFFER_SHIFT);
    return block == 0 ? NULL : (uint8_t *)tlsf_at(&node->buffers, block) + BUFFER_SHIFT;
}

void buffer_give(struct node *node, uint8_t *buffer) {
    tlsf_give(&node->buffers, tlsf_of(&node->buffers, buffer - BUFFER_SHIFT));
}

// Starting.

static void on_listening(struct env_op *op) {
    struct node *node = CONTAINER_OF(op, struct node, listen_op);
    if (op->status != ST_OK) {
        node->listener = NULL;
        node->started(node->started_context, op->status);
        return;
    }
    genesis_start(node);
    gossip_start(node);
}

static void on_store_open(void *context, enum status status) {
    struct node *node = context;
    if (status != ST_OK) {
        node->started(node->started_context, status);
        return;
    }
    const struct map_member listening = {.address = node->options.listen,
                                         .port = node->options.self.port};
    map_member_address(&listening, PORT_PEER_OFFSET, node->listen_address);
    node->listen_op.done = on_listening;
    env_listen(node->env, &node->listen_op, node->listen_address, &node->listener);
}

void node_start(struct node *node, node_done *done, void *context) {
    node->started = done;
    node->started_context = context;
    must(strlen(node->options.listen) <= ADDRESS_SIZE_MAX);
    store_open(node->store, on_store_open, node);
}

// Stopping.

static void on_store_closed(void *context, enum status status) {
    struct node *node = context;
    node->stopped(node->stopped_context, status);
}

static bool is_idle(const struct node *node) {
    if (node->operations.busy_count > 0 || node->replica.busy_count > 0) return false;
    if (node->replica.scan_count > 0 || reconcile_is_scanning(node)) return false;
    if (node->purge.under_way > 0 || node->purge.state == PURGE_LISTING) return false;
    if (node->hints_busy > 0 || handoff_is_busy(node) || node->looking_again > 0) return false;
    if (node->fact_written != 0 || node->is_accepting) return false;
    if (!list_is_empty(&node->epoch.changes)) return false;
    if (agreement_is_busy(node) || node->link_buffers.is_waking) return false;
    for (uint32_t i = 0; i < node->link_count; i++) {
        if (node->links[i].state != LINK_FREE) return false;
    }
    return true;
}

static void on_stop_poll(struct timer *timer) {
    struct node *node = CONTAINER_OF(timer, struct node, stop_timer);
    if (node->operations.busy_count == 0) peers_stop(node);
    if (is_idle(node)) {
        store_close(node->store, on_store_closed, node);
    } else {
        timer_arm(&node->timers, timer, node->env->now + STOP_POLL_NS);
    }
}

void node_stop(struct node *node, node_done *done, void *context) {
    must(node->state != NODE_STOPPED);
    must(node->started == NULL);
    node->state = NODE_STOPPED;
    node->stopped = done;
    node->stopped_context = context;
    node->stop_timer.fired = on_stop_poll;
    gossip_stop(node);
    reconcile_stop(node);
    purge_stop(node);
    handoff_stop(node);
    agreement_stop(node);
    epoch_stop(node);
    join_stop(node);
    timer_arm(&node->timers, &node->stop_timer, node->env->now);
}

// Requests.

static enum status check(const struct node *node, const struct request *request) {
    if (node->state == NODE_STOPPED) return ST_CANCELLED;
    if (node->state != NODE_SERVING) return ST_UNAVAILABLE;
    if (request->kind == REQUEST_SCAN) {
        bool is_fit = cursor_cell(request->cursor) < CELL_COUNT && request->limit > 0;
        return is_fit ? ST_OK : ST_INVALID;
    }
    if (request->kind == REQUEST_COUNT) return ST_OK;
    if (request->key.size == 0) return ST_INVALID;
    bool is_large =
        request->key.size > KEY_SIZE_MAX || request->value.size > node->options.value_size_max;
    if (request->kind == REQUEST_RANGE) {
        if (request->limit == 0) return ST_INVALID;
        is_large |= request->from.size > KEY_SIZE_MAX || request->to.size > KEY_SIZE_MAX;
    }
    return is_large ? ST_TOO_LARGE : ST_OK;
}

static void start(struct operation *o) {
    struct request *request = o->request;
    uint32_t need = 0;
    if (!operation_set_key(o, request->key)) {
        operation_finish(o, ST_BUSY);
        return;
    }
    // A range is within one keyspace, which its bounds name.
    struct slice named = request->from.size > 0 ? request->from : request->to;
    if (!operation_place(o, o->kind == REQUEST_RANGE ? named : o->key)) {
        operation_finish(o, ST_BUSY);
        return;
    }
    o->is_sloppy = request->level.kind == LEVEL_SLOPPY;
    enum status st = level_need(request->level, o->replica_count, &need);
    if (st != ST_OK) {
        quorum_init(&o->quorum, o->replica_count, o->replica_count);
        operation_finish(o, st);
        request->need = need; // more than there are
        return;
    }
    if (o->kind == REQUEST_READ) {
        read_start(o, need);
        return;
    }
    if (o->kind == REQUEST_RANGE) {
        range_start(o, o->is_sloppy ? stand_in_need_of_replicas(o, need) : need);
        return;
    }
    o->value = request->value;
    o->is_tombstone = request->is_tombstone;
    o->expires_ms = request->expires_ms;
    o->timestamp = request->timestamp;
    o->extra_timestamp = request->seen_timestamp;
    if (request->seen != NULL) {
        size_t size = context_encoded_size(request->seen);
        o->extra = buffer_take(o->node, size);
        if (o->extra == NULL) {
            operation_finish(o, ST_BUSY);
            return;
        }
        struct writer w = writer_to(o->extra, size);
        context_encode(request->seen, &w);
        o->seen = writer_bytes(&w);
    }
    const struct node *node = o->node;
    if (o->self_place == REPLICAS_MAX || !node_has_vote(node) || store_is_failed(node->store)) {
        forward_start(o, need);
    } else {
        write_start(o, need);
    }
}

void node_submit(struct node *node, struct request *request) {
    must(request->done != NULL);
    request->need = 0;
    request->answered = 0;
    request->copies = 0;
    request->up = 0;
    enum status st = check(node, request);
    struct operation *o = st == ST_OK ? operation_take(node) : NULL;
    if (o == NULL) {
        request_answer_later(node, request, st == ST_OK ? ST_BUSY : st);
        return;
    }
    o->request = request;
    o->kind = request->kind;
    o->is_starting = true;
    switch (request->kind) {
    case REQUEST_READ:
    case REQUEST_REPLACE:
    case REQUEST_WRITE:
    case REQUEST_RANGE:
        start(o);
        break;
    case REQUEST_SCAN:
        scan_start(o);
        break;
    case REQUEST_COUNT:
        count_start(o);
        break;
    }
    o->is_starting = false;
}

// Somebody has asked for something, in this turn.
static void note_turn(struct node *node) {
    if (node->turn_noted == node->env->now) return;
    node->turn_noted = node->env->now;
    pace_note(node->pace, PACE_QUEUE, node->env->late);
}

static bool admits(const struct node *node, struct admission *admission) {
    if (admission->turn != node->env->now) {
        admission_turn(admission, node->env->now, node->env->late);
    }
    return admission_admits(admission);
}

bool node_is_overloaded(struct node *node) {
    note_turn(node);
    admission_turn(&node->admission, node->env->now, node->env->late);
    return node->admission.is_shedding;
}

bool node_admits(struct node *node) {
    bool admitted = admission_admits(&node->admission);
    node->stats.shed += !admitted;
    return admitted;
}

bool node_admits_peer(struct node *node) {
    note_turn(node);
    bool admitted = admits(node, &node->admission_peers);
    node->stats.shed_peers += !admitted;
    return admitted;
}

bool node_read_now(struct node *node, struct request *request) {
    bool is_alone = node->state == NODE_SERVING && node->map.member_count == 1;
    if (!is_alone || !node_has_vote(node) || request->key.size == 0) return false;
    uint32_t need = 0;
    if (level_need(request->level, 1, &need) != ST_OK) return false;
    struct store_read *read = &node->quick_read;
    const struct keyspace *k = map_keyspace_of(&node->map, request->key);
    if (k->state != KEYSPACE_ACTIVE) return false;
    *read =
        (struct store_read){.partition = {k->number, slot_of(request->key)}, .key = request->key};
    enum status st = store_peek(node->store, read);
    if (st != ST_OK && st != ST_NOT_FOUND) return false;
    node->stats.reads++;
    request->status = st;
    request->need = need;
    request->answered = 1;
    request->record = st == ST_OK ? read->record : (struct slice){0};
    return true;
}

void node_expect(struct node *node, struct slice key) {
    if (node->state != NODE_SERVING) return;
    struct partition partition = {map_keyspace_of(&node->map, key)->number, slot_of(key)};
    store_prefetch(node->store, partition, key);
}

void node_expect_no_more(struct node *node) {
    if (node->state == NODE_SERVING) store_prefetch_rest(node->store);
}

void node_peer_lost(struct node *node, uint32_t member) {
    struct operations *ops = &node->operations;
    for (uint32_t i = 0; i < ops->capacity; i++) {
        struct operation *o = &ops->all[i];
        if (operation_find(node, o->id) == NULL) continue;
        switch (o->kind) {
        case REQUEST_READ:
            read_on_lost(o, member);
            break;
        case REQUEST_REPLACE:
        case REQUEST_WRITE:
            if (o->is_forwarded_away) {
                forward_on_lost(o, member);
            } else {
                write_on_lost(o, member);
            }
            break;
        case REQUEST_RANGE:
        case REQUEST_SCAN:
            gather_on_lost(o, member);
            break;
        case REQUEST_COUNT:
            count_on_lost(o, member);
            break;
        }
    }
    reconcile_on_lost(node, member);
    purge_on_lost(node, member);
    handoff_on_lost(node, member);
}

// Facts.

enum node_state node_state(const struct node *node) {
    return node->state;
}

bool node_is_ousted(const struct node *node) {
    return node->is_ousted;
}

const struct map *node_map(const struct node *node) {
    return &node->map;
}

uint64_t node_map_author(const struct node *node) {
    return lineage_author(&node->epoch.lineage, node->map.epoch);
}

uint32_t node_self(const struct node *node) {
    must(node->map.epoch > 0);
    return node->self;
}

const struct member_entry *node_member(const struct node *node, uint32_t index) {
    must(index < node->map.member_count); // there may be a map, and nothing known of members yet
    return &node->members.entries[index];
}

const char *node_name_of(const struct node *node, uint64_t storage) {
    uint32_t member = map_find_storage(&node->map, storage);
    return member < node->map.member_count ? node->map.members[member].name : NULL;
}

uint32_t node_copies(const struct node *node) {
    return node->map.epoch == 0 ? 0 : node->map.runs[0].replica_count;
}

bool node_member_is_up(const struct node *node, uint32_t index) {
    return peer_is_up(node, index);
}

struct node_view node_view(const struct node *node, uint32_t index) {
    return sight_of(node, index);
}

uint32_t node_doubt(const struct node *node) {
    return node->sight.doubt;
}

bool node_member_is_late(const struct node *node, uint32_t index) {
    return !peer_is_prompt(node, index, ERRAND_READ);
}

uint32_t node_first_of(const struct node *node, const struct map_run *run) {
    for (uint32_t i = 0; i < run->replica_count; i++) {
        if (peer_is_up(node, run->replicas[i].member)) return run->replicas[i].member;
    }
    return run->replicas[0].member;
}

struct store_partition node_cell(const struct node *node, uint32_t cell) {
    return store_partition_of(node->store, map_partition_of(&node->map, cell));
}

struct store_partition node_slot(const struct node *node, uint16_t slot) {
    struct store_partition sum = {0};
    for (uint32_t place = 0; place < KEYSPACES_MAX; place++) {
        if (node->map.keyspaces[place].state == KEYSPACE_FREE) continue;
        struct store_partition p = node_cell(node, cell_of(slot, place));
        sum.key_count += p.key_count;
        sum.live_count += p.live_count;
        sum.size += p.size;
        sum.digest += p.digest;
    }
    return sum;
}

struct store_partition node_hints(const struct node *node) {
    struct store_partition sum = {0};
    for (enum hint_kind kind = 0; kind < HINT_KINDS; kind++) {
        struct store_partition p = store_partition_of(node->store, hints_partition(kind));
        sum.key_count += p.key_count;
        sum.size += p.size;
    }
    return sum;
}

struct node_stats node_stats(const struct node *node) {
    struct node_stats stats = node->stats;
    stats.hints_minted = node->hints_minted;
    stats.hints_stuck = handoff_stuck(node);
    stats.requests_under_way = node->operations.busy_count;
    bool is_asked = node->env->now - node->admission.turn < NS_PER_SECOND; // lately
    stats.queue_ns = is_asked ? node->admission.standing : 0;
    stats.is_shedding = is_asked && node->admission.is_shedding;
    stats.background_share = pace_share(node->pace, node->env->now) * 100 / PACE_WHOLE;
    for (uint32_t i = 0; i < PACE_WORKERS; i++) {
        stats.rested_ms[i] = node->pace->rested[i] / NS_PER_MS;
    }
    return stats;
}

struct node_buffers node_buffers(const struct node *node) {
    const struct buffers *b = &node->link_buffers;
    struct node_buffers in_use = {
        .large = b->pools[BUFFER_LARGE].taken,
        .other = b->pools[BUFFER_TINY].taken + b->pools[BUFFER_SMALL].taken +
                 b->pools[BUFFER_MEDIUM].taken,
    };
    for (uint32_t i = 0; i < node->link_count; i++) {
        in_use.waiting += !list_is_empty(&node->links[i].waiting);
    }
    return in_use;
}

void node_repair(struct node *node, uint16_t first, uint16_t last) {
    must(node->state == NODE_SERVING);
    must(last < SLOT_COUNT);
    reconcile_repair(node, first, last);
}

struct node_repair node_repair_state(const struct node *node) {
    const struct reconcile_repair *repair = &node->reconcile.repair;
    struct node_repair state = {
        .first = repair->first, .last = repair->last, .done = repair->done, .total = repair->total};
    for (uint32_t i = 0; i < node->peer_count; i++)
        state.peers_left += bitmap_has(repair->peers, i);
    return state;
}

struct node_purge node_purge_state(const struct node *node) {
    const struct purge *p = &node->purge;
    bool shows_wide = p->block.waits_for == MEMBER_NONE;
    uint32_t member = shows_wide ? p->wide_block.waits_for : p->block.waits_for;
    bool is_known = member < node->map.member_count;
    return (struct node_purge){
        .blocked = p->block.partitions + p->wide_block.partitions,
        .waits_for = is_known ? node->map.members[member].name : "",
    };
}

uint64_t node_unequal_ns(const struct node *node) {
    must(node->state == NODE_SERVING);
    return node->env->now - reconcile_equal_since(node);
}

void node_compact(struct node *node) {
    must(node->state == NODE_SERVING);
    store_compact(node->store);
}

enum status node_snapshot_make(struct node *node, struct slice name, store_snapshot_done *done,
                               void *context) {
    must(node->state == NODE_SERVING);
    if (node->is_mending) return ST_UNAVAILABLE;
    return store_snapshot_make(node->store, name, done, context);
}

enum status node_snapshot_delete(struct node *node, struct slice name, store_snapshot_done *done,
                                 void *context) {
    must(node->state == NODE_SERVING);
    return store_snapshot_delete(node->store, name, done, context);
}

struct store *node_store(struct node *node) {
    return node->store;
}

struct store_stats node_store_stats(const struct node *node) {
    return store_stats(node->store);
}

const struct node_options *node_options(const struct node *node) {
    return &node->options;
}
