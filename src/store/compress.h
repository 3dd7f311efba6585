// SPDX-License-Identifier: Apache-2.0
//
// compress.h -- the content of a piece, made smaller and large again.
//
// What codecs need to work on is one of each kind for a whole store, taken at its start: every call
// is over when it returns. New pieces are in one codec, but what is on disk may be in any: each
// piece says which.
#ifndef QUOIT_STORE_COMPRESS_H
#define QUOIT_STORE_COMPRESS_H

#include "base/arena.h"
#include "store/sstable_format.h"

// Of the library.
struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

struct compressor {
    enum codec codec;                  // of what is written
    uint8_t *lz4;                      // to compress with it; NULL: it is not the codec, like
    struct ZSTD_CCtx_s *zstd_compress; // this
    struct ZSTD_DCtx_s *zstd_expand;
};

size_t compressor_memory_size(enum codec codec);
void compressor_init(struct compressor *c, struct arena *arena, enum codec codec);

// Makes the content of a piece, in `to`, which has room for raw.size bytes and does not overlap
// them: compressed, or as it is when that would not be smaller.
struct piece piece_fill(struct compressor *c, struct slice raw, uint8_t *to);

// Gives the raw bytes of a piece: its content itself, or what is expanded into `to`, which has room
// for p->raw_size bytes. ST_CORRUPT when that is not what comes out.
NODISCARD enum status piece_expand(struct compressor *c, const struct piece *p,
                                   struct slice content, uint8_t *to, struct slice *raw);

#endif
