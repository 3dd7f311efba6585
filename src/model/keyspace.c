// SPDX-License-Identifier: Apache-2.0
#include "model/keyspace.h"

#include "base/text.h"
#include "model/name.h"

static const struct slice none;

struct slice keyspace_prefix(struct slice key) {
    if (key.size > 0 && key.data[0] == '{') {
        const uint8_t *close = memchr(key.data, '}', key.size);
        size_t size = close == NULL ? 0 : (size_t)(close - key.data) + 1;
        bool is_tag = size > 2 && size < key.size && key.data[size] == ':';
        if (is_tag) key = slice_skip(key, size + 1);
    }
    size_t longest = key.size < NAME_SIZE_MAX + 1 ? key.size : NAME_SIZE_MAX + 1;
    const uint8_t *colon = longest == 0 ? NULL : memchr(key.data, ':', longest);
    return colon == NULL ? none : (struct slice){key.data, (size_t)(colon - key.data)};
}

uint32_t keyspace_find(const struct keyspace table[KEYSPACES_MAX], struct slice name) {
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) {
        if (table[i].state == KEYSPACE_FREE) continue;
        if (slice_equal(slice_of_string(table[i].name), name)) return i;
    }
    return KEYSPACES_MAX;
}

uint32_t keyspace_of_key(const struct keyspace table[KEYSPACES_MAX], struct slice key) {
    struct slice prefix = keyspace_prefix(key);
    uint32_t place = prefix.size == 0 ? KEYSPACES_MAX : keyspace_find(table, prefix);
    return place == KEYSPACES_MAX ? KEYSPACE_DEFAULT : place;
}

uint32_t keyspace_find_number(const struct keyspace table[KEYSPACES_MAX], uint16_t number) {
    uint32_t i = 0;
    while (i < KEYSPACES_MAX && (table[i].state == KEYSPACE_FREE || table[i].number != number)) i++;
    return i;
}

uint32_t keyspace_find_free(const struct keyspace table[KEYSPACES_MAX]) {
    uint32_t i = 0;
    while (i < KEYSPACES_MAX && table[i].state != KEYSPACE_FREE) i++;
    return i;
}

// Definitions.

static bool is_kept(struct level level, uint32_t replication) {
    if (level.kind == LEVEL_UNSET) return level.count == 0;
    if (level_gap(level) != NULL) return false;
    return level.kind == LEVEL_COUNT ? level.count > 0 && level.count <= replication
                                     : level.count == 0;
}

const char *keyspace_flaw(const struct keyspace *k) {
    if (!name_is_good(slice_of_string(k->name))) {
        return "its name is not 1 to 63 letters, digits, '-', '_' and '.'";
    }
    if (k->replication == 0 || k->replication > REPLICAS_MAX) return "it has no copies";
    if (!is_kept(k->read, k->replication)) return "its level of reads is more than its copies";
    if (!is_kept(k->write, k->replication)) return "its level of writes is more than its copies";
    return NULL;
}

const char *keyspace_state_text(enum keyspace_state state) {
    switch (state) {
    case KEYSPACE_FREE:
        return "FREE";
    case KEYSPACE_ACTIVE:
        return "ACTIVE";
    case KEYSPACE_COMING:
        return "COMING";
    case KEYSPACE_GOING:
        return "GOING";
    }
    unreachable();
}

const char *keyspace_conflict_text(enum keyspace_conflict conflict) {
    return conflict == CONFLICT_LWW ? "LWW" : "SIBLINGS";
}

const char *keyspace_compression_text(enum keyspace_compression compression) {
    static const char *const texts[] = {
        [COMPRESSION_UNSET] = "configuration",
        [COMPRESSION_NONE] = "none",
        [COMPRESSION_LZ4] = "lz4",
        [COMPRESSION_ZSTD] = "zstd",
    };
    return texts[compression];
}

// Bytes.

enum { ENCODED_SIZE = 1 + 1 + 1 + 2 + 1 + 2 * 2 + 8 + 1 };

bool keyspaces_have_compression(const struct keyspace table[KEYSPACES_MAX]) {
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) {
        if (table[i].compression != COMPRESSION_UNSET) return true;
    }
    return false;
}

size_t keyspaces_encoded_size(const struct keyspace table[KEYSPACES_MAX]) {
    size_t each = ENCODED_SIZE + keyspaces_have_compression(table);
    size_t size = 1;
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) {
        if (table[i].state != KEYSPACE_FREE) size += each + strlen(table[i].name);
    }
    return size;
}

static void level_write(struct level level, struct writer *w) {
    write_u8(w, (uint8_t)level.kind);
    write_u8(w, (uint8_t)level.count);
}

static struct level level_read(struct reader *r) {
    uint8_t kind = read_u8(r);
    uint8_t count = read_u8(r);
    if (kind > LEVEL_SLOPPY) r->failed = true;
    return r->failed ? (struct level){0} : (struct level){(enum level_kind)kind, count};
}

void keyspaces_encode(const struct keyspace table[KEYSPACES_MAX], struct writer *w) {
    bool has_compression = keyspaces_have_compression(table);
    uint8_t count = 0;
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) {
        if (table[i].state != KEYSPACE_FREE) count++;
    }
    write_u8(w, count);
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) {
        const struct keyspace *k = &table[i];
        if (k->state == KEYSPACE_FREE) continue;
        struct slice name = slice_of_string(k->name);
        write_u8(w, (uint8_t)i);
        write_u8(w, (uint8_t)k->state);
        write_u8(w, (uint8_t)k->conflict);
        write_u16(w, k->number);
        write_u8(w, (uint8_t)k->replication);
        level_write(k->read, w);
        level_write(k->write, w);
        write_u64(w, k->ttl_ms);
        if (has_compression) write_u8(w, (uint8_t)k->compression);
        write_u8(w, (uint8_t)name.size);
        write_bytes(w, name);
    }
}

static void decode_one(struct keyspace *k, bool has_compression, struct reader *r) {
    uint8_t state = read_u8(r);
    uint8_t conflict = read_u8(r);
    k->number = read_u16(r);
    k->replication = read_u8(r);
    k->read = level_read(r);
    k->write = level_read(r);
    k->ttl_ms = read_u64(r);
    uint8_t compression = has_compression ? read_u8(r) : COMPRESSION_UNSET;
    uint8_t size = read_u8(r);
    struct slice name = read_bytes(r, size);
    bool is_known = state > KEYSPACE_FREE && state <= KEYSPACE_GOING && conflict <= CONFLICT_LWW;
    if (compression > COMPRESSION_ZSTD) is_known = false;
    if (!is_known || name.size > NAME_SIZE_MAX) r->failed = true;
    if (r->failed) return;
    k->state = (enum keyspace_state)state;
    k->conflict = (enum keyspace_conflict)conflict;
    k->compression = (enum keyspace_compression)compression;
    memcpy(k->name, name.data, name.size);
    if (keyspace_flaw(k) != NULL) r->failed = true;
}

// Whether both may be in one table.
static bool are_distinct(const struct keyspace *a, const struct keyspace *b) {
    if (a->number == b->number) return false;
    if (strcmp(a->name, b->name) != 0) return true;
    return (a->state == KEYSPACE_COMING && b->state == KEYSPACE_GOING) ||
           (a->state == KEYSPACE_GOING && b->state == KEYSPACE_COMING);
}

void keyspaces_decode(struct keyspace table[KEYSPACES_MAX], bool has_compression,
                      struct reader *r) {
    memset(table, 0, KEYSPACES_MAX * sizeof(*table));
    uint8_t count = read_u8(r);
    uint32_t next = 0;
    for (uint8_t i = 0; i < count && !r->failed; i++) {
        uint8_t place = read_u8(r);
        if (place < next || place >= KEYSPACES_MAX) r->failed = true;
        if (r->failed) return;
        decode_one(&table[place], has_compression, r);
        next = place + 1u;
        for (uint32_t j = 0; j < place && !r->failed; j++) {
            if (table[j].state == KEYSPACE_FREE) continue;
            if (!are_distinct(&table[j], &table[place])) r->failed = true;
        }
    }
    const struct keyspace *first = &table[KEYSPACE_DEFAULT];
    bool has_default = first->state == KEYSPACE_ACTIVE && strcmp(first->name, "default") == 0;
    if (!has_default || has_compression != keyspaces_have_compression(table)) r->failed = true;
}
