// SPDX-License-Identifier: Apache-2.0
#include "node/epoch.h"

#include "node/genesis.h"
#include "node/peers.h"
#include "node/replace.h"

#define OVERDUE_NS (1 * NS_PER_SECOND)        // for the first member that is up
#define OVERDUE_OTHERS_NS (2 * NS_PER_SECOND) // more, for the others
#define REST_NS (50 * NS_PER_MS)
#define CHANGE_TIMEOUTS 4 // times timeout_ns: until a change is given up

enum { RESTS_MAX = 6, MESSAGE_SIZE = 128 };

static void on_timer(struct timer *timer);

size_t epoch_memory_size(uint32_t members_max, size_t fact_size_max) {
    return map_memory_size(members_max) + 2 * (fact_size_max + 64);
}

void epoch_init(struct node *node, struct arena *arena) {
    struct epoch *e = &node->epoch;
    e->accepted = ARENA_ARRAY(arena, uint8_t, node->fact_capacity);
    e->value = ARENA_ARRAY(arena, uint8_t, node->fact_capacity);
    map_init(&e->next, arena, node->options.members_max);
    list_init(&e->changes);
    e->timer.fired = on_timer;
}

static struct map_change *first_change(struct node *node) {
    struct list *first = node->epoch.changes.next;
    return first == &node->epoch.changes ? NULL : CONTAINER_OF(first, struct map_change, link);
}

static void wake_at(struct node *node, uint64_t at) {
    timer_arm(&node->timers, &node->epoch.timer, at);
}

// What may follow.

// Who is alone may have been moved.
static bool same_member(const struct map_member *a, const struct map_member *b, bool is_alone) {
    bool is_there = a->port == b->port && strcmp(a->address, b->address) == 0;
    return a->id == b->id && strcmp(a->name, b->name) == 0 && strcmp(a->host, b->host) == 0 &&
           strcmp(a->rack, b->rack) == 0 && strcmp(a->dc, b->dc) == 0 && (is_there || is_alone) &&
           a->shards == b->shards && a->weight == b->weight;
}

static bool same_run(const struct map_run *a, const struct map_run *b) {
    if (a->first != b->first || a->count != b->count) return false;
    if (a->replica_count != b->replica_count) return false;
    for (uint32_t i = 0; i < a->replica_count; i++) {
        const struct map_replica *x = &a->replicas[i];
        const struct map_replica *y = &b->replicas[i];
        if (x->member != y->member || x->shard != y->shard) return false;
    }
    return true;
}

// Whoever stands behind the members there were has a directory that no other one has.
static bool are_new(const struct map *map, uint32_t first) {
    for (uint32_t i = first; i < map->member_count; i++) {
        uint64_t storage = map->members[i].storage;
        if (storage == 0 || map_find_storage(map, storage) != i) return false;
    }
    return true;
}

// Members come, behind those there are, so that each keeps its number; none goes, and runs do not
// change yet: nobody could move the data. What does is the storage of a member, which is not
// compared. There may be another map of the same epoch: see epoch_on_author.
static bool may_follow(const struct map *old, const struct map *new) {
    if (memcmp(old->cluster.bytes, new->cluster.bytes, CLUSTER_ID_SIZE) != 0) return false;
    if (new->replication != old->replication) return false;
    if (new->member_count < old->member_count || new->run_count != old->run_count) return false;
    for (uint32_t i = 0; i < old->member_count; i++) {
        bool is_alone = old->member_count == 1;
        if (!same_member(&old->members[i], &new->members[i], is_alone)) return false;
    }
    for (uint32_t i = 0; i < old->run_count; i++) {
        if (!same_run(&old->runs[i], &new->runs[i])) return false;
    }
    return are_new(new, old->member_count);
}

// Decodes a map into `next`. False: it is none that may follow ours, and unless it is just older
// the log says so.
static bool take_next(struct node *node, struct slice bytes) {
    struct epoch *e = &node->epoch;
    must(!e->is_adopting);
    enum status st = ST_TOO_LARGE;
    if (bytes.size <= node->fact_capacity - EPOCH_VOTE_SIZE) {
        st = genesis_decode_map(bytes, &e->next, &e->next_lineage);
    }
    if (st == ST_OK && e->next.epoch < node->map.epoch) return false; // it comes late
    if (st == ST_OK && may_follow(&node->map, &e->next)) return true;
    if (!log_is_due(node, &e->refusal_logged)) return false;
    env_log(node->env, ENV_ERROR,
            st == ST_TOO_LARGE
                ? "a map is refused: it has more members than members-max of this one allows: "
                  "start it with more status=%s"
                : "a map is refused: its bytes are wrong, or it has lost members or has another "
                  "layout, which no map of this version can status=%s",
            status_text(st));
    return false;
}

static bool is_value_sound(struct node *node, struct slice value, uint64_t instance) {
    return take_next(node, value) && node->epoch.next.epoch == instance;
}

// Voting.

// Copies a value to `to`, which has room for any. Returns its size.
static size_t keep(uint8_t *to, struct slice value) {
    if (value.size > 0) memcpy(to, value.data, value.size);
    return value.size;
}

void epoch_encode_vote(const struct node *node, struct writer *w) {
    const struct epoch *e = &node->epoch;
    write_u64(w, e->vote.instance);
    write_u64(w, e->vote.promised);
    write_u64(w, e->vote.accepted);
    write_u64(w, e->vote.reset_until);
    write_sized(w, (struct slice){e->accepted, e->vote.accepted == 0 ? 0 : e->accepted_size});
}

enum status epoch_decode_vote(struct node *node, struct slice bytes) {
    struct epoch *e = &node->epoch;
    struct reader r = reader_of(bytes);
    e->vote.instance = read_u64(&r);
    e->vote.promised = read_u64(&r);
    e->vote.accepted = read_u64(&r);
    e->vote.reset_until = read_u64(&r);
    struct slice value = read_sized(&r, node->fact_capacity);
    if (!reader_done(&r)) return ST_CORRUPT;
    e->accepted_size = keep(e->accepted, value);
    return ST_OK;
}

static void note_accepted(struct node *node) {
    node->epoch.overdue = node->env->now + OVERDUE_NS + rng_next(&node->rng) % OVERDUE_NS;
}

void epoch_begin(struct node *node) {
    struct epoch *e = &node->epoch;
    uint64_t instance = node->map.epoch + 1;
    if (e->vote.instance != instance) paxos_vote_begin(&e->vote, instance);
    if (e->vote.accepted != 0) note_accepted(node);
}

void epoch_forget(struct node *node) {
    node->epoch.vote.reset_until = PAXOS_ALL_INSTANCES;
    node->facts_wanted |= FACT_VOTE;
}

// Once this member is whole again, and has heard which map each of the others has.
static void date_forgotten(struct node *node) {
    struct paxos_vote *vote = &node->epoch.vote;
    if (vote->reset_until != PAXOS_ALL_INSTANCES || node->is_mending) return;
    uint64_t latest = node->map.epoch;
    for (uint32_t i = 0; i < node->peer_count; i++) {
        if (i == node->self) continue;
        if (node->peers[i].epoch == 0) return;
        if (node->peers[i].epoch > latest) latest = node->peers[i].epoch;
    }
    vote->reset_until = latest + 1;
    node->facts_wanted |= FACT_VOTE;
}

static bool may_vote(const struct node *node, uint64_t instance) {
    bool is_ready = node->state == NODE_SERVING && node_is_sole(node) && !node->epoch.is_adopting;
    return is_ready && instance == node->epoch.vote.instance;
}

static struct link *link_for(const struct epoch_answer *a) {
    return a->link->life == a->life && link_is_open(a->link) ? a->link : NULL;
}

static void answer_promise(struct node *node, const struct epoch_answer *a, enum status status) {
    const struct epoch *e = &node->epoch;
    struct message_promise m = {
        .instance = e->vote.instance,
        .ballot = a->ballot,
        .status = status,
        .is_reset = paxos_is_reset(&e->vote),
        .promised = e->vote.promised,
    };
    if (status == ST_OK && e->vote.accepted != 0) {
        m.accepted = e->vote.accepted;
        m.value = (struct slice){e->accepted, e->accepted_size};
    }
    if (a->member == node->self) {
        epoch_on_promise(node, node->self, &m);
        return;
    }
    struct link *link = link_for(a);
    if (link == NULL) return;
    struct writer w = link_begin(link, MESSAGE_SIZE + (uint32_t)m.value.size);
    message_promise_encode(&m, &w);
    (void)link_end(link, MESSAGE_PROMISE, &w);
}

static void answer_accepted(struct node *node, const struct epoch_answer *a, enum status status) {
    const struct paxos_vote *vote = &node->epoch.vote;
    const struct message_accepted m = {
        .instance = vote->instance,
        .ballot = a->ballot,
        .status = status,
        .is_reset = paxos_is_reset(vote),
        .promised = vote->promised,
    };
    if (a->member == node->self) {
        epoch_on_accepted(node, node->self, &m);
        return;
    }
    struct link *link = link_for(a);
    if (link == NULL) return;
    struct writer w = link_begin(link, MESSAGE_SIZE);
    message_accepted_encode(&m, &w);
    (void)link_end(link, MESSAGE_ACCEPTED, &w);
}

static void answer(struct node *node, const struct epoch_answer *a, enum status status) {
    if (a->type == MESSAGE_PROMISE) {
        answer_promise(node, a, status);
    } else {
        answer_accepted(node, a, status);
    }
}

// The vote has changed. One answer waits for it to be durable: whoever waited before was overtaken.
static void answer_when_stored(struct node *node, const struct epoch_answer *a) {
    struct epoch_answer former = node->epoch.due;
    node->epoch.due = *a;
    if (former.ballot != 0) answer(node, &former, ST_BUSY);
    genesis_write_facts(node, FACT_VOTE);
}

void epoch_on_vote_stored(struct node *node) {
    struct epoch_answer a = node->epoch.due;
    node->epoch.due.ballot = 0;
    if (a.ballot != 0) answer(node, &a, node_is_sole(node) ? ST_OK : ST_UNAVAILABLE);
}

// Does what this member, or the one behind the link, asks for; the value is that of ACCEPT.
static void vote(struct node *node, const struct epoch_answer *a, uint64_t instance,
                 struct slice value) {
    struct epoch *e = &node->epoch;
    if (!may_vote(node, instance)) {
        if (instance <= node->map.epoch) genesis_tell(node, a->member);
        answer(node, a, ST_UNAVAILABLE);
        return;
    }
    bool is_done = a->type == MESSAGE_PROMISE ? paxos_promise(&e->vote, a->ballot)
                                              : paxos_accept(&e->vote, a->ballot);
    if (!is_done) {
        answer(node, a, ST_BUSY);
        return;
    }
    if (a->type == MESSAGE_ACCEPTED) {
        e->accepted_size = keep(e->accepted, value);
        note_accepted(node);
    }
    answer_when_stored(node, a);
}

static struct epoch_answer answer_to(enum message_type type, uint64_t ballot, struct link *link) {
    return (struct epoch_answer){
        .type = type,
        .ballot = ballot,
        .member = link->peer,
        .link = link,
        .life = link->life,
    };
}

void epoch_on_prepare(struct node *node, struct link *link, const struct message_prepare *m) {
    if (!paxos_is_ballot_of(m->ballot, link->peer)) return;
    const struct epoch_answer a = answer_to(MESSAGE_PROMISE, m->ballot, link);
    vote(node, &a, m->instance, (struct slice){0});
}

void epoch_on_accept(struct node *node, struct link *link, const struct message_accept *m) {
    if (!paxos_is_ballot_of(m->ballot, link->peer)) return;
    if (may_vote(node, m->instance) && !is_value_sound(node, m->value, m->instance)) return;
    const struct epoch_answer a = answer_to(MESSAGE_ACCEPTED, m->ballot, link);
    vote(node, &a, m->instance, m->value);
}

// Proposing.

static void finish(struct node *node, struct map_change *change, enum status status) {
    struct epoch *e = &node->epoch;
    list_remove(&change->link);
    e->phase = EPOCH_IDLE;
    e->tries = 0;
    timer_disarm(&node->timers, &e->timer);
    if (!list_is_empty(&e->changes)) wake_at(node, node->env->now);
    change->status = status;
    change->done(change);
}

// Begins again later: after a while that grows, and is not the same for rivals.
static void rest(struct node *node) {
    struct epoch *e = &node->epoch;
    uint64_t longest = REST_NS << (e->tries < RESTS_MAX ? e->tries : RESTS_MAX);
    e->phase = EPOCH_IDLE;
    e->tries++;
    wake_at(node, node->env->now + REST_NS / 4 + rng_next(&node->rng) % longest);
}

// What the change makes of the map we have, as a value to propose.
static enum status encode_change(struct node *node, struct map_change *change) {
    struct epoch *e = &node->epoch;
    struct writer copy = writer_to(e->value, node->fact_capacity);
    genesis_encode_map(&node->map, &e->lineage, &copy);
    must(genesis_decode_map(writer_bytes(&copy), &e->next, &e->next_lineage) == ST_OK);
    e->next.epoch++;
    lineage_set(&e->next_lineage, e->next.epoch, change->author);
    if (!change->apply(change, &e->next)) return ST_INVALID;
    struct writer w = writer_to(e->value, node->fact_capacity - EPOCH_VOTE_SIZE);
    genesis_encode_map(&e->next, &e->next_lineage, &w);
    e->value_size = w.size;
    if (w.failed) return ST_BUSY;
    // As the others will judge it: what it is made of may have come from outside.
    return take_next(node, writer_bytes(&w)) ? ST_OK : ST_INVALID;
}

// This member as an acceptor of its own ballot.
static void vote_oneself(struct node *node, enum message_type type) {
    struct epoch *e = &node->epoch;
    const struct epoch_answer a = {
        .type = type, .ballot = e->proposal.ballot, .member = node->self};
    vote(node, &a, e->proposal.instance, (struct slice){e->value, e->value_size});
}

static void send_prepare(struct node *node) {
    const struct paxos_proposal *p = &node->epoch.proposal;
    const struct message_prepare m = {.instance = p->instance, .ballot = p->ballot};
    for (uint32_t i = 0; i < node->peer_count; i++) {
        struct link *link = i == node->self ? NULL : peer_link(node, i);
        if (link == NULL) continue;
        struct writer w = link_begin(link, MESSAGE_SIZE);
        message_prepare_encode(&m, &w);
        (void)link_end(link, MESSAGE_PREPARE, &w);
    }
}

// A map may be large, and the members many: the rest are asked when there is room.
static void send_accept(struct node *node) {
    struct epoch *e = &node->epoch;
    const struct message_accept m = {
        .instance = e->proposal.instance,
        .ballot = e->proposal.ballot,
        .value = {e->value, e->value_size},
    };
    for (; e->told < node->peer_count; e->told++) {
        struct link *link = e->told == node->self ? NULL : peer_link(node, e->told);
        if (link == NULL) continue;
        struct writer w = link_begin(link, MESSAGE_SIZE + (uint32_t)e->value_size);
        if (w.failed && node->link_buffers.was_refused) return;
        message_accept_encode(&m, &w);
        (void)link_end(link, MESSAGE_ACCEPT, &w);
    }
}

void epoch_on_room(struct node *node) {
    if (node->epoch.phase == EPOCH_ACCEPTING) send_accept(node);
}

// Begins a ballot: for the first change, or, where there is none, for what was accepted already.
static void propose(struct node *node) {
    struct epoch *e = &node->epoch;
    struct map_change *change = first_change(node);
    e->value_size = 0;
    // It may be chosen already; and where nobody has accepted anything, any value will do.
    if (e->vote.accepted != 0) {
        const struct slice accepted = {e->accepted, e->accepted_size};
        if (!is_value_sound(node, accepted, e->vote.instance)) { // it has less room than it had
            rest(node);
            return;
        }
        e->value_size = keep(e->value, accepted);
    }
    enum status st = change == NULL ? ST_OK : encode_change(node, change);
    if (st != ST_OK) {
        finish(node, change, st);
        return;
    }
    uint64_t promised = paxos_round(e->vote.promised);
    if (promised > e->round) e->round = promised;
    if (e->round >= PAXOS_ROUND_MAX) { // somebody has invented it
        rest(node);
        return;
    }
    e->round++;
    paxos_propose(&e->proposal, e->vote.instance, paxos_ballot(e->round, node->self),
                  node->map.member_count);
    if (change != NULL && change->has_lost) paxos_go_without(&e->proposal, change->lost);
    e->phase = EPOCH_PREPARING;
    wake_at(node, node->env->now + node->options.timeout_ns / 2);
    send_prepare(node);
    vote_oneself(node, MESSAGE_PROMISE);
}

static void ask_to_accept(struct node *node) {
    struct epoch *e = &node->epoch;
    struct map_change *change = first_change(node);
    if (e->value_size == 0) { // there is no change, and nobody in the quorum has accepted anything
        e->phase = EPOCH_IDLE;
        wake_at(node, node->env->now);
        return;
    }
    if (change != NULL && e->proposal.found == 0) change->instance = e->proposal.instance;
    paxos_go_on(&e->proposal);
    e->phase = EPOCH_ACCEPTING;
    wake_at(node, node->env->now + node->options.timeout_ns / 2);
    e->told = 0;
    send_accept(node);
    vote_oneself(node, MESSAGE_ACCEPTED);
}

// True when the answer is about the ballot under way.
static bool is_current(const struct node *node, enum epoch_phase phase, uint64_t instance,
                       uint64_t ballot) {
    const struct epoch *e = &node->epoch;
    return e->phase == phase && e->proposal.instance == instance && e->proposal.ballot == ballot;
}

// Who has no vote in it may be told the map, or tell us; who has promised a rival makes us give
// way.
static void take_refusal(struct node *node, uint64_t promised) {
    struct epoch *e = &node->epoch;
    uint64_t round = paxos_round(promised);
    if (round <= PAXOS_ROUND_MAX && round > e->round) e->round = round;
    if (promised >= e->proposal.ballot) rest(node);
}

void epoch_on_promise(struct node *node, uint32_t member, const struct message_promise *m) {
    struct epoch *e = &node->epoch;
    if (!is_current(node, EPOCH_PREPARING, m->instance, m->ballot)) return;
    if (m->status != ST_OK) {
        if (m->status == ST_BUSY) take_refusal(node, m->promised);
        return;
    }
    if (m->accepted >= m->ballot) return;
    if (m->accepted != 0 && !is_value_sound(node, m->value, m->instance)) return;
    if (paxos_on_promise(&e->proposal, member, m->is_reset, m->accepted)) {
        e->value_size = keep(e->value, m->value);
    }
    if (paxos_is_met(&e->proposal)) ask_to_accept(node);
}

// Adopting.

// The map is in `next`.
static void adopt(struct node *node) {
    struct epoch *e = &node->epoch;
    e->phase = EPOCH_IDLE;
    const struct map_change *change = first_change(node);
    timer_disarm(&node->timers, &e->timer);
    if (change != NULL) wake_at(node, change->deadline);
    if (replace_ousts(node, &e->next)) return;
    e->is_adopting = true;
    genesis_write_facts(node, FACT_MAP);
}

void epoch_on_accepted(struct node *node, uint32_t member, const struct message_accepted *m) {
    struct epoch *e = &node->epoch;
    if (!is_current(node, EPOCH_ACCEPTING, m->instance, m->ballot)) return;
    if (m->status != ST_OK) {
        if (m->status == ST_BUSY) take_refusal(node, m->promised);
        return;
    }
    paxos_on_accepted(&e->proposal, member, m->is_reset);
    if (!paxos_is_met(&e->proposal)) return;
    must(take_next(node, (struct slice){e->value, e->value_size}));
    adopt(node);
}

void epoch_on_told(struct node *node, struct slice body) {
    struct epoch *e = &node->epoch;
    if (e->is_adopting || !take_next(node, body)) return;
    uint64_t author = lineage_author(&e->next_lineage, e->next.epoch);
    if (e->next.epoch > node->map.epoch || author > node_map_author(node)) adopt(node);
}

void epoch_on_author(struct node *node, uint32_t member, uint64_t author) {
    bool is_same_epoch = node->peers[member].epoch == node->map.epoch;
    if (!is_same_epoch || author >= node_map_author(node)) return;
    genesis_tell(node, member);
    if (!log_is_due(node, &node->epoch.refusal_logged)) return;
    env_log(node->env, ENV_ERROR,
            "two maps of one epoch: some member voted with an older copy of its disk; the changes "
            "that made the other one are lost epoch=%llu member=%s",
            (unsigned long long)node->map.epoch, node->map.members[member].name);
}

// A change of ours that was proposed: has it made the map of its epoch, or certainly not, or is
// that not to be known since too many maps were missed?
static void judge_change(struct node *node, struct map_change *change) {
    bool is_open = change->instance > node->map.epoch; // there was another map of the epoch before
    if (change->instance == 0 || is_open) return;
    if (node->map.epoch - change->instance >= LINEAGE_MAPS) {
        finish(node, change, ST_TIMEOUT);
    } else if (lineage_author(&node->epoch.lineage, change->instance) == change->author) {
        finish(node, change, ST_OK);
    } else {
        change->instance = 0;
    }
}

void epoch_on_map_stored(struct node *node) {
    struct epoch *e = &node->epoch;
    if (!e->is_adopting) return;
    struct map former = node->map;
    node->map = e->next;
    e->next = former;
    e->lineage = e->next_lineage;
    e->is_adopting = false;
    e->due.ballot = 0;
    e->round = 0;
    e->tries = 0;
    epoch_begin(node);
    env_log(node->env, ENV_INFO, "map changed epoch=%llu members=%u",
            (unsigned long long)node->map.epoch, node->map.member_count);
    genesis_take_members(node);
    expiry_on_map(node, &e->next);
    replace_on_map(node);
    genesis_step(node);
    reconcile_on_map(node);
    agreement_on_map(node);
    struct map_change *change = first_change(node);
    if (change == NULL) return;
    wake_at(node, node->env->now);
    judge_change(node, change);
}

// Changes, one after the other.

// Who mends may wait for the very member that is lost.
static bool may_propose(const struct node *node, const struct map_change *change) {
    bool has_lost = change != NULL && change->has_lost;
    return has_lost ? node_is_sole(node) : node_has_vote(node);
}

static bool can_begin(const struct node *node, const struct map_change *change) {
    if (node->state != NODE_SERVING || !may_propose(node, change)) return false;
    bool has_lost = change != NULL && change->has_lost;
    uint32_t up = 0;
    for (uint32_t i = 0; i < node->map.member_count; i++) up += peer_is_up(node, i);
    return 2 * up > node->map.member_count || (has_lost && up + 1 == node->map.member_count);
}

static void end_all(struct node *node) {
    for (;;) {
        struct map_change *change = first_change(node);
        if (change == NULL) return;
        finish(node, change, change->instance == 0 ? ST_CANCELLED : ST_TIMEOUT);
    }
}

static void on_timer(struct timer *timer) {
    struct node *node = CONTAINER_OF(timer, struct node, epoch.timer);
    struct epoch *e = &node->epoch;
    struct map_change *change = first_change(node);
    uint64_t now = node->env->now;
    e->phase = EPOCH_IDLE;
    if (node->state == NODE_STOPPED) {
        end_all(node);
        return;
    }
    if (change == NULL) return;
    if (change->deadline == 0) {
        if (!can_begin(node, change)) {
            finish(node, change, ST_UNAVAILABLE);
            return;
        }
        change->deadline = now + CHANGE_TIMEOUTS * node->options.timeout_ns;
    }
    if (now >= change->deadline) {
        finish(node, change, change->instance == 0 ? ST_UNAVAILABLE : ST_TIMEOUT);
    } else if (e->is_adopting) {
        wake_at(node, change->deadline);
    } else if (!may_propose(node, change)) {
        rest(node);
    } else {
        propose(node);
    }
}

void node_change_map(struct node *node, struct map_change *change) {
    struct epoch *e = &node->epoch;
    bool is_first = list_is_empty(&e->changes);
    change->author = rng_next(&node->rng) | 1;
    change->deadline = 0;
    change->instance = 0;
    list_init(&change->link);
    list_append(&e->changes, &change->link);
    if (is_first && e->phase == EPOCH_IDLE) wake_at(node, node->env->now);
}

void epoch_stop(struct node *node) {
    wake_at(node, node->env->now);
}

// What was accepted here and is not known to be chosen: its proposer may be gone. The first member
// that is up tries first.
static void finish_overdue(struct node *node) {
    struct epoch *e = &node->epoch;
    uint64_t now = node->env->now;
    bool is_idle = e->phase == EPOCH_IDLE && list_is_empty(&e->changes) && !e->is_adopting;
    if (e->vote.accepted == 0 || !is_idle || !can_begin(node, NULL)) return;
    uint32_t first = 0;
    while (!peer_is_up(node, first)) first++;
    uint64_t patience = first == node->self ? 0 : OVERDUE_OTHERS_NS;
    if (now < e->overdue + patience) return;
    note_accepted(node);
    propose(node);
}

void epoch_step(struct node *node) {
    if (node->state != NODE_SERVING) return;
    date_forgotten(node);
    finish_overdue(node);
    if (!store_is_failed(node->store)) genesis_write_facts(node, 0);
}
