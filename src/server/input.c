// SPDX-License-Identifier: Apache-2.0
#include "server/input.h"

#include "server/internal.h"

// Less room than this part of a buffer is not worth a receive of its own.
enum { ROOM_PART = 4 };

void input_init_own(struct session *s) {
    s->own = (struct input){.kind = INPUT_OWN, .capacity = SESSION_OWN_SIZE, .data = s->own_bytes};
    s->input = &s->own;
}

static struct input *input_over(void *memory, enum input_kind kind, size_t size) {
    struct input *input = memory;
    if (input == NULL) return NULL;
    *input = (struct input){.kind = kind,
                            .capacity = (uint32_t)(size - sizeof(struct input)),
                            .data = (uint8_t *)memory + sizeof(struct input)};
    return input;
}

static struct input *take_chunk(struct server *server) {
    return input_over(pool_take(&server->chunk_pool), INPUT_CHUNK, CHUNK_SIZE);
}

struct input *input_take_large(struct server *server) {
    return input_over(pool_take(&server->large_pool), INPUT_LARGE,
                      server->large_capacity + sizeof(struct input));
}

void input_give(struct server *server, struct input *input) {
    must(input->references == 0);
    switch (input->kind) {
    case INPUT_OWN:
        return;
    case INPUT_CHUNK:
        pool_give(&server->chunk_pool, input);
        break;
    case INPUT_LARGE:
        pool_give(&server->large_pool, input);
        break;
    }
    server_released(server);
}

void input_pin(struct input *input) {
    input->references++;
}

void input_unpin(struct session *s, struct input *input) {
    must(input->references > 0);
    if (--input->references > 0 || input == s->input || input->kind == INPUT_OWN) return;
    must(s->input_count > 0);
    s->input_count--;
    input_give(s->server, input);
}

// Goes on in another buffer, taking along what is not yet parsed.
static void move_to(struct session *s, struct input *to) {
    struct input *from = s->input;
    uint32_t rest = s->received - s->parsed;
    must(rest <= to->capacity);
    if (rest > 0) memcpy(to->data, from->data + s->parsed, rest);
    s->input = to;
    s->parsed = 0;
    s->received = rest;
    if (to->kind != INPUT_OWN) s->input_count++;
    if (from->kind != INPUT_OWN && from->references == 0) {
        s->input_count--;
        input_give(s->server, from);
    }
}

// A buffer that holds more than `rest`.
static bool move_on(struct session *s, uint32_t rest, bool *is_short) {
    if (s->input_count >= SESSION_INPUTS_MAX) return false; // commands will end
    bool own_is_free = s->input != &s->own && s->own.references == 0;
    struct input *next = NULL;
    if (own_is_free && !s->is_streaming && rest < SESSION_OWN_SIZE / 2) {
        next = &s->own;
    } else if (rest < CHUNK_SIZE / 2) {
        next = take_chunk(s->server);
    } else {
        next = input_take_large(s->server);
    }
    *is_short = next == NULL;
    if (next != NULL) move_to(s, next);
    return next != NULL;
}

// Everything received was parsed.
static bool make_room_between(struct session *s, bool *is_short) {
    struct input *input = s->input;
    if (input->references == 0) {
        bool own_is_free = s->own.references == 0;
        if (input->kind == INPUT_LARGE || (input->kind == INPUT_CHUNK && !s->is_streaming)) {
            if (own_is_free) move_to(s, &s->own);
        }
        s->parsed = 0;
        s->received = 0;
        return s->input->references == 0;
    }
    if (s->received <= input->capacity - input->capacity / ROOM_PART &&
        input->kind != INPUT_LARGE) {
        return true;
    }
    // Who waits for its replies will send again when it has them, and then all of this is free.
    if (!s->is_streaming && input->kind == INPUT_OWN) return false;
    return move_on(s, 0, is_short);
}

bool input_make_room(struct session *s, bool *is_short) {
    *is_short = false;
    struct input *input = s->input;
    uint32_t rest = s->received - s->parsed;
    if (rest == 0) return make_room_between(s, is_short);
    if (input->references == 0 && s->parsed > 0) {
        memmove(input->data, input->data + s->parsed, rest);
        s->parsed = 0;
        s->received = rest;
    }
    if (s->received < input->capacity && s->wanted <= input->capacity - s->parsed) return true;
    // It will not fit here. But what was announced is not yet there: larger memory is for those who
    // have filled what they had.
    if (s->received < input->capacity && s->parsed == 0) return true;
    return move_on(s, rest, is_short);
}
