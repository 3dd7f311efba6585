// SPDX-License-Identifier: Apache-2.0
#include "store/findings.h"

#include "base/text.h"

enum { TEXT_MAX = 200 };

void findings_add(struct findings *f, const char *file, struct stretch where,
                  enum check_meaning meaning, const char *format, ...) {
    char memory[TEXT_MAX];
    struct text text = text_over(memory, sizeof(memory));
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(&text, format, arguments);
    va_end(arguments);
    f->counts.damaged += meaning != CHECK_HARMLESS;
    f->found(f->context, &(struct check_finding){
                             .file = file,
                             .offset = where.offset,
                             .size = where.size,
                             .what = text.data,
                             .meaning = meaning,
                         });
}

const char *check_meaning_text(enum check_meaning meaning) {
    switch (meaning) {
    case CHECK_LOST:
        return "lost";
    case CHECK_MENDED:
        return "mended";
    case CHECK_HARMLESS:
        return "harmless";
    }
    unreachable();
}
