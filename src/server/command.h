// SPDX-License-Identifier: Apache-2.0
//
// command.h -- what clients can ask for: one table, and one command under way.
//
// A command is either local (this server alone knows the answer: PING, INFO, CLUSTER SLOTS) or asks
// the node for something. A local command is carried out when its turn to reply has come, so its
// answer is never kept. Others start as soon as no earlier command of the connection is in their
// way, and finish in any order:
//
//     QUEUED --command_start--> RUNNING --answer_close--> ANSWERED --its turn--> gone
//        |                        |  ^                        (an answer at its turn skips
//        ANSWERED) |                        |  '-- answer_again: no memory for the reply; starts
//        again later
//        '--its turn, local-------'----------------------------> gone
#ifndef QUOIT_SERVER_COMMAND_H
#define QUOIT_SERVER_COMMAND_H

#include "base/list.h"
#include "base/slice.h"
#include "node/node.h"
#include "server/chunk.h"
#include "server/lock.h"
#include "wire/reply.h"

struct command;
struct input;
struct server;
struct session;

enum command_flag {
    COMMAND_READ = 1 << 0,       // of keys
    COMMAND_WRITE = 1 << 1,      // of keys
    COMMAND_STEPPED = 1 << 2,    // several requests in a row: the node alone does not order them
    COMMAND_BARRIER = 1 << 3,    // earlier commands end before it, later ones begin after it
    COMMAND_HALT = 1 << 4,       // changes how the bytes behind it are understood
    COMMAND_FAST = 1 << 5,       // for COMMAND's readers only
    COMMAND_ADMIN = 1 << 6,      // likewise
    COMMAND_NO_AUTH = 1 << 7,    // allowed to strangers
    COMMAND_LOCK = 1 << 8,       // has its keys alone, where there is one member
    COMMAND_ATOMIC = 1 << 9,     // cannot be done where there are more
    COMMAND_CONTAINER = 1 << 10, // its subcommands are entries of their own, "name|subcommand"
    COMMAND_DENY_OOM = 1 << 11,  // for COMMAND's readers only
    COMMAND_DIRECT = 1 << 12,    // carried out at once between MULTI and EXEC, too
};

enum command_group {
    GROUP_CONNECTION,
    GROUP_STRING,
    GROUP_GENERIC,
    GROUP_SERVER,
    GROUP_CLUSTER,
    GROUP_TRANSACTIONS,
};

typedef void command_start_function(struct command *c);
typedef void command_local_function(struct command *c, struct reply *r);

// Flags that follow from the arguments, on top of the table's.
typedef uint32_t command_refine_function(const struct command *c);

struct command_spec {
    const char *name;      // lower case
    const char *arguments; // for people
    const char *summary;   // likewise
    int16_t arity;         // arguments with the name: exactly, or, negative, at least
    uint16_t first_key;    // index of an argument, 0: no keys
    int16_t last_key;      // likewise, or negative: from the end
    uint16_t key_step;
    uint32_t flags;
    enum command_group group;
    command_start_function *start; // one of the two, but for containers
    command_local_function *local;
    command_refine_function *refine; // or NULL
};

extern const struct command_spec command_table[];
extern const uint32_t command_table_count;

enum {
    COMMANDS_TABLE_MAX = 512, // entries
    COMMAND_INDEX_SIZE = 1024,
    COMMAND_NAME_MAX = 32, // longest name, with its subcommand
};

// From names to entries of the table.
struct command_index {
    uint16_t entries[COMMAND_INDEX_SIZE];   // index + 1, 0: none
    uint64_t heads[COMMANDS_TABLE_MAX];     // of each entry: the first bytes of the name,
    uint8_t name_sizes[COMMANDS_TABLE_MAX]; // and how many it has
};

void command_index_init(struct command_index *index);

// The entry of that name, in any case; NULL when there is none.
const struct command_spec *command_find(const struct command_index *index, struct slice name);

// The entry "name|subcommand"; NULL when there is none.
const struct command_spec *command_find_sub(const struct command_index *index, struct slice name,
                                            struct slice subcommand);

// Index of the last key among `argument_count` arguments, or 0 when there are no keys.
static inline uint32_t command_last_key(const struct command_spec *spec, uint32_t argument_count) {
    if (spec->first_key == 0) return 0;
    if (spec->last_key > 0) return (uint32_t)spec->last_key;
    return argument_count - (uint32_t)-spec->last_key;
}

// Bytes of a reply that wait for their turn. Small ones need no memory.
enum { PARCEL_SMALL = 128 };

struct parcel {
    struct chunks chunks;
    uint8_t small_size;
    uint8_t small[PARCEL_SMALL];
};

// One request made to the node for a command.
struct step {
    struct request request;
    struct command *command;
    step_done *then;
    uint32_t index;     // of the argument that is its key
    bool is_done;       // of a command with many keys: its answer is in `parcel`
    struct chunk *hold; // what the request borrows and no argument is: context, and value if small
    struct input *hold_large; // the value, if large
    struct list link;         // in my.steps of its command
    struct lock_hold lock;
    struct parcel parcel;
};

// What a request came to, when it was not what was asked for.
struct failure {
    enum status status; // ST_OK: none
    bool is_write;
    uint32_t need;
    uint32_t answered;
    uint32_t copies;
    uint32_t up; // of these
};

enum command_state { COMMAND_QUEUED, COMMAND_RUNNING, COMMAND_ANSWERED };

// Why a command will not be carried out when its turn comes.
enum command_fault {
    FAULT_NONE,
    FAULT_QUEUED,       // nothing is wrong with it: it came between MULTI and EXEC
    FAULT_WATCH_INSIDE, // a WATCH that did
    FAULT_NOT_ATOMIC,   // MULTI or EXEC where they are not offered
    FAULT_UNKNOWN,
    FAULT_UNKNOWN_SUB,
    FAULT_ARITY,
    FAULT_UNPAIRED, // a key without a value; said, as in Redis, when it would be carried out
    FAULT_NO_AUTH,
    FAULT_TOO_MANY,  // arguments
    FAULT_TOO_LARGE, // the parser passed over it; there are no arguments
    FAULT_SHED,      // the node has too much to do
};

enum { ARGUMENTS_INLINE = 8 };

// Where the reply that is being written goes.
enum answer_target { ANSWER_OUTPUT, ANSWER_SMALL, ANSWER_KEPT, ANSWER_SCRATCH };

struct command {
    struct list link; // in its session's queue
    struct session *session;
    const struct command_spec *spec; // NULL: unknown
    uint32_t flags;                  // of the spec, refined
    struct slice *arguments;         // `own`, or in `block`
    uint32_t argument_count;
    enum command_state state;
    enum command_fault fault;
    enum answer_target target;
    bool is_alone;       // no earlier command can have had one of its keys
    bool is_fresh;       // not yet tried to start
    bool is_mute;        // its client does not want to hear the reply
    bool wants_turn;     // starts only when all earlier ones are gone: its reply found no memory
    bool has_written;    // asked the node for a write: must not start again
    bool is_within;      // a transaction that is being carried out, and borrows its arguments
    struct slice *block; // arguments that did not fit `own`, to be given back; or NULL
    bool is_block_large; //
    struct input *input; // pinned: the arguments point into it
    struct command *blocker; // the latest earlier command that must end first; or NULL
    uint64_t key_bits;       // a set of the keys that may have too many
    uint64_t started;        // ns
    struct parcel parcel;    // the reply, once ANSWERED

    // Of the command's own; cleared when it starts.
    struct {
        uint64_t expires_ms;
        uint32_t flags;
        uint32_t next;      // index of the next argument to deal with
        uint32_t under_way; // steps
        uint32_t kept;      // steps whose answer waits for its place
        uint32_t failed;
        uint32_t done;
        bool is_pumping;
        int64_t number;
        struct slice text;
        struct failure failure; // the worst of several steps'
        struct list steps;      // under way, or with an answer that waits for its place
    } my;
    struct step step;
    struct slice own[ARGUMENTS_INLINE];
};

// Makes a command of what was parsed and puts it at the end of its session's queue. The arguments
// stay where they are; the input is pinned. While a transaction is carried out it is one of those
// that were queued, and comes before the EXEC.
struct command *command_create(struct session *s, struct slice *arguments, uint32_t count,
                               enum command_fault fault);

// True when it is answered here, at its turn.
bool command_is_local(const struct command *c);

// Ends one that is not RUNNING, without a reply.
void command_drop(struct command *c);

// Starts one that is not local and that nothing is in the way of. It may be gone on return.
void command_start(struct command *c);

// True: the command cannot be started now, by its keys, its values, or the state of the node; the
// error that says so is written.
bool command_is_refused(const struct command *c, struct reply *r);

// Notes in its session that it began, or ended.
void command_count_running(const struct command *c, int change);

// Writes the error of a node that does not serve: why it does not.
void command_refuse_not_serving(const struct command *c, struct reply *r);

// Writes the error for a subcommand that was given too many arguments.
void command_refuse_form(const struct command *c, struct reply *r);

// Writes the reply of a local one, or of one that is refused.
void command_run_local(struct command *c, struct reply *r);

#endif
