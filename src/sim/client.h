// SPDX-License-Identifier: Apache-2.0
//
// client.h -- a simulated Redis client: one connection, commands out, replies in.
//
// It lives on a machine of its own and knows nothing of Quoit but addresses and RESP. A batch of
// commands goes out in one piece; each reply is handed over as it comes. A connection that breaks,
// or says nothing for too long, ends the batch: what was not answered stays unknown.
#ifndef QUOIT_SIM_CLIENT_H
#define QUOIT_SIM_CLIENT_H

#include "base/timer.h"
#include "env/env.h"
#include "sim/world.h"
#include "wire/resp_reader.h"

enum { CLIENT_OUT_MAX = 64 * 1024, CLIENT_IN_MAX = 256 * 1024, CLIENT_ARGUMENTS_MAX = 16 };

struct client;

// One reply, in order; `number` counts from 0 within the batch.
typedef void client_reply(struct client *client, uint32_t number, const struct resp_reply *reply,
                          struct slice whole);

// The batch is over: all replies came, or the connection is gone.
typedef void client_over(struct client *client, bool is_whole);

struct client {
    struct machine *machine;
    struct env *env;
    client_reply *on_reply; // set by the owner
    client_over *on_over;
    uint64_t patience_ns; // silence after which a batch is given up

    struct env_socket *socket;
    bool is_connected;
    bool is_connecting;
    bool is_sending;
    bool is_receiving;
    bool is_shut; // waits for the env to give its requests back
    bool has_batch;
    bool was_sent;     // the batch, or some of it; else nobody can have seen any of it
    uint32_t expected; // replies of the batch
    uint32_t received;
    uint64_t batch; // counts batches: a time-out belongs to one
    char address[32];
    struct env_op connect_op;
    struct env_op send_op;
    struct env_op recv_op;
    struct resp_reader reader;
    uint32_t out_size;
    uint32_t in_size;
    uint8_t out[CLIENT_OUT_MAX];
    uint8_t in[CLIENT_IN_MAX];
};

// Starts the process of the machine, which has nothing else. Borrows `client`.
void client_init(struct client *client, struct machine *machine);

// Adds a command to the batch being made. Requires that none is under way.
void client_add(struct client *client, uint32_t count, const struct slice *arguments);

// Sends the batch to the address, over the connection there is if it leads there. Borrows nothing.
void client_go(struct client *client, const char *address);

// Makes ready for a batch to that address: leaves whoever else it is connected to. False: not yet.
bool client_turn_to(struct client *client, const char *address);

// Hangs up, from outside of its process.
void client_leave(struct client *client);

// Goes on to the next bulk of a reply that is not null, whatever arrays or maps it is in. False:
// there is none. Lends from the reply.
bool client_next_bulk(struct slice *rest, struct slice *bulk);

// Hangs up. A batch under way is over at once.
void client_hang_up(struct client *client);

static inline bool client_is_busy(const struct client *client) {
    return client->has_batch || client->is_shut || client->is_sending;
}

#endif
