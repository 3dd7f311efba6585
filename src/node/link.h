// SPDX-License-Identifier: Apache-2.0
//
// link.h -- one framed connection between two members.
//
// The dialer sends HELLO, the acceptor answers WELCOME; both are sealed with the cluster key and
// carry a random number. From these both compute a key for each direction, so a frame is good on
// one connection, in one direction, at one place in its order, and nowhere else. A WELCOME is
// sealed under the number of its HELLO and cannot be an old one; an acceptor trusts a HELLO only
// when the first frame under the new keys has come.
//
//     FREE --link_dial--> DIALING --on_connected--> GREETING --link_opened--> OPEN
//     FREE --link_accept--------------------------> GREETING --first frame--> OPEN
//     any but FREE --link_shut--> CLOSING --last request ended--> FREE
//
// Frames gather in one buffer while the other is being sent; what a turn of the loop has gathered
// goes out in one piece. A frame that finds no room is refused.
//
// Only a tiny buffer is the link's own, for what it receives; all else is in such as links share
// (buffers.h). A frame that is too large for a small one may come only when the link is OPEN:
// nobody takes more memory without the cluster key.
#ifndef QUOIT_NODE_LINK_H
#define QUOIT_NODE_LINK_H

#include "base/hash.h"
#include "base/timer.h"
#include "env/env.h"
#include "node/buffers.h"
#include "wire/frame.h"
#include "wire/message.h"

struct node;

enum link_state { LINK_FREE, LINK_DIALING, LINK_GREETING, LINK_OPEN, LINK_CLOSING };

struct link {
    struct node *node;
    enum link_state state;
    uint32_t peer; // index of the member, or MEMBER_NONE while unknown
    bool is_dialer;
    bool is_connecting;
    bool is_receiving;
    bool is_flushing; // what is gathered goes out at the end of the turn; or
    bool is_sending;  // when what went out before has been sent: never both
    bool has_keys;
    bool is_stalled; // frames wait until there is room to answer them
    bool has_more;   // the last receive was filled: more is likely there
    bool is_taking;  // frames are lent from `in`
    enum buffer_use waits_for;
    uint64_t
        life; // raised with each use of the link: an answer belongs to the life of its question
    uint64_t since; // when the state was entered, ns
    uint64_t asked; // when gossip went out that nothing came after yet, or 0; this and
    uint64_t heard; // when bytes last came: in the time of node_waking()
    struct env_socket *socket;
    uint64_t nonce;   // ours
    uint64_t process; // of a caller, as its HELLO says; else 0
    uint64_t storage; // of the other end, as it has greeted
    struct mac_key send_key;
    struct mac_key recv_key;
    uint64_t sent;     // frames, since the keys are in use
    uint64_t received; // likewise

    struct env_op in_op;  // connects, and then receives
    struct env_op out_op; // waits for the end of a turn, and then sends
    uint64_t arrived;     // when what was received last may have arrived at the earliest, ns

    struct list waiting; // in line for a buffer: `waits_for`
    uint64_t in_since;   // when what a large `in` was taken for began, in the time of
    uint64_t sent_since; // node_waking(); likewise of what is sent
    struct buffer in;    // `tiny`, or a shared one, which is not tiny
    struct buffer out;   // being filled, or none
    struct buffer sending;
    uint8_t *frame; // the one being written, or NULL
    uint32_t in_size;
    uint32_t out_size;
    uint8_t tiny[BUFFER_TINY_SIZE];
};

void link_init(struct link *link, struct node *node);

void link_dial(struct link *link, uint32_t peer, const char *address);

// Takes the socket of a caller and waits for its HELLO.
void link_accept(struct link *link, struct env_socket *socket);

// Answers the HELLO of a caller that turned out to be the member `peer` with our WELCOME.
void link_welcome(struct link *link, uint32_t peer, uint64_t nonce);

// Answers it with TAKEN instead. The caller hangs up.
void link_tell_taken(struct link *link, bool is_certain, uint64_t nonce);

// Answers it with STRANGER: the map names that storage. Likewise.
void link_tell_stranger(struct link *link, uint64_t storage, uint64_t nonce);

// Takes the WELCOME to our HELLO; the link is open.
void link_opened(struct link *link, uint64_t nonce);

// When whoever sent the frame that is being dealt with, and has so long left, gives up, at the
// earliest, ns; UINT64_MAX: never.
uint64_t link_until(const struct link *link, uint32_t left_ms);

// Ends the connection; whoever waits for answers on it is told. Does nothing to a free one.
void link_shut(struct link *link);

// Counts a frame, or a caller, that is not to be believed, says so in the log unless that was done
// lately, and ends the connection.
void link_refuse(struct link *link, const char *why);

// Whether it holds a shared buffer for so long, while others want one, that it is to be broken.
bool link_is_hoarding(const struct link *link);

// Begins a frame. Returns a writer for its body, with room for body_max bytes, or a failed one of
// no capacity when there is no room or the link is not open.
struct writer link_begin(struct link *link, uint32_t body_max);

// Ends the frame begun last and lets it go out with this turn. False, and nothing is sent, when
// its writer has failed.
bool link_end(struct link *link, enum message_type type, const struct writer *body);

// False while it waits for a buffer: its silence is ours.
static inline bool link_is_heard(const struct link *link) {
    return list_is_empty(&link->waiting);
}

static inline bool link_is_open(const struct link *link) {
    return link->state == LINK_OPEN;
}

#endif
