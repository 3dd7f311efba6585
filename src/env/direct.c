// SPDX-License-Identifier: Apache-2.0
#include "env/direct.h"

#include "env/env.h"

#include <fcntl.h>
#include <linux/stat.h> // has what the C library of today does not
#include <sys/syscall.h>
#include <unistd.h>

uint32_t direct_unit(int fd) {
    uint32_t unit = ENV_DIRECT_UNIT;
#ifdef STATX_DIOALIGN
    struct statx facts;
    if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &facts) != 0) return unit;
    if ((facts.stx_mask & STATX_DIOALIGN) == 0 || facts.stx_dio_offset_align == 0) return unit;
    bool is_power = (facts.stx_dio_offset_align & (facts.stx_dio_offset_align - 1)) == 0;
    if (is_power) unit = facts.stx_dio_offset_align;
#endif
    return unit;
}
