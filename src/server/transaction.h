// SPDX-License-Identifier: Apache-2.0
//
// transaction.h -- what a connection queues between MULTI and EXEC, and how EXEC carries it out.
//
//     CLOSED --MULTI--> OPEN (what comes is kept) --EXEC--> (locks, watched keys) --> RUNNING
//        ^                |                                                             |
//        '--DISCARD, RESET+-------------------------------------------------------------'
//
// Where there is one member, EXEC first has the locks of all keys that its commands name, closed to
// readers as well (lock.h); then nothing of another connection comes between. Its commands are then
// made one after the other of what was kept, and stand in the connection's queue before the EXEC:
// there they are carried out, and answered, as any pipeline is. What follows the EXEC waits.
//
// EXEC holds locks while it runs, so it must wait for nobody who may wait for these: not for its
// client to read, not for memory that others hold. Before it takes them it sets aside chunks for as
// many small replies as there are commands; a larger reply that then finds no room becomes an
// error.
//
// WATCH keeps what it saw of a key as a number that every write of the key changes. EXEC reads the
// keys once more, under its locks.
//
// Where there are several members there are no locks to be had. MULTI is refused there, unless the
// configuration says that a plain batch is wanted.
#ifndef QUOIT_SERVER_TRANSACTION_H
#define QUOIT_SERVER_TRANSACTION_H

#include "base/status.h"
#include "server/chunk.h"
#include "server/lock.h"
#include "wire/reply.h"

struct command;
struct input;
struct queued;
struct session;

enum {
    TRANSACTION_COMMANDS_MAX = 16384,
    TRANSACTION_WATCHED_MAX = 4096,  // keys
    TRANSACTION_CHUNKS_MAX = 256,    // of commands and keys: 4 MiB
    TRANSACTION_LARGE_MAX = 4,       // buffers for those that do not fit a chunk
    TRANSACTION_REPLY_MAX = 8 << 20, // bytes of its reply, about
};

// What was seen of a key.
struct sighting {
    uint64_t hash; // of its record
    bool is_there; // there was something to see
};

struct watched {
    struct watched *next;
    struct slice key;
    struct sighting seen;
};

// In a session.
struct transaction {
    bool is_expected; // MULTI was taken, and no EXEC or DISCARD since: what comes now is queued
    bool will_write;  // something that was taken since then writes
    bool is_open;     // MULTI was carried out; the rest tells of what was queued since
    bool is_doomed;   // one was refused: EXEC will carry out none
    bool has_slot;    // one has a key
    bool is_across;   // they have keys of several slots
    uint16_t slot;    // of the first key
    uint32_t count;   // of commands
    struct queued *first;
    struct queued *last;
    struct queued *next;     // to be carried out
    struct command *exec;    // that carries them out; or NULL
    struct watched *watched; // newest first
    uint32_t watched_count;
    const struct watched *unchecked; // by EXEC, in the order of `watched`
    uint64_t wanted[LOCKS / 64];     // locks of the keys of commands, and of those watched

    struct chunks kept;    // memory of the queued and the watched
    uint32_t kept_count;   // chunks of it
    struct chunks reserve; // for replies
    struct input *large[TRANSACTION_LARGE_MAX];
    uint32_t large_count;
    uint32_t large_used; // bytes of the latest
};

// Of a command that was just taken, and whose fault is known: whether it is to be queued.
void transaction_note(struct command *c);

// Keeps a command with FAULT_QUEUED, at its turn, and writes the reply.
void transaction_queue(struct command *c, struct reply *r);

// A command was refused: if a transaction is open, nothing comes of it.
void transaction_doom(struct session *s);

// Keeps the key with what was seen of it; the first time counts. ST_TOO_LARGE: too many keys, or
// bytes of them; ST_BUSY: there is no memory now.
NODISCARD enum status transaction_watch(struct session *s, struct slice key, struct sighting seen);

// Why something could not be kept, as an error for the client.
const char *transaction_problem(enum status status);

// Sets memory aside for small replies to all commands. False: there is not enough now.
bool transaction_reserve(struct session *s);

// Gives a chunk of it, if there is one, back to the pool, to be taken at once.
void transaction_lend(struct session *s);

// Carries out what was queued, from now on; writes the beginning of the reply. Requires
// transaction_reserve, and that it is the turn of this EXEC.
void transaction_begin(struct command *exec);

// The next command of those carried out, made and in the queue; NULL: not now, or none is left.
struct command *transaction_next(struct session *s);

// Ends the EXEC, if all its commands are gone; true then.
bool transaction_end(struct session *s);

// Forgets what was queued and watched.
void transaction_forget(struct session *s);

// Bytes that it keeps until it is forgotten.
size_t transaction_memory(const struct session *s);

// True of an EXEC, whatever is wrong with it.
bool transaction_is_exec(const struct command *c);

#endif
