// SPDX-License-Identifier: Apache-2.0
//
// hiredis_client.c -- what every client must get right, by hiredis.
//
//     hiredis_client PORT PORT
//
// Writes through the first port, reads through the second. Then it works through the first until
// its input ends, which tells it that the trouble is over. Its last line is `done`; anything else
// is a failure.
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { PIPELINE = 1000, LARGE = 1024 * 1024, KEYS = 100, AFTER = 300, TIMEOUT_SECONDS = 20 };

#define CHECK(cond) check((cond), #cond, __LINE__)

static void check(bool holds, const char *what, int line) {
    if (holds) return;
    (void)fprintf(stderr, "hiredis_client.c:%d: %s\n", line, what);
    exit(EXIT_FAILURE);
}

static redisContext *connect_to(const char *port) {
    redisContext *c = redisConnect("127.0.0.1", atoi(port));
    CHECK(c != NULL && c->err == 0);
    struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};
    CHECK(redisSetTimeout(c, timeout) == REDIS_OK);
    return c;
}

static redisReply *ask(redisContext *c, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = redisvCommand(c, format, arguments);
    va_end(arguments);
    if (reply == NULL) (void)fprintf(stderr, "%s: %s\n", format, c->errstr);
    CHECK(reply != NULL);
    return reply;
}

static bool is_status(redisReply *reply, const char *text) {
    bool holds = reply->type == REDIS_REPLY_STATUS && strcmp(reply->str, text) == 0;
    if (!holds && reply->str != NULL) (void)fprintf(stderr, "got %s\n", reply->str);
    freeReplyObject(reply);
    return holds;
}

static bool is_string(redisReply *reply, const void *data, size_t size) {
    bool holds = reply->type == REDIS_REPLY_STRING && reply->len == size &&
                 memcmp(reply->str, data, size) == 0;
    freeReplyObject(reply);
    return holds;
}

static bool is_integer(redisReply *reply, long long from, long long to) {
    bool holds =
        reply->type == REDIS_REPLY_INTEGER && reply->integer >= from && reply->integer <= to;
    freeReplyObject(reply);
    return holds;
}

static bool is_error(redisReply *reply, const char *begin) {
    bool holds = reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, begin, strlen(begin)) == 0;
    freeReplyObject(reply);
    return holds;
}

static bool is_nil(redisReply *reply) {
    bool holds = reply->type == REDIS_REPLY_NIL;
    freeReplyObject(reply);
    return holds;
}

static void check_values(redisContext *one, redisContext *two) {
    CHECK(is_nil(ask(one, "GET hi:none")));
    CHECK(is_status(ask(one, "SET hi:a %s", "1"), "OK"));
    CHECK(is_string(ask(two, "GET hi:a"), "1", 1));
    CHECK(is_integer(ask(two, "DEL hi:a hi:none"), 1, 1));
    CHECK(is_nil(ask(one, "GET hi:a")));
    CHECK(is_status(ask(one, "MSET hi:1 one hi:2 two hi:3 %b", "", (size_t)0), "OK"));
    redisReply *all = ask(two, "MGET hi:1 hi:2 hi:3 hi:4");
    CHECK(all->type == REDIS_REPLY_ARRAY && all->elements == 4);
    CHECK(strcmp(all->element[0]->str, "one") == 0 && strcmp(all->element[1]->str, "two") == 0);
    CHECK(all->element[2]->len == 0 && all->element[3]->type == REDIS_REPLY_NIL);
    freeReplyObject(all);
    CHECK(is_integer(ask(one, "EXPIRE hi:1 100"), 1, 1));
    CHECK(is_integer(ask(two, "TTL hi:1"), 90, 100));
    CHECK(is_error(ask(one, "GET"), "ERR wrong number of arguments"));
    CHECK(is_error(ask(one, "NOSUCH thing"), "ERR unknown command 'NOSUCH'"));
}

static void check_bytes(redisContext *one, redisContext *two) {
    char bytes[256];
    for (int i = 0; i < 256; i++) bytes[i] = (char)i;
    CHECK(is_status(ask(one, "SET %b %b", bytes, sizeof(bytes), bytes, sizeof(bytes)), "OK"));
    CHECK(is_string(ask(two, "GET %b", bytes, sizeof(bytes)), bytes, sizeof(bytes)));
    char *large = malloc(LARGE);
    CHECK(large != NULL);
    for (int i = 0; i < LARGE; i++) large[i] = (char)(i * 31);
    CHECK(is_status(ask(one, "SET hi:large %b", large, (size_t)LARGE), "OK"));
    CHECK(is_string(ask(two, "GET hi:large"), large, LARGE));
    free(large);
}

static redisReply *next_reply(redisContext *c) {
    void *reply = NULL;
    CHECK(redisGetReply(c, &reply) == REDIS_OK);
    return reply;
}

static void check_pipeline(redisContext *one, redisContext *two) {
    for (int i = 0; i < PIPELINE; i++) redisAppendCommand(one, "SET hi:p:%d %d", i, i);
    for (int i = 0; i < PIPELINE; i++) CHECK(is_status(next_reply(one), "OK"));
    for (int i = 0; i < PIPELINE; i++) redisAppendCommand(two, "GET hi:p:%d", i);
    for (int i = 0; i < PIPELINE; i++) {
        char text[16];
        int size = snprintf(text, sizeof(text), "%d", i);
        CHECK(is_string(next_reply(two), text, (size_t)size));
    }
}

static void check_scan(redisContext *two) {
    bool seen[PIPELINE] = {false};
    char cursor[32] = "0";
    do {
        redisReply *page = ask(two, "SCAN %s MATCH hi:p:* COUNT 50", cursor);
        CHECK(page->type == REDIS_REPLY_ARRAY && page->elements == 2);
        CHECK(page->element[0]->len < sizeof(cursor));
        strcpy(cursor, page->element[0]->str);
        for (size_t i = 0; i < page->element[1]->elements; i++) {
            int number = atoi(page->element[1]->element[i]->str + strlen("hi:p:"));
            CHECK(number >= 0 && number < PIPELINE);
            seen[number] = true;
        }
        freeReplyObject(page);
    } while (strcmp(cursor, "0") != 0);
    for (int i = 0; i < PIPELINE; i++) CHECK(seen[i]);
}

static bool has_input_ended(void) {
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&in, 1, 0) > 0;
}

// Another node dies meanwhile. Nothing of it is seen here but time.
static void work(redisContext *one) {
    (void)printf("running\n");
    (void)fflush(stdout);
    int after = 0;
    for (int i = 0; after < AFTER; i++) {
        char text[16];
        int size = snprintf(text, sizeof(text), "%d", i);
        redisReply *reply = ask(one, "SET hi:t:%d %s", i % KEYS, text);
        if (reply->type == REDIS_REPLY_ERROR) { // may be done or not, so it is done again
            (void)printf("failed %s\n", reply->str);
            freeReplyObject(reply);
            continue;
        }
        CHECK(is_status(reply, "OK"));
        CHECK(is_string(ask(one, "GET hi:t:%d", i % KEYS), text, (size_t)size));
        if (has_input_ended()) after++;
    }
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    redisContext *one = connect_to(argv[1]);
    redisContext *two = connect_to(argv[2]);
    check_values(one, two);
    check_bytes(one, two);
    check_pipeline(one, two);
    check_scan(two);
    redisFree(two);
    work(one);
    redisFree(one);
    (void)printf("done\n");
    return EXIT_SUCCESS;
}
