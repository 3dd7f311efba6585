// SPDX-License-Identifier: Apache-2.0
//
// replay.c -- gives one decoder the files named on the command line.
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

enum { INPUT_SIZE_MAX = 1024 * 1024 };

// In memory of exactly its size, so that a sanitizer sees a read past the end.
static void replay(const uint8_t *bytes, size_t size) {
    uint8_t *exact = malloc(size == 0 ? 1 : size);
    if (exact == NULL) abort();
    for (size_t i = 0; i < size; i++) exact[i] = bytes[i];
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

int main(int argc, char **argv) {
    static uint8_t input[INPUT_SIZE_MAX];
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (file == NULL) {
            perror(argv[i]);
            return EXIT_FAILURE;
        }
        size_t size = fread(input, 1, sizeof(input), file);
        fclose(file);
        replay(input, size);
    }
    return EXIT_SUCCESS;
}
