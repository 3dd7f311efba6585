// SPDX-License-Identifier: Apache-2.0
//
// name.h -- names of members, hosts, racks, data centres, keyspaces and clusters: 1 to
// NAME_SIZE_MAX letters, digits, '-', '_' and '.'.
#ifndef QUOIT_MODEL_NAME_H
#define QUOIT_MODEL_NAME_H

#include "base/limits.h"
#include "base/slice.h"

bool name_is_good(struct slice text);

// Whether it may stand in a name.
bool name_char_is_good(uint8_t c);

#endif
