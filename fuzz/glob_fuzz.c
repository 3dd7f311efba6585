// SPDX-License-Identifier: Apache-2.0
//
// A pattern, its size in the first byte, and a text. The answer must be that of a table which says,
// for every part of the pattern and every start of the text, whether the one matches the other; and
// it must come within the allowance.
#include "fuzz/fuzz.h"

#include "base/glob.h"

#include <string.h>

enum { PARTS_MAX = 256, TEXT_MAX = 512 };

// One byte's worth of a pattern: which bytes it stands for, or any number of any.
struct part {
    bool is_star;
    bool has[256];
};

static struct part parts[PARTS_MAX];

// The class that begins at `at`, behind its bracket; returns where the pattern goes on.
static size_t read_class(struct slice pattern, size_t at, bool has[256]) {
    const uint8_t *p = pattern.data;
    bool negated = at < pattern.size && p[at] == '^';
    at += negated;
    while (at < pattern.size && p[at] != ']') {
        if (p[at] == '\\' && at + 1 < pattern.size) {
            has[p[at + 1]] = true;
            at += 2;
        } else if (at + 2 < pattern.size && p[at + 1] == '-') {
            int low = p[at] < p[at + 2] ? p[at] : p[at + 2];
            for (int c = low; c <= p[at] || c <= p[at + 2]; c++) has[c] = true;
            at += 3;
        } else {
            has[p[at++]] = true;
        }
    }
    for (int c = 0; c < 256; c++) has[c] = has[c] != negated;
    return at < pattern.size ? at + 1 : at;
}

static size_t read_parts(struct slice pattern) {
    size_t count = 0;
    for (size_t at = 0; at < pattern.size; count++) {
        struct part *part = &parts[count];
        memset(part, 0, sizeof(*part));
        uint8_t c = pattern.data[at++];
        if (c == '*') {
            part->is_star = true;
        } else if (c == '?') {
            memset(part->has, true, sizeof(part->has));
        } else if (c == '[') {
            at = read_class(pattern, at, part->has);
        } else {
            if (c == '\\' && at < pattern.size) c = pattern.data[at++];
            part->has[c] = true;
        }
    }
    return count;
}

static bool expected(struct slice pattern, struct slice text) {
    static bool row[TEXT_MAX + 1]; // do the parts so far match this much of the text?
    memset(row, 0, sizeof(row));
    row[0] = true;
    size_t count = read_parts(pattern);
    for (size_t i = 0; i < count; i++) {
        const struct part *part = &parts[i];
        if (part->is_star) {
            for (size_t end = 1; end <= text.size; end++) row[end] |= row[end - 1];
        } else {
            for (size_t end = text.size; end > 0; end--) {
                row[end] = row[end - 1] && part->has[text.data[end - 1]];
            }
            row[0] = false;
        }
    }
    return row[text.size];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || data[0] > size - 1) return 0;
    struct slice pattern = {data + 1, data[0]};
    struct slice text = slice_skip((struct slice){data, size}, 1 + pattern.size);
    if (text.size > TEXT_MAX) return 0;
    uint64_t steps = GLOB_STEPS_MAX;
    bool result = glob_match(pattern, text, &steps);
    must(steps > 0);
    must(result == expected(pattern, text));
    return 0;
}
