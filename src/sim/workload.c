// SPDX-License-Identifier: Apache-2.0
#include "sim/workload.h"

#include "base/text.h"
#include "model/token.h"
#include "sim/memory.h"

#include <stdio.h>
#include <string.h>

static void on_turn(void *context);

static void again(struct workload_client *w) {
    struct world *world = w->workload->cluster->world;
    uint64_t pause = 1 + rng_next(&w->rng) % w->workload->think_ns;
    world_at(world, world_now(world) + pause, on_turn, w);
}

// Choosing.

static uint32_t pick_key(struct workload_client *w, bool is_register) {
    const struct oracle *oracle = w->workload->oracle;
    for (;;) {
        uint32_t key = rng_below(&w->rng, oracle->key_count);
        if (oracle->keys[key].is_register == is_register) return key;
    }
}

static enum call_kind pick_kind(struct workload_client *w) {
    static const enum call_kind kinds[22] = {
        CALL_GET,    CALL_GET,    CALL_GET,    CALL_GET,    CALL_GET,    CALL_SET,
        CALL_SET,    CALL_SET,    CALL_SET,    CALL_DEL,    CALL_KV_GET, CALL_KV_GET,
        CALL_KV_GET, CALL_KV_PUT, CALL_KV_PUT, CALL_KV_PUT, CALL_KV_PUT, CALL_KV_DEL,
        CALL_OTHER,  CALL_SCAN,   CALL_RANGE,  CALL_RANGE,
    };
    return kinds[rng_below(&w->rng, 22)];
}

static struct slice text_of(const char *string) {
    return slice_of_string(string);
}

// Levels.

static uint32_t need_of(const struct workload *workload, const char *level) {
    uint32_t copies = oracle_copies(workload->oracle);
    if (level != NULL && strcmp(level, "SLOPPY") == 0) return 0;
    if (level != NULL && strcmp(level, "ONE") == 0) return 1;
    if (level != NULL && strcmp(level, "ALL") == 0) return copies;
    return copies / 2 + 1;
}

static void draw_levels(struct workload_client *w) {
    static const char *const levels[4] = {"ONE", "QUORUM", "ALL", "SLOPPY"};
    if (rng_chance(&w->rng, 1, 2)) {
        w->read_level = levels[rng_below(&w->rng, 4)];
        w->write_level = levels[rng_below(&w->rng, 4)];
    }
    w->needs.read = w->needs.write = need_of(w->workload, NULL);
}

enum { ARGUMENTS_MAX = 8 };

// What goes over the wire, from the first two arguments on: a command and a key. `number` is room
// for I64_TEXT_MAX bytes, lent. Returns how many arguments there are.
static uint32_t fill_call(struct workload_client *w, enum call_kind kind, struct slice bytes,
                          struct slice token, struct slice *arguments, char *number) {
    uint32_t count = 2;
    switch (kind) {
    case CALL_GET:
        arguments[0] = SLICE("GET");
        break;
    case CALL_SET:
        arguments[0] = SLICE("SET");
        arguments[count++] = bytes;
        break;
    case CALL_DEL:
        arguments[0] = SLICE("DEL");
        break;
    case CALL_KV_GET:
        arguments[0] = SLICE("KV.GET");
        break;
    case CALL_KV_PUT:
    case CALL_KV_DEL:
        arguments[0] = kind == CALL_KV_PUT ? SLICE("KV.PUT") : SLICE("KV.DEL");
        if (kind == CALL_KV_PUT) arguments[count++] = bytes;
        if (token.size > 0) {
            arguments[count++] = SLICE("CONTEXT");
            arguments[count++] = token;
        }
        break;
    case CALL_SCAN:
        scans_draw(&w->walk, &w->rng, world_now(w->workload->cluster->world));
        arguments[0] = SLICE("SCAN");
        arguments[1] = text_of(w->walk.cursor);
        arguments[count++] = SLICE("COUNT");
        arguments[count] = (struct slice){(const uint8_t *)number, 0};
        arguments[count++].size = u64_to_text(w->walk.page, number);
        break;
    case CALL_RANGE:
        ranges_draw(&w->range, &w->rng, w->workload->oracle);
        arguments[0] = SLICE("KV.RANGE");
        arguments[1] = SLICE(RANGES_TAG);
        arguments[2] = text_of(w->range.from);
        arguments[3] = text_of(w->range.to);
        count = 4;
        if (w->range.is_reverse) arguments[count++] = SLICE("REVERSE");
        if (w->range.limit == 0) break;
        arguments[count++] = SLICE("LIMIT");
        arguments[count] = (struct slice){(const uint8_t *)number, 0};
        arguments[count++].size = u64_to_text(w->range.limit, number);
        break;
    case CALL_CONSISTENCY:
        must(w->read_level != NULL);
        must(w->write_level != NULL);
        arguments[0] = SLICE("CONSISTENCY");
        arguments[1] = SLICE("READ");
        arguments[2] = text_of(w->read_level);
        arguments[3] = SLICE("WRITE");
        arguments[4] = text_of(w->write_level);
        count = 5;
        break;
    case CALL_OTHER:
    case CALL_KINDS:
        break;
    }
    return count;
}

// Adds one call to the batch: what goes over the wire, and what the oracle has to know of it.
static void add_call(struct workload_client *w, enum call_kind kind, uint32_t key) {
    struct workload *workload = w->workload;
    struct oracle *oracle = workload->oracle;
    char value[4096];
    struct call *call = &w->calls[w->call_count++];
    *call = (struct call){
        .kind = kind,
        .key = key,
        .write = ORACLE_NONE,
        .start = world_now(workload->cluster->world),
    };
    struct slice name = text_of(oracle->keys[key].name);
    struct slice token = text_of(w->tokens[key]);
    if (token.size > 0 && !rng_chance(&w->rng, 4, 5)) token.size = 0;
    if (kind == CALL_KV_PUT || kind == CALL_KV_DEL) {
        if (token.size > 0) memcpy(call->token, token.data, token.size);
    }
    char number[I64_TEXT_MAX];
    struct slice arguments[ARGUMENTS_MAX] = {SLICE("PING"), name};
    bool is_write =
        kind == CALL_SET || kind == CALL_DEL || kind == CALL_KV_PUT || kind == CALL_KV_DEL;
    bool is_tombstone = kind == CALL_DEL || kind == CALL_KV_DEL;
    if (is_write) call->write = oracle_begin_write(oracle, key, is_tombstone, w->needs);
    struct slice bytes = {(const uint8_t *)value, 0};
    if (is_write && !is_tombstone)
        bytes.size = oracle_value(oracle, call->write, value, sizeof(value));
    uint32_t count = fill_call(w, kind, bytes, token, arguments, number);
    client_add(&w->client, count, arguments);
    workload->begun++;
    workload->counts[kind]++;
}

static void add_calls(struct workload_client *w) {
    w->call_count = 0;
    if (!w->client.is_connected && w->read_level != NULL) {
        w->needs.read = w->needs.write = need_of(w->workload, NULL); // until the answer
        add_call(w, CALL_CONSISTENCY, 0);
        return;
    }
    bool walks = w->workload->oracle->healed_at != UINT64_MAX && rng_chance(&w->rng, 1, 3);
    enum call_kind kind = walks ? CALL_SCAN : pick_kind(w);
    bool is_plain = kind == CALL_GET || kind == CALL_SET || kind == CALL_DEL;
    uint32_t key = pick_key(w, is_plain);
    add_call(w, kind, key);
    // A pipeline: the GET sees the SET before it.
    if (kind == CALL_SET && rng_chance(&w->rng, 1, 3)) add_call(w, CALL_GET, key);
    if (kind == CALL_SET && rng_chance(&w->rng, 1, 6)) {
        add_call(w, CALL_RANGE, key);
        return;
    }
    while (is_plain && w->call_count < WORKLOAD_BATCH_MAX && rng_chance(&w->rng, 1, 8)) {
        add_call(w, CALL_GET, pick_key(w, true));
    }
}

// Replies.

static bool starts_with(struct slice s, const char *word) {
    size_t size = strlen(word);
    return s.size >= size && memcmp(s.data, word, size) == 0;
}

static enum outcome outcome_of(const struct resp_reply *reply) {
    if (!reply->is_error) return OUTCOME_OK;
    return starts_with(reply->value, "UNKNOWN") ? OUTCOME_UNKNOWN : OUTCOME_NOT_DONE;
}

static bool is_word(struct slice s, const char *word) {
    return slice_equal(s, text_of(word));
}

static void keep_token(struct workload_client *w, uint32_t key, struct slice token) {
    // A client that keeps an old context, now and then, is one that must do no harm.
    bool keeps_old = w->tokens[key][0] != '\0' && rng_chance(&w->rng, 1, 5);
    if (keeps_old || token.size >= WORKLOAD_TOKEN_MAX) return;
    memcpy(w->tokens[key], token.data, token.size);
    w->tokens[key][token.size] = '\0';
}

static void take_siblings(struct workload_client *w, const struct call *call, struct slice whole) {
    struct slice rest = whole;
    struct slice bulk;
    struct slice before = {0};
    while (client_next_bulk(&rest, &bulk)) {
        if (is_word(before, "context")) keep_token(w, call->key, bulk);
        if (is_word(before, "value")) {
            uint32_t write = oracle_writer(w->workload->oracle, call->key, bulk);
            if (write != ORACLE_NONE) w->workload->oracle->writes[write].was_read = true;
        }
        before = bulk;
    }
}

static void take_context(const struct workload_client *w, const struct call *call,
                         const char *token, struct context *context) {
    const struct workload *workload = w->workload;
    struct slice key = text_of(workload->oracle->keys[call->key].name);
    context_clear(context);
    if (token[0] == '\0') return;
    uint64_t timestamp = 0;
    must(token_decode(&cluster_secret, key, text_of(token), context, &timestamp) == ST_OK);
}

// What a write answered: a context and a count.
static void judge_written(struct workload_client *w, const struct call *call, struct slice whole) {
    static struct context before, after;
    struct slice bulk;
    struct slice name = {0};
    while (client_next_bulk(&whole, &bulk) && !is_word(name, "context")) name = bulk;
    if (!is_word(name, "context") || bulk.size >= WORKLOAD_TOKEN_MAX) return;
    char token[WORKLOAD_TOKEN_MAX];
    memcpy(token, bulk.data, bulk.size);
    token[bulk.size] = '\0';
    take_context(w, call, call->token, &before);
    take_context(w, call, token, &after);
    oracle_end_context(w->workload->oracle, call->write, &before, &after);
}

// A write of the key that was done and stands before the call in its batch.
static uint32_t write_before(const struct workload_client *w, uint32_t number, uint32_t key) {
    for (uint32_t i = number; i > 0; i--) {
        const struct call *call = &w->calls[i - 1];
        bool is_it = call->write != ORACLE_NONE && call->key == key &&
                     w->workload->oracle->writes[call->write].outcome == OUTCOME_OK;
        if (is_it) return call->write;
    }
    return ORACLE_NONE;
}

static void judge_range(struct workload_client *w, uint32_t number, struct slice whole) {
    struct oracle *oracle = w->workload->oracle;
    uint32_t before[ORACLE_KEYS_MAX];
    for (uint32_t i = 0; i < oracle->key_count; i++) before[i] = write_before(w, number, i);
    ranges_judge(oracle, &w->range, w->calls[number].start, w->needs.read, before, whole);
}

static void on_reply(struct client *client, uint32_t number, const struct resp_reply *reply,
                     struct slice whole) {
    struct workload_client *w = CONTAINER_OF(client, struct workload_client, client);
    struct workload *workload = w->workload;
    struct call *call = &w->calls[number];
    enum outcome outcome = outcome_of(reply);
    call->is_over = true;
    if (outcome == OUTCOME_OK) {
        workload->done++;
        workload->last_ok = world_now(workload->cluster->world);
    } else if (outcome == OUTCOME_NOT_DONE) {
        workload->refused++;
    } else {
        workload->unknown++;
    }
    if (call->write != ORACLE_NONE) {
        oracle_end_write(workload->oracle, call->write, outcome);
    }
    if (outcome != OUTCOME_OK) return;
    if (call->kind == CALL_GET) {
        struct slice value = reply->is_null ? (struct slice){0} : reply->value;
        oracle_end_read(workload->oracle, call->key, call->start,
                        write_before(w, number, call->key), w->needs.read, value);
    } else if (call->kind == CALL_RANGE) {
        judge_range(w, number, whole);
    } else if (call->kind == CALL_SCAN) {
        scans_judge(workload->oracle, &w->walk, workload->oracle->healed_at, whole);
    } else if (call->kind == CALL_CONSISTENCY) {
        w->needs.read = need_of(workload, w->read_level);
        w->needs.write = need_of(workload, w->write_level);
    } else if (call->kind == CALL_KV_GET) {
        take_siblings(w, call, whole);
    } else if (call->kind == CALL_KV_PUT || call->kind == CALL_KV_DEL) {
        take_siblings(w, call, whole);
        // Without a context a delete is one of all there is.
        if (call->kind == CALL_KV_PUT || call->token[0] != '\0') judge_written(w, call, whole);
    }
}

static void on_over(struct client *client, bool is_whole) {
    struct workload_client *w = CONTAINER_OF(client, struct workload_client, client);
    for (uint32_t i = 0; i < w->call_count && !is_whole; i++) {
        struct call *call = &w->calls[i];
        if (call->is_over) continue;
        w->workload->unknown++;
        if (call->write != ORACLE_NONE) {
            oracle_end_write(w->workload->oracle, call->write, OUTCOME_UNKNOWN);
        }
    }
    w->call_count = 0;
    again(w);
}

// Taking turns.

static void on_turn(void *context) {
    struct workload_client *w = context;
    struct workload *workload = w->workload;
    if (workload->begun >= workload->wanted) return;
    if (client_is_busy(&w->client)) {
        again(w);
        return;
    }
    bool moves = rng_chance(&w->rng, 1, 16);
    uint32_t members = workload->cluster->options.members;
    if (moves) w->member = rng_below(&w->rng, members);
    char address[40];
    (void)snprintf(address, sizeof(address), "%s:%d", workload->cluster->processes[w->member].name,
                   CLUSTER_PORT);
    if (!client_turn_to(&w->client, address)) {
        again(w);
        return;
    }
    // A member that does not answer is left for another one.
    if (!w->client.is_connected && rng_chance(&w->rng, 1, 2)) {
        w->member = rng_below(&w->rng, members);
        (void)snprintf(address, sizeof(address), "%s:%d",
                       workload->cluster->processes[w->member].name, CLUSTER_PORT);
    }
    add_calls(w);
    client_go(&w->client, address);
}

void workload_init(struct workload *workload, struct cluster *cluster, struct oracle *oracle,
                   uint32_t clients, uint32_t keys) {
    must(clients <= WORKLOAD_CLIENTS_MAX);
    must(keys >= 2);
    *workload = (struct workload){.cluster = cluster, .oracle = oracle, .client_count = clients};
    workload->clients = memory_take(clients, sizeof(*workload->clients));
    for (uint32_t i = 0; i < keys; i++) {
        char name[24];
        (void)snprintf(name, sizeof(name), "%s%s:%u", i % 2 == 0 ? RANGES_PREFIX : "",
                       i % 3 == 1 ? "merged" : "register", i);
        (void)oracle_add_key(oracle, name, i % 3 != 1);
    }
    for (uint32_t i = 0; i < clients; i++) {
        struct workload_client *w = &workload->clients[i];
        char host[16];
        (void)snprintf(host, sizeof(host), "c%u", i + 1);
        w->workload = workload;
        w->rng = world_stream(cluster->world, 100 + i);
        w->member = rng_below(&w->rng, cluster->options.members);
        draw_levels(w);
        client_init(&w->client, world_add_machine(cluster->world, host));
        w->client.on_reply = on_reply;
        w->client.on_over = on_over;
    }
}

void workload_free(struct workload *workload) {
    memory_give(workload->clients);
}

void workload_start(struct workload *workload) {
    for (uint32_t i = 0; i < workload->client_count; i++) again(&workload->clients[i]);
}

bool workload_is_over(const struct workload *workload) {
    if (workload->begun < workload->wanted) return false;
    for (uint32_t i = 0; i < workload->client_count; i++) {
        if (client_is_busy(&workload->clients[i].client)) return false;
    }
    return true;
}

void workload_hang_up(struct workload *workload) {
    for (uint32_t i = 0; i < workload->client_count; i++) {
        client_leave(&workload->clients[i].client);
    }
}

void workload_extend(struct workload *workload, uint32_t more) {
    workload->wanted = workload->begun + more;
    workload_start(workload);
}
