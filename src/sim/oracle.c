// SPDX-License-Identifier: Apache-2.0
#include "sim/oracle.h"

#include "base/text.h"
#include "sim/memory.h"
#include "sim/oracle_event.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void oracle_init(struct oracle *oracle) {
    *oracle = (struct oracle){.healed_at = UINT64_MAX};
    oracle->writes = memory_take(ORACLE_WRITES_MAX, sizeof(*oracle->writes));
}

void oracle_free(struct oracle *oracle) {
    for (uint32_t i = 0; i < oracle->key_count; i++) {
        memory_give(oracle->keys[i].writes);
        memory_give(oracle->keys[i].reads);
    }
    for (uint32_t i = 0; i < oracle->event_count; i++) memory_give(oracle->events[i].seen);
    memory_give(oracle->events);
    memory_give(oracle->writes);
}

void oracle_fail(struct oracle *oracle, const char *format, ...) {
    if (oracle->has_failed) return;
    oracle->has_failed = true;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(oracle->failure, sizeof(oracle->failure), format, arguments);
    va_end(arguments);
}

static uint64_t now(const struct oracle *oracle) {
    return world_now(oracle->cluster->world);
}

uint32_t oracle_add_key(struct oracle *oracle, const char *name, bool is_register) {
    must(oracle->key_count < ORACLE_KEYS_MAX);
    struct oracle_key *key = &oracle->keys[oracle->key_count];
    (void)snprintf(key->name, sizeof(key->name), "%s", name);
    key->is_register = is_register;
    return oracle->key_count++;
}

uint32_t oracle_find_key(const struct oracle *oracle, struct slice name) {
    for (uint32_t i = 0; i < oracle->key_count; i++) {
        if (slice_equal(slice_of_string(oracle->keys[i].name), name)) return i;
    }
    return ORACLE_NONE;
}

// Room for one more, doubling.
static void *grow(void *items, uint32_t count, size_t size) {
    bool is_full = (count & (count - 1)) == 0;
    return is_full ? memory_grow(items, count == 0 ? 1 : 2 * (size_t)count, size) : items;
}

uint32_t oracle_copies(const struct oracle *oracle) {
    const struct cluster_options *o = &oracle->cluster->options;
    uint32_t members = o->members - o->newcomers; // who joins holds no keys
    return members < REPLICATION_DEFAULT ? members : REPLICATION_DEFAULT;
}

static bool is_majority(const struct oracle *oracle, uint32_t need) {
    return 2 * need > oracle_copies(oracle);
}

bool oracle_has_lost_bytes(const struct oracle *oracle) {
    for (uint32_t i = 0; i < oracle->cluster->options.members; i++) {
        if (oracle->cluster->processes[i].bytes_lost > 0) return true;
    }
    return false;
}

uint32_t oracle_begin_write(struct oracle *oracle, uint32_t key, bool is_tombstone,
                            struct oracle_needs needs) {
    must(oracle->write_count < ORACLE_WRITES_MAX);
    struct oracle_key *k = &oracle->keys[key];
    uint32_t number = oracle->write_count++;
    oracle->writes[number] = (struct oracle_write){
        .key = key,
        .needs = needs,
        .start = now(oracle),
        .end = UINT64_MAX,
        .is_tombstone = is_tombstone,
        .event = ORACLE_NONE,
    };
    k->writes = grow(k->writes, k->write_count, sizeof(*k->writes));
    k->writes[k->write_count++] = number;
    return number;
}

size_t oracle_value(const struct oracle *oracle, uint32_t write, char *to, size_t capacity) {
    struct rng rng = {write};
    int size = snprintf(to, capacity, "w%u.", write);
    must(size > 0);
    size_t padding = rng_chance(&rng, 1, 16) ? rng_below(&rng, 3000) : 8 + rng_below(&rng, 64);
    bool is_register = oracle->keys[oracle->writes[write].key].is_register;
    if (oracle->has_large && is_register) padding = 2000 + rng_below(&rng, 1900);
    must((size_t)size + padding <= capacity);
    for (size_t i = 0; i < padding; i++) to[(size_t)size + i] = (char)('a' + rng_below(&rng, 26));
    return (size_t)size + padding;
}

uint32_t oracle_writer(struct oracle *oracle, uint32_t key, struct slice value) {
    char text[4096];
    uint64_t number = 0;
    const uint8_t *dot = value.size > 0 ? memchr(value.data, '.', value.size) : NULL;
    bool is_ours =
        dot != NULL && value.data[0] == 'w' &&
        text_to_u64((struct slice){value.data + 1, (size_t)(dot - value.data) - 1}, &number) &&
        number < oracle->write_count && oracle->writes[number].key == key;
    if (is_ours) {
        struct slice whole = {(const uint8_t *)text,
                              oracle_value(oracle, (uint32_t)number, text, sizeof(text))};
        is_ours = slice_equal(whole, value);
    }
    if (is_ours) return (uint32_t)number;
    oracle_fail(oracle, "O4 key=%s read=%.*s was never written to it", oracle->keys[key].name,
                (int)(value.size < 60 ? value.size : 60), (const char *)value.data);
    return ORACLE_NONE;
}

// Dots.

// The member that mints under that actor, if it runs; else ORACLE_NONE.
static uint32_t minter_of(const struct oracle *oracle, struct actor actor) {
    for (uint32_t i = 0; i < oracle->cluster->options.members; i++) {
        struct node *node = cluster_node(oracle->cluster, i);
        if (node == NULL) continue;
        if (actor_compare(store_actor(node_store(node)), actor) == 0) return i;
    }
    return ORACLE_NONE;
}

// What memory alone can tell: ST_BUSY when a table would have to be read.
static enum status held_in_memory(const struct oracle *oracle, uint32_t member, uint32_t key,
                                  struct record *record) {
    struct node *node = cluster_node(oracle->cluster, member);
    struct slice name = key_bytes(&oracle->keys[key]);
    struct store_read read = {.key = name};
    read.partition = cluster_partition(oracle->cluster, member, name);
    enum status st = store_peek(node_store(node), &read);
    if (st != ST_OK && st != ST_NOT_FOUND) return st;
    return record_decode(record, st == ST_OK ? read.record : (struct slice){0});
}

// O12, of a member that was given an older copy of its disk: what it holds itself it knows of.
static void check_outdone(struct oracle *oracle, uint32_t member, struct version dot) {
    static struct record record;
    for (uint32_t i = 0; i < oracle->key_count; i++) {
        if (held_in_memory(oracle, member, i, &record) != ST_OK) continue;
        struct version latest = context_latest(&record.context, dot.actor.storage);
        if (latest.counter == 0) continue;
        oracle->counts.dots_outdone++;
        if (version_compare(latest, dot) < 0) continue;
        oracle_fail(oracle, "O12 n%u mints %u.%llu and holds %u.%llu of its own in %s", member + 1,
                    dot.actor.epoch, (unsigned long long)dot.counter, latest.actor.epoch,
                    (unsigned long long)latest.counter, oracle->keys[i].name);
    }
}

// Whether the dot is of an actor under which its member minted before it was given an older copy of
// its disk. It cannot tell yet, and what it writes so may be taken for what it wrote then.
static bool is_forked(struct oracle *oracle, struct version dot) {
    uint32_t member = minter_of(oracle, dot.actor);
    if (member == ORACLE_NONE) return false;
    uint64_t rolled_back = oracle->cluster->processes[member].rolled_back;
    if (rolled_back == 0) return false;
    check_outdone(oracle, member, dot);
    for (uint32_t i = 0; i < oracle->event_count; i++) {
        const struct oracle_event *e = &oracle->events[i];
        if (e->at < rolled_back && actor_compare(e->dot.actor, dot.actor) == 0) return true;
    }
    return false;
}

bool oracle_may_judge(const struct oracle *oracle, uint32_t key, uint64_t from, uint64_t until) {
    if (oracle->keys[key].is_forked) return false;
    for (uint32_t i = 0; i < oracle->cluster->options.members; i++) {
        uint64_t rolled_back = oracle->cluster->processes[i].rolled_back;
        if (rolled_back > 0 && until >= rolled_back && from < oracle->healed_at) return false;
    }
    return true;
}

static void bury_earlier(struct oracle *oracle, struct version dot) {
    for (uint32_t i = 0; i < oracle->event_count; i++) {
        struct oracle_event *e = &oracle->events[i];
        if (e->is_dead || !same_dot(e->dot, dot)) continue;
        e->is_dead = true;
        oracle->counts.dots_again++;
        const struct oracle_write *w = e->write == ORACLE_NONE ? NULL : &oracle->writes[e->write];
        if (w != NULL && w->event == i && (w->outcome == OUTCOME_OK || w->was_read)) {
            oracle_fail(oracle, "O12 dot %llu of a known write w%u minted again",
                        (unsigned long long)dot.counter, e->write);
        }
    }
}

// O12, of the write that an event was minted for: handed on or tried again, it is minted once; a
// second round is made by the same member, and only of what replaces.
static void check_once(struct oracle *oracle, uint32_t write, struct version dot) {
    struct oracle_write *w = &oracle->writes[write];
    if (w->event != ORACLE_NONE) {
        struct version first = oracle->events[w->event].dot;
        bool is_same = first.actor.storage == dot.actor.storage;
        bool has_rounds = oracle->keys[w->key].is_register || w->is_tombstone;
        if (!is_same || w->dots >= (has_rounds ? 2 : 1)) {
            oracle_fail(oracle, "O12 key=%s w%u is minted again, %u times before%s",
                        oracle->keys[w->key].name, write, w->dots,
                        is_same ? "" : ", by another member");
        }
    }
    w->dots++;
}

// The latest event with that dot.
static struct oracle_event *find_event(struct oracle *oracle, struct version dot) {
    for (uint32_t i = oracle->event_count; i > 0; i--) {
        if (same_dot(oracle->events[i - 1].dot, dot)) return &oracle->events[i - 1];
    }
    return NULL;
}

// The DEL that a tombstone comes from: the only one of the key that may still be under way; of
// several nobody can tell.
static uint32_t find_delete(const struct oracle *oracle, uint32_t key) {
    const struct oracle_key *k = &oracle->keys[key];
    uint32_t found = ORACLE_NONE;
    for (uint32_t i = 0; i < k->write_count; i++) {
        const struct oracle_write *w = &oracle->writes[k->writes[i]];
        bool is_under_way = w->outcome == OUTCOME_PENDING || w->outcome == OUTCOME_UNKNOWN;
        if (!w->is_tombstone || !is_under_way) continue;
        if (found != ORACLE_NONE) return ORACLE_NONE;
        found = k->writes[i];
    }
    return found;
}

// O31. A purge goes by that.
static void check_later(struct oracle *oracle, uint32_t key, const struct sibling *written,
                        const struct context *seen) {
    if (oracle->keys[key].is_forked) return;
    for (uint32_t i = 0; i < oracle->event_count; i++) {
        const struct oracle_event *e = &oracle->events[i];
        if (e->key != key || e->is_dead || !e->is_kept || !context_covers(seen, e->dot)) continue;
        oracle->counts.superseded++;
        if (written->timestamp >= e->timestamp) continue;
        oracle_fail(oracle, "O31 key=%s dot %llu is earlier than what it supersedes, w%u",
                    oracle->keys[key].name, (unsigned long long)written->dot.counter, e->write);
    }
}

void oracle_on_minted(void *context, struct slice key, const struct sibling *written,
                      const struct context *seen) {
    struct oracle *oracle = context;
    uint32_t index = 0;
    while (index < oracle->key_count && !slice_equal(key_bytes(&oracle->keys[index]), key)) index++;
    if (index == oracle->key_count) return;
    if (seen == NULL) {
        find_event(oracle, written->dot)->is_kept = true;
        return;
    }
    oracle->counts.dots++;
    if (is_forked(oracle, written->dot)) {
        oracle->keys[index].is_forked = true;
        oracle->counts.dots_forked++;
    } else {
        bury_earlier(oracle, written->dot);
    }
    check_later(oracle, index, written, seen);
    oracle->events = grow(oracle->events, oracle->event_count, sizeof(*oracle->events));
    struct oracle_event *e = &oracle->events[oracle->event_count];
    *e = (struct oracle_event){
        .key = index,
        .write = ORACLE_NONE,
        .dot = written->dot,
        .at = now(oracle),
        .timestamp = written->timestamp,
        .seen_count = seen->count,
        .seen = memory_take(seen->count + 1, sizeof(*e->seen)),
    };
    memcpy(e->seen, seen->entries, seen->count * sizeof(*e->seen));
    e->write = written->is_tombstone ? find_delete(oracle, index)
                                     : oracle_writer(oracle, index, written->value);
    if (e->write != ORACLE_NONE) {
        check_once(oracle, e->write, e->dot);
        oracle->writes[e->write].event = oracle->event_count;
    }
    oracle->counts.deletes += written->is_tombstone && e->write != ORACLE_NONE;
    oracle->event_count++;
}

// Whether some write up to the event of that number has superseded the event.
static bool was_superseded(const struct oracle *oracle, const struct oracle_event *event,
                           uint32_t last) {
    for (uint32_t i = 0; i <= last; i++) {
        const struct oracle_event *e = &oracle->events[i];
        if (e->key == event->key && has_seen(e, event->dot)) return true;
    }
    return false;
}

void oracle_end_context(struct oracle *oracle, uint32_t write, const struct context *before,
                        const struct context *after) {
    const struct oracle_write *w = &oracle->writes[write];
    if (w->event == ORACLE_NONE) return; // one of several deletes: which is its own cannot be told
    if (oracle->keys[w->key].is_forked) return;
    struct version own = oracle->events[w->event].dot;
    const char *key = oracle->keys[w->key].name;
    bool may_be_hidden = false; // by a sibling that its member wrote before, and knows of no end of
    oracle->counts.contexts++;
    for (uint32_t i = 0; i < oracle->event_count; i++) {
        const struct oracle_event *e = &oracle->events[i];
        if (e->key != w->key || i == w->event || e->is_dead) continue;
        if (context_covers(before, e->dot)) continue;
        bool is_same_actor = actor_compare(e->dot.actor, own.actor) == 0;
        may_be_hidden |= is_same_actor && e->dot.counter < own.counter;
        // One that was not stored in the end may be below a counter, and is nobody's; like one that
        // was purged.
        if (!e->is_kept || e->purged_at > 0 || was_superseded(oracle, e, w->event)) continue;
        if (context_covers(after, e->dot)) {
            oracle_fail(oracle, "O26 key=%s the context that w%u answered covers w%u, unseen", key,
                        write, e->write);
        }
        oracle->counts.unseen++;
    }
    if (!may_be_hidden && !context_covers(after, own)) {
        oracle_fail(oracle, "O26 key=%s the context that w%u answered does not cover it", key,
                    write);
    }
}

// What members hold.

static bool contains(struct slice whole, struct slice part) {
    while (whole.size >= part.size) {
        const uint8_t *first = memchr(whole.data, part.data[0], whole.size - part.size + 1);
        if (first == NULL) return false;
        whole = slice_skip(whole, (size_t)(first - whole.data));
        if (memcmp(whole.data, part.data, part.size) == 0) return true;
        whole = slice_skip(whole, 1);
    }
    return false;
}

// Are they among the bytes that a power loss could not take?
static bool is_on_disk(const struct machine *machine, struct slice part) {
    static uint8_t bytes[1 << 20];
    uint8_t names[8192];
    uint32_t size = machine_durable_names(machine, names, sizeof(names));
    for (uint32_t at = 0; at < size; at += (uint32_t)strlen((const char *)names + at) + 1) {
        const char *name = (const char *)names + at;
        int64_t found = machine_durable_read(machine, name, 0, bytes, sizeof(bytes));
        if (found > 0 && contains((struct slice){bytes, (size_t)found}, part)) return true;
    }
    return false;
}

// The version of an actor in a context.
static struct slice dot_bytes(struct version dot, uint8_t *to, size_t capacity) {
    struct writer bytes = writer_to(to, capacity);
    write_u64(&bytes, dot.actor.storage);
    write_u32(&bytes, dot.actor.epoch);
    write_u64(&bytes, dot.counter);
    return writer_bytes(&bytes);
}

// A replica that knew something newer may have dropped the write when it came. Of a member that is
// down, or has the record in a table only: its disk has an event that had seen the write.
static bool has_newer_on_disk(const struct oracle *oracle, uint32_t member,
                              const struct oracle_write *w) {
    if (w->event == ORACLE_NONE) return false;
    struct version dot = oracle->events[w->event].dot;
    for (uint32_t i = 0; i < oracle->event_count; i++) {
        const struct oracle_event *e = &oracle->events[i];
        uint8_t memory[32];
        if (e->key != w->key || !has_seen(e, dot)) continue;
        struct slice trace = dot_bytes(e->dot, memory, sizeof(memory));
        if (is_on_disk(oracle->cluster->processes[member].machine, trace)) return true;
    }
    return false;
}

// A tombstone that came to a replica in one record with a later event of its actor: the context has
// only the dot of that.
static bool is_covered_on_disk(const struct oracle *oracle, uint32_t member,
                               const struct oracle_write *w) {
    if (!w->is_tombstone) return false;
    struct version dot = oracle->events[w->event].dot;
    for (uint32_t i = 0; i < oracle->event_count; i++) {
        const struct oracle_event *e = &oracle->events[i];
        uint8_t memory[32];
        bool is_later = e->key == w->key && actor_compare(e->dot.actor, dot.actor) == 0 &&
                        e->dot.counter > dot.counter;
        struct slice trace = dot_bytes(e->dot, memory, sizeof(memory));
        if (is_later && is_on_disk(oracle->cluster->processes[member].machine, trace)) return true;
    }
    return false;
}

// As has_newer_on_disk(), of a member that is up.
static bool is_superseded_at(const struct oracle *oracle, uint32_t member,
                             const struct oracle_write *w) {
    static struct record record;
    if (cluster_node(oracle->cluster, member) == NULL || w->event == ORACLE_NONE) return false;
    enum status st = held_in_memory(oracle, member, w->key, &record);
    if (st == ST_BUSY) return has_newer_on_disk(oracle, member, w);
    struct version dot = oracle->events[w->event].dot;
    return st == ST_OK && context_covers(&record.context, dot) && !holds(&record, dot);
}

// What a record with the write in it has among its bytes: the value; of a tombstone, its dot, as
// the context of the key has it, and no other key's.
static struct slice trace_of(const struct oracle *oracle, uint32_t write, uint8_t *to,
                             size_t capacity) {
    const struct oracle_write *w = &oracle->writes[write];
    if (!w->is_tombstone)
        return (struct slice){to, oracle_value(oracle, write, (char *)to, capacity)};
    return dot_bytes(oracle->events[w->event].dot, to, capacity);
}

// Whether a power loss would leave the member with the write, or what has superseded it, or it had
// it and its disk has lost bytes since.
static bool has_copy(const struct oracle *oracle, uint32_t member, const struct oracle_write *w,
                     struct slice trace) {
    const struct process *p = &oracle->cluster->processes[member];
    bool has_lost_it = p->bytes_lost > w->start; // before the client heard of its OK
    return has_lost_it || is_on_disk(p->machine, trace) || is_covered_on_disk(oracle, member, w) ||
           is_superseded_at(oracle, member, w) ||
           (p->state != PROCESS_UP && has_newer_on_disk(oracle, member, w));
}

// O1, one write in eight: looking for it on every disk takes its time. A DEL that minted nothing,
// as there was nothing to delete, or of which it cannot be told, is not looked for.
static void check_durable(struct oracle *oracle, uint32_t write) {
    uint8_t memory[4096];
    const struct oracle_write *w = &oracle->writes[write];
    uint32_t need = w->needs.write > 0 ? w->needs.write : 1; // SLOPPY: as many as there were
    if (oracle->syncs_late || oracle->is_compressed || oracle->counts.acks % 8 != 1) return;
    if (w->is_tombstone && w->event == ORACLE_NONE) return;
    if (w->event != ORACLE_NONE && oracle->events[w->event].purged_at > 0) return;
    struct slice trace = trace_of(oracle, write, memory, sizeof(memory));
    uint32_t copies = 0;
    for (uint32_t i = 0; i < oracle->cluster->options.members; i++) {
        copies += has_copy(oracle, i, w, trace);
    }
    oracle->counts.durable_checks++;
    if (copies < need) {
        oracle_fail(oracle, "O1 key=%s w%u has its OK at level %u and %u durable copies",
                    oracle->keys[w->key].name, write, need, copies);
    }
}

void oracle_end_write(struct oracle *oracle, uint32_t write, enum outcome outcome) {
    struct oracle_write *w = &oracle->writes[write];
    w->outcome = outcome;
    if (outcome == OUTCOME_OK || outcome == OUTCOME_NOT_DONE) w->end = now(oracle);
    if (outcome == OUTCOME_UNKNOWN) oracle->counts.unknowns++;
    if (outcome == OUTCOME_NOT_DONE) oracle->counts.refusals++;
    if (outcome == OUTCOME_NOT_DONE && w->event != ORACLE_NONE) {
        oracle_fail(oracle, "O19 w%u was minted and answered with certainly not done", write);
    }
    if (outcome != OUTCOME_OK) return;
    oracle->counts.acks++;
    check_durable(oracle, write);
}

void oracle_on_handed(void *context, uint32_t target, struct slice key, struct slice hint) {
    static struct record record;
    uint8_t memory[4096];
    struct oracle *oracle = context;
    uint32_t index = oracle_find_key(oracle, key);
    if (index == ORACLE_NONE || hint.size == 0 || oracle->syncs_late || oracle->is_compressed)
        return;
    if (record_decode(&record, hint) != ST_OK || oracle->counts.handed++ % 4 != 0) return;
    for (uint32_t i = 0; i < oracle->event_count; i++) {
        const struct oracle_event *e = &oracle->events[i];
        bool is_of_it = e->key == index && !e->is_dead && e->write != ORACLE_NONE;
        if (!is_of_it || e->purged_at > 0 || !holds(&record, e->dot)) continue;
        const struct oracle_write *w = &oracle->writes[e->write];
        if (w->event != i) continue; // written once more, in a second round
        struct slice trace = trace_of(oracle, e->write, memory, sizeof(memory));
        if (has_copy(oracle, target, w, trace)) continue;
        oracle_fail(oracle, "O33 key=%s the hint with w%u is gone, n%u does not have it",
                    oracle->keys[index].name, e->write, target + 1);
    }
}

// O31. The last life of a member may have forgotten what was not synced yet, and know that only
// when it has heard of the others. A sloppy read may show what a stand-in has not handed off.
static void check_not_purged(struct oracle *oracle, uint32_t write, uint64_t start, uint32_t need) {
    const struct oracle_write *w = &oracle->writes[write];
    if (oracle->syncs_late || w->event == ORACLE_NONE || need == 0) return;
    if (!oracle_may_judge(oracle, w->key, start, now(oracle))) return;
    for (uint32_t i = 0; i < oracle->event_count; i++) {
        const struct oracle_event *e = &oracle->events[i];
        if (e->key != w->key || e->purged_at == 0 || e->purged_at >= start) continue;
        oracle->counts.purged_reads += i != w->event;
        if (i != w->event) continue;
        oracle_fail(oracle, "O31 key=%s w%u is read, it was purged", oracle->keys[w->key].name,
                    write);
    }
}

void oracle_on_purged(void *context, struct slice key, struct slice record) {
    static struct record dead;
    struct oracle *oracle = context;
    uint32_t index = oracle_find_key(oracle, key);
    if (index == ORACLE_NONE) return;
    bool is_good = record_decode(&dead, record) == ST_OK;
    for (uint32_t i = 0; i < dead.sibling_count; i++) {
        is_good &= dead.siblings[i].is_tombstone || dead.siblings[i].expires_ms != 0;
    }
    if (!is_good) {
        oracle_fail(oracle, "O31 key=%s is purged and has a value", oracle->keys[index].name);
    }
    for (uint32_t i = 0; i < oracle->event_count; i++) {
        struct oracle_event *e = &oracle->events[i];
        if (e->key != index || e->is_dead || e->purged_at > 0) continue;
        if (!context_covers(&dead.context, e->dot)) continue;
        e->purged_at = now(oracle);
        oracle->counts.purged++;
    }
}

// What goes is known to the record and superseded, and what is left of it is as good as the whole.
void oracle_on_retired(void *context, struct slice key, struct slice record, struct slice left) {
    static struct record before, after;
    struct oracle *oracle = context;
    uint32_t index = oracle_find_key(oracle, key);
    if (index == ORACLE_NONE) return;
    const char *name = oracle->keys[index].name;
    bool is_good = record_decode(&before, record) == ST_OK && record_decode(&after, left) == ST_OK;
    is_good &= context_descends(&before.context, &after.context);
    is_good &= before.sibling_count == after.sibling_count;
    if (!is_good) oracle_fail(oracle, "O31 key=%s is another one without what was retired", name);
    for (uint32_t i = 0; i < oracle->event_count; i++) {
        struct oracle_event *e = &oracle->events[i];
        if (e->key != index || e->is_dead || !context_covers(&before.context, e->dot)) continue;
        if (context_covers(&after.context, e->dot)) continue;
        if (holds(&before, e->dot)) {
            oracle_fail(oracle, "O31 key=%s the entry of w%u is retired, which is there", name,
                        e->write);
        }
        bool must_be = e->is_kept && !oracle->keys[index].is_forked;
        if (must_be && !was_superseded(oracle, e, oracle->event_count - 1)) {
            oracle_fail(oracle, "O31 key=%s the entry of w%u is retired, which nobody superseded",
                        name, e->write);
        }
        e->is_retired = true;
        if (e->purged_at > 0) continue;
        e->purged_at = now(oracle);
        oracle->counts.purged++;
        oracle->counts.retired++;
    }
}

// Reads.

// What a read has to see: whatever was acknowledged before it began, and what stood before it.
struct past {
    uint64_t start; // of the read
    uint32_t before;
    uint32_t need; // replicas it asked
};

// Must a read have met an acknowledged write, or something newer? A DEL looks first, and writes
// nothing when nothing is there: it promises as much as that read did, and so that no later one
// goes back.
static bool must_see(const struct oracle *oracle, const struct past *past,
                     const struct oracle_write *w) {
    if (past->need + w->needs.write <= oracle_copies(oracle)) return false;
    if (w->needs.write <= 1 && oracle_has_lost_bytes(oracle)) return false;
    if (!w->is_tombstone) return true;
    return is_majority(oracle, past->need) && is_majority(oracle, w->needs.read);
}

// Did a write that began after another one had ended meet it, and so supersede it?
static bool must_replace(const struct oracle *oracle, const struct oracle_write *later,
                         const struct oracle_write *earlier) {
    uint32_t copies = oracle_copies(oracle);
    if (later->needs.write + earlier->needs.write <= copies) return false;
    return !later->is_tombstone || later->needs.read + earlier->needs.write > copies;
}

// Is there a write of the key in the past that a read must see instead of `hidden`, which ended
// before that began? NULL: instead of nothing.
static bool is_hidden(const struct oracle *oracle, const struct oracle_key *key,
                      const struct oracle_write *hidden, const struct past *past, uint32_t *hider) {
    uint64_t after = hidden == NULL ? 0 : hidden->end;
    for (uint32_t i = key->write_count; i > 0; i--) {
        uint32_t number = key->writes[i - 1];
        const struct oracle_write *w = &oracle->writes[number];
        bool is_past = w->end < past->start || number == past->before;
        if (w->outcome != OUTCOME_OK || w->start <= after || !is_past) continue;
        if (!oracle_may_judge(oracle, w->key, w->start, w->end)) continue;
        if (!must_see(oracle, past, w)) continue;
        if (hidden != NULL && !must_replace(oracle, w, hidden)) continue;
        *hider = number;
        return true;
    }
    return false;
}

static bool may_be_absent(const struct oracle *oracle, const struct oracle_key *key,
                          const struct past *past, uint32_t *hider) {
    if (!is_hidden(oracle, key, NULL, past, hider)) return true; // as it was in the beginning
    for (uint32_t i = 0; i < key->write_count; i++) {
        const struct oracle_write *w = &oracle->writes[key->writes[i]];
        if (!w->is_tombstone || w->outcome == OUTCOME_NOT_DONE) continue;
        uint32_t other = ORACLE_NONE;
        if (!is_hidden(oracle, key, w, past, &other)) return true;
    }
    return false;
}

// An earlier read saw a write that no delete can have ended after: it must still be seen.
static bool has_vanished(const struct oracle *oracle, const struct oracle_key *key,
                         uint64_t start) {
    uint64_t seen = 0; // when the latest that was read before began
    for (uint32_t i = 0; i < key->read_count; i++) {
        const struct oracle_read *r = &key->reads[i];
        if (r->end < start && r->write_start > seen) seen = r->write_start;
    }
    if (seen == 0) return false;
    for (uint32_t i = 0; i < key->write_count; i++) {
        const struct oracle_write *w = &oracle->writes[key->writes[i]];
        if (!w->is_tombstone || w->outcome == OUTCOME_NOT_DONE) continue;
        if (w->end >= seen || !is_majority(oracle, w->needs.write)) return false;
    }
    return true;
}

// Neither reads at less than a majority nor writes at less are held to what was read before: the
// one may ask replicas that lag, the other appear beside what is newer.
static void check_earlier_reads(struct oracle *oracle, struct oracle_key *k, uint32_t number,
                                uint64_t start) {
    const struct oracle_write *w = &oracle->writes[number];
    for (uint32_t i = 0; i < k->read_count; i++) {
        if (k->reads[i].end < start && w->end < k->reads[i].write_start) {
            oracle_fail(oracle, "O8 key=%s read w%u, an earlier read saw one that began after it",
                        k->name, number);
        }
    }
    k->reads = grow(k->reads, k->read_count, sizeof(*k->reads));
    k->reads[k->read_count++] = (struct oracle_read){.end = now(oracle), .write_start = w->start};
}

void oracle_end_look(struct oracle *oracle, uint32_t key, uint64_t start, uint32_t need,
                     struct slice value) {
    const struct oracle_key *k = &oracle->keys[key];
    const struct past past = {start, ORACLE_NONE, need};
    if (value.data != NULL) {
        uint32_t number = oracle_writer(oracle, key, value);
        if (number == ORACLE_NONE) return;
        oracle->writes[number].was_read = true;
        check_not_purged(oracle, number, start, need);
        return;
    }
    if (!oracle_may_judge(oracle, key, start, now(oracle))) return;
    uint32_t missing = ORACLE_NONE;
    for (uint32_t i = 0; i < k->write_count; i++) {
        const struct oracle_write *w = &oracle->writes[k->writes[i]];
        if (w->is_tombstone) return;
        bool is_past = w->outcome == OUTCOME_OK && w->end < start;
        if (is_past && must_see(oracle, &past, w)) missing = k->writes[i];
    }
    if (missing == ORACLE_NONE) return;
    oracle_fail(oracle, "O8 key=%s is not there, w%u was acknowledged before", k->name, missing);
}

void oracle_end_read(struct oracle *oracle, uint32_t key, uint64_t start, uint32_t before,
                     uint32_t need, struct slice value) {
    struct oracle_key *k = &oracle->keys[key];
    const struct past past = {start, before, need};
    uint32_t hider = ORACLE_NONE;
    oracle->counts.reads++;
    oracle->counts.pipelined += before != ORACLE_NONE;
    bool may_judge = oracle_may_judge(oracle, key, start, now(oracle));
    if (value.data == NULL && !may_judge) return;
    if (value.data == NULL) {
        if (!may_be_absent(oracle, k, &past, &hider)) {
            oracle_fail(oracle, "O8 key=%s read nothing, w%u was acknowledged before", k->name,
                        hider);
        }
        if (is_majority(oracle, need) && has_vanished(oracle, k, start)) {
            oracle_fail(oracle, "O8 key=%s read nothing, an earlier read saw a value", k->name);
        }
        return;
    }
    uint32_t number = oracle_writer(oracle, key, value);
    if (number == ORACLE_NONE) return;
    struct oracle_write *w = &oracle->writes[number];
    w->was_read = true;
    check_not_purged(oracle, number, start, need);
    if (w->outcome == OUTCOME_NOT_DONE) {
        oracle_fail(oracle, "O19 key=%s w%u was certainly not done and is read", k->name, number);
    }
    if (!may_judge) return;
    if (w->end != UINT64_MAX && is_hidden(oracle, k, w, &past, &hider)) {
        oracle_fail(oracle, "O8 key=%s read w%u, the later w%u was acknowledged before", k->name,
                    number, hider);
    }
    if (is_majority(oracle, need) && is_majority(oracle, w->needs.write)) {
        check_earlier_reads(oracle, k, number, start);
    }
}
