// SPDX-License-Identifier: Apache-2.0
#include "sim/files.h"

#include "base/hash.h"
#include "base/timer.h"
#include "sim/machine.h"
#include "sim/memory.h"

struct env_file {
    struct list link; // in the machine
    struct disk_file *file;
    uint32_t requests; // under way
};

enum files_kind {
    FILES_OPEN,
    FILES_ALLOCATE,
    FILES_READ,
    FILES_WRITE,
    FILES_SYNC,
    FILES_CLOSE,
    FILES_SYNC_NAMES,
    FILES_RENAME,
    FILES_LINK,
    FILES_REMOVE,
    FILES_LIST,
    FILES_SPACE,
};

static void on_due(struct event *event);

// Uses of the fields that belong to the env:
//     target    the open file              value     of a sync: the last change it covers
//     offset    in the file, or a size     wanted    bytes, or the mode of an open
//     from, to  bytes, or names            private   where an open puts the file
static void submit(struct machine *m, struct env_op *op, enum files_kind kind, uint64_t typical) {
    op->kind = kind;
    op->size = 0;
    machine_submit(m, op);
    uint64_t delay = rng_delay(&m->disk_delays, typical) * m->disk_factor;
    if (dice_roll(&m->dice, FAULT_DISK_SLOW)) {
        uint64_t least = typical * 10 < m->world->options.slow_max ? typical * 10 : typical;
        delay = rng_spread(dice_stream(&m->dice, FAULT_DISK_SLOW), least + 1,
                           m->world->options.slow_max + least + 1);
        if (m->world->now + delay > m->disk_slow_until) m->disk_slow_until = m->world->now + delay;
    }
    list_init(&op->link);
    list_append(&m->disk_requests, &op->link);
    machine_event(m, m->world->now + delay, on_due, op);
}

static void submit_file(struct machine *m, struct env_op *op, enum files_kind kind,
                        struct env_file *file, uint64_t typical) {
    op->target = file;
    file->requests++;
    submit(m, op, kind, typical);
}

void files_open(struct env *env, struct env_op *op, const char *name, enum env_open mode,
                struct env_file **file) {
    must(strlen(name) <= ENV_FILE_NAME_MAX);
    struct machine *m = machine_of(env);
    op->from = (const uint8_t *)name;
    op->wanted = mode;
    op->private[0] = file;
    submit(m, op, FILES_OPEN, m->world->options.disk_delay);
}

void files_allocate(struct env *env, struct env_op *op, struct env_file *file, uint64_t size) {
    struct machine *m = machine_of(env);
    op->offset = size;
    submit_file(m, op, FILES_ALLOCATE, file, m->world->options.disk_delay);
}

void files_read(struct env *env, struct env_op *op, struct env_file *file, uint64_t offset,
                uint8_t *to, uint32_t size) {
    struct machine *m = machine_of(env);
    op->offset = offset;
    op->to = to;
    op->wanted = size;
    submit_file(m, op, FILES_READ, file, m->world->options.disk_delay);
}

void files_write(struct env *env, struct env_op *op, struct env_file *file, uint64_t offset,
                 const uint8_t *from, uint32_t size) {
    struct machine *m = machine_of(env);
    op->offset = offset;
    op->from = from;
    op->wanted = size;
    submit_file(m, op, FILES_WRITE, file, m->world->options.disk_delay);
}

void files_sync(struct env *env, struct env_op *op, struct env_file *file) {
    struct machine *m = machine_of(env);
    op->value = m->disk->sequence;
    submit_file(m, op, FILES_SYNC, file, m->world->options.sync_delay);
}

void files_close(struct env *env, struct env_op *op, struct env_file *file) {
    struct machine *m = machine_of(env);
    must(file->requests == 0);
    submit_file(m, op, FILES_CLOSE, file, m->world->options.disk_delay);
}

void files_sync_names(struct env *env, struct env_op *op) {
    struct machine *m = machine_of(env);
    op->value = m->disk->sequence;
    submit(m, op, FILES_SYNC_NAMES, m->world->options.sync_delay);
}

static void submit_names(struct machine *m, struct env_op *op, enum files_kind kind,
                         const char *from, const char *to) {
    must(strlen(from) <= ENV_FILE_NAME_MAX);
    must(strlen(to) <= ENV_FILE_NAME_MAX);
    op->from = (const uint8_t *)from;
    memcpy(&op->private[0], &to, sizeof(to)); // only ever read as what it is
    submit(m, op, kind, m->world->options.disk_delay);
}

void files_rename(struct env *env, struct env_op *op, const char *from, const char *to) {
    submit_names(machine_of(env), op, FILES_RENAME, from, to);
}

void files_link(struct env *env, struct env_op *op, const char *from, const char *to) {
    submit_names(machine_of(env), op, FILES_LINK, from, to);
}

void files_remove(struct env *env, struct env_op *op, const char *name) {
    must(strlen(name) <= ENV_FILE_NAME_MAX);
    struct machine *m = machine_of(env);
    op->from = (const uint8_t *)name;
    submit(m, op, FILES_REMOVE, m->world->options.disk_delay);
}

void files_list(struct env *env, struct env_op *op, uint8_t *to, uint32_t capacity) {
    struct machine *m = machine_of(env);
    op->to = to;
    op->wanted = capacity;
    submit(m, op, FILES_LIST, m->world->options.disk_delay);
}

void files_space(struct env *env, struct env_op *op) {
    struct machine *m = machine_of(env);
    submit(m, op, FILES_SPACE, m->world->options.disk_delay);
}

// Effects

static enum status open_file(struct machine *m, struct env_op *op) {
    const char *name = (const char *)op->from;
    if (dice_roll(&m->dice, FAULT_DESCRIPTORS)) return ST_BUSY;
    struct disk_file *file = NULL;
    if (op->wanted == ENV_CREATE) {
        const struct disk_file *old = disk_find(m->disk, name);
        must(old == NULL || old->shown == 1); // else another name would lose its bytes, too
        file = disk_make(m->disk, name);
    } else {
        file = disk_find(m->disk, name);
        if (file == NULL) return ST_NOT_FOUND;
    }
    struct env_file *open = memory_take(1, sizeof(*open));
    open->file = file;
    disk_hold(file);
    list_init(&open->link);
    list_append(&m->files, &open->link);
    m->files_open++;
    op->value = file->seen.size;
    struct env_file **to = op->private[0];
    *to = open;
    return ST_OK;
}

static void close_file(struct machine *m, struct env_file *file) {
    list_remove(&file->link);
    disk_release(m->disk, file->file);
    m->files_open--;
    memory_give(file);
}

static enum status read_file(struct machine *m, struct env_op *op, struct disk_file *file) {
    if (dice_roll(&m->dice, FAULT_DISK_READ_ERROR)) return ST_IO;
    if (disk_is_bad(file, op->offset, op->wanted)) return ST_IO;
    if (file->durable.size > op->offset && dice_roll(&m->dice, FAULT_DISK_ROT)) {
        m->world->counts[FAULT_DISK_ROT]--; // disk_rot counts what it did
        uint64_t bits = rng_next(dice_stream(&m->dice, FAULT_DISK_ROT));
        uint64_t left = file->durable.size - op->offset;
        uint64_t reach = left < op->wanted ? left : op->wanted;
        disk_rot(m->disk, file, op->offset + (bits >> 3) % reach, (uint32_t)(bits & 7));
    }
    op->size = disk_read(m->disk, file, op->offset, op->to, op->wanted);
    return ST_OK;
}

// Another place that the bytes could land at: a sector of any file.
static void misdirect(struct machine *m, const struct env_op *op) {
    struct rng *rng = dice_stream(&m->dice, FAULT_DISK_MISDIRECT);
    uint32_t count = m->disk->seen.count;
    if (count == 0) return;
    struct disk_file *other = m->disk->seen.entries[rng_below(rng, count)].file;
    uint64_t sectors = other->seen.size / DISK_SECTOR + 1;
    uint64_t sector = rng_next(rng) % sectors;
    disk_write(m->disk, other, sector * DISK_SECTOR, op->from, op->wanted, false);
}

// Whether there is no room for the file to end at `end`.
static bool is_too_full(struct machine *m, const struct disk_file *file, uint64_t end) {
    if (end <= file->seen.size) return false;
    if (dice_roll(&m->dice, FAULT_DISK_FULL)) return true;
    if (disk_has_room(m->disk, file, end)) return false;
    dice_count(&m->dice, FAULT_DISK_FULL);
    return true;
}

static enum status write_file(struct machine *m, struct env_op *op, struct disk_file *file) {
    if (is_too_full(m, file, op->offset + op->wanted)) return ST_NO_SPACE;
    if (dice_roll(&m->dice, FAULT_DISK_WRITE_ERROR)) {
        uint32_t part = rng_below(dice_stream(&m->dice, FAULT_DISK_WRITE_ERROR), op->wanted + 1);
        if (part > 0) disk_write(m->disk, file, op->offset, op->from, part, false);
        return ST_IO;
    }
    op->size = op->wanted;
    if (dice_roll(&m->dice, FAULT_DISK_MISDIRECT)) {
        misdirect(m, op);
        return ST_OK;
    }
    bool phantom = dice_roll(&m->dice, FAULT_DISK_PHANTOM);
    disk_write(m->disk, file, op->offset, op->from, op->wanted, phantom);
    return ST_OK;
}

static enum status grow_file(struct machine *m, struct env_op *op, struct disk_file *file) {
    if (is_too_full(m, file, op->offset)) return ST_NO_SPACE;
    disk_grow(m->disk, file, op->offset);
    return ST_OK;
}

static enum status sync_file(struct machine *m, struct env_op *op, struct disk_file *file) {
    if (dice_roll(&m->dice, FAULT_DISK_SYNC_ERROR)) {
        disk_sync_failed(m->disk, file, op->value);
        return ST_IO;
    }
    disk_sync(m->disk, file, op->value);
    return ST_OK;
}

static enum status sync_names(struct machine *m, struct env_op *op) {
    if (dice_roll(&m->dice, FAULT_DISK_SYNC_ERROR)) return ST_IO;
    disk_sync_names(m->disk, op->value);
    return ST_OK;
}

static enum status rename_file(struct machine *m, struct env_op *op) {
    bool fails = dice_roll(&m->dice, FAULT_DISK_WRITE_ERROR);
    struct rng *rng = dice_stream(&m->dice, FAULT_DISK_WRITE_ERROR);
    if (fails && rng_chance(rng, 1, 2)) return ST_IO;
    bool is_there = disk_rename(m->disk, (const char *)op->from, op->private[0]);
    return fails ? ST_IO : is_there ? ST_OK : ST_NOT_FOUND;
}

static enum status list_names(struct machine *m, struct env_op *op) {
    const struct disk_names *names = &m->disk->seen;
    uint32_t size = 0;
    for (uint32_t i = 0; i < names->count; i++) {
        uint32_t part = (uint32_t)strlen(names->entries[i].text) + 1;
        if (part > op->wanted - size) return ST_TOO_LARGE;
        memcpy(op->to + size, names->entries[i].text, part);
        size += part;
    }
    op->size = size;
    return ST_OK;
}

static enum status link_file(struct machine *m, struct env_op *op) {
    const char *from = (const char *)op->from;
    if (disk_find(m->disk, from) == NULL) return ST_NOT_FOUND;
    return disk_link(m->disk, from, op->private[0]) ? ST_OK : ST_IO;
}

static enum status take_effect(struct machine *m, struct env_op *op) {
    struct env_file *open = op->target;
    switch ((enum files_kind)op->kind) {
    case FILES_OPEN:
        return open_file(m, op);
    case FILES_ALLOCATE:
        return grow_file(m, op, open->file);
    case FILES_READ:
        return read_file(m, op, open->file);
    case FILES_WRITE:
        return write_file(m, op, open->file);
    case FILES_SYNC:
        return sync_file(m, op, open->file);
    case FILES_CLOSE:
        close_file(m, open);
        return ST_OK;
    case FILES_SYNC_NAMES:
        return sync_names(m, op);
    case FILES_RENAME:
        return rename_file(m, op);
    case FILES_LINK:
        return link_file(m, op);
    case FILES_REMOVE:
        return disk_remove(m->disk, (const char *)op->from) ? ST_OK : ST_NOT_FOUND;
    case FILES_LIST:
        return list_names(m, op);
    case FILES_SPACE: {
        uint64_t used = disk_used(m->disk);
        op->value = m->disk->quota > used ? m->disk->quota - used : 0;
        return ST_OK;
    }
    }
    unreachable();
}

static const char *kind_name(enum files_kind kind) {
    static const char *const names[] = {
        [FILES_OPEN] = "open",
        [FILES_ALLOCATE] = "allocate",
        [FILES_READ] = "read",
        [FILES_WRITE] = "write",
        [FILES_SYNC] = "sync",
        [FILES_CLOSE] = "close",
        [FILES_SYNC_NAMES] = "sync-names",
        [FILES_RENAME] = "rename",
        [FILES_LINK] = "link",
        [FILES_REMOVE] = "remove",
        [FILES_LIST] = "list",
        [FILES_SPACE] = "space",
    };
    return names[kind];
}

static bool names_a_file(enum files_kind kind) {
    return kind == FILES_ALLOCATE || kind == FILES_READ || kind == FILES_WRITE ||
           kind == FILES_SYNC || kind == FILES_CLOSE;
}

static bool changes_the_disk(const struct env_op *op) {
    enum files_kind kind = (enum files_kind)op->kind;
    return kind == FILES_WRITE || kind == FILES_ALLOCATE || kind == FILES_RENAME ||
           kind == FILES_LINK || kind == FILES_REMOVE || kind == FILES_SYNC ||
           kind == FILES_SYNC_NAMES || (kind == FILES_OPEN && op->wanted == ENV_CREATE);
}

static void on_due(struct event *event) {
    struct machine *m = event->machine;
    struct env_op *op = event->target;
    enum files_kind kind = (enum files_kind)op->kind;
    list_remove(&op->link);
    if (names_a_file(kind)) ((struct env_file *)op->target)->requests--;
    if (changes_the_disk(op)) m->disk_effects++;
    op->status = take_effect(m, op);

    uint64_t payload = op->size;
    if (kind == FILES_READ && op->size > 0) {
        payload = hash_bytes((struct slice){op->to, op->size}, op->offset);
    } else if (kind == FILES_WRITE) {
        payload = hash_bytes((struct slice){op->from, op->wanted}, op->offset);
    }
    machine_deliver(m, op, kind_name(kind), payload);
}

// What a dying process leaves of a request: all of its effect, none, or of a write any beginning.
static void abandon(struct machine *m, struct env_op *op) {
    uint32_t fate = rng_below(&m->disk_delays, 4);
    enum files_kind kind = (enum files_kind)op->kind;
    if (!changes_the_disk(op)) return;
    if (kind == FILES_OPEN) {
        if (fate < 2) disk_make(m->disk, (const char *)op->from);
    } else if (fate < 2) {
        (void)take_effect(m, op);
    } else if (kind == FILES_WRITE && fate == 2) {
        op->wanted = rng_below(&m->disk_delays, op->wanted) + 1;
        (void)take_effect(m, op);
    }
}

void files_abandon(struct machine *m) {
    while (!list_is_empty(&m->disk_requests)) {
        struct env_op *op = CONTAINER_OF(m->disk_requests.next, struct env_op, link);
        list_remove(&op->link);
        abandon(m, op);
    }
    while (!list_is_empty(&m->files)) {
        close_file(m, CONTAINER_OF(m->files.next, struct env_file, link));
    }
}
