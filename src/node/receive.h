// SPDX-License-Identifier: Apache-2.0
//
// receive.h -- which function handles which message.
#ifndef QUOIT_NODE_RECEIVE_H
#define QUOIT_NODE_RECEIVE_H

#include "base/slice.h"

struct node;
struct link;
struct frame;

// Handles one frame of an open link. The frame's bytes are lent for the call. A frame that does not
// belong ends the link.
void node_receive(struct node *node, struct link *link, const struct frame *frame);

// Lets the store fetch the key that a frame asks for, ahead of the call above. Nobody has proved
// the frame to be a member's yet: nothing but the processor's caches comes to depend on it.
void node_expect_frame(struct node *node, uint8_t type, struct slice body);

#endif
