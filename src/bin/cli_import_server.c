// SPDX-License-Identifier: Apache-2.0
//
// From a running server: SCAN, and for each key that it names TYPE, PEXPIRETIME (before Redis 7:
// PTTL) and, of strings, GET. What is there all the time is imported; of what changes meanwhile,
// some state.
#include "bin/cli_import.h"

#include "base/must.h"
#include "bin/cli_options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PAGE = 256, ADDRESS_PARTS_MAX = 512 };

// redis://[[user]:password@]host[:port][/database]
struct address {
    char text[ADDRESS_PARTS_MAX];
    const char *user; // or NULL, like
    const char *password;
    const char *host;
    uint64_t port;
    uint64_t database;
    bool has_database; // it names one
};

static const char scheme[] = "redis://";

// False when there is no room for all of it.
static bool copy_text(char *to, size_t capacity, const char *from) {
    int size = snprintf(to, capacity, "%s", from);
    return size >= 0 && (size_t)size < capacity;
}

static bool read_address(const char *source, struct address *a) {
    const char *text = source + strlen(scheme);
    *a = (struct address){.port = 6379};
    if (!copy_text(a->text, sizeof(a->text), text)) return false;
    char *host = a->text;
    char *at = strrchr(host, '@');
    if (at != NULL) {
        char *colon = strchr(host, ':');
        *at = '\0';
        if (colon == NULL || colon > at) return false;
        *colon = '\0';
        a->user = colon == host ? NULL : host;
        a->password = colon + 1;
        host = at + 1;
    }
    char *slash = strchr(host, '/');
    if (slash != NULL) {
        *slash = '\0';
        a->has_database = slash[1] != '\0';
        if (a->has_database && !cli_read_number(slash + 1, false, &a->database)) return false;
    }
    char *colon = strrchr(host, ':');
    if (colon != NULL) {
        *colon = '\0';
        if (!cli_read_number(colon + 1, false, &a->port) || a->port == 0 || a->port > 65535) {
            return false;
        }
    }
    size_t size = strlen(host);
    if (host[0] == '[' && host[size - 1] == ']') { // an address of IPv6
        host[size - 1] = '\0';
        host++;
    }
    a->host = host;
    return host[0] != '\0';
}

struct origin {
    struct import *in;
    redisContext *context;
    char name[ADDRESS_PARTS_MAX + 8]; // host:port
    bool tells_moment;                // when keys expire, not only how long they have left
};

static bool complain(const struct origin *o, const char *why) {
    terminal_clear(&o->in->terminal);
    cli_complain("import", "%s: %s", o->name, why);
    return false;
}

// The next reply, of the type. NULL: there is none, which has been said.
static redisReply *hear(const struct origin *o, int type) {
    void *got = NULL;
    if (redisGetReply(o->context, &got) != REDIS_OK) {
        (void)complain(o, o->context->errstr);
        return NULL;
    }
    redisReply *reply = got;
    if (reply->type == type) return reply;
    (void)complain(o, reply->type == REDIS_REPLY_ERROR ? reply->str : "an answer of another form");
    freeReplyObject(reply);
    return NULL;
}

static bool command(const struct origin *o, int count, const char **words) {
    must(redisAppendCommandArgv(o->context, count, words, NULL) == REDIS_OK);
    redisReply *reply = hear(o, REDIS_REPLY_STATUS);
    if (reply == NULL) return false;
    freeReplyObject(reply);
    return true;
}

static bool enter(const struct origin *o, const struct address *a) {
    char number[24];
    (void)snprintf(number, sizeof(number), "%" PRIu64, a->database);
    const char *with_user[] = {"AUTH", a->user, a->password};
    const char *without[] = {"AUTH", a->password};
    const char *select[] = {"SELECT", number};
    if (a->user != NULL && !command(o, 3, with_user)) return false;
    if (a->user == NULL && a->password != NULL && !command(o, 2, without)) return false;
    return a->database == 0 || command(o, 2, select);
}

// Whether it has PEXPIRETIME. False as a result: there is no answer, which has been said.
static bool probe(struct origin *o) {
    const char *words[] = {"PEXPIRETIME", "x"};
    must(redisAppendCommandArgv(o->context, 2, words, NULL) == REDIS_OK);
    void *got = NULL;
    if (redisGetReply(o->context, &got) != REDIS_OK) return complain(o, o->context->errstr);
    redisReply *reply = got;
    o->tells_moment = reply->type == REDIS_REPLY_INTEGER;
    freeReplyObject(reply);
    return true;
}

static enum rdb_kind kind_of(const char *type) {
    static const char *const names[RDB_KINDS] = {"string", "list", "set", "zset", "hash", "stream"};
    for (int i = 0; i < RDB_MODULE; i++) {
        if (strcmp(type, names[i]) == 0) return (enum rdb_kind)i;
    }
    return RDB_MODULE;
}

static void ask(const struct origin *o, const char *verb, const redisReply *key) {
    const char *words[] = {verb, key->str};
    const size_t sizes[] = {strlen(verb), key->len};
    must(redisAppendCommandArgv(o->context, 2, words, sizes) == REDIS_OK);
}

static int64_t now_ms(void) {
    struct timespec now;
    must(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Which of the keys are strings, and when each expires, ms since 1970; 0: never.
static bool look(const struct origin *o, const redisReply *keys, bool *is_string,
                 int64_t *expires_ms) {
    for (size_t i = 0; i < keys->elements; i++) {
        ask(o, "TYPE", keys->element[i]);
        ask(o, o->tells_moment ? "PEXPIRETIME" : "PTTL", keys->element[i]);
    }
    for (size_t i = 0; i < keys->elements; i++) {
        redisReply *type = hear(o, REDIS_REPLY_STATUS);
        redisReply *ttl = type == NULL ? NULL : hear(o, REDIS_REPLY_INTEGER);
        bool is_heard = ttl != NULL;
        if (is_heard) {
            bool is_gone = strcmp(type->str, "none") == 0;
            enum rdb_kind kind = kind_of(type->str);
            is_string[i] = kind == RDB_STRING;
            expires_ms[i] = ttl->integer < 0 ? 0 : ttl->integer;
            if (ttl->integer >= 0 && !o->tells_moment) expires_ms[i] += now_ms();
            if (is_gone) {
                o->in->expired++;
            } else if (kind != RDB_STRING) {
                o->in->others[kind]++;
            }
        }
        if (type != NULL) freeReplyObject(type);
        if (ttl != NULL) freeReplyObject(ttl);
        if (!is_heard) return false;
    }
    return true;
}

// A key that is no string any more counts as one that expired.
static bool take_value(const struct origin *o, const redisReply *key, int64_t expires_ms) {
    void *got = NULL;
    if (redisGetReply(o->context, &got) != REDIS_OK) return complain(o, o->context->errstr);
    redisReply *reply = got;
    bool is_good = true;
    if (reply->type == REDIS_REPLY_STRING) {
        const struct slice name = {(const uint8_t *)key->str, key->len};
        const struct slice value = {(const uint8_t *)reply->str, reply->len};
        is_good = import_string(o->in, name, value, expires_ms);
    } else {
        o->in->expired++; // or replaced by a value of another kind
    }
    freeReplyObject(reply);
    return is_good;
}

static bool import_page(const struct origin *o, const redisReply *keys) {
    bool *is_string = calloc(keys->elements + 1, sizeof(*is_string));
    int64_t *expires_ms = calloc(keys->elements + 1, sizeof(*expires_ms));
    must(is_string != NULL);
    must(expires_ms != NULL);
    bool is_good = look(o, keys, is_string, expires_ms);
    for (size_t i = 0; i < keys->elements && is_good; i++) {
        if (is_string[i]) ask(o, "GET", keys->element[i]);
    }
    for (size_t i = 0; i < keys->elements && is_good; i++) {
        if (is_string[i]) is_good = take_value(o, keys->element[i], expires_ms[i]);
    }
    free(is_string);
    free(expires_ms);
    return is_good;
}

static bool is_page(const redisReply *page) {
    if (page->elements != 2 || page->element[0]->type != REDIS_REPLY_STRING) return false;
    if (page->element[0]->len >= IMPORT_POSITION_MAX) return false;
    const redisReply *keys = page->element[1];
    if (keys->type != REDIS_REPLY_ARRAY) return false;
    for (size_t i = 0; i < keys->elements; i++) {
        if (keys->element[i]->type != REDIS_REPLY_STRING) return false;
    }
    return true;
}

static bool walk(const struct origin *o) {
    struct import *in = o->in;
    do {
        if (redisAppendCommand(o->context, "SCAN %s COUNT %d", in->position, PAGE) != REDIS_OK) {
            return complain(o, o->context->errstr);
        }
        redisReply *page = hear(o, REDIS_REPLY_ARRAY);
        if (page == NULL) return false;
        bool is_good = is_page(page);
        if (!is_good) {
            (void)complain(o, "an answer to SCAN that is none");
        } else {
            in->done += page->element[1]->elements;
            is_good = import_page(o, page->element[1]) && import_settle(in);
        }
        if (is_good) must(copy_text(in->position, sizeof(in->position), page->element[0]->str));
        freeReplyObject(page);
        if (!is_good || import_is_stopped()) return false;
    } while (strcmp(in->position, "0") != 0);
    return true;
}

// For the progress alone.
static uint64_t count_keys(const struct origin *o) {
    const char *words[] = {"DBSIZE"};
    must(redisAppendCommandArgv(o->context, 1, words, NULL) == REDIS_OK);
    redisReply *reply = hear(o, REDIS_REPLY_INTEGER);
    if (reply == NULL) return 0;
    uint64_t count = (uint64_t)reply->integer;
    freeReplyObject(reply);
    return count;
}

bool import_server(struct import *in) {
    struct address a;
    struct origin o = {.in = in};
    if (!read_address(in->source, &a)) {
        cli_complain("import", "an address is redis://[[user]:password@]host[:port][/database]");
        return false;
    }
    if (a.has_database && in->database != 0 && in->database != a.database) {
        cli_complain("import", "the address names another database than --database");
        return false;
    }
    if (!a.has_database) a.database = in->database;
    uint64_t number = 0;
    const char *from = in->from == NULL ? "0" : in->from;
    if (!cli_read_number(from, false, &number) ||
        !copy_text(in->position, sizeof(in->position), from)) {
        cli_complain("import", "--from is the number that an earlier import named");
        return false;
    }
    (void)snprintf(o.name, sizeof(o.name), "%s:%u", a.host, (unsigned)a.port);
    struct timeval timeout = {.tv_sec = (time_t)in->timeout_s};
    o.context = redisConnectWithTimeout(a.host, (int)a.port, timeout);
    must(o.context != NULL);
    bool is_reached = o.context->err == 0 && redisSetTimeout(o.context, timeout) == REDIS_OK;
    if (!is_reached) (void)complain(&o, o.context->errstr);
    bool is_done = is_reached && enter(&o, &a) && probe(&o);
    if (is_done) {
        in->total = count_keys(&o);
        is_done = walk(&o);
    }
    redisFree(o.context);
    return is_done;
}
