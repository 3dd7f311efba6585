// SPDX-License-Identifier: Apache-2.0
//
// Two records, the size of the first in front. What is accepted must be canonical, and merging must
// keep its laws.
#include "fuzz/fuzz.h"

#include "base/codec.h"
#include "model/record.h"

enum { ENCODED_MAX = 64 * 1024 };

static struct record first;
static struct record second;
static struct record merged;
static struct record again;
static uint8_t one[2 * ENCODED_MAX];
static uint8_t other[2 * ENCODED_MAX];

static struct slice encoded(const struct record *r, uint8_t *memory) {
    struct writer w = writer_to(memory, sizeof(one));
    record_encode(r, &w);
    must(!w.failed);
    must(w.size == record_encoded_size(r));
    return writer_bytes(&w);
}

static void check_merge(void) {
    enum status st = record_merge(&first, &second, &merged, NULL);
    must(record_merge(&second, &first, &again, NULL) == st);
    must(slice_equal(encoded(&merged, one), encoded(&again, other)));
    if (st != ST_OK) return;
    must(record_merge(&merged, &first, &again, NULL) == ST_OK);
    must(slice_equal(encoded(&merged, one), encoded(&again, other)));
    must(record_merge(&merged, &merged, &again, NULL) == ST_OK);
    must(slice_equal(encoded(&merged, one), encoded(&again, other)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > ENCODED_MAX) return 0;
    struct reader r = reader_of((struct slice){data, size});
    struct slice a = read_bytes(&r, read_u16(&r));
    if (r.failed) return 0;
    bool is_first = record_decode(&first, a) == ST_OK;
    bool is_second = record_decode(&second, r.rest) == ST_OK;
    if (is_first) must(slice_equal(encoded(&first, one), a));
    if (is_second) must(slice_equal(encoded(&second, one), r.rest));
    if (is_first && is_second) check_merge();
    return 0;
}
