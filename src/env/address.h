// SPDX-License-Identifier: Apache-2.0
//
// address.h -- "host:port" as the kernel wants it, and back.
//
// A host is an IPv4 address, an IPv6 address in brackets, or a name. Looking up a name may take
// long, so it is a step of its own that belongs on another thread.
#ifndef QUOIT_ENV_ADDRESS_H
#define QUOIT_ENV_ADDRESS_H

#include "base/limits.h"
#include "base/status.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    ADDRESS_TEXT_MAX = 64, // of a numeric address, with its port and a final zero
    ADDRESSES_MAX = 8,     // of one name
};

struct address {
    socklen_t size;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } to;
};

// ST_OK: a numeric address; ST_NOT_FOUND: well-formed, but the host is a name; or ST_INVALID.
NODISCARD enum status address_parse(const char *text, struct address *address);

// Looks a name up, blocking: up to ADDRESSES_MAX addresses. ST_NOT_FOUND when it has none.
NODISCARD enum status address_look_up(const char *text, struct address *addresses, uint32_t *count);

// Writes "host:port" in at most ADDRESS_TEXT_MAX bytes.
void address_format(const struct address *address, char *text);

// Opens a socket for streams to or from such addresses; -1 and errno when that fails.
int address_socket(const struct address *address, int type_flags);

#endif
