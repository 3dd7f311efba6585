// SPDX-License-Identifier: Apache-2.0
#include "store/sstable_format.h"

#include "base/little.h"
#include "base/rng.h"
#include "model/record.h"
#include "store/block.h"
#include "store/compress.h"
#include "store/filter.h"
#include "tests/golden.h"
#include "tests/test.h"

#include <stdlib.h>

enum { STORAGE = 0x5107a9e1, NUMBER = 7, TABLE_MAX = 2048, FOOTER_COVERED = 84 };

// Pieces.

static struct slice make_piece(uint8_t *bytes, uint64_t id, uint64_t offset, struct slice content) {
    struct piece p = {.size = (uint32_t)content.size, .raw_size = (uint32_t)content.size};
    if (content.size > 0) memcpy(bytes + PIECE_HEAD, content.data, content.size);
    return (struct slice){bytes, piece_seal(id, offset, &p, bytes)};
}

static void a_piece_opens_as_it_was_sealed(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    uint64_t id = sstable_id(STORAGE, NUMBER);
    for (uint32_t size = 0; size < 200; size++) {
        uint8_t content[200];
        uint8_t bytes[256];
        for (uint32_t i = 0; i < size; i++) content[i] = (uint8_t)rng_next(&rng);
        memset(bytes, 0xff, sizeof(bytes));
        struct slice made = make_piece(bytes, id, 32, (struct slice){content, size});
        assert_int_equal(made.size % SSTABLE_UNIT, 0);
        assert_in_range(made.size, PIECE_HEAD + size, PIECE_HEAD + size + SSTABLE_UNIT - 1);
        for (size_t i = PIECE_HEAD + size; i < made.size; i++) assert_int_equal(bytes[i], 0);
        struct piece p;
        struct slice found;
        assert_int_equal(piece_open(id, 32, made, &p, &found), ST_OK);
        assert_int_equal(p.raw_size, size);
        assert_int_equal(p.codec, CODEC_NONE);
        assert_true(slice_equal(found, (struct slice){content, size}));
    }
}

static void no_flipped_bit_of_a_piece_passes(void **state) {
    (void)state;
    uint8_t bytes[64];
    uint64_t id = sstable_id(STORAGE, NUMBER);
    struct slice content = SLICE("the content of a piece");
    struct slice made = make_piece(bytes, id, 0, content);
    struct piece p;
    struct slice found;
    for (size_t bit = 0; bit < (PIECE_HEAD + content.size) * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(piece_open(id, 0, made, &p, &found), ST_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t size = 0; size < PIECE_HEAD + content.size; size++) {
        assert_int_equal(piece_open(id, 0, (struct slice){bytes, size}, &p, &found), ST_CORRUPT);
    }
    assert_int_equal(piece_open(id, 0, made, &p, &found), ST_OK);
}

static void a_piece_is_good_in_its_place_only(void **state) {
    (void)state;
    uint8_t bytes[64];
    struct slice made = make_piece(bytes, sstable_id(STORAGE, NUMBER), 4096, SLICE("content"));
    struct piece p;
    struct slice found;
    for (uint32_t i = 0; i < 1000; i++) {
        uint64_t id = sstable_id(STORAGE + i % 10, NUMBER + i / 10 % 10);
        uint64_t offset = 4096 + (uint64_t)SSTABLE_UNIT * (i / 100);
        enum status expected = i == 0 ? ST_OK : ST_CORRUPT;
        assert_int_equal(piece_open(id, offset, made, &p, &found), expected);
    }
}

static void a_codec_that_is_unknown_is_refused(void **state) {
    (void)state;
    uint8_t bytes[64] = {0};
    struct piece found;
    struct slice content;
    for (uint32_t codec = 0; codec < 16; codec++) {
        struct piece p = {.size = 8, .raw_size = 20, .codec = (enum codec)codec};
        struct slice made = {bytes, piece_seal(1, 0, &p, bytes)};
        // What is not compressed has the size that it says.
        bool is_known = codec == CODEC_LZ4 || codec == CODEC_ZSTD;
        enum status expected = is_known ? ST_OK : ST_CORRUPT;
        assert_int_equal(piece_open(1, 0, made, &found, &content), expected);
    }
}

// The index.

enum { BLOCKS = 60, INDEX_MAX = 2048 };

struct made_index {
    uint8_t bytes[INDEX_MAX];
    size_t size;
    uint32_t count;
    uint32_t units[BLOCKS + 1];
    uint32_t places[BLOCKS + 1];
    uint8_t separators[BLOCKS * 4];
};

static struct slice separator_of(const struct made_index *m, uint32_t block) {
    uint32_t from = m->places[block];
    return (struct slice){m->separators + from, m->places[block + 1] - from};
}

static struct slice encode_index(struct made_index *m) {
    uint8_t *to = store_u32(m->bytes, m->count);
    for (uint32_t i = 0; i <= m->count; i++) to = store_u32(to, m->units[i]);
    for (uint32_t i = 0; i <= m->count; i++) to = store_u32(to, m->places[i]);
    memcpy(to, m->separators, m->places[m->count]);
    m->size = (size_t)(to - m->bytes) + m->places[m->count];
    return (struct slice){m->bytes, m->size};
}

// Separators of one to three letters out of five, ascending.
static void make_index(struct made_index *m, struct rng *rng, uint32_t count) {
    enum { LETTERS = 5, ALL = LETTERS + LETTERS * LETTERS + LETTERS * LETTERS * LETTERS };
    *m = (struct made_index){0};
    uint32_t left = ALL;
    uint32_t place = 0;
    uint32_t unit = rng_below(rng, 10);
    for (uint32_t word = 0; word < 6 * 6 * 6; word++) {
        uint8_t letters[3] = {(uint8_t)(word / 36), (uint8_t)(word / 6 % 6), (uint8_t)(word % 6)};
        if (letters[0] == 0 || (letters[1] == 0 && letters[2] != 0)) continue;
        if (rng_below(rng, left--) >= count - m->count) continue;
        m->units[m->count] = unit;
        m->places[m->count++] = place;
        unit += 1 + rng_below(rng, 100);
        for (uint32_t i = 0; i < 3 && letters[i] > 0; i++) {
            m->separators[place++] = (uint8_t)(2 * letters[i]); // there are others between them
        }
    }
    assert_int_equal(m->count, count);
    m->units[count] = unit;
    m->places[count] = place;
}

static void a_search_finds_the_last_separator_not_past_the_key(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    struct made_index m;
    for (uint32_t count = 1; count <= BLOCKS; count++) {
        make_index(&m, &rng, count);
        struct sstable_index index;
        assert_int_equal(index_open(&index, encode_index(&m)), ST_OK);
        assert_int_equal(index.count, count);
        for (uint32_t i = 0; i < count; i++) {
            assert_true(slice_equal(index_separator(&index, i), separator_of(&m, i)));
            assert_int_equal(index_offset(&index, i), (uint64_t)m.units[i] * SSTABLE_UNIT);
        }
        assert_int_equal(index_offset(&index, count), (uint64_t)m.units[count] * SSTABLE_UNIT);
        for (uint32_t i = 0; i < 500; i++) {
            uint8_t key[4];
            for (uint32_t k = 0; k < 4; k++) key[k] = (uint8_t)(1 + rng_below(&rng, 11));
            struct slice wanted = {key, rng_below(&rng, 5)};
            uint32_t expected = 0;
            for (uint32_t b = 0; b < count; b++) {
                if (slice_compare(separator_of(&m, b), wanted) <= 0) expected = b;
            }
            assert_int_equal(index_find(&index, wanted), expected);
        }
    }
}

static void what_is_no_index_is_refused(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    struct made_index m;
    struct sstable_index index;
    make_index(&m, &rng, 3);
    struct slice good = encode_index(&m);
    for (size_t size = 0; size < INDEX_MAX; size++) {
        enum status expected = size == good.size ? ST_OK : ST_CORRUPT;
        assert_int_equal(index_open(&index, (struct slice){m.bytes, size}), expected);
    }
    const struct {
        uint32_t number; // of those that the index begins with
        uint32_t value;
    } bad[] = {
        {0, 0},
        {0, 2},
        {0, 4},
        {0, UINT32_MAX},
        {1, m.units[1]},      // offsets ascend
        {3, m.units[3]},      //
        {4, m.units[2]},      //
        {5, 1},               // separators begin at 0
        {6, m.places[2] + 1}, // do not go back
        {7, m.places[3] + 1}, // do not go past the end
        {7, UINT32_MAX},      //
        {8, m.places[3] - 1}, // and end there
        {8, m.places[3] + 1}, //
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        (void)encode_index(&m);
        (void)store_u32(m.bytes + sizeof(uint32_t) * bad[i].number, bad[i].value);
        assert_int_equal(index_open(&index, good), ST_CORRUPT);
    }
}

// Footers.

static const struct footer example_footer = {
    .version = 1,
    .number = NUMBER,
    .storage = STORAGE,
    .key_count = 3,
    .data_size = 75,
    .filter_offset = 128,
    .index_offset = 208,
    .partitions_offset = 256,
    .end = 336,
    .first = 12739,
    .last = SLOT_SYSTEM,
    .block_max = 59,
};

// That of the table whose second block is in zstd, and takes 16 bytes more.
static struct footer example_of(uint32_t version) {
    struct footer f = example_footer;
    if (version == 1) return f;
    f.version = version;
    f.filter_offset += SSTABLE_UNIT;
    f.index_offset += SSTABLE_UNIT;
    f.partitions_offset += SSTABLE_UNIT;
    f.end += SSTABLE_UNIT;
    return f;
}

static void assert_is_example(const struct footer *f, uint32_t version) {
    const struct footer expected = example_of(version);
    assert_int_equal(f->version, expected.version);
    assert_int_equal(f->number, expected.number);
    assert_int_equal(f->storage, expected.storage);
    assert_int_equal(f->key_count, expected.key_count);
    assert_int_equal(f->data_size, expected.data_size);
    assert_int_equal(f->filter_offset, expected.filter_offset);
    assert_int_equal(f->index_offset, expected.index_offset);
    assert_int_equal(f->partitions_offset, expected.partitions_offset);
    assert_int_equal(f->end, expected.end);
    assert_int_equal(f->first, expected.first);
    assert_int_equal(f->last, expected.last);
    assert_int_equal(f->block_max, expected.block_max);
}

static enum status decode_footer(const uint8_t *tail, struct footer *f, uint32_t *good) {
    return footer_decode((struct slice){tail, SSTABLE_TAIL}, f, good);
}

// Gives the copy at these bytes a good checksum.
static void sign_footer(uint8_t *copy) {
    struct slice covered = {copy, FOOTER_COVERED};
    (void)store_u64(copy + FOOTER_COVERED, hash_bytes(covered, 0x71756f6974746162u));
}

static void one_good_footer_is_enough(void **state) {
    (void)state;
    uint8_t tail[SSTABLE_TAIL + 1];
    struct footer f;
    uint32_t good = 0;
    footer_encode(&example_footer, tail);
    assert_int_equal(decode_footer(tail, &f, &good), ST_OK);
    assert_int_equal(good, 2);
    assert_is_example(&f, 1);
    for (size_t bit = 0; bit < (size_t)SSTABLE_TAIL * 8; bit++) {
        if (bit / 8 % FOOTER_SIZE >= FOOTER_COVERED + sizeof(uint64_t)) continue; // zeros
        tail[bit / 8] ^= (uint8_t)(1u << bit % 8);
        memset(&f, 0xff, sizeof(f));
        assert_int_equal(decode_footer(tail, &f, &good), ST_OK);
        assert_int_equal(good, 1);
        assert_is_example(&f, 1);
        tail[bit / 8 ^ FOOTER_SIZE] ^= 1; // and the other
        assert_int_equal(decode_footer(tail, &f, &good), ST_CORRUPT);
        assert_int_equal(good, 0);
        tail[bit / 8 ^ FOOTER_SIZE] ^= 1;
        tail[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t size = 0; size <= SSTABLE_TAIL + 1; size++) {
        enum status expected = size == SSTABLE_TAIL ? ST_OK : ST_CORRUPT;
        assert_int_equal(footer_decode((struct slice){tail, size}, &f, &good), expected);
    }
}

static void another_version_is_told_from_damage(void **state) {
    (void)state;
    uint8_t tail[SSTABLE_TAIL];
    struct footer f;
    uint32_t good = 0;
    for (size_t copy = 0; copy < SSTABLE_TAIL; copy += FOOTER_SIZE) {
        for (uint32_t version = 0; version <= SSTABLE_VERSION + 1; version++) {
            footer_encode(&example_footer, tail);
            (void)store_u32(tail + copy + 8, version);
            sign_footer(tail + copy);
            tail[copy ^ FOOTER_SIZE] ^= 1;
            bool is_known = version > 0 && version <= SSTABLE_VERSION;
            enum status expected = is_known ? ST_OK : ST_INVALID;
            assert_int_equal(decode_footer(tail, &f, &good), expected);
            if (is_known) assert_int_equal(f.version, version);
        }
    }
}

static void a_footer_that_cannot_be_is_refused_under_a_good_checksum(void **state) {
    (void)state;
    static const struct {
        uint32_t at;
        uint64_t value;
    } bad[] = {
        {40, 208},              // the filter is where the index is
        {40, 120},              // not at a multiple of 16
        {48, 256},              // the index is where the partitions are
        {48, 216},              //
        {56, 336},              // the partitions are where the pieces end
        {56, 264},              //
        {64, 256},              // the end
        {64, SSTABLE_SIZE_MAX}, //
        {72, 16385},            // the first is past the last
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t tail[SSTABLE_TAIL];
        struct footer f;
        uint32_t good = 0;
        footer_encode(&example_footer, tail);
        if (bad[i].at < 72) {
            (void)store_u64(tail + bad[i].at, bad[i].value);
        } else {
            (void)store_u32(tail + bad[i].at, (uint32_t)bad[i].value);
        }
        sign_footer(tail);
        memcpy(tail + FOOTER_SIZE, tail, FOOTER_SIZE);
        assert_int_equal(decode_footer(tail, &f, &good), ST_CORRUPT);
        assert_int_equal(good, 0);
    }
}

// Whole tables, which docs/formats.md shows.

static const struct partition first_partition = {.slot = 12739};
static const struct partition second_partition = {.slot = SLOT_SYSTEM};
#define LONG_RECORD SLICE("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")

static void add_entry(struct block_builder *b, struct partition p, struct slice key,
                      struct slice record) {
    uint8_t full[64];
    struct slice full_key = {full, full_key_write(full, p, key)};
    assert_true(block_add(b, full_key, record, 4096));
}

static size_t add_first_block(uint8_t *to, uint64_t id) {
    uint8_t bytes[256];
    uint8_t last[FULL_KEY_MAX];
    struct block_builder b;
    block_init(&b, bytes, sizeof(bytes), last);
    add_entry(&b, first_partition, SLICE("123456789"), SLICE("the record"));
    add_entry(&b, first_partition, SLICE("{123456789}a"), SLICE(""));
    return make_piece(to, id, 0, block_finish(&b)).size;
}

// The compressed bytes are written down here: versions of the compressor may differ in theirs, but
// all must expand these.
static size_t add_second_block(uint8_t *to, uint64_t id, size_t offset, uint32_t version) {
    static const uint8_t lz4[] = {
        0xcf, 0x00, 0x08, 0x28, 0x00, 0x00, 0x40, 0x00, 'f',  'a', 'c', 't', 'x', // 12 literals
        0x01, 0x00, 0x14,                                                         // 39 times x
        0x80, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,                     // 8 literals
    };
    static const uint8_t zstd[] = {
        0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x3b,                                      // frame of 59
        0xd5, 0x00, 0x00,                                                        // last block
        0xa0, 0x00, 0x08, 0x28, 0x00, 0x00, 0x40, 0x00, 'f', 'a', 'c', 't', 'x', // 20 literals
        0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,                          //
        0x01, 0x00, 0x4a, 0x90, 0x04,                                            // 39 times x
    };
    struct piece p = {.size = sizeof(lz4), .raw_size = 59, .codec = CODEC_LZ4};
    if (version == 2) p = (struct piece){sizeof(zstd), 59, CODEC_ZSTD};
    assert_int_equal(piece_version(&p), version);
    memcpy(to + PIECE_HEAD, version == 2 ? zstd : lz4, p.size);
    return piece_seal(id, offset, &p, to);
}

static size_t add_filter(uint8_t *to, uint64_t id, size_t offset) {
    uint8_t line[FILTER_LINE] = {0};
    struct filter f = {.lines = line, .line_count = 1};
    filter_add(&f, partition_hash(STORAGE, first_partition));
    filter_add(&f, full_key_hash(STORAGE, first_partition, SLICE("123456789")));
    filter_add(&f, full_key_hash(STORAGE, first_partition, SLICE("{123456789}a")));
    filter_add(&f, partition_hash(STORAGE, second_partition));
    filter_add(&f, full_key_hash(STORAGE, second_partition, SLICE("fact")));
    return make_piece(to, id, offset, (struct slice){line, sizeof(line)}).size;
}

static size_t add_partitions(uint8_t *to, uint64_t id, size_t offset) {
    uint8_t bytes[2 * SSTABLE_PARTITION_SIZE];
    struct sstable_partition p = {
        .number = partition_number(first_partition),
        .key_count = 2,
        .size = 9 + 10 + 12,
        .digest = record_digest(SLICE("123456789"), SLICE("the record")),
    };
    uint8_t *at = sstable_partition_store(bytes, &p);
    p = (struct sstable_partition){
        .number = partition_number(second_partition),
        .first_block = 1,
        .key_count = 1,
        .size = 4 + 40,
        .digest = record_digest(SLICE("fact"), LONG_RECORD),
    };
    assert_ptr_equal(sstable_partition_store(at, &p), bytes + sizeof(bytes));
    return make_piece(to, id, offset, (struct slice){bytes, sizeof(bytes)}).size;
}

static struct slice make_table(uint8_t bytes[TABLE_MAX], uint32_t version) {
    uint64_t id = sstable_id(STORAGE, NUMBER);
    struct footer f = example_of(version);
    size_t second = add_first_block(bytes, id);
    f.filter_offset = second + add_second_block(bytes + second, id, second, version);
    f.index_offset = f.filter_offset + add_filter(bytes + f.filter_offset, id, f.filter_offset);
    struct made_index m = {
        .count = 2,
        .units = {0, (uint32_t)second / SSTABLE_UNIT, (uint32_t)f.filter_offset / SSTABLE_UNIT},
        .places = {0, 1, 4},
        .separators = {0, 0, 0, 0x40},
    };
    struct slice index = encode_index(&m);
    uint8_t *to = bytes + f.index_offset;
    f.partitions_offset = f.index_offset + make_piece(to, id, f.index_offset, index).size;
    to = bytes + f.partitions_offset;
    f.end = f.partitions_offset + add_partitions(to, id, f.partitions_offset);
    footer_encode(&f, bytes + f.end);
    return (struct slice){bytes, f.end + SSTABLE_TAIL};
}

static struct slice open_at(struct slice table, uint64_t offset, uint64_t end, struct piece *p) {
    struct slice content;
    struct slice bytes = {table.data + offset, end - offset};
    assert_int_equal(piece_open(sstable_id(STORAGE, NUMBER), offset, bytes, p, &content), ST_OK);
    assert_int_equal(piece_size_of(p->size), bytes.size);
    return content;
}

static enum status expand(const struct piece *p, struct slice content, uint8_t *to,
                          struct slice *raw) {
    size_t size = (compressor_memory_size(false) + 63) / 64 * 64;
    void *memory = aligned_alloc(64, size);
    assert_non_null(memory);
    memset(memory, 0, size);
    struct arena arena = arena_over(memory, size);
    struct compressor c;
    compressor_init(&c, &arena, false);
    enum status status = piece_expand(&c, p, content, to, raw);
    free(memory);
    return status;
}

// The record of a key, as a reader finds it.
static void assert_holds(struct slice table, const struct footer *f, struct partition p,
                         struct slice key, struct slice record) {
    uint8_t full[64];
    uint8_t key_bytes[FULL_KEY_MAX];
    uint8_t expanded[256];
    struct piece piece;
    struct sstable_index index;
    struct slice wanted = {full, full_key_write(full, p, key)};
    struct slice content = open_at(table, f->index_offset, f->partitions_offset, &piece);
    assert_int_equal(index_open(&index, content), ST_OK);
    assert_int_equal(index_offset(&index, index.count), f->filter_offset);
    uint32_t block = index_find(&index, wanted);
    content = open_at(table, index_offset(&index, block), index_offset(&index, block + 1), &piece);
    assert_true(piece.raw_size <= f->block_max);
    struct slice raw;
    assert_int_equal(expand(&piece, content, expanded, &raw), ST_OK);
    struct block_cursor c;
    block_open(&c, raw, key_bytes);
    assert_true(block_seek(&c, wanted));
    assert_true(slice_equal(c.key, wanted));
    assert_true(slice_equal(c.record, record));
}

static void check_golden(const char *name, uint32_t version) {
    uint8_t bytes[TABLE_MAX];
    golden_compare(name, make_table(bytes, version));
    struct slice table = golden_read(name, bytes, sizeof(bytes));
    struct footer f;
    uint32_t good = 0;
    assert_true(table.size > SSTABLE_TAIL);
    assert_int_equal(decode_footer(table.data + table.size - SSTABLE_TAIL, &f, &good), ST_OK);
    assert_int_equal(good, 2);
    assert_is_example(&f, version);
    assert_int_equal(f.end, table.size - SSTABLE_TAIL);
    assert_holds(table, &f, first_partition, SLICE("123456789"), SLICE("the record"));
    assert_holds(table, &f, first_partition, SLICE("{123456789}a"), SLICE(""));
    assert_holds(table, &f, second_partition, SLICE("fact"), LONG_RECORD);

    struct piece piece;
    struct slice content = open_at(table, f.filter_offset, f.index_offset, &piece);
    uint8_t line[FILTER_LINE];
    assert_int_equal(content.size, FILTER_LINE);
    memcpy(line, content.data, FILTER_LINE);
    struct filter filter = {.lines = line, .line_count = 1};
    assert_true(filter_may_hold(&filter, partition_hash(STORAGE, second_partition)));
    assert_true(filter_may_hold(&filter, full_key_hash(STORAGE, second_partition, SLICE("fact"))));
    assert_false(filter_may_hold(&filter, full_key_hash(STORAGE, second_partition, SLICE("no"))));

    content = open_at(table, f.partitions_offset, f.end, &piece);
    assert_int_equal(content.size, 2 * SSTABLE_PARTITION_SIZE);
    struct sstable_partition p = sstable_partition_load(content.data + SSTABLE_PARTITION_SIZE);
    assert_int_equal(p.number, SLOT_SYSTEM);
    assert_int_equal(p.first_block, 1);
    assert_int_equal(p.key_count, 1);
    assert_int_equal(p.size, 44);
    assert_int_equal(p.digest, record_digest(SLICE("fact"), LONG_RECORD));
}

static void the_formats_are_those_of_the_golden_bytes(void **state) {
    (void)state;
    check_golden("table.v1", 1);
    check_golden("table.v2", 2);
}

int sstable_format_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_piece_opens_as_it_was_sealed),
        cmocka_unit_test(no_flipped_bit_of_a_piece_passes),
        cmocka_unit_test(a_piece_is_good_in_its_place_only),
        cmocka_unit_test(a_codec_that_is_unknown_is_refused),
        cmocka_unit_test(a_search_finds_the_last_separator_not_past_the_key),
        cmocka_unit_test(what_is_no_index_is_refused),
        cmocka_unit_test(one_good_footer_is_enough),
        cmocka_unit_test(another_version_is_told_from_damage),
        cmocka_unit_test(a_footer_that_cannot_be_is_refused_under_a_good_checksum),
        cmocka_unit_test(the_formats_are_those_of_the_golden_bytes),
    };
    return cmocka_run_group_tests_name("sstable_format", cases, NULL, NULL);
}
