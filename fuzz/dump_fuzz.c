// SPDX-License-Identifier: Apache-2.0
//
// Bytes as a dump as they come; and with the checksum that they should have, since no fuzzer finds
// one. What is accepted must be within its size, and dump and decode to itself again.
#include "fuzz/fuzz.h"

#include "base/little.h"
#include "wire/dump.h"

#include <string.h>

enum { INPUT_MAX = 4096, STRING_MAX = 64 * 1024 };

static uint8_t bytes[INPUT_MAX + sizeof(uint64_t)];
static uint8_t expanded[STRING_MAX];
static uint8_t again[STRING_MAX + DUMP_OVERHEAD];

static void check(struct slice dump) {
    struct dump_string string;
    if (dump_decode(dump, &string) != DUMP_OK || string.size > STRING_MAX) return;
    struct slice found = string.bytes;
    if (string.is_compressed) {
        if (!dump_expand(&string, expanded)) return;
        found = (struct slice){expanded, string.size};
    }
    must(found.size == string.size);
    size_t size = dump_encode(found, again);
    must(size <= found.size + DUMP_OVERHEAD);
    struct dump_string second;
    must(dump_decode((struct slice){again, size}, &second) == DUMP_OK);
    must(!second.is_compressed);
    must(slice_equal(second.bytes, found));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check((struct slice){data, size});
    if (size == 0 || size > INPUT_MAX) return 0;
    memcpy(bytes, data, size);
    (void)store_u64(bytes + size, dump_checksum((struct slice){data, size}));
    check((struct slice){bytes, size + sizeof(uint64_t)});
    return 0;
}
