// SPDX-License-Identifier: Apache-2.0
#include "sim/image.h"

#include "base/must.h"
#include "sim/memory.h"

#include <string.h>

// The part of [offset, offset + size) that lies in the page of `offset`.
static uint64_t in_page(uint64_t offset, uint64_t size) {
    uint64_t room = IMAGE_PAGE - offset % IMAGE_PAGE;
    return size < room ? size : room;
}

void image_read(const struct image *image, uint64_t offset, uint8_t *to, uint64_t size) {
    while (size > 0) {
        uint64_t part = in_page(offset, size);
        uint64_t page = offset / IMAGE_PAGE;
        if (page < image->page_count && image->pages[page] != NULL) {
            memcpy(to, image->pages[page] + offset % IMAGE_PAGE, part);
        } else {
            memset(to, 0, part);
        }
        offset += part;
        to += part;
        size -= part;
    }
}

static bool is_zero(const uint8_t *bytes, uint64_t size) {
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static void make_pages(struct image *image, uint64_t count) {
    if (count <= image->page_count) return;
    uint64_t grown = image->page_count * 2 > count ? image->page_count * 2 : count;
    image->pages = memory_grow(image->pages, grown, sizeof(uint8_t *));
    for (uint64_t i = image->page_count; i < grown; i++) image->pages[i] = NULL;
    image->page_count = grown;
}

void image_write(struct image *image, uint64_t offset, const uint8_t *from, uint64_t size) {
    uint64_t end = offset + size;
    must(end >= offset);
    make_pages(image, (end + IMAGE_PAGE - 1) / IMAGE_PAGE);
    if (end > image->size) image->size = end;
    while (size > 0) {
        uint64_t part = in_page(offset, size);
        uint8_t **page = &image->pages[offset / IMAGE_PAGE];
        bool is_zero_still = *page == NULL && is_zero(from, part);
        if (*page == NULL && !is_zero_still) *page = memory_take(1, IMAGE_PAGE);
        if (!is_zero_still) memcpy(*page + offset % IMAGE_PAGE, from, part);
        offset += part;
        from += part;
        size -= part;
    }
}

void image_resize(struct image *image, uint64_t size) {
    if (size < image->size) {
        uint64_t keep = (size + IMAGE_PAGE - 1) / IMAGE_PAGE;
        for (uint64_t i = keep; i < image->page_count; i++) {
            memory_give(image->pages[i]);
            image->pages[i] = NULL;
        }
        uint64_t last = size / IMAGE_PAGE;
        if (last < image->page_count && image->pages[last] != NULL) {
            memset(image->pages[last] + size % IMAGE_PAGE, 0, IMAGE_PAGE - size % IMAGE_PAGE);
        }
    }
    image->size = size;
}

struct image image_copy(const struct image *image) {
    struct image copy = {.size = image->size};
    make_pages(&copy, image->page_count);
    for (uint64_t i = 0; i < image->page_count; i++) {
        if (image->pages[i] == NULL) continue;
        copy.pages[i] = memory_take(1, IMAGE_PAGE);
        memcpy(copy.pages[i], image->pages[i], IMAGE_PAGE);
    }
    return copy;
}

void image_free(struct image *image) {
    for (uint64_t i = 0; i < image->page_count; i++) memory_give(image->pages[i]);
    memory_give(image->pages);
    *image = (struct image){0};
}
