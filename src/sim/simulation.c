// SPDX-License-Identifier: Apache-2.0
#include "sim/simulation.h"

#include "sim/inspector.h"
#include "sim/memory.h"

#include <stdio.h>
#include <string.h>

#define CHAOS_MAX_NS (600 * NS_PER_SECOND)
#define HEAL_MAX_NS (60 * NS_PER_SECOND)
#define SETTLE_MAX_NS (6 * NS_PER_SECOND)
#define WORKS_MAX_NS (20 * NS_PER_SECOND)
#define CHANGE_MAX_NS (40 * NS_PER_SECOND) // a change of keyspaces that nobody waits for
#define LOOK_EVERY_NS (100 * NS_PER_MS)
#define JOIN_MAX_NS (20 * NS_PER_SECOND)
#define KIB UINT64_C(1024)

enum {
    OPERATIONS_AT_THE_END = 90,
    RECORD_SIZE_MAX = 256 * 1024, // far more than a record of cluster_node_options() has
};

struct simulation {
    const struct simulation_options *options;
    struct simulation_report *report;
    struct world *world;
    struct cluster cluster;
    struct oracle oracle;
    struct workload workload;
    struct nemesis nemesis;
    struct keeper keeper;
    struct mapmaker mapmaker;
    struct steward steward;
    struct watcher watcher;
    struct rng rng;
    uint32_t files_left[CLUSTER_MEMBERS_MAX]; // over, by the last process of each member
    bool joins_late;                          // the newcomer has not been started yet
};

// The nodes count what happened to them; a life that ends takes its counts along, so they are
// looked at now and then and the growth is added up.
static void add_stats(struct simulation *s) {
    struct node_stats *sum = &s->report->node;
    for (uint32_t i = 0; i < s->cluster.options.members; i++) {
        const struct node *node = cluster_node(&s->cluster, i);
        if (node == NULL) continue;
        struct node_stats n = node_stats(node);
        sum->second_rounds += n.second_rounds;
        sum->read_repairs += n.read_repairs;
        sum->reconciled += n.reconciled;
        sum->hedged += n.hedged;
        sum->hashes += n.hashes;
        sum->hashes_differed += n.hashes_differed;
        sum->forwarded += n.forwarded;
        sum->timeouts += n.timeouts;
        sum->unavailable += n.unavailable;
        sum->frames_refused += n.frames_refused;
        sum->busy += n.busy;
        sum->renewals += n.renewals;
        sum->hints_kept += n.hints_kept;
        sum->hints_minted += n.hints_minted;
        sum->hints_handed += n.hints_handed;
        sum->hints_dropped += n.hints_dropped;
        struct store_stats store = node_store_stats(node);
        s->report->flushes += store.flushes;
        s->report->compactions += store.compactions;
        s->report->cuts += store.cuts;
        s->report->blocks_read += store.blocks_read;
        s->report->evicted += store.evicted;
        s->report->recounts += store.recounts;
        s->report->audited += store.audited;
        s->report->audit_rounds += store.audit_rounds;
    }
}

static bool waits_to_join(const struct simulation *s, uint32_t member) {
    return s->joins_late && member + 1 == s->cluster.options.members;
}

// Now and then the network is parted while the cluster is founded, and a member comes long after
// the others.
static void start_members(struct simulation *s) {
    struct rng rng = world_stream(s->world, 4);
    bool is_parted = rng_chance(&rng, 1, 4);
    bool has_straggler = rng_chance(&rng, 1, 4);
    uint32_t straggler = rng_below(&rng, s->cluster.options.members);
    if (is_parted) nemesis_part(&s->nemesis);
    for (uint32_t i = 0; i < s->cluster.options.members; i++) {
        s->nemesis.is_quiet[i] = waits_to_join(s, i);
    }
    uint32_t first = rng_below(&s->rng, s->cluster.options.members);
    for (uint32_t i = 0; i < s->cluster.options.members; i++) {
        if (waits_to_join(s, (first + i) % s->cluster.options.members)) continue;
        if (has_straggler && i == straggler) {
            world_run(s->world, world_now(s->world) + rng_below(&rng, 20000) * NS_PER_MS);
        }
        cluster_start(&s->cluster, (first + i) % s->cluster.options.members);
        if (rng_chance(&s->rng, 1, 2)) {
            world_run(s->world, world_now(s->world) + rng_below(&s->rng, 2000) * NS_PER_MS);
        }
    }
}

// O32
static void check_facts(struct simulation *s) {
    for (uint32_t i = 0; i < s->cluster.options.members; i++) {
        const struct node *node = cluster_node(&s->cluster, i);
        if (node == NULL || node_store_stats(node).audit_differences == 0) continue;
        oracle_fail(&s->oracle, "O32 n%u: facts and tables do not agree", i + 1);
    }
}

static void check_complaint(struct simulation *s) {
    if (s->nemesis.complaint != NULL) oracle_fail(&s->oracle, "%s", s->nemesis.complaint);
}

static bool run_until(struct simulation *s, uint64_t ns, bool (*is_reached)(struct simulation *)) {
    uint64_t until = world_now(s->world) + ns;
    while (world_now(s->world) < until && !s->oracle.has_failed) {
        watcher_look(&s->watcher);
        replace_note_maps(&s->nemesis);
        if (is_reached(s)) return true;
        world_run(s->world, world_now(s->world) + LOOK_EVERY_NS);
        check_facts(s);
        check_complaint(s);
    }
    return is_reached(s);
}

static bool all_serve(struct simulation *s) {
    nemesis_attend(&s->nemesis);
    for (uint32_t i = 0; i < s->cluster.options.members; i++) {
        if (!cluster_is_serving(&s->cluster, i) && !waits_to_join(s, i)) return false;
    }
    return true;
}

// Whatever befalls the others at the moment.
static void on_join(void *context) {
    struct simulation *s = context;
    uint32_t member = s->cluster.options.members - 1;
    s->joins_late = false;
    s->nemesis.is_quiet[member] = false;
    cluster_start(&s->cluster, member);
}

static bool clients_over(struct simulation *s) {
    mapmaker_check(&s->mapmaker);
    return workload_is_over(&s->workload) && steward_is_over(&s->steward);
}

static bool keyspaces_are_calm(struct simulation *s) {
    nemesis_attend(&s->nemesis);
    return steward_is_calm(&s->steward);
}

static bool all_is_done(struct simulation *s) {
    return clients_over(s) && mapmaker_is_idle(&s->mapmaker);
}

static bool is_converged(struct simulation *s) {
    nemesis_attend(&s->nemesis);
    mapmaker_check(&s->mapmaker);
    return mapmaker_is_idle(&s->mapmaker) && oracle_is_converged(&s->oracle);
}

// A request that was slow when the trouble ended still is.
static bool disks_are_quick(struct simulation *s) {
    for (uint32_t i = 0; i < s->cluster.options.members; i++) {
        const struct machine *machine = s->cluster.processes[i].machine;
        if (machine_disk_is_slow(machine)) return false;
    }
    return true;
}

static bool is_healed(struct simulation *s) {
    return disks_are_quick(s) && is_converged(s);
}

static bool all_down(struct simulation *s) {
    for (uint32_t i = 0; i < s->cluster.options.members; i++) {
        if (s->cluster.processes[i].state != PROCESS_DOWN) return false;
    }
    return true;
}

static void explain_divergence(struct simulation *s, const char *when) {
    char what[420] = "";
    for (uint32_t i = 0; i < s->cluster.options.members; i++) {
        const struct process *p = &s->cluster.processes[i];
        const struct node *node = cluster_node(&s->cluster, i);
        size_t size = strlen(what);
        bool serves = cluster_is_serving(&s->cluster, i);
        (void)snprintf(what + size, sizeof(what) - size,
                       " n%u(process=%d start=%d node=%d member=%d full=%d behind=%u hints=%u)",
                       i + 1, p->state, (int)p->start_status,
                       node == NULL ? -1 : (int)node_state(node),
                       serves ? (int)node_member(node, node_self(node))->state : -1,
                       serves && node_store_stats(node).is_full,
                       node == NULL ? 0 : node_stats(node).slots_behind,
                       node == NULL ? 0 : (uint32_t)node_hints(node).key_count);
    }
    oracle_fail(&s->oracle, "O6 not equal %s:%s", when, what);
}

static void chaos(struct simulation *s) {
    // Trouble may begin while the cluster is being founded; more often it finds it at work.
    bool waits = rng_chance(&s->rng, 3, 4);
    if (waits && !run_until(s, HEAL_MAX_NS, all_serve)) {
        oracle_fail(&s->oracle, "O14 the cluster is not founded");
        return;
    }
    if (s->joins_late) {
        uint64_t within = rng_below(&s->rng, JOIN_MAX_NS / NS_PER_MS) * NS_PER_MS;
        world_at(s->world, world_now(s->world) + within, on_join, s);
    }
    nemesis_start(&s->nemesis);
    keeper_start(&s->keeper);
    mapmaker_start(&s->mapmaker);
    workload_start(&s->workload);
    steward_start(&s->steward);
    (void)run_until(s, CHAOS_MAX_NS, clients_over);
    oracle_check_maps(&s->oracle);
}

// O29, and that no change of keyspaces is made any more from now on.
static void keyspaces_settle(struct simulation *s) {
    world_run(s->world, world_now(s->world) + CHANGE_MAX_NS);
    if (!run_until(s, HEAL_MAX_NS, keyspaces_are_calm)) {
        oracle_fail(&s->oracle, "O29 keyspaces do not cease to come or go");
        return;
    }
    steward_check(&s->steward);
}

static void heal(struct simulation *s) {
    s->workload.wanted = s->workload.begun;
    keeper_stop(&s->keeper);
    mapmaker_stop(&s->mapmaker);
    steward_stop(&s->steward);
    nemesis_heal(&s->nemesis);
    watcher_calm(&s->watcher);
    check_complaint(s);
    if (!run_until(s, HEAL_MAX_NS, is_converged)) explain_divergence(s, "after healing");
    (void)run_until(s, HEAL_MAX_NS, clients_over);
    if (s->steward.is_there) keyspaces_settle(s);
    // A store looks once a second whether there is space again. A slow request may tell it late
    // that there was none.
    (void)run_until(s, SETTLE_MAX_NS, disks_are_quick);
    world_run(s->world, world_now(s->world) + 2 * NS_PER_SECOND);
    // By now a link whose other end is gone without a word shows by its silence. It is given up
    // some seconds later, and dialled anew.
    if (!run_until(s, SETTLE_MAX_NS, is_healed)) explain_divergence(s, "later, healed");
}

// O14: every operation of a healed cluster is done.
static void works(struct simulation *s) {
    uint32_t refused = s->workload.refused;
    uint32_t unknown = s->workload.unknown;
    workload_hang_up(&s->workload);
    s->oracle.healed_at = world_now(s->world);
    workload_extend(&s->workload, OPERATIONS_AT_THE_END);
    mapmaker_work(&s->mapmaker);
    bool is_over = run_until(s, WORKS_MAX_NS, all_is_done);
    refused = s->workload.refused - refused;
    unknown = s->workload.unknown - unknown;
    if (!is_over || refused > 0 || unknown > 0) {
        oracle_fail(&s->oracle, "O14 after healing: over=%d refused=%u unknown=%u", is_over,
                    refused, unknown);
    }
    if (!run_until(s, HEAL_MAX_NS, is_converged)) explain_divergence(s, "at the end");
}

static void clients_end(struct simulation *s, const char *what) {
    if (!run_until(s, WORKS_MAX_NS, clients_over)) oracle_fail(&s->oracle, "O29 %s", what);
    if (!run_until(s, HEAL_MAX_NS, is_converged)) explain_divergence(s, what);
}

// O29: keyspaces whose keys are deleted can be dropped, and created again.
static void keyspaces_work(struct simulation *s) {
    steward_visit(&s->steward, true);
    clients_end(s, "emptying keyspaces");
    for (uint32_t i = 0; i < 2 * STEWARD_NAMES && !s->oracle.has_failed; i++) {
        steward_ask(&s->steward, i % STEWARD_NAMES);
        clients_end(s, "changing empty keyspaces");
    }
    steward_visit(&s->steward, false);
    clients_end(s, "reading what is left");
}

static void stop_all(struct simulation *s) {
    for (uint32_t i = 0; i < s->cluster.options.members; i++) cluster_stop(&s->cluster, i);
    if (!run_until(s, HEAL_MAX_NS, all_down)) {
        oracle_fail(&s->oracle, "O14 an orderly stop does not end");
        return;
    }
    for (uint32_t i = 0; i < s->cluster.options.members; i++) {
        struct machine_open open = s->cluster.processes[i].left_open;
        if (open.requests + open.files + open.sockets > 0) {
            oracle_fail(&s->oracle, "O17 n%u leaves open requests=%u files=%u sockets=%u", i + 1,
                        open.requests, open.files, open.sockets);
        }
        if (s->files_left[i] > 0) {
            oracle_fail(&s->oracle, "O24 n%u leaves files that nobody names: %u", i + 1,
                        s->files_left[i]);
        }
    }
}

// O24: what a process leaves behind is whole, whatever ended it, where no synced byte was changed.

struct visit {
    uint32_t damaged;
    uint32_t left_over;
};

static void on_finding(void *context, const struct check_finding *f) {
    struct visit *v = context;
    if (f->meaning != CHECK_HARMLESS) v->damaged++;
    // The log may end before it is cleared up.
    bool is_log = strncmp(f->file, "log-", 4) == 0;
    if (f->meaning == CHECK_HARMLESS) v->left_over += !is_log;
}

static void on_ended(void *context, uint32_t index) {
    struct simulation *s = context;
    const struct process *p = &s->cluster.processes[index];
    s->files_left[index] = 0;
    if (p->bytes_lost > 0 && s->nemesis.counts[TROUBLE_DAMAGE] > 0) return;
    struct visit visit = {0};
    struct inspection i = {.found = on_finding, .context = &visit};
    inspect(p->machine, RECORD_SIZE_MAX, &i);
    s->report->inspections++;
    s->files_left[index] = visit.left_over;
    if (i.status == ST_OK && visit.damaged == 0) return;
    oracle_fail(&s->oracle, "O24 n%u leaves damage=%u: %s", index + 1, visit.damaged, i.first);
}

// A restart changes nothing.
static void restart_all(struct simulation *s) {
    for (uint32_t i = 0; i < s->cluster.options.members; i++) cluster_start(&s->cluster, i);
    if (!run_until(s, HEAL_MAX_NS, is_converged)) {
        explain_divergence(s, "after the last restart");
        return;
    }
    oracle_check_end(&s->oracle);
    if (s->steward.is_there) steward_check(&s->steward);
}

static void play(struct simulation *s) {
    start_members(s);
    chaos(s);
    add_stats(s);
    if (!s->oracle.has_failed) heal(s);
    if (!s->oracle.has_failed) works(s);
    if (!s->oracle.has_failed && s->steward.is_there) keyspaces_work(s);
    if (!s->oracle.has_failed) oracle_check_end(&s->oracle);
    if (!s->oracle.has_failed) add_stats(s);
    if (!s->oracle.has_failed) stop_all(s);
    if (!s->oracle.has_failed) keeper_check_all(&s->keeper);
    if (!s->oracle.has_failed) restart_all(s);
}

static void fill_report(struct simulation *s) {
    struct simulation_report *r = s->report;
    r->has_failed = s->oracle.has_failed;
    memcpy(r->failure, s->oracle.failure, sizeof(r->failure));
    r->trace_hash = world_trace_hash(s->world);
    r->events = world_event_count(s->world);
    r->simulated_ns = world_now(s->world);
    r->members = s->cluster.options.members;
    r->done = s->workload.done;
    r->refused = s->workload.refused;
    r->unknown = s->workload.unknown;
    r->oracle = s->oracle.counts;
    r->backups = s->keeper.counts;
    r->maps = s->mapmaker.counts;
    r->keyspaces = s->steward.counts;
    r->watched = s->watcher.counts;
    r->tenancy = s->steward.tenancy.counts;
    memcpy(r->troubles, s->nemesis.counts, sizeof(r->troubles));
    r->strangers = s->nemesis.replacing.waited;
    r->replaced = s->nemesis.replacing.done;
    r->not_replaced = s->nemesis.replacing.refused;
    r->returned = s->nemesis.replacing.ousted;
    memcpy(r->calls, s->workload.counts, sizeof(r->calls));
    for (uint32_t i = 0; i < FAULT_COUNT; i++) {
        r->faults[i] = world_fault_count(s->world, (enum fault)i);
    }
}

// Disks and networks are not all alike.
static void draw_world(struct simulation *s) {
    struct world_options *o = world_options(s->world);
    o->sync_delay = rng_spread(&s->rng, NS_PER_MS / 20, 20 * NS_PER_MS);
    o->disk_delay = rng_spread(&s->rng, NS_PER_MS / 100, NS_PER_MS);
    o->net_delay = rng_spread(&s->rng, NS_PER_MS / 20, 5 * NS_PER_MS);
}

// Mostly stores so small that each part of them is at work: what a server keeps in memory for hours
// goes to disk within seconds, and comes back.
static void draw_store(struct simulation *s, struct cluster_options *o) {
    if (rng_chance(&s->rng, 1, 4)) return;
    o->memory_max = rng_spread(&s->rng, 512 * KIB, 2048 * KIB);
    o->flush_size = rng_spread(&s->rng, 4 * KIB, 256 * KIB);
    o->table_size = rng_spread(&s->rng, 16 * KIB, 256 * KIB);
    o->block_size = (uint32_t)rng_spread(&s->rng, 100, 8192);
    o->lookups_max = (uint32_t)rng_spread(&s->rng, 1, 100);
    o->list_size = (uint32_t)rng_spread(&s->rng, 100, 8192);
    o->is_direct = s->options->seed % 7 == 0; // changes nothing else that the seed decides
    if (!rng_chance(&s->rng, 1, 3)) return;
    o->codec = rng_chance(&s->rng, 1, 2) ? CODEC_LZ4 : CODEC_ZSTD;
    o->draws_codec = rng_chance(&s->rng, 1, 3);
}

// Now and then there is more than memory holds: records leave it, and are read back.
static bool draw_large(struct simulation *s, struct cluster_options *o) {
    struct rng rng = world_stream(s->world, 5);
    if (!rng_chance(&rng, 1, 8)) return false;
    o->memory_max = 256 * KIB;
    return true;
}

// Now and then one of them is no first member: it joins while the cluster is founded, or later.
static void draw_newcomer(struct simulation *s, struct cluster_options *o) {
    struct rng rng = world_stream(s->world, 15);
    if (o->members < 2 || !rng_chance(&rng, 1, 6)) return;
    o->newcomers = 1;
    s->joins_late = rng_chance(&rng, 2, 3);
}

// What the seed decides before anything runs. One number a statement: what order a compiler gives
// to the arguments of a call, or to the fields of an initializer, is its own affair.
static void draw(struct simulation *s) {
    static const uint32_t sizes[8] = {1, 2, 3, 3, 3, 3, 5, 5};
    struct cluster_options o = {
        .minted = oracle_on_minted,
        .purged = oracle_on_purged,
        .retired = oracle_on_retired,
        .handed = oracle_on_handed,
        .minted_context = &s->oracle,
        .ended = on_ended,
        .ended_context = s,
    };
    o.members = sizes[rng_below(&s->rng, 8)];
    o.sync_interval_ns = rng_chance(&s->rng, 1, 6) ? 100 * NS_PER_MS : 0;
    if (s->options->members > 0) o.members = s->options->members;
    draw_newcomer(s, &o);
    draw_store(s, &o);
    bool has_large = draw_large(s, &o);
    cluster_init(&s->cluster, s->world, &o);
    oracle_init(&s->oracle);
    s->oracle.cluster = &s->cluster;
    s->oracle.syncs_late = o.sync_interval_ns > 0;
    s->oracle.is_compressed = o.codec != CODEC_NONE;
    s->oracle.has_large = has_large;
    nemesis_init(&s->nemesis, &s->cluster, s->options->troubles);
    bool may_have_steward =
        o.sync_interval_ns == 0 && (s->options->troubles == 0 || !nemesis_forgets(&s->nemesis));
    steward_init(&s->steward, &s->nemesis, &s->oracle, may_have_steward);
    keeper_init(&s->keeper, &s->nemesis, &s->oracle);
    watcher_init(&s->watcher, &s->nemesis, &s->oracle);
    mapmaker_init(&s->mapmaker, &s->nemesis, &s->oracle);
    draw_world(s);
    uint32_t keys = 3 + rng_below(&s->rng, 30);
    if (has_large) keys = ORACLE_KEYS_MAX;
    uint32_t clients = 2 + rng_below(&s->rng, 5);
    workload_init(&s->workload, &s->cluster, &s->oracle, clients, keys);
    // The workload's history knows of no flushes.
    s->workload.wanted = s->steward.flushes ? 0 : s->options->operations;
    s->workload.think_ns = rng_spread(&s->rng, NS_PER_MS, 100 * NS_PER_MS);
}

void simulation_run(const struct simulation_options *options, struct simulation_report *report) {
    struct world_options world = world_quiet();
    struct simulation *s = memory_take(1, sizeof(*s));
    *report = (struct simulation_report){0};
    s->options = options;
    s->report = report;
    s->world = world_create(options->seed, &world);
    s->rng = world_stream(s->world, 3);
    if (options->trace != NULL) world_set_trace(s->world, options->trace, options->trace_context);
    draw(s);
    play(s);
    fill_report(s);
    nemesis_free(&s->nemesis);
    world_destroy(s->world);
    workload_free(&s->workload);
    steward_free(&s->steward);
    oracle_free(&s->oracle);
    memory_give(s);
}
