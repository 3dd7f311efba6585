// SPDX-License-Identifier: Apache-2.0
#include "bin/cli_import.h"

#include "base/must.h"
#include "base/text.h"
#include "bin/cli_options.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { AGAIN_MS = 200, SHOW_NS = 100 * 1000 * 1000, KEY_SHOWN = 40, REFUSALS_SHOWN = 10 };

static volatile sig_atomic_t is_stopped;

static void on_signal(int number) {
    (void)number;
    is_stopped = 1;
}

bool import_is_stopped(void) {
    return is_stopped != 0;
}

void import_stop_on_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

static uint64_t now_ns(clockid_t clock) {
    struct timespec now;
    must(clock_gettime(clock, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void rest(uint64_t ns) {
    (void)nanosleep(&(struct timespec){.tv_sec = (time_t)(ns / 1000000000u),
                                       .tv_nsec = (long)(ns % 1000000000u)},
                    NULL);
}

// Progress.

void import_show(struct import *in) {
    uint64_t now = now_ns(CLOCK_MONOTONIC);
    if (now - in->shown < SHOW_NS) return;
    in->shown = now;
    double seconds = (double)(now - in->begin) / 1e9;
    double left = in->done == 0 || in->done > in->total
                      ? 0
                      : seconds * (double)(in->total - in->done) / (double)in->done;
    char note[80];
    (void)snprintf(note, sizeof(note), "%s strings, %s/s, %.0f s left",
                   human_count((double)in->written).text,
                   human_count((double)in->written / seconds).text, left);
    terminal_progress(&in->terminal, "import", in->done, in->total, note);
}

// Errors.

static bool begins_with_one_of(const char *error, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strncmp(error, words[i], strlen(words[i])) == 0) return true;
    }
    return false;
}

static bool may_be_tried_again(const char *error) {
    static const char *const words[] = {"UNKNOWN ", "NOQUORUM ",    "BUSY ",     "LOADING ",
                                        "OOM ",     "CLUSTERDOWN ", "DISKFULL ", "IOERR "};
    return begins_with_one_of(error, words, sizeof(words) / sizeof(words[0]));
}

// Nothing that follows would be taken either.
static bool ends_import(const char *error) {
    static const char *const words[] = {"NOAUTH ", "WRONGPASS ", "NOPERM ", "MOVED ", "READONLY "};
    return begins_with_one_of(error, words, sizeof(words) / sizeof(words[0]));
}

// The node.

static void hang_up(struct import *in) {
    if (in->node != NULL) redisFree(in->node);
    in->node = NULL;
}

static bool reach(struct import *in, char problem[CLI_PROBLEM_MAX + 1]) {
    if (in->node != NULL) return true;
    in->node = cli_server_reach(&in->to, problem);
    in->is_hopeless = in->node == NULL && ends_import(problem);
    return in->node != NULL;
}

// Refusals.

// What of the key can be shown on a line.
static void show_key(const struct import_item *item, struct text *text) {
    for (size_t i = 0; i < item->key_size && i < KEY_SHOWN; i++) {
        uint8_t c = item->bytes[i];
        if (c < ' ' || c > '~') c = '?';
        text_bytes(text, (struct slice){&c, 1});
    }
    if (item->key_size > KEY_SHOWN) text_string(text, "...");
}

static void refuse(struct import *in, const struct import_item *item, const char *error) {
    char memory[KEY_SHOWN + 4];
    struct text key = text_over(memory, sizeof(memory));
    in->refused++;
    if (in->refused > REFUSALS_SHOWN) return;
    terminal_clear(&in->terminal);
    show_key(item, &key);
    cli_complain("import", "not imported: %s: %s", memory, error);
}

// Batches.

static void send(struct import *in, const struct import_item *item) {
    char digits[I64_TEXT_MAX + 1];
    const char *words[] = {"SET", (const char *)item->bytes,
                           (const char *)item->bytes + item->key_size, "PXAT", digits};
    digits[i64_to_text(item->expires_ms, digits)] = '\0';
    const size_t sizes[] = {3, item->key_size, item->value_size, 4, strlen(digits)};
    int count = item->expires_ms == 0 ? 3 : 5;
    must(redisAppendCommandArgv(in->node, count, words, sizes) == REDIS_OK);
}

// Sends all that is not done and hears what becomes of it. True: nothing has to be sent again.
static bool try_batch(struct import *in, char problem[CLI_PROBLEM_MAX + 1]) {
    bool is_over = true;
    if (!reach(in, problem)) return false;
    for (uint32_t i = 0; i < in->item_count; i++) {
        if (!in->items[i].is_done) send(in, &in->items[i]);
    }
    for (uint32_t i = 0; i < in->item_count; i++) {
        struct import_item *item = &in->items[i];
        void *got = NULL;
        if (item->is_done) continue;
        if (redisGetReply(in->node, &got) != REDIS_OK) {
            cli_server_trouble(&in->to, in->node, problem);
            hang_up(in);
            return false;
        }
        redisReply *reply = got;
        if (reply->type != REDIS_REPLY_ERROR) {
            item->is_done = true;
            in->written++;
        } else if (may_be_tried_again(reply->str) || ends_import(reply->str)) {
            (void)snprintf(problem, CLI_PROBLEM_MAX + 1, "%s", reply->str);
            in->is_hopeless |= ends_import(reply->str);
            is_over = false;
        } else {
            item->is_done = true;
            refuse(in, item, reply->str);
        }
        freeReplyObject(reply);
    }
    return is_over;
}

static void empty(struct import *in) {
    for (uint32_t i = 0; i < in->item_count; i++) free(in->items[i].bytes);
    in->item_count = 0;
    in->item_bytes = 0;
}

// No faster than was asked for.
static void pace(const struct import *in) {
    if (in->rate == 0) return;
    uint64_t due =
        in->begin + (uint64_t)((double)(in->written + in->refused) * 1e9 / (double)in->rate);
    uint64_t now = now_ns(CLOCK_MONOTONIC);
    if (due > now) rest(due - now);
}

bool import_settle(struct import *in) {
    char problem[CLI_PROBLEM_MAX + 1] = "";
    uint64_t begin = now_ns(CLOCK_MONOTONIC);
    bool is_done = false;
    while (in->item_count > 0 && !is_done) {
        is_done = try_batch(in, problem);
        bool is_late = now_ns(CLOCK_MONOTONIC) - begin > in->timeout_s * 1000000000u;
        if (is_done || (!is_late && !in->is_hopeless && !import_is_stopped())) {
            if (!is_done) rest((uint64_t)AGAIN_MS * 1000000u);
            continue;
        }
        terminal_clear(&in->terminal);
        cli_complain("import", "%s:%u: %s", in->to.host, (unsigned)in->to.port, problem);
        empty(in);
        return false;
    }
    empty(in);
    pace(in);
    import_show(in);
    return true;
}

bool import_string(struct import *in, struct slice key, struct slice value, int64_t expires_ms) {
    if (expires_ms != 0 && expires_ms <= (int64_t)(now_ns(CLOCK_REALTIME) / 1000000u)) {
        in->expired++;
        return true;
    }
    struct import_item *item = &in->items[in->item_count];
    *item = (struct import_item){.bytes = malloc(key.size + value.size + 1),
                                 .key_size = key.size,
                                 .value_size = value.size,
                                 .expires_ms = expires_ms};
    must(item->bytes != NULL);
    if (key.size > 0) memcpy(item->bytes, key.data, key.size);
    if (value.size > 0) memcpy(item->bytes + key.size, value.data, value.size);
    in->item_count++;
    in->item_bytes += key.size + value.size;
    // A tenth of a second's worth, where somebody wants it slow.
    bool is_slow = in->rate != 0 && in->rate < UINT64_C(10) * IMPORT_BATCH;
    uint64_t most = is_slow ? in->rate / 10 + 1 : IMPORT_BATCH;
    bool is_full = in->item_count == most || in->item_bytes >= IMPORT_BATCH_BYTES;
    return !is_full || import_settle(in);
}
