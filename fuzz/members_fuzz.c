// SPDX-License-Identifier: Apache-2.0
//
// A row of gossip entries about one member. What is accepted must be canonical, and hearing it all
// again, in the other order, must be no news.
#include "fuzz/fuzz.h"

#include "model/members.h"

enum { ENTRIES = 64 };

static struct member_entry entries[ENTRIES];

static bool read_entry(struct member_entry *entry, struct reader *r) {
    uint8_t again[MEMBER_ENTRY_ENCODED_SIZE];
    struct slice bytes = r->rest;
    member_entry_decode(entry, r);
    if (r->failed) return false;
    bytes.size = MEMBER_ENTRY_ENCODED_SIZE;
    struct writer w = writer_to(again, sizeof(again));
    member_entry_encode(entry, &w);
    must(slice_equal(writer_bytes(&w), bytes));
    entry->id = 1;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct member_entry known = {0};
    struct members members = {.count = 1, .entries = &known};
    struct reader r = reader_of((struct slice){data, size});
    uint32_t count = 0;
    while (count < ENTRIES && read_entry(&entries[count], &r)) {
        (void)members_merge_entry(&members, 0, &entries[count]);
        count++;
    }
    while (count > 0) must(!members_merge_entry(&members, 0, &entries[--count]));
    return 0;
}
