// SPDX-License-Identifier: Apache-2.0
#include "server/session.h"

#include "server/answer.h"
#include "server/internal.h"
#include "server/monitor.h"
#include "server/order.h"
#include "server/pause.h"

static_assert(offsetof(struct session, own_bytes) <= SESSION_STATE_SIZE, "a session is one page");

enum { OUTPUT_PART = 16 }; // of the memory that is left, for one session

static void on_received(struct env_op *op);
static void on_sent(struct env_op *op);

void session_reset(struct session *s) {
    const struct server_options *options = &s->server->options;
    s->protocol = 2;
    s->reset = s->server->env->now;
    s->is_stranger = options->password != NULL;
    s->read = (struct level){LEVEL_UNSET, 0};
    s->write = (struct level){LEVEL_UNSET, 0};
    s->has_written = false;
    s->has_ever_written = false;
    s->name[0] = '\0';
    s->is_mute = false;
    s->is_skipping = false;
    s->is_traceless = false;
    s->transaction.is_expected = false;
    transaction_forget(s);
    monitor_end(s);
}

struct session *session_open(struct listener *listener, struct env_socket *socket) {
    struct server *server = listener->server;
    struct session *s = pool_take(&server->session_pool);
    must(s != NULL); // the listener has looked
    memset(s, 0, offsetof(struct session, own_bytes));
    s->server = server;
    s->socket = socket;
    s->id = ++server->last_id;
    s->created = server->env->now;
    s->heard = server->env->now;
    s->is_sharded = listener->is_sharded;
    list_init(&s->link);
    list_init(&s->dirty);
    list_init(&s->hungry);
    list_init(&s->watching);
    list_init(&s->queue);
    input_init_own(s);
    resp_parser_init(&s->parser, s->arguments, ARGUMENTS_INLINE);
    session_reset(s);
    s->reply_size = SESSION_REPLY_GUESS;
    s->recv_op.done = on_received;
    s->send_op.done = on_sent;
    list_append(&server->sessions, &s->link);
    server->session_count++;
    server->counts.connections++;
    session_touch(s);
    return s;
}

void session_touch(struct session *s) {
    if (list_is_empty(&s->dirty)) list_append(&s->server->dirty, &s->dirty);
    server_ask_settle(s->server);
}

// The more of the memory for replies is in use, the less of it may any one client leave lying. So
// those who do not read cannot starve the others.
bool session_is_full(const struct session *s) {
    size_t left = (size_t)pool_left(&s->server->chunk_pool) * (CHUNK_CAPACITY / OUTPUT_PART);
    size_t limit = left < SESSION_OUTPUT_MAX ? left : SESSION_OUTPUT_MAX;
    return s->output.size > 0 && s->output.size >= limit;
}

bool session_is_half_way(const struct session *s) {
    return s->received > s->parsed || s->parser.arguments_left > 0 || s->parser.skip_left > 0;
}

void session_wait_for_memory(struct session *s) {
    if (list_is_empty(&s->hungry)) list_append(&s->server->hungry, &s->hungry);
}

// Ending.

static void give_block(struct session *s) {
    if (s->block == NULL) return;
    struct server *server = s->server;
    pool_give(s->is_block_large ? &server->block_pool : &server->chunk_pool, s->block);
    s->block = NULL;
    server_released(server);
}

void session_drain(struct session *s) {
    if (s->state != SESSION_OPEN) return;
    s->state = SESSION_DRAINING;
    session_touch(s);
}

void session_refuse(struct session *s, const char *problem) {
    s->problem = problem;
    session_touch(s);
}

void session_shut(struct session *s) {
    if (s->state == SESSION_SHUT) return;
    s->state = SESSION_SHUT;
    env_shut(s->server->env, s->socket);
    s->socket = NULL;
    session_touch(s);
}

// Nobody will read the replies of what is queued. What has not begun is dropped; what is under way
// ends by itself.
static void drop_queue(struct session *s) {
    struct list *next = NULL;
    for (struct list *at = s->queue.next; at != &s->queue; at = next) {
        next = at->next;
        struct command *c = CONTAINER_OF(at, struct command, link);
        if (c->state != COMMAND_RUNNING) command_drop(c);
    }
}

static void close_session(struct session *s) {
    struct server *server = s->server;
    if (s->transaction.exec != NULL) return; // what was begun is carried out
    drop_queue(s);
    if (s->is_receiving || s->is_sending || s->queue_count > 0) return;
    pause_forget(s);
    transaction_forget(s);
    monitor_end(s);
    give_block(s);
    chunks_clear(&s->output, &server->chunk_pool);
    if (s->input->kind != INPUT_OWN) {
        must(s->input->references == 0);
        s->input_count--;
        input_give(server, s->input);
    }
    must(s->input_count == 0);
    must(s->own.references == 0);
    if (!list_is_empty(&s->dirty)) list_remove(&s->dirty);
    if (!list_is_empty(&s->hungry)) list_remove(&s->hungry);
    list_remove(&s->link);
    server->session_count--;
    pool_give(&server->session_pool, s);
    server_forget(server);
}

// Receiving.

static void on_received(struct env_op *op) {
    struct session *s = CONTAINER_OF(op, struct session, recv_op);
    struct server *server = s->server;
    s->is_receiving = false;
    session_touch(s);
    if (s->state == SESSION_SHUT) return;
    if (op->status != ST_OK) {
        session_shut(s);
        return;
    }
    if (op->size == 0) {
        session_drain(s);
        return;
    }
    server->counts.receives++;
    server->counts.bytes_in += op->size;
    s->heard = server->env->now;
    s->received += op->size;
    s->is_streaming = s->received == s->input->capacity;
}

// Larger room for the arguments of the command being received. False: there is none now.
static bool grow_arguments(struct session *s) {
    struct server *server = s->server;
    bool to_large = s->block != NULL;
    must(!s->is_block_large || s->block == NULL);
    struct pool *pool = to_large ? &server->block_pool : &server->chunk_pool;
    struct slice *block = pool_take(pool);
    if (block == NULL) return false;
    resp_parser_room(&s->parser, block, to_large ? ARGUMENTS_MAX : ARGUMENTS_CHUNK);
    give_block(s);
    s->block = block;
    s->is_block_large = to_large;
    return true;
}

// Tells the node which keys the command is about, so far as that may pay.
static void expect_keys(const struct command *c) {
    if (c->fault != FAULT_NONE || c->spec->first_key == 0) return;
    uint32_t last = command_last_key(c->spec, c->argument_count);
    uint32_t count = 0;
    for (uint32_t i = c->spec->first_key; i <= last && count < KEYS_EXPECTED_MAX; count++) {
        node_expect(c->session->server->node, c->arguments[i]);
        i += c->spec->key_step;
    }
}

static void make_command(struct session *s, const struct resp_request *request) {
    struct command *c = command_create(s, request->arguments, request->argument_count, FAULT_NONE);
    if (s->block != NULL) { // it is the command's now
        s->block = NULL;
        s->is_block_large = false;
        resp_parser_room(&s->parser, s->arguments, ARGUMENTS_INLINE);
    }
    if (c->fault == FAULT_NONE && (c->flags & COMMAND_HALT) != 0) s->is_halted = true;
    monitor_tell(c);
    pause_hold(c);
    if (!s->is_held) expect_keys(c);
}

// The stream makes no sense from here on: says so, if there is memory, and hangs up.
static void refuse_stream(struct session *s) {
    uint8_t *room = NULL;
    if (!s->is_mute) room = chunks_room(&s->output, &s->server->chunk_pool, PARCEL_SMALL);
    if (room != NULL) {
        struct reply r = reply_to(room, PARCEL_SMALL, s->protocol);
        reply_error(&r, slice_of_string(s->problem));
        chunks_grow(&s->output, r.size);
    }
    s->server->counts.errors++;
    s->problem = NULL;
    s->is_closing = true;
    session_drain(s);
}

static bool may_take(const struct session *s) {
    return s->state != SESSION_SHUT && !s->is_closing && s->problem == NULL && !s->is_halted &&
           !s->is_held && s->parsed < s->received && s->queue_count < SESSION_COMMANDS_MAX &&
           !session_is_full(s);
}

// Makes commands of what a transaction has queued, while EXEC carries it out.
static bool take_queued(struct session *s) {
    bool has_taken = false;
    for (struct command *c; (c = transaction_next(s)) != NULL; has_taken = true) {
        monitor_tell(c);
        expect_keys(c);
    }
    return transaction_end(s) || has_taken;
}

// Makes commands of what has arrived. True when there were any.
static bool take_commands(struct session *s) {
    struct server *server = s->server;
    if (s->transaction.exec != NULL) return take_queued(s);
    bool has_taken = false;
    while (may_take(s)) {
        if (pool_left(&server->command_pool) <= COMMANDS_SPARE) {
            session_wait_for_memory(s);
            break;
        }
        struct resp_limits limits = {
            .authenticated = !s->is_stranger,
            .arguments_max = ARGUMENTS_MAX,
            .bulk_max = server->options.value_size_max > KEY_SIZE_MAX
                            ? server->options.value_size_max
                            : KEY_SIZE_MAX,
            .request_max = server->large_capacity,
            .skip_max = (uint64_t)1 << 30,
        };
        struct resp_request request;
        enum resp_result result = resp_parse(&s->parser, s->input->data + s->parsed,
                                             s->received - s->parsed, &limits, &request);
        s->parsed += (uint32_t)request.consumed;
        if (result == RESP_REQUEST) {
            make_command(s, &request);
            has_taken = true;
        } else if (result == RESP_TOO_LARGE) {
            bool is_many = request.limit == RESP_LIMIT_ARGUMENTS;
            command_create(s, s->arguments, 0, is_many ? FAULT_TOO_MANY : FAULT_TOO_LARGE);
            has_taken = true;
        } else if (result == RESP_ROOM) {
            if (grow_arguments(s)) continue;
            session_wait_for_memory(s);
            break;
        } else if (result == RESP_BAD) {
            s->problem = request.problem;
            break;
        } else {
            s->wanted = request.needed;
            break;
        }
    }
    return has_taken;
}

static void receive(struct session *s) {
    if (s->is_receiving || s->state != SESSION_OPEN || s->is_halted || s->is_held ||
        s->problem != NULL || s->is_closing) {
        return;
    }
    if (s->queue_count >= SESSION_COMMANDS_MAX || session_is_full(s)) return;
    if (!list_is_empty(&s->hungry)) return;
    bool is_short;
    if (!input_make_room(s, &is_short)) {
        if (is_short) session_wait_for_memory(s);
        return;
    }
    struct input *input = s->input;
    must(s->received < input->capacity);
    s->is_receiving = true;
    env_recv(s->server->env, &s->recv_op, s->socket, input->data + s->received,
             input->capacity - s->received);
}

// Sending.

static void send(struct session *s) {
    struct chunk *first = s->output.first;
    if (s->is_sending || first == NULL || first->size == s->sent) return;
    s->is_sending = true;
    s->sending = first->size - s->sent;
    env_send(s->server->env, &s->send_op, s->socket, first->data + s->sent, s->sending);
}

static void on_sent(struct env_op *op) {
    struct session *s = CONTAINER_OF(op, struct session, send_op);
    struct server *server = s->server;
    s->is_sending = false;
    session_touch(s);
    if (s->state == SESSION_SHUT) return;
    if (op->status != ST_OK) {
        session_shut(s);
        return;
    }
    server->counts.sends++;
    server->counts.bytes_out += s->sending;
    s->heard = server->env->now;
    s->sent += s->sending;
    if (s->sent == s->output.first->size) {
        chunks_drop_first(&s->output, &server->chunk_pool);
        s->sent = 0;
        server_released(server);
    }
}

// Settling.

// Carries out and answers what stands at the front of the queue.
static void run_front(struct session *s) {
    while (!list_is_empty(&s->queue)) {
        struct command *c = CONTAINER_OF(s->queue.next, struct command, link);
        if (c->state == COMMAND_RUNNING) return;
        if (c->state == COMMAND_ANSWERED) {
            if (!answer_kept(c)) return;
            continue;
        }
        if ((session_is_full(s) && !c->is_within) || pause_holds(c)) return;
        if (command_is_local(c)) {
            if (!answer_local(c)) {
                session_wait_for_memory(s);
                return;
            }
        } else if (c->wants_turn && c->blocker == NULL) {
            command_start(c);
            if (s->queue.next == &c->link) return;
        } else {
            return;
        }
    }
}

// What is under way may bring as much as the client should have coming. Values of unknown size are
// asked for a few at a time.
static bool is_in_full_flight(const struct session *s) {
    uint32_t bringing = s->running_count - (s->transaction.exec != NULL);
    return bringing * s->reply_size >= SESSION_FLIGHT_MAX;
}

static void start(struct session *s, struct command *c) {
    if (c->is_fresh) {
        c->is_fresh = false;
        c->blocker = order_blocker(c);
        if (c->blocker != NULL) s->blocked_count++;
    }
    if (c->blocker == NULL && !c->wants_turn) command_start(c);
}

// Starts every command that may. Those that end at once are gone afterwards, together with answered
// ones that were waiting behind them.
static void start_ready(struct session *s) {
    s->has_ready = false;
    s->is_throttled = false;
    struct list *at = s->queue.next;
    while (at != &s->queue) {
        struct command *c = CONTAINER_OF(at, struct command, link);
        at = at->next;
        if (c->state != COMMAND_QUEUED || pause_holds(c)) continue;
        if (command_is_local(c)) {
            if (s->queue.next != &c->link) continue;
            run_front(s);
            // Still there: no memory, or the client does not read. Those behind it may start.
            if (s->queue.next != &c->link) at = s->queue.next;
            continue;
        }
        if (c->is_fresh && is_in_full_flight(s)) {
            s->is_throttled = true;
            return;
        }
        while (at != &s->queue &&
               CONTAINER_OF(at, struct command, link)->state == COMMAND_ANSWERED) {
            at = at->next;
        }
        start(s, c);
    }
}

// Answered all that came and can be understood.
static bool is_drained(const struct session *s) {
    return s->queue_count == 0 && s->output.first == NULL && !s->is_sending &&
           list_is_empty(&s->hungry);
}

void session_take(struct session *s) {
    if (take_commands(s)) s->has_ready = true;
}

void session_settle(struct session *s) {
    while (s->state != SESSION_SHUT || s->transaction.exec != NULL) {
        run_front(s);
        bool has_taken = take_commands(s);
        if (!has_taken && !s->has_ready) break;
        start_ready(s);
    }
    if (s->problem != NULL && s->queue_count == 0) refuse_stream(s);
    if (s->state != SESSION_SHUT) {
        send(s);
        receive(s);
    }
    if (s->state == SESSION_DRAINING && is_drained(s)) session_shut(s);
    if (!list_is_empty(&s->dirty)) list_remove(&s->dirty); // by what was just done
    if (s->state == SESSION_SHUT) close_session(s);
}
