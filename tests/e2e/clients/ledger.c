// SPDX-License-Identifier: Apache-2.0
//
// ledger.c -- writes more than a node's memory holds, and knows what must be there.
//
//     ledger PORT FILE KEYS SIZE load              every key once, in order
//     ledger PORT FILE KEYS SIZE work SEED         overwrites, and new keys while there are any
//     ledger PORT FILE KEYS SIZE verify SEED N     reads N keys at random, or all of them (0)
//
// A value follows from its key and version, byte for byte, and is of SIZE / 2 to SIZE * 3 / 2
// bytes. FILE says of each key which version was acknowledged last and which was tried last: any
// version between the two may be read. What was read counts as acknowledged, since nobody may be
// shown what can still be lost. A key belongs to one connection, so its versions are written in
// order.
//
// `load` and `work` go on until they are through, their input ends, or the server goes away, which
// is no failure: what had no answer then was tried. The last line is `done` and figures; anything
// else is a failure.
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

enum { CONNECTIONS = 8, WINDOW = 32, TIMEOUT_SECONDS = 60, HEAD = 16, NEW_KEY_PERCENT = 20 };

#define CHECK(cond) check((cond), #cond, __LINE__)

static void check(bool holds, const char *what, int line) {
    if (holds) return;
    (void)fprintf(stderr, "ledger.c:%d: %s (errno %d)\n", line, what, errno);
    exit(EXIT_FAILURE);
}

struct entry {
    uint32_t acked; // version; 0: none
    uint32_t tried;
};

// The file, mapped.
struct ledger {
    uint64_t used; // keys that a write was ever tried of: those below it
    struct entry entries[];
};

struct request {
    uint64_t key;
    uint32_t version;
};

struct connection {
    redisContext *context;
    struct request window[WINDOW];
    uint32_t count;
};

static struct ledger *ledger;
static uint64_t key_count;
static uint64_t value_size;
static uint64_t dice;
static uint64_t operations;
static uint64_t bytes;
static struct connection connections[CONNECTIONS];

static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 31)) * UINT64_C(0x7fb5d329728ea185);
    x = (x ^ (x >> 27)) * UINT64_C(0x81dadef4bc2dd44d);
    return x ^ (x >> 33);
}

static uint64_t draw(void) {
    dice += UINT64_C(0x9e3779b97f4a7c15);
    return mix(dice);
}

// `to` has room for 2 * value_size.
static size_t make_value(uint64_t key, uint32_t version, char *to) {
    uint64_t state = mix(mix(key + 1) + version);
    size_t size = value_size / 2 + state % value_size;
    uint64_t head[2] = {key, version};
    memcpy(to, head, HEAD);
    for (size_t i = HEAD; i < size; i += sizeof(state)) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        memcpy(to + i, &state, size - i < sizeof(state) ? size - i : sizeof(state));
    }
    return size;
}

static void open_ledger(const char *path) {
    size_t size = sizeof(*ledger) + key_count * sizeof(ledger->entries[0]);
    int file = open(path, O_RDWR | O_CREAT, 0600);
    CHECK(file >= 0);
    CHECK(ftruncate(file, (off_t)size) == 0);
    ledger = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(ledger != MAP_FAILED);
    close(file);
}

static void connect_all(int port) {
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        redisContext *c = redisConnect("127.0.0.1", port);
        CHECK(c != NULL);
        CHECK(c->err == 0);
        struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};
        CHECK(redisSetTimeout(c, timeout) == REDIS_OK);
        connections[i].context = c;
    }
}

// Hands a window of requests to the kernel; false when the server is away.
static bool send_all(redisContext *c) {
    int is_done = 0;
    while (!is_done) {
        if (redisBufferWrite(c, &is_done) != REDIS_OK) return false;
    }
    return true;
}

static bool is_input_open(void) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&input, 1, 0) <= 0) return true;
    char byte;
    return read(STDIN_FILENO, &byte, 1) > 0;
}

// Writing.

static void append_set(struct connection *c, uint64_t key) {
    static char *value;
    if (value == NULL) value = malloc(2 * value_size + HEAD);
    CHECK(value != NULL);
    struct entry *e = &ledger->entries[key];
    uint32_t version = ++e->tried;
    char name[32];
    const char *arguments[] = {"SET", name, value};
    size_t sizes[] = {3, (size_t)snprintf(name, sizeof(name), "ledger:%" PRIu64, key),
                      make_value(key, version, value)};
    CHECK(redisAppendCommandArgv(c->context, 3, arguments, sizes) == REDIS_OK);
    c->window[c->count++] = (struct request){key, version};
    bytes += sizes[1] + sizes[2];
}

// False when the server went away.
static bool take_answers(struct connection *c) {
    for (uint32_t i = 0; i < c->count; i++) {
        void *got = NULL;
        if (redisGetReply(c->context, &got) != REDIS_OK) return false;
        redisReply *reply = got;
        if (reply->type != REDIS_REPLY_STATUS) (void)fprintf(stderr, "SET: %s\n", reply->str);
        CHECK(reply->type == REDIS_REPLY_STATUS);
        freeReplyObject(reply);
        ledger->entries[c->window[i].key].acked = c->window[i].version;
        operations++;
    }
    return true;
}

static uint64_t next_key(uint32_t connection, bool only_new, bool *is_over) {
    bool is_new = only_new || draw() % 100 < NEW_KEY_PERCENT || ledger->used < CONNECTIONS;
    if (is_new && ledger->used < key_count) return ledger->used++;
    *is_over = only_new;
    uint64_t key = draw() % ledger->used;
    key -= key % CONNECTIONS;
    return key + connection < ledger->used ? key + connection : connection;
}

// True when there was nothing more to do.
static bool write_keys(bool only_new) {
    bool is_over = false;
    while (!is_over && is_input_open()) {
        for (uint32_t i = 0; i < CONNECTIONS; i++) connections[i].count = 0;
        for (uint32_t i = 0; i < CONNECTIONS * WINDOW && !is_over; i++) {
            uint64_t key = next_key(i % CONNECTIONS, only_new, &is_over);
            struct connection *c = &connections[key % CONNECTIONS];
            if (!is_over && c->count < WINDOW) append_set(c, key);
        }
        bool is_there = true;
        for (uint32_t i = 0; i < CONNECTIONS; i++) is_there &= send_all(connections[i].context);
        for (uint32_t i = 0; i < CONNECTIONS; i++) is_there &= take_answers(&connections[i]);
        if (!is_there) return false;
    }
    return true;
}

// Reading.

static void append_get(struct connection *c, uint64_t key) {
    char name[32];
    const char *arguments[] = {"GET", name};
    size_t sizes[] = {3, (size_t)snprintf(name, sizeof(name), "ledger:%" PRIu64, key)};
    CHECK(redisAppendCommandArgv(c->context, 2, arguments, sizes) == REDIS_OK);
    c->window[c->count++] = (struct request){.key = key};
}

static void check_value(uint64_t key, const redisReply *reply) {
    static char *value;
    if (value == NULL) value = malloc(2 * value_size + HEAD);
    CHECK(value != NULL);
    struct entry *e = &ledger->entries[key];
    uint64_t head[2] = {key, 0};
    bool is_right = false;
    if (reply->type == REDIS_REPLY_NIL) {
        is_right = e->acked == 0;
    } else if (reply->type == REDIS_REPLY_STRING && reply->len >= HEAD) {
        memcpy(head, reply->str, HEAD);
        is_right = head[0] == key && head[1] >= e->acked && head[1] > 0 && head[1] <= e->tried &&
                   reply->len == make_value(key, (uint32_t)head[1], value) &&
                   memcmp(reply->str, value, reply->len) == 0;
    }
    if (!is_right) {
        (void)fprintf(stderr,
                      "key %" PRIu64 ": acknowledged %u, tried %u, but got type %d, %zu bytes: key "
                      "%" PRIu64 " version %" PRIu64 " %s\n",
                      key, e->acked, e->tried, reply->type, reply->len, head[0], head[1],
                      reply->type == REDIS_REPLY_ERROR ? reply->str : "");
        exit(EXIT_FAILURE);
    }
    e->acked = (uint32_t)head[1];
    operations++;
    bytes += reply->len;
}

static void verify(uint64_t count) {
    bool is_all = count == 0 || count >= ledger->used;
    if (is_all) count = ledger->used;
    for (uint64_t done = 0; done < count;) {
        for (uint32_t i = 0; i < CONNECTIONS; i++) {
            struct connection *c = &connections[i];
            c->count = 0;
            while (c->count < WINDOW && done < count) {
                append_get(c, is_all ? done : draw() % ledger->used);
                done++;
            }
            CHECK(send_all(c->context));
        }
        for (uint32_t i = 0; i < CONNECTIONS; i++) {
            struct connection *c = &connections[i];
            for (uint32_t k = 0; k < c->count; k++) {
                void *reply = NULL;
                CHECK(redisGetReply(c->context, &reply) == REDIS_OK);
                check_value(c->window[k].key, reply);
                freeReplyObject(reply);
            }
        }
    }
}

int main(int count, char **arguments) {
    CHECK(count >= 6);
    const char *what = arguments[5];
    key_count = strtoull(arguments[3], NULL, 10);
    value_size = strtoull(arguments[4], NULL, 10);
    CHECK(value_size >= 2 * HEAD);
    if (count > 6) dice = strtoull(arguments[6], NULL, 10);
    open_ledger(arguments[2]);
    connect_all(atoi(arguments[1]));
    bool is_over = true;
    if (strcmp(what, "load") == 0) {
        is_over = write_keys(true);
    } else if (strcmp(what, "work") == 0) {
        is_over = write_keys(false);
    } else {
        CHECK(strcmp(what, "verify") == 0 && count == 8);
        verify(strtoull(arguments[7], NULL, 10));
    }
    printf("%s operations=%" PRIu64 " bytes=%" PRIu64 " keys=%" PRIu64 "\n",
           is_over ? "done" : "server went away; done", operations, bytes, ledger->used);
    return EXIT_SUCCESS;
}
