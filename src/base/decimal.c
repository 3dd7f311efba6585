// SPDX-License-Identifier: Apache-2.0
#include "base/decimal.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_digit(char c, bool is_hex) {
    char lower = (char)text_lower((uint8_t)c);
    return (c >= '0' && c <= '9') || (is_hex && lower >= 'a' && lower <= 'f');
}

// Whether the text is one of digits, and not of a word; and whether one of them, in front of the
// exponent, is not zero.
static bool has_digits(const char *text, bool *is_zero) {
    if (*text == '+' || *text == '-') text++;
    bool is_hex = text[0] == '0' && text_lower((uint8_t)text[1]) == 'x';
    if (is_hex) text += 2;
    *is_zero = true;
    bool has_any = is_hex;
    for (; is_digit(*text, is_hex) || *text == '.'; text++) {
        has_any = true;
        if (*text != '.' && *text != '0') *is_zero = false;
    }
    return has_any;
}

bool decimal_parse(struct slice text, long double *value) {
    char copy[DECIMAL_TEXT_MAX];
    if (text.size == 0 || text.size >= sizeof(copy)) return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (copy[0] == ' ' || (copy[0] >= '\t' && copy[0] <= '\r')) return false;
    char *end;
    *value = strtold(copy, &end);
    if (end != copy + text.size || isnan(*value)) return false;
    bool is_zero;
    if (!has_digits(copy, &is_zero)) return true; // infinity, by its name
    bool is_out_of_range = isinf(*value) || (*value == 0 && !is_zero);
    return !is_out_of_range;
}

size_t decimal_text(long double value, char out[DECIMAL_TEXT_MAX]) {
    must(decimal_is_finite(value));
    int printed = snprintf(out, DECIMAL_TEXT_MAX, "%.17Lf", value);
    must(printed > 0);
    must(printed < DECIMAL_TEXT_MAX);
    size_t size = (size_t)printed;
    while (out[size - 1] == '0') size--;
    if (out[size - 1] == '.') size--;
    if (size == 2 && out[0] == '-' && out[1] == '0') {
        out[0] = '0';
        size = 1;
    }
    return size;
}

bool decimal_is_finite(long double value) {
    return isfinite(value);
}
