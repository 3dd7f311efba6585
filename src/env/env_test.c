// SPDX-License-Identifier: Apache-2.0
//
// The conformance suite on the real worlds: each as it is, and each cutting everything into odd
// pieces, so that what is left over has to be asked for again.
#include "env/env.h"

#include "base/timer.h"
#include "env/env_conformance.h"
#include "env/portable.h"
#include "env/shared.h"
#include "env/uring.h"
#include "tests/test.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

enum { PIECE = 4999 };

struct real_world {
    struct env_world world;
    void (*wait)(struct env *env, uint64_t deadline);
    void (*destroy)(struct env *env);
    char directory[64];
    char addresses[3][32];
};

static int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *where) {
    (void)facts;
    (void)kind;
    (void)where;
    return remove(path);
}

typedef struct env *create_env(const struct env_options *options, struct env_complaint *complaint);

static void no_log(void *context, enum env_level level, struct slice line) {
    (void)context;
    (void)level;
    (void)line;
}

static struct env_world *create_world(create_env *create, uint32_t piece_max, bool is_small) {
    struct real_world *real = calloc(1, sizeof(*real));
    assert_non_null(real);
    snprintf(real->directory, sizeof(real->directory), "/tmp/quoit-env-XXXXXX");
    assert_non_null(mkdtemp(real->directory));
    if (is_small) {
        if (mount("none", real->directory, "tmpfs", 0, "size=4m") != 0) {
            rmdir(real->directory);
            free(real);
            return NULL;
        }
    }
    struct env_options options = {
        .directory = real->directory,
        .log = no_log,
        .piece_max = piece_max,
    };
    struct env_complaint complaint = {""};
    real->world.env = create(&options, &complaint);
    // The world holds the disk by its root; without a name it goes when the world does.
    if (is_small) umount2(real->directory, MNT_DETACH);
    if (real->world.env == NULL) fail_msg("%s", complaint.text);
    // All of 127.0.0.0/8 is this machine: tests that run side by side each have a host of their
    // own.
    static unsigned port = 21000; // and each case ports of its own
    unsigned host = (unsigned)getpid();
    for (unsigned i = 0; i < 3; i++) {
        snprintf(real->addresses[i], sizeof(real->addresses[i]), "127.%u.%u.%u:%u",
                 (host >> 16 & 63) + 1, host >> 8 & 255, host & 255, port++);
    }
    real->world.addresses[0] = real->addresses[0];
    real->world.addresses[1] = real->addresses[1];
    real->world.nobody = real->addresses[2];
    return &real->world;
}

static void destroy_world(struct env_world *world, void (*destroy)(struct env *env)) {
    struct real_world *real = (struct real_world *)world;
    destroy(world->env);
    nftw(real->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(real);
}

static struct env_world *uring_world(void) {
    return create_world(uring_create, 0, false);
}

static struct env_world *small_uring_world(void) {
    return create_world(uring_create, 0, true);
}

static struct env_world *cut_uring_world(void) {
    return create_world(uring_create, PIECE, false);
}

static void destroy_uring_world(struct env_world *world) {
    destroy_world(world, uring_destroy);
}

static void turn_uring(struct env_world *world) {
    uring_wait(world->env, world->env->now + 10 * NS_PER_MS);
}

static struct env_world *portable_world(void) {
    return create_world(portable_create, 0, false);
}

static struct env_world *small_portable_world(void) {
    return create_world(portable_create, 0, true);
}

static struct env_world *cut_portable_world(void) {
    return create_world(portable_create, PIECE, false);
}

static void destroy_portable_world(struct env_world *world) {
    destroy_world(world, portable_destroy);
}

static void turn_portable(struct env_world *world) {
    portable_wait(world->env, world->env->now + 10 * NS_PER_MS);
}

// Both worlds measure how long they were away from their loop, and do not take sleeping for it.
static void a_turn_is_as_late_as_the_one_before_was_long(struct env_world *world,
                                                         void (*turn)(struct env_world *world)) {
    turn(world);
    uint64_t until = shared_clock() + 5 * NS_PER_MS;
    while (shared_clock() < until) continue;
    turn(world);
    assert_true(world->env->late >= 4 * NS_PER_MS);
    uint32_t turns = 0;
    do {
        turn(world);
        assert_true(turns++ < 1000);
    } while (world->env->late >= 2 * NS_PER_MS); // whatever else this machine has to do
}

static void io_uring_knows_how_late_it_is(void **state) {
    (void)state;
    struct env_world *world = uring_world();
    a_turn_is_as_late_as_the_one_before_was_long(world, turn_uring);
    destroy_uring_world(world);
}

static void libuv_knows_how_late_it_is(void **state) {
    (void)state;
    struct env_world *world = portable_world();
    a_turn_is_as_late_as_the_one_before_was_long(world, turn_portable);
    destroy_portable_world(world);
}

int env_test(void) {
    const struct env_world_kind kinds[] = {
        {"io_uring", uring_world, small_uring_world, destroy_uring_world, turn_uring},
        {"io_uring in pieces", cut_uring_world, NULL, destroy_uring_world, turn_uring},
        {"libuv", portable_world, small_portable_world, destroy_portable_world, turn_portable},
        {"libuv in pieces", cut_portable_world, NULL, destroy_portable_world, turn_portable},
    };
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(io_uring_knows_how_late_it_is),
        cmocka_unit_test(libuv_knows_how_late_it_is),
    };
    int failed = cmocka_run_group_tests_name("env", cases, NULL, NULL);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        failed += env_conformance(&kinds[i]);
    }
    return failed;
}
