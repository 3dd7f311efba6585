// SPDX-License-Identifier: Apache-2.0
//
// replace.h -- the data directory of a member is replaced by an empty one.
//
// The map names the storage id of each member's directory. Who greets under the name of a member
// with another one is a stranger: nobody gives it the map, asks it anything or believes what it
// says. It is told so (STRANGER in place of WELCOME), and waits. The others keep in mind which
// directory it has shown, in a WELCOME that answers a call to the member's own address: that one is
// fresh, where a HELLO may be an old one.
//
// An operator says to any member that has met it that the old directory is gone. That member has
// all agree on the next map, in which the new one is named; who has that map takes the stranger for
// the member, and breaks with who has the old directory:
//
//     refused --node_replace, the map names it--> told the map, mending --has compared with all-->
//     serving
//
// The old storage id has departed for good. No member counts a word of either directory before it
// has the map that names it, nor after one that does not. A write that the old one has acknowledged
// is at the member that minted it, too, before anybody else hears of it (docs/adr/0009); the new
// one mends by comparing with that one, under the new map, and after that it can get no
// acknowledgement from the old one. As an acceptor the new one is reset (epoch.h), like any that
// may have forgotten.
//
// Only a directory in which there never was anything is taken: one that was replaced before, or
// restored, holds what was deleted since.
#ifndef QUOIT_NODE_REPLACE_H
#define QUOIT_NODE_REPLACE_H

#include "node/internal.h"

// Whether the map names another directory of that member.
bool replace_is_stranger(const struct node *node, uint32_t member, uint64_t storage);

// A stranger has answered our call to that member.
void replace_note_stranger(struct node *node, uint32_t member, const struct message_hello *hello);

// The member behind the link, whose map has that epoch, says that we are one.
void replace_on_told(struct link *link, uint64_t epoch, const struct message_stranger *m);

// There is a map, or a new one: breaks with who is a stranger now.
void replace_on_map(struct node *node);

// Whether the map, which is newer than ours, names another directory in our place: we are not to be
// a member any more, and the log says so.
bool replace_ousts(struct node *node, const struct map *map);

#endif
