// SPDX-License-Identifier: Apache-2.0
//
// A record in bytes; one record has one encoding, and the empty record has no bytes:
//
//     record  = u8 format version (1)
//               u16 count, then for each actor: u64 storage, u32 epoch, u64 counter
//               u8 count, then the siblings
//     sibling = u16 index of the dot's actor in the context
//               u64 counter of the dot
//               u8 flags: 1 tombstone, 2 has an expiry
//               u64 timestamp
//               u64 expiry, if it has one
//               u32 size of the value, then the value
#include "model/record.h"

#include "base/hash.h"
#include "base/little.h"

enum {
    FORMAT_VERSION = 1,
    FLAG_TOMBSTONE = 1,
    FLAG_EXPIRES = 2,
    FLAGS = FLAG_TOMBSTONE | FLAG_EXPIRES,
    SIBLING_HEAD_SIZE = 2 + 8 + 1 + 8 + 4, // without an expiry
    EXPIRY_SIZE = 8,
};

static_assert(SIBLINGS_MAX <= UINT8_MAX, "their count has 8 bits");
static_assert(CONTEXT_MAX <= UINT16_MAX, "an index has 16 bits");

#define DIGEST_SEED 0x71756f6974646967u // "quoitdig"

// Orders what two siblings say, whatever their dots. The format says how, since what is held under
// one dot stands in this order.
static int content_compare(const struct sibling *a, const struct sibling *b) {
    if (a->timestamp != b->timestamp) return a->timestamp < b->timestamp ? -1 : 1;
    if (a->is_tombstone != b->is_tombstone) return a->is_tombstone ? 1 : -1;
    if (a->expires_ms != b->expires_ms) return a->expires_ms < b->expires_ms ? -1 : 1;
    if (a->value.size != b->value.size) return a->value.size < b->value.size ? -1 : 1;
    return a->value.size == 0 ? 0 : memcmp(a->value.data, b->value.data, a->value.size);
}

static int sibling_compare(const struct sibling *a, const struct sibling *b) {
    int order = version_compare(a->dot, b->dot);
    return order != 0 ? order : content_compare(a, b);
}

// Takes one sibling off the front of `rest`; false when there is none.
static bool sibling_decode(struct sibling *s, const struct context *context, struct slice *rest) {
    if (rest->size < SIBLING_HEAD_SIZE) return false;
    const uint8_t *from = rest->data;
    uint16_t index = load_u16(from);
    uint64_t counter = load_u64(from + 2);
    uint8_t flags = from[10];
    if (index >= context->count) return false;
    if (counter == 0 || counter > context->entries[index].counter) return false;
    if ((flags & ~FLAGS) != 0 || flags == FLAGS) return false;

    size_t head = SIBLING_HEAD_SIZE;
    uint64_t expires_ms = 0;
    if (flags & FLAG_EXPIRES) {
        head += EXPIRY_SIZE;
        if (rest->size < head) return false;
        expires_ms = load_u64(from + 19);
        if (expires_ms == 0) return false;
    }
    uint32_t size = load_u32(from + head - 4);
    if (size > rest->size - head || size > VALUE_SIZE_MAX) return false;
    if ((flags & FLAG_TOMBSTONE) && size > 0) return false;

    s->dot.actor = context->entries[index].actor;
    s->dot.counter = counter;
    s->timestamp = load_u64(from + 11);
    s->expires_ms = expires_ms;
    s->is_tombstone = (flags & FLAG_TOMBSTONE) != 0;
    s->value = (struct slice){from + head, size};
    *rest = slice_skip(*rest, head + size);
    return true;
}

static bool decode(struct record *r, struct slice bytes) {
    struct reader in = reader_of(bytes);
    uint8_t version = read_u8(&in);
    context_decode(&r->context, &in);
    uint32_t count = read_u8(&in);
    if (in.failed || version != FORMAT_VERSION) return false;
    if (r->context.count == 0 || count > SIBLINGS_MAX) return false;
    for (uint32_t i = 0; i < count; i++) {
        struct sibling *s = &r->siblings[i];
        if (!sibling_decode(s, &r->context, &in.rest)) return false;
        if (i > 0 && sibling_compare(s - 1, s) >= 0) return false;
    }
    r->sibling_count = count;
    return in.rest.size == 0;
}

enum status record_decode(struct record *r, struct slice bytes) {
    record_clear(r);
    if (bytes.size == 0 || decode(r, bytes)) return ST_OK;
    record_clear(r);
    return ST_CORRUPT;
}

size_t record_encoded_size(const struct record *r) {
    if (r->context.count == 0) return 0;
    size_t size = 1 + context_encoded_size(&r->context) + 1;
    for (uint32_t i = 0; i < r->sibling_count; i++) {
        const struct sibling *s = &r->siblings[i];
        size += SIBLING_HEAD_SIZE + s->value.size;
        if (s->expires_ms != 0) size += EXPIRY_SIZE;
    }
    return size;
}

static uint8_t *sibling_encode(const struct sibling *s, const struct context *context,
                               uint8_t *to) {
    uint32_t index = context_find(context, s->dot.actor);
    must(index < context->count);
    must(s->dot.counter <= context->entries[index].counter);
    must(!s->is_tombstone || (s->value.size == 0 && s->expires_ms == 0));
    must(s->value.size <= VALUE_SIZE_MAX);
    uint32_t flags = (s->is_tombstone ? FLAG_TOMBSTONE : 0) | (s->expires_ms ? FLAG_EXPIRES : 0);
    to = store_u16(to, (uint16_t)index);
    to = store_u64(to, s->dot.counter);
    to = store_u8(to, (uint8_t)flags);
    to = store_u64(to, s->timestamp);
    if (s->expires_ms != 0) to = store_u64(to, s->expires_ms);
    to = store_u32(to, (uint32_t)s->value.size);
    if (s->value.size > 0) memcpy(to, s->value.data, s->value.size);
    return to + s->value.size;
}

void record_encode(const struct record *r, struct writer *w) {
    must(r->sibling_count <= SIBLINGS_MAX);
    must(r->context.count > 0 || r->sibling_count == 0);
    size_t size = record_encoded_size(r);
    if (size == 0) return;
    if (w->failed || size > w->capacity - w->size) {
        w->failed = true;
        return;
    }
    const uint8_t *end = w->data + w->size + size;
    write_u8(w, FORMAT_VERSION);
    context_encode(&r->context, w);
    uint8_t *to = store_u8(w->data + w->size, (uint8_t)r->sibling_count);
    for (uint32_t i = 0; i < r->sibling_count; i++) {
        to = sibling_encode(&r->siblings[i], &r->context, to);
    }
    must(to == end);
    w->size = (size_t)(to - w->data);
}

// Whether the record holds something under the dot. `at`: where among its siblings one of that dot
// would stand.
static bool holds_at(const struct record *r, uint32_t at, struct version dot) {
    if (at < r->sibling_count && version_compare(r->siblings[at].dot, dot) == 0) return true;
    return at > 0 && version_compare(r->siblings[at - 1].dot, dot) == 0;
}

// The union of both sides' siblings less what a side superseded: knows of, but does not hold.
static enum status merge_siblings(const struct record *a, const struct record *b,
                                  struct record *out, bool *conflict) {
    uint32_t i = 0;
    uint32_t j = 0;
    while (i < a->sibling_count || j < b->sibling_count) {
        const struct sibling *mine = &a->siblings[i]; // past the end, never looked at
        const struct sibling *theirs = &b->siblings[j];
        int order = i == a->sibling_count   ? 1
                    : j == b->sibling_count ? -1
                                            : sibling_compare(mine, theirs);
        const struct sibling *next = order <= 0 ? mine : theirs;
        bool is_kept = true;
        if (order != 0) {
            const struct record *other = order < 0 ? b : a;
            bool has_other_content = holds_at(other, order < 0 ? j : i, next->dot);
            *conflict |= has_other_content;
            is_kept = has_other_content || !context_covers(&other->context, next->dot);
        }
        i += order <= 0;
        j += order >= 0;
        if (!is_kept) continue;
        if (out->sibling_count == SIBLINGS_MAX) return ST_TOO_LARGE;
        out->siblings[out->sibling_count++] = *next;
    }
    return ST_OK;
}

enum status record_merge(const struct record *a, const struct record *b, struct record *out,
                         bool *conflict) {
    must(out != a);
    must(out != b);
    bool differs = false;
    out->sibling_count = 0;
    context_copy(&out->context, &a->context);
    enum status status = context_join(&out->context, &b->context);
    if (status == ST_OK) status = merge_siblings(a, b, out, &differs);
    if (status != ST_OK) record_clear(out);
    if (conflict != NULL) *conflict = differs;
    return status;
}

static enum status sibling_add(struct record *out, const struct sibling *s) {
    if (out->sibling_count == SIBLINGS_MAX) return ST_TOO_LARGE;
    out->siblings[out->sibling_count++] = *s;
    return ST_OK;
}

// The siblings of `a` that `seen` does not cover, and the new one, in the order of their dots.
static enum status update_siblings(const struct record *a, const struct context *seen,
                                   const struct sibling *written, struct record *out) {
    enum status status = ST_OK;
    bool added = false;
    size_t size_before = 0;
    size_t size_after = written->value.size;
    for (uint32_t i = 0; i < a->sibling_count && status == ST_OK; i++) {
        const struct sibling *s = &a->siblings[i];
        if (!added && version_compare(written->dot, s->dot) < 0) {
            status = sibling_add(out, written);
            added = true;
        }
        size_before += s->value.size;
        if (status != ST_OK || context_covers(seen, s->dot)) continue;
        size_after += s->value.size;
        status = sibling_add(out, s);
    }
    if (status == ST_OK && !added) status = sibling_add(out, written);
    if (status != ST_OK) return status;
    if (out->sibling_count == 1) return ST_OK;
    uint32_t count_max =
        a->sibling_count > SIBLINGS_WRITE_MAX ? a->sibling_count : (uint32_t)SIBLINGS_WRITE_MAX;
    size_t size_max = size_before > SIBLINGS_SIZE_MAX ? size_before : SIBLINGS_SIZE_MAX;
    bool fits = out->sibling_count <= count_max && size_after <= size_max;
    return fits ? ST_OK : ST_TOO_LARGE;
}

enum status record_update(const struct record *a, const struct context *seen,
                          const struct sibling *written, struct record *out) {
    must(out != a);
    must(!context_covers(&a->context, written->dot));
    must(!written->is_tombstone || (written->value.size == 0 && written->expires_ms == 0));
    record_clear(out);
    if (written->value.size > VALUE_SIZE_MAX) return ST_TOO_LARGE;
    if (context_covers(seen, written->dot)) return ST_INVALID;
    context_copy(&out->context, &a->context);
    enum status status = context_join(&out->context, seen);
    if (status == ST_OK) status = context_add(&out->context, written->dot);
    if (status == ST_OK) status = update_siblings(a, seen, written, out);
    if (status != ST_OK) record_clear(out);
    return status;
}

void record_context_of_writer(const struct record *r, const struct context *seen,
                              struct version own, struct context *out) {
    must(out != seen);
    uint32_t contents = 0; // under the own dot: others, too, where a data directory was copied
    for (uint32_t i = 0; i < r->sibling_count; i++) {
        contents += version_compare(r->siblings[i].dot, own) == 0;
    }
    context_clear(out);
    for (uint32_t i = 0; i < r->context.count; i++) {
        struct version known = r->context.entries[i];
        for (uint32_t j = 0; j < r->sibling_count; j++) {
            struct version dot = r->siblings[j].dot;
            bool is_of_actor = actor_compare(dot.actor, known.actor) == 0;
            bool is_own = contents == 1 && version_compare(dot, own) == 0;
            if (!is_of_actor || is_own) continue;
            if (dot.counter <= known.counter && !context_covers(seen, dot)) {
                known.counter = dot.counter - 1;
            }
        }
        if (known.counter > 0) out->entries[out->count++] = known; // they ascend as those of r
    }
}

struct record_share record_share_of(const struct record *r, uint64_t storage) {
    struct record_share share = {0};
    for (uint32_t i = 0; i < r->sibling_count; i++) {
        const struct sibling *s = &r->siblings[i];
        if (s->dot.actor.storage != storage) continue;
        share.sibling_count++;
        share.values_size += s->value.size;
    }
    return share;
}

bool record_has_value(const struct record *r) {
    for (uint32_t i = 0; i < r->sibling_count; i++) {
        if (!r->siblings[i].is_tombstone) return true;
    }
    return false;
}

const struct sibling *record_latest(const struct record *r) {
    const struct sibling *latest = NULL;
    for (uint32_t i = 0; i < r->sibling_count; i++) {
        const struct sibling *s = &r->siblings[i];
        if (latest == NULL || s->timestamp >= latest->timestamp) latest = s; // the dots ascend
    }
    return latest;
}

const struct sibling *record_visible(const struct record *r, uint64_t now_ms) {
    const struct sibling *latest = record_latest(r);
    if (latest == NULL || latest->is_tombstone) return NULL;
    if (latest->expires_ms != 0 && latest->expires_ms <= now_ms) return NULL;
    return latest;
}

// Bytes from the front of an encoded record to its first sibling; more than there are when it is
// cut short.
static size_t front_size(struct slice record) {
    if (record.size < 1 + 2) return SIZE_MAX;
    return 1 + 2 + (size_t)load_u16(record.data + 1) * CONTEXT_ENTRY_ENCODED_SIZE + 1;
}

uint64_t record_digest(struct slice key, struct slice record) {
    uint64_t digest = hash_bytes(key, DIGEST_SEED);
    size_t at = front_size(record);
    if (at > record.size) return hash_bytes(record, digest);

    // Each round takes in everything from the end of one value to the start of the next, so that a
    // record of one sibling costs one hash.
    size_t from = 0;
    for (uint32_t i = record.data[at - 1]; i > 0 && record.size - at >= SIBLING_HEAD_SIZE; i--) {
        size_t head = SIBLING_HEAD_SIZE;
        if (record.data[at + 10] & FLAG_EXPIRES) head += EXPIRY_SIZE;
        if (head > record.size - at) break;
        at += head;
        digest = hash_bytes((struct slice){record.data + from, at - from}, digest);
        uint32_t size = load_u32(record.data + at - 4);
        if (size > record.size - at) break;
        at += size;
        from = at;
    }
    if (from == record.size) return digest;
    return hash_bytes(slice_skip(record, from), digest);
}
