// SPDX-License-Identifier: Apache-2.0
#include "bin/cli_load_text.h"

#include "base/text.h"

#include <stdio.h>

enum { KEY_DIGITS = 12, KEY_SIZE = 4 + KEY_DIGITS, FRAME_SIZE_MAX = 96 };

const char *const load_command_names[LOAD_COMMANDS] = {"get", "set", "del", "exists", "ping"};

// All that stands in front of the key's digits.
static const char *const heads[LOAD_COMMANDS] = {
    "*2\r\n$3\r\nGET\r\n$16\r\nkey:", "*3\r\n$3\r\nSET\r\n$16\r\nkey:",
    "*2\r\n$3\r\nDEL\r\n$16\r\nkey:", "*2\r\n$6\r\nEXISTS\r\n$16\r\nkey:",
    "*1\r\n$4\r\nPING\r\n",
};

static_assert(KEY_SIZE == 16, "the heads say so");

static void write_digits(uint64_t number, uint8_t *to) {
    for (size_t i = KEY_DIGITS; i-- > 0; number /= 10) to[i] = (uint8_t)('0' + number % 10);
}

// Where in the pool the bytes of a key's value begin.
static size_t pool_offset(uint64_t key) {
    return (size_t)((key * 0x9e3779b97f4a7c15u) >> 48) % LOAD_POOL_SIZE;
}

static uint8_t *append(uint8_t *to, const void *bytes, size_t size) {
    memcpy(to, bytes, size);
    return to + size;
}

static uint8_t *append_value(const struct load_plan *plan, uint64_t key, uint8_t *to) {
    char size[FRAME_SIZE_MAX];
    size[0] = '$';
    size_t digits = 1 + u64_to_text(plan->value_size, size + 1);
    to = append(to, size, digits);
    to = append(to, "\r\n", 2);
    uint8_t head[KEY_DIGITS];
    write_digits(key, head);
    size_t head_size = plan->value_size < KEY_DIGITS ? plan->value_size : KEY_DIGITS;
    to = append(to, head, head_size);
    to = append(to, plan->pool + pool_offset(key), plan->value_size - head_size);
    return append(to, "\r\n", 2);
}

size_t load_write_request(const struct load_plan *plan, enum load_command command, uint64_t key,
                          uint8_t *to) {
    uint8_t *end = append(to, heads[command], strlen(heads[command]));
    if (command == LOAD_PING) return (size_t)(end - to);
    write_digits(key, end);
    end = append(end + KEY_DIGITS, "\r\n", 2);
    if (command == LOAD_SET) end = append_value(plan, key, end);
    return (size_t)(end - to);
}

size_t load_request_size_max(const struct load_plan *plan) {
    return FRAME_SIZE_MAX + plan->value_size;
}

bool load_reply_fits(enum load_command command, const struct resp_reply *reply) {
    switch (command) {
    case LOAD_GET:
        return reply->type == '$' || reply->is_null;
    case LOAD_SET:
    case LOAD_PING:
        return reply->type == '+';
    case LOAD_DEL:
    case LOAD_EXISTS:
        return reply->type == ':';
    case LOAD_COMMANDS:
        break;
    }
    unreachable();
}

bool load_value_fits(const struct load_plan *plan, uint64_t key, struct slice value) {
    uint8_t head[KEY_DIGITS];
    write_digits(key, head);
    size_t head_size = value.size < KEY_DIGITS ? value.size : KEY_DIGITS;
    if (head_size > 0 && memcmp(value.data, head, head_size) != 0) return false;
    // A value larger than those of this run can be checked only as far as the pool goes.
    struct slice rest = slice_skip(value, head_size);
    size_t known = LOAD_POOL_SIZE + plan->value_size - pool_offset(key);
    size_t size = rest.size < known ? rest.size : known;
    return size == 0 || memcmp(rest.data, plan->pool + pool_offset(key), size) == 0;
}
