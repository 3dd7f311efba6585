// SPDX-License-Identifier: Apache-2.0
#include "store/sstable_format.h"

#include "base/little.h"
#include "base/rng.h"
#include "model/record.h"
#include "store/block.h"
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
        enum status expected = codec == CODEC_LZ4 ? ST_OK : ST_CORRUPT;
        assert_int_equal(piece_open(1, 0, made, &found, &content), expected);
    }
}

// Compression.

static void what_was_compressed_expands_to_the_same(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    uint8_t *work = malloc(CODEC_WORK_SIZE);
    uint32_t compressed_count = 0;
    for (uint32_t round = 0; round < 500; round++) {
        uint32_t size = 1 + rng_below(&rng, 3000);
        uint32_t letters = rng_chance(&rng, 1, 3) ? 256 : 1 + rng_below(&rng, 5);
        uint8_t *bytes = malloc(size);
        uint8_t *to = malloc(size);
        for (uint32_t i = 0; i < size; i++) bytes[i] = (uint8_t)rng_below(&rng, letters);
        struct slice raw = {bytes, size};
        assert_int_equal(codec_compress(CODEC_NONE, raw, to, work), 0);
        size_t stored = codec_compress(CODEC_LZ4, raw, to, work);
        assert_true(stored < size);
        struct piece p = {(uint32_t)stored, size, CODEC_LZ4};
        uint8_t *again = malloc(size);
        struct slice found;
        if (stored > 0) {
            compressed_count++;
            struct slice content = {to, stored};
            assert_int_equal(codec_expand(&p, content, again, &found), ST_OK);
            assert_true(slice_equal(found, raw));
            p.raw_size = size - 1;
            assert_int_equal(codec_expand(&p, content, again, &found), ST_CORRUPT);
        }
        p = (struct piece){size, size, CODEC_NONE};
        assert_int_equal(codec_expand(&p, raw, again, &found), ST_OK);
        assert_ptr_equal(found.data, bytes);
        free(again);
        free(to);
        free(bytes);
    }
    assert_in_range(compressed_count, 100, 499);
    free(work);
}

// In memory of exactly its size, as the sanitizers see.
static enum status expand(struct slice content, uint32_t raw_size) {
    uint8_t *from = malloc(content.size + 1);
    uint8_t *to = malloc(raw_size + 1);
    memcpy(from, content.data, content.size);
    struct piece p = {(uint32_t)content.size, raw_size, CODEC_LZ4};
    struct slice raw;
    enum status status = codec_expand(&p, (struct slice){from, content.size}, to, &raw);
    free(to);
    free(from);
    return status;
}

static void what_is_not_compressed_is_refused(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    uint8_t bytes[1000];
    uint8_t stored[1000];
    uint8_t *work = malloc(CODEC_WORK_SIZE);
    for (uint32_t i = 0; i < sizeof(bytes); i++) bytes[i] = (uint8_t)rng_below(&rng, 3);
    size_t size = codec_compress(CODEC_LZ4, (struct slice){bytes, sizeof(bytes)}, stored, work);
    free(work);
    assert_true(size > 100);
    assert_int_equal(expand((struct slice){stored, size}, sizeof(bytes)), ST_OK);
    assert_int_equal(expand((struct slice){stored, size}, sizeof(bytes) + 1), ST_CORRUPT);
    for (size_t cut = 0; cut < size; cut++) {
        assert_int_equal(expand((struct slice){stored, cut}, sizeof(bytes)), ST_CORRUPT);
    }
    for (uint32_t round = 0; round < 20000; round++) {
        uint8_t flipped[1000];
        memcpy(flipped, stored, size);
        for (uint32_t flips = 1 + rng_below(&rng, 4); flips > 0; flips--) {
            flipped[rng_below(&rng, (uint32_t)size)] = (uint8_t)rng_next(&rng);
        }
        enum status status = expand((struct slice){flipped, size}, rng_below(&rng, 1100));
        assert_true(status == ST_OK || status == ST_CORRUPT);
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

static void assert_is_example(const struct footer *f) {
    assert_int_equal(f->number, example_footer.number);
    assert_int_equal(f->storage, example_footer.storage);
    assert_int_equal(f->key_count, example_footer.key_count);
    assert_int_equal(f->data_size, example_footer.data_size);
    assert_int_equal(f->filter_offset, example_footer.filter_offset);
    assert_int_equal(f->index_offset, example_footer.index_offset);
    assert_int_equal(f->partitions_offset, example_footer.partitions_offset);
    assert_int_equal(f->end, example_footer.end);
    assert_int_equal(f->first, example_footer.first);
    assert_int_equal(f->last, example_footer.last);
    assert_int_equal(f->block_max, example_footer.block_max);
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
    assert_is_example(&f);
    for (size_t bit = 0; bit < (size_t)SSTABLE_TAIL * 8; bit++) {
        if (bit / 8 % FOOTER_SIZE >= FOOTER_COVERED + sizeof(uint64_t)) continue; // zeros
        tail[bit / 8] ^= (uint8_t)(1u << bit % 8);
        memset(&f, 0xff, sizeof(f));
        assert_int_equal(decode_footer(tail, &f, &good), ST_OK);
        assert_int_equal(good, 1);
        assert_is_example(&f);
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
        footer_encode(&example_footer, tail);
        (void)store_u32(tail + copy + 8, SSTABLE_VERSION + 1);
        sign_footer(tail + copy);
        tail[copy ^ FOOTER_SIZE] ^= 1;
        assert_int_equal(decode_footer(tail, &f, &good), ST_INVALID);
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

// A whole table, which docs/formats.md shows.

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
static size_t add_second_block(uint8_t *to, uint64_t id, size_t offset) {
    static const uint8_t content[] = {
        0xcf, 0x00, 0x08, 0x28, 0x00, 0x00, 0x40, 0x00, 'f',  'a', 'c', 't', 'x', // 12 literals
        0x01, 0x00, 0x14,                                                         // 39 times x
        0x80, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,                     // 8 literals
    };
    struct piece p = {.size = sizeof(content), .raw_size = 59, .codec = CODEC_LZ4};
    memcpy(to + PIECE_HEAD, content, sizeof(content));
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

static struct slice make_table(uint8_t bytes[TABLE_MAX]) {
    uint64_t id = sstable_id(STORAGE, NUMBER);
    struct footer f = example_footer;
    size_t second = add_first_block(bytes, id);
    f.filter_offset = second + add_second_block(bytes + second, id, second);
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
    assert_int_equal(codec_expand(&piece, content, expanded, &raw), ST_OK);
    struct block_cursor c;
    block_open(&c, raw, key_bytes);
    assert_true(block_seek(&c, wanted));
    assert_true(slice_equal(c.key, wanted));
    assert_true(slice_equal(c.record, record));
}

static void the_format_is_that_of_the_golden_bytes(void **state) {
    (void)state;
    uint8_t bytes[TABLE_MAX];
    golden_compare("table.v1", make_table(bytes));
    struct slice table = golden_read("table.v1", bytes, sizeof(bytes));
    struct footer f;
    uint32_t good = 0;
    assert_true(table.size > SSTABLE_TAIL);
    assert_int_equal(decode_footer(table.data + table.size - SSTABLE_TAIL, &f, &good), ST_OK);
    assert_int_equal(good, 2);
    assert_is_example(&f);
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

int sstable_format_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_piece_opens_as_it_was_sealed),
        cmocka_unit_test(no_flipped_bit_of_a_piece_passes),
        cmocka_unit_test(a_piece_is_good_in_its_place_only),
        cmocka_unit_test(a_codec_that_is_unknown_is_refused),
        cmocka_unit_test(what_was_compressed_expands_to_the_same),
        cmocka_unit_test(what_is_not_compressed_is_refused),
        cmocka_unit_test(a_search_finds_the_last_separator_not_past_the_key),
        cmocka_unit_test(what_is_no_index_is_refused),
        cmocka_unit_test(one_good_footer_is_enough),
        cmocka_unit_test(another_version_is_told_from_damage),
        cmocka_unit_test(a_footer_that_cannot_be_is_refused_under_a_good_checksum),
        cmocka_unit_test(the_format_is_that_of_the_golden_bytes),
    };
    return cmocka_run_group_tests_name("sstable_format", cases, NULL, NULL);
}
