// SPDX-License-Identifier: Apache-2.0
#include "env/env.h"

#include <stdarg.h>
#include <stdio.h>

enum { LOG_LINE_MAX = 500 };

void env_log(struct env *env, enum env_level level, const char *format, ...) {
    char line[LOG_LINE_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    int wanted = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (wanted < 0) return;
    size_t size = wanted < LOG_LINE_MAX ? (size_t)wanted : LOG_LINE_MAX;
    for (size_t i = 0; i < size; i++) {
        if ((uint8_t)line[i] < 0x20 || line[i] == 0x7f) line[i] = '?';
    }
    env->ops->log(env, level, (struct slice){(const uint8_t *)line, size});
}
