// SPDX-License-Identifier: Apache-2.0
//
// peers.h -- the other members: dialling them, being dialled, knowing who answers.
//
// Each member dials every other and sends its requests on that link; answers come back on it. So
// two members have two links, and nothing depends on who was first. A link that breaks is dialled
// again after a pause that doubles up to a limit; one that is silent for long is broken by us.
//
// Who of them is up is decided in sight.h.
#ifndef QUOIT_NODE_PEERS_H
#define QUOIT_NODE_PEERS_H

#include "node/internal.h"

void peers_init(struct node *node, struct arena *arena);
size_t peers_memory_size(const struct node_options *options);

// Takes callers on the listener there is, and dials every member of the map (or of the first
// members).
void peers_start(struct node *node);
void peers_stop(struct node *node);

// Dials whoever is not connected: after the map has come or changed.
void peers_dial_all(struct node *node);

// The first frame of a link, whole and with a good checksum, not yet opened.
void peers_on_greeting(struct link *link, uint8_t *bytes, uint32_t size);

// A caller has proved by its first frame after the greeting that it is there now.
void peers_on_trusted(struct link *link);

// A link that is free, to dial with; NULL: there is none.
struct link *peers_free_link(struct node *node);

// What the greeting says of who sends it. False: no map could hold a member like that.
bool peers_describes(const struct message_hello *m, struct map_description *d);

// Writes our own description, as the body of HELLO and WELCOME.
void peers_describe(struct node *node, uint64_t nonce, struct writer *w);

// The member says that somebody else is the member that we are: we have no vote until it greets us,
// or has not said so again for long.
void peers_note_claim(struct node *node, uint32_t member);

// There is room again for requests to others, which was missed.
void peers_on_room(struct node *node);

// A link has closed, for whatever reason.
void peers_on_closed(struct link *link);

// Once per gossip round: breaks links that have been silent or half open for too long. Of very many
// it looks at some in each round.
void peers_sweep(struct node *node);

// Whether requests go to the member first (sight.h).
bool peer_is_up(const struct node *node, uint32_t member);

// Whether the other member's word can be had now, and counts.
bool peer_is_fit(const struct node *node, uint32_t member);

// True unless the member was late, lately. Like being up that steers who is asked first; who was
// late is asked again after a while that doubles until it is in time. This member itself can be
// late, too, when its disk is.
static inline bool peer_is_prompt(const struct node *node, uint32_t member, enum errand errand) {
    return node->env->now >= node->peers[member].late[errand].until;
}

// An answer of the member is wanted and has not come in time; or it has.
void peers_note_late(struct node *node, uint32_t member, enum errand errand);
void peers_note_prompt(struct node *node, uint32_t member, enum errand errand);

// The link for requests to the member, or NULL. Lends.
static inline struct link *peer_link(struct node *node, uint32_t member) {
    must(member < node->peer_count);
    return node->peers[member].out;
}

// The members there are to talk to: those of the map or, before there is one, the first members.
static inline const struct map *peers_map(const struct node *node) {
    return node->map.epoch > 0 ? &node->map : &node->initial;
}

#endif
