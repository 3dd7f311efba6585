// SPDX-License-Identifier: Apache-2.0
#include "tests/malloc_trap.h"

#include "base/must.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
    HAS_FEATURE(address_sanitizer) || HAS_FEATURE(thread_sanitizer)
#define UNDER_SANITIZER 1
#else
#define UNDER_SANITIZER 0
#endif

// In the program itself, thread-locals are found without a call that could allocate.
static _Thread_local bool armed;
static _Thread_local uint64_t count;

__attribute__((noinline)) void malloc_trap_sprung(void) {
    __asm__ volatile(""); // keeps the call, for the debugger
}

static void notice(void) {
    if (!armed) return;
    count++;
    malloc_trap_sprung();
}

#if UNDER_SANITIZER

// Of the sanitizers' common interface; not every compiler brings the header along.
typedef void malloc_hook(const volatile void *memory, size_t size);
typedef void free_hook(const volatile void *memory);
int __sanitizer_install_malloc_and_free_hooks( // NOLINT(bugprone-reserved-identifier)
    malloc_hook *on_malloc, free_hook *on_free);

static void on_malloc(const volatile void *memory, size_t size) {
    (void)memory, (void)size;
    notice();
}

static void on_free(const volatile void *memory) {
    (void)memory;
    notice();
}

static void install(void) {
    static bool installed;
    if (installed) return;
    must(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0);
    installed = true;
}

#else

static void install(void) {
}

// The C library's own, under the names that it exports for those who replace malloc.
void *__libc_malloc(size_t size);                     // NOLINT(bugprone-reserved-identifier)
void *__libc_calloc(size_t items, size_t size);       // NOLINT(bugprone-reserved-identifier)
void *__libc_realloc(void *memory, size_t size);      // NOLINT(bugprone-reserved-identifier)
void *__libc_memalign(size_t alignment, size_t size); // NOLINT(bugprone-reserved-identifier)
void __libc_free(void *memory);                       // NOLINT(bugprone-reserved-identifier)

void *malloc(size_t size) {
    notice();
    return __libc_malloc(size);
}

void *calloc(size_t nmemb, size_t size) {
    notice();
    return __libc_calloc(nmemb, size);
}

void *realloc(void *ptr, size_t size) {
    notice();
    return __libc_realloc(ptr, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    notice();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **memptr, size_t alignment, size_t size) {
    notice();
    *memptr = __libc_memalign(alignment, size);
    return *memptr == NULL ? ENOMEM : 0;
}

void free(void *ptr) {
    if (ptr != NULL) notice();
    __libc_free(ptr);
}

#endif

void malloc_trap_arm(void) {
    must(!armed);
    install();
    count = 0;
    armed = true;
}

uint64_t malloc_trap_disarm(void) {
    must(armed);
    armed = false;
    return count;
}

bool malloc_trap_works(void) {
    malloc_trap_arm();
    void *volatile memory = malloc(1);
    free(memory);
    return malloc_trap_disarm() > 0;
}
