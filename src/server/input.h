// SPDX-License-Identifier: Apache-2.0
//
// input.h -- where received bytes lie while commands are made of them.
//
// The arguments of a command are views into the buffer it was received in, which therefore stays in
// place until the last of its commands has ended. There are three sizes: a small one inside each
// session, enough for what most clients send at once; a chunk, for those who pipeline; and a few
// large ones for single commands that need it.
//
//     0        parsed          received         capacity
//     |########|~~~~~~~~~~~~~~~|................|
//      commands  not yet whole   room to receive
//      (pinned by references)
#ifndef QUOIT_SERVER_INPUT_H
#define QUOIT_SERVER_INPUT_H

#include "base/slice.h"

struct server;
struct session;

enum input_kind { INPUT_OWN, INPUT_CHUNK, INPUT_LARGE };

struct input {
    enum input_kind kind;
    uint32_t references; // commands that point into it
    uint32_t capacity;   // bytes
    uint8_t *data;       // right behind this struct
};

// The one inside a session.
void input_init_own(struct session *s);

// Makes room to receive into, moving what is not yet parsed if need be. False when that must wait:
// for commands to end (they will call for it), or, with *is_short, for memory.
bool input_make_room(struct session *s, bool *is_short);

// A large one, outside of any session's receiving; NULL when there is none left.
struct input *input_take_large(struct server *server);

// Pins and unpins. The last unpin gives the buffer back, unless a session receives into it.
void input_pin(struct input *input);
void input_unpin(struct session *s, struct input *input);

// Gives back a buffer that nothing points into. Does nothing with a session's own.
void input_give(struct server *server, struct input *input);

#endif
