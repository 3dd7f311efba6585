// SPDX-License-Identifier: Apache-2.0
//
// image.h -- the bytes of a simulated file, kept by the page.
//
// Pages to which nothing but zeros was ever written take no memory, so a file of a preallocated
// gigabyte costs nothing.
#ifndef QUOIT_SIM_IMAGE_H
#define QUOIT_SIM_IMAGE_H

#include <stdint.h>

enum { IMAGE_PAGE = 4096 };

struct image {
    uint8_t **pages; // NULL: zeros
    uint64_t page_count;
    uint64_t size; // bytes
};

// Fills `to`; what lies past the end is zeros.
void image_read(const struct image *image, uint64_t offset, uint8_t *to, uint64_t size);

// Grows the image when it has to.
void image_write(struct image *image, uint64_t offset, const uint8_t *from, uint64_t size);

// What is cut off is gone: growing again shows zeros.
void image_resize(struct image *image, uint64_t size);

struct image image_copy(const struct image *image);
void image_free(struct image *image);

#endif
