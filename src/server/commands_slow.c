// SPDX-License-Identifier: Apache-2.0
//
// SLOWLOG and LATENCY: what took long, and how long each command takes.
//
// The time of a command is that from its start to its reply. Within one turn of the loop the clock
// stands still, so what asks nobody and no disk takes no time.
#include "server/commands.h"

#include "base/text.h"

#include <inttypes.h>

enum { SLOWLOG_SHOWN_DEFAULT = 10 };

static const char bad_count[] = "ERR count should be greater than or equal to -1";

// SLOWLOG.

static void write_entry(const struct slow_entry *e, struct reply *r) {
    reply_array(r, 6);
    reply_integer(r, (int64_t)e->id);
    reply_integer(r, (int64_t)(e->wall_ms / 1000));
    reply_integer(r, (int64_t)e->duration_us);
    bool is_clipped = e->argument_count > CLIP_ARGUMENTS_MAX;
    uint32_t count = is_clipped ? CLIP_ARGUMENTS_MAX : e->argument_count;
    reply_array(r, count);
    for (uint32_t i = 0; i < count; i++) {
        char memory[CLIP_TEXT_MAX + 1];
        struct text text = text_over(memory, sizeof(memory));
        size_t kept = e->sizes[i] < CLIP_SIZE_MAX ? e->sizes[i] : CLIP_SIZE_MAX;
        if (is_clipped && i + 1 == count) {
            clip_count(&text, e->argument_count);
        } else {
            text_bytes(&text, (struct slice){e->bytes[i], kept});
            clip_size(&text, e->sizes[i] - kept);
        }
        reply_bulk(r, text_slice(&text));
    }
    reply_bulk_string(r, e->address);
    reply_bulk_string(r, e->name);
}

void local_slowlog_get(struct command *c, struct reply *r) {
    const struct slowlog *log = &c->session->server->slowlog;
    int64_t wanted = SLOWLOG_SHOWN_DEFAULT;
    if (c->argument_count > 3) {
        command_refuse_form(c, r);
        return;
    }
    if (c->argument_count == 3 && (!text_to_i64(c->arguments[2], &wanted) || wanted < -1)) {
        reply_error(r, slice_of_string(bad_count));
        return;
    }
    uint32_t count = wanted == -1 || wanted > log->count ? log->count : (uint32_t)wanted;
    reply_array(r, count);
    for (uint32_t age = 0; age < count; age++) write_entry(slowlog_entry(log, age), r);
}

void local_slowlog_len(struct command *c, struct reply *r) {
    reply_integer(r, c->session->server->slowlog.count);
}

void local_slowlog_reset(struct command *c, struct reply *r) {
    slowlog_trim(&c->session->server->slowlog, 0);
    reply_ok(r);
}

// LATENCY.

void local_latency_latest(struct command *c, struct reply *r) {
    const struct latency *l = &c->session->server->latency;
    size_t mark = r->size;
    uint64_t events = 0;
    for (enum latency_event event = 0; event < LATENCY_EVENTS; event++) {
        uint32_t kept = latency_kept(l, event);
        if (kept == 0) continue;
        const struct latency_sample *last = latency_sample(l, event, kept - 1);
        reply_array(r, 4);
        reply_bulk_string(r, latency_name(event));
        reply_integer(r, (int64_t)last->time_s);
        reply_integer(r, (int64_t)last->ms);
        reply_integer(r, (int64_t)l->series[event].max_ms);
        events++;
    }
    reply_array_before(r, mark, events);
}

void local_latency_history(struct command *c, struct reply *r) {
    const struct latency *l = &c->session->server->latency;
    enum latency_event event = 0;
    while (event < LATENCY_EVENTS &&
           !slice_equal(c->arguments[2], slice_of_string(latency_name(event))))
        event++;
    uint32_t kept = event == LATENCY_EVENTS ? 0 : latency_kept(l, event);
    reply_array(r, kept);
    for (uint32_t i = 0; i < kept; i++) {
        const struct latency_sample *sample = latency_sample(l, event, i);
        reply_array(r, 2);
        reply_integer(r, (int64_t)sample->time_s);
        reply_integer(r, (int64_t)sample->ms);
    }
}

void local_latency_reset(struct command *c, struct reply *r) {
    struct latency *l = &c->session->server->latency;
    int64_t count = 0;
    for (enum latency_event event = 0; event < LATENCY_EVENTS; event++) {
        bool is_meant = c->argument_count == 2;
        for (uint32_t i = 2; i < c->argument_count; i++) {
            is_meant |= slice_equal(c->arguments[i], slice_of_string(latency_name(event)));
        }
        if (is_meant) count += latency_reset(l, event);
    }
    reply_integer(r, count);
}

void local_latency_doctor(struct command *c, struct reply *r) {
    const struct server *server = c->session->server;
    const struct latency *l = &server->latency;
    char memory[512];
    struct text text = text_over(memory, sizeof(memory));
    if (server->tuning.spike_ms == 0) {
        text_string(&text, "Nothing is watched. CONFIG SET latency-monitor-threshold MS notes "
                           "every second in which a command took MS milliseconds or more.\n");
    } else {
        text_printf(&text, "Commands that take %" PRId64 " ms or more are watched.\n",
                    server->tuning.spike_ms);
    }
    for (enum latency_event event = 0; event < LATENCY_EVENTS; event++) {
        uint32_t kept = latency_kept(l, event);
        if (kept == 0) continue;
        text_printf(&text, "%s: in %" PRIu32 " seconds, the worst took %" PRIu64 " ms.\n",
                    latency_name(event), kept, l->series[event].max_ms);
    }
    reply_verbatim(r, text_slice(&text));
}

// Calls that took less, for each power of two of ns from about a microsecond on.
static void write_histogram(const struct histogram *h, struct reply *r) {
    reply_map(r, 2);
    reply_bulk(r, SLICE("calls"));
    reply_integer(r, (int64_t)h->count);
    reply_bulk(r, SLICE("histogram_usec"));
    size_t mark = r->size;
    uint64_t steps = 0;
    uint64_t before = 0;
    for (uint64_t edge = 1024; before < h->count; edge *= 2) {
        uint64_t below = histogram_below(h, edge);
        if (below == before) continue;
        reply_integer(r, (int64_t)(edge / 1000));
        reply_integer(r, (int64_t)below);
        before = below;
        steps++;
    }
    reply_map_before(r, mark, steps);
}

// Whether a name that was asked for is that of the command, or of its container.
static bool is_wanted(const struct command *c, const char *name) {
    const char *bar = strchr(name, '|');
    struct slice whole = slice_of_string(name);
    for (uint32_t i = 2; i < c->argument_count; i++) {
        if (argument_is(c->arguments[i], name)) return true;
        struct slice container = {whole.data, bar == NULL ? 0 : (size_t)(bar - name)};
        if (bar != NULL && text_equal_nocase(c->arguments[i], container)) return true;
    }
    return c->argument_count == 2;
}

void local_latency_histogram(struct command *c, struct reply *r) {
    const struct server *server = c->session->server;
    size_t mark = r->size;
    uint64_t commands = 0;
    for (uint32_t i = 0; i < command_table_count; i++) {
        const struct histogram *took = &server->command_counts[i].took;
        if (took->count == 0 || !is_wanted(c, command_table[i].name)) continue;
        reply_bulk_string(r, command_table[i].name);
        write_histogram(took, r);
        commands++;
    }
    reply_map_before(r, mark, commands);
}
