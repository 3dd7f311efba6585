// SPDX-License-Identifier: Apache-2.0
#include "model/context.h"

#include "base/little.h"

uint32_t context_find(const struct context *c, struct actor actor) {
    // Nearly every context has as few entries as the key has replicas.
    uint32_t low = 0;
    uint32_t high = c->count;
    while (high - low > 4) {
        // Every entry before low is below the actor, every one from high on is not.
        uint32_t middle = low + (high - low) / 2;
        if (actor_compare(c->entries[middle].actor, actor) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    while (low < c->count) {
        int order = actor_compare(c->entries[low].actor, actor);
        if (order == 0) return low;
        if (order > 0) break;
        low++;
    }
    return c->count;
}

bool context_descends(const struct context *a, const struct context *b) {
    uint32_t i = 0;
    uint32_t j = 0;
    while (j < b->count) {
        int order = i == a->count ? 1 : actor_compare(a->entries[i].actor, b->entries[j].actor);
        if (order > 0) return false;
        if (order == 0 && a->entries[i].counter < b->entries[j].counter) return false;
        i++;
        j += order == 0;
    }
    return true;
}

struct version context_latest(const struct context *c, uint64_t storage) {
    struct version latest = {0};
    for (uint32_t i = 0; i < c->count && c->entries[i].actor.storage <= storage; i++) {
        if (c->entries[i].actor.storage == storage) latest = c->entries[i];
    }
    return latest;
}

enum status context_add(struct context *c, struct version version) {
    must(version.actor.epoch > 0);
    must(version.counter > 0);
    uint32_t place = 0;
    while (place < c->count && actor_compare(c->entries[place].actor, version.actor) < 0) place++;
    struct version *entry = &c->entries[place];
    if (place < c->count && actor_compare(entry->actor, version.actor) == 0) {
        if (entry->counter < version.counter) entry->counter = version.counter;
        return ST_OK;
    }
    if (c->count == CONTEXT_MAX) return ST_HISTORY_FULL;
    memmove(entry + 1, entry, (c->count - place) * sizeof(*entry));
    *entry = version;
    c->count++;
    return ST_OK;
}

// How many actors stand in either.
static uint32_t joined_count(const struct context *a, const struct context *b) {
    uint32_t count = a->count + b->count;
    uint32_t i = 0;
    uint32_t j = 0;
    while (i < a->count && j < b->count) {
        int order = actor_compare(a->entries[i].actor, b->entries[j].actor);
        i += order <= 0;
        j += order >= 0;
        count -= order == 0;
    }
    return count;
}

enum status context_join(struct context *c, const struct context *other) {
    // The two that nearly every write meets.
    if (c->count == 0) {
        context_copy(c, other);
        return ST_OK;
    }
    if (context_descends(c, other)) return ST_OK;
    uint32_t count = joined_count(c, other);
    if (count > CONTEXT_MAX) return ST_HISTORY_FULL;

    // From the back, so that every entry moves once, into a place that is free by then.
    uint32_t i = c->count;
    uint32_t j = other->count;
    uint32_t to = count;
    while (j > 0) {
        const struct version *theirs = &other->entries[j - 1];
        int order = i == 0 ? -1 : actor_compare(c->entries[i - 1].actor, theirs->actor);
        if (order == 0) {
            struct version both = c->entries[--i];
            if (both.counter < theirs->counter) both.counter = theirs->counter;
            c->entries[--to] = both;
            j--;
        } else if (order < 0) {
            c->entries[--to] = *theirs;
            j--;
        } else {
            c->entries[--to] = c->entries[--i];
        }
    }
    must(to == i); // what is left of c stands where it belongs
    c->count = count;
    return ST_OK;
}

void context_copy(struct context *to, const struct context *from) {
    must(from->count <= CONTEXT_MAX);
    to->count = from->count;
    memcpy(to->entries, from->entries, from->count * sizeof(*from->entries));
}

void context_encode(const struct context *c, struct writer *w) {
    must(c->count <= CONTEXT_MAX);
    size_t size = context_encoded_size(c);
    if (w->failed || size > w->capacity - w->size) {
        w->failed = true;
        return;
    }
    uint8_t *to = store_u16(w->data + w->size, (uint16_t)c->count);
    for (uint32_t i = 0; i < c->count; i++) {
        to = store_u64(to, c->entries[i].actor.storage);
        to = store_u32(to, c->entries[i].actor.epoch);
        to = store_u64(to, c->entries[i].counter);
    }
    w->size += size;
}

void context_decode(struct context *c, struct reader *r) {
    context_clear(c);
    uint32_t count = read_u16(r);
    if (count > CONTEXT_MAX) r->failed = true;
    const uint8_t *from = read_bytes(r, (size_t)count * CONTEXT_ENTRY_ENCODED_SIZE).data;
    if (r->failed) return;
    for (uint32_t i = 0; i < count; i++, from += CONTEXT_ENTRY_ENCODED_SIZE) {
        struct version *entry = &c->entries[i];
        entry->actor = (struct actor){load_u64(from), load_u32(from + 8)};
        entry->counter = load_u64(from + 12);
        bool ascends = i == 0 || actor_compare(c->entries[i - 1].actor, entry->actor) < 0;
        if (!ascends || entry->actor.epoch == 0 || entry->counter == 0) {
            r->failed = true;
            return;
        }
    }
    c->count = count;
}
