// SPDX-License-Identifier: Apache-2.0
//
// answer.h -- replies: written where they belong, at their turn or kept until then.
//
// A command whose turn it is writes straight into the connection's output. Another keeps its reply:
// in itself when it is small, else in chunks. When there is no memory to keep it in, a command that
// only read forgets its answer and asks again when its turn has come (answer_again); one that wrote
// has a small reply, which always finds its place.
//
// Every answer ends its command: the pointer may not be used afterwards.
#ifndef QUOIT_SERVER_ANSWER_H
#define QUOIT_SERVER_ANSWER_H

#include "server/step.h"

void answer_ok(struct command *c);
void answer_integer(struct command *c, int64_t value);
void answer_null(struct command *c);
void answer_bulk(struct command *c, struct slice bytes); // for commands that only read

// An error line of at most PARCEL_SMALL - 3 bytes, beginning with its word.
void answer_error(struct command *c, const char *text);
void answer_errorf(struct command *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// The error for a request that failed.
void answer_failure(struct command *c, struct failure failure);
void answer_step_failure(struct step *step);

// Ends the command, and is true, if a read failed or what it brought cannot be read. Else *sibling
// is what a plain client sees; NULL: nothing.
bool answer_failed_read(struct step *step, const struct sibling **sibling);

// A reply of any form, of at most `bound` bytes: the place to write it, or NULL when there is no
// memory now (the command is then waiting to start again, and not to be touched). answer_close ends
// it. Requires nothing to be sent twice: only for commands that only read, unless bound is at most
// PARCEL_SMALL.
struct reply *answer_open(struct command *c, size_t bound);
void answer_close(struct command *c);

// For commands that write, and then have more to say than PARCEL_SMALL: takes the memory for a
// reply of at most `bound` bytes, itself at most CHUNK_CAPACITY, before the write. False: there is
// none now; the command is then waiting to start again, and not to be touched.
bool answer_reserve(struct command *c, size_t bound);

// The place to write that reply. answer_close ends it.
struct reply *answer_open_reserved(struct command *c, size_t bound);

// Forgets what was learnt; the command starts again at its turn.
void answer_again(struct command *c);

// An array whose elements were gathered in the command's parcel; for commands that only read.
void answer_gathered(struct command *c, uint64_t count);

// For commands that write after they have read: keeps a bulk as the reply to come, and answers with
// it once the write is done. parcel_bulk is false when there is no memory.
bool parcel_bulk(struct command *c, struct slice bytes);
void parcel_clear(struct session *s, struct parcel *parcel);
void answer_parcel(struct command *c);

// There is no memory for what the command is to write, or to answer once it has: nothing was done.
void answer_no_memory(struct command *c);

// The value is larger than any may be now, and cannot be held here to be written again.
void answer_too_old(struct command *c);

// Whether it is, which has then been answered. `sibling`: as answer_failed_read finds it.
bool answer_if_too_old(struct command *c, const struct sibling *sibling);

// What a command's write came to: the kept reply, or c->my.number; or why it failed.
void answer_written_parcel(struct step *step);
void answer_written_number(struct step *step);

// Adds a bulk of any size. Requires chunks_needed(its size) + 1 chunks in the pool.
void append_bulk(struct chunks *chunks, struct pool *pool, struct slice bytes);

// The beginning of an array, whose elements are the replies to the next commands; and when all of
// them are out, the end of the command that began it.
void answer_header(struct command *c, uint64_t count);
void answer_end(struct command *c);

// Carries out a local command at its turn. False: there is no memory for its reply now.
bool answer_local(struct command *c);

// Moves the kept reply of the oldest command to the output, which ends it. False: there is no
// memory.
bool answer_kept(struct command *c);

// A failure is worse when less is known of what it left behind.
bool failure_is_worse(struct failure a, struct failure b);
struct failure failure_of(const struct request *request);

#endif
