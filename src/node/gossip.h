// SPDX-License-Identifier: Apache-2.0
//
// gossip.h -- telling each other how members do.
//
// Each round a member raises its own heartbeat and tells its news to all others or, in a larger
// cluster, to a few of them, one after the other; each answers with its own. What is news, and how
// much of it goes with one message at most, is for model/rumors.h; entries merge
// (model/members.h). So what a member sends in a round does not grow with the cluster. In a larger
// one a message says, too, whom its sender doubts (inquiry.h). And it has the author of the map
// (epoch.h) and the root of what the receiver should hold, too (roots.h).
#ifndef QUOIT_NODE_GOSSIP_H
#define QUOIT_NODE_GOSSIP_H

#include "node/sight.h"

enum {
    GOSSIP_ALL_MAX = 7,
    GOSSIP_FANOUT = 2,
    GOSSIP_SIZE_MAX = 4 + RUMORS_MAX * MEMBER_ENTRY_ENCODED_SIZE + 17 + 1 +
                      8 * DOUBTS_TOLD_MAX, // bytes of a message
};

// Whether each talks to all others in every round.
static inline bool gossip_reaches_all(const struct node *node) {
    return node->peer_count <= GOSSIP_ALL_MAX;
}

// There is a map, and nothing is known of its members yet, but of the first so many.
void gossip_on_map(struct node *node, uint32_t known);

void gossip_start(struct node *node);
void gossip_stop(struct node *node);

// Says that this member is there, and nothing more; it is answered like any other.
void gossip_greet(struct node *node, struct link *link);
void gossip_receive(struct node *node, struct link *link, struct slice body);

#endif
