// SPDX-License-Identifier: Apache-2.0
#include "node/operation.h"

#include "node/forward.h"
#include "node/gather.h"
#include "node/internal.h"
#include "node/peers.h"
#include "node/range.h"
#include "node/read.h"

static void on_deadline(struct delay *delay);
static void on_hedge(struct delay *delay);

size_t operations_memory_size(uint32_t capacity) {
    return capacity * sizeof(struct operation) + 64;
}

void operations_init(struct node *node, struct arena *arena, uint32_t capacity) {
    struct operations *ops = &node->operations;
    ops->all = ARENA_ARRAY(arena, struct operation, capacity);
    ops->capacity = capacity;
    list_init(&ops->free);
    list_init(&ops->busy);
    const uint64_t *now = &node->env->now;
    delays_init(&ops->deadlines, &node->timers, now, node->options.timeout_ns, on_deadline);
    delays_init(&ops->hedges, &node->timers, now, node->options.hedge_ns, on_hedge);
    for (uint32_t i = 0; i < capacity; i++) {
        struct operation *o = &ops->all[i];
        o->node = node;
        o->id = i;
        o->is_finished = true;
        list_init(&o->deadline.link);
        list_init(&o->hedge.link);
        list_init(&o->link);
        list_append(&ops->free, &o->link);
    }
}

void operation_renew_id(struct operation *o) {
    o->id += o->node->operations.capacity;
}

struct operation *operation_take(struct node *node) {
    struct operations *ops = &node->operations;
    if (list_is_empty(&ops->free)) return NULL;
    // The one given back last is the one still in the processor's caches.
    struct operation *o = CONTAINER_OF(ops->free.prev, struct operation, link);
    list_remove(&o->link);
    list_append(&ops->busy, &o->link);
    ops->busy_count++;
    budget_earn(&node->retries);
    operation_renew_id(o);
    o->is_starting = false;
    o->is_answering = false;
    o->is_finished = false;
    o->is_storing = false;
    o->is_sloppy = false;
    o->stood_in = 0;
    o->is_forwarded_away = false;
    o->is_repairing = false;
    o->is_damaged = false;
    o->is_refused = false;
    o->round = 1;
    o->request = NULL;
    o->from = NULL;
    o->held = NULL;
    o->record = NULL;
    o->record_size = 0;
    o->instead = NULL;
    o->extra = NULL;
    o->extra_size = 0;
    o->extra_timestamp = 0;
    o->gather = NULL;
    o->range = NULL;
    o->reached = (struct slice){0};
    o->cursor = 0;
    o->asked = 0;
    o->by_hash = 0;
    o->told = 0;
    o->recent = 0;
    o->replica_count = 0;
    o->waiting = 0;
    o->total = 0;
    o->seen = (struct slice){0};
    o->quorum = (struct quorum){0};
    delay_begin(&ops->deadlines, &o->deadline);
    o->until = o->deadline.deadline;
    return o;
}

struct operation *operation_find(struct node *node, uint64_t id) {
    struct operation *o = &node->operations.all[id % node->operations.capacity];
    return o->id == id && !o->is_finished && !list_is_empty(&o->link) ? o : NULL;
}

uint32_t operation_waiting_place(const struct operation *o, uint32_t member) {
    uint32_t waiting = o->asked & ~(o->quorum.yes | o->quorum.no);
    for (uint32_t i = 0; i < o->replica_count; i++) {
        if ((waiting >> i & 1) != 0 && operation_member(o, i) == member) return i;
    }
    return REPLICAS_MAX;
}

uint32_t operation_place_of(const struct operation *o, uint32_t member) {
    for (uint32_t i = 0; i < o->replica_count; i++) {
        if (operation_member(o, i) == member) return i;
    }
    return REPLICAS_MAX;
}

uint32_t operation_own_place(const struct operation *o) {
    return operation_place_of(o, o->node->self);
}

uint32_t operation_left_ms(const struct operation *o) {
    uint64_t now = o->node->env->now;
    return now < o->until ? (uint32_t)((o->until - now) / NS_PER_MS) + 1 : 1;
}

// In which of ASK_PASSES turns a replica is asked.
enum { ASK_PASSES = 4 };

static int pass_of(const struct operation *o, uint32_t place) {
    uint32_t member = operation_member(o, place);
    bool is_prompt = peer_is_prompt(o->node, member, ERRAND_READ);
    if (operation_is_stood_in(o, place)) return 2; // it may have nothing
    if (place == o->self_place) return is_prompt ? 0 : 2;
    if (!peer_is_up(o->node, member)) return 3;
    return is_prompt ? 1 : 2;
}

void operation_ask_enough(struct operation *o, uint32_t wanted, operation_ask *ask) {
    uint32_t hopeful = quorum_count(o->asked & ~o->quorum.no);
    for (int pass = 0; pass < ASK_PASSES && hopeful < wanted; pass++) {
        for (uint32_t i = 0; i < o->replica_count && hopeful < wanted; i++) {
            if ((o->asked >> i & 1) != 0 || pass_of(o, i) != pass) continue;
            ask(o, i);
            hopeful = quorum_count(o->asked & ~o->quorum.no);
        }
    }
}

void operation_note_late(struct operation *o) {
    enum errand errand = o->is_forwarded_away ? ERRAND_WRITE : ERRAND_READ;
    uint32_t waiting = o->asked & ~(o->quorum.yes | o->quorum.no | o->told | o->recent);
    for (uint32_t i = 0; i < o->replica_count; i++) {
        if ((waiting >> i & 1) != 0) peers_note_late(o->node, operation_member(o, i), errand);
    }
    o->recent = 0;
}

static void give(struct node *node, uint8_t **bytes) {
    if (*bytes != NULL) buffer_give(node, *bytes);
    *bytes = NULL;
}

bool operation_set_key(struct operation *o, struct slice key) {
    uint8_t *to = o->key_inline;
    if (key.size > sizeof(o->key_inline)) {
        o->held = buffer_take(o->node, key.size);
        if (o->held == NULL) return false;
        to = o->held;
    }
    memcpy(to, key.data, key.size);
    o->key = (struct slice){to, key.size};
    return true;
}

static bool replace_bytes(struct node *node, uint8_t **bytes, uint32_t *size, struct slice by) {
    uint8_t *copy = NULL;
    if (by.size > 0) {
        copy = buffer_take(node, by.size);
        if (copy == NULL) return false;
        memcpy(copy, by.data, by.size);
    }
    give(node, bytes);
    *bytes = copy;
    *size = (uint32_t)by.size;
    return true;
}

bool operation_set_record(struct operation *o, struct slice record) {
    return replace_bytes(o->node, &o->record, &o->record_size, record);
}

bool operation_set_instead(struct operation *o, struct slice record) {
    return replace_bytes(o->node, &o->instead, &o->instead_size, record);
}

void operation_drop_instead(struct operation *o) {
    give(o->node, &o->instead);
}

bool operation_place(struct operation *o, struct slice named) {
    const struct map *map = &o->node->map;
    const struct keyspace *k = map_keyspace_of(map, named);
    if (k->state != KEYSPACE_ACTIVE) return false;
    o->partition = (struct partition){.keyspace = k->number, .slot = slot_of(o->key)};
    const struct map_run *run = map_run_of(map, o->partition.slot);
    operation_set_replicas(o, run, map_copies(k, run));
    return true;
}

void operation_set_replicas(struct operation *o, const struct map_run *run, uint32_t copies) {
    o->replica_count = copies;
    for (uint32_t i = 0; i < copies; i++) o->replicas[i] = run->replicas[i].member;
    o->self_place = map_place_in(run, o->node->self);
    if (o->self_place >= copies) o->self_place = REPLICAS_MAX;
}

static void end(struct operation *o) {
    struct node *node = o->node;
    give(node, &o->held);
    give(node, &o->record);
    give(node, &o->instead);
    give(node, &o->extra);
    list_remove(&o->link);
    list_append(&node->operations.free, &o->link);
    node->operations.busy_count--;
}

bool operation_release(struct operation *o) {
    if (!o->is_finished) return false;
    must(!o->is_storing);
    if (!o->is_answering) end(o);
    return true;
}

static void count_outcome(struct node *node, enum status status) {
    if (status == ST_TIMEOUT) node->stats.timeouts++;
    if (status == ST_UNAVAILABLE) node->stats.unavailable++;
    if (status == ST_BUSY) node->stats.busy++;
}

static void answer(struct operation *o) {
    struct request *request = o->request;
    o->request = NULL;
    request->record = operation_record(o);
    request->dot = o->dot;
    request->keys = request->record;
    request->next = o->cursor;
    request->count = o->total;
    request->reached = o->reached;
    request->done(request);
    if (!o->is_storing) end(o);
}

static void on_finish_later(struct env_op *op) {
    struct request *request = CONTAINER_OF(op, struct request, op);
    struct operation *o = request->operation;
    o->is_answering = false;
    answer(o);
}

static uint32_t count_up(const struct operation *o) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < o->replica_count; i++) {
        count += peer_is_up(o->node, o->replicas[i]);
    }
    return count;
}

void operation_finish(struct operation *o, enum status status) {
    struct node *node = o->node;
    must(!o->is_finished);
    o->is_finished = true;
    delay_end(&o->deadline);
    delay_end(&o->hedge);
    count_outcome(node, status);
    gather_end(o);
    range_end(o);
    struct request *request = o->request;
    if (request == NULL) {
        forward_answer(o, status);
        if (!o->is_storing) end(o);
        return;
    }
    request->status = status;
    request->need = o->quorum.need;
    request->answered = quorum_count(o->quorum.yes);
    request->copies = o->replica_count;
    request->up = status == ST_OK ? 0 : count_up(o); // only errors tell of it
    if (o->is_starting) {
        o->is_answering = true;
        request->operation = o;
        request->op.done = on_finish_later;
        env_later(node->env, &request->op);
    } else {
        answer(o);
    }
}

static void on_deadline(struct delay *delay) {
    struct operation *o = CONTAINER_OF(delay, struct operation, deadline);
    bool is_write = o->kind == REQUEST_REPLACE || o->kind == REQUEST_WRITE;
    o->recent = 0; // it was the last chance
    operation_note_late(o);
    operation_finish(o, is_write ? ST_TIMEOUT : ST_UNAVAILABLE);
}

static void on_hedge(struct delay *delay) {
    struct operation *o = CONTAINER_OF(delay, struct operation, hedge);
    if (o->is_forwarded_away) {
        operation_note_late(o); // nobody else may be asked meanwhile
    } else if (!o->is_repairing && !node_may_retry(o->node)) {
        operation_note_late(o);
        delay_begin(&o->node->operations.hedges, &o->hedge);
    } else if (o->kind == REQUEST_RANGE) {
        range_on_hedge(o);
    } else {
        read_on_hedge(o);
    }
}

static void on_answer_later(struct env_op *op) {
    struct request *request = CONTAINER_OF(op, struct request, op);
    request->done(request);
}

void request_answer_later(struct node *node, struct request *request, enum status status) {
    count_outcome(node, status);
    request->status = status;
    request->record = (struct slice){0};
    request->op.done = on_answer_later;
    env_later(node->env, &request->op);
}
