// SPDX-License-Identifier: Apache-2.0
#include "server/commands.h"

#include "base/lcs.h"
#include "base/text.h"

// LCS: the first value is kept while the second is read.

enum lcs_flag { LCS_LEN = 1, LCS_IDX = 2, LCS_WITHMATCHLEN = 4 };

enum { MATCH_SIZE_MAX = 6 * REPLY_HEADER_MAX }; // of its reply: three arrays, with numbers

static_assert(LCS_CELLS_MAX / 8 < TEXT_SIZE, "the bits fit the server's text");

// False: the answer was given.
static bool parse_options(struct command *c) {
    c->my.flags = 0;
    c->my.number = 0;
    for (uint32_t i = 3; i < c->argument_count; i++) {
        if (argument_is(c->arguments[i], "len")) {
            c->my.flags |= LCS_LEN;
        } else if (argument_is(c->arguments[i], "idx")) {
            c->my.flags |= LCS_IDX;
        } else if (argument_is(c->arguments[i], "withmatchlen")) {
            c->my.flags |= LCS_WITHMATCHLEN;
        } else if (argument_is(c->arguments[i], "minmatchlen") && i + 1 < c->argument_count) {
            if (!parse_integer(c, c->arguments[++i], &c->my.number)) return false;
        } else {
            answer_parse_error(c, PARSE_SYNTAX);
            return false;
        }
    }
    bool is_torn = (c->my.flags & LCS_LEN) != 0 && (c->my.flags & LCS_IDX) != 0;
    if (is_torn) {
        answer_error(c, "ERR If you want both the length and indexes, please just use IDX.");
    }
    return !is_torn;
}

static void write_stretch(struct reply *r, size_t begin, size_t size) {
    reply_array(r, 2);
    reply_integer(r, (int64_t)begin);
    reply_integer(r, (int64_t)(begin + size - 1));
}

static void answer_stretches(struct command *c, struct lcs *l) {
    struct reply *r = answer_open(c, (l->size + 1) * MATCH_SIZE_MAX);
    if (r == NULL) return;
    reply_map(r, 2);
    reply_bulk(r, SLICE("matches"));
    size_t mark = r->size;
    uint64_t count = 0;
    struct lcs_match match;
    bool has_sizes = (c->my.flags & LCS_WITHMATCHLEN) != 0;
    while (lcs_next(l, &match)) {
        if ((int64_t)match.size < c->my.number) continue;
        reply_array(r, has_sizes ? 3 : 2);
        write_stretch(r, match.a, match.size);
        write_stretch(r, match.b, match.size);
        if (has_sizes) reply_integer(r, (int64_t)match.size);
        count++;
    }
    reply_array_before(r, mark, count);
    reply_bulk(r, SLICE("len"));
    reply_integer(r, (int64_t)l->size);
    answer_close(c);
}

static void answer_bytes(struct command *c, struct lcs *l) {
    uint8_t bytes[LCS_SIZE_MAX];
    size_t at = l->size;
    must(at <= sizeof(bytes));
    struct lcs_match match;
    while (lcs_next(l, &match)) {
        at -= match.size;
        memcpy(bytes + at, l->a.data + match.a, match.size);
    }
    must(at == 0);
    answer_bulk(c, (struct slice){bytes, l->size});
}

static void refuse_size(struct command *c) {
    answer_errorf(c, "TOOLARGE the sizes of both values, multiplied, exceed %d",
                  (int)LCS_CELLS_MAX);
}

static void on_second_read(struct step *step) {
    struct command *c = step->command;
    struct server *server = c->session->server;
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    struct slice a = c->my.text;
    struct slice b = sibling == NULL ? (struct slice){0} : sibling->value;
    if (b.size == 0) a.size = 0; // nothing in common, however long
    if (a.size == 0) b.size = 0;
    bool is_large = a.size > 0 && b.size > LCS_CELLS_MAX / a.size;
    if (is_large || lcs_row_size(b.size) > server->scratch_size) {
        refuse_size(c);
        return;
    }
    struct lcs l;
    lcs_find(&l, a, b, (uint32_t *)(void *)server->scratch, (uint8_t *)server->text);
    if ((c->my.flags & LCS_LEN) != 0) {
        answer_integer(c, (int64_t)l.size);
    } else if ((c->my.flags & LCS_IDX) != 0) {
        answer_stretches(c, &l);
    } else {
        answer_bytes(c, &l);
    }
}

static void on_first_read(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    c->my.text = sibling == NULL ? SLICE("") : sibling->value;
    if (c->my.text.size > c->session->server->large_capacity) {
        refuse_size(c);
        return;
    }
    c->my.text.data = step_hold_copy(step, c->my.text, c->my.text.size);
    if (c->my.text.data == NULL) {
        answer_again(c);
    } else {
        step_read(step, c->arguments[2], on_second_read);
    }
}

void start_lcs(struct command *c) {
    if (parse_options(c)) step_read(&c->step, c->arguments[1], on_first_read);
}
