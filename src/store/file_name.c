// SPDX-License-Identifier: Apache-2.0
#include "store/file_name.h"

void file_name(struct slice prefix, uint32_t number, char name[FILE_NAME_SIZE]) {
    must(prefix.size + FILE_NAME_DIGITS < FILE_NAME_SIZE);
    memcpy(name, prefix.data, prefix.size);
    char *digit = name + prefix.size + FILE_NAME_DIGITS;
    *digit = '\0';
    for (uint32_t i = 0; i < FILE_NAME_DIGITS; i++, number >>= 4) {
        *--digit = "0123456789abcdef"[number & 15];
    }
}

bool file_name_parse(struct slice prefix, const char *name, uint32_t *number) {
    enum { VALUE_DIGITS = 8 };
    size_t size = prefix.size + FILE_NAME_DIGITS;
    if (strlen(name) != size) return false;
    uint32_t value = 0;
    for (const char *c = name + size - VALUE_DIGITS; *c != '\0'; c++) {
        bool is_letter = *c >= 'a' && *c <= 'f';
        if (!is_letter && !(*c >= '0' && *c <= '9')) return false;
        value = value << 4 | (uint32_t)(is_letter ? *c - 'a' + 10 : *c - '0');
    }
    char canonical[FILE_NAME_SIZE];
    file_name(prefix, value, canonical);
    *number = value;
    return value > 0 && memcmp(name, canonical, size + 1) == 0;
}
