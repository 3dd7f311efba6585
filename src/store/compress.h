// SPDX-License-Identifier: Apache-2.0
//
// compress.h -- the content of a piece, made smaller and large again.
//
// What codecs need to work on is one of each kind for a whole store, taken at its start: every call
// is over when it returns. New pieces are in the codec of their keyspace, but what is on disk may
// be in any: each piece says which.
#ifndef QUOIT_STORE_COMPRESS_H
#define QUOIT_STORE_COMPRESS_H

#include "base/arena.h"
#include "store/sstable_format.h"

// Of the library.
struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

struct compressor {
    uint8_t *lz4;                      // to compress with it; NULL: nothing is written, like
    struct ZSTD_CCtx_s *zstd_compress; // this
    struct ZSTD_DCtx_s *zstd_expand;
    enum codec codec; // of keyspaces that are not named
    uint32_t named_count;
    struct keyspace_codec named[KEYSPACES_MAX];
};

// `writes`: it is not only to expand.
size_t compressor_memory_size(bool writes);
void compressor_init(struct compressor *c, struct arena *arena, bool writes);

// The codec in which blocks of the keyspace are to be.
enum codec compressor_codec_of(const struct compressor *c, uint16_t keyspace);

// Makes the content of a piece, in `to`, which has room for raw.size bytes and does not overlap
// them: compressed, or as it is when that would not be smaller. Requires that it writes.
struct piece piece_fill(struct compressor *c, enum codec codec, struct slice raw, uint8_t *to);

// Gives the raw bytes of a piece: its content itself, or what is expanded into `to`, which has room
// for p->raw_size bytes. ST_CORRUPT when that is not what comes out.
NODISCARD enum status piece_expand(struct compressor *c, const struct piece *p,
                                   struct slice content, uint8_t *to, struct slice *raw);

#endif
