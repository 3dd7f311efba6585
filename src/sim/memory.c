// SPDX-License-Identifier: Apache-2.0
#include "sim/memory.h"

#include "base/must.h"

#include <stdint.h>
#include <stdlib.h>

void *memory_take(size_t count, size_t size) {
    void *memory = calloc(count, size);
    must(memory != NULL);
    return memory;
}

void *memory_grow(void *memory, size_t count, size_t size) {
    must(count <= SIZE_MAX / size);
    void *grown = realloc(memory, count * size);
    must(grown != NULL);
    return grown;
}

void memory_give(void *memory) {
    free(memory);
}
