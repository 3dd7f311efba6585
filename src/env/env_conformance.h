// SPDX-License-Identifier: Apache-2.0
//
// env_conformance.h -- one suite for every world: what env.h promises, as cases that can fail.
//
// A world says how to make a fresh one and how to let it go on; the cases know nothing else of it
// than env.h. A real world and the simulated one that both pass are, as far as the callers of env.h
// may rely on them, the same. Linked into the tests only.
#ifndef QUOIT_ENV_ENV_CONFORMANCE_H
#define QUOIT_ENV_ENV_CONFORMANCE_H

#include "env/env.h"

struct env_world {
    struct env *env;          // its directory is empty at the start of a case
    const char *addresses[2]; // on which a case may listen
    const char *nobody;       // well-formed; nobody listens there, connecting is refused
};

struct env_world_kind {
    const char *name;

    // A fresh, calm world: one node, no faults. Called for each case.
    struct env_world *(*create)(void);

    // Like create, with a disk that has room for 1 to 8 MiB. NULL: there are no cases about a full
    // disk. Returning NULL: they are skipped.
    struct env_world *(*create_small)(void);

    void (*destroy)(struct env_world *world);

    // Lets some time pass, at most some 10 ms, and runs the callbacks that become due. Returns
    // also when nothing happens, with env->now moved on.
    void (*turn)(struct env_world *world);
};

// Runs all cases; returns how many failed.
int env_conformance(const struct env_world_kind *kind);

#endif
