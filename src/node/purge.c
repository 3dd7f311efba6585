// SPDX-License-Identifier: Apache-2.0
#include "node/purge.h"

#include "base/bitmap.h"
#include "node/genesis.h"
#include "node/hints.h"
#include "node/internal.h"
#include "node/peers.h"
#include "node/purge_answer.h"

#define PAUSE_NS (10 * NS_PER_MS) // between rounds
#define PATIENCE_NS (5 * NS_PER_SECOND)
#define VISITED_PAUSE_NS (1 * NS_PER_MS)
#define WIDE_LOOK_NS (20 * NS_PER_SECOND) // others have their turn then

enum {
    REST_SHARE = 4,    // times what the store takes to list a cell, it rests
    VISITED_MAX = 512, // records between two pauses
    CLOCK_STORED_MS = 3600 * 1000,
};

static void go_on(struct node *node);
static void decide(struct node *node);
static void on_step(struct timer *timer);

size_t purge_memory_size(void) {
    return 2 * (KEY_SIZE_MAX + PURGE_BYTES_MAX) + 64;
}

void purge_init(struct node *node, struct arena *arena) {
    struct purge *p = &node->purge;
    list_init(&p->waits);
    p->step.fired = on_step;
    p->after = ARENA_ARRAY(arena, uint8_t, KEY_SIZE_MAX);
    p->last = ARENA_ARRAY(arena, uint8_t, KEY_SIZE_MAX);
    p->entries = writer_to(ARENA_ARRAY(arena, uint8_t, PURGE_BYTES_MAX), PURGE_BYTES_MAX);
    p->erased = writer_to(ARENA_ARRAY(arena, uint8_t, PURGE_BYTES_MAX), PURGE_BYTES_MAX);
    p->waits_for = p->block.waits_for = p->wide_block.waits_for = MEMBER_NONE;
}

static void pause(struct node *node, uint64_t ns) {
    if (node->state == NODE_STOPPED) return;
    timer_arm(&node->timers, &node->purge.step, node->env->now + ns);
}

// The same, after so long a piece of work, and longer while clients have to wait.
static void rest_too(struct node *node, uint64_t took, uint64_t ns) {
    pause(node, ns + pace_rest(node->pace, PACE_PURGE, node->env->now, took + ns, 0));
}

// Looking for what may go.

static void begin_round(struct purge *p) {
    p->entries.size = 0;
    p->count = 0;
    p->alive_size = 0;
    p->is_full = false;
}

// Whether it is for this member to have purged what there is in the cell.
static bool is_own(const struct node *node, uint32_t cell) {
    const struct map_run *run = map_run_of(&node->map, (uint16_t)cell_slot(cell));
    return run->replicas[0].member == node->self &&
           node->map.keyspaces[cell_place(cell)].state == KEYSPACE_ACTIVE;
}

static bool has_tombstones_in(const struct node *node, uint32_t cell) {
    struct store_partition p = node_cell(node, cell);
    return p.key_count > p.live_count;
}

// Partitions of which this member would have something purged by the word of all members: of any
// kind, and such that have tombstones.
struct wide_count {
    uint32_t all;
    uint32_t dead;
};

static struct wide_count count_wide(const struct node *node) {
    struct wide_count count = {0};
    for (uint32_t cell = 0; cell < CELL_COUNT; cell++) {
        if (!expiry_takes_all(&node->expiry, cell) || !is_own(node, cell)) continue;
        count.all++;
        count.dead += has_tombstones_in(node, cell);
    }
    return count;
}

static void begin_look(struct node *node) {
    struct purge *p = &node->purge;
    p->state = PURGE_IDLE;
    p->after_size = 0;
    p->blocked = 0;
    p->waits_for = MEMBER_NONE;
    // What is younger may still be on its way to a replica.
    uint64_t wall_ms = node->env->wall_ms;
    uint64_t age_ms = node->options.purge_ns / NS_PER_MS;
    p->is_wide = !p->is_wide && count_wide(node).all > 0 && backoff_is_due(&p->wide_tries);
    p->began = node->env->now;
    p->cell = p->is_wide ? p->next_wide : 0;
    p->until = CELL_COUNT;
    p->is_broken_off = false;
    p->is_disk_full = store_stats(node->store).is_full;
    p->has_failed = false;
    p->has_erased = false;
    p->latest = (wall_ms > age_ms ? wall_ms - age_ms : 0) << 16;
    uint64_t clock_ms = purge_now_ms(node);
    p->expired_ms = clock_ms > age_ms ? clock_ms - age_ms : 0;
    if (p->clock.ms > p->clock_stored + CLOCK_STORED_MS) genesis_write_facts(node, FACT_FENCES);
    begin_round(p);
}

// The look ends here, and the next one begins with this cell.
static void break_off(struct purge *p) {
    p->next_wide = p->cell % CELL_COUNT;
    p->until = p->cell;
    p->is_broken_off = true;
}

// Cells before the one that it began with follow on the last.
static void come_round(struct purge *p) {
    if (!p->is_wide || p->cell < CELL_COUNT || p->until < CELL_COUNT) return;
    p->until = p->next_wide;
    p->cell = 0;
}

static void end_look(struct node *node) {
    struct purge *p = &node->purge;
    const struct purge_block none = {0, MEMBER_NONE};
    uint32_t dead = count_wide(node).dead;
    if (p->is_wide) {
        if (p->blocked > 0) p->wide_block = (struct purge_block){dead, p->waits_for};
        if (p->blocked == 0 && !p->is_broken_off) p->wide_block = none;
        // Records that never rest, or that replicas cannot agree on, do not hold up the others.
        if (p->has_failed && !p->has_erased) backoff_fail(&p->wide_tries);
        if (p->blocked == 0 && (p->has_erased || !p->has_failed)) backoff_succeed(&p->wide_tries);
    } else {
        p->block = (struct purge_block){p->blocked, p->waits_for};
    }
    if (dead == 0) p->wide_block = none;
    p->state = PURGE_RESTING;
    pause(node, node->options.purge_ns);
}

// Whether there may be something in the cell that may go, and it is for this member to have it
// purged. Passes the rest of a run if that is not so of any of it.
static bool is_candidate(struct node *node, uint32_t *cell) {
    const struct map_run *run = map_run_of(&node->map, (uint16_t)cell_slot(*cell));
    if (run->replicas[0].member != node->self) {
        *cell = cell_of((uint32_t)run->first + run->count, 0) - 1;
        return false;
    }
    if (!is_own(node, *cell)) return false;
    if (node->purge.is_wide) return expiry_takes_all(&node->expiry, *cell);
    if (has_tombstones_in(node, *cell)) return true;
    bool is_due = expiry_is_due(&node->expiry, *cell, node->purge.expired_ms);
    return is_due && node_cell(node, *cell).key_count > 0;
}

// Whether all whose word it takes can be asked, and this one holds nothing minted. Notes one of
// whom that is not so.
static bool can_agree(struct node *node, uint32_t group) {
    uint8_t members[MEMBERS_MAX / 8];
    purge_members_of(node, group, node->purge.is_wide, members);
    if (!node_has_vote(node)) return false;
    if (node->purge.is_disk_full || (node->purge.is_wide && hints_have_minted(node))) {
        node->purge.waits_for = node->self;
        return false;
    }
    for (uint32_t i = 0; i < node->map.member_count; i++) {
        if (i == node->self || !bitmap_has(members, i)) continue;
        if (peer_is_up(node, i) && node->members.entries[i].state == MEMBER_SERVING) continue;
        node->purge.waits_for = i;
        return false;
    }
    return true;
}

// Whether this look is for the record: all of it may go, or with *is_alive something of its
// context.
static bool is_looked_for(const struct node *node, struct partition partition,
                          const struct record *r, bool *is_alive) {
    const struct purge *p = &node->purge;
    bool is_dead = fence_is_dead(r, p->latest, p->expired_ms);
    *is_alive = !is_dead;
    if (is_dead) return purge_is_wide(node, partition, r) == p->is_wide;
    // Nobody lets an entry go who keeps copies.
    return p->is_wide && !hints_have_copies(node) && purge_retires(node, partition, r, p->latest);
}

static bool list_condemned(struct store_scan *scan, struct slice key, struct slice record,
                           bool is_durable) {
    struct node *node = CONTAINER_OF(scan, struct node, purge.scan);
    struct purge *p = &node->purge;
    struct record *r = &node->records[0];
    bool is_alive = false;
    p->visited++;
    if (record_decode(r, record) != ST_OK) return true;
    expiry_see(node, scan->partition, r);
    if (!is_durable || !is_looked_for(node, scan->partition, r, &is_alive)) return true;
    size_t size = p->entries.size + CONDEMNED_SIZE + key.size;
    // Where large buffers are few, what all members are to be told fits one that each link has.
    bool is_long = !node->link_buffers.is_ample && p->count > 0 && size > PURGE_BYTES_OF_MANY;
    bool is_heavy = is_alive && p->count > 0 && p->alive_size + record.size > PURGE_ALIVE_MAX;
    p->is_full = p->count == PURGE_KEYS_MAX || size > p->entries.capacity || is_long || is_heavy;
    if (p->is_full) return false;
    const struct message_condemned entry = {
        .keyspace = scan->partition.keyspace,
        .slot = scan->partition.slot,
        .digest = record_digest(key, record),
        .timestamp = record_latest(r)->timestamp,
        .is_alive = is_alive,
        .key = key,
    };
    message_condemned_write(&p->entries, &entry);
    memcpy(p->last, key.data, key.size);
    p->last_size = (uint32_t)key.size;
    p->alive_size += is_alive ? record.size : 0;
    p->count++;
    return true;
}

static void next_cell(struct purge *p) {
    p->cell++;
    p->after_size = 0;
}

// What has no room in the round is for the next one.
static void end_cell(struct node *node) {
    struct purge *p = &node->purge;
    if (!p->is_full && p->scan.status == ST_OK) expiry_end(&node->expiry);
    if (!p->is_full) {
        next_cell(p);
        return;
    }
    memcpy(p->after, p->last, p->last_size);
    p->after_size = p->last_size;
}

static void on_scanned(struct store_scan *scan) {
    struct node *node = CONTAINER_OF(scan, struct node, purge.scan);
    struct purge *p = &node->purge;
    p->state = PURGE_IDLE;
    end_cell(node);
    uint64_t took = node->env->now - p->listed;
    rest_too(node, took, REST_SHARE * took);
}

// False: the store has to read.
static bool look_into(struct node *node) {
    struct purge *p = &node->purge;
    p->state = PURGE_LISTING;
    p->listed = node->env->now;
    if (p->after_size == 0) expiry_begin(&node->expiry, p->cell);
    p->scan = (struct store_scan){
        .visit = list_condemned,
        .done = on_scanned,
        .partition = map_partition_of(&node->map, p->cell),
        .after = {p->after, p->after_size},
    };
    if (!store_each(node->store, &p->scan)) return false;
    p->state = PURGE_IDLE;
    end_cell(node);
    return true;
}

// Rounds.

// The round has come to nothing. Who has agreed to it refuses what is sent by those who do not know
// of it, so all are told, if it is durable here; else they hear of it when they are refused. What
// is left of the group is for the next time.
//
// What keeps a member from agreeing to one of all members keeps it from others: the look ends, and
// the next one begins with the other groups.
static void pass_group(struct node *node) {
    struct purge *p = &node->purge;
    uint8_t members[MEMBERS_MAX / 8];
    p->state = PURGE_IDLE;
    purge_members_of(node, p->group, p->is_wide, members);
    for (uint32_t i = 0; i < node->map.member_count; i++) {
        struct link *link = peer_link(node, i);
        if (i == node->self || link == NULL || !bitmap_has(members, i)) continue;
        purge_send_fences(node, link, false);
    }
    p->cell = cell_of((p->group + 1) * GROUP_SLOTS, 0);
    p->after_size = 0;
    if (p->is_wide) break_off(p);
    begin_round(p);
    p->blocked += p->is_wide;
    p->has_failed = true;
    // Not in step with another member, that proposes in the same group.
    pause(node, PAUSE_NS + rng_below(&node->rng, PAUSE_NS));
}

static struct message_purge proposal_of(const struct purge *p) {
    return (struct message_purge){
        .id = p->id,
        .author = p->author,
        .group = (uint16_t)p->group,
        .round = p->round,
        .is_wide = p->is_wide,
        .entries = writer_bytes(&p->entries),
    };
}

// Those that it takes may be many: the rest are asked when there is room.
static void ask_others(struct node *node) {
    struct purge *p = &node->purge;
    const struct message_purge m = proposal_of(p);
    for (; p->told < node->map.member_count; p->told++) {
        struct link *link = peer_link(node, p->told);
        if (p->told == node->self || link == NULL || !bitmap_has(p->waiting, p->told)) continue;
        struct writer w = link_begin(link, 64 + (uint32_t)m.entries.size);
        if (w.failed && node->link_buffers.was_refused) return;
        message_purge_encode(&m, &w);
        (void)link_end(link, MESSAGE_PURGE, &w); // who does not hear of it does not answer
    }
}

void purge_on_room(struct node *node) {
    if (node->purge.state == PURGE_ASKING) ask_others(node);
}

// Who has no copies is not asked in other rounds. So of one of all members the number is durable
// here before it can be there: else, after a loss of power, one that they hear nothing of could
// have the same.
static void ask(struct node *node) {
    struct purge *p = &node->purge;
    p->state = PURGE_ASKING;
    p->id++;
    p->author = node_map_author(node);
    p->round = purge_next_round(node, p->group);
    p->told = p->is_wide ? node->map.member_count : 0;
    memset(p->held, 0xff, sizeof(p->held));
    purge_members_of(node, p->group, p->is_wide, p->waiting);
    pause(node, PATIENCE_NS);
    ask_others(node);
    const struct message_purge m = proposal_of(p);
    purge_check(node, NULL, &m);
}

void purge_on_answer(struct node *node, uint32_t member, const struct message_purge_done *m) {
    struct purge *p = &node->purge;
    bool is_awaited = p->state == PURGE_ASKING && m->id == p->id && bitmap_has(p->waiting, member);
    if (!is_awaited) return;
    if (m->status != ST_OK || m->held.size != (p->count + 7) / 8) {
        if (p->is_wide) p->waits_for = member;
        // The next round is above all that anybody has agreed to.
        fence_hear(&p->fences[p->group], m->round);
        pass_group(node);
        return;
    }
    uint8_t left = 0;
    for (uint32_t i = 0; i < m->held.size; i++) left |= p->held[i] &= m->held.data[i];
    // It may have to wait for its clock.
    if (left == 0 && member != node->self) p->waits_for = member;
    bitmap_remove(p->waiting, member);
    if (p->is_wide && member == node->self) {
        p->told = 0;
        ask_others(node);
    }
    for (uint32_t i = 0; i < node->map.member_count; i++) {
        if (bitmap_has(p->waiting, i)) return;
    }
    decide(node);
}

static void list_erased(struct purge *p) {
    p->erased.size = 0;
    struct reader r = reader_of(writer_bytes(&p->entries));
    for (uint32_t i = 0; i < p->count; i++) {
        struct message_condemned entry;
        message_condemned_read(&r, &entry);
        if (bitmap_has(p->held, i)) message_condemned_write(&p->erased, &entry);
    }
}

static void end_round(struct node *node) {
    struct purge *p = &node->purge;
    p->state = PURGE_IDLE;
    begin_round(p);
    rest_too(node, 0, PAUSE_NS);
}

static void decide(struct node *node) {
    struct purge *p = &node->purge;
    list_erased(p);
    timer_disarm(&node->timers, &p->step);
    p->state = PURGE_ERASING;
    if (p->erased.size == 0) {
        p->blocked += p->waits_for != MEMBER_NONE;
        p->has_failed = true;
        end_round(node);
        return;
    }
    const struct message_erase m = {
        .author = node_map_author(node),
        .group = (uint16_t)p->group,
        .round = p->round,
        .floor = p->fences[p->group].floor,
        .is_wide = p->is_wide,
        .entries = writer_bytes(&p->erased),
    };
    uint8_t members[MEMBERS_MAX / 8];
    purge_members_of(node, p->group, p->is_wide, members);
    for (uint32_t i = 0; i < node->map.member_count; i++) {
        struct link *link = peer_link(node, i);
        if (i == node->self || link == NULL || !bitmap_has(members, i)) continue;
        struct writer w = link_begin(link, 64 + (uint32_t)m.entries.size);
        message_erase_encode(&m, &w);
        (void)link_end(link, MESSAGE_ERASE, &w);
    }
    if (!purge_erase(node, true, &m)) pass_group(node);
}

void purge_on_erased(struct node *node) {
    must(node->purge.state == PURGE_ERASING);
    node->purge.has_erased = true;
    end_round(node);
}

// Also when it has answered: its next life may not know of that.
void purge_on_lost(struct node *node, uint32_t member) {
    struct purge *p = &node->purge;
    if (p->state != PURGE_ASKING) return;
    uint8_t members[MEMBERS_MAX / 8];
    purge_members_of(node, p->group, p->is_wide, members);
    if (bitmap_has(members, member)) pass_group(node);
}

// Driving it.

// Lists what may go from where it is, as much as one round takes, of one group.
static void go_on(struct node *node) {
    struct purge *p = &node->purge;
    bool is_late = p->is_wide && node->env->now - p->began >= WIDE_LOOK_NS;
    if (is_late && p->count == 0) {
        if (p->after_size > 0) next_cell(p); // else one could keep all others waiting
        break_off(p);
    }
    for (come_round(p); !p->is_full && p->cell < p->until; come_round(p)) {
        if (p->visited >= VISITED_MAX) {
            p->visited = 0;
            rest_too(node, 0, VISITED_PAUSE_NS);
            return;
        }
        uint32_t group = cell_slot(p->cell) / GROUP_SLOTS;
        if (p->count > 0 && group != p->group) break;
        if (!is_candidate(node, &p->cell)) {
            next_cell(p);
            continue;
        }
        if (!can_agree(node, group)) {
            p->blocked += p->is_wide || has_tombstones_in(node, p->cell);
            next_cell(p);
            continue;
        }
        p->group = group;
        if (!look_into(node)) return;
    }
    if (p->count > 0) {
        ask(node);
    } else {
        end_look(node);
    }
}

static bool has_tombstones(const struct node *node) {
    struct store_stats stats = store_stats(node->store);
    return stats.key_count > stats.live_count;
}

static bool has_expired(const struct node *node) {
    uint32_t cell = 0;
    while (cell < CELL_COUNT && !expiry_is_due(&node->expiry, cell, node->purge.expired_ms)) cell++;
    return cell < CELL_COUNT;
}

static void on_step(struct timer *timer) {
    struct node *node = CONTAINER_OF(timer, struct node, purge.step);
    struct purge *p = &node->purge;
    if (p->state == PURGE_ASKING) { // somebody has not answered
        pass_group(node);
        return;
    }
    if (p->state == PURGE_RESTING) begin_look(node);
    if (p->state != PURGE_IDLE) return;
    if (p->is_wide || has_tombstones(node) || has_expired(node)) {
        go_on(node);
    } else {
        end_look(node);
    }
}

void purge_start(struct node *node) {
    pause(node, node->options.purge_ns);
}

void purge_stop(struct node *node) {
    timer_disarm(&node->timers, &node->purge.step);
}
