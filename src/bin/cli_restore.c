// SPDX-License-Identifier: Apache-2.0
//
// quoit restore -- makes a directory for a node of a new cluster from a snapshot.
//
//     NEW.part made -> manifest, as that of a restored store -> the other files copied -> all
//     synced
//         -> renamed to NEW
//
// What is made never passes for the store that the snapshot was made of, however far it has come:
// its manifest comes first, and says under which other storage id it lives.
#include "bin/cli.h"
#include "bin/cli_options.h"
#include "store/store.h"

#include "base/text.h"
#include "model/map.h"
#include "model/name.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 1024 * 1024, MANIFEST_MAX = 1024 * 1024 };

struct restore {
    const char *name;
    const char *from;
    const char *to;
    const char *cluster;
    char path[PATH_MAX]; // `to`, without slashes at its end
    char part[PATH_MAX];
    int source; // directories
    int target;
    uint32_t wanted; // files of the snapshot, without its manifest
    uint32_t copied;
    uint8_t *piece; // PIECE bytes
};

static bool failed(const char *what, const char *path) {
    cli_complain("restore", "%s %s: %s", what, path, strerror(errno));
    return false;
}

// A file of the target, to be written.
static int create(const struct restore *r, const char *name) {
    return openat(r->target, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static bool write_all(int fd, const uint8_t *bytes, size_t size) {
    while (size > 0) {
        ssize_t written = write(fd, bytes, size);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        bytes += written;
        size -= (size_t)written;
    }
    return true;
}

// `is_good`: all was written; if not, that has been said.
static bool end_file(int fd, bool is_good, const char *name) {
    if (is_good && fsync(fd) != 0) is_good = failed("cannot write", name);
    close(fd);
    return is_good;
}

static bool copy_bytes(const struct restore *r, int in, int out, const char *name) {
    for (;;) {
        ssize_t got = read(in, r->piece, PIECE);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failed("cannot read", name);
        if (got == 0) return true;
        if (!write_all(out, r->piece, (size_t)got)) return failed("cannot write a copy of", name);
    }
}

static bool copy_file(struct restore *r, const char *name, const char *plain) {
    int in = openat(r->source, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (in < 0) return failed("cannot read", name);
    int out = create(r, plain);
    bool is_good = out >= 0;
    if (!is_good) {
        (void)failed("cannot make", plain);
    } else {
        is_good = end_file(out, copy_bytes(r, in, out, name), plain);
    }
    close(in);
    r->copied++;
    return is_good;
}

// Copies the files of the snapshot but its manifest. False: it cannot, which has been said.
static bool copy_files(struct restore *r) {
    int copy = openat(r->source, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    if (stream == NULL) {
        if (copy >= 0) close(copy);
        return failed("cannot list", r->from);
    }
    bool is_good = true;
    for (const struct dirent *entry = readdir(stream); entry != NULL && is_good;
         entry = readdir(stream)) {
        struct slice owner;
        const char *plain = NULL;
        if (!store_snapshot_part(entry->d_name, &owner, &plain)) continue;
        if (!slice_equal(owner, slice_of_string(r->name)) || strcmp(plain, "manifest") == 0) {
            continue;
        }
        is_good = copy_file(r, entry->d_name, plain);
    }
    closedir(stream);
    return is_good;
}

// Its bytes, up to MANIFEST_MAX. False: they cannot be read, which has been said.
static bool read_manifest(const struct restore *r, uint8_t *bytes, size_t *size) {
    char name[SNAPSHOT_NAME_MAX + 32];
    (void)snprintf(name, sizeof(name), "snapshot-%s.manifest", r->name);
    int fd = openat(r->source, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        cli_complain("restore", "there is no whole snapshot %s in %s", r->name, r->from);
        return false;
    }
    ssize_t got = 1;
    for (*size = 0; got != 0; *size += (size_t)got) {
        do {
            got = read(fd, bytes + *size, MANIFEST_MAX - *size);
        } while (got < 0 && errno == EINTR);
        if (got < 0) break;
    }
    if (got < 0) (void)failed("cannot read", name);
    close(fd);
    return got == 0;
}

static uint64_t random_number(void) {
    uint64_t number = 0;
    while (number == 0) {
        ssize_t got = getrandom(&number, sizeof(number), 0);
        must(got == (ssize_t)sizeof(number) || errno == EINTR);
    }
    return number;
}

static bool convert_manifest(struct restore *r, uint8_t *bytes, struct arena *arena) {
    size_t size = 0;
    if (!read_manifest(r, bytes, &size)) return false;
    uint64_t cluster = map_cluster_number(slice_of_string(r->cluster));
    struct slice restored;
    enum status status = store_restore(arena, (struct slice){bytes, size}, random_number(), cluster,
                                       &restored, &r->wanted);
    if (status != ST_OK) {
        cli_complain("restore", "the manifest of %s %s", r->name,
                     status == ST_INVALID ? "is of a version that this program does not know"
                                          : "is damaged");
        return false;
    }
    if (mkdir(r->part, 0700) != 0) return failed("cannot make", r->part);
    r->target = open(r->part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->target < 0) return failed("cannot open", r->part);
    int fd = create(r, "manifest");
    if (fd < 0) return failed("cannot make", "manifest");
    bool is_written = write_all(fd, restored.data, restored.size);
    return end_file(fd, is_written || failed("cannot write", "manifest"), "manifest");
}

// The name of the new directory is durable when its parent is synced.
static bool sync_parent(const char *path) {
    char parent[PATH_MAX + sizeof("/..")];
    (void)snprintf(parent, sizeof(parent), "%s/..", path);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    return is_synced || failed("cannot sync", parent);
}

static bool finish(const struct restore *r) {
    if (r->copied != r->wanted) {
        cli_complain("restore", "snapshot %s should have %u files beside its manifest, not %u",
                     r->name, r->wanted, r->copied);
        return false;
    }
    if (fsync(r->target) != 0) return failed("cannot sync", r->part);
    if (rename(r->part, r->path) != 0) return failed("cannot make", r->path);
    return sync_parent(r->path);
}

static bool run(struct restore *r) {
    if (access(r->path, F_OK) == 0 || access(r->part, F_OK) == 0) {
        bool is_made = access(r->path, F_OK) == 0;
        cli_complain("restore", "%s exists%s", is_made ? r->path : r->part,
                     is_made ? "" : ", from a restore that did not end; remove it");
        return false;
    }
    r->source = open(r->from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->source < 0) return failed("cannot open", r->from);
    size_t size = (store_restore_memory_size() + 63) / 64 * 64;
    void *memory = aligned_alloc(64, size);
    uint8_t *bytes = malloc(MANIFEST_MAX);
    r->piece = malloc(PIECE);
    must(memory != NULL);
    must(bytes != NULL);
    must(r->piece != NULL);
    memset(memory, 0, size);
    struct arena arena = arena_over(memory, size);
    bool is_good = convert_manifest(r, bytes, &arena) && copy_files(r) && finish(r);
    if (r->target >= 0) close(r->target);
    close(r->source);
    free(r->piece);
    free(bytes);
    free(memory);
    return is_good;
}

// False: `to` is empty or too long.
static bool set_paths(struct restore *r) {
    size_t size = strlen(r->to);
    if (size == 0 || size > PATH_MAX - sizeof(".part/..")) return false;
    while (size > 1 && r->to[size - 1] == '/') size--;
    (void)snprintf(r->path, sizeof(r->path), "%.*s", (int)size, r->to);
    (void)snprintf(r->part, sizeof(r->part), "%.*s.part", (int)size, r->to);
    return true;
}

static const char *what_is_missing(const struct restore *r) {
    if (r->name == NULL) return "NAME";
    if (r->from == NULL) return "--from";
    if (r->to == NULL) return "--to";
    return r->cluster == NULL ? "--new-cluster" : NULL;
}

int cli_restore(int count, char **arguments) {
    struct restore r = {.source = -1, .target = -1};
    const struct cli_option options[] = {
        {"from", "DIR", "directory with the files of the snapshot", .text = &r.from},
        {"to", "DIR", "directory to be made", .text = &r.to},
        {"new-cluster", "WORD", "any word, the same for all members, never used before",
         .text = &r.cluster},
    };
    const struct cli_syntax syntax = {
        .command = "restore",
        .summary = "Makes a directory for a node of a new cluster from a snapshot.",
        .notes = "Restore a whole cluster: each member from a snapshot of its own, under the same\n"
                 "name. The members of the cluster that it was taken from refuse it.\n",
        .operand = "NAME",
        .operand_text = &r.name,
        .options = options,
        .option_count = sizeof(options) / sizeof(options[0]),
    };
    enum cli_asked asked = cli_options_read(&syntax, count, arguments);
    if (asked != CLI_ASKED_RUN) return asked == CLI_ASKED_HELP ? CLI_OK : CLI_MISUSED;
    const char *missing = what_is_missing(&r);
    if (missing != NULL) {
        cli_complain("restore", "%s is needed; see --help", missing);
        return CLI_MISUSED;
    }
    if (!store_snapshot_name_is_good(slice_of_string(r.name))) {
        cli_complain("restore",
                     "a name is 1 to %d letters, digits, '-' and '_', the first a letter or a "
                     "digit, not '%s'",
                     SNAPSHOT_NAME_MAX, r.name);
        return CLI_MISUSED;
    }
    if (!set_paths(&r)) {
        cli_complain("restore", "--to is empty or too long");
        return CLI_MISUSED;
    }
    if (!name_is_good(slice_of_string(r.cluster))) {
        cli_complain("restore", "--new-cluster is 1 to %d letters, digits, '-', '_' and '.'",
                     NAME_SIZE_MAX);
        return CLI_MISUSED;
    }
    return run(&r) ? CLI_OK : CLI_FAILED;
}
