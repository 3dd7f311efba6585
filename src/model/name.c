// SPDX-License-Identifier: Apache-2.0
#include "model/name.h"

#include "base/text.h"

bool name_char_is_good(uint8_t c) {
    bool is_letter_or_digit =
        (c >= '0' && c <= '9') || (text_lower(c) >= 'a' && text_lower(c) <= 'z');
    return is_letter_or_digit || c == '.' || c == '-' || c == '_';
}

bool name_is_good(struct slice text) {
    if (text.size == 0 || text.size > NAME_SIZE_MAX) return false;
    for (size_t i = 0; i < text.size; i++) {
        if (!name_char_is_good(text.data[i])) return false;
    }
    return true;
}
