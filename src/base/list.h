// SPDX-License-Identifier: Apache-2.0
//
// list.h -- intrusive circular doubly linked list.
//
// A link is embedded in the thing it links, so putting a thing on a list cannot fail and allocates
// nothing. A link that is on no list points at itself.
#ifndef QUOIT_BASE_LIST_H
#define QUOIT_BASE_LIST_H

#include "base/must.h"

#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void list_init(struct list *l) {
    l->next = l;
    l->prev = l;
}

static inline bool list_is_empty(const struct list *l) {
    return l->next == l;
}

static inline void list_append(struct list *head, struct list *item) {
    must(list_is_empty(item)); // on no other list
    item->prev = head->prev;
    item->next = head;
    head->prev->next = item;
    head->prev = item;
}

static inline void list_remove(struct list *item) {
    item->prev->next = item->next;
    item->next->prev = item->prev;
    list_init(item);
}

#endif
