// SPDX-License-Identifier: Apache-2.0
#include "bin/cli_load.h"

#include "base/text.h"
#include "bin/cli_load_text.h"
#include "wire/resp_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS = 256,
    INPUT_SIZE = 32 * 1024, // to begin with; grows to what the largest reply needs
    INPUT_SIZE_MAX = 1 << 30,
    CONNECT_SECONDS = 5,
};

#define MILLISECOND 1000000ull
static const uint64_t retry_ns = 100 * MILLISECOND; // before a broken connection is tried again
static const uint64_t patience_ns = 10000 * MILLISECOND; // without any answer: give up

// A request under way.
struct mark {
    uint64_t started; // ns: sent, or due in an open loop
    uint64_t key;
    enum load_command command;
};

struct connection {
    const struct load_target *target;
    int fd; // -1: broken
    bool is_opening;
    bool wants_room;  // epoll tells when it can be written to
    bool is_touched;  // has requests that were not handed to the kernel yet
    bool is_greeting; // the next reply is to plan->greeting
    uint64_t retry_at;
    struct resp_reader reader;
    uint8_t *in;
    size_t in_size;
    size_t in_capacity;
    uint8_t *out;
    size_t out_start;
    size_t out_size;
    struct mark *marks; // ring of plan->pipeline
    uint32_t mark_first;
    uint32_t mark_count;
};

struct generator {
    struct load_thread *thread;
    const struct load_plan *plan;
    struct load_result *result;
    struct connection *connections;
    uint32_t connection_count;
    uint32_t turn; // the connection that is next in an open loop
    int epoll;
    uint64_t now;
    uint64_t deadline; // no request is sent after it
    uint64_t issued;
    uint64_t quiet_since; // no answer since then
    uint64_t under_way;
    uint64_t next_retry; // when a broken connection is to be tried again
    struct rng rng;
};

uint64_t load_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool is_over(const struct generator *g) {
    const struct load_thread *t = g->thread;
    return g->now >= g->deadline || (t->request_count > 0 && g->issued >= t->request_count) ||
           atomic_load_explicit(t->stop, memory_order_relaxed);
}

// Sockets.

static void watch(struct generator *g, struct connection *c, int operation, bool room) {
    struct epoll_event event = {.events = EPOLLIN | (room ? EPOLLOUT : 0u), .data.ptr = c};
    must(epoll_ctl(g->epoll, operation, c->fd, &event) == 0);
    c->wants_room = room;
}

// Opens the connection; waits for it only where it is the first time. Returns errno.
static int open_socket(struct generator *g, struct connection *c, bool wait) {
    c->fd = socket(c->target->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) return errno;
    int one = 1;
    struct timeval patience = {.tv_sec = CONNECT_SECONDS};
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    int flags = fcntl(c->fd, F_GETFL);
    if (!wait) fcntl(c->fd, F_SETFL, flags | O_NONBLOCK);
    int failed =
        connect(c->fd, (const struct sockaddr *)&c->target->address, c->target->address_size);
    if (failed != 0 && (wait || errno != EINPROGRESS)) {
        int problem = errno == EINPROGRESS ? ETIMEDOUT : errno;
        close(c->fd);
        c->fd = -1;
        return problem;
    }
    fcntl(c->fd, F_SETFL, flags | O_NONBLOCK);
    c->is_opening = failed != 0;
    struct slice greeting = g->plan->greeting;
    c->is_greeting = greeting.size > 0;
    if (c->is_greeting) memcpy(c->out, greeting.data, greeting.size);
    c->out_size = greeting.size;
    watch(g, c, EPOLL_CTL_ADD, c->is_opening);
    return 0;
}

static void break_connection(struct generator *g, struct connection *c) {
    if (!c->is_opening) g->result->breaks++;
    close(c->fd);
    c->fd = -1;
    c->is_opening = false;
    c->retry_at = g->now + retry_ns;
    if (c->retry_at < g->next_retry) g->next_retry = c->retry_at;
    g->result->lost += c->mark_count;
    g->under_way -= c->mark_count;
    c->mark_count = 0;
    c->in_size = c->out_start = c->out_size = 0;
    resp_reader_init(&c->reader);
}

static void flush(struct generator *g, struct connection *c) {
    c->is_touched = false;
    while (c->out_start < c->out_size && c->fd >= 0) {
        ssize_t sent = send(c->fd, c->out + c->out_start, c->out_size - c->out_start, MSG_NOSIGNAL);
        if (sent > 0) {
            c->out_start += (size_t)sent;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!c->wants_room) watch(g, c, EPOLL_CTL_MOD, true);
            return;
        } else if (errno != EINTR) {
            break_connection(g, c);
            return;
        }
    }
    c->out_start = c->out_size = 0;
    if (c->fd >= 0 && c->wants_room) watch(g, c, EPOLL_CTL_MOD, false);
}

// Requests.

static enum load_command draw_command(struct generator *g) {
    const struct load_plan *plan = g->plan;
    uint32_t ticket = plan->weight_sum == 1 ? 0 : rng_below(&g->rng, plan->weight_sum);
    for (uint32_t i = 0;; i++) {
        if (ticket < plan->weights[i]) return (enum load_command)i;
        ticket -= plan->weights[i];
    }
}

static void add_request(struct generator *g, struct connection *c, uint64_t started) {
    const struct load_plan *plan = g->plan;
    struct mark *mark = &c->marks[(c->mark_first + c->mark_count++) % plan->pipeline];
    mark->started = started;
    mark->command = draw_command(g);
    mark->key = plan->in_order ? g->thread->number + g->issued * g->thread->thread_count
                               : rng_next(&g->rng) % plan->key_count;
    g->issued++;
    g->under_way++;
    // The room for `pipeline` requests suffices only if what was sent makes place.
    if (c->out_start > 0) {
        memmove(c->out, c->out + c->out_start, c->out_size - c->out_start);
        c->out_size -= c->out_start;
        c->out_start = 0;
    }
    c->out_size += load_write_request(plan, mark->command, mark->key, c->out + c->out_size);
}

static void fill(struct generator *g, struct connection *c) {
    if (c->fd < 0 || c->is_opening) return;
    while (c->mark_count < g->plan->pipeline && !is_over(g)) add_request(g, c, g->now);
    flush(g, c);
}

// Sends what is due by now, one request a connection in turn. Returns when the next one is due.
static uint64_t send_due(struct generator *g) {
    double step = 1e9 / g->thread->rate;
    uint64_t start = g->result->first_ns;
    uint64_t due = start + (uint64_t)((double)g->issued * step);
    uint32_t full = 0; // connections in a row without room
    while (due <= g->now && !is_over(g) && full < g->connection_count) {
        struct connection *c = &g->connections[g->turn];
        g->turn = (g->turn + 1) % g->connection_count;
        if (c->fd < 0 || c->is_opening || c->mark_count == g->plan->pipeline) {
            full++;
            continue;
        }
        full = 0;
        add_request(g, c, due);
        c->is_touched = true;
        due = start + (uint64_t)((double)g->issued * step);
    }
    for (uint32_t i = 0; i < g->connection_count; i++) {
        if (g->connections[i].is_touched) flush(g, &g->connections[i]);
    }
    return full == g->connection_count ? UINT64_MAX : due;
}

// Replies.

static void count_error(struct load_result *result, struct slice text, uint64_t count) {
    result->error_count += count;
    size_t word_size = 0;
    while (word_size < text.size && text.data[word_size] != ' ') word_size++;
    struct slice word = {text.data, word_size > LOAD_WORD_MAX ? LOAD_WORD_MAX : word_size};
    uint32_t i = 0;
    while (i < result->error_words &&
           !(strlen(result->errors[i].word) == word.size &&
             memcmp(result->errors[i].word, word.data, word.size) == 0)) {
        i++;
    }
    if (i == LOAD_ERRORS_MAX) i = LOAD_ERRORS_MAX - 1;
    struct load_error *error = &result->errors[i];
    if (i == result->error_words) {
        result->error_words++;
        memcpy(error->word, word.data, word.size);
        size_t size = text.size > LOAD_ERROR_TEXT_MAX ? LOAD_ERROR_TEXT_MAX : text.size;
        memcpy(error->example, text.data, size);
    }
    error->count += count;
}

static void take_reply(struct generator *g, struct connection *c, const struct resp_reply *reply) {
    struct load_result *result = g->result;
    struct mark *mark = &c->marks[c->mark_first];
    c->mark_first = (c->mark_first + 1) % g->plan->pipeline;
    c->mark_count--;
    g->under_way--;
    if (reply->is_error) {
        count_error(result, reply->value, 1);
        return;
    }
    histogram_add(&result->latencies[mark->command], g->now - mark->started);
    uint64_t number = result->counts[mark->command]++;
    bool is_expected = load_reply_fits(mark->command, reply);
    if (mark->command == LOAD_GET && is_expected) {
        if (reply->is_null) {
            result->misses++;
        } else if (number % LOAD_CHECK_EVERY == 0) {
            result->checked++;
            is_expected = load_value_fits(g->plan, mark->key, reply->value);
        }
    }
    if (!is_expected) result->wrong++;
}

// Takes all whole replies that have arrived. False: the other side does not speak RESP.
static bool take_replies(struct generator *g, struct connection *c) {
    struct slice rest = {c->in, c->in_size};
    struct resp_reply reply;
    uint64_t taken = 0;
    enum resp_read got;
    while ((got = resp_read(&c->reader, rest, &reply)) == RESP_READ_WHOLE) {
        if (!c->is_greeting && c->mark_count == 0) return false; // nobody asked
        if (!c->is_greeting) {
            take_reply(g, c, &reply);
        } else if (reply.is_error) {
            count_error(g->result, reply.value, 1);
        }
        c->is_greeting = false;
        rest = slice_skip(rest, reply.size);
        taken++;
    }
    if (got == RESP_READ_BAD) return false;
    memmove(c->in, rest.data, rest.size);
    c->in_size = rest.size;
    if (taken > 0) {
        g->quiet_since = g->now;
        atomic_fetch_add_explicit(&g->thread->done, taken, memory_order_relaxed);
    }
    return true;
}

static bool make_room(struct connection *c) {
    if (c->in_size < c->in_capacity) return true;
    if (c->in_capacity >= INPUT_SIZE_MAX) return false;
    c->in_capacity *= 2;
    c->in = realloc(c->in, c->in_capacity);
    must(c->in != NULL);
    return true;
}

static void on_readable(struct generator *g, struct connection *c) {
    if (!make_room(c)) {
        break_connection(g, c);
        return;
    }
    ssize_t got = recv(c->fd, c->in + c->in_size, c->in_capacity - c->in_size, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    g->now = load_now();
    if (got <= 0) {
        break_connection(g, c);
        return;
    }
    c->in_size += (size_t)got;
    if (!take_replies(g, c)) {
        count_error(g->result, SLICE("PROTOCOL the server sent something that is not RESP"), 1);
        break_connection(g, c);
        return;
    }
    if (g->thread->rate == 0) fill(g, c);
}

static void on_event(struct generator *g, struct connection *c, uint32_t events) {
    if (c->fd < 0) return; // broke earlier in this turn
    if (c->is_opening) {
        int problem = 0;
        socklen_t size = sizeof(problem);
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &problem, &size);
        if (problem != 0) {
            break_connection(g, c);
            return;
        }
        c->is_opening = false;
        watch(g, c, EPOLL_CTL_MOD, false);
        if (g->thread->rate == 0) fill(g, c);
        return;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(g, c);
    if (c->fd >= 0 && (events & EPOLLOUT)) flush(g, c);
}

// The whole.

static void reopen_broken(struct generator *g) {
    if (g->now < g->next_retry) return;
    g->next_retry = g->now + retry_ns; // cheap when there was nothing to do
    for (uint32_t i = 0; i < g->connection_count; i++) {
        struct connection *c = &g->connections[i];
        if (c->fd >= 0 || g->now < c->retry_at) continue;
        c->retry_at = g->now + retry_ns;
        if (open_socket(g, c, false) == 0 && !c->is_opening && g->thread->rate == 0) fill(g, c);
    }
}

static void wait_for_events(struct generator *g, uint64_t until) {
    uint64_t most = g->now + 50 * MILLISECOND;
    if (until > most) until = most;
    uint64_t wait = until > g->now ? until - g->now : 0;
    struct timespec timeout = {.tv_nsec = (long)wait};
    struct epoll_event events[EVENTS];
    int count = epoll_pwait2(g->epoll, events, EVENTS, &timeout, NULL);
    g->now = load_now();
    for (int i = 0; i < count; i++) on_event(g, events[i].data.ptr, events[i].events);
}

static bool open_all(struct generator *g) {
    const struct load_plan *plan = g->plan;
    for (uint32_t i = 0; i < g->connection_count; i++) {
        struct connection *c = &g->connections[i];
        // Threads begin at different targets, so that few connections meet all of them.
        c->target = &plan->targets[(g->thread->number + i) % plan->target_count];
        c->in_capacity = INPUT_SIZE;
        c->in = malloc(c->in_capacity);
        c->out = malloc(plan->greeting.size + plan->pipeline * load_request_size_max(plan));
        c->marks = calloc(plan->pipeline, sizeof(*c->marks));
        must(c->in != NULL && c->out != NULL && c->marks != NULL);
        resp_reader_init(&c->reader);
    }
    for (uint32_t i = 0; i < g->connection_count; i++) {
        struct connection *c = &g->connections[i];
        int problem = open_socket(g, c, true);
        if (problem == 0) continue;
        snprintf(g->thread->problem, sizeof(g->thread->problem), "cannot connect to %s: %s",
                 c->target->name, strerror(problem));
        return false;
    }
    return true;
}

static void close_all(struct generator *g) {
    for (uint32_t i = 0; i < g->connection_count; i++) {
        struct connection *c = &g->connections[i];
        if (c->fd >= 0) close(c->fd);
        free(c->in);
        free(c->out);
        free(c->marks);
    }
    free(g->connections);
    close(g->epoll);
}

static void run_until_over(struct generator *g) {
    struct load_thread *t = g->thread;
    if (t->rate == 0) {
        for (uint32_t i = 0; i < g->connection_count; i++) fill(g, &g->connections[i]);
    }
    while (!is_over(g) || g->under_way > 0) {
        uint64_t next = t->rate > 0 && !is_over(g) ? send_due(g) : UINT64_MAX;
        wait_for_events(g, next);
        reopen_broken(g);
        if (g->now - g->quiet_since > patience_ns) {
            snprintf(t->problem, sizeof(t->problem), "no answer for %llu seconds, gave up",
                     (unsigned long long)(patience_ns / 1000000000u));
            break;
        }
    }
    g->result->lost += g->under_way;
    if (t->rate > 0) {
        uint64_t end = g->now < g->deadline ? g->now : g->deadline;
        double due = (double)(end - g->result->first_ns) / 1e9 * t->rate;
        if (t->request_count > 0 && due > (double)t->request_count) due = (double)t->request_count;
        if (due > (double)g->issued) g->result->unsent = (uint64_t)due - g->issued;
    }
}

void load_run(struct load_thread *thread) {
    struct generator g = {.thread = thread,
                          .plan = thread->plan,
                          .result = thread->result,
                          .connection_count = thread->connection_count,
                          .next_retry = UINT64_MAX,
                          .rng = {thread->seed},
                          .epoll = epoll_create1(EPOLL_CLOEXEC)};
    g.connections = calloc(g.connection_count, sizeof(*g.connections));
    must(g.connections != NULL && g.epoll >= 0);
    for (uint32_t i = 0; i < g.connection_count; i++) g.connections[i].fd = -1;
    for (uint32_t i = 0; i < LOAD_COMMANDS; i++) histogram_init(&g.result->latencies[i]);
    if (open_all(&g)) {
        g.now = g.quiet_since = g.result->first_ns = load_now();
        g.deadline = thread->duration_ns == 0 ? UINT64_MAX : g.now + thread->duration_ns;
        run_until_over(&g);
        g.result->last_ns = g.now;
    }
    close_all(&g);
}

void load_result_add(struct load_result *sum, const struct load_result *result) {
    for (uint32_t i = 0; i < LOAD_COMMANDS; i++) {
        histogram_merge(&sum->latencies[i], &result->latencies[i]);
        sum->counts[i] += result->counts[i];
    }
    for (uint32_t i = 0; i < result->error_words; i++) {
        const struct load_error *e = &result->errors[i];
        count_error(sum, slice_of_string(e->example), e->count);
    }
    sum->misses += result->misses;
    sum->checked += result->checked;
    sum->wrong += result->wrong;
    sum->lost += result->lost;
    sum->breaks += result->breaks;
    sum->unsent += result->unsent;
    if (sum->first_ns == 0 || result->first_ns < sum->first_ns) sum->first_ns = result->first_ns;
    if (result->last_ns > sum->last_ns) sum->last_ns = result->last_ns;
}
