// SPDX-License-Identifier: Apache-2.0
#include "sim/steward.h"

#include "base/text.h"
#include "sim/memory.h"
#include "sim/scans.h"

#include <stdio.h>
#include <string.h>

#define ADMIN_PATIENCE_NS (30 * NS_PER_SECOND) // longer than a member takes to say UNKNOWN
#define TTL_MS "2840000000000"                 // some 90 years: no clock gets there
#define RETRY_NS (20 * NS_PER_MS)

enum { TAGGED = 1, FOREIGN = 2 }; // places of keys

enum { ADDRESS_SIZE = 40, ARGUMENTS_MAX = 16, KEYS_OF_A_NAME = TENANCY_KEYS_MAX / STEWARD_NAMES };

static const char *const names[STEWARD_NAMES] = {"east", "west"};

static void on_tenant_turn(void *context);
static void on_admin_turn(void *context);

static uint64_t now(const struct steward *s) {
    return world_now(s->cluster->world);
}

static void later(const struct steward *s, uint64_t ns, void (*function)(void *), void *context) {
    world_at(s->cluster->world, now(s) + ns, function, context);
}

static uint64_t pause_of(struct steward *s) {
    return 1 + rng_next(&s->rng) % s->think_ns;
}

// Chooses whom to talk to; mostly the one before. False: not yet.
static bool turn_to_member(struct steward *s, struct client *c, uint32_t *member, char *address) {
    if (client_is_busy(c)) return false;
    if (!c->is_connected || rng_chance(&s->rng, 1, 6)) {
        *member = rng_below(&s->rng, s->cluster->options.members);
    }
    (void)snprintf(address, ADDRESS_SIZE, "%s:%d", s->cluster->processes[*member].name,
                   CLUSTER_PORT);
    return client_turn_to(c, address);
}

static bool begins_with(struct slice s, const char *word) {
    size_t size = strlen(word);
    return s.size >= size && memcmp(s.data, word, size) == 0;
}

static enum outcome outcome_of(const struct resp_reply *reply) {
    if (!reply->is_error) return OUTCOME_OK;
    return begins_with(reply->value, "UNKNOWN") ? OUTCOME_UNKNOWN : OUTCOME_NOT_DONE;
}

// What became of a call that was not answered.
static enum outcome unanswered(const struct client *client) {
    return client->was_sent ? OUTCOME_UNKNOWN : OUTCOME_NOT_DONE;
}

// Keys.

// Of each name two plain ones, one behind a hash tag, and one that only looks like it: "{t}east:1"
// has no ':' behind its tag, and belongs to no keyspace of that name.
static void add_key(struct steward *s, uint32_t name, uint32_t place) {
    struct steward_keyspace *k = &s->keyspaces[name];
    char tag[8] = "";
    char text[24];
    uint32_t number = k->key_count++;
    if (place == TAGGED || place == FOREIGN) {
        (void)snprintf(tag, sizeof(tag), "{t%u}%s", number, place == TAGGED ? ":" : "");
    }
    (void)snprintf(text, sizeof(text), "%s%s:%u", tag, names[name], number);
    scans_add_guest(s->oracle, text);
    k->keys[place] = tenancy_add_key(&s->tenancy, text, place == FOREIGN ? STEWARD_NAMES : name);
}

// A write of unknown outcome may come to light at any time: nothing more can be told of the key for
// certain. Another one takes its place.
static void replace_key(struct steward *s, uint32_t key) {
    for (uint32_t name = 0; name < STEWARD_NAMES; name++) {
        for (uint32_t i = 0; i < STEWARD_KEYS; i++) {
            bool has_more = s->keyspaces[name].key_count < KEYS_OF_A_NAME;
            if (s->keyspaces[name].keys[i] == key && has_more) add_key(s, name, i);
        }
    }
}

// Tenants.

static void add_call(struct steward_tenant *t, enum steward_call_kind kind, uint32_t key) {
    struct steward *s = t->steward;
    must(t->call_count < STEWARD_BATCH_MAX);
    struct steward_call *call = &t->calls[t->call_count++];
    *call = (struct steward_call){.kind = kind, .key = key, .write = ORACLE_NONE, .begin = now(s)};
    char value[TENANCY_VALUE_MAX];
    struct slice arguments[3] = {SLICE("GET"), slice_of_string(s->tenancy.keys[key].name)};
    uint32_t count = 2;
    if (kind != STEWARD_GET) {
        call->write = tenancy_begin_write(&s->tenancy, key, kind == STEWARD_DEL, now(s));
        arguments[0] = kind == STEWARD_DEL ? SLICE("DEL") : SLICE("SET");
    }
    if (kind == STEWARD_SET) {
        tenancy_value(call->write, value);
        arguments[count++] = slice_of_string(value);
    }
    client_add(&t->client, count, arguments);
}

// For every key that a keyspace of that name has, or any does.
static void add_calls(struct steward_tenant *t, enum steward_call_kind kind, uint32_t name) {
    const struct tenancy *tenancy = &t->steward->tenancy;
    for (uint32_t i = 0; i < tenancy->key_count; i++) {
        if (name == STEWARD_NAMES || tenancy->keys[i].prefix == name) add_call(t, kind, i);
    }
}

static void draw_calls(struct steward_tenant *t) {
    static const enum steward_call_kind usual[8] = {
        STEWARD_SET, STEWARD_SET, STEWARD_SET, STEWARD_DEL,
        STEWARD_GET, STEWARD_GET, STEWARD_GET, STEWARD_GET,
    };
    struct steward *s = t->steward;
    uint32_t name = rng_below(&s->rng, STEWARD_NAMES);
    const struct steward_keyspace *k = &s->keyspaces[name];
    if (k->is_emptying && rng_chance(&s->rng, 5, 8)) {
        add_calls(t, STEWARD_DEL, name);
        return;
    }
    do {
        enum steward_call_kind kind = usual[rng_below(&s->rng, 8)];
        uint32_t place = rng_below(&s->rng, STEWARD_KEYS);
        if (k->is_emptying && place != FOREIGN && rng_chance(&s->rng, 2, 3)) kind = STEWARD_GET;
        add_call(t, kind, k->keys[place]);
    } while (t->call_count < STEWARD_KEYS && rng_chance(&s->rng, 1, 3));
}

static void end_call(struct steward_tenant *t, struct steward_call *call, enum outcome outcome) {
    struct steward *s = t->steward;
    call->is_over = true;
    if (call->write != ORACLE_NONE) {
        tenancy_end_write(&s->tenancy, call->write, outcome, now(s));
        if (outcome == OUTCOME_UNKNOWN) replace_key(s, call->key);
    }
    if (s->is_strict && outcome != OUTCOME_OK) {
        oracle_fail(s->oracle, "O29 healed, and a call of key=%s is not done",
                    s->tenancy.keys[call->key].name);
    }
}

static void on_tenant_reply(struct client *client, uint32_t number, const struct resp_reply *reply,
                            struct slice whole) {
    struct steward_tenant *t = CONTAINER_OF(client, struct steward_tenant, client);
    struct steward_call *call = &t->calls[number];
    (void)whole;
    enum outcome outcome = outcome_of(reply);
    end_call(t, call, outcome);
    if (call->kind != STEWARD_GET || outcome != OUTCOME_OK) return;
    struct slice value = reply->is_null ? (struct slice){0} : reply->value;
    tenancy_judge_read(&t->steward->tenancy, call->key, call->begin, value);
}

static void on_tenant_over(struct client *client, bool is_whole) {
    struct steward_tenant *t = CONTAINER_OF(client, struct steward_tenant, client);
    for (uint32_t i = 0; i < t->call_count && !is_whole; i++) {
        if (!t->calls[i].is_over) end_call(t, &t->calls[i], unanswered(client));
    }
    t->call_count = 0;
    later(t->steward, pause_of(t->steward), on_tenant_turn, t);
}

static bool admin_is_over(const struct steward *s) {
    const struct steward_admin *a = s->admin;
    return a->begun >= a->wanted && !a->change.is_under_way;
}

static void on_tenant_turn(void *context) {
    struct steward_tenant *t = context;
    struct steward *s = t->steward;
    char address[ADDRESS_SIZE];
    bool visits = t->is_to_read || t->is_to_delete;
    if (!visits && (s->is_strict || admin_is_over(s))) return;
    if (!turn_to_member(s, &t->client, &t->member, address)) {
        later(s, RETRY_NS, on_tenant_turn, t);
        return;
    }
    if (t->is_to_read) {
        add_calls(t, STEWARD_GET, STEWARD_NAMES);
        t->is_to_read = false;
    } else if (t->is_to_delete) {
        add_calls(t, STEWARD_DEL, STEWARD_NAMES);
        t->is_to_delete = false;
    } else {
        draw_calls(t);
    }
    client_go(&t->client, address);
}

// The admin: what is asked for.

static void draw_levels(struct rng *rng, struct steward_change *c) {
    static const char *const levels[2] = {"QUORUM", "ALL"};
    if (rng_chance(rng, 1, 2)) c->read = levels[rng_below(rng, 2)];
    if (rng_chance(rng, 1, 2)) c->write = levels[rng_below(rng, 2)];
    c->says_ttl = rng_chance(rng, 1, 2);
}

static void draw_alter(struct rng *rng, const struct steward_keyspace *k,
                       struct steward_change *c) {
    c->verb = KEYSPACE_ALTER;
    if (rng_chance(rng, 1, 2)) {
        draw_levels(rng, c);
        c->says_ttl |= c->read == NULL && c->write == NULL;
    } else if (rng_chance(rng, 1, 2)) {
        c->replication = 1 + rng_below(rng, REPLICATION_DEFAULT);
    } else {
        c->says_conflict = true;
        c->conflict = k->conflict == CONFLICT_LWW ? CONFLICT_SIBLINGS : CONFLICT_LWW;
    }
}

static void draw_create(struct rng *rng, struct steward_change *c) {
    c->verb = KEYSPACE_CREATE;
    c->replication = 1 + rng_below(rng, REPLICATION_DEFAULT);
    c->says_conflict = true;
    c->conflict = rng_chance(rng, 1, 2) ? CONFLICT_LWW : CONFLICT_SIBLINGS;
    draw_levels(rng, c);
}

static void draw_compression(struct steward *s, struct steward_change *c) {
    if (!s->compresses || !rng_chance(&s->compression_rng, 1, 2)) return;
    uint32_t kind = rng_below(&s->compression_rng, COMPRESSION_ZSTD);
    c->compression = (enum keyspace_compression)(COMPRESSION_NONE + kind);
}

// Now and then one that cannot be right.
static struct steward_change draw_change(struct steward *s) {
    struct steward_change c = {.name = rng_below(&s->rng, STEWARD_NAMES)};
    const struct steward_keyspace *k = &s->keyspaces[c.name];
    bool takes_it_to_be_there = k->is_there != rng_chance(&s->rng, 1, 10);
    if (s->flushes && rng_chance(&s->rng, 1, 2)) {
        c.verb = KEYSPACE_FLUSH;
    } else if (!takes_it_to_be_there) {
        draw_create(&s->rng, &c);
        draw_compression(s, &c);
    } else if (rng_chance(&s->rng, 2, 5)) {
        c.verb = KEYSPACE_DROP;
    } else {
        draw_alter(&s->rng, k, &c);
        draw_compression(s, &c);
    }
    return c;
}

static bool moves(const struct steward *s, const struct steward_change *c) {
    const struct steward_keyspace *k = &s->keyspaces[c->name];
    if (c->verb == KEYSPACE_CREATE || c->verb == KEYSPACE_DROP) return true;
    if (c->replication != 0 && c->replication != k->replication) return true;
    return c->says_conflict && c->conflict != k->conflict;
}

static uint32_t add_pair(struct slice *arguments, uint32_t count, struct slice word,
                         const char *value) {
    arguments[count] = word;
    arguments[count + 1] = slice_of_string(value);
    return count + 2;
}

static void add_change(struct steward_admin *a) {
    static const char *const verbs[] = {
        [KEYSPACE_CREATE] = "CREATE", [KEYSPACE_ALTER] = "ALTER", [KEYSPACE_DROP] = "DROP"};
    const struct steward_change *c = &a->change;
    char copies[12];
    struct slice arguments[ARGUMENTS_MAX] = {SLICE("FLUSHALL")};
    uint32_t count = 1;
    if (c->verb != KEYSPACE_FLUSH) {
        arguments[0] = SLICE("KEYSPACE");
        count = add_pair(arguments, count, slice_of_string(verbs[c->verb]), names[c->name]);
    }
    (void)snprintf(copies, sizeof(copies), "%u", c->replication);
    if (c->replication != 0) count = add_pair(arguments, count, SLICE("REPLICATION"), copies);
    if (c->read != NULL) count = add_pair(arguments, count, SLICE("READ"), c->read);
    if (c->write != NULL) count = add_pair(arguments, count, SLICE("WRITE"), c->write);
    if (c->says_conflict) {
        count = add_pair(arguments, count, SLICE("CONFLICT"), keyspace_conflict_text(c->conflict));
    }
    if (c->says_ttl) count = add_pair(arguments, count, SLICE("TTL"), TTL_MS);
    if (c->compression != COMPRESSION_UNSET) {
        count = add_pair(arguments, count, SLICE("COMPRESSION"),
                         keyspace_compression_text(c->compression));
    }
    client_add(&a->client, count, arguments);
}

// What became of it.

static void note_made(struct steward *s, const struct steward_change *c) {
    struct steward_keyspace *k = &s->keyspaces[c->name];
    bool has_moved = moves(s, c);
    // Of a keyspace of which little is known nobody can tell whether it was altered.
    if (has_moved && (c->verb != KEYSPACE_ALTER || !k->is_in_doubt)) {
        tenancy_judge_move(&s->tenancy, c->name, c->begin);
    }
    s->counts.created += c->verb == KEYSPACE_CREATE;
    s->counts.dropped += c->verb == KEYSPACE_DROP;
    s->counts.moved += c->verb == KEYSPACE_ALTER && has_moved;
    s->counts.altered += c->verb == KEYSPACE_ALTER && !has_moved;
    k->is_there = c->verb != KEYSPACE_DROP;
    if (c->replication != 0) k->replication = c->replication;
    if (c->says_conflict) k->conflict = c->conflict;
    bool is_new = c->verb == KEYSPACE_CREATE;
    if (is_new || c->compression != COMPRESSION_UNSET) k->compression = c->compression;
}

static void end_change(struct steward_admin *a, enum outcome outcome, struct slice reply) {
    struct steward *s = a->steward;
    struct steward_change *c = &a->change;
    bool is_flush = c->verb == KEYSPACE_FLUSH;
    c->is_answered = true;
    if (is_flush) tenancy_end_flush(&s->tenancy, c->flush, outcome, now(s));
    if (outcome == OUTCOME_OK) {
        s->counts.flushed += is_flush;
        if (!is_flush) note_made(s, c);
    } else if (outcome == OUTCOME_UNKNOWN) {
        s->counts.unknown++;
        if (!is_flush) s->keyspaces[c->name].is_in_doubt = true;
    } else if (begins_with(reply, "HASKEYS")) {
        s->counts.held++;
    } else {
        s->counts.refused++;
    }
    if (s->is_strict && outcome != OUTCOME_OK) {
        oracle_fail(s->oracle, "O29 healed and empty, and %s is not dropped or created: %.*s",
                    names[c->name], (int)reply.size, (const char *)reply.data);
    }
}

static void on_admin_reply(struct client *client, uint32_t number, const struct resp_reply *reply,
                           struct slice whole) {
    (void)number;
    (void)whole;
    struct steward_admin *a = CONTAINER_OF(client, struct steward_admin, client);
    end_change(a, outcome_of(reply), reply->value);
}

static uint64_t done_count(const struct steward *s) {
    const struct steward_counts *c = &s->counts;
    return c->created + c->altered + c->moved + c->dropped + c->flushed;
}

static void on_admin_over(struct client *client, bool is_whole) {
    (void)is_whole;
    struct steward_admin *a = CONTAINER_OF(client, struct steward_admin, client);
    struct steward *s = a->steward;
    if (!a->change.is_answered) end_change(a, unanswered(client), SLICE("nothing was answered"));
    a->change.is_under_way = false;
    s->keyspaces[a->change.name].is_emptying = false;
    if (done_count(s) >= a->enough) a->wanted = a->begun;
    later(s, 5 * pause_of(s), on_admin_turn, a);
}

static void on_admin_go(void *context) {
    struct steward_admin *a = context;
    struct steward *s = a->steward;
    struct steward_change *c = &a->change;
    char address[ADDRESS_SIZE];
    if (!turn_to_member(s, &a->client, &a->member, address)) {
        later(s, RETRY_NS, on_admin_go, a);
        return;
    }
    c->begin = now(s);
    if (c->verb == KEYSPACE_FLUSH) c->flush = tenancy_begin_flush(&s->tenancy, now(s));
    add_change(a);
    client_go(&a->client, address);
}

static void begin_change(struct steward_admin *a, const struct steward_change *c, uint64_t wait) {
    a->change = *c;
    a->change.is_under_way = true;
    a->begun++;
    later(a->steward, wait, on_admin_go, a);
}

static void on_admin_turn(void *context) {
    struct steward_admin *a = context;
    struct steward *s = a->steward;
    if (s->is_strict || a->begun >= a->wanted) return;
    struct steward_change c = draw_change(s);
    uint64_t wait = pause_of(s);
    if (c.verb != KEYSPACE_FLUSH && moves(s, &c) && rng_chance(&s->rng, 3, 4)) {
        s->keyspaces[c.name].is_emptying = true;
        wait = rng_spread(&s->rng, 200 * NS_PER_MS, 3 * NS_PER_SECOND);
    }
    begin_change(a, &c, wait);
}

// The run.

static void add_client(struct steward *s, struct client *c, const char *host,
                       client_reply *on_reply, client_over *on_over) {
    client_init(c, world_add_machine(s->cluster->world, host));
    c->on_reply = on_reply;
    c->on_over = on_over;
}

static void add_clients(struct steward *s) {
    s->tenants = memory_take(STEWARD_TENANTS, sizeof(*s->tenants));
    s->admin = memory_take(1, sizeof(*s->admin));
    for (uint32_t i = 0; i < STEWARD_TENANTS; i++) {
        char host[16];
        (void)snprintf(host, sizeof(host), "t%u", i + 1);
        s->tenants[i].steward = s;
        add_client(s, &s->tenants[i].client, host, on_tenant_reply, on_tenant_over);
    }
    s->admin->steward = s;
    add_client(s, &s->admin->client, "admin", on_admin_reply, on_admin_over);
    s->admin->client.patience_ns = ADMIN_PATIENCE_NS;
}

void steward_init(struct steward *s, struct nemesis *nemesis, struct oracle *oracle,
                  bool is_possible) {
    *s = (struct steward){
        .cluster = nemesis->cluster,
        .oracle = oracle,
        .rng = world_stream(nemesis->cluster->world, 9),
        .compression_rng = world_stream(nemesis->cluster->world, 10),
    };
    tenancy_init(&s->tenancy, oracle);
    s->is_there = rng_chance(&s->rng, 3, 10) && is_possible;
    if (!s->is_there) return;
    nemesis_spare_bytes(nemesis);
    s->flushes = rng_chance(&s->rng, 1, 4);
    s->compresses = rng_chance(&s->compression_rng, 1, 2);
    s->think_ns = rng_spread(&s->rng, 10 * NS_PER_MS, 200 * NS_PER_MS);
    add_clients(s);
    s->admin->wanted = 50;
    s->admin->enough = 4 + rng_below(&s->rng, 9);
    for (uint32_t i = 0; i < STEWARD_NAMES * STEWARD_KEYS; i++) {
        add_key(s, i / STEWARD_KEYS, i % STEWARD_KEYS);
    }
}

void steward_free(struct steward *s) {
    tenancy_free(&s->tenancy);
    memory_give(s->tenants);
    memory_give(s->admin);
}

void steward_start(struct steward *s) {
    if (!s->is_there) return;
    for (uint32_t i = 0; i < STEWARD_TENANTS; i++) on_tenant_turn(&s->tenants[i]);
    on_admin_turn(s->admin);
}

bool steward_is_over(const struct steward *s) {
    if (!s->is_there) return true;
    for (uint32_t i = 0; i < STEWARD_TENANTS; i++) {
        const struct steward_tenant *t = &s->tenants[i];
        if (t->is_to_read || t->is_to_delete || client_is_busy(&t->client)) return false;
    }
    return admin_is_over(s);
}

void steward_stop(struct steward *s) {
    if (s->is_there) s->admin->wanted = s->admin->begun;
}

// The end.

bool steward_is_calm(const struct steward *s) {
    for (uint32_t i = 0; i < s->cluster->options.members; i++) {
        const struct node *node = cluster_node(s->cluster, i);
        if (node == NULL) return false;
        for (uint32_t j = 0; j < KEYSPACES_MAX; j++) {
            enum keyspace_state state = node_map(node)->keyspaces[j].state;
            if (state != KEYSPACE_FREE && state != KEYSPACE_ACTIVE) return false;
        }
    }
    return true;
}

// Takes over what the member has, where the answers did not tell.
static void check_keyspace(struct steward *s, uint32_t name, const struct map *map) {
    struct steward_keyspace *k = &s->keyspaces[name];
    uint32_t place = keyspace_find(map->keyspaces, slice_of_string(names[name]));
    bool is_there = place < KEYSPACES_MAX;
    const struct keyspace none = {
        .replication = k->replication, .conflict = k->conflict, .compression = k->compression};
    const struct keyspace *found = is_there ? &map->keyspaces[place] : &none;
    bool is_same = is_there == k->is_there && found->replication == k->replication &&
                   found->conflict == k->conflict && found->compression == k->compression;
    if (!is_same && !k->is_in_doubt) {
        oracle_fail(
            s->oracle, "O29 keyspace %s is there=%d copies=%u %s %s, not there=%d copies=%u %s %s",
            names[name], is_there, found->replication, keyspace_conflict_text(found->conflict),
            keyspace_compression_text(found->compression), k->is_there, k->replication,
            keyspace_conflict_text(k->conflict), keyspace_compression_text(k->compression));
    }
    k->is_there = is_there;
    k->is_in_doubt = false;
    k->replication = found->replication;
    k->conflict = found->conflict;
    k->compression = found->compression;
}

void steward_check(struct steward *s) {
    tenancy_settle(&s->tenancy, now(s));
    for (uint32_t i = 0; i < s->cluster->options.members; i++) {
        const struct map *map = node_map(cluster_node(s->cluster, i));
        for (uint32_t name = 0; name < STEWARD_NAMES; name++) check_keyspace(s, name, map);
    }
}

void steward_visit(struct steward *s, bool deletes) {
    struct steward_tenant *t = &s->tenants[0];
    s->is_strict = true;
    client_leave(&t->client); // it may not know yet that its member was restarted
    t->is_to_read = true;
    t->is_to_delete = deletes;
    on_tenant_turn(t);
}

void steward_ask(struct steward *s, uint32_t name) {
    struct steward_change c = {.name = name, .verb = KEYSPACE_DROP};
    s->is_strict = true;
    if (!s->keyspaces[name].is_there) draw_create(&s->rng, &c);
    client_leave(&s->admin->client);
    begin_change(s->admin, &c, 0);
}
