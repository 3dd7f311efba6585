// SPDX-License-Identifier: Apache-2.0
#include "bin/cli_import.h"

#include "base/must.h"
#include "bin/cli_options.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// The largest string that Redis has. What a file says of a size beyond it is not believed.
#define STRING_MAX (UINT64_C(512) * 1024 * 1024)

// Bytes of the string, lent from it or from *memory, which is to be freed. False: they are not what
// the file says.
static bool expand(const struct dump_string *string, uint8_t **memory, struct slice *bytes) {
    *memory = NULL;
    *bytes = string->bytes;
    if (!string->is_compressed) return true;
    if (string->size > STRING_MAX) return false;
    *memory = malloc(string->size + 1);
    must(*memory != NULL);
    *bytes = (struct slice){*memory, string->size};
    return dump_expand(string, *memory);
}

static bool import_entry(struct import *in, const struct rdb_entry *entry, bool *is_damaged) {
    uint8_t *memory[2] = {NULL, NULL};
    struct slice key;
    struct slice value = {0};
    *is_damaged =
        !expand(&entry->key, &memory[0], &key) || !expand(&entry->value, &memory[1], &value);
    bool is_good = !*is_damaged && import_string(in, key, value, entry->expires_ms);
    free(memory[0]);
    free(memory[1]);
    return is_good;
}

static bool is_wanted(struct import *in, const struct rdb_entry *entry) {
    if (entry->database != in->database) {
        in->elsewhere++;
    } else if (entry->kind != RDB_STRING) {
        in->others[entry->kind]++;
    } else {
        return true;
    }
    return false;
}

static void complain_of(const struct import *in, const struct rdb *rdb, enum status status) {
    struct slice rest = rdb->rest;
    if (status == ST_INVALID) {
        cli_complain("import", "%s: the value at byte %zu has a form that is not known: %u",
                     in->source, rdb_position(rdb) - 1, rest.data[-1]);
    } else {
        cli_complain("import", "%s: damaged before byte %zu", in->source, rdb_position(rdb));
    }
}

static bool import_all(struct import *in, struct rdb *rdb) {
    uint64_t seen = 0; // strings
    uint64_t from = 0;
    if (in->from != NULL && !cli_read_number(in->from, false, &from)) {
        cli_complain("import", "--from is a number where the source is a file");
        return false;
    }
    struct rdb_entry entry;
    enum status status;
    while ((status = rdb_next(rdb, &entry)) == ST_OK) {
        bool is_damaged = false;
        in->done = rdb_position(rdb);
        if (!is_wanted(in, &entry)) continue;
        seen++;
        if (seen > from && !import_entry(in, &entry, &is_damaged)) {
            if (is_damaged) complain_of(in, rdb, ST_CORRUPT);
            return false;
        }
        if (in->item_count == 0) {
            (void)snprintf(in->position, sizeof(in->position), "%" PRIu64, seen);
        }
        if (import_is_stopped()) return false;
    }
    if (status != ST_NOT_FOUND) complain_of(in, rdb, status);
    return import_settle(in) && status == ST_NOT_FOUND;
}

static bool import_mapped(struct import *in, struct slice file) {
    struct rdb rdb;
    enum status status = rdb_open(&rdb, file);
    if (status == ST_OK) {
        in->total = file.size;
        return import_all(in, &rdb);
    }
    cli_complain("import", "%s %s", in->source,
                 status == ST_INVALID ? "is no RDB file"
                                      : "is damaged or cut short; nothing was imported");
    return false;
}

// host:port
static bool looks_like_server(const char *source) {
    const char *colon = strrchr(source, ':');
    uint64_t port;
    return colon != NULL && strchr(source, '/') == NULL && cli_read_number(colon + 1, false, &port);
}

bool import_file(struct import *in) {
    int fd = open(in->source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st = {0};
    if (fd < 0 || fstat(fd, &st) != 0) {
        bool is_server = errno == ENOENT && looks_like_server(in->source);
        bool may_hold_password = strchr(in->source, '@') != NULL;
        if (is_server) {
            cli_complain("import", "no such file; a server is named by redis://%s",
                         may_hold_password ? "HOST:PORT" : in->source);
        } else {
            cli_complain("import", "%s: %s", in->source, strerror(errno));
        }
        if (fd >= 0) close(fd);
        return false;
    }
    bool is_file = S_ISREG(st.st_mode) && st.st_size > 0;
    void *map =
        is_file ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    close(fd);
    if (map == MAP_FAILED) {
        cli_complain("import", "%s: %s", in->source,
                     is_file ? strerror(errno) : "no file, or empty");
        return false;
    }
    bool is_done = import_mapped(in, (struct slice){map, (size_t)st.st_size});
    (void)munmap(map, (size_t)st.st_size);
    return is_done;
}
