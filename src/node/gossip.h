// SPDX-License-Identifier: Apache-2.0
//
// gossip.h -- telling each other how members do.
//
// Each round a member raises its own heartbeat and sends the whole table to all others or, in a
// larger cluster, to a few of them chosen at random; each answers with its own. Tables merge
// (model/members.h), so news reaches everybody in a number of rounds that grows with the logarithm
// of their count. With the table go the author of the map (epoch.h)
// and the root of what the receiver should hold, too (roots.h).
#ifndef QUOIT_NODE_GOSSIP_H
#define QUOIT_NODE_GOSSIP_H

#include "node/internal.h"

enum {
    GOSSIP_ALL_MAX = 16,
    GOSSIP_FANOUT = 3,
    GOSSIP_NEWS_A_ROUND = 64, // members of which there is news in a round, or more
};

void gossip_start(struct node *node);
void gossip_stop(struct node *node);

// Says that this member is there, and nothing more.
void gossip_greet(struct node *node, struct link *link);
void gossip_receive(struct node *node, struct link *link, struct slice body);

#endif
