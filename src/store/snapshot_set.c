// SPDX-License-Identifier: Apache-2.0
#include "store/snapshot_set.h"

#include "base/text.h"
#include "store/file_name.h"
#include "store/flush.h"
#include "store/manifest.h"
#include "store/segment.h"
#include "store/sstable.h"

static_assert(SNAPSHOTS_MAX <= UINT8_MAX, "an owner is one byte");

// Names.

bool store_snapshot_name_is_good(struct slice name) {
    if (name.size == 0 || name.size > SNAPSHOT_NAME_MAX) return false;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        bool is_letter = text_lower(c) >= 'a' && text_lower(c) <= 'z';
        bool is_digit = c >= '0' && c <= '9';
        bool is_mark = i > 0 && (c == '-' || c == '_'); // it may stand where options do
        if (!is_letter && !is_digit && !is_mark) return false;
    }
    return true;
}

static struct slice prefix_of(enum snapshot_kind kind) {
    switch (kind) {
    case SNAPSHOT_FACTS:
        return FACTS_PREFIX;
    case SNAPSHOT_SEGMENT:
        return SEGMENT_PREFIX;
    case SNAPSHOT_TABLE:
        return SSTABLE_PREFIX;
    case SNAPSHOT_MANIFEST:
        break;
    }
    unreachable();
}

void snapshot_plain_name(enum snapshot_kind kind, uint32_t number,
                         char name[SNAPSHOT_FILE_NAME_SIZE]) {
    static_assert((int)SNAPSHOT_FILE_NAME_SIZE >= (int)FILE_NAME_SIZE, "any name fits");
    if (kind == SNAPSHOT_MANIFEST) {
        memcpy(name, MANIFEST_NAME, sizeof(MANIFEST_NAME));
    } else {
        file_name(prefix_of(kind), number, name);
    }
}

void snapshot_file_name(const char *snapshot, enum snapshot_kind kind, uint32_t number,
                        char name[SNAPSHOT_FILE_NAME_SIZE]) {
    char plain[SNAPSHOT_FILE_NAME_SIZE];
    snapshot_plain_name(kind, number, plain);
    struct text text = text_over(name, SNAPSHOT_FILE_NAME_SIZE);
    text_bytes(&text, SNAPSHOT_PREFIX);
    text_string(&text, snapshot);
    text_char(&text, '.');
    text_string(&text, plain);
    must(!text.clipped);
}

bool snapshot_file_parse(const char *name, struct snapshot_part *part) {
    struct slice text = slice_of_string(name);
    struct slice prefix = SNAPSHOT_PREFIX;
    if (text.size < prefix.size || memcmp(name, prefix.data, prefix.size) != 0) return false;
    const char *dot = strchr(name, '.');
    if (dot == NULL) return false;
    part->snapshot.data = text.data + prefix.size;
    part->snapshot.size = (size_t)(dot - name) - prefix.size;
    part->number = 0;
    if (!store_snapshot_name_is_good(part->snapshot)) return false;
    for (enum snapshot_kind kind = SNAPSHOT_FACTS; kind < SNAPSHOT_MANIFEST; kind++) {
        part->kind = kind;
        if (file_name_parse(prefix_of(kind), dot + 1, &part->number)) return true;
    }
    part->kind = SNAPSHOT_MANIFEST;
    part->number = 0;
    return strcmp(dot + 1, MANIFEST_NAME) == 0;
}

bool store_snapshot_part(const char *name, struct slice *snapshot, const char **plain) {
    struct snapshot_part part;
    if (!snapshot_file_parse(name, &part)) return false;
    *snapshot = part.snapshot;
    *plain = strchr(name, '.') + 1;
    return true;
}

// The set.

size_t snapshot_set_memory_size(void) {
    return SNAPSHOT_FILES_MAX * sizeof(struct snapshot_file);
}

void snapshot_set_init(struct snapshot_set *set, struct arena *arena) {
    *set = (struct snapshot_set){.files =
                                     ARENA_ARRAY(arena, struct snapshot_file, SNAPSHOT_FILES_MAX)};
}

uint32_t snapshot_set_whole(const struct snapshot_set *set) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < SNAPSHOTS_MAX; i++) count += set->all[i].is_whole;
    return count;
}

uint32_t snapshot_set_find(const struct snapshot_set *set, struct slice name) {
    for (uint32_t i = 0; i < SNAPSHOTS_MAX; i++) {
        struct slice taken = slice_of_string(set->all[i].name);
        if (taken.size > 0 && slice_equal(taken, name)) return i;
    }
    return SNAPSHOT_NONE;
}

uint32_t snapshot_set_add(struct snapshot_set *set, struct slice name) {
    must(store_snapshot_name_is_good(name));
    must(snapshot_set_find(set, name) == SNAPSHOT_NONE);
    for (uint32_t i = 0; i < SNAPSHOTS_MAX; i++) {
        struct snapshot *s = &set->all[i];
        if (s->name[0] != '\0') continue;
        memcpy(s->name, name.data, name.size);
        return i;
    }
    return SNAPSHOT_NONE;
}

void snapshot_set_remove(struct snapshot_set *set, uint32_t index) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < set->file_count; i++) {
        if (set->files[i].owner != index) set->files[kept++] = set->files[i];
    }
    set->file_count = kept;
    set->all[index] = (struct snapshot){0};
}

static int compare(const struct snapshot_file *a, const struct snapshot_file *b) {
    if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
    if (a->number != b->number) return a->number < b->number ? -1 : 1;
    return (int)a->owner - (int)b->owner;
}

// Where the file is, or would be.
static uint32_t place_of(const struct snapshot_set *set, const struct snapshot_file *file) {
    uint32_t low = 0;
    uint32_t high = set->file_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare(&set->files[middle], file) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void snapshot_set_add_file(struct snapshot_set *set, uint32_t index, enum snapshot_kind kind,
                           uint32_t number, uint64_t size) {
    must(set->file_count < SNAPSHOT_FILES_MAX);
    const struct snapshot_file file = {
        .size = size, .number = number, .kind = (uint8_t)kind, .owner = (uint8_t)index};
    uint32_t place = place_of(set, &file);
    must(place == set->file_count || compare(&set->files[place], &file) != 0);
    memmove(&set->files[place + 1], &set->files[place],
            (set->file_count - place) * sizeof(*set->files));
    set->files[place] = file;
    set->file_count++;
    set->all[index].file_count++;
    set->all[index].size += size;
}

const struct snapshot_file *snapshot_set_last(const struct snapshot_set *set, uint32_t index) {
    for (uint32_t i = set->file_count; i > 0; i--) {
        if (set->files[i - 1].owner == index) return &set->files[i - 1];
    }
    return NULL;
}

void snapshot_set_remove_file(struct snapshot_set *set, const struct snapshot_file *file) {
    struct snapshot *s = &set->all[file->owner];
    uint32_t place = place_of(set, file);
    s->file_count--;
    s->size -= file->size;
    set->file_count--;
    memmove(&set->files[place], &set->files[place + 1],
            (set->file_count - place) * sizeof(*set->files));
}

void snapshot_set_count(struct snapshot_set *set, snapshot_is_live *is_live, void *context) {
    set->pinned = 0;
    for (uint32_t i = 0; i < SNAPSHOTS_MAX; i++) set->all[i].own = 0;
    for (uint32_t i = 0; i < set->file_count;) {
        const struct snapshot_file *file = &set->files[i];
        uint32_t owners = 0;
        while (i < set->file_count && set->files[i].kind == file->kind &&
               set->files[i].number == file->number) {
            owners++;
            i++;
        }
        if (is_live(context, (enum snapshot_kind)file->kind, file->number)) continue;
        set->pinned += file->size;
        if (owners == 1) set->all[file->owner].own += file->size;
    }
}
