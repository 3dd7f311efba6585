// SPDX-License-Identifier: Apache-2.0
//
// file_name.h -- names of the store's files: a word, then a number in 16 hexadecimal digits.
//
// Byte order of such names is the order of their numbers.
#ifndef QUOIT_STORE_FILE_NAME_H
#define QUOIT_STORE_FILE_NAME_H

#include "base/slice.h"

enum { FILE_NAME_DIGITS = 16, FILE_NAME_SIZE = 32 };

// Writes prefix, digits and NUL.
void file_name(struct slice prefix, uint32_t number, char name[FILE_NAME_SIZE]);

// False when it is not exactly such a name of a number from 1 on.
bool file_name_parse(struct slice prefix, const char *name, uint32_t *number);

#endif
