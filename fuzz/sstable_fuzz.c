// SPDX-License-Identifier: Apache-2.0
//
// Bytes from a file of a table: a piece and a footer as they lie there; the same under checksums
// that are made for them, since no fuzzer finds one; an index; and compressed bytes. What is
// accepted must encode to the bytes it was decoded from, and a search in an index whose separators
// ascend must find what a walk finds.
#include "fuzz/fuzz.h"

#include "base/codec.h"
#include "store/compress.h"

#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 4096, RAW_MAX = 64 * 1024, FOOTER_COVERED = 84 };

static uint8_t bytes[PIECE_HEAD + INPUT_MAX + SSTABLE_UNIT];
static uint8_t expanded[RAW_MAX];
static uint8_t stored[RAW_MAX];
static uint8_t again[RAW_MAX];

// Made at its first use.
static struct compressor *compressor(void) {
    static struct compressor made;
    static bool is_made;
    if (is_made) return &made;
    size_t size = (compressor_memory_size(true) + 63) / 64 * 64;
    void *memory = aligned_alloc(64, size);
    must(memory != NULL);
    memset(memory, 0, size);
    struct arena arena = arena_over(memory, size);
    compressor_init(&made, &arena, true);
    is_made = true;
    return &made;
}

// What came out must come out again of what a compressor makes of it.
static void check_compressed(enum codec codec, struct slice raw) {
    struct piece p = piece_fill(compressor(), codec, raw, stored);
    must(p.codec == CODEC_NONE ? p.size == raw.size : p.codec == codec && p.size < raw.size);
    struct slice found;
    must(piece_expand(compressor(), &p, (struct slice){stored, p.size}, again, &found) == ST_OK);
    must(slice_equal(found, raw));
}

// Expands what nobody vouches for, where sanitizers see each byte beyond its end: the content lies
// at the end of the input, and what becomes of it at the end of its memory.
static void check_expand(const struct piece *p, struct slice content) {
    struct slice raw;
    uint8_t *to = expanded + sizeof(expanded) - p->raw_size;
    if (piece_expand(compressor(), p, content, to, &raw) != ST_OK) return;
    must(raw.size == p->raw_size);
    for (enum codec codec = CODEC_LZ4; codec < CODECS; codec++) check_compressed(codec, raw);
}

// A codec, the raw size, and the content.
static void check_sealed(struct slice input) {
    struct reader r = reader_of(input);
    struct piece p = {.codec = (enum codec)(read_u8(&r) % 16)};
    p.raw_size = read_u16(&r);
    p.size = (uint32_t)r.rest.size;
    if (r.failed) return;
    memcpy(bytes + PIECE_HEAD, r.rest.data, r.rest.size);
    uint64_t size = piece_seal(1, SSTABLE_UNIT, &p, bytes);
    struct piece found;
    struct slice content;
    struct slice sealed = {bytes, size};
    bool is_known = p.codec == CODEC_NONE ? p.size == p.raw_size : p.codec < CODECS;
    enum status status = piece_open(1, SSTABLE_UNIT, sealed, &found, &content);
    must(status == (is_known ? ST_OK : ST_CORRUPT));
    must(piece_open(1, 0, sealed, &found, &content) == ST_CORRUPT);
    if (!is_known) return;
    must(piece_open(1, SSTABLE_UNIT, sealed, &found, &content) == ST_OK);
    must(found.codec == p.codec);
    must(found.raw_size == p.raw_size);
    must(slice_equal(content, r.rest));
    check_expand(&p, r.rest);
}

static bool is_ascending(const struct sstable_index *index) {
    for (uint32_t i = 1; i < index->count; i++) {
        struct slice before = index_separator(index, i - 1);
        if (slice_compare(before, index_separator(index, i)) >= 0) return false;
    }
    return true;
}

static void check_find(const struct sstable_index *index, struct slice key) {
    uint32_t found = index_find(index, key);
    uint32_t expected = 0;
    must(found < index->count);
    if (!is_ascending(index)) return;
    for (uint32_t i = 0; i < index->count; i++) {
        if (slice_compare(index_separator(index, i), key) <= 0) expected = i;
    }
    must(found == expected);
}

static void check_index(struct slice input) {
    struct sstable_index index;
    if (index_open(&index, input) != ST_OK) return;
    must(index.count > 0);
    size_t size = 0;
    for (uint32_t i = 0; i < index.count; i++) {
        struct slice separator = index_separator(&index, i);
        must(index_offset(&index, i) < index_offset(&index, i + 1));
        must(index_offset(&index, i + 1) % SSTABLE_UNIT == 0);
        size += separator.size;
        check_find(&index, separator);
    }
    must(index_head_size(index.count) + size == input.size);
    check_find(&index, input);
    check_find(&index, (struct slice){NULL, 0});
}

static void check_tail(struct slice tail) {
    struct footer f;
    uint8_t encoded[SSTABLE_TAIL];
    uint32_t good = 0;
    enum status status = footer_decode(tail, &f, &good);
    must(status == ST_OK || status == ST_CORRUPT || status == ST_INVALID);
    if (status != ST_OK) return;
    must(good == 1 || good == 2);
    must(f.end < SSTABLE_SIZE_MAX);
    footer_encode(&f, encoded);
    uint32_t same = 0;
    for (size_t copy = 0; copy < SSTABLE_TAIL; copy += FOOTER_SIZE) {
        same += memcmp(tail.data + copy, encoded, FOOTER_COVERED + sizeof(uint64_t)) == 0;
    }
    must(same > 0);
}

// The first copy under a good checksum, the second as it comes.
static void check_footer(struct slice input) {
    uint8_t tail[SSTABLE_TAIL] = {0};
    memcpy(tail, input.data, input.size < SSTABLE_TAIL ? input.size : SSTABLE_TAIL);
    check_tail((struct slice){tail, SSTABLE_TAIL});
    uint64_t checksum = hash_bytes((struct slice){tail, FOOTER_COVERED}, 0x71756f6974746162u);
    (void)store_u64(tail + FOOTER_COVERED, checksum);
    check_tail((struct slice){tail, SSTABLE_TAIL});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice input = {data, size};
    struct piece p;
    struct slice content;
    if (size == 0 || size > INPUT_MAX) return 0;
    enum status status = piece_open(1, 0, input, &p, &content);
    must(status == ST_OK || status == ST_CORRUPT);
    check_sealed(input);
    check_index(input);
    check_footer(input);
    return 0;
}
