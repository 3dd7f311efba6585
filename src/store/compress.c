// SPDX-License-Identifier: Apache-2.0
#include "store/compress.h"

#include <lz4.h>
#define ZSTD_STATIC_LINKING_ONLY // contexts in memory that is given to them
#include <zstd.h>
#include <zstd_errors.h>

enum { ZSTD_LEVEL = 1 }; // above it hardly anything becomes smaller, at twice the time

size_t compressor_memory_size(bool writes) {
    enum { ROUNDING = 3 * 64 };
    size_t size = ZSTD_estimateDCtxSize() + ROUNDING;
    if (writes) size += (size_t)LZ4_sizeofState() + ZSTD_estimateCCtxSize(ZSTD_LEVEL);
    return size;
}

void compressor_init(struct compressor *c, struct arena *arena, bool writes) {
    *c = (struct compressor){.codec = CODEC_NONE};
    size_t size = ZSTD_estimateDCtxSize();
    c->zstd_expand = ZSTD_initStaticDCtx(arena_take(arena, size, 1), size);
    must(c->zstd_expand != NULL);
    if (!writes) return;
    c->lz4 = arena_take(arena, (size_t)LZ4_sizeofState(), 1);
    size = ZSTD_estimateCCtxSize(ZSTD_LEVEL);
    c->zstd_compress = ZSTD_initStaticCCtx(arena_take(arena, size, 1), size);
    must(c->zstd_compress != NULL);
}

enum codec compressor_codec_of(const struct compressor *c, uint16_t keyspace) {
    for (uint32_t i = 0; i < c->named_count; i++) {
        if (c->named[i].keyspace == keyspace) return c->named[i].codec;
    }
    return c->codec;
}

// These give the size of what they made, or 0 when it would not be smaller.

static size_t compress_lz4(struct compressor *c, struct slice raw, uint8_t *to) {
    int size = LZ4_compress_fast_extState(c->lz4, (const char *)raw.data, (char *)to, (int)raw.size,
                                          (int)raw.size - 1, 1);
    return size > 0 ? (size_t)size : 0;
}

static size_t compress_zstd(struct compressor *c, struct slice raw, uint8_t *to) {
    size_t size =
        ZSTD_compressCCtx(c->zstd_compress, to, raw.size - 1, raw.data, raw.size, ZSTD_LEVEL);
    if (!ZSTD_isError(size)) return size;
    must(ZSTD_getErrorCode(size) == ZSTD_error_dstSize_tooSmall);
    return 0;
}

static size_t compress(struct compressor *c, enum codec codec, struct slice raw, uint8_t *to) {
    if (raw.size < 2) return 0;
    if (codec == CODEC_LZ4) return compress_lz4(c, raw, to);
    return codec == CODEC_ZSTD ? compress_zstd(c, raw, to) : 0;
}

struct piece piece_fill(struct compressor *c, enum codec codec, struct slice raw, uint8_t *to) {
    must(raw.size <= PIECE_RAW_MAX);
    must(c->zstd_compress != NULL);
    size_t size = compress(c, codec, raw, to);
    struct piece p = {(uint32_t)size, (uint32_t)raw.size, codec};
    if (size > 0) return p;
    memcpy(to, raw.data, raw.size);
    p.size = p.raw_size;
    p.codec = CODEC_NONE;
    return p;
}

// Both decoders stay within the sizes that they are told, whatever the bytes are.
enum status piece_expand(struct compressor *c, const struct piece *p, struct slice content,
                         uint8_t *to, struct slice *raw) {
    *raw = content;
    if (p->codec == CODEC_NONE) return ST_OK;
    *raw = (struct slice){to, p->raw_size};
    if (p->codec == CODEC_LZ4) {
        int size = LZ4_decompress_safe((const char *)content.data, (char *)to, (int)content.size,
                                       (int)p->raw_size);
        return size >= 0 && (uint32_t)size == p->raw_size ? ST_OK : ST_CORRUPT;
    }
    // Failures are sizes, too: larger than any.
    size_t size = ZSTD_decompressDCtx(c->zstd_expand, to, p->raw_size, content.data, content.size);
    return size == p->raw_size ? ST_OK : ST_CORRUPT;
}
