// SPDX-License-Identifier: Apache-2.0
//
// quoit import -- brings the strings of a Redis or a Valkey into a cluster: from a file that it
// saved, or from a server that runs.
#include "bin/cli_import.h"

#include "base/must.h"
#include "bin/cli.h"
#include "bin/cli_options.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

static uint64_t others_of(const struct import *in) {
    uint64_t sum = 0;
    for (int kind = RDB_STRING + 1; kind < RDB_KINDS; kind++) sum += in->others[kind];
    return sum;
}

static void report(const struct import *in, bool is_done) {
    printf("imported:     %" PRIu64 " strings\n", in->written);
    if (in->expired > 0) printf("expired:      %" PRIu64 "\n", in->expired);
    if (in->refused > 0) printf("refused:      %" PRIu64 "\n", in->refused);
    for (int kind = RDB_STRING + 1; kind < RDB_KINDS; kind++) {
        if (in->others[kind] == 0) continue;
        printf("left out:     %" PRIu64 " %s\n", in->others[kind],
               rdb_kind_name((enum rdb_kind)kind));
    }
    if (in->elsewhere > 0)
        printf("elsewhere:    %" PRIu64 " keys of other databases\n", in->elsewhere);
    if (others_of(in) > 0) printf("Only strings can be imported.\n");
    if (!is_done && in->position[0] != '\0') {
        printf("To go on where it ended: --from %s\n", in->position);
    }
}

static bool begins(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

// False, with a complaint, for an address of a form that is not served.
static bool is_source(const char *source) {
    bool wants_tls = begins(source, "rediss://") || begins(source, "valkeys://");
    if (wants_tls) {
        cli_complain("import", "there is no TLS here: put a tunnel before the server, such as "
                               "stunnel, and name that by redis://HOST:PORT");
    } else if (strstr(source, "://") != NULL && !begins(source, "redis://")) {
        // Not as it was given: there may be a password in it.
        cli_complain("import", "a server is named by redis://HOST:PORT, a Valkey too");
    } else {
        return true;
    }
    return false;
}

static int run(struct import *in) {
    struct timespec now;
    must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    in->begin = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    in->terminal = terminal_of(stdout);
    import_stop_on_signals();
    bool is_server = begins(in->source, "redis://");
    bool is_done = is_server ? import_server(in) : import_file(in);
    terminal_clear(&in->terminal);
    report(in, is_done);
    for (uint32_t i = 0; i < in->item_count; i++) free(in->items[i].bytes);
    if (in->node != NULL) redisFree(in->node);
    return is_done && in->refused == 0 ? CLI_OK : CLI_FAILED;
}

int cli_import(int count, char **arguments) {
    static struct import in = {.to = {.host = "127.0.0.1", .port = 7379}, .timeout_s = 60};
    const struct cli_option options[] = {
        CLI_SERVER_OPTIONS(in.to, "a node of the cluster"),
        {"rate", "NUMBER", "strings a second, at most (as many as go)", .number = &in.rate,
         .least = 1, .most = UINT32_MAX},
        {"database", "NUMBER", "which one of the source (0)", .number = &in.database,
         .most = UINT32_MAX},
        {"from", "NUMBER", "go on where an earlier import said that it ended", .text = &in.from},
        {"timeout", "S", "seconds that a server may not answer (60)", .number = &in.timeout_s,
         .least = 1, .most = 86400},
    };
    const struct cli_syntax syntax = {
        .command = "import",
        .summary = "Brings strings and their expiry into a cluster, from a Redis or a Valkey.",
        .notes = "SOURCE is an RDB file, or redis://[[user]:password@]host[:port][/database].\n"
                 "Values of other kinds are counted and left out. What the cluster has under the\n"
                 "same keys is replaced. To import twice does no harm.\n",
        .operand = "SOURCE",
        .operand_text = &in.source,
        .options = options,
        .option_count = sizeof(options) / sizeof(options[0]),
    };
    enum cli_asked asked = cli_options_read(&syntax, count, arguments);
    if (asked != CLI_ASKED_RUN) return asked == CLI_ASKED_HELP ? CLI_OK : CLI_MISUSED;
    if (in.source == NULL) {
        cli_complain("import", "SOURCE is needed; see --help");
        return CLI_MISUSED;
    }
    if (!is_source(in.source)) return CLI_MISUSED;
    in.to.timeout_ms = in.timeout_s * 1000;
    if (!cli_server_read_password(&in.to, "import")) return CLI_FAILED;
    return run(&in);
}
