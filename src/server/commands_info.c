// SPDX-License-Identifier: Apache-2.0
//
// INFO: facts about this node, in the sections and fields that Redis's tools read, and two of our
// own. What has no meaning here is left out, not invented.
#include "server/commands.h"

#include "base/text.h"

#include <inttypes.h>

static void write_human(struct text *text, uint64_t bytes) {
    static const char units[] = "BKMGT";
    uint64_t hundredths = bytes * 100;
    uint32_t unit = 0;
    while (hundredths >= 102400 && unit + 2 < sizeof(units)) {
        hundredths /= 1024;
        unit++;
    }
    text_printf(text, "%" PRIu64 ".%02u%c", hundredths / 100, (unsigned)(hundredths % 100),
                units[unit]);
}

// 40 hexadecimal digits that are others after every start.
static void write_run_id(const struct server *server, struct text *text) {
    struct mac a = mac_of(&server->options.random, SLICE("run id, begin"));
    struct mac b = mac_of(&server->options.random, SLICE("run id, end"));
    text_hex(text, (struct slice){a.bytes, MAC_SIZE});
    text_hex(text, (struct slice){b.bytes, 20 - MAC_SIZE});
}

static void write_server(struct server *server, struct text *text) {
    const struct server_options *o = &server->options;
    uint64_t uptime = (server->env->now - server->began) / NS_PER_SECOND;
    text_string(text, "redis_version:" REDIS_VERSION "\r\nredis_mode:cluster\r\n");
    text_printf(text, "server_name:quoit\r\nquoit_version:%s\r\n", o->version);
    if (o->system != NULL) text_printf(text, "os:%s\r\n", o->system);
    if (o->io != NULL) text_printf(text, "multiplexing_api:%s\r\n", o->io);
    text_string(text, "run_id:");
    write_run_id(server, text);
    text_string(text, "\r\n");
    text_printf(text, "arch_bits:%zu\r\nprocess_id:%" PRIu64 "\r\n", sizeof(void *) * 8,
                o->process_id);
    text_printf(text, "tcp_port:%u\r\nserver_time_usec:%" PRIu64 "\r\n", o->port,
                server->env->wall_ms * 1000);
    text_printf(text, "uptime_in_seconds:%" PRIu64 "\r\nuptime_in_days:%" PRIu64 "\r\n", uptime,
                uptime / 86400);
}

static void write_clients(struct server *server, struct text *text) {
    text_printf(text,
                "connected_clients:%" PRIu32 "\r\ncluster_connections:0\r\nmaxclients:%" PRId64
                "\r\nblocked_clients:%" PRIu32
                "\r\ntracking_clients:0\r\nclients_in_timeout_table:0\r\n",
                server->session_count, server->tuning.clients, server->pause.held);
}

static void write_memory(struct server *server, struct text *text) {
    struct store_stats store = node_store_stats(server->node);
    text_printf(text, "used_memory:%" PRIu64 "\r\nused_memory_human:", store.memory_used);
    write_human(text, store.memory_used);
    text_printf(
        text, "\r\nused_memory_rss:%" PRIu64 "\r\nused_memory_rss_human:", server->usage.resident);
    write_human(text, server->usage.resident);
    uint64_t peak =
        server->memory_peak > store.memory_used ? server->memory_peak : store.memory_used;
    text_printf(text, "\r\nused_memory_peak:%" PRIu64 "\r\nused_memory_peak_human:", peak);
    write_human(text, peak);
    uint64_t ratio = store.memory_used == 0 ? 0 : server->usage.resident * 100 / store.memory_used;
    text_printf(text, "\r\nmem_fragmentation_ratio:%" PRIu64 ".%02" PRIu64, ratio / 100,
                ratio % 100);
    text_printf(text,
                "\r\nused_memory_dataset:%" PRIu64 "\r\nmaxmemory:%" PRIu64 "\r\nmaxmemory_human:",
                store.memory_used, store.memory_max);
    write_human(text, store.memory_max);
    text_printf(text,
                "\r\nmaxmemory_policy:noeviction\r\ntotal_process_memory:%" PRIu64
                "\r\nbuffers_in_use:%" PRIu32 "\r\nbuffers_max:%" PRIu32 "\r\n",
                server->options.memory_max, server->chunk_pool.taken, server->chunk_pool.count);
}

static void write_persistence(struct server *server, struct text *text) {
    struct store_stats store = node_store_stats(server->node);
    bool is_loading = node_state(server->node) == NODE_RECOVERING;
    text_printf(text,
                "loading:%d\r\nasync_loading:0\r\nrdb_bgsave_in_progress:0\r\n"
                "rdb_last_save_time:%" PRIu64 "\r\nrdb_last_bgsave_status:%s\r\naof_enabled:1\r\n"
                "aof_rewrite_in_progress:0\r\n",
                is_loading, server_saved_s(server), store.is_failed ? "err" : "ok");
    text_printf(text, "aof_last_write_status:%s\r\naof_current_size:%" PRIu64 "\r\n",
                store.is_failed ? "err" : "ok", store.log_size);
}

static void write_stats(struct server *server, struct text *text) {
    const struct server_counts *n = &server->counts;
    text_printf(text,
                "total_connections_received:%" PRIu64 "\r\ntotal_commands_processed:%" PRIu64
                "\r\ninstantaneous_ops_per_sec:%" PRIu64 "\r\n",
                n->connections, n->commands, server->commands_rate.per_second);
    text_printf(text, "total_net_input_bytes:%" PRIu64 "\r\ntotal_net_output_bytes:%" PRIu64 "\r\n",
                n->bytes_in, n->bytes_out);
    text_printf(text,
                "instantaneous_input_kbps:%" PRIu64 ".%02" PRIu64
                "\r\ninstantaneous_output_kbps:%" PRIu64 ".%02" PRIu64 "\r\n",
                server->in_rate.per_second / 1024, server->in_rate.per_second % 1024 * 100 / 1024,
                server->out_rate.per_second / 1024,
                server->out_rate.per_second % 1024 * 100 / 1024);
    text_printf(text, "rejected_connections:%" PRIu64 "\r\nevicted_keys:0\r\n", n->refused);
    text_printf(text, "keyspace_hits:%" PRIu64 "\r\nkeyspace_misses:%" PRIu64 "\r\n", n->hits,
                n->misses);
    text_printf(text, "total_reads_processed:%" PRIu64 "\r\ntotal_writes_processed:%" PRIu64 "\r\n",
                n->receives, n->sends);
    text_printf(text, "total_error_replies:%" PRIu64 "\r\nstalled_clients_closed:%" PRIu64 "\r\n",
                n->errors, n->cut);
}

static void write_replication(struct server *server, struct text *text) {
    (void)server;
    text_string(text, "role:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\n"
                      "master_repl_offset:0\r\n");
}

static void write_seconds(struct text *text, const char *name, uint64_t us) {
    text_printf(text, "%s:%" PRIu64 ".%06u\r\n", name, us / 1000000, (unsigned)(us % 1000000));
}

static void write_cpu(struct server *server, struct text *text) {
    write_seconds(text, "used_cpu_sys", server->usage.system_us);
    write_seconds(text, "used_cpu_user", server->usage.user_us);
}

static void write_modules(struct server *server, struct text *text) {
    (void)server;
    (void)text;
}

static void write_errorstats(struct server *server, struct text *text) {
    for (uint32_t i = 0; i < server->error_count; i++) {
        text_printf(text, "errorstat_%s:count=%" PRIu64 "\r\n", server->errors[i].word,
                    server->errors[i].count);
    }
}

static void write_cluster(struct server *server, struct text *text) {
    (void)server;
    text_string(text, "cluster_enabled:1\r\n");
}

// Keys of the slots that this member is first for, so that sums over the nodes are right.
static uint64_t first_key_count(const struct node *node) {
    const struct map *map = node_map(node);
    uint64_t keys = 0;
    for (uint32_t i = 0; map->epoch > 0 && i < map->run_count; i++) {
        const struct map_run *run = &map->runs[i];
        if (node_first_of(node, run) != node_self(node)) continue;
        for (uint32_t slot = run->first; slot < (uint32_t)run->first + run->count; slot++) {
            keys += node_slot(node, (uint16_t)slot).live_count;
        }
    }
    return keys;
}

static void write_keyspace(struct server *server, struct text *text) {
    uint64_t keys = first_key_count(server->node);
    if (keys > 0) text_printf(text, "db0:keys=%" PRIu64 ",expires=0,avg_ttl=0\r\n", keys);
}

static void write_commandstats(struct server *server, struct text *text) {
    for (uint32_t i = 0; i < command_table_count; i++) {
        const struct command_count *n = &server->command_counts[i];
        if (n->took.count + n->rejected == 0) continue;
        uint64_t usec = n->took.sum / 1000;
        uint64_t calls = n->took.count == 0 ? 1 : n->took.count;
        text_printf(text,
                    "cmdstat_%s:calls=%" PRIu64 ",usec=%" PRIu64 ",usec_per_call=%" PRIu64
                    ".%02" PRIu64 ",rejected_calls=%" PRIu64 ",failed_calls=%" PRIu64 "\r\n",
                    command_table[i].name, n->took.count, usec, usec / calls,
                    usec % calls * 100 / calls, n->rejected, n->failed);
    }
}

static void write_quantile(struct text *text, const struct histogram *took, double quantile) {
    uint64_t ns = histogram_quantile(took, quantile);
    text_printf(text, "%" PRIu64 ".%03u", ns / 1000, (unsigned)(ns % 1000));
}

static void write_latencystats(struct server *server, struct text *text) {
    for (uint32_t i = 0; i < command_table_count; i++) {
        const struct histogram *took = &server->command_counts[i].took;
        if (took->count == 0) continue;
        text_printf(text, "latency_percentiles_usec_%s:p50=", command_table[i].name);
        write_quantile(text, took, 0.5);
        text_string(text, ",p99=");
        write_quantile(text, took, 0.99);
        text_string(text, ",p99.9=");
        write_quantile(text, took, 0.999);
        text_string(text, "\r\n");
    }
}

static const char *state_text(enum node_state state) {
    switch (state) {
    case NODE_RECOVERING:
        return "recovering";
    case NODE_FOUNDING:
        return "founding";
    case NODE_SERVING:
        return "serving";
    case NODE_STOPPED:
        return "stopped";
    }
    unreachable();
}

// Bytes written for each byte that the log took, in hundredths; 0 before the first.
static uint64_t write_amplification(const struct store_stats *store) {
    if (store->bytes_logged == 0) return 0;
    uint64_t written = store->bytes_logged + store->bytes_flushed + store->bytes_compacted;
    return written * 100 / store->bytes_logged;
}

static void write_durability(struct server *server, struct text *text) {
    uint64_t window_ms = node_options(server->node)->store.sync_interval_ns / NS_PER_MS;
    text_string(text, "durability:");
    if (window_ms == 0) {
        text_string(text, "always");
    } else {
        text_printf(text, "interval:%" PRIu64, window_ms);
    }
    text_printf(text, "\r\ndurability_loss_window_ms:%" PRIu64 "\r\n", window_ms);
}

static void write_tables(const struct store_stats *store, struct text *text) {
    uint64_t hundredths = write_amplification(store);
    text_printf(text,
                "store_tables:%" PRIu64 "\r\nstore_table_bytes:%" PRIu64
                "\r\nstore_dirty_bytes:%" PRIu64 "\r\n",
                store->table_count, store->table_size, store->dirty_size);
    text_printf(text,
                "store_flushes:%" PRIu64 "\r\nstore_compactions:%" PRIu64
                "\r\nstore_is_compacting:%d\r\nstore_compaction_percent:%" PRIu32 "\r\n",
                store->flushes, store->compactions, store->is_compacting,
                store->compaction_percent);
    text_printf(text,
                "store_bytes_logged:%" PRIu64 "\r\nstore_bytes_flushed:%" PRIu64
                "\r\nstore_bytes_compacted:%" PRIu64 "\r\n",
                store->bytes_logged, store->bytes_flushed, store->bytes_compacted);
    text_printf(text,
                "store_write_amplification:%" PRIu64 ".%02" PRIu64 "\r\nstore_blocks_read:%" PRIu64
                "\r\n",
                hundredths / 100, hundredths % 100, store->blocks_read);
}

static void write_store(struct server *server, struct text *text) {
    struct store_stats store = node_store_stats(server->node);
    text_printf(text, "store_keys:%" PRIu64 "\r\nstore_records:%" PRIu64 "\r\n", store.live_count,
                store.key_count);
    text_printf(text, "store_log_bytes:%" PRIu64 "\r\nstore_live_bytes:%" PRIu64 "\r\n",
                store.log_size, store.live_size);
    text_printf(text,
                "store_segments:%" PRIu64 "\r\nstore_syncs:%" PRIu64 "\r\nstore_writes:%" PRIu64
                "\r\nstore_disk_free_bytes:%" PRIu64 "\r\n",
                store.segment_count, store.syncs, store.writes, store.disk_free);
    write_tables(&store, text);
    text_printf(text, "store_snapshots:%" PRIu64 "\r\nstore_snapshot_bytes:%" PRIu64 "\r\n",
                store.snapshot_count, store.snapshot_size);
    text_printf(text,
                "store_audited:%" PRIu64 "\r\nstore_audit_rounds:%" PRIu64
                "\r\nstore_audit_differences:%" PRIu64 "\r\n",
                store.audited, store.audit_rounds, store.audit_differences);
    text_printf(text, "store_damaged:%" PRIu64 "\r\nstore_is_full:%d\r\nstore_is_failed:%d\r\n",
                store.damaged, store.is_full, store.is_failed);
    write_durability(server, text);
}

static void write_purge(const struct node *node, struct text *text) {
    struct store_stats s = node_store_stats(node);
    struct node_stats n = node_stats(node);
    struct node_purge purge = node_purge_state(node);
    text_printf(text,
                "tombstones:%" PRIu64 "\r\npurged:%" PRIu64 "\r\nretired:%" PRIu64
                "\r\npurge_blocked:%" PRIu32 "\r\npurge_waits_for:%s\r\n",
                s.key_count - s.live_count, n.purged, n.retired, purge.blocked, purge.waits_for);
}

static void write_hints(const struct node *node, struct text *text) {
    struct store_partition hints = node_hints(node);
    struct node_stats n = node_stats(node);
    text_printf(text,
                "hints:%" PRIu64 "\r\nhints_bytes:%" PRIu64 "\r\nhints_kept:%" PRIu64
                "\r\nhints_minted:%" PRIu64 "\r\n",
                hints.key_count, hints.size, n.hints_kept, n.hints_minted);
    text_printf(text,
                "hints_handed_off:%" PRIu64 "\r\nhints_dropped:%" PRIu64
                "\r\nhints_refused:%" PRIu64 "\r\nhints_stuck:%" PRIu64 "\r\n",
                n.hints_handed, n.hints_dropped, n.hints_refused, n.hints_stuck);
}

static void write_load(const struct node_stats *n, struct text *text) {
    text_printf(text, "queue_time_us:%" PRIu64 "\r\nis_shedding:%d\r\n",
                (uint64_t)(n->queue_ns / 1000), n->is_shedding);
    text_printf(text,
                "shed_requests:%" PRIu64 "\r\nshed_peer_requests:%" PRIu64
                "\r\nlate_requests:%" PRIu64 "\r\nretries:%" PRIu64 "\r\nretries_held:%" PRIu64
                "\r\n",
                n->shed, n->shed_peers, n->late, n->retries, n->retries_held);
    text_printf(text, "background_share:%" PRIu32 "\r\nbackground_rested_ms:", n->background_share);
    static const char *const names[PACE_WORKERS] = {"merges", "handoff", "repair", "purge",
                                                    "audit"};
    for (uint32_t i = 0; i < PACE_WORKERS; i++) {
        text_printf(text, "%s%s=%" PRIu64, i == 0 ? "" : ",", names[i], n->rested_ms[i]);
    }
    text_printf(text, "\r\n");
}

static void write_quoit(struct server *server, struct text *text) {
    const struct node *node = server->node;
    const struct map *map = node_map(node);
    struct node_stats n = node_stats(node);
    text_printf(text, "node_state:%s\r\nmap_epoch:%" PRIu64 "\r\nmembers:%" PRIu32 "\r\n",
                state_text(node_state(node)), map->epoch, map->epoch == 0 ? 0 : map->member_count);
    if (map->epoch > 0) {
        const struct map_member *self = &map->members[node_self(node)];
        uint32_t up = 0;
        uint32_t late = 0;
        for (uint32_t i = 0; i < map->member_count; i++) {
            up += i == node_self(node) || node_member_is_up(node, i);
            late += node_member_is_late(node, i);
        }
        text_printf(text, "members_up:%" PRIu32 "\r\nmembers_late:%" PRIu32 "\r\n", up, late);
        text_printf(text, "node_name:%s\r\nnode_host:%s\r\n", self->name, self->host);
        text_printf(text, "node_rack:%s\r\nnode_dc:%s\r\nreplication:%" PRIu32 "\r\n", self->rack,
                    self->dc, map->replication);
    }
    text_printf(text,
                "coordinated_reads:%" PRIu64 "\r\ncoordinated_writes:%" PRIu64
                "\r\nsecond_rounds:%" PRIu64 "\r\n",
                n.reads, n.writes, n.second_rounds);
    text_printf(text,
                "read_repairs:%" PRIu64 "\r\nreconciled:%" PRIu64 "\r\nhedged_reads:%" PRIu64
                "\r\nread_hashes:%" PRIu64 "\r\nread_hashes_differed:%" PRIu64
                "\r\nslots_behind:%" PRIu32 "\r\n",
                n.read_repairs, n.reconciled, n.hedged, n.hashes, n.hashes_differed,
                n.slots_behind);
    uint64_t unequal_ns = node_state(node) == NODE_SERVING ? node_unequal_ns(node) : 0;
    text_printf(text,
                "reconciled_bytes:%" PRIu64 "\r\ncompare_bytes:%" PRIu64
                "\r\nunequal_seconds:%" PRIu64 "\r\n",
                n.reconciled_bytes, n.compare_bytes, (uint64_t)(unequal_ns / NS_PER_SECOND));
    write_purge(node, text);
    write_hints(node, text);
    text_printf(text,
                "sibling_writes:%" PRIu64 "\r\nsiblings_most:%" PRIu32 "\r\nepochs_renewed:%" PRIu64
                "\r\ndot_conflicts:%" PRIu64 "\r\n",
                n.sibling_writes, n.siblings_most, n.renewals, n.dot_conflicts);
    text_printf(text,
                "quorum_failures:%" PRIu64 "\r\ntimeouts:%" PRIu64 "\r\nforwarded:%" PRIu64
                "\r\nbusy:%" PRIu64 "\r\nrequests_under_way:%" PRIu32 "\r\n",
                n.unavailable, n.timeouts, n.forwarded, n.busy, n.requests_under_way);
    write_load(&n, text);
    text_printf(text,
                "frames_sent:%" PRIu64 "\r\nframes_received:%" PRIu64 "\r\nframes_refused:%" PRIu64
                "\r\n",
                n.frames_sent, n.frames_received, n.frames_refused);
}

struct section {
    const char *name;
    const char *title;
    bool is_default;
    void (*write)(struct server *server, struct text *text);
};

static const struct section sections[] = {
    {"server", "Server", true, write_server},
    {"clients", "Clients", true, write_clients},
    {"memory", "Memory", true, write_memory},
    {"persistence", "Persistence", true, write_persistence},
    {"stats", "Stats", true, write_stats},
    {"replication", "Replication", true, write_replication},
    {"cpu", "CPU", true, write_cpu},
    {"modules", "Modules", true, write_modules},
    {"commandstats", "Commandstats", false, write_commandstats},
    {"errorstats", "Errorstats", true, write_errorstats},
    {"latencystats", "Latencystats", false, write_latencystats},
    {"cluster", "Cluster", true, write_cluster},
    {"quoit", "Quoit", true, write_quoit},
    {"store", "Store", true, write_store},
    {"keyspace", "Keyspace", true, write_keyspace},
};

static bool is_wanted(const struct command *c, const struct section *section) {
    if (c->argument_count == 1) return section->is_default;
    for (uint32_t i = 1; i < c->argument_count; i++) {
        struct slice word = c->arguments[i];
        if (argument_is(word, section->name) || argument_is(word, "all") ||
            argument_is(word, "everything")) {
            return true;
        }
        if (argument_is(word, "default") && section->is_default) return true;
    }
    return false;
}

void local_info(struct command *c, struct reply *r) {
    struct server *server = c->session->server;
    struct text text = server_text(server);
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        if (!is_wanted(c, &sections[i])) continue;
        if (text.size > 0) text_string(&text, "\r\n");
        text_printf(&text, "# %s\r\n", sections[i].title);
        sections[i].write(server, &text);
    }
    reply_verbatim(r, text_slice(&text));
}
