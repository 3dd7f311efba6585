// SPDX-License-Identifier: Apache-2.0
#include "bin/sim_crowd.h"

#include "base/timer.h"
#include "sim/crowd.h"

#include <inttypes.h>
#include <stdio.h>

#define BEGIN_NS (120 * NS_PER_SECOND)
#define SETTLE_NS (60 * NS_PER_SECOND)
#define REST_NS (60 * NS_PER_SECOND)
#define PATIENCE_NS (60 * NS_PER_SECOND)

// What a crowd is held to, however large it is; the traffic only where it no longer grows with
// that.
#define NOTICE_MAX_NS (5 * NS_PER_SECOND)

enum { TRAFFIC_MAX = 20000, TRAFFIC_FROM = 9, LOSSES = 6 };

static double seconds(uint64_t ns) {
    return (double)ns / 1e9;
}

static bool fail(const char *why) {
    printf("FAILED %s\n", why);
    return false;
}

static bool begin(struct crowd *c, uint32_t members) {
    if (!crowd_begin(c, BEGIN_NS)) return fail("they do not find each other");
    printf("begun members=%u seconds=%.1f\n", members, seconds(world_now(crowd_world(c))));
    fflush(stdout);
    world_run(crowd_world(c), world_now(crowd_world(c)) + SETTLE_NS);
    return true;
}

static bool rest(struct crowd *c, uint32_t members) {
    struct crowd_traffic t = crowd_rest(c, REST_NS);
    printf("rest mean=%" PRIu64 " sent=%" PRIu64 " received=%" PRIu64 "\n", t.mean, t.most_sent,
           t.most_received);
    fflush(stdout);
    bool is_good = t.most_sent <= TRAFFIC_MAX && t.most_received <= TRAFFIC_MAX;
    if (members < TRAFFIC_FROM) return true;
    return is_good || fail("a node at rest says or hears more than 20 KB/s");
}

static bool lose(struct crowd *c, uint32_t members, struct rng *rng) {
    for (uint32_t i = 0; i < LOSSES; i++) {
        bool is_power_loss = i % 2 == 0;
        struct crowd_notice n;
        bool is_back = crowd_lose(c, rng_below(rng, members), is_power_loss, PATIENCE_NS, &n);
        printf("lost %s half=%.2f nearly_all=%.2f all=%.2f\n", is_power_loss ? "power" : "process",
               seconds(n.half), seconds(n.nearly_all), seconds(n.all));
        fflush(stdout);
        if (!is_back) return fail("a node that has come back is not up to all");
        if (n.nearly_all > NOTICE_MAX_NS) return fail("a loss is noticed too late");
    }
    return true;
}

static bool suffer(struct crowd *c, uint64_t minutes) {
    struct crowd_trouble all = {0};
    for (uint64_t i = 0; i < minutes; i++) {
        struct crowd_trouble t = crowd_suffer(c, 60 * NS_PER_SECOND);
        all.stops += t.stops;
        all.looks += t.looks;
        all.accused += t.accused;
        all.doubted += t.doubted;
        printf("minute %" PRIu64 " stops=%" PRIu64 " looks=%" PRIu64 " not_up=%" PRIu64
               " down=%" PRIu64 "\n",
               i + 1, all.stops, all.looks, all.doubted, all.accused);
        fflush(stdout);
    }
    return all.accused == 0 || fail("a node that was well was taken to be down");
}

bool sim_crowd(uint32_t members, uint64_t seed, uint64_t minutes) {
    struct crowd *c = crowd_create(members, seed);
    if (c == NULL) return fail("there are too few or too many members");
    struct rng rng = world_stream(crowd_world(c), 2);
    bool is_good =
        begin(c, members) && rest(c, members) && lose(c, members, &rng) && suffer(c, minutes);
    printf("simulated seconds=%.1f events=%" PRIu64 "\n", seconds(world_now(crowd_world(c))),
           world_event_count(crowd_world(c)));
    crowd_destroy(c);
    return is_good;
}
