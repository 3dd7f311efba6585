// SPDX-License-Identifier: Apache-2.0
#include "bin/daemon_check.h"

#include "base/timer.h"
#include "bin/cli_terminal.h"
#include "bin/daemon_identity.h"
#include "env/system.h"
#include "store/check.h"
#include "store/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    BAD_USAGE = 2,
    PROGRESS_NS = 200 * 1000 * 1000,
    COPIES = 3, // of the largest value, in one record
};

#define MEMORY_MAX (UINT64_C(1) << 30)

struct inspector {
    const char *directory;
    bool wants_json;
    struct terminal terminal; // for progress
    uint64_t total;           // bytes of all files
    uint64_t shown_at;        // ns, when progress was
    uint64_t found;
    bool is_done;
    enum status status;
};

static int refuse(const char *text) {
    (void)fprintf(stderr, "quoitd: %s\n", text);
    return EXIT_FAILURE;
}

static void on_log(void *context, enum env_level level, struct slice line) {
    (void)context; // what is to be said is said as findings
    (void)level;
    (void)line;
}

// Findings. Names and texts have no character that JSON would want to be escaped.

static void print_text(const struct check_finding *f) {
    (void)printf("%-8s  %s: ", check_meaning_text(f->meaning), f->file);
    if (f->offset > 0 || f->size > 0) (void)printf("at %" PRIu64, f->offset);
    if (f->size > 0) (void)printf(", %" PRIu64 " bytes", f->size);
    if (f->offset > 0 || f->size > 0) (void)printf(": ");
    (void)printf("%s\n", f->what);
}

static void on_found(void *context, const struct check_finding *f) {
    struct inspector *i = context;
    terminal_clear(&i->terminal);
    i->found++;
    if (!i->wants_json) {
        print_text(f);
        return;
    }
    (void)printf("%s\n  {\"file\": \"%s\", \"offset\": %" PRIu64 ", \"size\": %" PRIu64
                 ", \"meaning\": \"%s\", \"what\": \"%s\"}",
                 i->found == 1 ? "" : ",", f->file, f->offset, f->size,
                 check_meaning_text(f->meaning), f->what);
}

static void on_done(void *context, enum status status) {
    struct inspector *i = context;
    i->status = status;
    i->is_done = true;
}

// The last words.

static void print_counts(const struct inspector *i, const struct check_counts *c) {
    if (i->wants_json) {
        (void)printf("%s], \"files\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"records\": %" PRIu64
                     ", \"tables\": %" PRIu64 ", \"segments\": %" PRIu64 ", \"damaged\": %" PRIu64
                     ", \"left_over\": %" PRIu64 ", \"snapshot_files\": %" PRIu64 "}\n",
                     i->found == 0 ? "" : "\n", c->files, c->bytes, c->records, c->tables,
                     c->segments, c->damaged, c->left_over, c->snapshots);
        return;
    }
    (void)printf(
        "%s: %" PRIu64 " files, %s, %" PRIu64 " records, %" PRIu64 " tables, %" PRIu64 " segments",
        i->directory, c->files, human_size(c->bytes).text, c->records, c->tables, c->segments);
    if (c->snapshots > 0) {
        (void)printf("; %" PRIu64 " files of snapshots, not looked at", c->snapshots);
    }
    (void)printf(": ");
    if (c->damaged == 0) {
        (void)printf("clean\n");
    } else {
        (void)printf("%" PRIu64 " damaged\n", c->damaged);
    }
}

// Looking.

static uint64_t size_of(const char *directory) {
    uint64_t total = 0;
    DIR *stream = opendir(directory);
    if (stream == NULL) return 0;
    const struct dirent *entry;
    while ((entry = readdir(stream)) != NULL) {
        struct stat facts;
        if (fstatat(dirfd(stream), entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) != 0) continue;
        struct slice snapshot;
        const char *plain;
        bool is_looked_at = !store_snapshot_part(entry->d_name, &snapshot, &plain);
        if (is_looked_at && S_ISREG(facts.st_mode)) total += (uint64_t)facts.st_size;
    }
    (void)closedir(stream);
    return total;
}

static void show_progress(struct inspector *i, uint64_t bytes) {
    char note[2 * HUMAN_MAX + 8];
    (void)snprintf(note, sizeof(note), "%s of %s", human_size(bytes).text,
                   human_size(i->total).text);
    terminal_progress(&i->terminal, i->directory, bytes, i->total, note);
}

static int look(struct inspector *i, struct env *env, struct arena *arena,
                const struct check_options *options) {
    struct check *check = check_create(arena, env, options);
    if (i->wants_json) (void)printf("{\"findings\": [");
    check_start(check, on_found, on_done, i);
    while (!i->is_done) {
        system_wait(env, env->now + PROGRESS_NS);
        if (env->now < i->shown_at + PROGRESS_NS) continue;
        i->shown_at = env->now;
        show_progress(i, check_counts(check).bytes);
    }
    terminal_clear(&i->terminal);
    struct check_counts counts = check_counts(check);
    // Of nothing there is nothing to say, but a program wants the end of what it reads.
    if (counts.files > 0 || i->wants_json) print_counts(i, &counts);
    if (i->status != ST_OK) return refuse(status_text(i->status));
    if (counts.files == 0) return refuse("there is no data of a node in this directory");
    return counts.damaged == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int inspect(struct inspector *i) {
    struct env_options env_options = {
        .directory = i->directory, .log = on_log, .is_read_only = true};
    struct check_options options = {
        .memory_max = MEMORY_MAX,
        .record_size_max = COPIES * VALUE_SIZE_MAX + VALUE_SIZE_MAX / COPIES,
        .keyspaces_max = STORE_KEYSPACES_DEFAULT,
    };
    struct env_complaint why = {0};
    struct complaint complaint;
    int lock = -1;
    if (system_lock_for_reading(i->directory, &lock, &why) != ST_OK) return refuse(why.text);
    bool has_key = identity_key_is_good(i->directory, &complaint);
    if (!has_key) (void)refuse(complaint.text);
    struct arena arena = system_arena(check_memory_size(&options));
    if (arena.memory == NULL) return refuse("the system does not let a process map so much memory");
    struct env *env = system_open(&env_options, &why);
    if (env == NULL) return refuse(why.text);
    i->total = size_of(i->directory);
    i->terminal = terminal_of(stderr);
    int result = look(i, env, &arena, &options);
    system_close(env);
    system_unlock_directory(lock);
    return has_key ? result : EXIT_FAILURE;
}

int check_main(int argc, char **argv) {
    struct inspector i = {0};
    bool is_told = false;
    for (int at = 0; at < argc; at++) {
        if (strcmp(argv[at], "--json") == 0) {
            i.wants_json = true;
        } else if (strcmp(argv[at], "--check") == 0 && !is_told) {
            is_told = true;
        } else if (argv[at][0] != '-' && argv[at][0] != '\0' && i.directory == NULL) {
            i.directory = argv[at];
        } else {
            i.directory = NULL;
            break;
        }
    }
    if (i.directory != NULL) return inspect(&i);
    (void)fprintf(stderr, "usage: quoitd --check DIRECTORY [--json]\n");
    return BAD_USAGE;
}
