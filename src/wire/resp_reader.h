// SPDX-License-Identifier: Apache-2.0
//
// resp_reader.h -- where a reply ends, for those on the other side: tools, load generators, tests.
//
// A client that sends many requests at once needs to know how many answers it has, which of them
// are errors, and little else. The reader walks over one reply of any RESP2 or RESP3 type, nested
// up to RESP_DEPTH_MAX, and keeps its place when the bytes end in the middle.
//
//     resp_reader_init(&reader);
//     while (resp_read(&reader, received, &reply) == RESP_READ_WHOLE) {
//         received = slice_skip(received, reply.size);
//         ...
//     }
//
// Values inside arrays and maps are passed over, not handed out. RESP3's attributes belong to the
// reply that follows them; its streamed strings and arrays are not understood, as no server sends
// them.
#ifndef QUOIT_WIRE_RESP_READER_H
#define QUOIT_WIRE_RESP_READER_H

#include "base/slice.h"

enum {
    RESP_DEPTH_MAX = 8,
    RESP_LINE_MAX = 64 * 1024, // bytes of a simple string, an error, a number
};

enum resp_read {
    RESP_READ_WHOLE,
    RESP_READ_MORE, // the reply goes on behind the input: call again with more of it
    RESP_READ_BAD,  // not RESP, or nested too deeply; final
};

struct resp_reply {
    uint8_t type;       // as on the wire: '+' '-' ':' '$' '*' ...
    bool is_error;      // '-' or '!'
    bool is_null;       // "_", "$-1", "*-1"
    struct slice value; // lends: text of a line, bytes of a bulk; nothing for arrays and the like
    uint64_t count;     // elements of an array, set or push; pairs of a map
    size_t size;        // bytes of the whole reply
};

struct resp_reader {
    size_t at;           // offset of the next element, from the start of the reply
    size_t searched;     // that element is a line that does not end in front of this offset
    uint32_t depth;      // containers that are open
    uint32_t attributes; // bit i set: container i holds attributes, and is no element
    uint64_t left[RESP_DEPTH_MAX]; // elements that are missing in each
    struct resp_reply reply;       // what is known of it; its size when it is whole
};

void resp_reader_init(struct resp_reader *r);

// Requires input to begin at the start of the reply at every call until it is whole; it may be
// somewhere else each time. After RESP_READ_WHOLE the reader is ready for the next reply.
enum resp_read resp_read(struct resp_reader *r, struct slice input, struct resp_reply *reply);

#endif
