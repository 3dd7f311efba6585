// SPDX-License-Identifier: Apache-2.0
//
// memory.h -- the heap, for a program that has no use for running out of it.
#ifndef QUOIT_SIM_MEMORY_H
#define QUOIT_SIM_MEMORY_H

#include <stddef.h>

// `count` things of `size` bytes, zeroed, until memory_give.
void *memory_take(size_t count, size_t size);

// Moves what `memory` (or NULL) points at to room for `count` things of `size` bytes.
void *memory_grow(void *memory, size_t count, size_t size);

// Takes memory back; NULL is fine.
void memory_give(void *memory);

#endif
