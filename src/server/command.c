// SPDX-License-Identifier: Apache-2.0
#include "server/command.h"

#include "base/hash.h"
#include "base/text.h"
#include "server/answer.h"
#include "server/commands.h"
#include "server/order.h"

#include <inttypes.h>

enum {
    ECHO_MAX = 128,   // bytes of the client's words that an error repeats
    MISSING_MAX = 96, // and of the names of members that are not there
};

// Finding.

// A name in lower case, with zeros behind it.
struct folded {
    size_t size; // 0: it is nobody's
    char text[COMMAND_NAME_MAX];
};

static_assert(COMMAND_NAME_MAX >= 2 * sizeof(uint64_t), "a name has a head and a tail");

// Adds to the name. Whoever writes "cluster|slots" means something else.
static void fold(struct slice name, struct folded *to) {
    if (name.size > COMMAND_NAME_MAX - to->size) {
        to->size = 0;
        return;
    }
    char *at = to->text + to->size;
    to->size += name.size;
    for (size_t i = 0; i < name.size; i++) {
        at[i] = (char)text_lower(name.data[i]);
        if (at[i] == '|') to->size = 0;
    }
}

static uint64_t head_of(const struct folded *name) {
    uint64_t head;
    memcpy(&head, name->text, sizeof(head));
    return head;
}

static uint32_t place_of(const struct folded *name) {
    uint64_t head = head_of(name);
    uint64_t tail = 0;
    if (name->size > sizeof(head)) {
        memcpy(&tail, name->text + name->size - sizeof(tail), sizeof(tail));
    }
    return (uint32_t)(hash_number(head ^ (tail * 31) ^ name->size) % COMMAND_INDEX_SIZE);
}

void command_index_init(struct command_index *index) {
    must(command_table_count < COMMANDS_TABLE_MAX);
    *index = (struct command_index){0};
    for (uint32_t i = 0; i < command_table_count; i++) {
        struct folded name = {.size = strlen(command_table[i].name)};
        must(name.size <= COMMAND_NAME_MAX);
        memcpy(name.text, command_table[i].name, name.size);
        index->heads[i] = head_of(&name);
        index->name_sizes[i] = (uint8_t)name.size;
        uint32_t at = place_of(&name);
        while (index->entries[at] != 0) at = (at + 1) % COMMAND_INDEX_SIZE;
        index->entries[at] = (uint16_t)(i + 1);
    }
}

static const struct command_spec *find(const struct command_index *index,
                                       const struct folded *name) {
    if (name->size == 0) return NULL;
    for (uint32_t at = place_of(name);; at = (at + 1) % COMMAND_INDEX_SIZE) {
        if (index->entries[at] == 0) return NULL;
        uint32_t i = index->entries[at] - 1u;
        if (index->heads[i] != head_of(name) || index->name_sizes[i] != name->size) continue;
        const struct command_spec *spec = &command_table[i];
        bool is_short = name->size <= sizeof(uint64_t);
        if (is_short || memcmp(spec->name, name->text, name->size) == 0) return spec;
    }
}

const struct command_spec *command_find(const struct command_index *index, struct slice name) {
    struct folded folded = {0};
    fold(name, &folded);
    return find(index, &folded);
}

const struct command_spec *command_find_sub(const struct command_index *index, struct slice name,
                                            struct slice subcommand) {
    struct folded folded = {0};
    fold(name, &folded);
    if (folded.size == 0 || folded.size == COMMAND_NAME_MAX) return NULL;
    folded.text[folded.size++] = '|';
    fold(subcommand, &folded);
    return find(index, &folded);
}

// Making.

static bool arity_fits(const struct command_spec *spec, uint32_t count) {
    uint32_t arity = (uint32_t)(spec->arity < 0 ? -spec->arity : spec->arity);
    return spec->arity < 0 ? count >= arity : count == arity;
}

static enum command_fault find_spec(struct command *c) {
    struct session *s = c->session;
    const struct command_index *index = &s->server->index;
    c->spec = command_find(index, c->arguments[0]);
    if (c->spec == NULL) return s->is_stranger ? FAULT_NO_AUTH : FAULT_UNKNOWN;
    if ((c->spec->flags & COMMAND_CONTAINER) != 0 && c->argument_count > 1) {
        const struct command_spec *sub = command_find_sub(index, c->arguments[0], c->arguments[1]);
        if (sub == NULL) return s->is_stranger ? FAULT_NO_AUTH : FAULT_UNKNOWN_SUB;
        c->spec = sub;
    }
    if (!arity_fits(c->spec, c->argument_count)) return FAULT_ARITY;
    bool is_open = c->spec->last_key < 0;
    if (is_open && (c->argument_count - c->spec->first_key) % c->spec->key_step != 0) {
        return FAULT_UNPAIRED; // MSET with a key that has no value
    }
    if (s->is_stranger && (c->spec->flags & COMMAND_NO_AUTH) == 0) return FAULT_NO_AUTH;
    return FAULT_NONE;
}

// One of a transaction that is being carried out was admitted when it was queued.
static bool is_shed(const struct command *c) {
    uint32_t flags = c->spec->flags;
    if ((flags & (COMMAND_READ | COMMAND_WRITE)) == 0 || (flags & COMMAND_ADMIN) != 0) return false;
    return !c->is_within && !node_admits(c->session->server->node);
}

struct command *command_create(struct session *s, struct slice *arguments, uint32_t count,
                               enum command_fault fault) {
    struct command *c = pool_take(&s->server->command_pool);
    must(c != NULL); // the session has looked
    c->session = s;
    c->spec = NULL;
    c->flags = 0;
    c->arguments = arguments;
    c->argument_count = count;
    c->state = COMMAND_QUEUED;
    c->fault = fault;
    c->is_fresh = true;
    const struct command *exec = s->transaction.exec;
    c->is_within = exec != NULL;
    if (c->is_within) {
        c->is_mute = exec->is_mute || s->state == SESSION_SHUT;
    } else {
        c->is_mute = s->is_mute || s->is_skipping;
        s->is_skipping = false;
    }
    c->wants_turn = false;
    c->has_written = false;
    c->block = NULL;
    c->blocker = NULL;
    c->started = s->server->env->now;
    c->parcel.chunks = (struct chunks){.tally = &s->kept_count};
    c->parcel.small_size = 0;
    list_init(&c->link);
    step_init(&c->step, c);
    if (arguments == s->arguments) {
        memcpy(c->own, arguments, count * sizeof(arguments[0]));
        c->arguments = c->own;
    } else if (count > 0 && !c->is_within) {
        c->block = arguments;
        c->is_block_large = s->is_block_large;
    }
    c->input = s->input;
    input_pin(c->input);

    if (c->fault == FAULT_NONE) c->fault = find_spec(c);
    if (s->server->is_overloaded && c->fault == FAULT_NONE && is_shed(c)) c->fault = FAULT_SHED;
    if (c->fault == FAULT_NONE) {
        c->flags = c->spec->flags;
        if (c->spec->refine != NULL) c->flags |= c->spec->refine(c);
    }
    bool is_plain = c->fault == FAULT_NONE && (c->flags & COMMAND_DIRECT) == 0;
    bool is_queued = s->transaction.is_expected && !c->is_within;
    if (is_queued || !is_plain) transaction_note(c);
    if ((c->flags & (COMMAND_STEPPED | COMMAND_BARRIER)) != 0) s->stepped_count++;
    if (c->spec != NULL) s->last = c->spec;
    order_enter(c);
    list_append(c->is_within ? &s->transaction.exec->link : &s->queue, &c->link);
    s->queue_count++;
    return c;
}

bool command_is_local(const struct command *c) {
    return c->fault != FAULT_NONE || c->spec->local != NULL;
}

// Starting.

// Why a command cannot be started.
enum refusal {
    REFUSAL_NONE,
    REFUSAL_NOT_SERVING,
    REFUSAL_NO_KEY,
    REFUSAL_LARGE_KEY,
    REFUSAL_LARGE_VALUE,
    REFUSAL_SLOTS,     // on the shard's port: keys of several
    REFUSAL_ELSEWHERE, // there: this member does not hold the key
    REFUSAL_NOT_ATOMIC,
};

static enum refusal refusal_of_keys(const struct command *c, uint32_t last) {
    for (uint32_t i = c->spec->first_key; i <= last; i += c->spec->key_step) {
        if (c->arguments[i].size == 0) return REFUSAL_NO_KEY;
        if (c->arguments[i].size > KEY_SIZE_MAX) return REFUSAL_LARGE_KEY;
    }
    return REFUSAL_NONE;
}

// The parser lets arguments of the size of keys through where values must be smaller.
static bool values_fit(const struct command *c) {
    uint32_t max = c->session->server->options.value_size_max;
    for (uint32_t i = 2; max < KEY_SIZE_MAX && i < c->argument_count; i++) {
        if (c->arguments[i].size > max) return false;
    }
    return true;
}

static enum refusal refusal_of_slots(const struct command *c, uint32_t last) {
    const struct node *node = c->session->server->node;
    uint16_t slot = slot_of(c->arguments[c->spec->first_key]);
    for (uint32_t i = c->spec->first_key; i <= last; i += c->spec->key_step) {
        if (slot_of(c->arguments[i]) != slot) return REFUSAL_SLOTS;
    }
    const struct map_run *run = map_run_of(node_map(node), slot);
    bool is_here = map_place_in(run, node_self(node)) < REPLICAS_MAX;
    return is_here ? REFUSAL_NONE : REFUSAL_ELSEWHERE;
}

static enum refusal refusal_of(const struct command *c) {
    const struct session *s = c->session;
    if (node_state(s->server->node) != NODE_SERVING) return REFUSAL_NOT_SERVING;
    uint32_t last = command_last_key(c->spec, c->argument_count);
    enum refusal why = last > 0 ? refusal_of_keys(c, last) : REFUSAL_NONE;
    if (why != REFUSAL_NONE) return why;
    bool has_values = (c->flags & COMMAND_WRITE) != 0 && c->spec->group == GROUP_STRING;
    if (has_values && !values_fit(c)) return REFUSAL_LARGE_VALUE;
    if (last > 0 && s->is_sharded) why = refusal_of_slots(c, last);
    if (why != REFUSAL_NONE) return why;
    bool is_atomic = (c->flags & COMMAND_ATOMIC) != 0;
    return is_atomic && !order_is_single(s->server) ? REFUSAL_NOT_ATOMIC : REFUSAL_NONE;
}

// Says for whom it waits.
static void reply_not_formed(struct reply *r, const struct node *node) {
    char memory[MISSING_MAX];
    struct text missing = text_over(memory, sizeof(memory));
    node_name_missing(node, &missing);
    reply_errorf(r, "CLUSTERDOWN the cluster is not formed yet: waiting for %s",
                 missing.size == 0 ? "its first members" : missing.data);
}

void command_refuse_not_serving(const struct command *c, struct reply *r) {
    struct node *node = c->session->server->node;
    if (node_state(node) == NODE_RECOVERING) {
        reply_error(r, SLICE("LOADING this node is reading its data from disk"));
    } else if (node_state(node) == NODE_STOPPED) {
        reply_error(r, SLICE("BUSY this node is shutting down; not done, ask another"));
    } else if (node_options(node)->seeds != NULL) {
        reply_error(r, SLICE("CLUSTERDOWN this node waits for its seeds to admit it"));
    } else if (node_is_stranger(node)) {
        const char *first = node_is_blank(node) ? "" : "give it that, or an empty one and ";
        reply_errorf(r,
                     "CLUSTERDOWN this node is refused: the cluster knows another data directory "
                     "of it; %srun `quoit replace %s` on another node",
                     first, node_options(node)->self.name);
    } else {
        reply_not_formed(r, node);
    }
}

static void write_moved(const struct command *c, struct reply *r) {
    const struct node *node = c->session->server->node;
    const struct map *map = node_map(node);
    uint16_t slot = slot_of(c->arguments[c->spec->first_key]);
    const struct map_run *run = map_run_of(map, slot);
    uint32_t first = node_first_of(node, run);
    uint32_t place = map_place_in(run, first);
    uint32_t offset = PORT_SHARD_OFFSET + PORT_SHARD_STEP * (uint32_t)run->replicas[place].shard;
    char address[ADDRESS_SIZE_MAX + 1];
    map_member_address(&map->members[first], offset, address);
    reply_errorf(r, "MOVED %u %s", slot, address);
}

static void write_refusal(const struct command *c, enum refusal why, struct reply *r) {
    const struct server *server = c->session->server;
    switch (why) {
    case REFUSAL_NONE:
        break;
    case REFUSAL_NOT_SERVING:
        command_refuse_not_serving(c, r);
        return;
    case REFUSAL_NO_KEY:
        reply_error(r, SLICE("ERR a key has at least one byte"));
        return;
    case REFUSAL_LARGE_KEY:
        reply_errorf(r, "TOOLARGE a key has at most %d bytes; not done", KEY_SIZE_MAX);
        return;
    case REFUSAL_LARGE_VALUE:
        reply_errorf(r, "TOOLARGE a value has at most %" PRIu32 " bytes; not done",
                     server->options.value_size_max);
        return;
    case REFUSAL_SLOTS:
        reply_error(r, SLICE("CROSSSLOT Keys in request don't hash to the same slot"));
        return;
    case REFUSAL_ELSEWHERE:
        write_moved(c, r);
        return;
    case REFUSAL_NOT_ATOMIC:
        if (c->spec->start == start_restore) {
            reply_errorf(r,
                         "NOTATOMIC to see that nothing is there is more than %" PRIu32
                         " nodes offer; RESTORE ... REPLACE does not look",
                         node_map(server->node)->member_count);
            return;
        }
        reply_errorf(r,
                     "NOTATOMIC needs an atomic read-modify-write, which %" PRIu32
                     " nodes do not offer; read with KV.GET, write with KV.PUT ... CONTEXT",
                     node_map(server->node)->member_count);
        return;
    }
    unreachable();
}

bool command_is_refused(const struct command *c, struct reply *r) {
    enum refusal why = refusal_of(c);
    if (why != REFUSAL_NONE) write_refusal(c, why, r);
    return why != REFUSAL_NONE;
}

// Ends a command that cannot be started.
static void answer_refusal(struct command *c, enum refusal why) {
    uint8_t line[REPLY_ERROR_MAX + REPLY_HEADER_MAX];
    struct reply refusal = reply_to(line, sizeof(line), c->session->protocol);
    write_refusal(c, why, &refusal);
    struct reply *r = answer_open(c, refusal.size);
    if (r == NULL) return;
    memcpy(r->data, line, refusal.size);
    r->size = refusal.size;
    answer_close(c);
}

static void on_locked(struct step *step) {
    step->command->spec->start(step->command);
}

void command_count_running(const struct command *c, int change) {
    struct session *s = c->session;
    s->running_count += (uint32_t)change;
    if ((c->flags & COMMAND_WRITE) == 0) s->reading_count += (uint32_t)change;
}

void command_start(struct command *c) {
    struct session *s = c->session;
    must(c->state == COMMAND_QUEUED);
    must(c->blocker == NULL);
    c->state = COMMAND_RUNNING;
    command_count_running(c, 1);
    c->started = s->server->env->now;
    if (c->wants_turn) {
        c->wants_turn = false;
        s->again_count--;
    }
    enum refusal why = refusal_of(c);
    if (why != REFUSAL_NONE) {
        answer_refusal(c, why);
        return;
    }
    bool wants_lock = (c->flags & COMMAND_LOCK) != 0;
    if (wants_lock && !lock_all_keys(&c->step, on_locked)) return;
    c->spec->start(c);
}

// Refusing.

// What an error repeats of a client's words.
static struct slice clipped(struct slice words) {
    words = text_before_nul(words);
    if (words.size > ECHO_MAX) words.size = ECHO_MAX;
    return words;
}

static void refuse_unknown(const struct command *c, struct reply *r) {
    char memory[REPLY_ERROR_MAX];
    struct text text = text_over(memory, sizeof(memory));
    text_string(&text, "ERR unknown command '");
    text_bytes(&text, clipped(c->arguments[0]));
    text_string(&text, "', with args beginning with: ");
    size_t begin = text.size;
    for (uint32_t i = 1; i < c->argument_count && text.size - begin < ECHO_MAX; i++) {
        size_t left = ECHO_MAX - (text.size - begin);
        struct slice argument = clipped(c->arguments[i]);
        if (argument.size > left) argument.size = left;
        text_char(&text, '\'');
        text_bytes(&text, argument);
        text_string(&text, "' ");
    }
    reply_error(r, text_slice(&text));
}

static void refuse_sub(const struct command *c, const char *what, struct reply *r) {
    char memory[REPLY_ERROR_MAX];
    struct text text = text_over(memory, sizeof(memory));
    text_printf(&text, "ERR %s '", what);
    text_bytes(&text, clipped(c->arguments[1]));
    text_string(&text, "'. Try ");
    struct slice name = slice_of_string(c->spec->name);
    for (size_t i = 0; i < name.size && name.data[i] != '|'; i++) {
        uint8_t letter = name.data[i];
        if (letter >= 'a' && letter <= 'z') letter &= 0xdf; // upper case
        text_bytes(&text, (struct slice){&letter, 1});
    }
    text_string(&text, " HELP.");
    reply_error(r, text_slice(&text));
}

void command_refuse_form(const struct command *c, struct reply *r) {
    refuse_sub(c, "unknown subcommand or wrong number of arguments for", r);
}

static void refuse_not_offered(const struct command *c, struct reply *r) {
    uint32_t members = node_map(c->session->server->node)->member_count;
    if (transaction_is_exec(c)) {
        reply_errorf(r,
                     "NOTATOMIC %" PRIu32 " nodes offer no transaction: what came before this was "
                     "done one by one; see the setting multi = batch",
                     members);
    } else {
        reply_errorf(r,
                     "NOTATOMIC %" PRIu32 " nodes offer no transaction; not done; the setting "
                     "multi = batch makes it a plain batch",
                     members);
    }
}

static void refuse_arity(const struct command *c, struct reply *r) {
    const char *why = "wrong number of arguments for";
    if (transaction_is_exec(c)) {
        reply_errorf(r, "EXECABORT Transaction discarded because of: %s 'exec' command", why);
        transaction_forget(c->session);
    } else {
        reply_errorf(r, "ERR %s '%s' command", why, c->spec->name);
    }
}

static void refuse(const struct command *c, struct reply *r) {
    const struct server *server = c->session->server;
    switch (c->fault) {
    case FAULT_NONE:
    case FAULT_QUEUED:
        break;
    case FAULT_WATCH_INSIDE:
        reply_error(r, SLICE("ERR WATCH inside MULTI is not allowed"));
        return;
    case FAULT_NOT_ATOMIC:
        refuse_not_offered(c, r);
        return;
    case FAULT_UNKNOWN:
        refuse_unknown(c, r);
        return;
    case FAULT_UNKNOWN_SUB:
        refuse_sub(c, "unknown subcommand", r);
        return;
    case FAULT_ARITY:
    case FAULT_UNPAIRED:
        refuse_arity(c, r);
        return;
    case FAULT_NO_AUTH:
        reply_error(r, SLICE("NOAUTH Authentication required."));
        return;
    case FAULT_TOO_MANY:
        reply_errorf(r, "TOOLARGE a command has at most %d arguments; not done", ARGUMENTS_MAX);
        return;
    case FAULT_TOO_LARGE:
        reply_errorf(
            r, "TOOLARGE a value has at most %" PRIu32 " bytes, a command %" PRIu32 "; not done",
            server->options.value_size_max, server->large_capacity);
        return;
    case FAULT_SHED:
        reply_error(r, SLICE("BUSY this node has more to do than it can; not done, ask another, or "
                             "again in a while"));
        return;
    }
    unreachable();
}

void command_run_local(struct command *c, struct reply *r) {
    if (c->fault == FAULT_NONE) {
        c->spec->local(c, r);
    } else if (c->fault == FAULT_QUEUED) {
        transaction_queue(c, r);
    } else {
        refuse(c, r);
        if (c->fault != FAULT_WATCH_INSIDE) transaction_doom(c->session);
    }
}
