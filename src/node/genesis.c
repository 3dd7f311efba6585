// SPDX-License-Identifier: Apache-2.0
#include "node/genesis.h"

#include "node/agreement.h"
#include "node/epoch.h"
#include "node/gossip.h"
#include "node/join.h"
#include "node/peers.h"
#include "node/purge_answer.h"
#include "node/reconcile.h"
#include "node/replace.h"
#include "node/stand_in.h"

#include <inttypes.h>
#include <stdio.h>

// Whoever claims more of us than this invents it. There must always be a later epoch.
#define LIVES_BELIEVED (UINT32_C(1) << 16)
#define EPOCH_BELIEVED (UINT32_C(1) << 31)

// Of the fact "start".
enum { START_MENDING = 1, START_INTERVAL = 2 };

#define WAITING_NS (5 * NS_PER_SECOND)
enum { WAITING_TEXT_MAX = 512 };

static const struct partition system_partition = {.slot = SLOT_SYSTEM};

static void on_vote_read(struct store_read *read);
static void on_fences_read(struct store_read *read);
static void on_start_read(struct store_read *read);
static void on_map_read(struct store_read *read);
static void write_next_fact(struct node *node);
static enum status list_first(struct node *node);

// A fact is stored as the only sibling of a record, minted like any other, so that the store has
// one kind of content.
static enum status apply_fact(struct store_write *write, struct slice old, struct slice *new) {
    struct node *node = CONTAINER_OF(write, struct node, fact_write);
    struct record *before = &node->records[0];
    enum status st = record_decode(before, old);
    if (st != ST_OK) return st;
    struct version dot = {store_actor(node->store), store_mint(node->store)};
    const struct sibling s = {.dot = dot, .value = {node->fact, node->fact_size}};
    st = record_update(before, &before->context, &s, &node->records[1]);
    if (st != ST_OK) return st;
    struct writer w = writer_to(node->scratch, node->scratch_size);
    record_encode(&node->records[1], &w);
    *new = writer_bytes(&w);
    return w.failed ? ST_TOO_LARGE : ST_OK;
}

// What the fact says; of a former life of the data, if `is_former`. Empty: nothing.
static struct slice fact_value(struct node *node, const struct store_read *read, bool is_former) {
    struct record *r = &node->records[0];
    if (read->status != ST_OK || record_decode(r, read->record) != ST_OK) return (struct slice){0};
    const struct sibling *s = record_latest(r);
    if (s == NULL) return (struct slice){0};
    bool is_own = s->dot.actor.storage == store_actor(node->store).storage;
    return is_own == is_former ? (struct slice){0} : s->value;
}

static void read_fact(struct node *node, struct slice key, store_read_done *done) {
    node->fact_read = (struct store_read){
        .done = done,
        .partition = system_partition,
        .key = key,
    };
    if (store_get(node->store, &node->fact_read)) done(&node->fact_read);
}

// Whoever waits for the node to start is told once; a second status changes nothing.
static void started(struct node *node, enum status status) {
    node_done *done = node->started;
    node->started = NULL;
    if (done != NULL) done(node->started_context, status);
}

void genesis_take_members(struct node *node) {
    uint32_t known = node->members.count;
    if (known == node->map.member_count) return;
    for (uint32_t i = known; i < node->map.member_count; i++) {
        node->members.entries[i] =
            (struct member_entry){.id = node->map.members[i].id, .merged = MEMBER_MERGES_NOTHING};
    }
    node->members.count = node->map.member_count;
    members_on_ids(&node->members);
    gossip_on_map(node, known);
    peers_dial_all(node);
}

static void serve(struct node *node) {
    node->state = NODE_SERVING;
    genesis_take_members(node);
    env_log(node->env, ENV_INFO, "serving members=%u epoch=%llu mending=%d", node->map.member_count,
            (unsigned long long)node->map.epoch, node->is_mending);
    epoch_begin(node);
    replace_on_map(node);
    agreement_tell_store(node);
    reconcile_start(node);
    purge_start(node);
    handoff_start(node);
    for (uint32_t i = 0; i < node->map.member_count; i++) {
        if (peer_link(node, i) != NULL) purge_send_fences(node, peer_link(node, i), true);
    }
}

// A record of the most copies that the map asks for must fit the memory that this member has taken.
static bool has_room_for_copies(struct node *node) {
    uint32_t copies = map_copies_max(&node->map);
    uint32_t most = node_copies_max(node->options.replication);
    if (copies <= most) return true;
    if (!log_is_due(node, &node->copies_logged)) return false;
    env_log(node->env, ENV_ERROR,
            "the map has more copies of a key than replication allows for copies=%u most=%u",
            copies, most);
    return false;
}

enum status genesis_decode_map(struct slice bytes, struct map *map, struct lineage *lineage) {
    struct reader r = reader_of(bytes);
    struct slice cluster = read_bytes(&r, CLUSTER_ID_SIZE);
    struct slice encoded = read_sized(&r, SIZE_MAX);
    enum status st = r.failed ? ST_CORRUPT : map_decode(map, encoded);
    if (st != ST_OK) return st;
    for (uint32_t i = 0; i < map->member_count; i++) map->members[i].storage = read_u64(&r);
    *lineage = (struct lineage){0};
    for (uint64_t i = 0; i < lineage_count(map->epoch); i++) {
        lineage_set(lineage, map->epoch - i, read_u64(&r));
    }
    struct slice of_map = {map->cluster.bytes, CLUSTER_ID_SIZE};
    bool is_one_cluster = cluster.data != NULL && slice_equal(cluster, of_map);
    if (reader_done(&r) && is_one_cluster) return ST_OK;
    map->epoch = 0;
    return ST_CORRUPT;
}

// The stored map is good: it names us. Takes `self`, and sees whether our data is still the one.
static enum status take_map(struct node *node, struct slice bytes) {
    enum status st = genesis_decode_map(bytes, &node->map, &node->epoch.lineage);
    if (st != ST_OK) return st;
    node->cluster = node->map.cluster;
    const char *name = node->options.self.name;
    uint32_t self = map_find_name(&node->map, (struct slice){(const uint8_t *)name, strlen(name)});
    if (self >= node->map.member_count) {
        env_log(
            node->env, ENV_ERROR,
            "the data is that of a member of another name here=%s; give this node the name that "
            "it had, or another dir",
            name);
        node->map.epoch = 0;
        return ST_INVALID;
    }
    if (!has_room_for_copies(node)) {
        node->map.epoch = 0;
        return ST_TOO_LARGE;
    }
    node->self = self;
    return ST_OK;
}

static void encode_start(struct node *node, struct writer *w) {
    bool has_interval = node->options.store.sync_interval_ns > 0;
    write_u64(w, node->incarnation);
    write_u8(
        w, (uint8_t)((node->is_mending ? START_MENDING : 0) | (has_interval ? START_INTERVAL : 0)));
}

void genesis_encode_map(const struct map *map, const struct lineage *lineage, struct writer *w) {
    size_t size = map_encoded_size(map);
    write_bytes(w, (struct slice){map->cluster.bytes, CLUSTER_ID_SIZE});
    write_u32(w, (uint32_t)size);
    uint8_t *to = write_room(w, size);
    if (to != NULL) map_encode(map, to, size);
    for (uint32_t i = 0; i < map->member_count; i++) write_u64(w, map->members[i].storage);
    for (uint64_t i = 0; i < lineage_count(map->epoch); i++) {
        write_u64(w, lineage_author(lineage, map->epoch - i));
    }
}

// A map that was agreed on is stored before it is used.
static void encode_map(const struct node *node, struct writer *w) {
    const struct epoch *e = &node->epoch;
    if (e->is_adopting) {
        genesis_encode_map(&e->next, &e->next_lineage, w);
    } else {
        genesis_encode_map(&node->map, &e->lineage, w);
    }
}

// The first members are known again, whose place it took.
static void forget_map(struct node *node) {
    node->map.epoch = 0;
    if (join_is_newcomer(node)) {
        node->cluster = (struct cluster_id){0};
        node->self = MEMBER_NONE;
        join_start(node);
    }
    if (node->initial.member_count == 0) return;
    must(list_first(node) == ST_OK); // as before
}

static void on_fact_stored(struct node *node, uint8_t fact) {
    bool is_latest = (node->facts_wanted & fact) == 0; // and not what it was a moment ago
    if (is_latest && fact == FACT_VOTE) epoch_on_vote_stored(node);
    if (is_latest && fact == FACT_MAP) epoch_on_map_stored(node);
    if (is_latest && fact == FACT_FENCES) purge_on_fences_stored(node);
}

static void on_fact_written(struct store_write *write) {
    struct node *node = CONTAINER_OF(write, struct node, fact_write);
    uint8_t fact = node->fact_written;
    node->fact_written = 0;
    if (write->status == ST_OK) {
        on_fact_stored(node, fact);
        write_next_fact(node);
        return;
    }
    if (log_is_due(node, &node->facts_logged)) {
        env_log(node->env, ENV_ERROR, "facts not stored status=%s", status_text(write->status));
    }
    if (node->state == NODE_SERVING) {
        node->facts_wanted |= fact; // tried again in the next round of gossip
    } else {
        forget_map(node);
    }
    started(node, write->status);
}

static void put_fact(struct node *node, uint8_t fact, struct slice key, const struct writer *w) {
    must(!w->failed);
    node->facts_wanted &= (uint8_t)~fact;
    node->fact_written = fact;
    node->fact_size = w->size;
    node->fact_write = (struct store_write){
        .apply = apply_fact,
        .done = on_fact_written,
        .partition = system_partition,
        .key = key,
    };
    store_put(node->store, &node->fact_write);
}

// That votes were forgotten is stored before it is that this member is whole again. Fences come
// last, since there may be new ones all the time; a member that mends doubts all of them anyway.
static void write_next_fact(struct node *node) {
    if (node->fact_written != 0) return;
    struct writer w = writer_to(node->fact, node->fact_capacity);
    if (node->facts_wanted & FACT_VOTE) {
        epoch_encode_vote(node, &w);
        put_fact(node, FACT_VOTE, SLICE("vote"), &w);
        return;
    }
    if (node->facts_wanted & FACT_START) {
        encode_start(node, &w);
        put_fact(node, FACT_START, SLICE("start"), &w);
        return;
    }
    if (node->facts_wanted & FACT_MAP) {
        encode_map(node, &w);
        put_fact(node, FACT_MAP, SLICE("map"), &w);
        return;
    }
    if (node->facts_wanted & FACT_FENCES) {
        purge_encode_fences(node, &w);
        put_fact(node, FACT_FENCES, SLICE("fences"), &w);
        return;
    }
    started(node, ST_OK);
    if (node->state == NODE_FOUNDING && node->map.epoch > 0) serve(node);
}

void genesis_write_facts(struct node *node, uint8_t facts) {
    node->facts_wanted |= facts;
    write_next_fact(node);
}

// Waiting for a cluster.

void genesis_tell(struct node *node, uint32_t member) {
    struct link *link = peer_link(node, member);
    if (node->state != NODE_SERVING || link == NULL || !link_is_open(link)) return;
    struct writer w = link_begin(link, (uint32_t)node->fact_capacity);
    genesis_encode_map(&node->map, &node->epoch.lineage, &w);
    (void)link_end(link, MESSAGE_FOUNDED, &w);
}

static bool is_founder(const struct node *node) {
    return node->initial.member_count > 0 && node->self == 0;
}

void genesis_note_description(struct node *node, uint32_t member,
                              const struct map_description *described) {
    if (node->state != NODE_FOUNDING || !is_founder(node)) return;
    map_describe(&node->epoch.next, member, described);
}

static bool everybody_is_here(const struct node *node) {
    for (uint32_t i = 0; i < node->initial.member_count; i++) {
        if (i == node->self) continue;
        const struct peer *peer = &node->peers[i];
        if (peer->out == NULL || !link_is_open(peer->out) || peer->epoch > 0) return false;
    }
    return true;
}

// What was restored is of use only where it lies. Says so once if it would lie elsewhere.
static bool is_placed_as_before(struct node *node, const struct map *map) {
    if (node->former_placement == 0 || map_placement(map) == node->former_placement) return true;
    if (!node->is_refusing) {
        env_log(node->env, ENV_ERROR,
                "restored data is of another layout: the list of first members must have the same "
                "names, hosts, racks, weights and replication as when the snapshot was made");
    }
    node->is_refusing = true;
    return false;
}

// Draws the map of all that have described themselves, in which addresses are lent from the list.
static void draw(struct node *node, struct map *map) {
    map->cluster = node->cluster;
    map->replication = node->options.replication;
    map->member_count = node->initial.member_count;
    memcpy(map->keyspaces, node->map.keyspaces, sizeof(map->keyspaces)); // that were restored
    map->next_keyspace = node->map.next_keyspace;
    map_count_keyspaces(map);
    map_describe(map, node->self, &node->options.self);
    for (uint32_t i = 0; i < map->member_count; i++) {
        const struct map_member *listed = &node->initial.members[i];
        struct map_member *m = &map->members[i];
        // The list is what every member was started with: its addresses are the ones that count.
        m->address = listed->address;
        m->port = listed->port;
        if (m->host[0] == '\0') m->host = m->name;
        struct slice bytes = {(const uint8_t *)m->name, strlen(m->name)};
        uint64_t seed = 0;
        memcpy(&seed, node->cluster.bytes, sizeof(seed));
        m->id = hash_bytes(bytes, seed) | 1;
        m->storage = i == node->self ? store_actor(node->store).storage : node->peers[i].storage;
    }
    map_propose(map);
}

// The founder reads its map as all others do, so that it takes no more room than theirs.
static void found(struct node *node) {
    struct epoch *e = &node->epoch;
    draw(node, &e->next);
    if (!is_placed_as_before(node, &e->next)) return;
    e->next_lineage = (struct lineage){0};
    struct writer copy = writer_to(node->scratch, node->scratch_size);
    genesis_encode_map(&e->next, &e->next_lineage, &copy);
    must(genesis_decode_map(writer_bytes(&copy), &node->map, &e->lineage) == ST_OK);
    env_log(node->env, ENV_INFO, "cluster founded members=%u", node->map.member_count);
    genesis_write_facts(node, FACT_MAP);
}

static void tell_all(struct node *node) {
    for (uint32_t i = 0; i < node->peer_count; i++) {
        if (i != node->self && node->peers[i].epoch < node->map.epoch) genesis_tell(node, i);
    }
}

void node_name_missing(const struct node *node, struct text *names) {
    const struct map *map = peers_map(node);
    uint32_t unnamed = 0;
    size_t before = names->size;
    for (uint32_t i = 0; node->state == NODE_FOUNDING && i < map->member_count; i++) {
        if (i == node->self || peer_is_up(node, i)) continue;
        const char *name = map->members[i].name;
        bool has_room = names->size + strlen(name) + sizeof(", and 1000 more") < names->capacity;
        if (unnamed == 0 && has_room) {
            text_printf(names, "%s%s", names->size == before ? "" : ", ", name);
        } else {
            unnamed++;
        }
    }
    if (unnamed > 0) text_printf(names, " and %" PRIu32 " more", unnamed);
}

// Once, when the others take longer than a start does.
static void log_waiting(struct node *node) {
    if (node->founding == 0) node->founding = node->env->now;
    if (node->is_waiting_logged || node->env->now - node->founding < WAITING_NS) return;
    char memory[WAITING_TEXT_MAX];
    struct text names = text_over(memory, sizeof(memory));
    node_name_missing(node, &names);
    if (names.size == 0) return;
    node->is_waiting_logged = true;
    env_log(node->env, ENV_WARNING,
            "the cluster is not formed yet: waiting for first members missing=\"%s\"", names.data);
}

void genesis_step(struct node *node) {
    if (node->state == NODE_SERVING) {
        if (gossip_reaches_all(node)) tell_all(node);
    } else if (node->state == NODE_FOUNDING && node->map.epoch == 0) {
        if (is_founder(node) && everybody_is_here(node)) found(node);
        if (!node_is_stranger(node)) log_waiting(node);
    }
}

void genesis_on_founded(struct node *node, struct slice body) {
    if (node->state == NODE_SERVING) {
        epoch_on_told(node, body);
        return;
    }
    if (node->state != NODE_FOUNDING || node->map.epoch > 0) return;
    if (body.size < CLUSTER_ID_SIZE || body.size > node->fact_capacity) return;
    bool is_newcomer = join_is_newcomer(node);
    if (!is_newcomer && memcmp(body.data, node->cluster.bytes, CLUSTER_ID_SIZE) != 0) return;
    if (take_map(node, body) != ST_OK) {
        if (log_is_due(node, &node->map_logged)) {
            env_log(node->env, ENV_ERROR, "the map of a peer is not one for us");
        }
        forget_map(node);
        return;
    }
    bool is_ours = node->map.members[node->self].storage == store_actor(node->store).storage;
    if (!is_ours || !is_placed_as_before(node, &node->map)) {
        forget_map(node);
        return;
    }
    node->former_placement = 0;
    if (is_newcomer) join_on_map(node);
    // Of a later map than the first it cannot tell whether it was there from the beginning.
    bool may_lack = node->map.epoch > 1 || store_stats(node->store).was_damaged;
    if (may_lack && !node->is_mending) {
        env_log(node->env, ENV_WARNING, "this member may lack what others have: mending");
        node->is_mending = true;
        store_forgive(node->store);
        // In the first life of its directory a newcomer has voted on nothing that it could forget.
        bool is_first = node->incarnation == 1 && store_actor(node->store).epoch == 1;
        if (!is_newcomer || !is_first) epoch_forget(node);
    }
    genesis_write_facts(node, FACT_START | FACT_MAP);
}

// Whether nobody else has copies of anything: what is damaged here is nowhere else. Others may have
// joined since.
static bool holds_all_alone(const struct node *node) {
    for (uint32_t i = 0; i < node->map.run_count; i++) {
        const struct map_run *run = &node->map.runs[i];
        if (run->replica_count > 1 || run->replicas[0].member != node->self) return false;
    }
    return node->map.epoch > 0;
}

void genesis_on_mended(struct node *node) {
    if (holds_all_alone(node)) {
        env_log(node->env, ENV_ERROR, "no other member has copies: what was damaged is lost");
    } else {
        env_log(node->env, ENV_INFO, "mended");
    }
    node->is_mending = false;
    agreement_look_again(node);
    store_repaired(node->store);
    genesis_write_facts(node, FACT_START);
}

// A life that has a vote no more counts as a later one, like a start: in each of them at most one
// epoch begins.
static void begin_mending(struct node *node) {
    node->is_mending = true;
    stand_in_renew(node);
    epoch_forget(node);
    if (node->incarnation < UINT64_MAX - 1) node->incarnation++;
    genesis_write_facts(node, FACT_START);
    reconcile_with_all(node);
}

void genesis_has_missed_purges(struct node *node) {
    env_log(node->env, ENV_ERROR,
            "this store has forgotten what was purged: it may be an older copy of itself: mending");
    store_renew(node->store, 0);
    genesis_write_facts(node, FACT_FENCES);
    begin_mending(node);
}

static void note_forgotten(struct node *node, uint64_t epoch) {
    if (epoch > node->forgotten && epoch < EPOCH_BELIEVED) node->forgotten = (uint32_t)epoch;
}

void genesis_mend_if_damaged(struct node *node) {
    if (node->state != NODE_SERVING || node->is_mending || holds_all_alone(node)) return;
    if (!store_stats(node->store).was_damaged) return;
    env_log(node->env, ENV_WARNING, "data was found damaged: mending");
    store_renew(node->store, 0);
    store_forgive(node->store);
    purge_doubt_all(node);
    begin_mending(node);
}

void genesis_outlive(struct node *node, const struct member_entry *known) {
    if (node->state != NODE_SERVING || known->incarnation == UINT64_MAX) return;
    struct actor own = store_actor(node->store);
    uint64_t lives = known->incarnation - node->incarnation;
    node->incarnation = known->incarnation + 1;
    genesis_write_facts(node, FACT_START);
    if (known->storage != own.storage) return;
    // Each life that is forgotten has begun one epoch at most.
    note_forgotten(node, own.epoch + 1 + (lives < LIVES_BELIEVED ? lives : LIVES_BELIEVED));
    genesis_renew_if_forgotten(node);
}

bool genesis_has_forgotten(struct node *node, const struct context *known) {
    struct version minted = store_minted(node->store);
    struct version latest = context_latest(known, minted.actor.storage);
    bool is_ahead = latest.counter > 0 && version_compare(latest, minted) > 0;
    if (is_ahead) note_forgotten(node, latest.actor.epoch);
    return is_ahead || node->forgotten > 0;
}

void genesis_renew_if_forgotten(struct node *node) {
    if (node->forgotten == 0) return;
    store_renew(node->store, node->forgotten);
    node->forgotten = 0;
    node->stats.renewals++;
    env_log(node->env, ENV_ERROR,
            "this store has forgotten what it wrote: it may be an older copy of itself; new "
            "epoch=%u",
            store_actor(node->store).epoch);
    if (node->map.member_count == 1) return;
    purge_doubt_all(node);
    begin_mending(node);
}

// Starting.

void genesis_start(struct node *node) {
    read_fact(node, SLICE("vote"), on_vote_read);
}

static void on_vote_read(struct store_read *read) {
    struct node *node = CONTAINER_OF(read, struct node, fact_read);
    struct slice value = fact_value(node, read, false);
    enum status st = read->status == ST_NOT_FOUND ? ST_OK : read->status;
    if (value.size > 0) st = epoch_decode_vote(node, value);
    if (st != ST_OK) {
        started(node, st);
        return;
    }
    read_fact(node, SLICE("fences"), on_fences_read);
}

// What was purged in a former life of the data was so, too.
static void on_fences_read(struct store_read *read) {
    struct node *node = CONTAINER_OF(read, struct node, fact_read);
    struct slice value = fact_value(node, read, false);
    if (value.size == 0) value = fact_value(node, read, true);
    enum status st = read->status == ST_NOT_FOUND ? ST_OK : read->status;
    if (value.size > 0) st = purge_decode_fences(node, value);
    if (st != ST_OK) {
        started(node, st);
        return;
    }
    read_fact(node, SLICE("start"), on_start_read);
}

// What was stored without a sync may be gone when the life before this one did not end in order:
// the store has then begun an epoch. With a sync for each write it is there.
static bool may_have_forgotten(const struct node *node, uint8_t flags) {
    bool has_interval = (flags & START_INTERVAL) != 0 || node->options.store.sync_interval_ns > 0;
    const struct sibling *start = record_latest(&node->records[0]);
    return has_interval && start->dot.actor.epoch != store_actor(node->store).epoch;
}

static void on_start_read(struct store_read *read) {
    struct node *node = CONTAINER_OF(read, struct node, fact_read);
    if (read->status != ST_OK && read->status != ST_NOT_FOUND) {
        started(node, read->status);
        return;
    }
    struct slice value = fact_value(node, read, false);
    if (value.size > 0) {
        struct reader r = reader_of(value);
        node->incarnation = read_u64(&r);
        uint8_t flags = read_u8(&r);
        node->is_mending = (flags & START_MENDING) != 0;
        if (!reader_done(&r)) {
            started(node, ST_CORRUPT);
            return;
        }
        if (may_have_forgotten(node, flags)) epoch_forget(node);
    }
    node->incarnation++;
    read_fact(node, SLICE("map"), on_map_read);
}

// A cluster of first members has the id that follows from their list; one alone draws its own.
static struct cluster_id name_cluster(struct node *node, const struct map *initial) {
    uint64_t id[2];
    id[0] = rng_next(&node->rng);
    id[1] = rng_next(&node->rng);
    if (node->options.initial != NULL) {
        id[0] = 1;
        id[1] = 2;
        for (uint32_t i = 0; i < initial->member_count; i++) {
            char line[NAME_SIZE_MAX + ADDRESS_SIZE_MAX + 16];
            const struct map_member *m = &initial->members[i];
            int size = snprintf(line, sizeof(line), "%s=%s:%u", m->name, m->address, m->port);
            must(size > 0 && (size_t)size < sizeof(line));
            struct slice bytes = {(const uint8_t *)line, (size_t)size};
            for (int half = 0; half < 2; half++) id[half] = hash_bytes(bytes, id[half]);
        }
    }
    uint64_t number = store_restored_for(node->store);
    if (number == 0) number = node->options.cluster;
    for (int half = 0; half < 2 && number != 0; half++) id[half] = hash_number(id[half] ^ number);
    struct cluster_id cluster;
    memcpy(cluster.bytes, id, sizeof(id));
    return cluster;
}

static enum status parse_initial(const struct node *node, struct map *initial) {
    initial->member_count = 0;
    if (node->options.initial != NULL) {
        struct slice list = {(const uint8_t *)node->options.initial, strlen(node->options.initial)};
        return map_parse_initial(list, initial);
    }
    if (node->options.seeds == NULL) {
        initial->member_count = 1;
        map_describe(initial, 0, &node->options.self);
    }
    return ST_OK;
}

// The first members, and which of them this one is.
static enum status list_first(struct node *node) {
    enum status st = parse_initial(node, &node->initial);
    const char *name = node->options.self.name;
    struct slice bytes = {(const uint8_t *)name, strlen(name)};
    node->self = map_find_name(&node->initial, bytes);
    if (node->options.seeds != NULL) node->self = MEMBER_NONE; // it will be told
    return st;
}

static enum status read_initial(struct node *node) {
    const struct map *initial = &node->initial;
    enum status st = list_first(node);
    if (st != ST_OK) return st;
    if (node->options.seeds != NULL) return ST_OK;
    node->cluster = name_cluster(node, initial);
    return node->self < initial->member_count ? ST_OK : ST_INVALID;
}

// The word of new-cluster is not the one that the data was restored or founded with. Of one alone,
// whose id follows from nothing, it cannot be told.
static bool is_of_other_word(struct node *node) {
    uint64_t word = node->options.cluster;
    if (word == 0) return false;
    uint64_t restored = store_restored_for(node->store);
    bool is_other = restored != 0 && restored != word;
    if (!is_other && node->map.epoch > 0 && node->options.initial != NULL) {
        struct map *initial = &node->epoch.next;
        if (parse_initial(node, initial) != ST_OK) return false;
        struct cluster_id named = name_cluster(node, initial);
        is_other = memcmp(named.bytes, node->cluster.bytes, sizeof(named.bytes)) != 0;
    }
    if (is_other) {
        env_log(node->env, ENV_ERROR,
                "the data was restored or founded with another new-cluster, or with another "
                "initial; start it with those, or without new-cluster");
    }
    return is_other;
}

// A directory that was exchanged for another member's, or copied from it: two would mint the dots
// of one, and this one would vouch for what it does not hold.
static bool is_of_another(const struct node *node) {
    uint64_t storage = store_actor(node->store).storage;
    for (uint32_t i = 0; i < node->map.member_count; i++) {
        if (i == node->self || node->map.members[i].storage != storage) continue;
        env_log(node->env, ENV_ERROR,
                "the data is that of another member name=%s; give this node its own dir",
                node->map.members[i].name);
        return true;
    }
    return false;
}

// The others find this member where the map has it, and nowhere else. Who starts it at another
// address started a copy, perhaps, and the member itself still runs. One alone may be moved.
static bool is_elsewhere(const struct node *node) {
    const struct map_member *known = &node->map.members[node->self];
    const struct map_description *self = &node->options.self;
    if (node->map.member_count == 1) return false;
    if (known->port == self->port && strcmp(known->address, self->address) == 0) return false;
    env_log(
        node->env, ENV_ERROR,
        "the cluster knows this member at another address name=%s known=%s:%u here=%s:%u; start "
        "it there, and a new one with an empty directory",
        known->name, known->address, known->port, self->address, self->port);
    return true;
}

// Whether the map of a former life, just decoded, says that the data is that of the member whose
// name we have.
static bool was_ours(const struct node *node, uint64_t storage) {
    for (uint32_t i = 0; i < node->map.member_count; i++) {
        if (node->map.members[i].storage != storage) continue;
        if (strcmp(node->map.members[i].name, node->options.self.name) == 0) return true;
        env_log(node->env, ENV_ERROR,
                "the data was restored from that of another member name=%s; each needs its own",
                node->map.members[i].name);
    }
    return false;
}

// ST_OK: there is no map of a former life. ST_NOT_FOUND: there is, and no other; its layout is
// noted. ST_INVALID: that of another member; ST_TOO_LARGE, ST_CORRUPT: as map_decode says.
static enum status note_former_map(struct node *node, const struct store_read *read) {
    struct slice value = fact_value(node, read, true);
    if (value.size == 0) return ST_OK;
    uint64_t storage = record_latest(&node->records[0])->dot.actor.storage;
    struct lineage lineage;
    enum status st = genesis_decode_map(value, &node->map, &lineage);
    if (st != ST_OK) return st;
    node->former_placement = map_placement(&node->map);
    node->map.epoch = 0;
    return was_ours(node, storage) ? ST_NOT_FOUND : ST_INVALID;
}

static void on_map_read(struct store_read *read) {
    struct node *node = CONTAINER_OF(read, struct node, fact_read);
    enum status st = note_former_map(node, read);
    bool is_former = st != ST_OK;
    struct slice value = fact_value(node, read, false);
    if (st == ST_OK) st = read->status;
    if (st == ST_OK) {
        st = take_map(node, value);
        if (st == ST_OK && (is_of_another(node) || is_elsewhere(node) || is_of_other_word(node))) {
            node->map.epoch = 0;
            st = ST_INVALID;
        }
    } else if (st == ST_NOT_FOUND) {
        st = is_of_other_word(node) ? ST_INVALID : read_initial(node);
    }
    if (st != ST_OK) {
        started(node, st);
        return;
    }
    bool has_data = node->map.epoch > 0 || is_former;
    bool has_keys = store_keyspaces(node->store, NULL, 0) > 0;
    node->is_blank = !has_data && !has_keys && !store_stats(node->store).was_damaged;
    if (store_stats(node->store).was_damaged && has_data) {
        env_log(node->env, ENV_WARNING, "data was damaged: mending");
        node->is_mending = true;
    }
    if (purge_is_behind(node)) node->is_mending = true; // it was about to
    if (node->is_mending) epoch_forget(node);
    // One alone has nobody to fetch from: it keeps saying what it cannot read.
    if (node->is_mending && !holds_all_alone(node)) store_forgive(node->store);
    node->state = NODE_FOUNDING;
    genesis_write_facts(node, FACT_START);
    peers_start(node);
    if (node->map.epoch == 0) join_start(node);
    genesis_step(node);
}
