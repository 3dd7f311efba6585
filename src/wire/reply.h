// SPDX-License-Identifier: Apache-2.0
//
// reply.h -- answers to clients, written in the protocol that the connection speaks.
//
// A reply is written once, in terms of what it means (a map, a null, a double); whether it comes
// out as RESP2 or RESP3 is a number in the struct. Where RESP2 has no word for something it gets
// the one that Redis 7.0 uses: a map is a flat array, a boolean an integer, verbatim text a bulk.
//
//                RESP2              RESP3
//     null       $-1                _
//     map        *2n                %n
//     set        *n                 ~n
//     push       *n                 >n
//     double     $<size> <digits>   ,<digits>
//     boolean    :1                 #t
//     verbatim   $<size> <text>     =<size+4> txt:<text>
//
// Room is asked for once per element. The first element that does not fit sets `overflowed`, writes
// nothing, and makes all later ones do nothing, so that a reply can be written in a straight line
// and checked at its end; reply_rewind then takes back the part of it that was written. An element
// is never cut in two.
#ifndef QUOIT_WIRE_REPLY_H
#define QUOIT_WIRE_REPLY_H

#include "base/slice.h"

enum {
    REPLY_ERROR_MAX = 512, // bytes of an error's text; the rest is clipped
    REPLY_HEADER_MAX = 24, // bytes that any type, count and line end take
};

struct reply {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool overflowed;
    uint8_t protocol; // 2 or 3
};

// Borrows the memory for the life of the reply. Requires protocol 2 or 3.
struct reply reply_to(uint8_t *data, size_t capacity, uint8_t protocol);

void reply_ok(struct reply *r);
void reply_simple(struct reply *r, struct slice text); // requires no CR or LF in it
void reply_integer(struct reply *r, int64_t value);
void reply_double(struct reply *r, double value);
void reply_boolean(struct reply *r, bool value);
void reply_null(struct reply *r);
void reply_null_array(struct reply *r); // RESP3 knows one null only
void reply_bulk(struct reply *r, struct slice bytes);
void reply_bulk_string(struct reply *r, const char *string);
void reply_bulk_integer(struct reply *r, int64_t value);
void reply_verbatim(struct reply *r, struct slice text);

// The text begins with the word that programs act on ("ERR", "BUSY"). It may hold bytes of the
// client's: line ends and other control bytes become spaces, and it is clipped.
void reply_error(struct reply *r, struct slice text);
void reply_errorf(struct reply *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Headers: the elements follow as replies of their own, two for each pair of a map.
void reply_array(struct reply *r, uint64_t count);
void reply_map(struct reply *r, uint64_t pairs);
void reply_set(struct reply *r, uint64_t count);
void reply_push(struct reply *r, uint64_t count);

// For arrays and maps whose count is known only after their elements: puts the header in front of
// what was written since the reply had `mark` bytes. Moves those bytes.
void reply_array_before(struct reply *r, size_t mark, uint64_t count);
void reply_map_before(struct reply *r, size_t mark, uint64_t pairs);

// Bytes that bulk_size bytes take up as a bulk (verbatim text takes four more).
size_t reply_bulk_size(size_t bulk_size);

// Back to when the reply had `mark` bytes.
void reply_rewind(struct reply *r, size_t mark);

static inline size_t reply_room(const struct reply *r) {
    return r->capacity - r->size;
}

#endif
