// SPDX-License-Identifier: Apache-2.0
#include "node/agreement.h"

#include "base/bitmap.h"
#include "base/text.h"
#include "node/agreement_edit.h"
#include "node/internal.h"
#include "node/peers.h"

// How long the first member waits for the word of all, and a client for its change.
#define ANSWERS_MAX_NS (10 * NS_PER_SECOND)
#define CHANGE_MAX_NS (20 * NS_PER_SECOND)

// How long a flush that is done waits for this member's store to drop what there was.
#define DROP_MAX_NS (1 * NS_PER_SECOND)

enum { LOOKS_MAX = 256 }; // slots in one turn

void agreement_init(struct node *node) {
    list_init(&node->agreement.changes);
}

bool agreement_is_busy(const struct node *node) {
    return node->agreement.look.is_busy || node->agreement.is_dropping;
}

// Looking.

static void look_on(struct node *node);

// What cannot be decoded may be one.
static bool has_value(struct node *node, struct slice bytes) {
    struct record *record = &node->records[0];
    return record_decode(record, bytes) != ST_OK || record_has_value(record);
}

// Keys of one beginning stand together: the first with another ends the look.
static bool on_visited(struct store_scan *scan, struct slice key, struct slice record,
                       bool is_durable) {
    struct node *node = CONTAINER_OF(scan, struct node, agreement.look.scan);
    struct agreement_look *look = &node->agreement.look;
    (void)is_durable;
    struct slice name = slice_of_string(node->map.keyspaces[look->place].name);
    bool is_one = slice_equal(keyspace_prefix(key), name);
    if (!is_one && !(look->is_tagged && key.data[0] == '{')) return false;
    look->is_found = is_one && has_value(node, record);
    return !look->is_found;
}

static void note_held(struct agreement_look *look) {
    look->held |= (uint8_t)(1u << look->place);
    look->slot = SLOT_COUNT;
}

// What cannot be read may be such a key.
static void end_scan(struct agreement_look *look) {
    if (look->is_found || look->scan.status != ST_OK) {
        note_held(look);
    } else if (look->is_tagged) {
        look->slot++;
        look->is_tagged = false;
    } else {
        look->is_tagged = true;
    }
}

static void on_scanned(struct store_scan *scan) {
    struct node *node = CONTAINER_OF(scan, struct node, agreement.look.scan);
    node->agreement.look.is_busy = false;
    end_scan(&node->agreement.look);
    look_on(node);
}

static void on_later(struct env_op *op) {
    struct node *node = CONTAINER_OF(op, struct node, agreement.look.op);
    node->agreement.look.is_busy = false;
    look_on(node);
}

// Whether the slot has keys in `default` that begin with the name. False: the store comes back.
static bool look_for_coming(struct node *node, struct partition partition) {
    struct agreement_look *look = &node->agreement.look;
    struct slice name = slice_of_string(node->map.keyspaces[look->place].name);
    memcpy(look->begin, name.data, name.size);
    look->begin[name.size] = ':';
    struct slice begin = {look->begin, name.size + 1};
    look->is_found = false;
    look->scan = (struct store_scan){
        .visit = on_visited,
        .done = on_scanned,
        .partition = partition,
        .after = look->is_tagged ? SLICE("{") : begin,
        .is_inclusive = true,
    };
    look->is_busy = true;
    if (!store_each(node->store, &look->scan)) return false;
    look->is_busy = false;
    end_scan(look);
    return true;
}

// One slot, or a half of the look at it. False: the store comes back.
static bool look_at_slot(struct node *node) {
    struct agreement_look *look = &node->agreement.look;
    const struct keyspace *k = &node->map.keyspaces[look->place];
    bool is_coming = k->state == KEYSPACE_COMING;
    uint16_t number = is_coming ? node->map.keyspaces[KEYSPACE_DEFAULT].number : k->number;
    struct partition partition = {number, (uint16_t)look->slot};
    bool has_keys = store_partition_of(node->store, partition).live_count > 0;
    if (has_keys && is_coming) return look_for_coming(node, partition);
    if (has_keys) {
        note_held(look);
    } else {
        look->slot++;
        look->is_tagged = false;
    }
    return true;
}

static bool is_changing(const struct keyspace *k) {
    return k->state == KEYSPACE_COMING || k->state == KEYSPACE_GOING;
}

static void look_on(struct node *node) {
    struct agreement_look *look = &node->agreement.look;
    if (look->epoch != node->map.epoch || node->state != NODE_SERVING)
        return; // begun anew by a step
    for (uint32_t i = 0; i < LOOKS_MAX; i++) {
        while (look->place < KEYSPACES_MAX &&
               (look->slot == SLOT_COUNT || !is_changing(&node->map.keyspaces[look->place]))) {
            look->place++;
            look->slot = 0;
        }
        look->is_over = look->place == KEYSPACES_MAX;
        if (look->is_over || !look_at_slot(node)) return;
    }
    look->is_busy = true;
    look->op.done = on_later;
    env_later(node->env, &look->op);
}

static void begin_look(struct node *node) {
    struct agreement_look *look = &node->agreement.look;
    if (look->is_busy || look->epoch == node->map.epoch) return;
    *look = (struct agreement_look){.epoch = node->map.epoch};
    look_on(node);
}

// True when this member's word on the newest epoch is there. What it keeps for others are keys,
// too, and have to be where they belong before.
static bool has_looked(struct node *node) {
    begin_look(node);
    const struct agreement_look *look = &node->agreement.look;
    bool has_hints = node_hints(node).key_count > 0;
    return look->epoch == node->map.epoch && look->is_over && !node->is_mending && !has_hints;
}

// Asking and deciding.

void agreement_on_question(struct node *node, struct link *link,
                           const struct message_keyspaces *m) {
    bool can_say = node->state == NODE_SERVING && m->epoch == node->map.epoch && has_looked(node);
    if (!can_say) return; // it asks again
    const struct message_keyspaces_done done = {
        .id = m->id, .epoch = m->epoch, .held = node->agreement.look.held};
    struct writer w = link_begin(link, 64);
    message_keyspaces_done_encode(&done, &w);
    (void)link_end(link, MESSAGE_KEYSPACES_DONE, &w);
}

static bool apply_decision(struct map_change *change, struct map *next) {
    struct node *node = CONTAINER_OF(change, struct node, agreement.question.decision);
    const struct agreement_question *q = &node->agreement.question;
    if (next->epoch != q->epoch + 1) return false;
    agreement_decide(next, q->held);
    return true;
}

static void on_decided(struct map_change *change) {
    struct node *node = CONTAINER_OF(change, struct node, agreement.question.decision);
    node->agreement.question.is_deciding = false;
}

static void decide(struct node *node) {
    struct agreement_question *q = &node->agreement.question;
    if (q->is_deciding) return;
    q->is_deciding = true;
    q->decision = (struct map_change){.apply = apply_decision, .done = on_decided};
    node_change_map(node, &q->decision);
}

static void ask_all(struct node *node) {
    struct agreement_question *q = &node->agreement.question;
    const struct message_keyspaces m = {.id = q->id, .epoch = q->epoch};
    for (uint32_t i = 0; i < node->map.member_count; i++) {
        bool has_answered = bitmap_has(q->answered, i);
        struct link *link = i == node->self || has_answered ? NULL : peer_link(node, i);
        if (link == NULL) continue;
        struct writer w = link_begin(link, 64);
        message_keyspaces_encode(&m, &w);
        (void)link_end(link, MESSAGE_KEYSPACES, &w);
    }
}

static void decide_if_known(struct node *node) {
    struct agreement_question *q = &node->agreement.question;
    if (q->epoch != node->map.epoch) return;
    if (has_looked(node) && q->answered_count + 1 == node->map.member_count) {
        q->held |= node->agreement.look.held;
        decide(node);
    } else if (node->env->now - q->since > ANSWERS_MAX_NS) {
        q->held = UINT8_MAX; // as if there were keys: everything stays as it was
        decide(node);
    }
}

void agreement_on_answer(struct node *node, uint32_t member,
                         const struct message_keyspaces_done *m) {
    struct agreement_question *q = &node->agreement.question;
    bool is_asked = q->epoch == node->map.epoch && m->epoch == q->epoch && m->id == q->id;
    if (!is_asked || bitmap_has(q->answered, member)) return;
    bitmap_add(q->answered, member);
    q->answered_count++;
    q->held |= m->held;
    decide_if_known(node);
}

// Whether this member is to see to it that what comes or goes does so: the first that is up and, as
// far as is known, has a vote; or anybody, when nothing came of that.
static bool is_in_charge(const struct node *node) {
    if (!node_has_vote(node)) return false;
    if (node->env->now - node->agreement.since > 3 * ANSWERS_MAX_NS) return true;
    for (uint32_t i = 0; i < node->self; i++) {
        bool is_mending = node->members.entries[i].state == MEMBER_MENDING;
        if (!is_mending && peer_is_up(node, i)) return false;
    }
    return true;
}

static void drive(struct node *node) {
    struct agreement_question *q = &node->agreement.question;
    bool has_any = false;
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) has_any |= is_changing(&node->map.keyspaces[i]);
    if (!has_any || !is_in_charge(node)) return;
    if (q->epoch != node->map.epoch && !q->is_deciding) {
        *q = (struct agreement_question){
            .id = rng_next(&node->rng), .epoch = node->map.epoch, .since = node->env->now};
    }
    if (q->epoch != node->map.epoch) return;
    ask_all(node);
    decide_if_known(node);
}

// Changes of clients.

static void end_change(struct keyspace_change *change, enum keyspace_outcome outcome) {
    list_remove(&change->link);
    change->outcome = outcome;
    change->done(change);
}

static bool all_are_up(const struct node *node) {
    for (uint32_t i = 0; i < node->map.member_count; i++) {
        if (!peer_is_up(node, i)) return false;
    }
    return true;
}

static bool all_have(const struct node *node, uint64_t epoch) {
    for (uint32_t i = 0; i < node->map.member_count; i++) {
        if (i != node->self && node->peers[i].epoch < epoch) return false;
    }
    return true;
}

// The number of a keyspace that is no more, and of which this member holds something. False: there
// is none. Numbers that our map does not know yet are no business of ours.
static bool find_gone(const struct node *node, uint16_t *gone) {
    uint16_t numbers[KEYSPACES_MAX * 2];
    uint32_t count = store_keyspaces(node->store, numbers, KEYSPACES_MAX * 2);
    if (count > KEYSPACES_MAX * 2) count = KEYSPACES_MAX * 2;
    for (uint32_t i = 0; i < count; i++) {
        bool was_given = numbers[i] < node->map.next_keyspace;
        *gone = numbers[i];
        uint32_t place = keyspace_find_number(node->map.keyspaces, numbers[i]);
        if (was_given && place == KEYSPACES_MAX) return true;
    }
    return false;
}

// Everything is as it was. After so long it may have been for want of somebody's word.
static enum keyspace_outcome why_failed(const struct node *node,
                                        const struct keyspace_change *change) {
    if (!all_are_up(node)) return KEYSPACE_ABSENT;
    bool was_slow = node->env->now + CHANGE_MAX_NS - change->deadline >= ANSWERS_MAX_NS;
    return was_slow ? KEYSPACE_SILENT : KEYSPACE_HAS_KEYS;
}

// Ends the change if it is known what became of it.
static void judge(struct node *node, struct keyspace_change *change) {
    uint64_t now = node->env->now;
    if (change->epoch == 0) {
        enum keyspace_fate fate = agreement_fate(change, &node->map);
        if (fate == FATE_DONE) change->epoch = node->map.epoch;
        if (fate == FATE_FAILED) end_change(change, why_failed(node, change));
        if (fate == FATE_UNKNOWN) end_change(change, KEYSPACE_UNSURE);
        if (fate == FATE_FAILED || fate == FATE_UNKNOWN) return;
    }
    change->judged = node->map.epoch;
    uint16_t gone;
    bool is_done = change->epoch != 0;
    bool is_everywhere = is_done && (!agreement_needs_all(change) || all_have(node, change->epoch));
    if (is_everywhere && change->known == 0) change->known = now;
    // Flush upon flush would otherwise leave more than there is room for. But where drops wait for
    // tables, these may wait for the next write.
    bool is_late = is_everywhere && now - change->known > DROP_MAX_NS;
    bool is_clean = change->verb != KEYSPACE_FLUSH || is_late || !find_gone(node, &gone);
    // Who lags behind hears of another change before it is asked anything.
    bool will_do = is_everywhere || (is_done && change->verb != KEYSPACE_FLUSH);
    if (is_everywhere && is_clean) {
        end_change(change, KEYSPACE_DONE);
    } else if (now >= change->deadline) {
        end_change(change, will_do ? KEYSPACE_DONE : KEYSPACE_UNSURE);
    }
}

static void judge_all(struct node *node) {
    struct list *head = &node->agreement.changes;
    for (struct list *at = head->next, *next = at->next; at != head; at = next, next = at->next) {
        struct keyspace_change *change = CONTAINER_OF(at, struct keyspace_change, link);
        if (change->is_waiting) judge(node, change);
    }
}

static bool apply_change(struct map_change *map_change, struct map *next) {
    struct keyspace_change *change = CONTAINER_OF(map_change, struct keyspace_change, map_change);
    return agreement_edit(change, next);
}

static void on_map_changed(struct map_change *map_change) {
    struct keyspace_change *change = CONTAINER_OF(map_change, struct keyspace_change, map_change);
    enum status status = map_change->status;
    bool is_stopping = change->node->state == NODE_STOPPED;
    if (status == ST_INVALID) { // the edit has said why
        end_change(change, change->outcome);
    } else if (status == ST_TIMEOUT || (status == ST_OK && is_stopping)) {
        end_change(change, KEYSPACE_UNSURE);
    } else if (status != ST_OK) {
        end_change(change, KEYSPACE_REFUSED);
    } else {
        change->is_waiting = true;
        change->judged = map_change->instance; // the map that we have may be a later one
        if (!agreement_needs_all(change)) change->epoch = map_change->instance;
        judge(change->node, change);
    }
}

void node_change_keyspace(struct node *node, struct keyspace_change *change) {
    enum keyspace_outcome refusal = KEYSPACE_DONE;
    if (node->state != NODE_SERVING || !node_has_vote(node)) refusal = KEYSPACE_REFUSED;
    bool is_absent = refusal == KEYSPACE_DONE && agreement_needs_all(change) && !all_are_up(node);
    if (is_absent) refusal = KEYSPACE_ABSENT;
    change->outcome = refusal;
    if (refusal != KEYSPACE_DONE) {
        change->done(change);
        return;
    }
    change->node = node;
    change->epoch = 0;
    change->judged = 0;
    change->known = 0;
    change->is_waiting = false;
    change->deadline = node->env->now + CHANGE_MAX_NS;
    change->map_change = (struct map_change){.apply = apply_change, .done = on_map_changed};
    list_init(&change->link);
    list_append(&node->agreement.changes, &change->link);
    node_change_map(node, &change->map_change);
}

// Driving it.

static void drop_what_is_gone(struct node *node);

static void on_dropped(void *context, enum status status) {
    struct node *node = context;
    node->agreement.is_dropping = false;
    if (status == ST_OK) drop_what_is_gone(node); // else when the next step comes
    judge_all(node);
}

static void drop_what_is_gone(struct node *node) {
    uint16_t gone;
    if (node->state != NODE_SERVING || node->agreement.is_dropping) return;
    if (!find_gone(node, &gone)) return;
    node->agreement.is_dropping = store_drop(node->store, gone, on_dropped, node) == ST_OK;
}

void agreement_look_again(struct node *node) {
    node->agreement.look.epoch = 0;
}

// What is on disk may be in any codec, so nobody waits for this.
void agreement_tell_store(struct node *node) {
    static const enum codec codec_of[] = {
        [COMPRESSION_NONE] = CODEC_NONE,
        [COMPRESSION_LZ4] = CODEC_LZ4,
        [COMPRESSION_ZSTD] = CODEC_ZSTD,
    };
    struct keyspace_codec codecs[KEYSPACES_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) {
        const struct keyspace *k = &node->map.keyspaces[i];
        if (k->compression == COMPRESSION_UNSET) continue;
        codecs[count++] = (struct keyspace_codec){k->number, codec_of[k->compression]};
    }
    store_set_codecs(node->store, codecs, count);
}

// There can be two maps of one epoch (epoch.h), and what was found is about one of them.
void agreement_on_map(struct node *node) {
    agreement_tell_store(node);
    agreement_look_again(node);
    node->agreement.question.epoch = 0;
    node->agreement.since = node->env->now;
    agreement_step(node);
}

void agreement_stop(struct node *node) {
    struct list *head = &node->agreement.changes;
    for (struct list *at = head->next, *next = at->next; at != head; at = next, next = at->next) {
        struct keyspace_change *change = CONTAINER_OF(at, struct keyspace_change, link);
        if (change->is_waiting) end_change(change, KEYSPACE_UNSURE);
    }
}

void agreement_step(struct node *node) {
    if (node->state != NODE_SERVING) return;
    drop_what_is_gone(node);
    drive(node);
    judge_all(node);
}
