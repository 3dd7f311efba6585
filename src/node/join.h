// SPDX-License-Identifier: Apache-2.0
//
// join.h -- a node that was started with seeds becomes a member.
//
// A newcomer knows addresses, and no map. It calls them, one after the other, and says who it is.
// A member that is called by somebody whom its map does not name calls back: only the answer to a
// call of its own is fresh, and shows that the address is good. Then it has all agree on a map in
// which the newcomer stands behind the others, with no slots yet. Whoever has that map dials the
// newcomer, like any member, and gives it the map.
//
//     newcomer                                 member
//     HELLO, of no cluster  ---------------->  notes who calls, and hangs up
//             <----------------------------    HELLO
//     WELCOME, of no cluster  -------------->  proposes the map (epoch.h), and hangs up
//             <----------------------------    HELLO, of any that has the map
//     WELCOME, of no cluster  -------------->
//             <----------------------------    FOUNDED (genesis.h)
//
// It has the cluster key, and a directory in which there never was anything: whoever has data was a
// member before. Two that want one name, or one address, are told apart by who is first in a map.
#ifndef QUOIT_NODE_JOIN_H
#define QUOIT_NODE_JOIN_H

#include "model/map.h"
#include "node/node.h"
#include "wire/frame.h"
#include "wire/message.h"

struct link;

struct join {
    struct link *call; // to a seed, or back to a newcomer; or NULL
    uint64_t refusal_logged;

    // Of a newcomer.
    bool is_newcomer;   // in this life it began without a map
    struct timer timer; // until a seed is called
    uint32_t turn;      // of seeds
    uint64_t logged;

    // Of a member: who has called, and is being admitted.
    struct map_description who;
    uint64_t storage;
    struct map_change change;
    bool is_changing;
};

void join_init(struct node *node);

// Whether this node has no cluster yet, and waits to be admitted to one.
bool join_is_newcomer(const struct node *node);

// There is no map, or it could not be stored: calls seeds, if it has any, until there is one.
void join_start(struct node *node);
void join_stop(struct node *node);

// Somebody of no cluster has called, and cannot be welcomed: the map does not name it, or names us.
void join_on_hello(struct link *link, uint32_t member, const struct message_hello *hello);

// What came in answer to the call.
void join_on_answer(struct link *link, const struct frame *frame);

// The call has ended.
void join_on_closed(const struct link *link);

// A newcomer has been given the map, and is in it. Whoever called it until then did so before it
// could tell who that is.
void join_on_map(struct node *node);

#endif
