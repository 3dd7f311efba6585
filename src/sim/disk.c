// SPDX-License-Identifier: Apache-2.0
#include "sim/disk.h"

#include "sim/memory.h"

#include <stdio.h>

enum name_change_kind { NAME_MADE, NAME_MOVED, NAME_REMOVED };

// A change of the table of names that is not durable yet.
struct name_change {
    struct list link;
    uint64_t sequence;
    enum name_change_kind kind;
    char from[ENV_FILE_NAME_MAX + 1]; // moved, removed
    char to[ENV_FILE_NAME_MAX + 1];   // made, moved
    struct disk_file *file;
};

// Files

static struct disk_file *file_create(struct disk *disk) {
    struct disk_file *file = memory_take(1, sizeof(*file));
    file->id = ++disk->last_id;
    list_init(&file->link);
    list_init(&file->changes);
    list_init(&file->forgotten);
    list_append(&disk->files, &file->link);
    return file;
}

static void drop_changes(struct list *changes) {
    while (!list_is_empty(changes)) {
        struct disk_change *change = CONTAINER_OF(changes->next, struct disk_change, link);
        list_remove(&change->link);
        memory_give(change);
    }
}

static void file_destroy(struct disk_file *file) {
    list_remove(&file->link);
    drop_changes(&file->changes);
    drop_changes(&file->forgotten);
    image_free(&file->seen);
    image_free(&file->durable);
    memory_give(file->bad);
    memory_give(file);
}

static void file_check_use(struct disk_file *file) {
    if (file->names == 0 && file->handles == 0) file_destroy(file);
}

void disk_hold(struct disk_file *file) {
    file->handles++;
}

void disk_release(struct disk *disk, struct disk_file *file) {
    (void)disk;
    must(file->handles > 0);
    file->handles--;
    file_check_use(file);
}

// Tables of names

// Where the name is, or would be.
static uint32_t names_place(const struct disk_names *names, const char *text) {
    uint32_t low = 0;
    uint32_t high = names->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (strcmp(names->entries[middle].text, text) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool names_has(const struct disk_names *names, uint32_t place, const char *text) {
    if (place == names->count) return false;
    must(names->entries != NULL);
    return strcmp(names->entries[place].text, text) == 0;
}

static struct disk_file *names_find(const struct disk_names *names, const char *text) {
    uint32_t place = names_place(names, text);
    return names_has(names, place, text) ? names->entries[place].file : NULL;
}

static void names_remove(struct disk_names *names, const char *text) {
    uint32_t place = names_place(names, text);
    if (!names_has(names, place, text)) return;
    struct disk_file *file = names->entries[place].file;
    names->count--;
    memmove(&names->entries[place], &names->entries[place + 1],
            (names->count - place) * sizeof(*names->entries));
    file->names--;
    file_check_use(file);
}

static void names_set(struct disk_names *names, const char *text, struct disk_file *file) {
    must(file != NULL);
    file->names++; // before the old one goes: it may be the same
    names_remove(names, text);
    if (names->count == names->capacity) {
        names->capacity = names->capacity == 0 ? 16 : names->capacity * 2;
        names->entries = memory_grow(names->entries, names->capacity, sizeof(*names->entries));
    }
    uint32_t place = names_place(names, text);
    memmove(&names->entries[place + 1], &names->entries[place],
            (names->count - place) * sizeof(*names->entries));
    names->count++;
    names->entries[place] = (struct disk_name){.file = file};
    snprintf(names->entries[place].text, sizeof(names->entries[place].text), "%s", text);
}

static void names_clear(struct disk_names *names) {
    while (names->count > 0) names_remove(names, names->entries[names->count - 1].text);
}

static void names_apply(struct disk_names *names, const struct name_change *change) {
    if (change->kind != NAME_MADE && names_find(names, change->from) == change->file) {
        names_remove(names, change->from);
    }
    if (change->kind != NAME_REMOVED) names_set(names, change->to, change->file);
}

static void note_name_change(struct disk *disk, enum name_change_kind kind, const char *from,
                             const char *to, struct disk_file *file) {
    struct name_change *change = memory_take(1, sizeof(*change));
    list_init(&change->link);
    change->sequence = ++disk->sequence;
    change->kind = kind;
    snprintf(change->from, sizeof(change->from), "%s", from);
    snprintf(change->to, sizeof(change->to), "%s", to);
    change->file = file;
    file->names++;
    list_append(&disk->name_changes, &change->link);

    struct disk_file *replaced = kind == NAME_REMOVED ? NULL : names_find(&disk->seen, to);
    if (replaced != NULL) replaced->shown--;
    if (kind == NAME_MADE) file->shown++;
    if (kind == NAME_REMOVED) file->shown--;
    names_apply(&disk->seen, change);
}

static void drop_name_change(struct name_change *change) {
    list_remove(&change->link);
    change->file->names--;
    file_check_use(change->file);
    memory_give(change);
}

struct disk_file *disk_find(const struct disk *disk, const char *name) {
    return names_find(&disk->seen, name);
}

const struct disk_file *disk_find_durable(const struct disk *disk, const char *name) {
    return names_find(&disk->durable, name);
}

struct disk_file *disk_make(struct disk *disk, const char *name) {
    struct disk_file *file = file_create(disk);
    note_name_change(disk, NAME_MADE, "", name, file);
    return file;
}

bool disk_rename(struct disk *disk, const char *from, const char *to) {
    struct disk_file *file = disk_find(disk, from);
    if (file == NULL) return false;
    if (strcmp(from, to) != 0) note_name_change(disk, NAME_MOVED, from, to, file);
    return true;
}

bool disk_link(struct disk *disk, const char *from, const char *to) {
    struct disk_file *file = disk_find(disk, from);
    if (file == NULL || disk_find(disk, to) != NULL) return false;
    note_name_change(disk, NAME_MADE, "", to, file);
    return true;
}

bool disk_remove(struct disk *disk, const char *name) {
    struct disk_file *file = disk_find(disk, name);
    if (file == NULL) return false;
    note_name_change(disk, NAME_REMOVED, name, "", file);
    return true;
}

void disk_sync_names(struct disk *disk, uint64_t upto) {
    while (!list_is_empty(&disk->name_changes)) {
        struct list *first = disk->name_changes.next;
        struct name_change *change = CONTAINER_OF(first, struct name_change, link);
        if (change->sequence > upto) return;
        names_apply(&disk->durable, change);
        drop_name_change(change);
    }
}

// Contents

static void apply(struct image *image, const struct disk_change *change) {
    if (change->size > 0) {
        image_write(image, change->offset, change->bytes, change->size);
    } else if (image->size < change->offset) {
        image_resize(image, change->offset);
    }
}

static void note_change(struct disk *disk, struct disk_file *file, uint64_t offset,
                        const uint8_t *from, uint64_t size, bool phantom) {
    struct disk_change *change = memory_take(1, sizeof(*change) + size);
    *change = (struct disk_change){
        .sequence = ++disk->sequence, .offset = offset, .size = size, .phantom = phantom};
    if (size > 0) memcpy(change->bytes, from, size);
    list_init(&change->link);
    list_append(&file->changes, &change->link);
    apply(&file->seen, change);
}

static bool lies_in(uint64_t sector, uint64_t offset, uint32_t size) {
    return sector >= offset / DISK_SECTOR && sector * DISK_SECTOR < offset + size;
}

void disk_write(struct disk *disk, struct disk_file *file, uint64_t offset, const uint8_t *from,
                uint32_t size, bool phantom) {
    must(size > 0);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < file->bad_count; i++) {
        if (!lies_in(file->bad[i], offset, size)) file->bad[kept++] = file->bad[i];
    }
    file->bad_count = kept;
    note_change(disk, file, offset, from, size, phantom);
}

void disk_grow(struct disk *disk, struct disk_file *file, uint64_t size) {
    if (file->seen.size < size) note_change(disk, file, size, NULL, 0, false);
}

// The cache drops the pages of a forgotten change: what is durable shows again, under the changes
// that are still on their way.
static void evict(struct disk *disk, struct disk_file *file, struct disk_change *forgotten) {
    uint64_t from = forgotten->offset / IMAGE_PAGE * IMAGE_PAGE;
    uint64_t end = forgotten->offset + forgotten->size;
    uint8_t page[IMAGE_PAGE];
    for (uint64_t at = from; at < end; at += IMAGE_PAGE) {
        uint64_t left = file->seen.size > at ? file->seen.size - at : 0;
        uint64_t size = left < IMAGE_PAGE ? left : IMAGE_PAGE;
        image_read(&file->durable, at, page, size);
        image_write(&file->seen, at, page, size);
    }
    list_remove(&forgotten->link);
    memory_give(forgotten);
    for (struct list *l = file->changes.next; l != &file->changes; l = l->next) {
        apply(&file->seen, CONTAINER_OF(l, struct disk_change, link));
    }
    dice_count(disk->dice, FAULT_DISK_EVICTION);
}

static void evict_some(struct disk *disk, struct disk_file *file, uint64_t offset, uint32_t size) {
    struct list *next = file->forgotten.next;
    while (next != &file->forgotten) {
        struct disk_change *change = CONTAINER_OF(next, struct disk_change, link);
        next = next->next;
        bool touches = change->offset < offset + size && offset < change->offset + change->size;
        if (touches && rng_chance(dice_stream(disk->dice, FAULT_DISK_EVICTION), 1, 4)) {
            evict(disk, file, change);
        }
    }
}

uint32_t disk_read(struct disk *disk, struct disk_file *file, uint64_t offset, uint8_t *to,
                   uint32_t size) {
    if (!list_is_empty(&file->forgotten)) evict_some(disk, file, offset, size);
    if (offset >= file->seen.size) return 0;
    uint64_t left = file->seen.size - offset;
    uint32_t got = left < size ? (uint32_t)left : size;
    image_read(&file->seen, offset, to, got);
    return got;
}

void disk_sync(struct disk *disk, struct disk_file *file, uint64_t upto) {
    (void)disk;
    while (!list_is_empty(&file->changes)) {
        struct disk_change *change = CONTAINER_OF(file->changes.next, struct disk_change, link);
        if (change->sequence > upto) return;
        list_remove(&change->link);
        if (change->phantom) {
            list_append(&file->forgotten, &change->link);
        } else {
            apply(&file->durable, change);
            memory_give(change);
        }
    }
}

// Of [offset, offset + size) the part that ends with the block of `block` bytes around `offset`.
static uint64_t in_block(uint64_t offset, uint64_t size, uint64_t block) {
    uint64_t room = block - offset % block;
    return size < room ? size : room;
}

// Applies each block of a write with a chance of one half. Returns how many bytes.
static uint64_t apply_some(struct image *image, const struct disk_change *change, uint64_t block,
                           struct rng *rng) {
    uint64_t applied = 0;
    uint64_t part = 0;
    for (uint64_t done = 0; done < change->size; done += part) {
        part = in_block(change->offset + done, change->size - done, block);
        if (!rng_chance(rng, 1, 2)) continue;
        image_write(image, change->offset + done, change->bytes + done, part);
        applied += part;
    }
    return applied;
}

void disk_sync_failed(struct disk *disk, struct disk_file *file, uint64_t upto) {
    while (!list_is_empty(&file->changes)) {
        struct disk_change *change = CONTAINER_OF(file->changes.next, struct disk_change, link);
        if (change->sequence > upto) return;
        list_remove(&change->link);
        apply_some(&file->durable, change, DISK_SECTOR,
                   dice_stream(disk->dice, FAULT_DISK_SYNC_ERROR));
        list_append(&file->forgotten, &change->link);
    }
}

uint64_t disk_used(const struct disk *disk) {
    uint64_t used = 0;
    for (struct list *l = disk->files.next; l != &disk->files; l = l->next) {
        const struct disk_file *file = CONTAINER_OF(l, struct disk_file, link);
        if (file->shown > 0 || file->handles > 0) used += file->seen.size;
    }
    return used;
}

bool disk_has_room(const struct disk *disk, const struct disk_file *file, uint64_t end) {
    if (disk->quota == UINT64_MAX || end <= file->seen.size) return true;
    return disk_used(disk) + (end - file->seen.size) <= disk->quota;
}

// Power loss

static void garble(struct image *image, const struct disk_change *change, struct disk *disk) {
    uint64_t part = 0;
    for (uint64_t done = 0; done < change->size; done += part) {
        part = in_block(change->offset + done, change->size - done, DISK_SECTOR);
        uint8_t nonsense[DISK_SECTOR];
        const uint8_t *bytes = change->bytes + done;
        uint32_t fate = rng_below(&disk->fate, 3);
        if (fate == 0) continue;
        if (fate == 1) {
            for (uint64_t i = 0; i < part; i++) nonsense[i] = (uint8_t)rng_next(&disk->fate);
            bytes = nonsense;
            dice_count(disk->dice, FAULT_GARBAGE);
        }
        image_write(image, change->offset + done, bytes, part);
    }
}

// The unit in which this disk loses writes; UINT64_MAX: as a whole.
static uint64_t loss_block(const struct disk *disk) {
    switch (disk->personality) {
    case DISK_ORDERED:
    case DISK_WHOLE:
        return UINT64_MAX;
    case DISK_PAGES:
        return IMAGE_PAGE;
    case DISK_SECTORS:
    case DISK_SIZES:
    case DISK_GARBAGE:
        return DISK_SECTOR;
    case DISK_PERSONALITIES:
        break;
    }
    unreachable();
}

// What is left of one write, or of one growth (which has no bytes).
static void settle(struct disk *disk, struct disk_file *file, const struct disk_change *change,
                   uint64_t ordered_upto) {
    uint64_t end = change->offset + change->size;
    bool survives = rng_chance(&disk->fate, 1, 2);
    if (disk->personality == DISK_ORDERED) survives = change->sequence <= ordered_upto;
    if (disk->personality == DISK_SIZES) {
        if (file->durable.size < end) image_resize(&file->durable, end);
        if (change->size == 0) return;
    }
    uint64_t block = loss_block(disk);
    uint64_t kept = 0;
    if (change->phantom) {
        kept = 0;
    } else if (change->size == 0 || block == UINT64_MAX) {
        if (survives) apply(&file->durable, change);
        if (survives) return;
    } else if (disk->personality == DISK_GARBAGE) {
        garble(&file->durable, change, disk);
        return;
    } else {
        kept = apply_some(&file->durable, change, block, &disk->fate);
        if (kept == change->size) return;
    }
    dice_count(disk->dice, kept == 0 ? FAULT_LOST_WRITE : FAULT_TORN_WRITE);
}

// For a disk that keeps order: the last change that survives, any of those not yet durable.
static uint64_t draw_ordered_upto(struct disk *disk) {
    uint64_t oldest = disk->sequence;
    for (struct list *l = disk->files.next; l != &disk->files; l = l->next) {
        const struct disk_file *file = CONTAINER_OF(l, struct disk_file, link);
        if (list_is_empty(&file->changes)) continue;
        uint64_t first = CONTAINER_OF(file->changes.next, struct disk_change, link)->sequence;
        if (first - 1 < oldest) oldest = first - 1;
    }
    return oldest + rng_next(&disk->fate) % (disk->sequence - oldest + 1);
}

static void settle_names(struct disk *disk) {
    while (!list_is_empty(&disk->name_changes)) {
        struct list *first = disk->name_changes.next;
        struct name_change *change = CONTAINER_OF(first, struct name_change, link);
        bool heads = rng_chance(&disk->fate, 1, 2);
        if (heads || disk->personality == DISK_SIZES) {
            names_apply(&disk->durable, change);
        } else {
            dice_count(disk->dice, FAULT_LOST_NAME);
        }
        drop_name_change(change);
    }
    names_clear(&disk->seen);
    for (uint32_t i = 0; i < disk->durable.count; i++) {
        names_set(&disk->seen, disk->durable.entries[i].text, disk->durable.entries[i].file);
    }
}

void disk_power_loss(struct disk *disk) {
    uint64_t ordered_upto = draw_ordered_upto(disk);
    for (struct list *l = disk->files.next; l != &disk->files; l = l->next) {
        struct disk_file *file = CONTAINER_OF(l, struct disk_file, link);
        must(file->handles == 0);
        for (struct list *c = file->changes.next; c != &file->changes; c = c->next) {
            settle(disk, file, CONTAINER_OF(c, struct disk_change, link), ordered_upto);
        }
        drop_changes(&file->changes);
        drop_changes(&file->forgotten);
        image_free(&file->seen);
        file->seen = image_copy(&file->durable);
        file->shown = 0;
    }
    settle_names(disk);
    for (uint32_t i = 0; i < disk->seen.count; i++) disk->seen.entries[i].file->shown++;
}

// Damage

static void flip(struct image *image, uint64_t offset, uint8_t mask) {
    uint8_t byte = 0;
    image_read(image, offset, &byte, 1);
    byte ^= mask;
    image_write(image, offset, &byte, 1);
}

bool disk_rot(struct disk *disk, struct disk_file *file, uint64_t offset, uint32_t bit) {
    if (offset >= file->durable.size || offset >= file->seen.size) return false;
    uint8_t mask = (uint8_t)(1u << bit % 8);
    flip(&file->durable, offset, mask);
    flip(&file->seen, offset, mask);
    dice_count(disk->dice, FAULT_DISK_ROT);
    return true;
}

bool disk_spoil(struct disk *disk, struct disk_file *file, uint64_t offset) {
    if (offset >= file->durable.size || offset >= file->seen.size) return false;
    file->bad = memory_grow(file->bad, file->bad_count + 1, sizeof(*file->bad));
    file->bad[file->bad_count++] = offset / DISK_SECTOR;
    dice_count(disk->dice, FAULT_DISK_BAD_SECTOR);
    return true;
}

bool disk_is_bad(const struct disk_file *file, uint64_t offset, uint32_t size) {
    for (uint32_t i = 0; i < file->bad_count; i++) {
        if (lies_in(file->bad[i], offset, size)) return true;
    }
    return false;
}

bool disk_cut_tail(struct disk *disk, struct disk_file *file, uint64_t bytes) {
    if (bytes == 0 || file->durable.size < bytes) return false;
    uint64_t size = file->durable.size - bytes;
    drop_changes(&file->changes);
    drop_changes(&file->forgotten);
    image_resize(&file->durable, size);
    image_resize(&file->seen, size);
    dice_count(disk->dice, FAULT_DISK_CUT);
    return true;
}

// Life

struct disk *disk_create(struct dice *dice, struct rng fate, enum disk_personality personality) {
    struct disk *disk = memory_take(1, sizeof(*disk));
    *disk =
        (struct disk){.dice = dice, .fate = fate, .personality = personality, .quota = UINT64_MAX};
    list_init(&disk->files);
    list_init(&disk->name_changes);
    return disk;
}

void disk_destroy(struct disk *disk) {
    while (!list_is_empty(&disk->name_changes)) {
        drop_name_change(CONTAINER_OF(disk->name_changes.next, struct name_change, link));
    }
    names_clear(&disk->seen);
    names_clear(&disk->durable);
    while (!list_is_empty(&disk->files)) {
        struct disk_file *file = CONTAINER_OF(disk->files.next, struct disk_file, link);
        file_destroy(file); // still open
    }
    memory_give(disk->seen.entries);
    memory_give(disk->durable.entries);
    memory_give(disk);
}

static void copy_changes(struct list *to, const struct list *from) {
    for (struct list *l = from->next; l != from; l = l->next) {
        const struct disk_change *change = CONTAINER_OF(l, struct disk_change, link);
        size_t size = sizeof(*change) + change->size;
        struct disk_change *copy = memory_take(1, size);
        memcpy(copy, change, size);
        list_init(&copy->link);
        list_append(to, &copy->link);
    }
}

static struct disk_file *same_file(const struct disk *disk, uint64_t id) {
    for (struct list *l = disk->files.next; l != &disk->files; l = l->next) {
        struct disk_file *file = CONTAINER_OF(l, struct disk_file, link);
        if (file->id == id) return file;
    }
    unreachable();
}

static void copy_names(struct disk *copy, struct disk_names *to, const struct disk_names *from) {
    for (uint32_t i = 0; i < from->count; i++) {
        names_set(to, from->entries[i].text, same_file(copy, from->entries[i].file->id));
    }
}

struct disk *disk_copy(const struct disk *disk) {
    struct disk *copy = disk_create(disk->dice, disk->fate, disk->personality);
    copy->quota = disk->quota;
    copy->sequence = disk->sequence;
    for (struct list *l = disk->files.next; l != &disk->files; l = l->next) {
        const struct disk_file *file = CONTAINER_OF(l, struct disk_file, link);
        if (file->names == 0) continue; // only open, and the copy has nothing open
        struct disk_file *twin = file_create(copy);
        twin->id = file->id;
        twin->shown = file->shown;
        twin->seen = image_copy(&file->seen);
        twin->durable = image_copy(&file->durable);
        copy_changes(&twin->changes, &file->changes);
        copy_changes(&twin->forgotten, &file->forgotten);
        for (uint32_t i = 0; i < file->bad_count; i++) {
            twin->bad = memory_grow(twin->bad, i + 1, sizeof(*twin->bad));
            twin->bad[twin->bad_count++] = file->bad[i];
        }
    }
    copy->last_id = disk->last_id;
    copy_names(copy, &copy->seen, &disk->seen);
    copy_names(copy, &copy->durable, &disk->durable);
    for (struct list *l = disk->name_changes.next; l != &disk->name_changes; l = l->next) {
        const struct name_change *change = CONTAINER_OF(l, struct name_change, link);
        struct name_change *twin = memory_take(1, sizeof(*twin));
        *twin = *change;
        list_init(&twin->link);
        twin->file = same_file(copy, change->file->id);
        twin->file->names++;
        list_append(&copy->name_changes, &twin->link);
    }
    return copy;
}
