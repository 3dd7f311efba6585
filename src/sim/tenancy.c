// SPDX-License-Identifier: Apache-2.0
#include "sim/tenancy.h"

#include "base/text.h"
#include "sim/memory.h"

#include <stdio.h>

void tenancy_init(struct tenancy *t, struct oracle *oracle) {
    *t = (struct tenancy){.oracle = oracle};
}

void tenancy_free(struct tenancy *t) {
    memory_give(t->writes);
    memory_give(t->flushes);
}

uint32_t tenancy_add_key(struct tenancy *t, const char *name, uint32_t prefix) {
    must(t->key_count < TENANCY_KEYS_MAX);
    struct tenancy_key *key = &t->keys[t->key_count];
    (void)snprintf(key->name, sizeof(key->name), "%s", name);
    key->prefix = prefix;
    key->latest = ORACLE_NONE;
    return t->key_count++;
}

static struct tenancy_span span_from(uint64_t now) {
    return (struct tenancy_span){.begin = now, .end = UINT64_MAX};
}

static void end_span(struct tenancy_span *span, enum outcome outcome, uint64_t now) {
    span->outcome = outcome;
    if (outcome != OUTCOME_UNKNOWN) span->end = now;
}

uint32_t tenancy_begin_write(struct tenancy *t, uint32_t key, bool is_delete, uint64_t now) {
    must(key < t->key_count);
    t->writes = memory_grow(t->writes, (size_t)t->write_count + 1, sizeof(*t->writes));
    t->writes[t->write_count] = (struct tenancy_write){
        .span = span_from(now),
        .key = key,
        .earlier = t->keys[key].latest,
        .is_delete = is_delete,
    };
    t->keys[key].latest = t->write_count;
    return t->write_count++;
}

void tenancy_end_write(struct tenancy *t, uint32_t write, enum outcome outcome, uint64_t now) {
    end_span(&t->writes[write].span, outcome, now);
}

uint32_t tenancy_begin_flush(struct tenancy *t, uint64_t now) {
    t->flushes = memory_grow(t->flushes, (size_t)t->flush_count + 1, sizeof(*t->flushes));
    t->flushes[t->flush_count] = span_from(now);
    return t->flush_count++;
}

void tenancy_end_flush(struct tenancy *t, uint32_t flush, enum outcome outcome, uint64_t now) {
    end_span(&t->flushes[flush], outcome, now);
}

void tenancy_settle(struct tenancy *t, uint64_t now) {
    for (uint32_t i = 0; i < t->flush_count; i++) {
        struct tenancy_span *flush = &t->flushes[i];
        if (flush->outcome == OUTCOME_UNKNOWN && flush->end == UINT64_MAX) flush->end = now;
    }
}

void tenancy_value(uint32_t write, char *to) {
    (void)snprintf(to, TENANCY_VALUE_MAX, "t%u", write);
}

// The write of the key that made the value, or ORACLE_NONE.
static uint32_t writer_of(const struct tenancy *t, uint32_t key, struct slice value) {
    uint64_t number = 0;
    bool is_ours = value.size > 1 && value.data[0] == 't' &&
                   text_to_u64(slice_skip(value, 1), &number) && number < t->write_count;
    if (!is_ours) return ORACLE_NONE;
    const struct tenancy_write *w = &t->writes[number];
    return w->key == key && !w->is_delete ? (uint32_t)number : ORACLE_NONE;
}

// What may have happened, and not certainly before that moment.
static bool may_follow(const struct tenancy_span *span, uint64_t moment) {
    return span->outcome != OUTCOME_NOT_DONE && span->end >= moment;
}

static bool is_done_before(const struct tenancy_span *span, uint64_t moment) {
    return span->outcome == OUTCOME_OK && span->end < moment;
}

static bool may_be_flushed(const struct tenancy *t, const struct tenancy_write *w) {
    for (uint32_t i = 0; i < t->flush_count; i++) {
        if (may_follow(&t->flushes[i], w->span.begin)) return true;
    }
    return false;
}

// Another call may have taken the place of what this one wrote. Only deletes: may have taken it
// away.
static bool may_be_replaced(const struct tenancy *t, uint32_t write, bool only_deletes) {
    const struct tenancy_write *w = &t->writes[write];
    for (uint32_t i = t->keys[w->key].latest; i != ORACLE_NONE; i = t->writes[i].earlier) {
        const struct tenancy_write *other = &t->writes[i];
        if (i == write || (only_deletes && !other->is_delete)) continue;
        if (may_follow(&other->span, w->span.begin)) return true;
    }
    return false;
}

// What a read that began then has to show, whatever else happened; or ORACLE_NONE.
static uint32_t certain_write(const struct tenancy *t, uint32_t key, uint64_t begin) {
    for (uint32_t i = t->keys[key].latest; i != ORACLE_NONE; i = t->writes[i].earlier) {
        const struct tenancy_write *w = &t->writes[i];
        if (w->is_delete || !is_done_before(&w->span, begin)) continue;
        if (!may_be_replaced(t, i, false) && !may_be_flushed(t, w)) return i;
    }
    return ORACLE_NONE;
}

// A call that was done before that moment, and began after the other was: it came behind it.
static bool is_behind(const struct tenancy_span *span, const struct tenancy_span *other,
                      uint64_t moment) {
    return is_done_before(span, moment) && is_done_before(other, span->begin);
}

static void judge_value(struct tenancy *t, uint32_t key, uint64_t begin, uint32_t write) {
    const struct tenancy_write *w = &t->writes[write];
    const char *name = t->keys[key].name;
    if (w->span.outcome == OUTCOME_NOT_DONE) {
        oracle_fail(t->oracle, "O28 key=%s t%u was certainly not done and is read", name, write);
    }
    for (uint32_t i = 0; i < t->flush_count; i++) {
        if (!is_behind(&t->flushes[i], &w->span, begin)) continue;
        oracle_fail(t->oracle, "O28 key=%s t%u is read after a flush", name, write);
    }
    for (uint32_t i = t->keys[key].latest; i != ORACLE_NONE; i = t->writes[i].earlier) {
        const struct tenancy_write *other = &t->writes[i];
        if (!is_behind(&other->span, &w->span, begin)) continue;
        oracle_fail(t->oracle, "O28 key=%s t%u is read, the later t%u was acknowledged before%s",
                    name, write, i, other->is_delete ? ", a DEL" : "");
    }
}

// Whether a flush has taken a value of the key, that nobody may see any more.
static bool was_flushed(const struct tenancy *t, uint32_t key, uint64_t begin) {
    for (uint32_t i = t->keys[key].latest; i != ORACLE_NONE; i = t->writes[i].earlier) {
        const struct tenancy_write *w = &t->writes[i];
        if (w->is_delete) continue;
        for (uint32_t j = 0; j < t->flush_count; j++) {
            if (is_behind(&t->flushes[j], &w->span, begin)) return true;
        }
    }
    return false;
}

void tenancy_judge_read(struct tenancy *t, uint32_t key, uint64_t begin, struct slice value) {
    const char *name = t->keys[key].name;
    uint32_t wanted = certain_write(t, key, begin);
    uint32_t found = ORACLE_NONE;
    t->counts.reads++;
    t->counts.certain += wanted != ORACLE_NONE;
    t->counts.flushed += was_flushed(t, key, begin);
    if (value.data != NULL) {
        found = writer_of(t, key, value);
        if (found == ORACLE_NONE) {
            oracle_fail(t->oracle, "O28 key=%s read=%.*s was never written to it", name,
                        (int)(value.size < 40 ? value.size : 40), (const char *)value.data);
            return;
        }
        judge_value(t, key, begin, found);
    }
    if (wanted == ORACLE_NONE || wanted == found) return;
    oracle_fail(t->oracle, "O28 key=%s the acknowledged t%u is lost", name, wanted);
}

void tenancy_judge_move(struct tenancy *t, uint32_t prefix, uint64_t begin) {
    t->counts.moves++;
    for (uint32_t i = 0; i < t->write_count; i++) {
        const struct tenancy_write *w = &t->writes[i];
        if (t->keys[w->key].prefix != prefix || w->is_delete) continue;
        if (!is_done_before(&w->span, begin)) continue;
        if (may_be_replaced(t, i, true) || may_be_flushed(t, w)) continue;
        oracle_fail(t->oracle, "O29 key=%s its keyspace was moved, and t%u was live",
                    t->keys[w->key].name, i);
    }
}
