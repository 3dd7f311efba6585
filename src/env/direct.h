// SPDX-License-Identifier: Apache-2.0
//
// direct.h -- what a direct read of a file must be a multiple of.
#ifndef QUOIT_ENV_DIRECT_H
#define QUOIT_ENV_DIRECT_H

#include <stdint.h>

// Bytes, a power of two; as far as the kernel tells (since 6.1), else ENV_DIRECT_UNIT. More than
// that: the file cannot be read so here.
uint32_t direct_unit(int fd);

#endif
