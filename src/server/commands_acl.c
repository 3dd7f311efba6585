// SPDX-License-Identifier: Apache-2.0
//
// ACL. There is one user, who may do everything, once it has given the password if there is one.
#include "server/commands.h"

#include "base/codec.h"
#include "base/text.h"

enum { PASSWORD_BITS_DEFAULT = 256, PASSWORD_BITS_MAX = 4096 };

void local_acl_whoami(struct command *c, struct reply *r) {
    (void)c;
    reply_bulk(r, SLICE("default"));
}

void local_acl_users(struct command *c, struct reply *r) {
    (void)c;
    reply_array(r, 1);
    reply_bulk(r, SLICE("default"));
}

// Says whether there is a password, but not even a hash of it.
void local_acl_list(struct command *c, struct reply *r) {
    bool has_password = c->session->server->options.password != NULL;
    reply_array(r, 1);
    reply_bulk_string(r, has_password ? "user default on ~* &* +@all"
                                      : "user default on nopass ~* &* +@all");
}

static void write_members(uint32_t category, struct reply *r) {
    size_t mark = r->size;
    uint64_t count = 0;
    for (uint32_t i = 0; i < command_table_count; i++) {
        const struct command_spec *spec = &command_table[i];
        if ((command_categories(spec) & category) == 0) continue;
        reply_bulk_string(r, spec->name);
        count++;
    }
    reply_array_before(r, mark, count);
}

void local_acl_cat(struct command *c, struct reply *r) {
    if (c->argument_count > 3) {
        command_refuse_form(c, r);
    } else if (c->argument_count == 2) {
        reply_array(r, COMMAND_CATEGORIES);
        for (uint32_t i = 0; i < COMMAND_CATEGORIES; i++) {
            reply_bulk_string(r, command_category_name(i));
        }
    } else {
        struct slice name = c->arguments[2];
        uint32_t category = command_category_find(name);
        if (category == 0) {
            reply_errorf(r, "ERR Unknown category '%.*s'", (int)(name.size < 128 ? name.size : 128),
                         (const char *)name.data);
        } else {
            write_members(category, r);
        }
    }
}

// A password of so many bits, in fours: what the server was given at start to draw from, spread by
// a keyed hash over a number that never comes again.
void local_acl_genpass(struct command *c, struct reply *r) {
    struct server *server = c->session->server;
    int64_t bits = PASSWORD_BITS_DEFAULT;
    if (c->argument_count > 3) {
        command_refuse_form(c, r);
        return;
    }
    if (c->argument_count == 3 && !text_to_i64(c->arguments[2], &bits)) {
        reply_error(r, SLICE("ERR value is not an integer or out of range"));
        return;
    }
    if (bits <= 0 || bits > PASSWORD_BITS_MAX) {
        reply_error(r, SLICE("ERR ACL GENPASS argument must be the number of bits for the output "
                             "password, a positive number up to 4096"));
        return;
    }
    char memory[PASSWORD_BITS_MAX / 4 + 2 * MAC_SIZE + 1];
    struct text text = text_over(memory, sizeof(memory));
    size_t digits = ((size_t)bits + 3) / 4;
    while (text.size < digits) {
        uint8_t number[8];
        struct writer w = writer_to(number, sizeof(number));
        write_u64(&w, ++server->passwords);
        struct mac mac = mac_of(&server->options.random, writer_bytes(&w));
        text_hex(&text, (struct slice){mac.bytes, MAC_SIZE});
    }
    reply_bulk(r, (struct slice){(const uint8_t *)text.data, digits});
}
