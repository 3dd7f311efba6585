// SPDX-License-Identifier: Apache-2.0
#include "node/forward.h"

#include "node/internal.h"
#include "node/peers.h"
#include "node/stand_in.h"
#include "node/write.h"

// Asking.

static bool send(struct operation *o, uint32_t place) {
    struct link *link = peer_link(o->node, operation_member(o, place));
    if (link == NULL) return false;
    const struct message_forward m = {
        .id = o->id,
        .kind = (uint8_t)o->kind,
        .is_tombstone = o->is_tombstone,
        .is_sloppy = o->is_sloppy,
        .is_passed_on = o->from != NULL,
        .keyspace = o->partition.keyspace,
        .need = o->quorum.need,
        .expires_ms = o->expires_ms,
        .timestamp = o->timestamp,
        .seen_timestamp = o->extra_timestamp,
        .key = o->key,
        .value = o->value,
        .seen = o->seen,
        .left_ms = operation_left_ms(o),
    };
    struct writer w = link_begin(link, 128 + (uint32_t)(m.key.size + m.value.size + m.seen.size));
    message_forward_encode(&m, &w);
    return link_end(link, MESSAGE_FORWARD, &w);
}

static bool ask(struct operation *o, uint32_t place) {
    o->asked |= 1u << place;
    bool is_sent = send(o, place);
    if (!is_sent) quorum_vote(&o->quorum, place, false);
    return is_sent;
}

// Asks the next of the replicas that may be fit to mint and were not asked, those that were late
// lately after the others. False: there is none.
static bool ask_next_replica(struct operation *o) {
    const struct node *node = o->node;
    for (int late = 0; late < 2; late++) {
        for (uint32_t i = 0; i < o->replica_count; i++) {
            bool is_late = !peer_is_prompt(node, o->replicas[i], ERRAND_WRITE);
            if ((o->asked >> i & 1) != 0 || is_late != late || i == o->self_place) continue;
            if (peer_is_fit(node, o->replicas[i]) && ask(o, i)) return true;
        }
    }
    return false;
}

static bool ask_next_stand_in(struct operation *o) {
    for (uint32_t i = 0; i < o->replica_count; i++) {
        bool is_next = operation_is_stood_in(o, i) && (o->asked >> i & 1) == 0;
        if (is_next && o->stand_ins[i] != o->node->self && ask(o, i)) return true;
    }
    return false;
}

static bool ask_next(struct operation *o) {
    return o->stood_in == 0 ? ask_next_replica(o) : ask_next_stand_in(o);
}

// No replica can be reached: somebody who stands in mints, this member if it is one.
static void turn_to_stand_ins(struct operation *o, uint32_t need) {
    if (stand_in_may_mint(o)) {
        o->is_forwarded_away = false;
        delay_end(&o->hedge);
        write_start(o, need);
    } else if (!ask_next(o)) {
        operation_finish(o, ST_UNAVAILABLE);
    }
}

void forward_start(struct operation *o, uint32_t need) {
    o->node->stats.forwarded++;
    o->is_forwarded_away = true;
    o->stood_in = 0;
    quorum_init(&o->quorum, o->replica_count, need);
    o->asked = 0;
    delay_begin(&o->node->operations.hedges, &o->hedge);
    if (ask_next(o)) return;
    if (o->is_sloppy && o->asked == 0 && o->from == NULL) {
        turn_to_stand_ins(o, need);
    } else {
        operation_finish(o, ST_UNAVAILABLE);
    }
}

void forward_on_answer(struct operation *o, uint32_t member, const struct message_forward_done *m) {
    uint32_t place = operation_waiting_place(o, member);
    if (!o->is_forwarded_away || place == REPLICAS_MAX) return;
    if (delay_is_under_way(&o->hedge)) peers_note_prompt(o->node, member, ERRAND_WRITE);
    enum status st = m->status;
    // It did nothing, for reasons that may be its own: a failed disk or a full one, data to mend,
    // peers that it does not see.
    if (st == ST_UNAVAILABLE || st == ST_NO_SPACE) {
        quorum_vote(&o->quorum, place, false);
        if (ask_next(o)) return;
    }
    if (st == ST_OK && !operation_set_record(o, m->record)) st = ST_TIMEOUT;
    o->dot = (struct version){{m->storage, m->epoch}, m->counter};
    o->quorum.yes = m->answered >= 32 ? UINT32_MAX : (1u << m->answered) - 1;
    operation_finish(o, st);
}

void forward_on_lost(struct operation *o, uint32_t member) {
    if (operation_waiting_place(o, member) < REPLICAS_MAX) operation_finish(o, ST_TIMEOUT);
}

// Being asked.

static void refuse(struct link *link, const struct message_forward *m, enum status status) {
    const struct message_forward_done done = {.id = m->id, .status = status, .need = m->need};
    struct writer w = link_begin(link, 64);
    message_forward_done_encode(&done, &w);
    (void)link_end(link, MESSAGE_FORWARD_DONE, &w);
}

// The frame is gone when this callback ends: the operation keeps a copy.
static bool keep(struct operation *o, const struct message_forward *m) {
    size_t size = m->key.size + m->value.size + m->seen.size;
    o->held = buffer_take(o->node, size);
    if (o->held == NULL) return false;
    struct writer w = writer_to(o->held, size);
    write_bytes(&w, m->key);
    write_bytes(&w, m->value);
    write_bytes(&w, m->seen);
    must(!w.failed);
    o->key = (struct slice){o->held, m->key.size};
    o->value = (struct slice){o->held + m->key.size, m->value.size};
    o->seen = (struct slice){o->held + m->key.size + m->value.size, m->seen.size};
    return true;
}

// Whether it is a write at all. One that could not be carried out must not pass for damage here.
static bool is_fit(struct node *node, const struct message_forward *m) {
    bool is_write = m->kind == REQUEST_REPLACE || m->kind == REQUEST_WRITE;
    if (!is_write || m->key.size == 0 || m->value.size > node->options.value_size_max) return false;
    if (m->is_tombstone && (m->value.size > 0 || m->expires_ms != 0)) return false;
    if (m->seen.size == 0) return true;
    struct reader r = reader_of(m->seen);
    context_decode(&node->contexts[0], &r);
    return reader_done(&r);
}

void forward_receive(struct node *node, struct link *link, const struct message_forward *m) {
    if (!is_fit(node, m)) {
        refuse(link, m, ST_INVALID);
        return;
    }
    uint64_t until = link_until(link, m->left_ms);
    if (node->env->now >= until) {
        node->stats.late++;
        refuse(link, m, ST_BUSY);
        return;
    }
    // How many it is to wait for, and what it comes after, is of one keyspace.
    if (node->state == NODE_SERVING && !node_is_current(node, m->key, m->keyspace)) {
        refuse(link, m, ST_BUSY);
        return;
    }
    bool can_mint = node->state == NODE_SERVING && node_has_vote(node);
    if (!can_mint || store_is_failed(node->store)) {
        refuse(link, m, ST_UNAVAILABLE);
        return;
    }
    struct operation *o = node_admits_peer(node) ? operation_take(node) : NULL;
    if (o == NULL) {
        refuse(link, m, ST_BUSY);
        return;
    }
    o->from = link;
    o->from_life = link->life;
    o->from_id = m->id;
    if (until < o->until) o->until = until;
    o->kind = (enum request_kind)m->kind;
    o->is_tombstone = m->is_tombstone;
    o->is_sloppy = m->is_sloppy;
    o->expires_ms = m->expires_ms;
    o->timestamp = m->timestamp;
    o->extra_timestamp = m->seen_timestamp;
    if (!keep(o, m)) {
        operation_finish(o, ST_BUSY);
        return;
    }
    must(operation_place(o, o->key)); // its keyspace is current
    bool is_replica = o->self_place != REPLICAS_MAX;
    if ((!is_replica && !m->is_sloppy) || m->need == 0 || m->need > o->replica_count) {
        operation_finish(o, ST_INVALID);
    } else if (!is_replica && m->is_passed_on) {
        operation_finish(o, ST_UNAVAILABLE);
    } else if (!is_replica && !stand_in_may_mint(o)) {
        forward_start(o, m->need); // if this member sees a replica, that one may
    } else {
        write_start(o, m->need);
    }
}

void forward_answer(struct operation *o, enum status status) {
    struct link *link = o->from;
    if (link->life != o->from_life || !link_is_open(link)) return;
    const struct message_forward_done done = {
        .id = o->from_id,
        .status = status,
        .need = o->quorum.need,
        .answered = quorum_count(o->quorum.yes),
        .storage = o->dot.actor.storage,
        .epoch = o->dot.actor.epoch,
        .counter = o->dot.counter,
        .record = status == ST_OK ? operation_record(o) : (struct slice){0},
    };
    struct writer w = link_begin(link, 64 + (uint32_t)done.record.size);
    message_forward_done_encode(&done, &w);
    (void)link_end(link, MESSAGE_FORWARD_DONE, &w);
}
