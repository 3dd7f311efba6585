// SPDX-License-Identifier: Apache-2.0
#include "bin/daemon_config.h"

#include "base/text.h"
#include "model/name.h"

#include <ini.h>
#include <stdlib.h>
#include <string.h>

// Longest line of a file: inih cuts what is longer into pieces.
enum { LINE_MAX_SIZE = 190, WRONG_MAX = 128 };

typedef bool config_parse(const char *text, void *to);

struct key {
    const char *name;
    const char *argument; // what stands for the value in --help
    const char *standard; // NULL: unset
    size_t offset;        // of the field in struct config
    config_parse *parse;
    const char *wanted; // what a value must be, for complaints
    const char *help;
    bool is_list; // several lines make one value, joined by commas
};

static bool parse_text(const char *text, void *to) {
    *(const char **)to = text;
    return text[0] != '\0';
}

// Each is one that a node can be called at.
static bool parse_seeds(const char *text, void *to) {
    *(const char **)to = text;
    for (const char *at = text;; at++) {
        struct slice host;
        uint16_t port;
        struct slice seed = {(const uint8_t *)at, strcspn(at, ",")};
        if (map_parse_address(seed, &host, &port) != ST_OK) return false;
        at += seed.size;
        if (*at == '\0') return true;
    }
}

static bool parse_name(const char *text, void *to) {
    *(const char **)to = text;
    return name_is_good(slice_of_string(text));
}

static bool parse_range(const char *text, void *to, uint64_t low, uint64_t high) {
    uint64_t value;
    if (!text_to_u64(slice_of_string(text), &value) || value < low || value > high) return false;
    *(uint64_t *)to = value;
    return true;
}

static bool parse_port(const char *text, void *to) {
    return parse_range(text, to, 1, PORT_MAX);
}

static bool parse_weight(const char *text, void *to) {
    return parse_range(text, to, 1, 1000);
}

static bool parse_clients(const char *text, void *to) {
    return parse_range(text, to, 1, 1000000);
}

static bool parse_members(const char *text, void *to) {
    return parse_range(text, to, 1, MEMBERS_MAX);
}

static bool parse_replication(const char *text, void *to) {
    return parse_range(text, to, 1, REPLICAS_MAX);
}

static bool parse_ms(const char *text, void *to) {
    return parse_range(text, to, 1, 3600000);
}

static bool parse_seconds(const char *text, void *to) {
    return parse_range(text, to, 0, 31536000);
}

static bool parse_stall(const char *text, void *to) {
    return parse_range(text, to, 1, 3600);
}

static bool parse_size(const char *text, void *to) {
    char digits[24];
    size_t size = strlen(text);
    uint32_t shift = 0;
    if (size > 1 && strchr("kKmMgG", text[size - 1]) != NULL) {
        char unit = (char)(text[size - 1] | 0x20);
        shift = unit == 'k' ? 10 : unit == 'm' ? 20 : 30;
        size--;
    }
    if (size == 0 || size >= sizeof(digits)) return false;
    memcpy(digits, text, size);
    digits[size] = '\0';
    uint64_t value;
    if (!parse_range(digits, &value, 1, UINT64_MAX >> 31)) return false;
    *(uint64_t *)to = value << shift;
    return true;
}

static bool parse_value_max(const char *text, void *to) {
    uint64_t value;
    if (!parse_size(text, &value) || value < KEY_SIZE_MAX || value > VALUE_SIZE_MAX) return false;
    *(uint64_t *)to = value;
    return true;
}

static bool parse_durability(const char *text, void *to) {
    static const char interval[] = "interval:";
    *(uint64_t *)to = 0;
    if (strcmp(text, "always") == 0) return true;
    if (strncmp(text, interval, sizeof(interval) - 1) != 0) return false;
    return parse_range(text + sizeof(interval) - 1, to, 1, 60000);
}

static bool parse_level(const char *text, void *to) {
    struct level *level = to;
    return level_parse(slice_of_string(text), level) == ST_OK && level_gap(*level) == NULL;
}

// Which of the names the text is, or `count`.
static size_t find_word(const char *text, const char *const *names, size_t count) {
    size_t i = 0;
    while (i < count && strcmp(text, names[i]) != 0) i++;
    return i;
}

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static bool parse_log_level(const char *text, void *to) {
    static const char *const names[] = {"debug", "info", "warning", "error"};
    static const enum env_level levels[] = {ENV_DEBUG, ENV_INFO, ENV_WARNING, ENV_ERROR};
    size_t i = find_word(text, names, COUNT_OF(names));
    if (i < COUNT_OF(names)) *(enum env_level *)to = levels[i];
    return i < COUNT_OF(names);
}

static bool parse_io(const char *text, void *to) {
    static const char *const names[] = {"auto", "uring", "portable"};
    static const enum config_io kinds[] = {CONFIG_IO_AUTO, CONFIG_IO_URING, CONFIG_IO_PORTABLE};
    size_t i = find_word(text, names, COUNT_OF(names));
    if (i < COUNT_OF(names)) *(enum config_io *)to = kinds[i];
    return i < COUNT_OF(names);
}

static bool parse_compression(const char *text, void *to) {
    static const char *const names[] = {"none", "lz4", "zstd"};
    static const enum codec codecs[] = {CODEC_NONE, CODEC_LZ4, CODEC_ZSTD};
    size_t i = find_word(text, names, COUNT_OF(names));
    if (i < COUNT_OF(names)) *(enum codec *)to = codecs[i];
    return i < COUNT_OF(names);
}

static bool parse_multi(const char *text, void *to) {
    *(bool *)to = strcmp(text, "batch") == 0;
    return *(bool *)to || strcmp(text, "atomic") == 0;
}

static bool parse_yes(const char *text, void *to) {
    *(bool *)to = strcmp(text, "yes") == 0;
    return *(bool *)to || strcmp(text, "no") == 0;
}

#define FIELD(name) offsetof(struct config, name)
#define WORD "letters, digits, '-', '_' and '.', at most 63"
#define SIZE "a number of bytes, with K, M or G"
#define LEVEL "ONE, TWO, THREE, QUORUM, ALL, SLOPPY or a number up to 32"
#define MS "a number of milliseconds from 1 to 3600000"

static const struct key keys[] = {
    {"dir", "DIRECTORY", "./quoit-data", FIELD(directory), parse_text, "a directory",
     "Where the data is kept; made if it does not exist.", false},
    {"port", "PORT", "7379", FIELD(port), parse_port, "a port from 1 to 55535",
     "Port for plain clients. Cluster clients use PORT + 2000, other nodes PORT + 10000.", false},
    {"bind", "HOST", "127.0.0.1", FIELD(bind), parse_text, "a host",
     "Address to listen on. Any but a loopback address needs a key file.", false},
    {"address", "HOST", NULL, FIELD(address), parse_text, "a host",
     "Address by which clients and other nodes reach this one, if it is not that of bind.", false},
    {"name", "NAME", NULL, FIELD(name), parse_name, WORD,
     "Name of this node in its cluster. Without it, the entry of initial with this address and "
     "port, or node-PORT.",
     false},
    {"host", "NAME", NULL, FIELD(host), parse_name, WORD,
     "Machine of this node: copies of a key go to distinct ones. Without it, the name.", false},
    {"rack", "NAME", "rack1", FIELD(rack), parse_name, WORD,
     "Rack of this node: copies of a key go to distinct ones if they can.", false},
    {"dc", "NAME", "dc1", FIELD(dc), parse_name, WORD, "Data centre of this node.", false},
    {"weight", "NUMBER", "1", FIELD(weight), parse_weight, "a number from 1 to 1000",
     "Share of the keys, relative to other nodes.", false},
    {"initial", "NAME=HOST:PORT,...", NULL, FIELD(initial), parse_text, "a list",
     "All first members of a new cluster, the same list on each of them. Without it and without "
     "seeds, a cluster of one.",
     true},
    {"seeds", "HOST:PORT,...", NULL, FIELD(seeds), parse_seeds, "a list of HOST:PORT",
     "Some members of a cluster to join, by itself, with its key and an empty directory. It takes "
     "requests then, and holds no keys yet.",
     true},
    {"new-cluster", "WORD", NULL, FIELD(new_cluster), parse_name, WORD,
     "Sets the cluster apart from others with the same list of first members: the word that its "
     "data was restored with.",
     false},
    {"replication", "NUMBER", "3", FIELD(replication), parse_replication, "a number from 1 to 32",
     "Copies of each key, if there are as many machines. Fixed when the cluster is founded; "
     "the same on all nodes.",
     false},
    {"members-max", "NUMBER", NULL, FIELD(members_max), parse_members, "a number from 1 to 1024",
     "Members that this node makes room for. Without it, those of initial, or 16.", false},
    {"read", "LEVEL", "QUORUM", FIELD(read), parse_level, LEVEL,
     "Copies that must answer a read, unless the client says otherwise.", false},
    {"write", "LEVEL", "QUORUM", FIELD(write), parse_level, LEVEL,
     "Copies that must have stored a write, unless the client says otherwise.", false},
    {"durability", "always|interval:MS", "always", FIELD(interval_ms), parse_durability,
     "'always' or 'interval:' and milliseconds from 1 to 60000",
     "When a write counts as stored: forced to the disk, or handed to it and forced every so "
     "often.",
     false},
    {"compression", "none|lz4|zstd", "lz4", FIELD(compression), parse_compression,
     "none, lz4 or zstd",
     "How tables on disk are compressed from now on; those there are stay readable.", false},
    {"direct-reads", "yes|no", "no", FIELD(is_direct), parse_yes, "yes or no",
     "Whether keys are looked up in tables past the kernel's cache: for a node whose memory is "
     "most "
     "of the machine's.",
     false},
    {"memory", "SIZE", "1G", FIELD(memory), parse_size, SIZE, "Memory of the whole process.",
     false},
    {"value-max", "SIZE", "1M", FIELD(value_max), parse_value_max, SIZE ", from 64K to 8M",
     "Largest value. The same on every node.", false},
    {"hints-max", "SIZE", "1G", FIELD(hints_max), parse_size, SIZE,
     "Most that is kept on disk for nodes that cannot be reached.", false},
    {"clients-max", "NUMBER", "10000", FIELD(clients_max), parse_clients,
     "a number from 1 to 1000000", "Connections of clients.", false},
    {"timeout-ms", "MS", "3000", FIELD(timeout_ms), parse_ms, MS,
     "How long an operation waits for its replicas.", false},
    {"hedge-ms", "MS", "30", FIELD(hedge_ms), parse_ms, MS,
     "Silence after which a read asks further replicas.", false},
    {"suspect-ms", "MS", "1200", FIELD(suspect_ms), parse_ms, MS,
     "Silence after which another node counts as down, when its signs came evenly.", false},
    {"multi", "atomic|batch", "atomic", FIELD(has_batch), parse_multi, "atomic or batch",
     "What MULTI and EXEC are where a cluster has several nodes: refused, as they could not be "
     "atomic, or a plain batch of commands.",
     false},
    {"idle-timeout", "SECONDS", "0", FIELD(idle_s), parse_seconds,
     "a number of seconds up to 31536000",
     "Silence after which a client's connection is closed; 0: never.", false},
    {"stall-timeout", "SECONDS", "30", FIELD(stall_s), parse_stall,
     "a number of seconds from 1 to 3600",
     "Silence in the middle of a command, or of taking a reply, after which a client's connection "
     "is closed.",
     false},
    {"key-file", "FILE", NULL, FIELD(key_file), parse_text, "a file",
     "File with the secret of the cluster, at least 16 bytes, readable by its owner only. Without "
     "it, DIRECTORY/cluster.key or, on loopback addresses, what follows from initial.",
     false},
    {"password-file", "FILE", NULL, FIELD(password_file), parse_text, "a file",
     "File with the password that clients must give, readable by its owner only.", false},
    {"monitor", "yes|no", "no", FIELD(has_monitor), parse_yes, "yes or no",
     "Whether clients may have the commands of others shown to them (MONITOR).", false},
    {"debug-commands", "yes|no", "no", FIELD(has_debug), parse_yes, "yes or no",
     "Whether clients may let all others wait (DEBUG SLEEP).", false},
    {"log-level", "LEVEL", "info", FIELD(log_level), parse_log_level,
     "debug, info, warning or error", "What is logged, to standard error.", false},
    {"io", "auto|uring|portable", "auto", FIELD(io), parse_io, "auto, uring or portable",
     "How to talk to the kernel.", false},
};

enum { KEYS = COUNT_OF(keys) };

static_assert((int)KEYS <= (int)CONFIG_KEYS_MAX, "room for what each was set to");

void complain_of(struct complaint *complaint, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(complaint->text, sizeof(complaint->text), format, arguments);
    va_end(arguments);
}

// What is wrong with a value of that key.
static void say_what_is_wrong(const struct key *key, const char *text, char wrong[WRONG_MAX]) {
    struct level level;
    bool is_level =
        key->parse == parse_level && level_parse(slice_of_string(text), &level) == ST_OK;
    if (is_level) {
        (void)snprintf(wrong, WRONG_MAX, "needs %s, which this version does not have",
                       level_gap(level));
    } else {
        (void)snprintf(wrong, WRONG_MAX, "must be %s", key->wanted);
    }
}

static const struct key *find_key(const char *name) {
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(keys[i].name, name) == 0) return &keys[i];
    }
    return NULL;
}

// Keeps a copy of the text, or of `before`, a comma unless it ends with one, and the text. NULL
// when there is no room.
static const char *keep(struct config *config, const char *before, const char *text) {
    char *kept = config->text + config->text_size;
    size_t room = sizeof(config->text) - config->text_size;
    if (before == NULL) before = "";
    size_t end = strlen(before);
    bool needs_comma = end > 0 && before[end - 1] != ',';
    int size = snprintf(kept, room, "%s%s%s", before, needs_comma ? "," : "", text);
    if (size < 0 || (size_t)size >= room) return NULL;
    config->text_size += (size_t)size + 1;
    return kept;
}

static bool set(struct config *config, const struct key *key, const char *text, bool joins) {
    void *field = (char *)config + key->offset;
    const char *before = joins ? *(const char **)field : NULL;
    const char *kept = keep(config, before, text);
    if (kept == NULL || !key->parse(kept, field)) return false;
    config->shown[key - keys] = kept;
    return true;
}

// The file.

struct file {
    struct config *config;
    struct complaint *complaint;
    const char *path;
    FILE *stream;
    bool has_failed;
    uint32_t line;     // number of the one just read
    bool given[KEYS];  // in this file
    const bool *flags; // given on the command line: those win
};

static char *read_line(char *to, int size, void *context) {
    struct file *file = context;
    char *line = fgets(to, size, file->stream);
    if (line == NULL) return NULL;
    file->line++;
    size_t length = strlen(line);
    if (length > LINE_MAX_SIZE && !file->has_failed) {
        complain_of(file->complaint,
                    "%s:%u: a line has at most %d bytes; a list may go on in further lines that "
                    "begin with a space",
                    file->path, file->line, LINE_MAX_SIZE);
        file->has_failed = true;
    }
    return file->has_failed ? NULL : line;
}

static int on_pair(void *context, const char *section, const char *name, const char *value) {
    struct file *file = context;
    if (file->has_failed) return 0;
    const struct key *key = section[0] == '\0' ? find_key(name) : NULL;
    file->has_failed = true;
    if (section[0] != '\0') {
        complain_of(file->complaint, "%s:%u: there are no sections", file->path, file->line);
        return 0;
    }
    if (key == NULL) {
        complain_of(file->complaint, "%s:%u: unknown key '%s'", file->path, file->line, name);
        return 0;
    }
    size_t index = (size_t)(key - keys);
    if (file->given[index] && !key->is_list) {
        complain_of(file->complaint, "%s:%u: '%s' was set before", file->path, file->line, name);
        return 0;
    }
    bool joins = file->given[index];
    file->given[index] = true;
    if (!file->flags[index] && !set(file->config, key, value, joins)) {
        char wrong[WRONG_MAX];
        say_what_is_wrong(key, value, wrong);
        complain_of(file->complaint, "%s:%u: %s = %s: %s", file->path, file->line, name, value,
                    wrong);
        return 0;
    }
    file->has_failed = false;
    return 1;
}

static bool read_file(struct config *config, const char *path, const bool *flags,
                      struct complaint *complaint) {
    struct file file = {
        .config = config, .complaint = complaint, .path = path, .flags = flags, .given = {0}};
    file.stream = fopen(path, "r");
    if (file.stream == NULL) {
        complain_of(complaint, "cannot read the configuration file %s", path);
        return false;
    }
    int result = ini_parse_stream(read_line, &file, on_pair, &file);
    bool is_read = ferror(file.stream) == 0; // of a directory nothing is
    (void)fclose(file.stream);
    if (file.has_failed) return false;
    if (!is_read) {
        complain_of(complaint, "cannot read the configuration file %s", path);
        return false;
    }
    if (result != 0) {
        complain_of(complaint, "%s:%d: not a line of the form 'key = value'", path, result);
        return false;
    }
    return true;
}

// Flags.

// Splits "--key value" and "--key=value"; *at moves behind it. False when it is no flag. -h is
// what people type who do not know how flags are written here.
static bool next_flag(int argc, char **argv, int *at, char name[64], const char **value) {
    const char *word = argv[(*at)++];
    if (strcmp(word, "-h") == 0) word = "--help";
    if (strncmp(word, "--", 2) != 0) return false;
    const char *equals = strchr(word, '=');
    size_t size = equals == NULL ? strlen(word + 2) : (size_t)(equals - word - 2);
    if (size == 0 || size >= 64) return false;
    memcpy(name, word + 2, size);
    name[size] = '\0';
    *value = equals == NULL ? NULL : equals + 1;
    if (*value == NULL && strcmp(name, "help") != 0 && strcmp(name, "version") != 0 && *at < argc) {
        *value = argv[(*at)++];
    }
    return true;
}

static bool take_flag(struct config *config, const char *name, const char *value, bool *given,
                      struct complaint *complaint) {
    const struct key *key = find_key(name);
    if (key == NULL) {
        complain_of(complaint, "unknown flag --%s; quoitd --help lists them", name);
        return false;
    }
    if (value == NULL) {
        complain_of(complaint, "--%s needs a value: %s", name, key->wanted);
        return false;
    }
    given[key - keys] = true;
    if (set(config, key, value, false)) return true;
    char wrong[WRONG_MAX];
    say_what_is_wrong(key, value, wrong);
    complain_of(complaint, "--%s %s: %s", name, value, wrong);
    return false;
}

bool config_read(struct config *config, int argc, char **argv, struct complaint *complaint) {
    memset(config, 0, sizeof(*config));
    bool given[KEYS] = {0};
    const char *path = NULL;
    for (size_t i = 0; i < KEYS; i++) {
        if (keys[i].standard != NULL) must(set(config, &keys[i], keys[i].standard, false));
    }
    for (int at = 1; at < argc;) {
        char name[64];
        const char *value = NULL;
        const char *word = argv[at];
        if (!next_flag(argc, argv, &at, name, &value)) {
            complain_of(complaint, "'%s' is no flag; quoitd --help lists them", word);
            return false;
        }
        if (strcmp(name, "help") == 0) {
            config->wants_help = true;
        } else if (strcmp(name, "version") == 0) {
            config->wants_version = true;
        } else if (strcmp(name, "config") == 0 && value != NULL) {
            path = value;
        } else if (!take_flag(config, name, value, given, complaint)) {
            return false;
        }
    }
    if (config->wants_help || config->wants_version) return true;
    if (path != NULL && !read_file(config, path, given, complaint)) return false;
    if (config->initial != NULL && config->seeds != NULL) {
        complain_of(complaint, "initial and seeds exclude each other: a node founds a cluster or "
                               "joins one");
        return false;
    }
    return true;
}

// Showing.

void config_help(FILE *to) {
    (void)fprintf(to, "usage: quoitd [--config FILE] [--KEY VALUE]...\n"
                      "       quoitd --check DIRECTORY [--json]\n\n"
                      "Every key may stand in the file as 'KEY = VALUE'; flags win.\n\n");
    for (size_t i = 0; i < KEYS; i++) {
        (void)fprintf(to, "  --%s %s\n        %s", keys[i].name, keys[i].argument, keys[i].help);
        if (keys[i].standard != NULL) (void)fprintf(to, " [%s]", keys[i].standard);
        (void)fprintf(to, "\n");
    }
    (void)fprintf(to,
                  "  --check DIRECTORY [--json]\n        Look at the data of a node that does not "
                  "run, change nothing, and say what is wrong.\n");
    (void)fprintf(to, "  -h, --help, --version\n        Say so and exit.\n");
}

size_t config_key_count(void) {
    return KEYS;
}

const char *config_key_name(size_t index) {
    must(index < KEYS);
    return keys[index].name;
}

const char *config_key_text(const struct config *config, size_t index) {
    must(index < KEYS);
    return config->shown[index] == NULL ? "" : config->shown[index];
}
