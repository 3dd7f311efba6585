// SPDX-License-Identifier: Apache-2.0
//
// commands.h -- what carries out the entries of the command table, by file.
#ifndef QUOIT_SERVER_COMMANDS_H
#define QUOIT_SERVER_COMMANDS_H

#include "server/answer.h"
#include "server/arguments.h"
#include "server/step.h"

// commands_string.c
command_start_function start_get;
command_start_function start_set;
command_start_function start_setex;
command_start_function start_psetex;
command_start_function start_strlen;
command_start_function start_getrange;
command_refine_function refine_set;

// commands_atomic.c
command_start_function start_setnx;
command_start_function start_getset;
command_start_function start_getdel;
command_start_function start_getex;
command_start_function start_incr;
command_start_function start_decr;
command_start_function start_incrby;
command_start_function start_decrby;
command_start_function start_incrbyfloat;
command_start_function start_append;
command_start_function start_setrange;
void start_set_conditionally(struct command *c, uint32_t flags, uint64_t expires_ms);

// commands_bits.c
command_start_function start_getbit;
command_start_function start_setbit;
command_start_function start_bitcount;
command_start_function start_bitpos;
command_start_function start_bitop;

// commands_bitfield.c
command_start_function start_bitfield;
command_start_function start_bitfield_ro;

// commands_multi.c
command_start_function start_mget;
command_start_function start_mset;
command_start_function start_msetnx;
command_start_function start_del;
command_start_function start_exists;

// commands_transaction.c
command_local_function local_multi;
command_start_function start_exec;
command_local_function local_discard;
command_start_function start_watch;
command_local_function local_unwatch;

// commands_key.c
command_start_function start_type;
command_start_function start_ttl;
command_start_function start_pttl;
command_start_function start_expiretime;
command_start_function start_pexpiretime;
command_start_function start_expire;
command_start_function start_pexpire;
command_start_function start_expireat;
command_start_function start_pexpireat;
command_start_function start_persist;
command_refine_function refine_expire;

// commands_object.c
command_start_function start_object_encoding;
command_start_function start_object_refcount;
command_start_function start_object_freq;
command_start_function start_object_idletime;
command_start_function start_memory_usage;

// commands_move.c
command_start_function start_rename;
command_start_function start_renamenx;
command_start_function start_copy;

// commands_dump.c
command_start_function start_dump;
command_start_function start_restore;
command_refine_function refine_restore;

// commands_lcs.c
command_start_function start_lcs;

// commands_scan.c
command_start_function start_scan;
command_start_function start_keys;
command_start_function start_dbsize;
command_start_function start_randomkey;
command_start_function start_cluster_getkeysinslot;

// commands_kv.c
command_start_function start_kv_get;
command_start_function start_kv_put;
command_start_function start_kv_del;
command_local_function local_consistency;

// commands_range.c
command_start_function start_kv_range;

// commands_connection.c
command_local_function local_ping;
command_local_function local_echo;
command_local_function local_hello;
command_local_function local_auth;
command_local_function local_select;
command_local_function local_quit;
command_local_function local_reset;
command_local_function local_client_id;
command_local_function local_client_getname;
command_local_function local_client_setname;
command_local_function local_client_setinfo;
command_local_function local_wait;
command_local_function local_ok;

// commands_client.c
command_local_function local_client_list;
command_local_function local_client_info;
command_local_function local_client_kill;
command_local_function local_client_reply;
command_local_function local_client_no_evict;
command_local_function local_client_no_touch;
command_local_function local_client_pause;
command_local_function local_client_unpause;
command_local_function local_client_unblock;
command_local_function local_client_tracking;
command_local_function local_client_caching;
command_local_function local_client_getredir;
command_local_function local_client_trackinginfo;

// commands_cluster.c
command_local_function local_cluster_slots;
command_local_function local_cluster_shards;
command_local_function local_cluster_nodes;
command_local_function local_cluster_info;
command_local_function local_cluster_keyslot;
command_local_function local_cluster_countkeysinslot;
command_local_function local_cluster_myid;
command_local_function local_cluster_links;
command_local_function local_cluster_refused;

// commands_command.c
command_local_function local_command;
command_local_function local_command_count;
command_local_function local_command_info;
command_local_function local_command_docs;
command_local_function local_command_list;
command_local_function local_command_getkeys;
command_local_function local_command_getkeysandflags;
command_local_function local_help;

// Categories of commands, as Redis has them, so far as there is anything in them.
enum command_category {
    CATEGORY_KEYSPACE,
    CATEGORY_READ,
    CATEGORY_WRITE,
    CATEGORY_STRING,
    CATEGORY_ADMIN,
    CATEGORY_FAST,
    CATEGORY_SLOW,
    CATEGORY_DANGEROUS,
    CATEGORY_CONNECTION,
    CATEGORY_TRANSACTION,
    COMMAND_CATEGORIES,
};

const char *command_category_name(enum command_category category);

// Bit 1 << category of each that a command is in; of the one with a name, 0 when there is none.
uint32_t command_categories(const struct command_spec *spec);
uint32_t command_category_find(struct slice name);

// commands_acl.c
command_local_function local_acl_whoami;
command_local_function local_acl_users;
command_local_function local_acl_list;
command_local_function local_acl_cat;
command_local_function local_acl_genpass;

// commands_info.c
command_local_function local_info;

// commands_config.c
command_local_function local_config_get;
command_local_function local_config_set;
command_local_function local_config_resetstat;

// commands_slow.c
command_local_function local_slowlog_get;
command_local_function local_slowlog_len;
command_local_function local_slowlog_reset;
command_local_function local_latency_latest;
command_local_function local_latency_history;
command_local_function local_latency_reset;
command_local_function local_latency_doctor;
command_local_function local_latency_histogram;

// commands_server.c
command_local_function local_time;
command_local_function local_lolwut;
command_local_function local_role;
command_local_function local_replicaof;
command_local_function local_save;
command_local_function local_bgsave;
command_local_function local_lastsave;
command_local_function local_bgrewriteaof;
command_local_function local_config_rewrite;
command_local_function local_module_list;
command_local_function local_monitor;
command_start_function start_debug_sleep;
command_local_function local_memory_stats;
command_local_function local_memory_doctor;

// What was acknowledged up to then, in seconds since 1970, is on the disk.
uint64_t server_saved_s(const struct server *server);

// commands_quoit.c
command_local_function local_quoit_status;
command_local_function local_quoit_view;
command_local_function local_quoit_digest;
command_local_function local_quoit_digests;
command_local_function local_quoit_repair;
command_local_function local_quoit_compact;
command_start_function start_keyspace_create;
command_start_function start_keyspace_alter;
command_start_function start_keyspace_drop;
command_start_function start_flush;
command_local_function local_keyspace_list;
command_local_function local_keyspace_describe;
command_start_function start_quoit_snapshot;
command_local_function local_quoit_snapshots;
command_start_function start_quoit_delsnapshot;

// commands_replace.c
command_start_function start_quoit_replace;

// Of what a plain client sees of a key; of no value it is empty, and it never expires.
static inline struct slice shown_value(const struct sibling *sibling) {
    return sibling == NULL ? SLICE("") : sibling->value;
}

// The expiry of a value that takes the place of another and has its time, if there is one.
static inline uint64_t shown_expiry(const struct sibling *sibling) {
    if (sibling == NULL) return 0;
    return sibling->expires_ms == 0 ? STEP_STAYS : sibling->expires_ms;
}

#endif
