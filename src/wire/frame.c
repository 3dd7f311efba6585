// SPDX-License-Identifier: Apache-2.0
#include "wire/frame.h"

enum { CHECKSUM_AT = 36, MAC_AT = 40, CHECKSUM_SEED = 0x5146 };

static const uint8_t magic[2] = {'Q', 'F'};

static uint32_t header_checksum(const uint8_t *bytes) {
    return (uint32_t)hash_bytes((struct slice){bytes, CHECKSUM_AT}, CHECKSUM_SEED);
}

// The MAC covers header and body, which the MAC itself separates. Hashing them in one piece means
// to have the number of the frame stand in the place of the MAC for the time of hashing.
static struct mac mac_in_place(uint8_t *bytes, uint32_t size, const struct mac_key *key,
                               uint64_t number) {
    struct writer w = writer_to(bytes + MAC_AT, MAC_SIZE);
    write_u64(&w, number);
    write_u64(&w, size);
    must(!w.failed);
    return mac_of(key, (struct slice){bytes, size});
}

void frame_seal(uint8_t *bytes, uint32_t body_size, const struct frame *header,
                const struct mac_key *key, uint64_t number) {
    struct writer w = writer_to(bytes, FRAME_HEADER_SIZE);
    write_bytes(&w, (struct slice){magic, sizeof(magic)});
    write_u8(&w, FRAME_VERSION);
    write_u8(&w, header->type);
    write_u32(&w, body_size);
    write_u16(&w, header->from_shard);
    write_u16(&w, header->to_shard);
    write_u64(&w, header->epoch);
    write_bytes(&w, (struct slice){header->cluster, FRAME_CLUSTER_SIZE});
    must(w.size == CHECKSUM_AT);
    write_u32(&w, header_checksum(bytes));
    must(!w.failed);
    struct mac mac = mac_in_place(bytes, FRAME_HEADER_SIZE + body_size, key, number);
    memcpy(bytes + MAC_AT, mac.bytes, MAC_SIZE);
}

enum status frame_peek(struct slice bytes, uint32_t body_max, uint32_t *size) {
    if (bytes.size < FRAME_HEADER_SIZE) return ST_BUSY;
    struct reader r = reader_of((struct slice){bytes.data, FRAME_HEADER_SIZE});
    struct slice found = read_bytes(&r, sizeof(magic));
    uint8_t version = read_u8(&r);
    (void)read_u8(&r);
    uint32_t body_size = read_u32(&r);
    r.rest = (struct slice){bytes.data + CHECKSUM_AT, 4};
    if (!slice_equal(found, (struct slice){magic, sizeof(magic)})) return ST_CORRUPT;
    if (version != FRAME_VERSION) return ST_CORRUPT;
    if (read_u32(&r) != header_checksum(bytes.data)) return ST_CORRUPT;
    if (body_size > body_max) return ST_TOO_LARGE;
    *size = FRAME_HEADER_SIZE + body_size;
    return ST_OK;
}

enum status frame_open(uint8_t *bytes, uint32_t size, const struct mac_key *key, uint64_t number,
                       struct frame *frame) {
    must(size >= FRAME_HEADER_SIZE);
    struct reader r = reader_of((struct slice){bytes, size});
    (void)read_bytes(&r, sizeof(magic) + 1);
    frame->type = read_u8(&r);
    uint32_t body_size = read_u32(&r);
    frame->from_shard = read_u16(&r);
    frame->to_shard = read_u16(&r);
    frame->epoch = read_u64(&r);
    struct slice cluster = read_bytes(&r, FRAME_CLUSTER_SIZE);
    memcpy(frame->cluster, cluster.data, FRAME_CLUSTER_SIZE);
    (void)read_u32(&r);
    struct mac found;
    memcpy(found.bytes, read_bytes(&r, MAC_SIZE).data, MAC_SIZE);
    frame->body = r.rest;
    must(frame->body.size == body_size);

    struct mac wanted = mac_in_place(bytes, size, key, number);
    memcpy(bytes + MAC_AT, found.bytes, MAC_SIZE);
    return mac_equal(&wanted, &found) ? ST_OK : ST_CORRUPT;
}

struct mac_key frame_key(const struct mac_key *secret, uint64_t dialer_nonce,
                         uint64_t acceptor_nonce, bool from_dialer) {
    uint8_t bytes[32];
    struct writer w = writer_to(bytes, sizeof(bytes));
    write_bytes(&w, SLICE("quoit connection"));
    must(w.size == 16);
    write_u64(&w, dialer_nonce);
    write_u64(&w, acceptor_nonce ^ (from_dialer ? 0 : UINT64_MAX));
    must(!w.failed);
    struct mac mac = mac_of(secret, writer_bytes(&w));
    struct mac_key key;
    static_assert(sizeof(key) == sizeof(mac), "a MAC is as long as a key");
    memcpy(&key, &mac, sizeof(key));
    return key;
}
