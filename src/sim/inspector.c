// SPDX-License-Identifier: Apache-2.0
#include "sim/inspector.h"

#include "store/store.h"

#include <stdio.h>

#define MEMORY_MAX (UINT64_C(16) << 20)

struct visit {
    struct inspection *inspection;
    bool is_done;
};

static void on_found(void *context, const struct check_finding *f) {
    struct inspection *i = ((struct visit *)context)->inspection;
    if (i->found != NULL) i->found(i->context, f);
    if (f->meaning == CHECK_HARMLESS || i->first[0] != '\0') return;
    (void)snprintf(i->first, sizeof(i->first), "%s at %llu: %s", f->file,
                   (unsigned long long)f->offset, f->what);
}

static void on_done(void *context, enum status status) {
    struct visit *v = context;
    v->inspection->status = status;
    v->is_done = true;
}

static uint64_t no_wake(const void *node) {
    (void)node;
    return UINT64_MAX;
}

static void never_woken(void *node) {
    (void)node;
}

void inspect(struct machine *machine, uint32_t record_size_max, struct inspection *inspection) {
    must(!machine_is_running(machine));
    struct world_options quiet = world_quiet();
    struct world *world = world_create(1, &quiet);
    struct machine *m = world_add_machine(world, "inspector");
    machine_restore(m, machine_disk(machine));

    const struct check_options options = {MEMORY_MAX, record_size_max, STORE_KEYSPACES_DEFAULT};
    struct visit visit = {.inspection = inspection};
    inspection->first[0] = '\0';
    struct arena arena = machine_start(m, check_memory_size(&options));
    struct check *check = check_create(&arena, machine_env(m), &options);
    machine_attach(m, check, no_wake, never_woken);
    machine_enter(m);
    check_start(check, on_found, on_done, &visit);
    machine_leave(m);
    while (!visit.is_done) must(world_step(world, UINT64_MAX));
    inspection->counts = check_counts(check);
    struct machine_open open = machine_stop(m);
    must(open.requests + open.files == 0);
    must(machine_disk_effects(m) == 0);
    world_destroy(world);
}
