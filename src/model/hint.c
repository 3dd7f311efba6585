// SPDX-License-Identifier: Apache-2.0
#include "model/hint.h"

#include "base/hash.h"

enum { TARGET_AT = 0, KEYSPACE_AT = 2, HASH_AT = 4 };

#define HASH_SEED 0x71756f69746869u // "quoithi"

static void put_u16(uint8_t *to, uint16_t value) {
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static uint16_t get_u16(const uint8_t *from) {
    return (uint16_t)(from[0] << 8 | from[1]);
}

void hint_key_write(uint8_t to[HINT_KEY_SIZE], uint16_t target, uint16_t keyspace,
                    struct slice key) {
    uint64_t hash = __builtin_bswap64(hash_bytes(key, HASH_SEED));
    put_u16(to + TARGET_AT, target);
    put_u16(to + KEYSPACE_AT, keyspace);
    memcpy(to + HASH_AT, &hash, sizeof(hash));
}

void hint_key_first(uint8_t to[HINT_KEY_SIZE], uint16_t target) {
    memset(to, 0, HINT_KEY_SIZE);
    put_u16(to + TARGET_AT, target);
}

bool hint_key_read(struct slice bytes, uint16_t *target, uint16_t *keyspace) {
    if (bytes.size != HINT_KEY_SIZE) return false;
    *target = get_u16(bytes.data + TARGET_AT);
    *keyspace = get_u16(bytes.data + KEYSPACE_AT);
    return true;
}

void hint_encode_head(uint32_t round, struct slice key, size_t record_size, struct writer *w) {
    write_u8(w, HINT_VERSION);
    write_u32(w, round);
    write_sized(w, key);
    write_u32(w, (uint32_t)record_size);
}

void hint_encode(const struct hint *hint, struct writer *w) {
    hint_encode_head(hint->round, hint->key, hint->record.size, w);
    write_bytes(w, hint->record);
}

enum status hint_decode(struct hint *hint, struct slice value) {
    struct reader r = reader_of(value);
    uint8_t version = read_u8(&r);
    hint->round = read_u32(&r);
    hint->key = read_sized(&r, KEY_SIZE_MAX);
    hint->record = read_sized(&r, UINT32_MAX);
    bool is_good = version == HINT_VERSION && hint->key.size > 0;
    return is_good && reader_done(&r) ? ST_OK : ST_CORRUPT;
}
