// SPDX-License-Identifier: Apache-2.0
//
// fuzz.h -- one program for each decoder of bytes from outside.
//
// foo_fuzz.c defines LLVMFuzzerTestOneInput. In build/fuzz it is linked to libFuzzer, which looks
// for inputs that fail; in every other build to replay.c, which gives it the files named on the
// command line. An input fails by a sanitizer's complaint or by a must(): decoders refuse bytes
// with a status, so no input may reach one. What a decoder accepts should be demanded to survive
// encoding and decoding once more.
#ifndef QUOIT_FUZZ_FUZZ_H
#define QUOIT_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
