// SPDX-License-Identifier: Apache-2.0
//
// daemon_identity.h -- who this node is, and the secrets it has.
#ifndef QUOIT_BIN_DAEMON_IDENTITY_H
#define QUOIT_BIN_DAEMON_IDENTITY_H

#include "bin/daemon_config.h"

enum { PASSWORD_MAX = 512 };

struct identity {
    struct map_description self;
    struct mac_key secret;
    uint32_t members;  // that this node makes room for
    bool has_made_key; // it was not there before
    bool has_password;
    char password[PASSWORD_MAX + 1];
};

// Works out the member that this process is, from the list of first members or by itself. False,
// with a complaint, when the configuration contradicts itself.
bool identity_find_self(struct identity *identity, const struct config *config,
                        struct complaint *complaint);

// Reads or makes the secret of the cluster, and reads the password. Requires the data directory to
// be held.
//
//     --key-file        the file
//     else              DIRECTORY/cluster.key, if it exists
//     else, on a loopback address only:
//         with initial  derived from the list, for trying things out on one machine
//         without       made at random and written to DIRECTORY/cluster.key
bool identity_find_secrets(struct identity *identity, const struct config *config,
                           struct complaint *complaint);

// Takes a key away that was made for a start that failed: whoever starts the node as it should be
// may have another one in mind.
void identity_forget_key(struct identity *identity, const char *directory);

// False, with a complaint, when there is a DIRECTORY/cluster.key that cannot be used.
bool identity_key_is_good(const char *directory, struct complaint *complaint);

#endif
