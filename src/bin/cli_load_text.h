// SPDX-License-Identifier: Apache-2.0
//
// cli_load_text.h -- the bytes that a load generator sends, and what it expects back.
#ifndef QUOIT_BIN_CLI_LOAD_TEXT_H
#define QUOIT_BIN_CLI_LOAD_TEXT_H

#include "bin/cli_load.h"
#include "wire/resp_reader.h"

// Writes one request and returns its size, at most load_request_size_max.
size_t load_write_request(const struct load_plan *plan, enum load_command command, uint64_t key,
                          uint8_t *to);
size_t load_request_size_max(const struct load_plan *plan);

// Whether a reply other than an error is one that the command can have.
bool load_reply_fits(enum load_command command, const struct resp_reply *reply);

// Whether this is a value, of whatever size, that load_write_request gives the key.
bool load_value_fits(const struct load_plan *plan, uint64_t key, struct slice value);

#endif
