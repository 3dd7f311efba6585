// SPDX-License-Identifier: Apache-2.0
//
// Bytes from a peer: as they come, and as the header and the body of a frame that is sealed, since
// no fuzzer finds a MAC. What was sealed must be opened as it was, and not with a bit flipped.
#include "fuzz/fuzz.h"

#include "wire/frame.h"

enum { BODY_MAX = 4096 };

static const struct mac_key secret = {{1, 2, 3}};
static uint8_t bytes[FRAME_HEADER_SIZE + BODY_MAX];

static bool opens(uint32_t size, uint64_t number, struct frame *frame) {
    uint32_t found = 0;
    if (frame_peek((struct slice){bytes, size}, BODY_MAX, &found) != ST_OK) return false;
    return found == size && frame_open(bytes, size, &secret, number, frame) == ST_OK;
}

static void check_sealed(struct slice input) {
    struct frame header = {0};
    struct frame opened;
    struct reader r = reader_of(input);
    uint32_t flip = read_u16(&r);
    uint64_t number = read_u64(&r);
    header.type = read_u8(&r);
    header.from_shard = read_u16(&r);
    header.to_shard = read_u16(&r);
    header.epoch = read_u64(&r);
    struct slice cluster = read_bytes(&r, FRAME_CLUSTER_SIZE);
    if (r.failed || r.rest.size > BODY_MAX) return;
    memcpy(header.cluster, cluster.data, FRAME_CLUSTER_SIZE);
    if (r.rest.size > 0) memcpy(bytes + FRAME_HEADER_SIZE, r.rest.data, r.rest.size);
    frame_seal(bytes, (uint32_t)r.rest.size, &header, &secret, number);

    uint32_t size = FRAME_HEADER_SIZE + (uint32_t)r.rest.size;
    must(opens(size, number, &opened));
    must(opened.type == header.type);
    must(opened.from_shard == header.from_shard);
    must(opened.to_shard == header.to_shard);
    must(opened.epoch == header.epoch);
    must(memcmp(opened.cluster, header.cluster, FRAME_CLUSTER_SIZE) == 0);
    must(slice_equal(opened.body, r.rest));
    must(!opens(size, number + 1, &opened));
    bytes[flip / 8 % size] ^= (uint8_t)(1u << flip % 8);
    must(!opens(size, number, &opened));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice input = {data, size};
    uint32_t found = 0;
    enum status st = frame_peek(input, BODY_MAX, &found);
    if (st == ST_OK) must(found <= FRAME_HEADER_SIZE + BODY_MAX);
    check_sealed(input);
    return 0;
}
