// SPDX-License-Identifier: Apache-2.0
#include "node/write.h"

#include "node/again.h"
#include "node/forward.h"
#include "node/genesis.h"
#include "node/hints.h"
#include "node/internal.h"
#include "node/mint.h"
#include "node/peers.h"
#include "node/purge_answer.h"
#include "node/stand_in.h"

static void store_round(struct operation *o);
static void decide(struct operation *o);

// Replicas whose word can be had now.
static uint32_t voter_count(const struct operation *o) {
    const struct node *node = o->node;
    uint32_t count = 0;
    for (uint32_t i = 0; i < o->replica_count; i++) {
        count += o->replicas[i] == node->self || peer_is_fit(node, o->replicas[i]);
    }
    return count;
}

static enum status mint_here(struct store_write *write, struct slice old, struct slice *new) {
    struct operation *o = CONTAINER_OF(write, struct operation, write);
    enum status st = mint(o, old);
    *new = operation_record(o);
    return st;
}

// Standing in: none of the replicas can be reached, and what is minted is a hint (hints.h).

static enum status mint_hint(struct store_write *write, struct slice old, struct slice *new) {
    struct operation *o = CONTAINER_OF(write, struct operation, write);
    struct hint held;
    enum status st = hints_unwrap(o->node, o->key, old, &held);
    if (st == ST_OK) st = mint(o, held.record);
    if (st != ST_OK) return st;
    // What was kept already is no younger for that.
    if (held.record.size > 0 && held.round < o->purge_round) o->purge_round = held.round;
    return hints_wrap(o->node, o->purge_round, o->key, operation_record(o), new);
}

// Sending.

static bool send_hint(struct operation *o, uint32_t place) {
    struct link *link = peer_link(o->node, o->stand_ins[place]);
    if (link == NULL) return false;
    const struct message_hint hint = {
        .id = o->id,
        .target = o->replicas[place],
        .keyspace = o->partition.keyspace,
        .slot = o->partition.slot,
        .round = o->purge_round,
        .is_minted = operation_is_standing_in(o),
        .key = o->key,
        .record = operation_sent(o),
        .left_ms = operation_left_ms(o),
    };
    o->sent_rounds[place] = o->purge_round;
    struct writer w = link_begin(link, 64 + (uint32_t)(hint.key.size + hint.record.size));
    message_hint_encode(&hint, &w);
    return link_end(link, MESSAGE_HINT, &w);
}

static bool send_record(struct operation *o, uint32_t place) {
    if (operation_is_stood_in(o, place)) return send_hint(o, place);
    struct link *link = peer_link(o->node, o->replicas[place]);
    if (link == NULL) return false;
    o->sent_rounds[place] = o->purge_round;
    bool wants_context = o->kind == REQUEST_REPLACE && o->round == 1;
    const struct message_put put = {
        .id = o->id,
        .flags = wants_context ? PUT_WANTS_CONTEXT : 0,
        .keyspace = o->partition.keyspace,
        .slot = o->partition.slot,
        .round = o->purge_round,
        .key = o->key,
        .record = operation_sent(o),
        .left_ms = operation_left_ms(o),
    };
    struct writer w = link_begin(link, 64 + (uint32_t)(put.key.size + put.record.size));
    message_put_encode(&put, &w);
    return link_end(link, MESSAGE_PUT, &w);
}

// The record is durable here: one vote. What who stands in has minted goes to others who do.
static void send_all(struct operation *o) {
    uint32_t own = operation_own_place(o);
    o->asked = 0;
    quorum_vote(&o->quorum, own, true);
    for (uint32_t i = 0; i < o->replica_count; i++) {
        if (i == own) continue;
        bool is_stood_in = operation_is_stood_in(o, i);
        if ((is_stood_in || !operation_is_standing_in(o)) && send_record(o, i)) {
            o->asked |= 1u << i;
            continue;
        }
        quorum_vote(&o->quorum, i, false);
        if (!operation_is_standing_in(o)) hints_note(o->node, o->replicas[i], o->partition, o->key);
    }
}

// Now, and not before, others may see the record.
static void on_stored(struct store_write *write) {
    struct operation *o = CONTAINER_OF(write, struct operation, write);
    const struct node_options *options = &o->node->options;
    if (write->status == ST_OK && options->minted != NULL) {
        const struct sibling stored = {.dot = o->dot};
        options->minted(options->minted_context, o->key, &stored, NULL);
    }
    o->is_storing = false;
    o->node->hints_busy -= operation_is_standing_in(o);
    o->node->minted_busy -= operation_is_standing_in(o);
    o->node->stats.hints_kept += operation_is_standing_in(o) && write->status == ST_OK;
    if (operation_release(o)) return;
    if (write->status == ST_INVALID) genesis_renew_if_forgotten(o->node);
    bool is_own_trouble = write->status == ST_CORRUPT || write->status == ST_NO_SPACE;
    if (is_own_trouble && o->round == 1 && o->replica_count > 1) {
        // Others have it whole, or room; whoever asks us to coordinate asks them himself.
        if (o->request == NULL || operation_is_standing_in(o)) {
            operation_finish(o, write->status == ST_CORRUPT ? ST_UNAVAILABLE : ST_NO_SPACE);
        } else {
            forward_start(o, o->is_sloppy ? o->replica_count / 2 + 1 : o->quorum.need);
        }
        return;
    }
    if (write->status != ST_OK) {
        // A failed disk may have kept the record all the same; anything else has left no trace.
        bool is_unknown = write->status == ST_IO || o->round > 1;
        enum status st = write->status == ST_INVALID ? ST_BUSY : write->status;
        operation_finish(o, is_unknown ? ST_TIMEOUT : st);
        return;
    }
    send_all(o);
    decide(o);
}

static void store_round(struct operation *o) {
    operation_drop_instead(o);
    quorum_init(&o->quorum, o->replica_count, o->quorum.need);
    o->is_storing = true;
    o->write = (struct store_write){.apply = mint_here, .done = on_stored, .is_asked_for = true};
    o->write.partition = o->partition;
    o->write.key = o->key;
    if (operation_is_standing_in(o)) {
        uint32_t own = operation_own_place(o);
        must(own < o->replica_count);
        uint16_t target = o->replicas[own];
        hint_key_write(o->hint_key, target, o->partition.keyspace, o->key);
        o->write.apply = mint_hint;
        o->write.partition = hints_partition(HINT_MINTED);
        o->write.key = (struct slice){o->hint_key, HINT_KEY_SIZE};
        o->node->hints_busy++;
        o->node->minted_busy++;
    }
    store_put(o->node->store, &o->write);
}

// A plain write supersedes all that this member keeps of the key, for whomever.
static void take_look(struct operation *o) {
    struct hints_look *look = &o->look;
    struct record *kept = &o->node->records[0];
    // Else another one who stands in may know; this one has done nothing.
    bool is_good = look->status == ST_OK || look->status == ST_NOT_FOUND;
    is_good = is_good && node_has_vote(o->node);
    if (is_good && look->status == ST_OK) {
        is_good = record_decode(kept, look->record) == ST_OK &&
                  mint_supersede(o, &kept->context, record_latest(kept)->timestamp);
    }
    hints_end_look(look);
    if (is_good) {
        store_round(o);
    } else {
        operation_finish(o, ST_UNAVAILABLE);
    }
}

static void on_looked(struct hints_look *look) {
    struct operation *o = CONTAINER_OF(look, struct operation, look);
    o->is_storing = false;
    if (o->is_finished) hints_end_look(look);
    if (!operation_release(o)) take_look(o);
}

static void look_first(struct operation *o) {
    o->look.done = on_looked;
    o->look.keyspace = o->partition.keyspace;
    o->look.key = o->key;
    o->is_storing = !hints_look(o->node, &o->look);
    if (!o->is_storing) take_look(o);
}

void write_start(struct operation *o, uint32_t need) {
    struct node *node = o->node;
    node->stats.writes++;
    if (o->is_sloppy) need = stand_in_choose(o, need);
    o->quorum.need = need;
    if (!o->is_sloppy && voter_count(o) < need) {
        quorum_init(&o->quorum, o->replica_count, need);
        o->quorum.yes = (1u << voter_count(o)) - 1; // as many as could have been asked
        operation_finish(o, ST_UNAVAILABLE);
        return;
    }
    if (operation_is_standing_in(o) && o->kind == REQUEST_REPLACE) {
        look_first(o);
    } else {
        store_round(o);
    }
}

// Answers.

// Keeps what a replica knew outside our context, for the second round.
static bool remember(struct operation *o, const struct message_put_done *m) {
    struct context *more = &o->node->contexts[1];
    struct reader r = reader_of(m->context);
    context_decode(more, &r);
    return reader_done(&r) && mint_supersede(o, more, m->timestamp);
}

static void decide(struct operation *o) {
    bool met_more = o->kind == REQUEST_REPLACE && o->extra_size > 0 && !operation_is_standing_in(o);
    switch (quorum_verdict(&o->quorum)) {
    case QUORUM_OPEN:
        return;
    case QUORUM_LOST:
        operation_finish(o, ST_TIMEOUT); // it is here, and may be elsewhere
        return;
    case QUORUM_MET:
        if (met_more && o->round == 1) {
            o->round = 2;
            o->node->stats.second_rounds++;
            operation_renew_id(o);
            store_round(o);
        } else {
            operation_finish(o, ST_OK);
        }
        return;
    }
    unreachable();
}

static void vote(struct operation *o, uint32_t place, bool is_good) {
    quorum_vote(&o->quorum, place, is_good);
    // Who says that he cannot stand in is one that cannot be reached.
    bool is_stood_in = operation_is_stood_in(o, place);
    uint32_t left = o->replica_count - quorum_count(o->quorum.no);
    if (is_stood_in && !is_good && o->quorum.need > left) o->quorum.need = left;
    decide(o);
}

// It was looked for what there is in a later round than the one in which something was sent to that
// place. Who refuses that, too, is sent what there is in a still later one.
static void send_again(struct operation *o, uint32_t place) {
    bool is_sent = o->purge_round > o->sent_rounds[place] && send_record(o, place);
    if (!is_sent) vote(o, place, false);
}

static void take_word(struct operation *o, uint32_t place, enum status status) {
    if (status != ST_FENCED) {
        vote(o, place, status == ST_OK);
    } else if (again_look(o, place, send_again)) {
        send_again(o, place);
    }
}

void write_on_answer(struct operation *o, uint32_t member, const struct message_put_done *m) {
    uint32_t place = operation_waiting_place(o, member);
    if (place == REPLICAS_MAX || o->is_storing || o->is_forwarded_away) return;
    if (operation_is_stood_in(o, place)) return;
    purge_hear(o->node, member, o->partition.slot, m->round);
    enum status st = m->status;
    bool wants_context = o->kind == REQUEST_REPLACE && o->round == 1;
    bool has_more = st == ST_OK && wants_context && m->context.size > 0;
    if (has_more && !remember(o, m)) st = ST_BUSY;
    take_word(o, place, st);
}

void write_on_hinted(struct operation *o, uint32_t member, const struct message_hint_done *m) {
    uint32_t place = operation_waiting_place(o, member);
    bool is_awaited = o->kind == REQUEST_REPLACE || o->kind == REQUEST_WRITE;
    if (!is_awaited || place == REPLICAS_MAX || o->is_storing || o->is_forwarded_away) return;
    if (!operation_is_stood_in(o, place)) return;
    purge_hear(o->node, member, o->partition.slot, m->round);
    take_word(o, place, m->status);
}

void write_on_lost(struct operation *o, uint32_t member) {
    uint32_t place = operation_waiting_place(o, member);
    if (place == REPLICAS_MAX || o->is_storing) return;
    quorum_vote(&o->quorum, place, false);
    decide(o);
}
