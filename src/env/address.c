// SPDX-License-Identifier: Apache-2.0
#include "env/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parts {
    char host[ADDRESS_SIZE_MAX + 1];
    uint16_t port;
    bool is_bracketed;
};

// Digits alone: no sign, no space, at most 65535.
static bool parse_port(const char *text, uint16_t *port) {
    uint32_t value = 0;
    size_t size = strlen(text);
    if (size == 0 || size > 5) return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        value = value * 10 + (uint32_t)(text[i] - '0');
    }
    *port = (uint16_t)value;
    return value <= UINT16_MAX;
}

static bool split(const char *text, struct parts *parts) {
    size_t size = strnlen(text, ADDRESS_SIZE_MAX + 1);
    if (size > ADDRESS_SIZE_MAX) return false;
    const char *colon = strrchr(text, ':');
    if (colon == NULL || !parse_port(colon + 1, &parts->port)) return false;
    const char *host = text;
    size_t host_size = (size_t)(colon - text);
    parts->is_bracketed = host_size >= 2 && host[0] == '[' && host[host_size - 1] == ']';
    if (parts->is_bracketed) {
        host++;
        host_size -= 2;
    } else if (memchr(host, ':', host_size) != NULL) {
        return false; // IPv6 without brackets: where would the port begin?
    }
    if (host_size == 0) return false;
    memcpy(parts->host, host, host_size);
    parts->host[host_size] = '\0';
    return true;
}

enum status address_parse(const char *text, struct address *address) {
    struct parts parts;
    if (!split(text, &parts)) return ST_INVALID;
    memset(address, 0, sizeof(*address));
    if (parts.is_bracketed) {
        address->size = sizeof(address->to.v6);
        address->to.v6.sin6_family = AF_INET6;
        address->to.v6.sin6_port = htons(parts.port);
        return inet_pton(AF_INET6, parts.host, &address->to.v6.sin6_addr) == 1 ? ST_OK : ST_INVALID;
    }
    address->size = sizeof(address->to.v4);
    address->to.v4.sin_family = AF_INET;
    address->to.v4.sin_port = htons(parts.port);
    if (inet_pton(AF_INET, parts.host, &address->to.v4.sin_addr) == 1) return ST_OK;
    return ST_NOT_FOUND;
}

enum status address_look_up(const char *text, struct address *addresses, uint32_t *count) {
    struct parts parts;
    *count = 0;
    if (!split(text, &parts)) return ST_INVALID;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(parts.host, NULL, &hints, &found) != 0) return ST_NOT_FOUND;
    for (struct addrinfo *f = found; f != NULL && *count < ADDRESSES_MAX; f = f->ai_next) {
        struct address *address = &addresses[*count];
        memset(address, 0, sizeof(*address));
        if (f->ai_addrlen > sizeof(address->to)) continue;
        memcpy(&address->to, f->ai_addr, f->ai_addrlen);
        address->size = f->ai_addrlen;
        if (f->ai_family == AF_INET) {
            address->to.v4.sin_port = htons(parts.port);
        } else if (f->ai_family == AF_INET6) {
            address->to.v6.sin6_port = htons(parts.port);
        } else {
            continue;
        }
        ++*count;
    }
    freeaddrinfo(found);
    return *count > 0 ? ST_OK : ST_NOT_FOUND;
}

void address_format(const struct address *address, char *text) {
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->to.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address->to.v4.sin_addr, host, sizeof(host));
        snprintf(text, ADDRESS_TEXT_MAX, "%s:%u", host, ntohs(address->to.v4.sin_port));
    } else {
        inet_ntop(AF_INET6, &address->to.v6.sin6_addr, host, sizeof(host));
        snprintf(text, ADDRESS_TEXT_MAX, "[%s]:%u", host, ntohs(address->to.v6.sin6_port));
    }
}

int address_socket(const struct address *address, int type_flags) {
    int fd = socket(address->to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | type_flags, 0);
    if (fd < 0) return -1;
    // Quoit gathers its bytes itself and knows when a piece is whole. Accepted streams inherit
    // both options from their listener. A dead peer that sends nothing is found in the end.
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    return fd;
}
