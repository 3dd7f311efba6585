// SPDX-License-Identifier: Apache-2.0
//
// compare.h -- the answers of the member that is asked what differs; reconcile.h has the questions.
//
// An answer depends on nothing but the question and what is held here. What cannot be answered is
// not: the peer gives it up after a while and asks again.
#ifndef QUOIT_NODE_COMPARE_H
#define QUOIT_NODE_COMPARE_H

#include "node/link.h"
#include "wire/message.h"

enum {
    COMPARE_GROUPS_MAX = 16,       // in one question about slots
    COMPARE_PART_MAX = 128 * 1024, // bytes of the keys of one question, about, and of the records
                                   // of one answer, but for the last
    COMPARE_LISTED_MAX = COMPARE_PART_MAX + 12,
};

// Sends a question or an answer, and counts its bytes. False: it cannot go out.
bool compare_send(struct node *node, struct link *link, enum message_type type,
                  const struct writer *w);

void compare_on_branches(struct node *node, struct link *link, const struct message_branches *m);
void compare_on_digests(struct node *node, struct link *link, const struct message_digests *m);
void compare_on_leaves(struct node *node, struct link *link, const struct message_leaves *m);
void compare_on_keys(struct node *node, struct link *link, const struct message_compare *m);

#endif
