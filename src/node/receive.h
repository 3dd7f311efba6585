// SPDX-License-Identifier: Apache-2.0
//
// receive.h -- which function handles which message.
#ifndef QUOIT_NODE_RECEIVE_H
#define QUOIT_NODE_RECEIVE_H

struct node;
struct link;
struct frame;

// Handles one frame of an open link. The frame's bytes are lent for the call. A frame that does not
// belong ends the link.
void node_receive(struct node *node, struct link *link, const struct frame *frame);

#endif
