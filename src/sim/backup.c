// SPDX-License-Identifier: Apache-2.0
#include "sim/backup.h"

#include "base/timer.h"
#include "sim/memory.h"

#include <stdio.h>
#include <string.h>

enum {
    RESTORE_MEMORY = 1024 * 1024,
    MANIFEST_MAX = 256 * 1024,
    ALIGNMENT = 64, // of arenas
    TIMERS = 16,
    EXTRA = 64 * 1024,
};

// What becomes of the manifest. False: it is not that of a snapshot.
static bool convert(struct disk *to, const struct disk_file *from, uint64_t actor, uint64_t cluster,
                    uint32_t *files) {
    uint8_t *memory = memory_take(1, RESTORE_MEMORY + ALIGNMENT);
    uint8_t *aligned = memory;
    while ((uintptr_t)aligned % ALIGNMENT != 0) aligned++;
    struct arena arena = arena_over(aligned, RESTORE_MEMORY);
    must(from->seen.size <= MANIFEST_MAX);
    must(MANIFEST_MAX + store_restore_memory_size() <= RESTORE_MEMORY);
    uint8_t *bytes = arena_take(&arena, MANIFEST_MAX, 1);
    image_read(&from->seen, 0, bytes, from->seen.size);
    struct slice snapshot = {bytes, from->seen.size};
    struct slice restored;
    bool is_good = store_restore(&arena, snapshot, actor, cluster, &restored, files) == ST_OK;
    if (is_good) {
        struct disk_file *file = disk_make(to, "manifest");
        image_write(&file->seen, 0, restored.data, restored.size);
        image_write(&file->durable, 0, restored.data, restored.size);
    }
    memory_give(memory);
    return is_good;
}

struct disk *backup_restore(struct disk *from, const char *snapshot, uint64_t actor,
                            uint64_t cluster) {
    struct disk *to = disk_create(from->dice, from->fate, from->personality);
    struct slice wanted = {(const uint8_t *)snapshot, strlen(snapshot)};
    uint32_t files = UINT32_MAX;
    uint32_t count = 0;
    bool is_good = true;
    for (uint32_t i = 0; i < from->seen.count && is_good; i++) {
        struct disk_file *file = from->seen.entries[i].file;
        struct slice owner;
        const char *plain = NULL;
        if (!store_snapshot_part(from->seen.entries[i].text, &owner, &plain)) continue;
        if (!slice_equal(owner, wanted)) continue;
        if (strcmp(plain, "manifest") == 0) {
            is_good = convert(to, file, actor, cluster, &files);
        } else {
            struct disk_file *copy = disk_make(to, plain);
            copy->seen = image_copy(&file->seen);
            copy->durable = image_copy(&file->seen);
            count++;
        }
    }
    disk_sync_names(to, to->sequence);
    if (is_good && count == files) return to;
    disk_destroy(to);
    return NULL;
}

// A process that only reads.

struct reader_process {
    struct world *world;
    struct machine *machine;
    struct timers timers;
    struct store *store;
    bool is_done;
    enum status status;
    struct store_scan scan;
    uint64_t key_count;
    uint64_t digest;
};

static uint64_t next_wake(const void *node) {
    return timers_next(&((const struct reader_process *)node)->timers);
}

static void wake(void *node) {
    struct reader_process *p = node;
    timers_run(&p->timers, machine_env(p->machine)->now);
}

static void on_opened(void *context, enum status status) {
    struct reader_process *p = context;
    p->is_done = true;
    p->status = status;
}

static bool wait(struct reader_process *p) {
    uint64_t until = world_now(p->world) + 600 * NS_PER_SECOND;
    while (!p->is_done) {
        if (!world_step(p->world, until)) return false;
    }
    p->is_done = false;
    return true;
}

static bool on_visited(struct store_scan *scan, struct slice key, struct slice record,
                       bool is_durable) {
    struct reader_process *p = CONTAINER_OF(scan, struct reader_process, scan);
    (void)is_durable;
    p->key_count++;
    p->digest += record_digest(key, record);
    return true;
}

static void on_scanned(struct store_scan *scan) {
    CONTAINER_OF(scan, struct reader_process, scan)->is_done = true;
}

static const char *scan_partition(struct reader_process *p, struct partition partition,
                                  uint64_t *said) {
    struct store_partition sum = store_partition_of(p->store, partition);
    if (sum.key_count == 0) return NULL;
    *said += sum.digest;
    p->scan = (struct store_scan){.visit = on_visited, .done = on_scanned, .partition = partition};
    machine_enter(p->machine);
    if (store_each(p->store, &p->scan)) p->is_done = true;
    machine_leave(p->machine);
    if (!wait(p)) return "a scan does not end";
    return p->scan.status == ST_OK ? NULL : "a scan fails";
}

static const char *scan_all(struct reader_process *p) {
    enum { NUMBERS_MAX = 32 };
    uint16_t keyspaces[NUMBERS_MAX];
    uint32_t count = store_keyspaces(p->store, keyspaces, NUMBERS_MAX);
    must(count <= NUMBERS_MAX);
    uint64_t said = 0;
    const char *wrong = NULL;
    for (uint16_t slot = SLOT_COUNT; slot < SLOT_END && wrong == NULL; slot++)
        wrong = scan_partition(p, (struct partition){.slot = slot}, &said);
    for (uint32_t i = 0; i < count; i++) {
        struct partition at = {.keyspace = keyspaces[i]};
        for (; at.slot < SLOT_COUNT && wrong == NULL; at.slot++)
            wrong = scan_partition(p, at, &said);
    }
    if (wrong == NULL && p->digest != said) wrong = "it holds other records than it says";
    return wrong;
}

static const char *read_all(struct reader_process *p, const struct store_options *options) {
    static char text[80];
    struct arena arena = machine_start(p->machine, store_memory_size(options) + EXTRA);
    timers_init(&p->timers, &arena, TIMERS);
    machine_enter(p->machine);
    p->store = store_create(&arena, machine_env(p->machine), &p->timers, options);
    machine_attach(p->machine, p, next_wake, wake);
    store_open(p->store, on_opened, p);
    machine_leave(p->machine);
    if (!wait(p)) return "it does not open";
    if (p->status != ST_OK) {
        (void)snprintf(text, sizeof(text), "it cannot be opened: %s", status_text(p->status));
        return text;
    }
    if (store_stats(p->store).was_damaged) return "it is damaged";
    return scan_all(p);
}

const char *backup_check(struct disk *from, const char *snapshot,
                         const struct store_options *options) {
    struct disk *disk = backup_restore(from, snapshot, 1, 1);
    if (disk == NULL) return "it cannot be restored";
    struct world_options quiet = world_quiet();
    struct reader_process *p = memory_take(1, sizeof(*p));
    p->world = world_create(1, &quiet);
    p->machine = world_add_machine(p->world, "restored");
    machine_restore(p->machine, disk);
    const char *wrong = read_all(p, options);
    world_destroy(p->world);
    memory_give(p);
    disk_destroy(disk);
    return wrong;
}
