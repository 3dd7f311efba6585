// SPDX-License-Identifier: Apache-2.0
#include "node/purge_answer.h"

#include "base/bitmap.h"
#include "model/retire.h"
#include "node/genesis.h"
#include "node/hints.h"
#include "node/internal.h"
#include "node/roots.h"
#include "node/stand_in.h"

enum {
    CHECKS_MAX = 8,
    WAITS_MAX = 16,
    ERASED_AT_ONCE = 32,
    CLOCKS_APART_MS = 24 * 3600 * 1000,
};

void purge_members_of(const struct node *node, uint32_t group, bool is_wide,
                      uint8_t members[MEMBERS_MAX / 8]) {
    memset(members, 0, MEMBERS_MAX / 8);
    for (uint32_t i = 0; i < node->map.member_count && is_wide; i++) bitmap_add(members, i);
    uint32_t slot = group * GROUP_SLOTS;
    while (slot < (group + 1) * GROUP_SLOTS) {
        const struct map_run *run = map_run_of(&node->map, (uint16_t)slot);
        for (uint32_t i = 0; i < run->replica_count; i++) {
            bitmap_add(members, run->replicas[i].member);
        }
        slot = (uint32_t)run->first + run->count;
    }
}

// Whether there can be such an entry in a round of the group.
static bool fits_round(const struct message_condemned *entry, uint32_t group, bool is_wide) {
    return entry->slot < SLOT_COUNT && entry->slot / GROUP_SLOTS == group && entry->key.size > 0 &&
           slot_of(entry->key) == entry->slot && (is_wide || !entry->is_alive);
}

// Whether this member has a copy of the partition.
static bool is_held_here(const struct node *node, const struct message_condemned *entry) {
    return roots_share(node, entry->keyspace, entry->slot, node->self);
}

// The storages of those who have copies of the partition; of a keyspace that is not there nobody
// has.
static struct storage_set replicas_of(const struct node *node, struct partition partition,
                                      uint64_t ids[REPLICAS_MAX]) {
    struct storage_set set = {.ids = ids};
    uint32_t place = keyspace_find_number(node->map.keyspaces, partition.keyspace);
    if (place == KEYSPACES_MAX) return set;
    const struct map_run *run = map_run_of(&node->map, partition.slot);
    set.count = map_copies(&node->map.keyspaces[place], run);
    for (uint32_t i = 0; i < set.count; i++) {
        ids[i] = node->map.members[run->replicas[i].member].storage;
    }
    return set;
}

bool purge_is_wide(const struct node *node, struct partition partition, const struct record *r) {
    uint64_t ids[REPLICAS_MAX];
    return retire_has_other(r, replicas_of(node, partition, ids));
}

bool purge_takes_all(const struct node *node, struct partition partition, const struct record *r) {
    bool is_dead = fence_is_dead(r, UINT64_MAX, node->purge.expired_ms);
    if (!is_dead && r->context.count <= node->options.retire_above) return false;
    uint64_t ids[REPLICAS_MAX];
    const struct storage_set replicas = replicas_of(node, partition, ids);
    if (!retire_has_other(r, replicas)) return false;
    return is_dead || retire_is_due(r, replicas);
}

bool purge_retires(const struct node *node, struct partition partition, const struct record *r,
                   uint64_t latest) {
    uint64_t ids[REPLICAS_MAX];
    if (r->context.count <= node->options.retire_above) return false;
    if (!retire_is_due(r, replicas_of(node, partition, ids))) return false;
    // One of before a lower value-max may be larger than what is written now.
    return record_latest(r)->timestamp <= latest && record_encoded_size(r) <= node->record_max;
}

uint64_t purge_now_ms(struct node *node) {
    struct purge_clock *clock = &node->purge.clock;
    const struct env *env = node->env;
    if (clock->ms == 0) purge_clock_begin(clock, 0, env->now, env->wall_ms);
    return purge_clock_read(clock, env->now, env->wall_ms);
}

// Fences.

const struct fence *purge_fence(const struct node *node, uint16_t slot) {
    return &node->purge.fences[slot / GROUP_SLOTS];
}

uint32_t purge_round(const struct node *node, uint16_t slot) {
    return node->is_mending ? 0 : purge_fence(node, slot)->round;
}

uint32_t purge_cleared(const struct node *node, uint16_t slot) {
    uint32_t agreeing = node->purge.agreeing[slot / GROUP_SLOTS].cleared;
    uint32_t cleared = purge_fence(node, slot)->cleared;
    return cleared > agreeing ? cleared : agreeing;
}

// Who agrees to a round looks that what it is about is not still to come, by a clock of which there
// is one in each of the members. A floor that is further ahead than clocks are set back was never
// agreed to: everything that is written would have to be later than that.
static uint64_t floor_max(const struct node *node) {
    uint64_t ms = node->env->wall_ms + CLOCKS_APART_MS;
    return ms < UINT64_MAX >> 16 ? ms << 16 : UINT64_MAX;
}

uint32_t purge_next_round(const struct node *node, uint32_t group) {
    uint32_t known = node->purge.fences[group].round;
    uint32_t agreeing = node->purge.agreeing[group].round;
    return 1 + (known > agreeing ? known : agreeing);
}

void purge_encode_fences(struct node *node, struct writer *w) {
    struct fence next[SLOT_GROUPS];
    for (uint32_t i = 0; i < SLOT_GROUPS; i++) {
        const struct fence *agreeing = &node->purge.agreeing[i];
        next[i] = node->purge.fences[i];
        fence_agree(&next[i], agreeing->round, agreeing->floor);
        fence_clear(&next[i], agreeing->cleared);
    }
    purge_now_ms(node);
    node->purge.clock_stored = node->purge.clock.ms;
    fences_encode(next, node->purge.clock.ms, w);
}

enum status purge_decode_fences(struct node *node, struct slice value) {
    uint64_t clock_ms = 0;
    enum status st = fences_decode(node->purge.fences, &clock_ms, value);
    if (st == ST_OK) {
        struct env *env = node->env;
        purge_clock_begin(&node->purge.clock, clock_ms, env->now, env->wall_ms);
    }
    if (st == ST_INVALID) {
        env_log(node->env, ENV_ERROR,
                "which purges this member knows of is stored in a version that this program does "
                "not read: another release has used the directory version=%u",
                value.data[0]);
    }
    return st;
}

static void wait_until_durable(struct node *node, struct purge_wait *wait,
                               void (*durable)(struct purge_wait *wait)) {
    wait->durable = durable;
    list_append(&node->purge.waits, &wait->link);
    node->purge.wait_count++;
    genesis_write_facts(node, FACT_FENCES);
}

void purge_on_fences_stored(struct node *node) {
    // Who comes to wait meanwhile waits for the next time.
    struct purge_wait *last = CONTAINER_OF(node->purge.waits.prev, struct purge_wait, link);
    bool is_last = list_is_empty(&node->purge.waits);
    while (!is_last) {
        struct purge_wait *wait = CONTAINER_OF(node->purge.waits.next, struct purge_wait, link);
        is_last = wait == last;
        list_remove(&wait->link);
        node->purge.wait_count--;
        wait->durable(wait);
    }
}

void purge_send_fences(struct node *node, struct link *link, bool is_question) {
    if (node->state != NODE_SERVING || !link_is_open(link)) return;
    uint8_t bytes[FENCES_TOLD_SIZE_MAX];
    struct writer fences = writer_to(bytes, sizeof(bytes));
    fences_tell(node->purge.fences, &fences);
    const struct message_fences m = {.is_question = is_question, .fences = writer_bytes(&fences)};
    struct writer w = link_begin(link, 64 + (uint32_t)m.fences.size);
    message_fences_encode(&m, &w);
    (void)link_end(link, MESSAGE_FENCES, &w);
}

void purge_on_fences(struct node *node, struct link *link, const struct message_fences *m) {
    if (node->state != NODE_SERVING) return;
    struct fence told[SLOT_GROUPS];
    node->peers[link->peer].has_told_fences = fences_told(told, m->fences) == ST_OK;
    if (!node->peers[link->peer].has_told_fences) return;
    bool has_forgotten = false;
    bool has_lost_hints = false; // what it has minted for others is void
    const uint64_t latest = floor_max(node);
    for (uint32_t i = 0; i < SLOT_GROUPS; i++) {
        const struct fence *known = &told[i];
        if (fence_learn_wide(&node->purge.fences[i], known->wide)) has_lost_hints = true;
        if (!bitmap_has(node->roots.groups, i)) continue;
        uint8_t members[MEMBERS_MAX / 8];
        purge_members_of(node, i, false, members);
        if (!bitmap_has(members, link->peer)) continue;
        has_forgotten |= fence_learn(&node->purge.fences[i], known, latest);
        fence_hear(&node->purge.fences[i], known->round);
    }
    if (has_lost_hints) {
        stand_in_renew(node);
        genesis_write_facts(node, FACT_FENCES);
    }
    if (has_forgotten) genesis_has_missed_purges(node);
    // Its link is new, and so may be its life: what it has agreed to in a former it may not know.
    if (m->is_question) purge_on_lost(node, link->peer);
    if (m->is_question) purge_send_fences(node, link, false);
}

void purge_hear(struct node *node, uint32_t member, uint16_t slot, uint32_t round) {
    if (!node->peers[member].has_told_fences) return;
    fence_hear(&node->purge.fences[slot / GROUP_SLOTS], round);
}

void purge_doubt_all(struct node *node) {
    for (uint32_t i = 0; i < SLOT_GROUPS; i++) node->purge.fences[i].is_behind = true;
}

bool purge_is_behind(const struct node *node) {
    uint32_t i = 0;
    while (i < SLOT_GROUPS && !node->purge.fences[i].is_behind) i++;
    return i < SLOT_GROUPS;
}

bool purge_is_in_doubt(const struct node *node) {
    for (uint32_t i = 0; i < SLOT_GROUPS; i++) {
        const struct fence *f = &node->purge.fences[i];
        if (f->is_behind && !f->has_forgotten) return true;
    }
    return false;
}

void purge_end_behind(struct node *node) {
    for (uint32_t i = 0; i < SLOT_GROUPS; i++) {
        node->purge.fences[i].is_behind = false;
        node->purge.fences[i].has_forgotten = false;
    }
    genesis_write_facts(node, FACT_FENCES);
}

// Checking what a round is about.

struct check {
    struct purge_wait wait;
    struct node *node;
    struct link *link; // who asked; NULL: this member
    uint64_t link_life;
    uint64_t id;
    uint64_t author;
    uint32_t group;
    uint32_t round;
    bool is_wide;
    struct reader entries;
    struct message_condemned entry; // being looked for
    uint32_t count;                 // looked for
    uint64_t latest;                // timestamp of those that may go
    bool is_malformed;
    bool has_alive; // some that goes is alive
    struct store_read read;
    uint8_t held[PURGE_KEYS_MAX / 8];
    uint8_t bytes[]; // the entries
};

static void answer(struct node *node, struct link *link, const struct message_purge_done *done) {
    if (link == NULL) {
        purge_on_answer(node, node->self, done);
        return;
    }
    struct writer w = link_begin(link, 64 + (uint32_t)done->held.size);
    message_purge_done_encode(done, &w);
    (void)link_end(link, MESSAGE_PURGE_DONE, &w);
}

static void end_check(struct check *c, enum status status) {
    struct node *node = c->node;
    const struct message_purge_done done = {
        .id = c->id,
        .status = status,
        .round = node->purge.fences[c->group].round,
        .held = {c->held, status == ST_OK ? (c->count + 7) / 8 : 0},
    };
    bool is_there = c->link == NULL || (c->link->life == c->link_life && link_is_open(c->link));
    if (is_there && node->state == NODE_SERVING) answer(node, c->link, &done);
    buffer_give(node, (uint8_t *)c);
}

static void on_agreed(struct purge_wait *wait) {
    struct check *c = CONTAINER_OF(wait, struct check, wait);
    struct fence *f = &c->node->purge.fences[c->group];
    fence_agree(f, c->round, c->latest);
    if (c->is_wide) fence_clear(f, c->round);
    end_check(c, ST_OK);
}

// Whether there is room for one more round. A disk that takes nothing lets them wait for long.
static bool has_room(const struct node *node) {
    return node->purge.under_way < CHECKS_MAX && node->purge.wait_count < WAITS_MAX;
}

// This member may agree to the round now. A full disk takes nothing, not even a removal: what went
// elsewhere would come back from it.
static bool may_agree(const struct node *node, uint64_t author, uint32_t group, uint32_t round) {
    return node->state == NODE_SERVING && node_has_vote(node) && author == node_map_author(node) &&
           round >= purge_next_round(node, group) &&
           fence_believes(&node->purge.fences[group], round) && !store_stats(node->store).is_full;
}

// All were looked for. The fence is raised after that: what is read from then on is what was found
// here, or newer, and only that is sent with the new round.
static void agree(struct check *c) {
    struct node *node = c->node;
    node->purge.under_way--;
    bool may = may_agree(node, c->author, c->group, c->round);
    if (c->is_wide) may &= !hints_have_minted(node);
    if (c->has_alive) may &= !hints_have_copies(node);
    if (c->is_malformed || !may) {
        end_check(c, c->is_malformed ? ST_INVALID : ST_UNAVAILABLE);
        return;
    }
    fence_agree(&node->purge.agreeing[c->group], c->round, c->latest);
    if (c->is_wide) fence_clear(&node->purge.agreeing[c->group], c->round);
    wait_until_durable(node, &c->wait, on_agreed);
}

static uint64_t timestamp_now(const struct check *c) {
    return c->node->env->wall_ms << 16 | UINT16_MAX;
}

static void let_go(struct check *c, uint64_t timestamp) {
    bitmap_add(c->held, c->count);
    c->has_alive |= c->entry.is_alive;
    if (timestamp > c->latest) c->latest = timestamp;
}

// Of what is alive nothing goes while this member keeps copies for others: what these have missed
// of other keys of the group may be older than the floor would be then.
static bool may_raise_floor(const struct check *c) {
    return !c->entry.is_alive || !hints_have_copies(c->node);
}

// A tombstone of a clock that is ahead is left until that time has come, or the floor would be as
// far ahead. Nothing goes by the word of replicas alone, if anything of it may be a hint somewhere.
static bool may_go(const struct check *c, const struct record *r) {
    struct node *node = c->node;
    uint64_t now = timestamp_now(c);
    if (!may_raise_floor(c)) return false;
    if (c->entry.is_alive) return purge_retires(node, c->read.partition, r, now);
    return fence_is_dead(r, now, purge_now_ms(node)) &&
           (c->is_wide || !purge_is_wide(node, c->read.partition, r));
}

static void take_read(struct check *c) {
    struct record *r = &c->node->records[0];
    bool is_held = c->read.status == ST_OK &&
                   record_digest(c->entry.key, c->read.record) == c->entry.digest &&
                   record_decode(r, c->read.record) == ST_OK && may_go(c, r);
    if (is_held) let_go(c, record_latest(r)->timestamp);
    c->count++;
}

// The floor is that of the group: a member that has forgotten the round may hear of it from one
// that has no copy of the key.
static void take_absent(struct check *c) {
    bool may = c->entry.timestamp <= timestamp_now(c) && may_raise_floor(c);
    if (may) let_go(c, c->entry.timestamp);
    c->count++;
}

static void on_read(struct store_read *read);

// Looks for one after the other; true when it is through.
static bool look(struct check *c) {
    while (c->entries.rest.size > 0 && !c->is_malformed) {
        message_condemned_read(&c->entries, &c->entry);
        bool is_good = !c->entries.failed && c->count < PURGE_KEYS_MAX;
        c->is_malformed = !is_good || !fits_round(&c->entry, c->group, c->is_wide);
        if (c->is_malformed) return true;
        if (!is_held_here(c->node, &c->entry)) {
            take_absent(c);
            continue;
        }
        c->read = (struct store_read){.done = on_read, .key = c->entry.key};
        c->read.partition = (struct partition){c->entry.keyspace, c->entry.slot};
        if (!store_get(c->node->store, &c->read)) return false;
        take_read(c);
    }
    return true;
}

static void on_read(struct store_read *read) {
    struct check *c = CONTAINER_OF(read, struct check, read);
    take_read(c);
    if (look(c)) agree(c);
}

void purge_check(struct node *node, struct link *link, const struct message_purge *m) {
    if (m->group >= SLOT_GROUPS || m->entries.size > PURGE_BYTES_MAX) return;
    struct check *c = NULL;
    bool is_fit = may_agree(node, m->author, m->group, m->round);
    if (is_fit && has_room(node)) {
        c = (void *)buffer_take(node, sizeof(*c) + m->entries.size);
    }
    if (c == NULL) {
        const struct message_purge_done done = {
            .id = m->id,
            .status = ST_UNAVAILABLE,
            .round = node->purge.fences[m->group].round,
        };
        answer(node, link, &done);
        return;
    }
    *c = (struct check){
        .node = node,
        .link = link,
        .link_life = link == NULL ? 0 : link->life,
        .id = m->id,
        .author = m->author,
        .group = m->group,
        .round = m->round,
        .is_wide = m->is_wide,
        .entries = reader_of((struct slice){c->bytes, m->entries.size}),
    };
    if (m->entries.size > 0) memcpy(c->bytes, m->entries.data, m->entries.size);
    list_init(&c->wait.link);
    node->purge.under_way++;
    if (look(c)) agree(c);
}

// Removing, and retiring.

struct erase_write {
    struct store_write write;
    struct erasure *owner;
    uint64_t digest;
    bool is_alive; // like that of the entry
    bool is_busy;
};

struct erasure {
    struct purge_wait wait;
    struct node *node;
    bool is_own;
    uint32_t busy; // writes that the store has
    struct reader entries;
    struct erase_write writes[ERASED_AT_ONCE];
    uint8_t bytes[]; // the entries
};

static struct slice remove(struct node *node, struct slice key, struct slice record) {
    const struct node_options *options = &node->options;
    node->stats.purged++;
    if (options->purged != NULL) options->purged(options->minted_context, key, record);
    return (struct slice){0};
}

// All replicas come to the same bytes.
static struct slice retire(struct node *node, const struct store_write *write, struct slice record,
                           struct record *r) {
    const struct node_options *options = &node->options;
    uint64_t ids[REPLICAS_MAX];
    uint32_t count = retire_take(r, replicas_of(node, write->partition, ids));
    struct writer w = writer_to(node->scratch, node->record_max);
    record_encode(r, &w);
    must(!w.failed); // purge_retires has looked
    node->stats.retired += count;
    struct slice left = writer_bytes(&w);
    if (options->retired != NULL)
        options->retired(options->minted_context, write->key, record, left);
    return left;
}

// What has changed meanwhile stays, and what this member would not have agreed to.
static enum status erase_if_same(struct store_write *write, struct slice old, struct slice *new) {
    struct erase_write *ew = CONTAINER_OF(write, struct erase_write, write);
    struct node *node = ew->owner->node;
    struct record *r = &node->records[0];
    *new = old;
    if (old.size == 0 || record_digest(write->key, old) != ew->digest) return ST_OK;
    if (record_decode(r, old) != ST_OK) return ST_OK;
    uint64_t floor = purge_fence(node, write->partition.slot)->floor;
    if (!ew->is_alive && fence_is_dead(r, floor, purge_now_ms(node)))
        *new = remove(node, write->key, old);
    if (ew->is_alive && purge_retires(node, write->partition, r, floor))
        *new = retire(node, write, old, r);
    return ST_OK;
}

static void erase_more(struct erasure *e);

static void on_erased(struct store_write *write) {
    struct erase_write *ew = CONTAINER_OF(write, struct erase_write, write);
    struct erasure *e = ew->owner;
    ew->is_busy = false;
    e->busy--;
    erase_more(e);
}

static void erase_next(struct erasure *e, struct erase_write *ew) {
    struct message_condemned entry;
    message_condemned_read(&e->entries, &entry);
    if (e->entries.failed || !is_held_here(e->node, &entry)) return;
    ew->owner = e;
    ew->digest = entry.digest;
    ew->is_alive = entry.is_alive;
    ew->is_busy = true;
    ew->write = (struct store_write){
        .apply = erase_if_same,
        .done = on_erased,
        .partition = {entry.keyspace, entry.slot},
        .key = entry.key,
    };
    e->busy++;
    store_put(e->node->store, &ew->write);
}

static void erase_more(struct erasure *e) {
    struct node *node = e->node;
    for (uint32_t i = 0; i < ERASED_AT_ONCE; i++) {
        while (!e->writes[i].is_busy && !e->entries.failed && e->entries.rest.size > 0) {
            erase_next(e, &e->writes[i]);
        }
    }
    if (e->busy > 0) return;
    bool is_own = e->is_own;
    node->purge.under_way--;
    buffer_give(node, (uint8_t *)e);
    if (is_own) purge_on_erased(node);
}

// It is known now, and will be after a crash, that the round was decided.
static void on_decided(struct purge_wait *wait) {
    struct erasure *e = CONTAINER_OF(wait, struct erasure, wait);
    e->node->purge.under_way++;
    erase_more(e);
}

// False: the entries are not what they should be.
static bool are_good(struct slice entries, uint32_t group, bool is_wide) {
    struct reader r = reader_of(entries);
    while (r.rest.size > 0) {
        struct message_condemned entry;
        message_condemned_read(&r, &entry);
        if (r.failed || !fits_round(&entry, group, is_wide)) return false;
    }
    return true;
}

void purge_on_erase(struct node *node, struct link *link, const struct message_erase *m) {
    (void)link;
    (void)purge_erase(node, false, m);
}

bool purge_erase(struct node *node, bool is_own, const struct message_erase *m) {
    if (m->group >= SLOT_GROUPS || m->entries.size > PURGE_BYTES_MAX) return false;
    if (node->state != NODE_SERVING || m->author != node_map_author(node)) return false;
    struct fence *f = &node->purge.fences[m->group];
    const struct fence decided = {.purged = m->round, .floor = m->floor};
    if (fence_learn(f, &decided, floor_max(node))) genesis_has_missed_purges(node);
    uint32_t agreed = m->is_wide ? f->cleared : f->agreed;
    bool has_agreed = m->round > 0 && m->round <= agreed && !f->is_behind;
    bool is_good = has_agreed && are_good(m->entries, m->group, m->is_wide);
    if (!is_good || !has_room(node)) return false;
    struct erasure *e = (void *)buffer_take(node, sizeof(*e) + m->entries.size);
    if (e == NULL) return false;
    memset(e, 0, sizeof(*e));
    e->node = node;
    e->is_own = is_own;
    e->entries = reader_of((struct slice){e->bytes, m->entries.size});
    if (m->entries.size > 0) memcpy(e->bytes, m->entries.data, m->entries.size);
    list_init(&e->wait.link);
    if (m->round > f->purged) f->purged = m->round;
    if (m->is_wide) (void)fence_learn_wide(f, m->round);
    wait_until_durable(node, &e->wait, on_decided);
    return true;
}
