// SPDX-License-Identifier: Apache-2.0
#include "store/compress.h"

#include <lz4.h>
#define ZSTD_STATIC_LINKING_ONLY // contexts in memory that is given to them
#include <zstd.h>
#include <zstd_errors.h>

enum { ZSTD_LEVEL = 1 }; // above it hardly anything becomes smaller, at twice the time

size_t compressor_memory_size(enum codec codec) {
    enum { ROUNDING = 2 * 64 };
    size_t size = ZSTD_estimateDCtxSize() + ROUNDING;
    if (codec == CODEC_LZ4) size += (size_t)LZ4_sizeofState();
    if (codec == CODEC_ZSTD) size += ZSTD_estimateCCtxSize(ZSTD_LEVEL);
    return size;
}

void compressor_init(struct compressor *c, struct arena *arena, enum codec codec) {
    *c = (struct compressor){.codec = codec};
    size_t size = ZSTD_estimateDCtxSize();
    c->zstd_expand = ZSTD_initStaticDCtx(arena_take(arena, size, 1), size);
    must(c->zstd_expand != NULL);
    if (codec == CODEC_LZ4) c->lz4 = arena_take(arena, (size_t)LZ4_sizeofState(), 1);
    if (codec != CODEC_ZSTD) return;
    size = ZSTD_estimateCCtxSize(ZSTD_LEVEL);
    c->zstd_compress = ZSTD_initStaticCCtx(arena_take(arena, size, 1), size);
    must(c->zstd_compress != NULL);
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

static size_t compress(struct compressor *c, struct slice raw, uint8_t *to) {
    if (raw.size < 2) return 0;
    if (c->codec == CODEC_LZ4) return compress_lz4(c, raw, to);
    return c->codec == CODEC_ZSTD ? compress_zstd(c, raw, to) : 0;
}

struct piece piece_fill(struct compressor *c, struct slice raw, uint8_t *to) {
    must(raw.size <= PIECE_RAW_MAX);
    size_t size = compress(c, raw, to);
    struct piece p = {(uint32_t)size, (uint32_t)raw.size, c->codec};
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
