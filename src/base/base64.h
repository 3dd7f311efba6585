// SPDX-License-Identifier: Apache-2.0
//
// base64.h -- bytes as text that survives shells, URLs and JSON (RFC 4648 base64url, unpadded).
//
// Bytes have one text and a text has one meaning: whatever the encoder would not have written, such
// as padding, line ends or stray bits in the last character, is refused.
#ifndef QUOIT_BASE_BASE64_H
#define QUOIT_BASE_BASE64_H

#include "base/slice.h"
#include "base/status.h"

#define BASE64_TEXT_SIZE(bytes) ((bytes) / 3 * 4 + ((bytes) % 3 * 4 + 2) / 3)

// Writes BASE64_TEXT_SIZE(bytes.size) characters and no NUL. Returns how many.
size_t base64_encode(struct slice bytes, char *text);

// ST_INVALID unless the text is an encoding; ST_TOO_LARGE when it is of more than `capacity` bytes.
NODISCARD enum status base64_decode(struct slice text, uint8_t *bytes, size_t capacity,
                                    size_t *size);

#endif
