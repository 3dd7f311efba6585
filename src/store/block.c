// SPDX-License-Identifier: Apache-2.0
#include "store/block.h"

#include "base/little.h"

void block_init(struct block_builder *b, uint8_t *data, size_t capacity, uint8_t *last) {
    must(capacity < UINT32_MAX);
    b->data = data;
    b->last = last;
    b->capacity = capacity;
    block_clear(b);
}

void block_clear(struct block_builder *b) {
    b->size = 0;
    b->last_size = 0;
    b->count = 0;
    b->restart_count = 0;
}

static uint8_t *put_varint(uint8_t *to, uint32_t value) {
    for (; value >= 0x80; value >>= 7) to = store_u8(to, (uint8_t)(value | 0x80));
    return store_u8(to, (uint8_t)value);
}

static size_t shared_size(struct slice a, struct slice b) {
    size_t most = a.size < b.size ? a.size : b.size;
    size_t size = 0;
    while (size < most && a.data[size] == b.data[size]) size++;
    return size;
}

bool block_add(struct block_builder *b, struct slice full_key, struct slice record, size_t limit) {
    struct slice last = {b->last, b->last_size};
    must(full_key.size >= FULL_KEY_HEAD);
    must(full_key.size <= FULL_KEY_MAX);
    must(b->count == 0 || slice_compare(last, full_key) < 0);
    bool is_restart = b->count % RESTART_EVERY == 0;
    size_t shared = is_restart ? 0 : shared_size(last, full_key);
    size_t most =
        block_size(b) + sizeof(uint32_t) + ENTRY_HEAD_MAX + full_key.size - shared + record.size;
    if (most > b->capacity || (b->count > 0 && most > limit)) return false;
    if (is_restart && b->restart_count == RESTARTS_MAX) return false;
    if (is_restart) b->restarts[b->restart_count++] = (uint32_t)b->size;
    struct slice rest = slice_skip(full_key, shared);
    uint8_t *to = put_varint(b->data + b->size, (uint32_t)shared);
    to = put_varint(to, (uint32_t)rest.size);
    to = put_varint(to, (uint32_t)record.size);
    if (rest.size > 0) memcpy(to, rest.data, rest.size);
    if (record.size > 0) memcpy(to + rest.size, record.data, record.size);
    b->size = (size_t)(to - b->data) + rest.size + record.size;
    memcpy(b->last, full_key.data, full_key.size);
    b->last_size = full_key.size;
    b->count++;
    return true;
}

struct slice block_finish(struct block_builder *b) {
    must(b->count > 0);
    uint8_t *to = b->data + b->size;
    for (uint32_t i = 0; i < b->restart_count; i++) to = store_u32(to, b->restarts[i]);
    to = store_u32(to, b->restart_count);
    return (struct slice){b->data, (size_t)(to - b->data)};
}

// Reading.

static bool fail(struct block_cursor *c) {
    c->failed = true;
    c->is_valid = false;
    return false;
}

uint32_t block_restart_count(const struct block_cursor *c) {
    return load_u32(c->bytes.data + c->bytes.size - sizeof(uint32_t));
}

uint32_t block_restart(const struct block_cursor *c, uint32_t index) {
    return load_u32(c->bytes.data + c->end + (size_t)index * sizeof(uint32_t));
}

void block_open(struct block_cursor *c, struct slice bytes, uint8_t *key_bytes) {
    *c = (struct block_cursor){.bytes = bytes};
    c->key_bytes = key_bytes;
    if (bytes.size < sizeof(uint32_t) || bytes.size > UINT32_MAX) {
        (void)fail(c);
        return;
    }
    uint64_t tail = ((uint64_t)block_restart_count(c) + 1) * sizeof(uint32_t);
    if (tail > bytes.size || block_restart_count(c) == 0) {
        (void)fail(c);
        return;
    }
    c->end = (uint32_t)(bytes.size - tail);
}

static bool get_varint(const struct block_cursor *c, uint32_t *at, uint32_t *value) {
    *value = 0;
    for (uint32_t shift = 0; shift < 35 && *at < c->end; shift += 7) {
        uint8_t byte = c->bytes.data[(*at)++];
        if (shift == 28 && byte > 0x0f) return false;
        *value |= (uint32_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

struct entry_head {
    uint32_t shared;
    uint32_t rest;
    uint32_t record;
    uint32_t body; // offset of the bytes of the key
};

static bool get_head(const struct block_cursor *c, uint32_t at, struct entry_head *h) {
    if (!get_varint(c, &at, &h->shared)) return false;
    if (!get_varint(c, &at, &h->rest)) return false;
    if (!get_varint(c, &at, &h->record)) return false;
    h->body = at;
    return (uint64_t)h->rest + h->record <= c->end - at &&
           (uint64_t)h->shared + h->rest <= FULL_KEY_MAX;
}

bool block_next(struct block_cursor *c) {
    if (c->failed) return false;
    if (c->next >= c->end) {
        c->at = c->end;
        c->is_valid = false;
        return false;
    }
    c->at = c->next;
    struct entry_head h;
    if (!get_head(c, c->next, &h) || h.shared > c->key.size) return fail(c);
    if (h.shared + h.rest < FULL_KEY_HEAD) return fail(c);
    memcpy(c->key_bytes + h.shared, c->bytes.data + h.body, h.rest);
    c->key = (struct slice){c->key_bytes, h.shared + h.rest};
    c->record = (struct slice){c->bytes.data + h.body + h.rest, h.record};
    c->next = h.body + h.rest + h.record;
    c->is_valid = true;
    return true;
}

// The last restart whose key is before the full key, or the first. False: this is no block.
static bool find_restart(const struct block_cursor *c, struct slice full_key, uint32_t *offset) {
    uint32_t low = 0;
    uint32_t high = block_restart_count(c) - 1;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        struct entry_head h;
        uint32_t at = block_restart(c, middle);
        if (at >= c->end || !get_head(c, at, &h) || h.shared != 0) return false;
        struct slice key = {c->bytes.data + h.body, h.rest};
        if (slice_compare(key, full_key) < 0) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    *offset = block_restart(c, low);
    return *offset < c->end;
}

bool block_seek(struct block_cursor *c, struct slice full_key) {
    if (c->failed) return false;
    uint32_t offset = 0;
    if (!find_restart(c, full_key, &offset)) return fail(c);
    c->next = offset;
    c->key = (struct slice){NULL, 0};
    while (block_next(c)) {
        if (slice_compare(c->key, full_key) >= 0) return true;
    }
    return false;
}

// Backwards.

void block_end(struct block_cursor *c) {
    c->at = c->next = c->end;
    c->is_valid = false;
}

// The last restart before the offset. False: this is no block.
static bool restart_before(const struct block_cursor *c, uint32_t offset, uint32_t *restart) {
    uint32_t low = 0;
    uint32_t high = block_restart_count(c) - 1;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (block_restart(c, middle) < offset) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    *restart = block_restart(c, low);
    return *restart < offset;
}

bool block_prev(struct block_cursor *c) {
    if (c->failed) return false;
    uint32_t current = c->at;
    if (current == 0) {
        c->is_valid = false;
        return false;
    }
    if (!restart_before(c, current, &c->next)) return fail(c);
    c->key = (struct slice){NULL, 0};
    do {
        if (!block_next(c)) return fail(c);
    } while (c->next < current);
    return c->next == current ? true : fail(c);
}

bool block_seek_back(struct block_cursor *c, struct slice full_key, bool is_inclusive) {
    bool is_found = block_seek(c, full_key);
    if (is_found && is_inclusive && slice_equal(c->key, full_key)) return true;
    return block_prev(c);
}
