// SPDX-License-Identifier: Apache-2.0
//
// gossip.h -- telling each other how members do.
//
// Each round a member raises its own heartbeat and tells its news to all others or, in a larger
// cluster, to a few of them, one after the other; each answers with its own. What is news, and how
// much of it goes with one message at most, is for model/rumors.h; entries merge
// (model/members.h). So what a member sends in a round does not grow with the cluster. A
// message says, too, whom its sender begins to doubt (sight.h): the answer tells of these first.
// And it has the author of the map (epoch.h) and the root of what the receiver should hold, too
// (roots.h).
#ifndef QUOIT_NODE_GOSSIP_H
#define QUOIT_NODE_GOSSIP_H

#include "node/sight.h"

enum {
    GOSSIP_ALL_MAX = 16,
    GOSSIP_FANOUT = 3,
    GOSSIP_SIZE_MAX = 4 + RUMORS_MAX * MEMBER_ENTRY_ENCODED_SIZE + 17 + 1 +
                      8 * SIGHT_DOUBTED_MAX, // bytes of a message
};

void gossip_start(struct node *node);
void gossip_stop(struct node *node);

// Says that this member is there, and nothing more.
void gossip_greet(struct node *node, struct link *link);
void gossip_receive(struct node *node, struct link *link, struct slice body);

#endif
