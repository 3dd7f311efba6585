// SPDX-License-Identifier: Apache-2.0
//
// resp.h -- client requests, found in a stream of bytes.
//
// The bytes stay where the caller received them; the parser only says where arguments begin and
// end. It owns no memory: the arguments go to an array of the caller's, which may be exchanged for
// a larger one in the middle of a request. Both forms of request are understood:
//
//     *2\r\n$3\r\nGET\r\n$3\r\nkey\r\n       what clients send
//     GET "a key"\r\n                        what people type
//
// A request that is not whole yet is taken up again at the argument where it was cut, not at its
// start: a value that trickles in byte by byte costs time in proportion to its size.
//
//     for (;;) {
//         enum resp_result result = resp_parse(&parser, data, size, &limits, &request);
//         data += request.consumed;             // whatever the result
//         size -= request.consumed;
//         ...
//     }
//
// A request over a limit is not a broken stream. Its bytes are passed over as they arrive, without
// ever being kept, and then it is answered with an error like any other. Only what cannot be
// understood, or is larger than we are willing to pass over, ends the connection.
#ifndef QUOIT_WIRE_RESP_H
#define QUOIT_WIRE_RESP_H

#include "base/slice.h"

enum {
    // More arguments than this are taken for nonsense, as in Redis.
    RESP_ARGUMENTS_MAX = 1024 * 1024,

    // What somebody who has not said who he is may send.
    RESP_STRANGER_ARGUMENTS_MAX = 10,
    RESP_STRANGER_BULK_MAX = 16 * 1024,

    RESP_INLINE_MAX = 64 * 1024,
    RESP_PROBLEM_MAX = 64,
};

struct resp_limits {
    bool authenticated;     // false: the limits for strangers hold as well, and break the stream
    uint32_t arguments_max; // in one request
    size_t bulk_max;        // bytes in one argument
    size_t request_max;     // bytes in one request: the size of the caller's largest buffer
    uint64_t skip_max;      // bytes of a refused request that are passed over before giving up
};

enum resp_result {
    RESP_REQUEST, // request->arguments
    RESP_MORE,    // come back with at least request->needed bytes
    RESP_ROOM,    // the argument array is full: resp_parser_room or resp_parser_refuse, then again
    RESP_TOO_LARGE, // a whole request was passed over, request->limit says why: answer an error
    RESP_BAD,       // request->problem; the stream means nothing from here on
};

enum resp_limit {
    RESP_LIMIT_NONE,
    RESP_LIMIT_ARGUMENTS, // too many of them, or the caller had no room for them
    RESP_LIMIT_BULK,      // one of them too large
    RESP_LIMIT_REQUEST,   // all of them together too large
};

struct resp_request {
    struct slice *arguments; // lends: they point into the input; until the array is used again
    uint32_t argument_count; // at least 1
    size_t consumed;         // bytes at the front of the input that the caller must drop
    size_t needed;           // RESP_MORE: bytes that must be there, counted from behind `consumed`.
                             //   What a client declares, not what it has sent.
                             // RESP_ROOM: entries that the array should have
    enum resp_limit limit;
    const char
        *problem; // lends until the next call: "ERR Protocol error: ...", fit for reply_error
};

struct resp_parser {
    struct slice *arguments;
    uint32_t argument_capacity;
    uint32_t argument_count; // complete ones
    uint32_t arguments_left; // still to come, in a request of the first form
    bool is_inline;          // splitting a line whose end was found
    enum resp_limit limit;   // other than NONE: passing over
    size_t at;               // where the next argument begins, from the start of the request
    size_t line_end;         // inline: the offset of its line end, or how far it was searched for
    size_t line_size;        // inline: bytes with the line end
    uint64_t skip_left;      // bytes before the next argument of a refused request
    uint64_t skipped;        // bytes declared by a refused request so far
    uintptr_t base;          // where the input began when the arguments were written
    char problem[RESP_PROBLEM_MAX];
};

// Borrows the array until it is exchanged. Requires capacity > 0.
void resp_parser_init(struct resp_parser *p, struct slice *arguments, uint32_t capacity);

// Takes up the next requests: `data` begins behind all that was consumed, and holds everything that
// was there at the last call, though it may be at another address. The bytes of an inline request
// are rewritten in place where it has quotes and escapes.
enum resp_result resp_parse(struct resp_parser *p, uint8_t *data, size_t size,
                            const struct resp_limits *limits, struct resp_request *request);

// Exchanges the argument array, copying what a request in progress has in it. Between requests this
// is also how the arguments of several requests are kept side by side. Requires room for them.
void resp_parser_room(struct resp_parser *p, struct slice *arguments, uint32_t capacity);

// Gives up the request that met RESP_ROOM: it will end in RESP_TOO_LARGE.
void resp_parser_refuse(struct resp_parser *p);

#endif
