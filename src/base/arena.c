// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include "base/must.h"

enum { ARENA_ALIGN = 64 };

struct arena arena_over(void *memory, size_t size) {
    must(memory != NULL);
    must((uintptr_t)memory % ARENA_ALIGN == 0);
    return (struct arena){.memory = memory, .size = size};
}

void *arena_take(struct arena *arena, size_t count, size_t size) {
    size_t total = 0;
    must(!__builtin_mul_overflow(count, size, &total));
    must(total <= SIZE_MAX - ARENA_ALIGN);
    total = (total + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    must(total <= arena->size - arena->used);
    void *taken = arena->memory + arena->used;
    arena->used += total;
    return taken;
}
