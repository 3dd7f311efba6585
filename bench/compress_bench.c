// SPDX-License-Identifier: Apache-2.0
//
// compress_bench [FILE] -- what codecs make of blocks, at which speed: where compress.c's level
// comes from.
//
// The file is cut into blocks of 4 KiB, as tables have them; without one it is values of about 400
// bytes that look like JSON. Each line is the best of three rounds; MB/s are raw bytes, on one
// core.
#include "base/rng.h"
#include "store/sstable_format.h"

#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

enum { BLOCK = 4096, TEXT_MAX = 8 * 1024 * 1024, BLOCKS_MAX = TEXT_MAX / BLOCK, ROUNDS = 3 };

static uint8_t text[TEXT_MAX];
static uint8_t stored[BLOCKS_MAX][BLOCK];
static size_t sizes[BLOCKS_MAX];
static uint32_t block_count;

_Noreturn void must_fail(const char *cond, const char *file, int line) {
    fprintf(stderr, "%s:%d: must(%s)\n", file, line, cond);
    abort();
}

// What is measured: level 0 is LZ4, others are of zstd.
struct subject {
    int level;
    void *lz4;
    ZSTD_CCtx *compress;
    ZSTD_DCtx *expand;
};

static size_t compress_one(const struct subject *s, const uint8_t *raw, uint8_t *to) {
    if (s->level == 0) {
        int size =
            LZ4_compress_fast_extState(s->lz4, (const char *)raw, (char *)to, BLOCK, BLOCK - 1, 1);
        return size > 0 ? (size_t)size : 0;
    }
    size_t size = ZSTD_compressCCtx(s->compress, to, BLOCK - 1, raw, BLOCK, s->level);
    return ZSTD_isError(size) ? 0 : size;
}

static void expand_one(const struct subject *s, uint32_t block, uint8_t *to) {
    const uint8_t *from = stored[block];
    if (s->level == 0) {
        must(LZ4_decompress_safe((const char *)from, (char *)to, (int)sizes[block], BLOCK) ==
             BLOCK);
    } else {
        must(ZSTD_decompressDCtx(s->expand, to, BLOCK, from, sizes[block]) == BLOCK);
    }
}

static double now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void measure(const struct subject *s, size_t workspace) {
    double compressing = 1e9;
    double expanding = 1e9;
    uint64_t pieces = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        double start = now();
        for (uint32_t i = 0; i < block_count; i++) {
            sizes[i] = compress_one(s, text + (size_t)i * BLOCK, stored[i]);
        }
        double middle = now();
        uint8_t to[BLOCK];
        for (uint32_t i = 0; i < block_count; i++) {
            if (sizes[i] > 0) expand_one(s, i, to);
        }
        double end = now();
        if (middle - start < compressing) compressing = middle - start;
        if (end - middle < expanding) expanding = end - middle;
    }
    for (uint32_t i = 0; i < block_count; i++) {
        pieces += piece_size_of(sizes[i] > 0 ? sizes[i] : BLOCK);
    }
    double bytes = (double)block_count * BLOCK;
    char name[16];
    (void)snprintf(name, sizeof(name), s->level == 0 ? "lz4" : "zstd %d", s->level);
    printf("%-8s %9zu KiB %6.2f %8.0f MB/s %8.0f MB/s\n", name, workspace / 1024,
           bytes / (double)pieces, bytes / compressing / 1e6, bytes / expanding / 1e6);
}

static void *take(size_t size) {
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);
    must(memory != NULL);
    return memory;
}

static void measure_lz4(void) {
    size_t size = (size_t)LZ4_sizeofState();
    struct subject s = {.lz4 = take(size)};
    measure(&s, size);
    free(s.lz4);
}

static void measure_zstd(int level) {
    size_t compress_size = ZSTD_estimateCCtxSize(level);
    size_t expand_size = ZSTD_estimateDCtxSize();
    void *compress = take(compress_size);
    void *expand = take(expand_size);
    struct subject s = {
        .level = level,
        .compress = ZSTD_initStaticCCtx(compress, compress_size),
        .expand = ZSTD_initStaticDCtx(expand, expand_size),
    };
    must(s.compress != NULL);
    must(s.expand != NULL);
    measure(&s, compress_size + expand_size);
    free(expand);
    free(compress);
}

static size_t make_values(void) {
    static const char *const names[] = {"amara", "bjorn", "chen", "dolores", "emeka", "farida"};
    static const char *const states[] = {"pending", "paid", "shipped", "returned"};
    struct rng rng = {1};
    size_t size = 0;
    while (TEXT_MAX - size > 1024) {
        size += (size_t)snprintf(
            (char *)text + size, TEXT_MAX - size,
            "{\"id\":%u,\"customer\":{\"name\":\"%s\",\"email\":\"%s%u@example.org\",\"since\":"
            "\"20%02u-%02u-%02uT%02u:%02u:00Z\"},\"state\":\"%s\",\"total\":%u.%02u,\"currency\":"
            "\"EUR\",\"items\":[{\"sku\":\"%08x\",\"count\":%u,\"price\":%u.%02u},{\"sku\":\"%"
            "08x\","
            "\"count\":%u,\"price\":%u.%02u}],\"address\":{\"street\":\"%u Harbour Road\",\"zip\":"
            "\"%05u\",\"country\":\"NL\"},\"token\":\"%016llx\"}",
            rng_below(&rng, 1u << 30), names[rng_below(&rng, 6)], names[rng_below(&rng, 6)],
            rng_below(&rng, 10000), rng_below(&rng, 25), 1 + rng_below(&rng, 12),
            1 + rng_below(&rng, 28), rng_below(&rng, 24), rng_below(&rng, 60),
            states[rng_below(&rng, 4)], rng_below(&rng, 1000), rng_below(&rng, 100),
            rng_below(&rng, UINT32_MAX), 1 + rng_below(&rng, 9), rng_below(&rng, 200),
            rng_below(&rng, 100), rng_below(&rng, UINT32_MAX), 1 + rng_below(&rng, 9),
            rng_below(&rng, 200), rng_below(&rng, 100), rng_below(&rng, 400),
            rng_below(&rng, 100000), (unsigned long long)rng_next(&rng));
    }
    return size;
}

static size_t read_text(const char *name) {
    FILE *file = fopen(name, "rb");
    if (file == NULL) {
        perror(name);
        exit(EXIT_FAILURE);
    }
    size_t size = fread(text, 1, sizeof(text), file);
    (void)fclose(file);
    return size;
}

int main(int argc, char **argv) {
    static const int levels[] = {-1, 1, 2, 3, 4, 5, 6, 9};
    block_count = (uint32_t)((argc > 1 ? read_text(argv[1]) : make_values()) / BLOCK);
    printf("%u blocks of %d bytes\n", block_count, BLOCK);
    printf("%-8s %13s %6s %13s %13s\n", "codec", "workspace", "ratio", "compress", "expand");
    measure_lz4();
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) measure_zstd(levels[i]);
    return 0;
}
