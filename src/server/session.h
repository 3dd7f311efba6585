// SPDX-License-Identifier: Apache-2.0
//
// session.h -- one client: bytes in, commands, bytes out, in order.
//
// A session reads, unless it should not: while its window of commands is full, while the client
// does not take the replies it was sent, while memory is short. Then the bytes stay in the kernel,
// and the client feels it.
//
//     OPEN --session_drain--> DRAINING --session_shut--> SHUT --> given back
//          (reads no more; ends what arrived)  (nothing is sent; waits for what is under way)
//
// What a turn of the loop asks of a session is done once, at the end of the turn (session_settle):
// all replies of the turn leave in one send.
#ifndef QUOIT_SERVER_SESSION_H
#define QUOIT_SERVER_SESSION_H

#include "env/env.h"
#include "model/level.h"
#include "server/command.h"
#include "server/input.h"
#include "server/transaction.h"
#include "wire/resp.h"

struct listener;

enum session_state { SESSION_OPEN, SESSION_DRAINING, SESSION_SHUT };

enum {
    SESSION_SIZE = 4096, // one page: what an idle connection costs
    SESSION_STATE_SIZE = 1216,
    SESSION_OWN_SIZE = SESSION_SIZE - SESSION_STATE_SIZE,

    SESSION_COMMANDS_MAX = 256,           // under way or waiting
    SESSION_OUTPUT_MAX = 256 * 1024,      // bytes unsent above which nothing new is begun
    SESSION_KEPT_MAX = 64,                // chunks of replies that wait for their turn
    COMMANDS_SPARE = 1,                   // of the server's: only for transactions under way
    KEYS_EXPECTED_MAX = 16,               // of one command, named to the node ahead
    SESSION_INPUTS_MAX = 16,              // buffers pinned by commands
    SESSION_FLIGHT_MAX = 2 * 1024 * 1024, // bytes of replies asked for at a time, about
    SESSION_REPLY_GUESS = 64 * 1024,      // bytes of a reply, before there was one
    CLIENT_NAME_MAX = 63,
    LIBRARY_NAME_MAX = 31,
};

struct session {
    struct list link; // in the server's list of sessions
    uint64_t id;      // from 1, in order of connecting
    uint64_t created; // ns
    uint64_t reset;   // ns: when it was last like new
    uint64_t heard;   // ns: when the client last sent or took bytes
    enum session_state state;
    bool is_receiving;
    bool is_sending;
    bool is_sharded;   // came through the shard's port
    bool is_stranger;  // has not given the password
    bool is_streaming; // sent more than its buffer held at once
    bool is_halted; // a command that changes the meaning of what follows has not been carried out
    bool has_ready; // commands that waited may start
    bool is_throttled; // a command waits because enough was asked of the node
    bool is_closing;   // nothing that follows is to be understood
    bool is_mute;      // wants to hear no replies
    bool is_skipping;  // wants not to hear the next one
    bool is_held;      // its last command waits for a pause to end, and nothing behind it is taken
    bool is_kept;      // asked for CLIENT NO-EVICT; like the next, only shown
    bool is_traceless; // asked for CLIENT NO-TOUCH
    uint8_t protocol;

    struct server *server;
    struct env_socket *socket;
    struct list dirty;    // in the server's list of sessions to settle
    struct list hungry;   // in its list of those that wait for memory
    struct list watching; // in its list of those that hear of every command
    uint64_t missed;      // commands that it should have heard of

    struct list queue; // commands, oldest first
    uint32_t queue_count;
    uint32_t running_count; // commands that wait for the node
    uint32_t reading_count; // those of them that only read
    uint32_t blocked_count; // commands with a blocker
    uint32_t stepped_count; // commands in the queue that are STEPPED or BARRIER
    uint32_t again_count;   // commands that wait for their turn to start again
    uint32_t kept_count;    // chunks of parcels
    size_t reply_size;      // bytes that replies lately had
    uint64_t key_bits;      // of all commands in the queue, and maybe more

    struct chunks output;
    uint32_t sent;    // bytes of output.first that are gone
    uint32_t sending; // bytes under way

    struct transaction transaction;

    struct input *input;
    uint32_t input_count; // buffers that this session holds besides its own
    uint32_t parsed;      // bytes of input
    uint32_t received;
    size_t wanted; // bytes from `parsed` that the next command needs to be whole

    struct level read;     // as CONSISTENCY set it, or unset: see policy.h
    struct level write;    // likewise
    uint32_t copies;       // the fewest that one of its writes since the last WAIT is known to have
    bool has_written;      // since then
    bool has_ever_written; // `copies` says something
    const struct command_spec *last; // command
    struct slice *block;             // arguments of the next command, when they are many
    bool is_block_large;
    const char *problem; // why the stream is to be given up, once all before is answered; or NULL
    struct resp_parser parser;
    struct slice arguments[ARGUMENTS_INLINE];

    struct env_op recv_op;
    struct env_op send_op;
    char name[CLIENT_NAME_MAX + 1];
    char library[LIBRARY_NAME_MAX + 1];
    char library_version[LIBRARY_NAME_MAX + 1];

    struct input own;
    uint8_t own_bytes[SESSION_OWN_SIZE];
};

// Begins to serve a connection. Takes the socket.
struct session *session_open(struct listener *listener, struct env_socket *socket);

// Asks for session_settle at the end of the turn.
void session_touch(struct session *s);

// Makes commands of what has arrived. Begins none.
void session_take(struct session *s);

// Does what has become possible: answers in turn, commands to start, bytes to send and receive.
void session_settle(struct session *s);

// Reads no more; ends when everything that has arrived is answered and sent.
void session_drain(struct session *s);

// Answers with an error line once all before it is answered, and hangs up. Borrows the text.
void session_refuse(struct session *s, const char *problem);

// Ends now. What is under way is waited for, unseen by the client.
void session_shut(struct session *s);

// Back to how it began, but for the connection itself.
void session_reset(struct session *s);

// True when the client does not take what was written for it, and enough of it waits.
bool session_is_full(const struct session *s);

// True in the middle of a command.
bool session_is_half_way(const struct session *s);

// Settles again when memory comes back.
void session_wait_for_memory(struct session *s);

// True when replies that wait for their turn may take so many bytes more.
bool session_may_keep(const struct session *s, size_t size);

#endif
