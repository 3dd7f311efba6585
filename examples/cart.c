// SPDX-License-Identifier: Apache-2.0
//
// cart -- the shopping cart of cart.py, by hiredis.
//
//     cc -o cart cart.c $(pkg-config --cflags --libs hiredis)
//     cart PORT NAME                   shows the cart
//     cart PORT NAME add ITEM [...]    puts items into it
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum { ITEMS_MAX = 10000 };

struct cart {
    int count;
    char *items[ITEMS_MAX]; // sorted, each once
};

static void give_up(const char *why) {
    (void)fprintf(stderr, "cart: %s\n", why);
    exit(EXIT_FAILURE);
}

static void put_in(struct cart *cart, const char *item, size_t size) {
    int at = 0;
    while (at < cart->count && strncmp(cart->items[at], item, size) < 0) at++;
    bool is_there = at < cart->count && strncmp(cart->items[at], item, size) == 0;
    if (is_there && strlen(cart->items[at]) == size) return;
    if (cart->count == ITEMS_MAX) give_up("the cart is full");
    memmove(cart->items + at + 1, cart->items + at,
            (size_t)(cart->count - at) * sizeof(cart->items[0]));
    cart->items[at] = strndup(item, size);
    if (cart->items[at] == NULL) give_up("no memory");
    cart->count++;
}

// One of the carts that stand side by side: items, one a line.
static void put_all_in(struct cart *cart, const char *text, size_t size) {
    const char *end = text + size;
    while (text < end) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        if (stop == NULL) stop = end;
        if (stop > text) put_in(cart, text, (size_t)(stop - text));
        text = stop + 1;
    }
}

// The value of a field: RESP2 has maps as flat arrays.
static const redisReply *field(const redisReply *map, const char *name) {
    for (size_t i = 0; i + 1 < map->elements; i += 2) {
        if (strcmp(map->element[i]->str, name) == 0) return map->element[i + 1];
    }
    give_up("KV.GET answers without what it should");
    return NULL;
}

static redisReply *ask(redisContext *c, int count, const char **words, const size_t *sizes) {
    redisReply *reply = redisCommandArgv(c, count, words, sizes);
    if (reply == NULL) give_up(c->errstr);
    if (reply->type == REDIS_REPLY_ERROR) give_up(reply->str);
    return reply;
}

// Returns the reply that lends *context, which stands for all carts that were read.
static redisReply *read_cart(redisContext *c, const char *key, struct cart *cart,
                             const redisReply **context) {
    const char *words[] = {"KV.GET", key};
    redisReply *reply = ask(c, 2, words, NULL);
    const redisReply *values = field(reply, "values");
    *context = field(reply, "context");
    for (size_t i = 0; i < values->elements; i++) {
        const redisReply *value = field(values->element[i], "value");
        put_all_in(cart, value->str, value->len);
    }
    return reply;
}

static void empty(struct cart *cart) {
    while (cart->count > 0) free(cart->items[--cart->count]);
}

// Puts the merged cart in place of those that were read. What others write meanwhile stays.
static void add(redisContext *c, const char *key, const char *item) {
    struct cart cart = {0};
    const redisReply *context = NULL;
    redisReply *read = read_cart(c, key, &cart, &context);
    put_in(&cart, item, strlen(item));
    size_t size = 0;
    for (int i = 0; i < cart.count; i++) size += strlen(cart.items[i]) + 1;
    char *text = malloc(size);
    if (text == NULL) give_up("no memory");
    char *end = text;
    for (int i = 0; i < cart.count; i++) end += sprintf(end, i == 0 ? "%s" : "\n%s", cart.items[i]);
    const char *words[] = {"KV.PUT", key, text, "CONTEXT", context->str};
    const size_t sizes[] = {6, strlen(key), (size_t)(end - text), 7, context->len};
    freeReplyObject(ask(c, 5, words, sizes));
    free(text);
    freeReplyObject(read);
    empty(&cart);
}

static void show(redisContext *c, const char *key) {
    struct cart cart = {0};
    const redisReply *context = NULL;
    redisReply *read = read_cart(c, key, &cart, &context);
    for (int i = 0; i < cart.count; i++) (void)puts(cart.items[i]);
    freeReplyObject(read);
    empty(&cart);
}

int main(int argc, char **argv) {
    char key[256];
    if (argc < 3 || (argc > 3 && strcmp(argv[3], "add") != 0)) {
        give_up("usage: cart PORT NAME [add ITEM ...]");
    }
    redisContext *c = redisConnect("127.0.0.1", atoi(argv[1]));
    if (c == NULL || c->err != 0) give_up(c == NULL ? "no memory" : c->errstr);
    (void)snprintf(key, sizeof(key), "cart:%s", argv[2]);
    if (argc == 3) show(c, key);
    for (int i = 4; i < argc; i++) add(c, key, argv[i]);
    redisFree(c);
    return EXIT_SUCCESS;
}
