// SPDX-License-Identifier: Apache-2.0
#include "bin/sim_report.h"

#include <inttypes.h>
#include <stdio.h>

static void add_node(struct node_stats *sum, const struct node_stats *n) {
    sum->second_rounds += n->second_rounds;
    sum->read_repairs += n->read_repairs;
    sum->reconciled += n->reconciled;
    sum->hedged += n->hedged;
    sum->hashes += n->hashes;
    sum->hashes_differed += n->hashes_differed;
    sum->forwarded += n->forwarded;
    sum->timeouts += n->timeouts;
    sum->unavailable += n->unavailable;
    sum->renewals += n->renewals;
    sum->hints_kept += n->hints_kept;
    sum->hints_minted += n->hints_minted;
    sum->hints_handed += n->hints_handed;
    sum->hints_dropped += n->hints_dropped;
}

static void add_oracle(struct oracle_counts *sum, const struct oracle_counts *o) {
    sum->acks += o->acks;
    sum->durable_checks += o->durable_checks;
    sum->deletes += o->deletes;
    sum->reads += o->reads;
    sum->pipelined += o->pipelined;
    sum->ranges += o->ranges;
    sum->ranges_cut += o->ranges_cut;
    sum->pages += o->pages;
    sum->contexts += o->contexts;
    sum->unseen += o->unseen;
    sum->walks += o->walks;
    sum->walked += o->walked;
    sum->concurrent += o->concurrent;
    sum->converged += o->converged;
    sum->dots += o->dots;
    sum->dots_again += o->dots_again;
    sum->dots_forked += o->dots_forked;
    sum->dots_outdone += o->dots_outdone;
    sum->refusals += o->refusals;
    sum->handed += o->handed;
    sum->unknowns += o->unknowns;
    sum->purged += o->purged;
    sum->retired += o->retired;
    sum->purged_reads += o->purged_reads;
    sum->superseded += o->superseded;
}

static void add_maps(struct mapmaker_counts *sum, const struct mapmaker_counts *m) {
    sum->maps += m->maps;
    sum->done += m->done;
    sum->not_done += m->not_done;
    sum->refused += m->refused;
    sum->cut_short += m->cut_short;
    sum->joined += m->joined;
}

static void add_keyspaces(struct sim_report *sum, const struct simulation_report *r) {
    sum->keyspaces.created += r->keyspaces.created;
    sum->keyspaces.altered += r->keyspaces.altered;
    sum->keyspaces.moved += r->keyspaces.moved;
    sum->keyspaces.dropped += r->keyspaces.dropped;
    sum->keyspaces.flushed += r->keyspaces.flushed;
    sum->keyspaces.held += r->keyspaces.held;
    sum->keyspaces.refused += r->keyspaces.refused;
    sum->keyspaces.unknown += r->keyspaces.unknown;
    sum->tenancy.reads += r->tenancy.reads;
    sum->tenancy.certain += r->tenancy.certain;
    sum->tenancy.flushed += r->tenancy.flushed;
    sum->tenancy.moves += r->tenancy.moves;
}

void sim_report_add(struct sim_report *sum, const struct simulation_report *r) {
    sum->runs++;
    sum->failed += r->has_failed;
    sum->events += r->events;
    sum->simulated_ns += r->simulated_ns;
    sum->done += r->done;
    sum->refused += r->refused;
    sum->unknown += r->unknown;
    for (uint32_t i = 0; i < TROUBLE_COUNT; i++) sum->troubles[i] += r->troubles[i];
    sum->strangers += r->strangers;
    sum->replaced += r->replaced;
    sum->not_replaced += r->not_replaced;
    sum->returned += r->returned;
    for (uint32_t i = 0; i < FAULT_COUNT; i++) sum->faults[i] += r->faults[i];
    for (uint32_t i = 0; i < CALL_KINDS; i++) sum->calls[i] += r->calls[i];
    add_oracle(&sum->oracle, &r->oracle);
    sum->backups.made += r->backups.made;
    sum->backups.deleted += r->backups.deleted;
    sum->backups.cut_short += r->backups.cut_short;
    sum->backups.checked += r->backups.checked;
    add_maps(&sum->maps, &r->maps);
    add_keyspaces(sum, r);
    sum->watched.up += r->watched.up;
    sum->watched.gone += r->watched.gone;
    sum->watched.well += r->watched.well;
    add_node(&sum->node, &r->node);
    sum->flushes += r->flushes;
    sum->compactions += r->compactions;
    sum->cuts += r->cuts;
    sum->blocks_read += r->blocks_read;
    sum->evicted += r->evicted;
    sum->recounts += r->recounts;
    sum->audited += r->audited;
    sum->audit_rounds += r->audit_rounds;
    sum->inspections += r->inspections;
}

struct line {
    const char *name;
    uint64_t count;
};

enum { LINES_MAX = 128 };

static uint32_t add(struct line *lines, uint32_t count, const char *name, uint64_t value) {
    lines[count] = (struct line){name, value};
    return count + 1;
}

// Not everything the world can do is asked of it here.
static bool is_wanted(enum fault fault) {
    static const enum fault unused[] = {
        FAULT_DISK_READ_ERROR, FAULT_DISK_MISDIRECT, FAULT_DISK_PHANTOM,
        FAULT_DISK_EVICTION,   FAULT_DISK_CUT,       FAULT_NET_PRESSURE,
    };
    for (uint32_t i = 0; i < sizeof(unused) / sizeof(unused[0]); i++) {
        if (fault == unused[i]) return false;
    }
    return true;
}

static uint32_t add_watched(struct line *lines, uint32_t n, const struct watcher_counts *watched) {
    n = add(lines, n, "O30 looks at who must be up", watched->up);
    n = add(lines, n, "O30 looks at who must not be", watched->gone);
    return add(lines, n, "O30 looks at who must not be down", watched->well);
}

static uint32_t add_oracle_lines(struct line *lines, uint32_t n, const struct oracle_counts *o) {
    n = add(lines, n, "O1 acks found durable", o->durable_checks);
    n = add(lines, n, "O2 acknowledged writes", o->acks);
    n = add(lines, n, "O2 tombstones with their writer", o->deletes);
    n = add(lines, n, "O3 keys ending with siblings", o->concurrent);
    n = add(lines, n, "O6 keys compared on all replicas", o->converged);
    n = add(lines, n, "O8 reads judged", o->reads);
    n = add(lines, n, "O8 reads behind a write in a batch", o->pipelined);
    n = add(lines, n, "O22 ranges", o->ranges);
    n = add(lines, n, "O22 ranges that go on", o->ranges_cut);
    n = add(lines, n, "O12 dots", o->dots);
    n = add(lines, n, "O12 dots minted again unseen", o->dots_again);
    n = add(lines, n, "O12 dots of older copies", o->dots_forked);
    n = add(lines, n, "O33 hints handed off", o->handed);
    n = add(lines, n, "O31 events purged", o->purged);
    n = add(lines, n, "O31 of these, of entries retired", o->retired);
    n = add(lines, n, "O31 events superseded", o->superseded);
    n = add(lines, n, "O31 reads after a purge", o->purged_reads);
    return n;
}

static uint32_t collect(const struct sim_report *sum, struct line *lines) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < TROUBLE_COUNT; i++) {
        bool is_rate = i == TROUBLE_NETWORK || i == TROUBLE_SLOW_DISK || i == TROUBLE_BAD_DISK;
        if (!is_rate) n = add(lines, n, trouble_name((enum trouble)i), sum->troubles[i]);
    }
    for (uint32_t i = 0; i < FAULT_COUNT; i++) {
        if (is_wanted((enum fault)i)) n = add(lines, n, fault_name((enum fault)i), sum->faults[i]);
    }
    n = add_oracle_lines(lines, n, &sum->oracle);
    n = add(lines, n, "O12 own dots held, compared", sum->oracle.dots_outdone);
    n = add(lines, n, "O19 refusals", sum->oracle.refusals);
    n = add(lines, n, "O23 snapshots made", sum->backups.made);
    n = add(lines, n, "O23 snapshots deleted", sum->backups.deleted);
    n = add(lines, n, "O23 that were cut short", sum->backups.cut_short);
    n = add(lines, n, "O23 opened and compared", sum->backups.checked);
    n = add(lines, n, "O25 pages of scans", sum->oracle.pages);
    n = add(lines, n, "O25 whole scans of healed clusters", sum->oracle.walks);
    n = add(lines, n, "O25 keys judged by these", sum->oracle.walked);
    n = add(lines, n, "O26 contexts that writes answered", sum->oracle.contexts);
    n = add(lines, n, "O26 siblings left out of these", sum->oracle.unseen);
    n = add(lines, n, "O27 maps", sum->maps.maps);
    n = add(lines, n, "O27 changes done", sum->maps.done);
    n = add(lines, n, "O27 changes certainly not done", sum->maps.not_done);
    n = add(lines, n, "O27 changes that did not apply", sum->maps.refused);
    n = add(lines, n, "O27 changes cut short", sum->maps.cut_short);
    n = add(lines, n, "O28 reads in keyspaces", sum->tenancy.reads);
    n = add(lines, n, "O28 reads whose value was known", sum->tenancy.certain);
    n = add(lines, n, "O28 reads after a flush", sum->tenancy.flushed);
    n = add(lines, n, "O29 changes with no keys in their way", sum->tenancy.moves);
    n = add_watched(lines, n, &sum->watched);
    n = add(lines, n, "O36 looks at a stranger", sum->strangers);
    n = add(lines, n, "O36 members replaced", sum->replaced);
    n = add(lines, n, "O36 members not replaced", sum->not_replaced);
    n = add(lines, n, "O36 lost disks ousted", sum->returned);
    n = add(lines, n, "O37 members that joined", sum->maps.joined);
    n = add(lines, n, "keyspaces created", sum->keyspaces.created);
    n = add(lines, n, "keyspaces altered", sum->keyspaces.altered);
    n = add(lines, n, "keyspaces altered, if empty", sum->keyspaces.moved);
    n = add(lines, n, "keyspaces dropped", sum->keyspaces.dropped);
    n = add(lines, n, "keyspaces all flushed", sum->keyspaces.flushed);
    n = add(lines, n, "changes refused for keys", sum->keyspaces.held);
    n = add(lines, n, "changes refused", sum->keyspaces.refused);
    n = add(lines, n, "changes unknown", sum->keyspaces.unknown);
    n = add(lines, n, "outcomes unknown", sum->oracle.unknowns);
    n = add(lines, n, "path second round of a write", sum->node.second_rounds);
    n = add(lines, n, "path read repair", sum->node.read_repairs);
    n = add(lines, n, "path records reconciled", sum->node.reconciled);
    n = add(lines, n, "path hedged read", sum->node.hedged);
    n = add(lines, n, "path hash for a record", sum->node.hashes);
    n = add(lines, n, "path hash of another record", sum->node.hashes_differed);
    n = add(lines, n, "path write forwarded", sum->node.forwarded);
    n = add(lines, n, "path time-out", sum->node.timeouts);
    n = add(lines, n, "path epoch renewed", sum->node.renewals);
    n = add(lines, n, "path hint kept", sum->node.hints_kept);
    n = add(lines, n, "path hint minted", sum->node.hints_minted);
    n = add(lines, n, "path hint handed off", sum->node.hints_handed);
    n = add(lines, n, "path hint dropped", sum->node.hints_dropped);
    n = add(lines, n, "path no quorum", sum->node.unavailable);
    n = add(lines, n, "path flush", sum->flushes);
    n = add(lines, n, "path tables merged", sum->compactions);
    n = add(lines, n, "path merge cut at a partition", sum->cuts);
    n = add(lines, n, "path block read", sum->blocks_read);
    n = add(lines, n, "path record evicted", sum->evicted);
    n = add(lines, n, "path facts added up anew", sum->recounts);
    n = add(lines, n, "O32 partitions audited", sum->audited);
    n = add(lines, n, "O32 rounds through all of them", sum->audit_rounds);
    n = add(lines, n, "path inspection", sum->inspections);
    must(n <= LINES_MAX);
    return n;
}

void sim_report_print(const struct sim_report *sum) {
    struct line lines[LINES_MAX];
    uint32_t count = collect(sum, lines);
    printf("runs=%" PRIu64 " failed=%" PRIu64 " operations=%" PRIu64 " refused=%" PRIu64
           " unknown=%" PRIu64 " events=%" PRIu64 " simulated-hours=%.1f\n",
           sum->runs, sum->failed, sum->done, sum->refused, sum->unknown, sum->events,
           (double)sum->simulated_ns / 3.6e12);
    for (uint32_t i = 0; i < count; i++) {
        printf("  %-34s %12" PRIu64 "\n", lines[i].name, lines[i].count);
    }
}

bool sim_report_is_covered(const struct sim_report *sum) {
    struct line lines[LINES_MAX];
    uint32_t count = collect(sum, lines);
    bool is_covered = true;
    for (uint32_t i = 0; i < count; i++) {
        if (lines[i].count > 0) continue;
        printf("never exercised: %s\n", lines[i].name);
        is_covered = false;
    }
    return is_covered;
}
