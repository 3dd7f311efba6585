// SPDX-License-Identifier: Apache-2.0
#include "node/range.h"

#include "node/gather.h"
#include "node/internal.h"
#include "node/replica_survey.h"

enum { READS_MAX = 16 }; // keys of one range that are read by themselves at a time

struct range_key {
    struct slice key;    // in the gathering
    struct slice record; // there, or in `held`; empty: to be read, or not there
    uint8_t *held;       // buffer, or NULL
    bool is_settled;
};

struct range_read {
    struct request request;
    struct range *range;
    uint32_t key;
    bool is_busy;
};

struct range {
    struct operation *o;
    uint32_t count;
    uint32_t next; // key to look at
    uint32_t under_way;
    enum status status;
    struct range_read reads[READS_MAX];
    struct range_key keys[];
};

static void decide(struct operation *o);

void range_end(struct operation *o) {
    struct range *r = o->range;
    if (r == NULL) return;
    must(r->under_way == 0);
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->keys[i].held != NULL) buffer_give(o->node, r->keys[i].held);
    }
    buffer_give(o->node, (uint8_t *)r);
    o->range = NULL;
}

// Listing.

// One of those that are asked sends the records.
static void ask(struct operation *o, uint32_t place) {
    bool has_lead = (o->gather->leads & ~o->quorum.no) != 0;
    gather_ask(o, place, has_lead ? 0 : SCAN_RECORDS);
}

// When the first are slow, it may be for the records that everybody waits.
static void ask_late(struct operation *o, uint32_t place) {
    gather_ask(o, place, SCAN_RECORDS);
}

void range_start(struct operation *o, uint32_t need) {
    const struct request *request = o->request;
    uint32_t cell = cell_of(o->partition.slot,
                            keyspace_find_number(o->node->map.keyspaces, o->partition.keyspace));
    struct message_scan wish = {
        .cell = cell,
        .end = cell + 1,
        .limit = request->limit < REPLICA_SCAN_MAX ? request->limit : REPLICA_SCAN_MAX,
        .now_ms = o->node->env->wall_ms,
        .flags = SCAN_DEAD | SCAN_HASHES,
        .from = request->from,
        .to = request->to,
        .tag = o->key,
    };
    if (request->is_reverse) wish.flags |= SCAN_REVERSE;
    if (request->is_at_from) wish.flags |= SCAN_AT_FROM;
    if (request->is_at_to) wish.flags |= SCAN_AT_TO;
    if (!gather_begin(o, &wish, decide)) {
        operation_finish(o, ST_BUSY);
        return;
    }
    quorum_init(&o->quorum, o->replica_count, need);
    operation_ask_enough(o, need, ask);
    if (o->replica_count > need) delay_begin(&o->node->operations.hedges, &o->hedge);
    decide(o);
}

void range_on_hedge(struct operation *o) {
    if (o->range != NULL) return;
    o->node->stats.hedged++;
    operation_note_late(o);
    operation_ask_enough(o, o->replica_count, ask_late);
    decide(o);
}

// Answering.

// Key and value of what is visible, one after the other; then the key up to which that is all.
static void finish(struct operation *o, struct slice reached) {
    const struct range *r = o->range;
    struct node *node = o->node;
    size_t size = reached.size + 1;
    for (uint32_t i = 0; i < r->count; i++) {
        size += 2 * sizeof(uint32_t) + r->keys[i].key.size + r->keys[i].record.size;
    }
    o->record = buffer_take(node, size);
    if (o->record == NULL) {
        operation_finish(o, ST_BUSY);
        return;
    }
    struct writer w = writer_to(o->record, size);
    enum status status = ST_OK;
    for (uint32_t i = 0; i < r->count && status == ST_OK; i++) {
        struct record *record = &node->records[0];
        status = record_decode(record, r->keys[i].record);
        if (status != ST_OK) break;
        const struct sibling *visible = record_visible(record, node->env->wall_ms);
        if (visible == NULL) continue;
        write_sized(&w, r->keys[i].key);
        write_sized(&w, visible->value);
        o->total++;
    }
    o->record_size = (uint32_t)w.size;
    write_bytes(&w, reached);
    must(!w.failed);
    o->reached = (struct slice){o->record + o->record_size, reached.size};
    operation_finish(o, status);
}

// How far the keys are all there are: to the last of them when there may be more, for the limit was
// reached.
static struct slice reached(const struct operation *o) {
    const struct range *r = o->range;
    uint32_t cell;
    struct slice key;
    if (r->count == o->gather->wish.limit) return r->keys[r->count - 1].key;
    gather_reached(o, &cell, &key);
    return key;
}

// Reading keys by themselves.

static void go_on(struct range *r);

static void on_read(struct request *request) {
    struct range_read *read = CONTAINER_OF(request, struct range_read, request);
    struct range *r = read->range;
    struct range_key *key = &r->keys[read->key];
    struct slice record = request->record;
    enum status status = request->status;
    read->is_busy = false;
    r->under_way--;
    if (status == ST_NOT_FOUND || r->status != ST_OK) {
        status = ST_OK;
    } else if (status == ST_OK && record.size > 0) {
        key->held = buffer_take(r->o->node, record.size);
        if (key->held == NULL) status = ST_BUSY;
        if (key->held != NULL) {
            memcpy(key->held, record.data, record.size);
            key->record = (struct slice){key->held, record.size};
        }
    }
    if (status != ST_OK) {
        r->status = status;
        r->o->quorum.need = request->need;
        r->o->quorum.no = 0;
        r->o->quorum.yes = request->answered >= 32 ? UINT32_MAX : (1u << request->answered) - 1;
    }
    go_on(r);
}

static void begin_read(struct range *r, uint32_t key) {
    struct range_read *read = r->reads;
    while (read->is_busy) read++;
    *read = (struct range_read){.range = r, .key = key, .is_busy = true};
    read->request.done = on_read;
    read->request.kind = REQUEST_READ;
    read->request.key = r->keys[key].key;
    read->request.level = r->o->request->level;
    r->under_way++;
    node_submit(r->o->node, &read->request);
}

static void go_on(struct range *r) {
    for (; r->next < r->count && r->under_way < READS_MAX && r->status == ST_OK; r->next++) {
        if (!r->keys[r->next].is_settled) begin_read(r, r->next);
    }
    if (r->under_way > 0) return;
    if (r->status == ST_OK) {
        finish(r->o, reached(r->o));
    } else {
        operation_finish(r->o, r->status);
    }
}

// The keys to be shown or read, up to the limit. False: there is no memory.
static bool collect(struct operation *o) {
    uint32_t limit = o->gather->wish.limit;
    struct range *r = (void *)buffer_take(o->node, sizeof(*r) + limit * sizeof(r->keys[0]));
    if (r == NULL) return false;
    memset(r, 0, sizeof(*r));
    r->o = o;
    o->range = r;
    struct gathered item;
    while (r->count < limit && gather_next(o, &item)) {
        if (item.is_agreed && item.is_dead) continue;
        bool is_settled = item.is_agreed && item.record.size > 0;
        r->keys[r->count] = (struct range_key){.key = item.key, .is_settled = is_settled};
        if (is_settled) r->keys[r->count].record = item.record;
        r->count++;
    }
    return true;
}

static void decide(struct operation *o) {
    if (o->range != NULL) return; // it is decided
    enum quorum_verdict verdict = quorum_verdict(&o->quorum);
    if (verdict == QUORUM_OPEN) {
        operation_ask_enough(o, o->quorum.need, ask);
        verdict = quorum_verdict(&o->quorum);
    }
    switch (verdict) {
    case QUORUM_OPEN:
        return;
    case QUORUM_LOST:
        operation_finish(o, ST_UNAVAILABLE);
        return;
    case QUORUM_MET:
        // Each read has a time-out of its own. Who has not answered yet is not heard any more.
        delay_end(&o->deadline);
        delay_end(&o->hedge);
        operation_renew_id(o);
        o->asked = 0;
        if (collect(o)) {
            go_on(o->range);
        } else {
            operation_finish(o, ST_BUSY);
        }
        return;
    }
    unreachable();
}
