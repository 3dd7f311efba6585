// SPDX-License-Identifier: Apache-2.0
//
// status.h -- how a function says that it could not do its work.
//
// A status is a fact the caller can act on, not a story: each value below exists because some
// caller treats it differently from the others. The story (which file, which offset) is logged
// once, where it happened.
#ifndef QUOIT_BASE_STATUS_H
#define QUOIT_BASE_STATUS_H

#define NODISCARD __attribute__((warn_unused_result))

#define STATUS_MAP(X)                                                                              \
    X(OK, "ok")                                                                                    \
    X(NOT_FOUND, "no such thing")                                                                  \
    X(BUSY, "a limit was reached, try again later")                                                \
    X(TIMEOUT, "no answer in time; the write may have been done")                                  \
    X(UNAVAILABLE, "not enough replicas are reachable")                                            \
    X(INVALID, "malformed input")                                                                  \
    X(TOO_LARGE, "over a size limit")                                                              \
    X(CORRUPT, "stored bytes do not match their checksum")                                         \
    X(IO, "the disk or the network refused")                                                       \
    X(NO_SPACE, "the disk is full")                                                                \
    X(CANCELLED, "the request was withdrawn")                                                      \
    X(HISTORY_FULL, "too many members and data directories have written it")                       \
    X(SNAPSHOT, "this is a snapshot, not a store")                                                 \
    X(NO_MEMORY, "memory is too little for this")                                                  \
    X(FENCED, "it may be from before a purge")

enum status {
#define X(name, text) ST_##name,
    STATUS_MAP(X)
#undef X
};

// Lends a constant string, in words fit for a log line or an error reply.
const char *status_text(enum status st);

#endif
