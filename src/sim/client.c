// SPDX-License-Identifier: Apache-2.0
#include "sim/client.h"

#include "base/text.h"
#include "sim/memory.h"

#include <stdio.h>
#include <string.h>

static void send_batch(struct client *c);

void client_init(struct client *c, struct machine *machine) {
    *c = (struct client){.machine = machine, .env = machine_env(machine)};
    c->patience_ns = 5 * NS_PER_SECOND;
    // Between clients and members nothing but TCP guards the bytes.
    machine_spare(machine, FAULT_NET_FLIP, true);
    (void)machine_start(machine, 64);
}

void client_add(struct client *c, uint32_t count, const struct slice *arguments) {
    must(!client_is_busy(c));
    must(count <= CLIENT_ARGUMENTS_MAX);
    struct text out = text_over((char *)c->out + c->out_size, sizeof(c->out) - c->out_size);
    text_printf(&out, "*%u\r\n", count);
    for (uint32_t i = 0; i < count; i++) {
        text_printf(&out, "$%zu\r\n", arguments[i].size);
        text_bytes(&out, arguments[i]);
        text_printf(&out, "\r\n");
    }
    must(!out.clipped);
    c->out_size += (uint32_t)out.size;
    c->expected++;
}

static void settle(struct client *c) {
    if (!c->is_shut || c->is_connecting || c->is_sending || c->is_receiving) return;
    c->is_shut = false;
    c->socket = NULL;
}

static void end_batch(struct client *c, bool is_whole) {
    if (!c->has_batch) return;
    c->has_batch = false;
    c->expected = 0;
    c->out_size = 0;
    c->on_over(c, is_whole);
}

void client_hang_up(struct client *c) {
    if (c->socket != NULL || c->is_connecting) {
        if (!c->is_shut && !c->is_connecting) env_shut(c->env, c->socket);
        c->is_shut = true;
        c->is_connected = false;
        c->in_size = 0;
        settle(c);
    }
    end_batch(c, false);
}

static void on_received(struct env_op *op);

static void receive(struct client *c) {
    if (c->is_receiving || c->is_shut || !c->is_connected) return;
    must(c->in_size < sizeof(c->in));
    c->is_receiving = true;
    c->recv_op.done = on_received;
    env_recv(c->env, &c->recv_op, c->socket, c->in + c->in_size,
             (uint32_t)sizeof(c->in) - c->in_size);
}

static void take_replies(struct client *c) {
    uint32_t at = 0;
    while (c->has_batch && !c->is_shut) {
        struct resp_reply reply;
        struct slice rest = {c->in + at, c->in_size - at};
        enum resp_read result = resp_read(&c->reader, rest, &reply);
        if (result == RESP_READ_MORE) break;
        must(result == RESP_READ_WHOLE);
        at += (uint32_t)reply.size;
        uint32_t number = c->received++;
        c->on_reply(c, number, &reply, (struct slice){rest.data, reply.size});
        if (c->received == c->expected) end_batch(c, true);
    }
    if (c->is_shut) return;
    memmove(c->in, c->in + at, c->in_size - at);
    c->in_size -= at;
}

static void on_received(struct env_op *op) {
    struct client *c = CONTAINER_OF(op, struct client, recv_op);
    c->is_receiving = false;
    if (c->is_shut) {
        settle(c);
    } else if (op->status != ST_OK || op->size == 0) {
        client_hang_up(c);
    } else {
        c->in_size += op->size;
        take_replies(c);
        receive(c);
    }
}

static void on_sent(struct env_op *op) {
    struct client *c = CONTAINER_OF(op, struct client, send_op);
    c->is_sending = false;
    if (c->is_shut) {
        settle(c);
    } else if (op->status != ST_OK) {
        client_hang_up(c);
    }
}

static void on_connected(struct env_op *op) {
    struct client *c = CONTAINER_OF(op, struct client, connect_op);
    c->is_connecting = false;
    if (op->status != ST_OK) {
        c->socket = NULL;
        c->is_shut = false;
        end_batch(c, false);
    } else if (c->is_shut) {
        env_shut(c->env, c->socket);
        settle(c);
    } else {
        c->is_connected = true;
        c->in_size = 0;
        resp_reader_init(&c->reader);
        send_batch(c);
        receive(c);
    }
}

static void send_batch(struct client *c) {
    must(!c->is_sending);
    c->is_sending = true;
    c->was_sent = true;
    c->send_op.done = on_sent;
    env_send(c->env, &c->send_op, c->socket, c->out, c->out_size);
}

// A time-out carries the number of its batch in the address of a small thing of its own.
struct patience {
    struct client *client;
    uint64_t batch;
};

static void on_patience_over(void *context) {
    struct patience *p = context;
    struct client *c = p->client;
    if (c->has_batch && c->batch == p->batch) {
        machine_enter(c->machine);
        client_hang_up(c);
        machine_leave(c->machine);
    }
    memory_give(p);
}

void client_go(struct client *c, const char *address) {
    must(!client_is_busy(c));
    must(c->expected > 0);
    c->has_batch = true;
    c->was_sent = false;
    c->received = 0;
    c->batch++;
    struct patience *p = memory_take(1, sizeof(*p));
    *p = (struct patience){.client = c, .batch = c->batch};
    struct world *world = machine_world(c->machine);
    world_at(world, world_now(world) + c->patience_ns, on_patience_over, p);
    machine_enter(c->machine);
    bool leads_there = c->is_connected && strcmp(c->address, address) == 0;
    if (leads_there && !c->is_sending) {
        send_batch(c);
    } else if (c->is_connected || c->is_connecting) {
        client_hang_up(c);
    } else {
        snprintf(c->address, sizeof(c->address), "%s", address);
        c->is_connecting = true;
        c->connect_op.done = on_connected;
        env_connect(c->env, &c->connect_op, c->address, &c->socket);
    }
    machine_leave(c->machine);
}

void client_leave(struct client *c) {
    machine_enter(c->machine);
    client_hang_up(c);
    machine_leave(c->machine);
}

bool client_turn_to(struct client *c, const char *address) {
    if (client_is_busy(c)) return false;
    if (c->is_connected && strcmp(c->address, address) != 0) client_leave(c);
    return !client_is_busy(c);
}

bool client_next_bulk(struct slice *rest, struct slice *bulk) {
    while (rest->size > 0) {
        const uint8_t *end = memchr(rest->data, '\n', rest->size);
        must(end != NULL);
        size_t line = (size_t)(end - rest->data) + 1;
        uint64_t size = 0;
        bool is_bulk =
            rest->data[0] == '$' && text_to_u64((struct slice){rest->data + 1, line - 3}, &size);
        struct slice body = slice_skip(*rest, line);
        *rest = is_bulk ? slice_skip(body, size + 2) : body;
        if (!is_bulk) continue;
        *bulk = (struct slice){body.data, size};
        return true;
    }
    return false;
}
