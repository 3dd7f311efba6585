// SPDX-License-Identifier: Apache-2.0
#include "base/glob.h"

// Is the byte in the class that begins behind pattern.data[*at]'s bracket? *at moves behind the
// class.
static bool class_has(struct slice pattern, size_t *at, uint8_t byte) {
    const uint8_t *p = pattern.data;
    size_t i = *at + 1;
    bool negated = i < pattern.size && p[i] == '^';
    if (negated) i++;
    bool found = false;
    for (; i < pattern.size && p[i] != ']'; i++) {
        size_t left = pattern.size - i;
        if (p[i] == '\\' && left >= 2) {
            i++;
            found |= p[i] == byte;
        } else if (left >= 3 && p[i + 1] == '-') {
            uint8_t low = p[i] < p[i + 2] ? p[i] : p[i + 2];
            uint8_t high = p[i] < p[i + 2] ? p[i + 2] : p[i];
            found |= byte >= low && byte <= high;
            i += 2;
        } else {
            found |= p[i] == byte;
        }
    }
    *at = i < pattern.size ? i + 1 : i;
    return found != negated;
}

// Does the byte match the part of the pattern at *at, which is not a star? *at moves behind it.
static bool matches_one(struct slice pattern, size_t *at, uint8_t byte) {
    uint8_t c = pattern.data[*at];
    if (c == '[') return class_has(pattern, at, byte);
    if (c == '\\' && pattern.size - *at >= 2) {
        *at += 2;
        return pattern.data[*at - 1] == byte;
    }
    *at += 1;
    return c == '?' || c == byte;
}

static size_t skip_stars(struct slice pattern, size_t at) {
    while (at < pattern.size && pattern.data[at] == '*') at++;
    return at;
}

static void spend(uint64_t *steps, size_t cost) {
    *steps = *steps > cost ? *steps - cost : 0;
}

bool glob_match(struct slice pattern, struct slice text, uint64_t *steps) {
    size_t at = 0;     // in the pattern
    size_t i = 0;      // in the text
    size_t behind = 0; // where the pattern goes on behind the last star; 0 when there was none
    size_t tried = 0;  // where the text was thought to go on behind it
    while (i < text.size) {
        if (*steps == 0) return false;
        size_t next = at;
        if (at < pattern.size && pattern.data[at] == '*') {
            at = behind = skip_stars(pattern, at);
            tried = i;
            spend(steps, at - next);
            if (at == pattern.size) return true;
            continue;
        }
        bool matches = at < pattern.size && matches_one(pattern, &next, text.data[i]);
        spend(steps, 1 + next - at);
        if (matches) {
            at = next;
            i++;
        } else if (behind > 0) {
            at = behind;
            i = ++tried;
        } else {
            return false;
        }
    }
    return *steps > 0 && skip_stars(pattern, at) == pattern.size;
}
