// SPDX-License-Identifier: Apache-2.0
#include "wire/rdb.h"

#include "base/little.h"

enum {
    VERSION_DIGITS_REDIS = 4,
    VERSION_DIGITS_VALKEY = 3,
    CHECKSUM_SIZE = 8,
    END_SIZE = 1 + CHECKSUM_SIZE,
    STREAM_ID_SIZE = 16,
    TIME_SIZE = 8,
    SCORE_SIZE = 8,
    SCORE_TEXT_MAX = 252, // larger sizes are numbers that are no numbers, without text
};

enum note {
    NOTE_SLOT = 0xf4,     // three sizes
    NOTE_FUNCTION = 0xf5, // a string
    NOTE_MODULE = 0xf7,
    NOTE_IDLE = 0xf8,      // a size
    NOTE_FREQUENCY = 0xf9, // a byte
    NOTE_SERVER = 0xfa,    // two strings
    NOTE_SIZES = 0xfb,     // two sizes
    NOTE_EXPIRES_MS = 0xfc,
    NOTE_EXPIRES_S = 0xfd,
    NOTE_DATABASE = 0xfe,
    NOTE_END = 0xff,
};

// How a value lies there. N: a size that says how many follow.
enum form {
    FORM_NONE,
    FORM_STRING,       // one string, of whatever kind is packed into it
    FORM_STRINGS,      // N strings
    FORM_PAIRS,        // N times two strings
    FORM_SCORES,       // N times a string and a score
    FORM_TEXT_SCORES,  // N times a string and a score as text
    FORM_NODES,        // N times a size and a string
    FORM_TIMED_STRING, // a time and one string
    FORM_TIMED_FIELDS, // a time, and N times a size and two strings
    FORM_FIELDS_TIMED, // N times two strings and a time
    FORM_STREAM_1,
    FORM_STREAM_2,
    FORM_STREAM_3,
    FORM_MODULE,
};

static const struct {
    enum rdb_kind kind;
    enum form form;
} types[] = {
    [0] = {RDB_STRING, FORM_STRING},      [1] = {RDB_LIST, FORM_STRINGS},
    [2] = {RDB_SET, FORM_STRINGS},        [3] = {RDB_SORTED_SET, FORM_TEXT_SCORES},
    [4] = {RDB_HASH, FORM_PAIRS},         [5] = {RDB_SORTED_SET, FORM_SCORES},
    [7] = {RDB_MODULE, FORM_MODULE},      [9] = {RDB_HASH, FORM_STRING},
    [10] = {RDB_LIST, FORM_STRING},       [11] = {RDB_SET, FORM_STRING},
    [12] = {RDB_SORTED_SET, FORM_STRING}, [13] = {RDB_HASH, FORM_STRING},
    [14] = {RDB_LIST, FORM_STRINGS},      [15] = {RDB_STREAM, FORM_STREAM_1},
    [16] = {RDB_HASH, FORM_STRING},       [17] = {RDB_SORTED_SET, FORM_STRING},
    [18] = {RDB_LIST, FORM_NODES},        [19] = {RDB_STREAM, FORM_STREAM_2},
    [20] = {RDB_SET, FORM_STRING},        [21] = {RDB_STREAM, FORM_STREAM_3},
    [22] = {RDB_HASH, FORM_FIELDS_TIMED}, // of Valkey only
    [24] = {RDB_HASH, FORM_TIMED_FIELDS}, [25] = {RDB_HASH, FORM_TIMED_STRING},
};
enum { TYPES = sizeof(types) / sizeof(types[0]), TYPE_OF_VALKEY = 22 };

const char *rdb_kind_name(enum rdb_kind kind) {
    static const char *const names[RDB_KINDS] = {"strings", "lists",   "sets",   "sorted sets",
                                                 "hashes",  "streams", "modules"};
    return names[kind];
}

// Passing over. Each is false when the bytes end, or are nothing of the kind.

static bool skip(struct slice *rest, size_t size) {
    if (size > rest->size) return false;
    *rest = slice_skip(*rest, size);
    return true;
}

static bool skip_sizes(struct slice *rest, uint32_t count) {
    uint64_t size;
    for (uint32_t i = 0; i < count; i++) {
        if (!dump_take_size(rest, &size)) return false;
    }
    return true;
}

static bool skip_strings(struct slice *rest, uint32_t count) {
    struct dump_string string;
    for (uint32_t i = 0; i < count; i++) {
        if (!dump_take_string(rest, &string)) return false;
    }
    return true;
}

static bool skip_text_score(struct slice *rest) {
    if (rest->size == 0) return false;
    size_t size = rest->data[0] > SCORE_TEXT_MAX ? 0 : rest->data[0];
    return skip(rest, 1 + size);
}

// One of N of the form.
static bool skip_element(struct slice *rest, enum form form) {
    switch (form) {
    case FORM_STRINGS:
        return skip_strings(rest, 1);
    case FORM_PAIRS:
        return skip_strings(rest, 2);
    case FORM_SCORES:
        return skip_strings(rest, 1) && skip(rest, SCORE_SIZE);
    case FORM_TEXT_SCORES:
        return skip_strings(rest, 1) && skip_text_score(rest);
    case FORM_NODES:
        return skip_sizes(rest, 1) && skip_strings(rest, 1);
    case FORM_TIMED_FIELDS:
        return skip_sizes(rest, 1) && skip_strings(rest, 2);
    case FORM_FIELDS_TIMED:
        return skip_strings(rest, 2) && skip(rest, TIME_SIZE);
    case FORM_NONE:
    case FORM_STRING:
    case FORM_TIMED_STRING:
    case FORM_STREAM_1:
    case FORM_STREAM_2:
    case FORM_STREAM_3:
    case FORM_MODULE:
        break;
    }
    unreachable();
}

// N of the form; each takes at least a byte, so that no N is too large to be tried.
static bool skip_elements(struct slice *rest, enum form form) {
    uint64_t count;
    if (!dump_take_size(rest, &count)) return false;
    for (uint64_t i = 0; i < count; i++) {
        if (!skip_element(rest, form)) return false;
    }
    return true;
}

// Entries that a consumer was given and has not acknowledged, then those of each consumer.
static bool skip_group(struct slice *rest, enum form form) {
    uint64_t count;
    if (!skip_strings(rest, 1) || !skip_sizes(rest, form == FORM_STREAM_1 ? 2 : 3)) return false;
    if (!dump_take_size(rest, &count)) return false;
    for (uint64_t i = 0; i < count; i++) {
        if (!skip(rest, STREAM_ID_SIZE + TIME_SIZE) || !skip_sizes(rest, 1)) return false;
    }
    uint64_t consumers;
    if (!dump_take_size(rest, &consumers)) return false;
    for (uint64_t i = 0; i < consumers; i++) {
        size_t times = form == FORM_STREAM_3 ? 2 : 1;
        if (!skip_strings(rest, 1) || !skip(rest, times * TIME_SIZE)) return false;
        if (!dump_take_size(rest, &count) || count > rest->size / STREAM_ID_SIZE) return false;
        if (!skip(rest, count * STREAM_ID_SIZE)) return false;
    }
    return true;
}

static bool skip_stream(struct slice *rest, enum form form) {
    uint64_t groups;
    // Nodes of entries; how many there are, the last id; the first, the last deleted, all ever.
    if (!skip_elements(rest, FORM_PAIRS) || !skip_sizes(rest, 3)) return false;
    if (form != FORM_STREAM_1 && !skip_sizes(rest, 5)) return false;
    if (!dump_take_size(rest, &groups)) return false;
    for (uint64_t i = 0; i < groups; i++) {
        if (!skip_group(rest, form)) return false;
    }
    return true;
}

static bool skip_module(struct slice *rest) {
    enum { PART_END, PART_SIGNED, PART_UNSIGNED, PART_FLOAT, PART_DOUBLE, PART_STRING };
    uint64_t part;
    bool is_good = skip_sizes(rest, 1); // which module
    while (is_good && dump_take_size(rest, &part)) {
        switch (part) {
        case PART_END:
            return true;
        case PART_SIGNED:
        case PART_UNSIGNED:
            is_good = skip_sizes(rest, 1);
            break;
        case PART_FLOAT:
            is_good = skip(rest, sizeof(float));
            break;
        case PART_DOUBLE:
            is_good = skip(rest, sizeof(double));
            break;
        case PART_STRING:
            is_good = skip_strings(rest, 1);
            break;
        default:
            return false;
        }
    }
    return false;
}

static bool skip_value(struct slice *rest, enum form form) {
    switch (form) {
    case FORM_STRING:
        return skip_strings(rest, 1);
    case FORM_TIMED_STRING:
        return skip(rest, TIME_SIZE) && skip_strings(rest, 1);
    case FORM_TIMED_FIELDS:
        return skip(rest, TIME_SIZE) && skip_elements(rest, form);
    case FORM_STREAM_1:
    case FORM_STREAM_2:
    case FORM_STREAM_3:
        return skip_stream(rest, form);
    case FORM_MODULE:
        return skip_module(rest);
    case FORM_STRINGS:
    case FORM_PAIRS:
    case FORM_SCORES:
    case FORM_TEXT_SCORES:
    case FORM_NODES:
    case FORM_FIELDS_TIMED:
        return skip_elements(rest, form);
    case FORM_NONE:
        break;
    }
    unreachable();
}

// Opening.

static bool starts_with(struct slice *rest, struct slice word, uint32_t digits) {
    if (rest->size < word.size + digits) return false;
    if (memcmp(rest->data, word.data, word.size) != 0) return false;
    for (uint32_t i = 0; i < digits; i++) {
        uint8_t c = rest->data[word.size + i];
        if (c < '0' || c > '9') return false;
    }
    return skip(rest, word.size + digits);
}

enum status rdb_open(struct rdb *rdb, struct slice file) {
    *rdb = (struct rdb){.file = file, .rest = file};
    rdb->is_of_valkey = starts_with(&rdb->rest, SLICE("VALKEY"), VERSION_DIGITS_VALKEY);
    if (!rdb->is_of_valkey && !starts_with(&rdb->rest, SLICE("REDIS"), VERSION_DIGITS_REDIS)) {
        return ST_INVALID;
    }
    if (rdb->rest.size < END_SIZE) return ST_CORRUPT;
    struct slice summed = {file.data, file.size - CHECKSUM_SIZE};
    uint64_t sum = load_u64(file.data + summed.size);
    bool is_whole = summed.data[summed.size - 1] == NOTE_END;
    if (!is_whole || (sum != 0 && sum != dump_checksum(summed))) return ST_CORRUPT;
    return ST_OK;
}

// Reading.

static bool read_time(struct slice *rest, enum note note, int64_t *ms) {
    const uint8_t *at = rest->data;
    if (!skip(rest, note == NOTE_EXPIRES_MS ? 8 : 4)) return false;
    *ms = note == NOTE_EXPIRES_MS ? (int64_t)load_u64(at) : (int64_t)(int32_t)load_u32(at) * 1000;
    return true;
}

// A note other than the last. False: it is none, or broken.
static bool read_note(struct rdb *rdb, enum note note, struct rdb_entry *entry) {
    struct slice *rest = &rdb->rest;
    switch (note) {
    case NOTE_SLOT:
        return skip_sizes(rest, 3);
    case NOTE_FUNCTION:
        return skip_strings(rest, 1);
    case NOTE_MODULE:
        return skip_module(rest);
    case NOTE_IDLE:
        return skip_sizes(rest, 1);
    case NOTE_FREQUENCY:
        return skip(rest, 1);
    case NOTE_SERVER:
        return skip_strings(rest, 2);
    case NOTE_SIZES:
        return skip_sizes(rest, 2);
    case NOTE_EXPIRES_MS:
    case NOTE_EXPIRES_S:
        return read_time(rest, note, &entry->expires_ms);
    case NOTE_DATABASE:
        return dump_take_size(rest, &rdb->database);
    case NOTE_END:
        break;
    }
    return false;
}

enum status rdb_next(struct rdb *rdb, struct rdb_entry *entry) {
    struct slice *rest = &rdb->rest;
    *entry = (struct rdb_entry){0};
    for (;;) {
        if (rest->size == 0) return ST_CORRUPT;
        uint8_t code = rest->data[0];
        *rest = slice_skip(*rest, 1);
        if (code == NOTE_END) return rest->size == CHECKSUM_SIZE ? ST_NOT_FOUND : ST_CORRUPT;
        bool is_type = code < TYPES && types[code].form != FORM_NONE;
        if (is_type && code == TYPE_OF_VALKEY && !rdb->is_of_valkey) is_type = false;
        if (is_type) {
            entry->kind = types[code].kind;
            entry->database = rdb->database;
            bool is_good = dump_take_string(rest, &entry->key);
            if (is_good && entry->kind == RDB_STRING) {
                return dump_take_string(rest, &entry->value) ? ST_OK : ST_CORRUPT;
            }
            return is_good && skip_value(rest, types[code].form) ? ST_OK : ST_CORRUPT;
        }
        if (code < NOTE_SLOT || code == 0xf6) return ST_INVALID;
        if (!read_note(rdb, code, entry)) return ST_CORRUPT;
    }
}
