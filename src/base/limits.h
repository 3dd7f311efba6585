// SPDX-License-Identifier: Apache-2.0
//
// limits.h -- every compile-time limit that more than one module builds on, with its reason.
//
// A limit that an operator may want to change lives in the configuration instead; these are the
// ones that formats and fixed arrays are built on.
#ifndef QUOIT_BASE_LIMITS_H
#define QUOIT_BASE_LIMITS_H

enum {
    // Redis Cluster's number, so that its clients compute our slots.
    SLOT_COUNT = 16384,

    // Neighbouring slots that are told apart from others when members compare what they hold.
    SLOT_GROUPS = 128,
    GROUP_SLOTS = SLOT_COUNT / SLOT_GROUPS,

    // One past the last slot: the partition of what a node knows of itself (identity, map). It is
    // stored like any other and never leaves the node.
    SLOT_SYSTEM = SLOT_COUNT,

    // Likewise: what it keeps for other members until these can have it (node/hints.h), and of that
    // what members that stood in for them have minted.
    SLOT_HINTS,
    SLOT_MINTED,

    // Past all of them.
    SLOT_END,

    // Parts of what one slot of a keyspace holds that are told apart likewise.
    STORE_LEAVES = 16,

    KEY_SIZE_MAX = 64 * 1024,

    // The value limit is configurable up to here; formats count in 32 bits and a record of this
    // size still fits one message.
    VALUE_SIZE_MAX = 8 * 1024 * 1024,
    VALUE_SIZE_DEFAULT = 1024 * 1024,

    // Concurrent values of one key, and their bytes together, after a write that adds to them. A
    // client that never sends a context back reaches this; it is then refused and nothing is
    // dropped.
    SIBLINGS_WRITE_MAX = 128,
    SIBLINGS_SIZE_MAX = 1024 * 1024,

    // From here on a write is counted as one that a client makes without saying what it has read.
    SIBLINGS_MANY = 5,

    // What the format can count. Replicas that could not hear each other have each taken writes,
    // and merging refuses nothing: so each may mint its share of these and no more (node/mint.c).
    SIBLINGS_MAX = 255,

    // Actors in one causal context. Each member adds one, and one more for each time it could not
    // prove that it forgot nothing.
    CONTEXT_MAX = 256,

    // Copies in one quorum: several data centres, and both sides of a move, counted at once.
    REPLICAS_MAX = 32,

    MEMBERS_MAX = 1024,
    SHARDS_MAX = 64,

    // Names of members, hosts, racks and data centres; longest address is a host name and a port.
    NAME_SIZE_MAX = 63,
    ADDRESS_SIZE_MAX = 271,
};

#endif
