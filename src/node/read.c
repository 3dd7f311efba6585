// SPDX-License-Identifier: Apache-2.0
#include "node/read.h"

#include "node/hints.h"
#include "node/peers.h"
#include "node/purge_answer.h"
#include "node/stand_in.h"

static void decide(struct operation *o);

static void vote(struct operation *o, uint32_t place, bool yes) {
    quorum_vote(&o->quorum, place, yes);
}

// Joins what a replica holds into what was read so far.
static bool join(struct operation *o, struct slice record) {
    struct node *node = o->node;
    struct slice so_far = operation_record(o);
    if (record.size == 0 || slice_equal(so_far, record)) return true;
    if (so_far.size == 0) return operation_set_record(o, record);
    struct record *a = &node->records[0];
    struct record *b = &node->records[1];
    struct record *out = &node->records[2];
    if (record_decode(a, so_far) != ST_OK || record_decode(b, record) != ST_OK) return false;
    if (record_merge(a, b, out, NULL) != ST_OK) return false;
    struct writer w = writer_to(node->scratch, node->record_max);
    record_encode(out, &w);
    return !w.failed && operation_set_record(o, writer_bytes(&w));
}

static void take_answer(struct operation *o, uint32_t place, struct slice record) {
    bool is_good = join(o, record);
    if (is_good) o->hashes[place] = hash_held(record);
    vote(o, place, is_good);
}

static void take_refusal(struct operation *o, uint32_t place, enum status status) {
    if (status == ST_CORRUPT) o->is_damaged = true;
    if (status == ST_BUSY) o->is_refused = true;
    vote(o, place, false);
}

static void take_own(struct operation *o, enum status status, struct slice record) {
    uint32_t place = operation_own_place(o);
    if (status == ST_OK) {
        take_answer(o, place, record);
    } else if (status == ST_NOT_FOUND) {
        take_answer(o, place, (struct slice){0});
    } else {
        take_refusal(o, place, status);
    }
}

static void take_read(struct operation *o) {
    take_own(o, o->read.status, o->read.record);
}

static void take_look(struct operation *o) {
    struct hints_look *look = &o->look;
    if (look->status == ST_OK && look->round < o->purge_round) o->purge_round = look->round;
    take_own(o, look->status, look->record);
    hints_end_look(look);
}

// Asking.

// True: what this member has found itself counts. While it was under way damage may have been
// found, and what is damaged counts as not there.
static bool is_own_good(struct operation *o) {
    o->is_storing = false;
    if (operation_release(o) || o->is_repairing) return false; // too late to be repaired with
    if (delay_is_under_way(&o->hedge)) peers_note_prompt(o->node, o->node->self, ERRAND_READ);
    if (node_has_vote(o->node)) return true;
    vote(o, operation_own_place(o), false);
    decide(o);
    return false;
}

static void on_own_read(struct store_read *read) {
    struct operation *o = CONTAINER_OF(read, struct operation, read);
    if (!is_own_good(o)) return;
    take_read(o);
    decide(o);
}

static void on_own_look(struct hints_look *look) {
    struct operation *o = CONTAINER_OF(look, struct operation, look);
    // What is finished may be another operation in a moment.
    bool is_wanted = !o->is_finished && !o->is_repairing && node_has_vote(o->node);
    if (!is_wanted) hints_end_look(look);
    if (!is_own_good(o)) return;
    take_look(o);
    decide(o);
}

static void ask_self(struct operation *o) {
    struct node *node = o->node;
    if (!node_has_vote(node)) {
        vote(o, o->self_place, false);
        return;
    }
    o->read = (struct store_read){.done = on_own_read, .partition = o->partition, .key = o->key};
    o->read.is_asked_for = true;
    o->is_storing = !store_get(node->store, &o->read);
    if (!o->is_storing) take_read(o);
}

static void ask_own_hint(struct operation *o) {
    struct hints_look *look = &o->look;
    look->done = on_own_look;
    look->keyspace = o->partition.keyspace;
    look->key = o->key;
    o->is_storing = !hints_look(o->node, look);
    if (!o->is_storing) take_look(o);
}

static void ask_peer(struct operation *o, uint32_t place, bool by_hash) {
    struct link *link = peer_link(o->node, operation_member(o, place));
    if (link == NULL) {
        vote(o, place, false);
        return;
    }
    const struct message_get get = {
        .id = o->id,
        .keyspace = o->partition.keyspace,
        .slot = o->partition.slot,
        .held = o->record_size > 0 ? hash_held(operation_record(o)) : 0,
        .target = operation_is_stood_in(o, place) ? o->replicas[place] : MESSAGE_NO_MEMBER,
        .wants_hash = by_hash,
        .key = o->key,
        .left_ms = operation_left_ms(o),
    };
    o->hashes[place] = get.held; // what "the same" will mean
    struct writer w = link_begin(link, 64 + (uint32_t)o->key.size);
    message_get_encode(&get, &w);
    if (!link_end(link, MESSAGE_GET, &w)) vote(o, place, false);
}

// Also one whose hash is here already.
static void ask_for_record(struct operation *o, uint32_t place) {
    o->asked |= 1u << place;
    o->recent |= 1u << place;
    o->told &= ~(1u << place);
    o->by_hash &= ~(1u << place);
    if (place == o->self_place && !operation_is_stood_in(o, place)) {
        ask_self(o);
    } else if (operation_member(o, place) == o->node->self) {
        ask_own_hint(o);
    } else {
        ask_peer(o, place, false);
    }
}

// Whether a record is on its way with which a hash can be compared.
static bool is_record_expected(const struct operation *o) {
    uint32_t waiting = o->asked & ~(o->quorum.yes | o->quorum.no);
    return (waiting & ~o->by_hash & ~o->stood_in) != 0; // who stands in may have nothing
}

// Of several replicas one is asked for the record, and the rest for its hash: mostly they hold the
// same. Once the record is here its own hash goes along, which does the same.
static void ask(struct operation *o, uint32_t place) {
    bool is_other = operation_member(o, place) != o->node->self && !operation_is_stood_in(o, place);
    if (is_other && is_record_expected(o) && o->record_size == 0) {
        o->asked |= 1u << place;
        o->recent |= 1u << place;
        o->by_hash |= 1u << place;
        ask_peer(o, place, true);
    } else {
        ask_for_record(o, place);
    }
}

static void take_hash(struct operation *o, uint32_t place, uint64_t hash) {
    if ((o->by_hash >> place & 1) == 0) {
        vote(o, place, false); // it was to send the record
        return;
    }
    o->hashes[place] = hash;
    o->told |= 1u << place;
    o->node->stats.hashes++;
}

// Compares the hashes with the record, once it is here, and asks who holds something else for that.
// If it does not come, further replicas are asked, and those for the record.
static void compare_told(struct operation *o) {
    if (o->told == 0 || (o->quorum.yes & ~o->by_hash) == 0) return;
    if (o->record_size == 0 && is_record_expected(o)) return;
    uint64_t hash = hash_held(operation_record(o));
    for (uint32_t i = 0; i < o->replica_count; i++) {
        if ((o->told >> i & 1) == 0) continue;
        if (o->hashes[i] == hash) {
            o->told &= ~(1u << i);
            vote(o, i, true);
        } else {
            o->node->stats.hashes_differed++;
            ask_for_record(o, i);
        }
    }
}

static bool is_asked(const struct operation *o, uint32_t place) {
    return (o->asked >> place & 1) != 0;
}

void read_start(struct operation *o, uint32_t need) {
    struct node *node = o->node;
    node->stats.reads++;
    if (o->is_sloppy) need = stand_in_choose(o, need);
    quorum_init(&o->quorum, o->replica_count, need);
    memset(o->hashes, 0, sizeof(o->hashes[0]) * o->replica_count);
    bool is_asked_too = o->self_place != REPLICAS_MAX && node_has_vote(node);
    o->purge_round = is_asked_too ? purge_round(node, o->partition.slot) : UINT32_MAX;
    operation_ask_enough(o, need, ask);
    o->recent = 0;
    if (o->replica_count > need) {
        delay_begin(&node->operations.hedges, &o->hedge);
    }
    decide(o);
}

void read_on_hedge(struct operation *o) {
    if (o->kind != REQUEST_READ || o->is_repairing) return;
    o->node->stats.hedged++;
    operation_note_late(o);
    operation_ask_enough(o, o->replica_count, ask_for_record); // who was to send it may be late
    o->recent = 0;
    decide(o);
}

// Answers and repair.

static void on_self_repaired(struct replica_job *job) {
    struct node *node = job->node;
    struct operation *o = operation_find(node, job->merged_id);
    if (o != NULL && o->kind == REQUEST_READ) {
        read_on_repaired(o, node->self, job->write.status);
    }
}

// Sends a replica what was read. An answer to `id` counts it in; 0 asks for none.
static bool repair(struct operation *o, uint32_t place, uint64_t id) {
    struct node *node = o->node;
    node->stats.read_repairs++;
    struct slice record = operation_record(o);
    if (place == o->self_place) {
        const struct told told = {o->partition, o->key, record, o->purge_round, false, false};
        return replica_merge(node, &told, id == 0 ? NULL : on_self_repaired, id);
    }
    struct link *link = peer_link(node, o->replicas[place]);
    if (link == NULL) return false;
    const struct message_put put = {
        .id = id,
        .keyspace = o->partition.keyspace,
        .slot = o->partition.slot,
        .round = o->purge_round,
        .key = o->key,
        .record = record,
        .left_ms = id == 0 ? 0 : operation_left_ms(o),
    };
    struct writer w = link_begin(link, 64 + (uint32_t)(o->key.size + record.size));
    message_put_encode(&put, &w);
    return link_end(link, MESSAGE_PUT, &w);
}

static void answer(struct operation *o) {
    operation_finish(o, o->record_size > 0 ? ST_OK : ST_NOT_FOUND);
}

// The needed answers are in. Whoever answered with less than the whole is brought up to date; if
// fewer than a majority hold the whole, the answer waits until they do, unless it is a sloppy one.
// Who stands in is left as it is.
static void complete(struct operation *o) {
    uint64_t whole = hash_held(operation_record(o));
    uint32_t answered = o->quorum.yes;
    uint32_t current = 0;
    for (uint32_t i = 0; i < o->replica_count; i++) {
        if ((answered >> i & 1) != 0 && o->hashes[i] == whole) current |= 1u << i;
    }
    uint32_t majority = o->replica_count / 2 + 1;
    bool has_promise = o->quorum.need > 1 && !o->is_sloppy;
    bool must_wait = has_promise && quorum_count(current) < majority && whole != 0;
    if (!must_wait) {
        uint32_t stale = answered & ~current & ~o->stood_in;
        for (uint32_t i = 0; i < o->replica_count; i++) {
            if ((stale >> i & 1) != 0) (void)repair(o, i, 0);
        }
        answer(o);
        return;
    }
    o->is_repairing = true;
    operation_renew_id(o);
    quorum_init(&o->quorum, o->replica_count, majority);
    for (uint32_t i = 0; i < o->replica_count; i++) {
        if ((current >> i & 1) != 0) {
            vote(o, i, true);
        } else if (!repair(o, i, o->id)) {
            vote(o, i, false);
        }
    }
    decide(o);
}

static enum status status_of_loss(const struct operation *o) {
    if (o->is_damaged) return ST_CORRUPT;
    return o->is_refused ? ST_BUSY : ST_UNAVAILABLE;
}

// Whoever is asked may answer at once: then what others have told can be compared with that.
static enum quorum_verdict ask_on(struct operation *o) {
    uint32_t asked;
    do {
        asked = o->asked;
        compare_told(o);
        if (quorum_verdict(&o->quorum) != QUORUM_OPEN) break;
        operation_ask_enough(o, o->quorum.need, ask);
    } while (o->asked != asked);
    return quorum_verdict(&o->quorum);
}

static void decide(struct operation *o) {
    switch (o->is_repairing ? quorum_verdict(&o->quorum) : ask_on(o)) {
    case QUORUM_OPEN:
        return;
    case QUORUM_LOST:
        operation_finish(o, status_of_loss(o));
        return;
    case QUORUM_MET:
        if (o->is_repairing) {
            answer(o);
        } else {
            complete(o);
        }
        return;
    }
    unreachable();
}

void read_on_answer(struct operation *o, uint32_t member, const struct message_get_done *m) {
    uint32_t place = operation_waiting_place(o, member);
    if (o->kind != REQUEST_READ || o->is_repairing || place == REPLICAS_MAX) return;
    if (delay_is_under_way(&o->hedge)) peers_note_prompt(o->node, member, ERRAND_READ);
    bool is_used = m->status == ST_OK || m->status == ST_NOT_FOUND;
    bool brings_none = operation_is_stood_in(o, place) && m->status == ST_NOT_FOUND;
    if (is_used && !brings_none && m->round < o->purge_round) o->purge_round = m->round;
    if (!operation_is_stood_in(o, place)) purge_hear(o->node, member, o->partition.slot, m->round);
    if (m->status == ST_OK && m->is_same) {
        vote(o, place, true);
    } else if (m->status == ST_OK && m->hash != 0) {
        take_hash(o, place, m->hash);
    } else if (is_used) {
        take_answer(o, place, m->status == ST_OK ? m->record : (struct slice){0});
    } else {
        take_refusal(o, place, m->status);
    }
    decide(o);
}

void read_on_repaired(struct operation *o, uint32_t member, enum status status) {
    uint32_t place = operation_place_of(o, member);
    if (!o->is_repairing || place == REPLICAS_MAX) return;
    vote(o, place, status == ST_OK);
    decide(o);
}

void read_on_lost(struct operation *o, uint32_t member) {
    uint32_t place = operation_place_of(o, member);
    if (place == REPLICAS_MAX) return;
    if (!o->is_repairing && !is_asked(o, place)) return;
    if ((o->told >> place & 1) != 0) return; // that is still what it holds
    vote(o, place, false);
    decide(o);
}
