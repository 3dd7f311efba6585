// SPDX-License-Identifier: Apache-2.0
//
// malloc_trap.h -- notices who allocates.
//
// The core imports no allocator, which its symbol table proves; but a library behind a name that it
// may import could allocate all the same. So a test, or the simulator, arms the trap around calls
// into the core and demands that nothing was allocated or freed meanwhile:
//
//     malloc_trap_arm();
//     node_wake(node);
//     assert_int_equal(malloc_trap_disarm(), 0);
//
// The trap is the program's own malloc, so it sees what shared libraries do, too. It watches the
// thread that armed it and no other. To find a culprit, break on malloc_trap_sprung.
//
// Under the sanitizers, which bring their own malloc, it is their hook. Under valgrind, which puts
// its malloc over ours, it sees nothing: malloc_trap_works() tells.
#ifndef QUOIT_TESTS_MALLOC_TRAP_H
#define QUOIT_TESTS_MALLOC_TRAP_H

#include <stdbool.h>
#include <stdint.h>

// Starts to count. Requires that the trap is not armed.
void malloc_trap_arm(void);

// Ends the count, and returns how often this thread allocated or freed since it was armed.
uint64_t malloc_trap_disarm(void);

// Whether an allocation made now would be noticed. Requires that the trap is not armed.
bool malloc_trap_works(void);

// Called at every allocation while the trap is armed; does nothing.
void malloc_trap_sprung(void);

#endif
