// SPDX-License-Identifier: Apache-2.0
#include "sim/nemesis.h"

#include "base/text.h"
#include "sim/disk.h"
#include "sim/memory.h"

#include <string.h>

#define LONG_CUT_NS (15 * NS_PER_SECOND)

const char *trouble_name(enum trouble trouble) {
    static const char *const names[TROUBLE_COUNT] = {
#define X(name, text) [TROUBLE_##name] = (text),
        TROUBLE_MAP(X)
#undef X
    };
    must(trouble < TROUBLE_COUNT);
    return names[trouble];
}

enum trouble trouble_find(struct slice name) {
    for (uint32_t i = 0; i < TROUBLE_COUNT; i++) {
        if (slice_equal(name, slice_of_string(trouble_name((enum trouble)i)))) {
            return (enum trouble)i;
        }
    }
    return TROUBLE_COUNT;
}

static struct world *world_of(const struct nemesis *n) {
    return n->cluster->world;
}

static uint32_t rate(struct nemesis *n, uint64_t low, uint64_t high) {
    return (uint32_t)rng_spread(&n->rng, low, high);
}

// Rates are chances in a thousand million.
static void set_rates(struct nemesis *n) {
    uint32_t *rates = world_options(world_of(n))->rates;
    if (n->has[TROUBLE_NETWORK]) {
        rates[FAULT_NET_TAIL] = rate(n, 100000, 10000000);
        rates[FAULT_NET_STALL] = rate(n, 10000, 1000000);
        rates[FAULT_NET_SPLIT] = rate(n, 10000000, 900000000);
        rates[FAULT_NET_RESET] = rate(n, 10000, 2000000);
        rates[FAULT_NET_HOLE] = rate(n, 10000, 300000);
        rates[FAULT_NET_REFUSED] = rate(n, 1000000, 100000000);
        rates[FAULT_NET_FLIP] = rate(n, 100, 10000);
    }
    if (n->has[TROUBLE_SLOW_DISK]) rates[FAULT_DISK_SLOW] = rate(n, 100000, 20000000);
    if (n->has[TROUBLE_BAD_DISK]) {
        rates[FAULT_DISK_WRITE_ERROR] = rate(n, 30000, 1000000);
        rates[FAULT_DISK_SYNC_ERROR] = rate(n, 30000, 1000000);
        rates[FAULT_DESCRIPTORS] = rate(n, 100000, 10000000);
    }
}

// Amnesia comes once in a run, if at all, and has random numbers of its own.
static bool is_amnesia(uint32_t trouble) {
    return trouble >= TROUBLE_ROLLBACK;
}

void nemesis_init(struct nemesis *n, struct cluster *cluster, uint32_t troubles) {
    *n = (struct nemesis){
        .cluster = cluster,
        .rng = world_stream(cluster->world, 2),
        .amnesia.rng = world_stream(cluster->world, 7),
    };
    bool has_none = rng_chance(&n->rng, 1, 20);
    bool has_amnesia = rng_chance(&n->amnesia.rng, 1, 2) && !has_none;
    uint32_t amnesia = TROUBLE_ROLLBACK + rng_below(&n->amnesia.rng, 3);
    for (uint32_t i = 0; i < TROUBLE_COUNT; i++) {
        bool drawn =
            is_amnesia(i) ? has_amnesia && i == amnesia : rng_chance(&n->rng, 2, 5) && !has_none;
        n->has[i] = troubles == 0 ? drawn : (troubles >> i & 1) != 0;
    }
    // Who is alone has nobody to get lost bytes back from.
    if (cluster->options.members < REPLICATION_DEFAULT) {
        n->has[TROUBLE_DAMAGE] = false;
        n->has[TROUBLE_WIPE] = false;
    }
    // One member loses its bytes in one way; to lose them in two would be to lose them twice.
    if (n->has[TROUBLE_WIPE]) n->has[TROUBLE_DAMAGE] = false;
    bool has_other = n->has[TROUBLE_WIPE] || n->has[TROUBLE_DAMAGE] ||
                     cluster->options.members < REPLICATION_DEFAULT;
    for (uint32_t i = TROUBLE_ROLLBACK; i < TROUBLE_COUNT; i++) {
        if (has_other) n->has[i] = false;
        has_other |= n->has[i];
    }
    // Within an interval of the log, power must not fail.
    if (cluster->options.sync_interval_ns > 0) {
        n->has[TROUBLE_POWER] = false;
        n->has[TROUBLE_POWER_ALL] = false;
        n->has[TROUBLE_BAD_DISK] = false;
    }
    n->victim = rng_below(&n->rng, cluster->options.members);
    n->pause_ns = rng_spread(&n->rng, 100 * NS_PER_MS, 3 * NS_PER_SECOND);
    set_rates(n);
}

// From the first of these on, all kinds lose synced bytes.
static const enum trouble first_that_forgets = TROUBLE_DAMAGE;

bool nemesis_forgets(const struct nemesis *n) {
    bool any = false;
    for (uint32_t i = first_that_forgets; i < TROUBLE_COUNT; i++) any |= n->has[i];
    return any;
}

void nemesis_spare_bytes(struct nemesis *n) {
    for (uint32_t i = first_that_forgets; i < TROUBLE_COUNT; i++) n->has[i] = false;
}

// Something that ends trouble with one member, later.
struct relief {
    struct nemesis *nemesis;
    uint32_t member;
};

static void later(struct nemesis *n, uint32_t member, uint64_t ns, void (*function)(void *)) {
    struct relief *r = memory_take(1, sizeof(*r));
    *r = (struct relief){.nemesis = n, .member = member};
    world_at(world_of(n), world_now(world_of(n)) + ns, function, r);
}

static uint64_t a_while(struct nemesis *n) {
    return rng_spread(&n->rng, 10 * NS_PER_MS, 8 * NS_PER_SECOND);
}

static bool another_is_lost(const struct nemesis *n, uint32_t member) {
    for (uint32_t i = 0; i < n->cluster->options.members; i++) {
        if (i != member && n->cluster->processes[i].is_stranger) return true;
    }
    return false;
}

// What an operator does with a member that refuses to start because too much of its log is damaged,
// or cannot be read: gives it an empty directory. Not while another one waits for what was on this:
// maybe it can be read yet.
static void empty_if_refused(struct nemesis *n, uint32_t member) {
    struct process *p = &n->cluster->processes[member];
    bool is_refused = p->start_status == ST_CORRUPT || p->start_status == ST_IO;
    if (p->bytes_lost > 0 && is_refused && !another_is_lost(n, member)) replace_lose(n, member);
}

static void start(struct nemesis *n, uint32_t member) {
    empty_if_refused(n, member);
    cluster_start(n->cluster, member);
}

static void on_restart(void *context) {
    struct relief *r = context;
    struct nemesis *n = r->nemesis;
    uint32_t member = r->member;
    memory_give(r);
    n->is_quiet[member] = false;
    if (nemesis_is_down(n, member)) start(n, member);
}

static void restart_later(struct nemesis *n, uint32_t member) {
    n->is_quiet[member] = true;
    later(n, member, a_while(n), on_restart);
}

static void on_resume(void *context) {
    struct relief *r = context;
    struct machine *machine = r->nemesis->cluster->processes[r->member].machine;
    if (machine_is_paused(machine)) machine_resume(machine);
    memory_give(r);
}

static bool is_cut_for_long(const struct nemesis *n) {
    return world_now(world_of(n)) < n->cut_until;
}

static void on_heal(void *context) {
    struct relief *r = context;
    if (!is_cut_for_long(r->nemesis)) world_heal(world_of(r->nemesis));
    memory_give(r);
}

static void on_space(void *context) {
    struct relief *r = context;
    machine_set_quota(r->nemesis->cluster->processes[r->member].machine, UINT64_MAX);
    memory_give(r);
}

static void on_clock_right(void *context) {
    struct relief *r = context;
    machine_set_drift(r->nemesis->cluster->processes[r->member].machine, 0);
    memory_give(r);
}

// Processes.

static void resume_first(struct nemesis *n, uint32_t member) {
    struct machine *machine = n->cluster->processes[member].machine;
    if (machine_is_paused(machine)) machine_resume(machine);
}

static bool end_process(struct nemesis *n, uint32_t member, bool by_power) {
    if (nemesis_is_down(n, member) || n->is_quiet[member]) return false;
    resume_first(n, member);
    if (by_power) {
        cluster_power_loss(n->cluster, member);
    } else {
        cluster_kill(n->cluster, member);
    }
    restart_later(n, member);
    return true;
}

static bool end_all(struct nemesis *n) {
    bool any = false;
    for (uint32_t i = 0; i < n->cluster->options.members; i++) any |= end_process(n, i, true);
    return any;
}

static bool stop_orderly(struct nemesis *n, uint32_t member) {
    struct process *p = &n->cluster->processes[member];
    if (p->state != PROCESS_UP || n->is_quiet[member] || machine_is_paused(p->machine))
        return false;
    cluster_stop(n->cluster, member);
    restart_later(n, member);
    return true;
}

static bool pause_process(struct nemesis *n, uint32_t member) {
    struct process *p = &n->cluster->processes[member];
    if (nemesis_is_down(n, member) || machine_is_paused(p->machine)) return false;
    machine_pause(p->machine);
    later(n, member, a_while(n), on_resume);
    return true;
}

// Synced bytes, of the victim alone.

static bool damage_files(struct nemesis *n) {
    if (n->counts[TROUBLE_DAMAGE] > 0 || !end_process(n, n->victim, false)) return false;
    struct machine *machine = n->cluster->processes[n->victim].machine;
    uint8_t names[8192];
    uint32_t size = machine_durable_names(machine, names, sizeof(names));
    uint32_t flips = (uint32_t)rng_spread(&n->rng, 1, 200);
    struct rng sectors = world_stream(world_of(n), 6);
    for (uint32_t at = 0; at < size; at += (uint32_t)strlen((const char *)names + at) + 1) {
        const char *name = (const char *)names + at;
        for (uint32_t i = 0; i < flips; i++) {
            (void)machine_rot(machine, name, rng_below(&n->rng, 64 * 1024));
        }
        // Of the log and the rest a sector that cannot be read is a lost disk.
        bool is_table = strncmp(name, "table-", 6) == 0;
        if (is_table && rng_chance(&sectors, 1, 2)) {
            (void)machine_spoil(machine, name, rng_below(&sectors, 16 * 1024));
        }
    }
    n->cluster->processes[n->victim].bytes_lost = world_now(world_of(n));
    return true;
}

static bool wipe_disk(struct nemesis *n) {
    if (!replace_may_lose(n)) return false;
    if (n->counts[TROUBLE_WIPE] > 0) n->victim = rng_below(&n->rng, n->cluster->options.members);
    if (!end_process(n, n->victim, false)) return false;
    replace_lose(n, n->victim);
    return true;
}

void nemesis_end(struct nemesis *n, uint32_t member) {
    if (!nemesis_is_down(n, member)) {
        resume_first(n, member);
        cluster_kill(n->cluster, member);
    }
    // One that is to start again already must not be started twice: it may have been stopped
    // between.
    if (!n->is_quiet[member]) restart_later(n, member);
}

void nemesis_at(struct nemesis *n, uint64_t ns, void (*function)(void *nemesis)) {
    world_at(world_of(n), world_now(world_of(n)) + ns, function, n);
}

void nemesis_free(struct nemesis *n) {
    if (n->amnesia.copy != NULL) disk_destroy(n->amnesia.copy);
    replace_free(n);
}

// Network.

static void cut(struct nemesis *n, uint32_t a, uint32_t b, bool both_ways) {
    struct machine *from = n->cluster->processes[a].machine;
    struct machine *to = n->cluster->processes[b].machine;
    world_set_link(world_of(n), from, to, false);
    if (both_ways) world_set_link(world_of(n), to, from, false);
}

static bool cut_two(struct nemesis *n, uint32_t member) {
    uint32_t members = n->cluster->options.members;
    if (members < 2) return false;
    uint32_t other = (member + 1 + rng_below(&n->rng, members - 1)) % members;
    cut(n, member, other, rng_chance(&n->rng, 1, 2));
    return true;
}

// Now and then until each side takes the other one to be down.
static bool cut_halves(struct nemesis *n, uint32_t member) {
    uint32_t members = n->cluster->options.members;
    bool is_long = rng_chance(&n->rng, 1, 12);
    if (is_long) n->cut_until = world_now(world_of(n)) + LONG_CUT_NS;
    later(n, member, is_long ? LONG_CUT_NS : a_while(n), on_heal);
    uint64_t side = rng_next(&n->rng);
    for (uint32_t a = 0; a < members; a++) {
        for (uint32_t b = 0; b < members; b++) {
            if ((side >> a & 1) != (side >> b & 1)) cut(n, a, b, false);
        }
    }
    return members > 1;
}

static bool cause(struct nemesis *n, enum trouble trouble, uint32_t member) {
    struct machine *machine = n->cluster->processes[member].machine;
    int64_t step_ms = (int64_t)rng_spread(&n->rng, 1, (uint64_t)366 * 86400 * 1000);
    switch (trouble) {
    case TROUBLE_KILL:
        return end_process(n, member, false);
    case TROUBLE_POWER:
        return end_process(n, member, true);
    case TROUBLE_POWER_ALL:
        return rng_chance(&n->rng, 1, 3) && end_all(n);
    case TROUBLE_PAUSE:
        return pause_process(n, member);
    case TROUBLE_ISOLATE:
        if (is_cut_for_long(n)) return false;
        world_isolate(world_of(n), machine);
        later(n, member, a_while(n), on_heal);
        return true;
    case TROUBLE_PARTIAL:
        if (is_cut_for_long(n)) return false;
        later(n, member, a_while(n), on_heal);
        return cut_two(n, member);
    case TROUBLE_HALVES:
        return !is_cut_for_long(n) && cut_halves(n, member);
    case TROUBLE_FULL_DISK:
        machine_set_quota(machine, 0);
        later(n, member, a_while(n), on_space);
        return true;
    case TROUBLE_CLOCK:
        machine_step_wall(machine, rng_chance(&n->rng, 1, 2) ? step_ms : -step_ms);
        machine_set_drift(machine, (int32_t)rng_below(&n->rng, 20001) - 10000);
        later(n, member, a_while(n), on_clock_right);
        return true;
    case TROUBLE_STOP:
        return stop_orderly(n, member);
    case TROUBLE_DAMAGE:
        return damage_files(n);
    case TROUBLE_WIPE:
        return wipe_disk(n);
    case TROUBLE_NETWORK:
    case TROUBLE_SLOW_DISK:
    case TROUBLE_BAD_DISK: // these are rates, not acts
    case TROUBLE_ROLLBACK: // these have their own time
    case TROUBLE_SWAP:
    case TROUBLE_CLONE:
    case TROUBLE_COUNT:
        return false;
    }
    unreachable();
}

// A store that has failed takes no writes until its next start: somebody has to restart it. And a
// newcomer whose directory was damaged is not admitted before it has an empty one.
static void restart_failed(struct nemesis *n) {
    for (uint32_t i = 0; i < n->cluster->options.members; i++) {
        struct process *p = &n->cluster->processes[i];
        bool has_failed = p->state == PROCESS_STARTING && p->start_status != ST_OK;
        if (p->state == PROCESS_UP && node_store_stats(p->node).is_failed) has_failed = true;
        if (p->state == PROCESS_UP && node_is_ousted(p->node)) has_failed = true;
        bool is_unfit = replace_is_unfit(n, i);
        bool has_ended = (has_failed || is_unfit) && end_process(n, i, false);
        if (has_ended && is_unfit) machine_wipe(p->machine);
    }
}

static void on_trouble(void *context) {
    struct nemesis *n = context;
    if (n->is_over) return;
    restart_failed(n);
    for (uint32_t tries = 0; tries < 8; tries++) {
        enum trouble trouble = (enum trouble)rng_below(&n->rng, TROUBLE_ROLLBACK);
        if (!n->has[trouble]) continue;
        uint32_t member = rng_below(&n->rng, n->cluster->options.members);
        if (!cause(n, trouble, member)) continue;
        n->counts[trouble]++;
        break;
    }
    uint64_t pause = n->pause_ns / 2 + rng_next(&n->rng) % n->pause_ns;
    world_at(world_of(n), world_now(world_of(n)) + pause, on_trouble, n);
}

void nemesis_start(struct nemesis *n) {
    world_at(world_of(n), world_now(world_of(n)) + n->pause_ns, on_trouble, n);
    amnesia_start(n);
    replace_start(n);
}

bool nemesis_strike(struct nemesis *n, uint32_t member, bool by_power) {
    enum trouble trouble = by_power ? TROUBLE_POWER : TROUBLE_KILL;
    if (n->is_over || !n->has[trouble] || !end_process(n, member, by_power)) return false;
    n->counts[trouble]++;
    return true;
}

bool nemesis_deafen(struct nemesis *n, uint32_t member) {
    if (n->is_over || !n->has[TROUBLE_PARTIAL]) return false;
    for (uint32_t i = 0; i < n->cluster->options.members; i++) {
        if (i != member) cut(n, i, member, false);
    }
    later(n, member, a_while(n), on_heal);
    n->counts[TROUBLE_PARTIAL]++;
    return true;
}

void nemesis_part(struct nemesis *n) {
    (void)cut_halves(n, 0);
}

void nemesis_heal(struct nemesis *n) {
    n->is_over = true;
    amnesia_end(n);
    replace_end(n);
    memset(world_options(world_of(n))->rates, 0, sizeof(world_options(world_of(n))->rates));
    world_heal(world_of(n));
    for (uint32_t i = 0; i < n->cluster->options.members; i++) {
        struct machine *machine = n->cluster->processes[i].machine;
        resume_first(n, i);
        machine_set_drift(machine, 0);
        machine_set_quota(machine, UINT64_MAX);
    }
    nemesis_attend(n);
}

void nemesis_attend(struct nemesis *n) {
    restart_failed(n);
    replace_attend(n);
    for (uint32_t i = 0; i < n->cluster->options.members; i++) {
        if (nemesis_is_down(n, i) && !n->is_quiet[i]) start(n, i);
    }
}
