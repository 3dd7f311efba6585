// SPDX-License-Identifier: Apache-2.0
#include "base/status.h"

#include "base/must.h"

const char *status_text(enum status st) {
    switch (st) {
#define X(name, text)                                                                              \
    case ST_##name:                                                                                \
        return text;
        STATUS_MAP(X)
#undef X
    }
    unreachable();
}
