// SPDX-License-Identifier: Apache-2.0
#include "wire/message.h"

const char *message_name(enum message_type type) {
    switch (type) {
#define X(name)                                                                                    \
    case MESSAGE_##name:                                                                           \
        return #name;
        MESSAGE_MAP(X)
#undef X
    case MESSAGE_TYPES:
        break;
    }
    return "unknown";
}

static enum status read_status(struct reader *r) {
    uint8_t value = read_u8(r);
    if (value > ST_FENCED) r->failed = true;
    return r->failed ? ST_INVALID : (enum status)value;
}

static bool read_bool(struct reader *r) {
    uint8_t value = read_u8(r);
    if (value > 1) r->failed = true;
    return value == 1;
}

static enum status verdict(const struct reader *r) {
    return reader_done(r) ? ST_OK : ST_CORRUPT;
}

void message_hello_encode(const struct message_hello *m, struct writer *w) {
    write_sized(w, m->name);
    write_sized(w, m->host);
    write_sized(w, m->rack);
    write_sized(w, m->dc);
    write_sized(w, m->address);
    write_u16(w, m->port);
    write_u16(w, m->shards);
    write_u16(w, m->weight);
    write_u32(w, m->value_size_max);
    write_u16(w, m->members_max);
    write_u8(w, m->copies_max);
    write_u64(w, m->storage);
    write_u8(w, m->is_blank);
    write_u64(w, m->incarnation);
    write_u64(w, m->process);
    write_u64(w, m->nonce);
}

enum status message_hello_decode(struct message_hello *m, struct slice body) {
    struct reader r = reader_of(body);
    m->name = read_sized(&r, NAME_SIZE_MAX);
    m->host = read_sized(&r, NAME_SIZE_MAX);
    m->rack = read_sized(&r, NAME_SIZE_MAX);
    m->dc = read_sized(&r, NAME_SIZE_MAX);
    m->address = read_sized(&r, ADDRESS_SIZE_MAX);
    m->port = read_u16(&r);
    m->shards = read_u16(&r);
    m->weight = read_u16(&r);
    m->value_size_max = read_u32(&r);
    m->members_max = read_u16(&r);
    m->copies_max = read_u8(&r);
    m->storage = read_u64(&r);
    m->is_blank = read_bool(&r);
    m->incarnation = read_u64(&r);
    m->process = read_u64(&r);
    m->nonce = read_u64(&r);
    return verdict(&r);
}

void message_taken_encode(const struct message_taken *m, struct writer *w) {
    write_u8(w, m->is_certain);
}

enum status message_taken_decode(struct message_taken *m, struct slice body) {
    struct reader r = reader_of(body);
    m->is_certain = read_bool(&r);
    return verdict(&r);
}

void message_stranger_encode(const struct message_stranger *m, struct writer *w) {
    write_u64(w, m->storage);
}

enum status message_stranger_decode(struct message_stranger *m, struct slice body) {
    struct reader r = reader_of(body);
    m->storage = read_u64(&r);
    return verdict(&r);
}

void message_vouch_encode(const struct message_vouch *m, struct writer *w) {
    write_u64(w, m->member);
}

enum status message_vouch_decode(struct message_vouch *m, struct slice body) {
    struct reader r = reader_of(body);
    m->member = read_u64(&r);
    return verdict(&r);
}

void message_put_encode(const struct message_put *m, struct writer *w) {
    write_u64(w, m->id);
    write_u8(w, m->flags);
    write_u16(w, m->keyspace);
    write_u16(w, m->slot);
    write_u32(w, m->round);
    write_sized(w, m->key);
    write_sized(w, m->record);
    write_u32(w, m->left_ms);
}

enum status message_put_decode(struct message_put *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->flags = read_u8(&r);
    m->keyspace = read_u16(&r);
    m->slot = read_u16(&r);
    m->round = read_u32(&r);
    m->key = read_sized(&r, KEY_SIZE_MAX);
    m->record = read_sized(&r, UINT32_MAX);
    m->left_ms = read_u32(&r);
    return verdict(&r);
}

void message_put_done_encode(const struct message_put_done *m, struct writer *w) {
    write_u64(w, m->id);
    write_u8(w, (uint8_t)m->status);
    write_u32(w, m->round);
    write_u64(w, m->timestamp);
    write_sized(w, m->context);
}

enum status message_put_done_decode(struct message_put_done *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->status = read_status(&r);
    m->round = read_u32(&r);
    m->timestamp = read_u64(&r);
    m->context = read_sized(&r, UINT32_MAX);
    return verdict(&r);
}

void message_get_encode(const struct message_get *m, struct writer *w) {
    write_u64(w, m->id);
    write_u16(w, m->keyspace);
    write_u16(w, m->slot);
    write_u64(w, m->held);
    write_u16(w, m->target);
    write_u8(w, m->wants_hash);
    write_sized(w, m->key);
    write_u32(w, m->left_ms);
}

enum status message_get_decode(struct message_get *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->keyspace = read_u16(&r);
    m->slot = read_u16(&r);
    m->held = read_u64(&r);
    m->target = read_u16(&r);
    m->wants_hash = read_bool(&r);
    m->key = read_sized(&r, KEY_SIZE_MAX);
    m->left_ms = read_u32(&r);
    return verdict(&r);
}

void message_get_done_encode(const struct message_get_done *m, struct writer *w) {
    write_u64(w, m->id);
    write_u8(w, (uint8_t)m->status);
    write_u8(w, m->is_same);
    write_u32(w, m->round);
    write_u64(w, m->hash);
    write_sized(w, m->record);
}

enum status message_get_done_decode(struct message_get_done *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->status = read_status(&r);
    m->is_same = read_bool(&r);
    m->round = read_u32(&r);
    m->hash = read_u64(&r);
    m->record = read_sized(&r, UINT32_MAX);
    return verdict(&r);
}

void message_forward_encode(const struct message_forward *m, struct writer *w) {
    write_u64(w, m->id);
    write_u8(w, m->kind);
    write_u8(w, m->is_tombstone);
    write_u8(w, m->is_sloppy);
    write_u8(w, m->is_passed_on);
    write_u16(w, m->keyspace);
    write_u32(w, m->need);
    write_u64(w, m->expires_ms);
    write_u64(w, m->timestamp);
    write_u64(w, m->seen_timestamp);
    write_sized(w, m->key);
    write_sized(w, m->value);
    write_sized(w, m->seen);
    write_u32(w, m->left_ms);
}

enum status message_forward_decode(struct message_forward *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->kind = read_u8(&r);
    m->is_tombstone = read_bool(&r);
    m->is_sloppy = read_bool(&r);
    m->is_passed_on = read_bool(&r);
    m->keyspace = read_u16(&r);
    m->need = read_u32(&r);
    m->expires_ms = read_u64(&r);
    m->timestamp = read_u64(&r);
    m->seen_timestamp = read_u64(&r);
    m->key = read_sized(&r, KEY_SIZE_MAX);
    m->value = read_sized(&r, VALUE_SIZE_MAX);
    m->seen = read_sized(&r, UINT32_MAX);
    m->left_ms = read_u32(&r);
    return verdict(&r);
}

void message_forward_done_encode(const struct message_forward_done *m, struct writer *w) {
    write_u64(w, m->id);
    write_u8(w, (uint8_t)m->status);
    write_u32(w, m->need);
    write_u32(w, m->answered);
    write_u64(w, m->storage);
    write_u32(w, m->epoch);
    write_u64(w, m->counter);
    write_sized(w, m->record);
}

enum status message_forward_done_decode(struct message_forward_done *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->status = read_status(&r);
    m->need = read_u32(&r);
    m->answered = read_u32(&r);
    m->storage = read_u64(&r);
    m->epoch = read_u32(&r);
    m->counter = read_u64(&r);
    m->record = read_sized(&r, UINT32_MAX);
    return verdict(&r);
}

void message_scan_encode(const struct message_scan *m, struct writer *w) {
    write_u64(w, m->id);
    write_u32(w, m->cell);
    write_u32(w, m->end);
    write_u32(w, m->limit);
    write_u64(w, m->now_ms);
    write_u8(w, m->flags);
    write_u64(w, m->place);
    write_sized(w, m->from);
    write_sized(w, m->to);
    write_sized(w, m->tag);
    write_u32(w, m->left_ms);
}

enum status message_scan_decode(struct message_scan *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->cell = read_u32(&r);
    m->end = read_u32(&r);
    m->limit = read_u32(&r);
    m->now_ms = read_u64(&r);
    m->flags = read_u8(&r);
    m->place = read_u64(&r);
    m->from = read_sized(&r, KEY_SIZE_MAX);
    m->to = read_sized(&r, KEY_SIZE_MAX);
    m->tag = read_sized(&r, KEY_SIZE_MAX);
    m->left_ms = read_u32(&r);
    return verdict(&r);
}

void message_scan_done_encode(const struct message_scan_done *m, struct writer *w) {
    write_u64(w, m->id);
    write_u8(w, (uint8_t)m->status);
    write_u32(w, m->cell);
    write_sized(w, m->key);
    write_sized(w, m->entries);
}

enum status message_scan_done_decode(struct message_scan_done *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->status = read_status(&r);
    m->cell = read_u32(&r);
    m->key = read_sized(&r, KEY_SIZE_MAX);
    m->entries = read_sized(&r, UINT32_MAX);
    return verdict(&r);
}

void message_listed_write(struct writer *w, const struct message_listed *m) {
    write_u32(w, m->cell);
    write_sized(w, m->key);
    write_u64(w, m->hash);
    write_u8(w, m->is_dead);
    write_sized(w, m->record);
}

void message_listed_read(struct reader *r, struct message_listed *m) {
    m->cell = read_u32(r);
    m->key = read_sized(r, KEY_SIZE_MAX);
    m->hash = read_u64(r);
    m->is_dead = read_bool(r);
    m->record = read_sized(r, UINT32_MAX);
    if (m->key.size == 0) r->failed = true;
}

void message_count_encode(const struct message_count *m, struct writer *w) {
    write_u64(w, m->id);
    write_sized(w, m->up);
    write_u32(w, m->left_ms);
}

enum status message_count_decode(struct message_count *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->up = read_sized(&r, MEMBERS_MAX / 8);
    m->left_ms = read_u32(&r);
    return verdict(&r);
}

void message_count_done_encode(const struct message_count_done *m, struct writer *w) {
    write_u64(w, m->id);
    write_u64(w, m->count);
}

enum status message_count_done_decode(struct message_count_done *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->count = read_u64(&r);
    return verdict(&r);
}

void message_branches_encode(const struct message_branches *m, struct writer *w) {
    write_u64(w, m->id);
    write_sized(w, m->branches);
}

enum status message_branches_decode(struct message_branches *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->branches = read_sized(&r, (size_t)8 * SLOT_GROUPS);
    return verdict(&r);
}

void message_branches_done_encode(const struct message_branches_done *m, struct writer *w) {
    write_u64(w, m->id);
    write_sized(w, m->differ);
}

enum status message_branches_done_decode(struct message_branches_done *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->differ = read_sized(&r, SLOT_GROUPS / 8);
    return verdict(&r);
}

void message_digests_encode(const struct message_digests *m, struct writer *w) {
    write_u64(w, m->id);
    write_u16(w, m->keyspace);
    write_sized(w, m->groups);
    write_sized(w, m->digests);
}

enum status message_digests_decode(struct message_digests *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->keyspace = read_u16(&r);
    m->groups = read_sized(&r, SLOT_GROUPS / 8);
    m->digests = read_sized(&r, (size_t)8 * SLOT_COUNT);
    return verdict(&r);
}

void message_digests_done_encode(const struct message_digests_done *m, struct writer *w) {
    write_u64(w, m->id);
    write_sized(w, m->differ);
}

enum status message_digests_done_decode(struct message_digests_done *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->differ = read_sized(&r, SLOT_COUNT / 8);
    return verdict(&r);
}

void message_leaves_encode(const struct message_leaves *m, struct writer *w) {
    write_u64(w, m->id);
    write_u16(w, m->keyspace);
    write_u16(w, m->slot);
    write_sized(w, m->leaves);
}

enum status message_leaves_decode(struct message_leaves *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->keyspace = read_u16(&r);
    m->slot = read_u16(&r);
    m->leaves = read_sized(&r, (size_t)8 * STORE_LEAVES);
    return verdict(&r);
}

void message_leaves_done_encode(const struct message_leaves_done *m, struct writer *w) {
    write_u64(w, m->id);
    write_u16(w, m->differ);
}

enum status message_leaves_done_decode(struct message_leaves_done *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->differ = read_u16(&r);
    return verdict(&r);
}

void message_compare_encode(const struct message_compare *m, struct writer *w) {
    write_u64(w, m->id);
    write_u16(w, m->keyspace);
    write_u16(w, m->slot);
    write_u32(w, m->round);
    write_u16(w, m->leaves);
    write_u8(w, m->is_last);
    write_sized(w, m->after);
    write_sized(w, m->entries);
}

enum status message_compare_decode(struct message_compare *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->keyspace = read_u16(&r);
    m->slot = read_u16(&r);
    m->round = read_u32(&r);
    m->leaves = read_u16(&r);
    m->is_last = read_bool(&r);
    m->after = read_sized(&r, KEY_SIZE_MAX);
    m->entries = read_sized(&r, UINT32_MAX);
    return verdict(&r);
}

void message_compare_done_encode(const struct message_compare_done *m, struct writer *w) {
    write_u64(w, m->id);
    write_u8(w, m->is_last);
    write_u8(w, m->is_behind);
    write_u32(w, m->round);
    write_sized(w, m->covered);
    write_sized(w, m->wanted);
    write_sized(w, m->records);
}

enum status message_compare_done_decode(struct message_compare_done *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->is_last = read_bool(&r);
    m->is_behind = read_bool(&r);
    m->round = read_u32(&r);
    m->covered = read_sized(&r, KEY_SIZE_MAX);
    m->wanted = read_sized(&r, UINT32_MAX);
    m->records = read_sized(&r, UINT32_MAX);
    return verdict(&r);
}

void message_prepare_encode(const struct message_prepare *m, struct writer *w) {
    write_u64(w, m->instance);
    write_u64(w, m->ballot);
}

enum status message_prepare_decode(struct message_prepare *m, struct slice body) {
    struct reader r = reader_of(body);
    m->instance = read_u64(&r);
    m->ballot = read_u64(&r);
    return verdict(&r);
}

void message_promise_encode(const struct message_promise *m, struct writer *w) {
    write_u64(w, m->instance);
    write_u64(w, m->ballot);
    write_u8(w, (uint8_t)m->status);
    write_u8(w, m->is_reset);
    write_u64(w, m->promised);
    write_u64(w, m->accepted);
    write_sized(w, m->value);
}

enum status message_promise_decode(struct message_promise *m, struct slice body) {
    struct reader r = reader_of(body);
    m->instance = read_u64(&r);
    m->ballot = read_u64(&r);
    m->status = read_status(&r);
    m->is_reset = read_bool(&r);
    m->promised = read_u64(&r);
    m->accepted = read_u64(&r);
    m->value = read_sized(&r, UINT32_MAX);
    return verdict(&r);
}

void message_accept_encode(const struct message_accept *m, struct writer *w) {
    write_u64(w, m->instance);
    write_u64(w, m->ballot);
    write_sized(w, m->value);
}

enum status message_accept_decode(struct message_accept *m, struct slice body) {
    struct reader r = reader_of(body);
    m->instance = read_u64(&r);
    m->ballot = read_u64(&r);
    m->value = read_sized(&r, UINT32_MAX);
    return verdict(&r);
}

void message_accepted_encode(const struct message_accepted *m, struct writer *w) {
    write_u64(w, m->instance);
    write_u64(w, m->ballot);
    write_u8(w, (uint8_t)m->status);
    write_u8(w, m->is_reset);
    write_u64(w, m->promised);
}

enum status message_accepted_decode(struct message_accepted *m, struct slice body) {
    struct reader r = reader_of(body);
    m->instance = read_u64(&r);
    m->ballot = read_u64(&r);
    m->status = read_status(&r);
    m->is_reset = read_bool(&r);
    m->promised = read_u64(&r);
    return verdict(&r);
}

void message_keyspaces_encode(const struct message_keyspaces *m, struct writer *w) {
    write_u64(w, m->id);
    write_u64(w, m->epoch);
}

enum status message_keyspaces_decode(struct message_keyspaces *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->epoch = read_u64(&r);
    return verdict(&r);
}

void message_keyspaces_done_encode(const struct message_keyspaces_done *m, struct writer *w) {
    write_u64(w, m->id);
    write_u64(w, m->epoch);
    write_u8(w, m->held);
}

enum status message_keyspaces_done_decode(struct message_keyspaces_done *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->epoch = read_u64(&r);
    m->held = read_u8(&r);
    return verdict(&r);
}

void message_fences_encode(const struct message_fences *m, struct writer *w) {
    write_u8(w, m->is_question);
    write_sized(w, m->fences);
}

enum status message_fences_decode(struct message_fences *m, struct slice body) {
    struct reader r = reader_of(body);
    m->is_question = read_bool(&r);
    m->fences = read_sized(&r, UINT32_MAX);
    return verdict(&r);
}

void message_purge_encode(const struct message_purge *m, struct writer *w) {
    write_u64(w, m->id);
    write_u64(w, m->author);
    write_u16(w, m->group);
    write_u32(w, m->round);
    write_u8(w, m->is_wide);
    write_sized(w, m->entries);
}

enum status message_purge_decode(struct message_purge *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->author = read_u64(&r);
    m->group = read_u16(&r);
    m->round = read_u32(&r);
    m->is_wide = read_bool(&r);
    m->entries = read_sized(&r, UINT32_MAX);
    return verdict(&r);
}

void message_purge_done_encode(const struct message_purge_done *m, struct writer *w) {
    write_u64(w, m->id);
    write_u8(w, (uint8_t)m->status);
    write_u32(w, m->round);
    write_sized(w, m->held);
}

enum status message_purge_done_decode(struct message_purge_done *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->status = read_status(&r);
    m->round = read_u32(&r);
    m->held = read_sized(&r, UINT32_MAX);
    return verdict(&r);
}

void message_erase_encode(const struct message_erase *m, struct writer *w) {
    write_u64(w, m->author);
    write_u16(w, m->group);
    write_u32(w, m->round);
    write_u64(w, m->floor);
    write_u8(w, m->is_wide);
    write_sized(w, m->entries);
}

enum status message_erase_decode(struct message_erase *m, struct slice body) {
    struct reader r = reader_of(body);
    m->author = read_u64(&r);
    m->group = read_u16(&r);
    m->round = read_u32(&r);
    m->floor = read_u64(&r);
    m->is_wide = read_bool(&r);
    m->entries = read_sized(&r, UINT32_MAX);
    return verdict(&r);
}

void message_hint_encode(const struct message_hint *m, struct writer *w) {
    write_u64(w, m->id);
    write_u16(w, m->target);
    write_u16(w, m->keyspace);
    write_u16(w, m->slot);
    write_u32(w, m->round);
    write_u8(w, m->is_minted);
    write_sized(w, m->key);
    write_sized(w, m->record);
    write_u32(w, m->left_ms);
}

enum status message_hint_decode(struct message_hint *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->target = read_u16(&r);
    m->keyspace = read_u16(&r);
    m->slot = read_u16(&r);
    m->round = read_u32(&r);
    m->is_minted = read_bool(&r);
    m->key = read_sized(&r, KEY_SIZE_MAX);
    m->record = read_sized(&r, UINT32_MAX);
    m->left_ms = read_u32(&r);
    return verdict(&r);
}

void message_hint_done_encode(const struct message_hint_done *m, struct writer *w) {
    write_u64(w, m->id);
    write_u8(w, (uint8_t)m->status);
    write_u32(w, m->round);
}

enum status message_hint_done_decode(struct message_hint_done *m, struct slice body) {
    struct reader r = reader_of(body);
    m->id = read_u64(&r);
    m->status = read_status(&r);
    m->round = read_u32(&r);
    return verdict(&r);
}

void message_condemned_write(struct writer *w, const struct message_condemned *m) {
    write_u16(w, m->keyspace);
    write_u16(w, m->slot);
    write_u64(w, m->digest);
    write_u64(w, m->timestamp);
    write_u8(w, m->is_alive);
    write_sized(w, m->key);
}

void message_condemned_read(struct reader *r, struct message_condemned *m) {
    m->keyspace = read_u16(r);
    m->slot = read_u16(r);
    m->digest = read_u64(r);
    m->timestamp = read_u64(r);
    m->is_alive = read_bool(r);
    m->key = read_sized(r, KEY_SIZE_MAX);
}
