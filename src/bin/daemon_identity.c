// SPDX-License-Identifier: Apache-2.0
#include "bin/daemon_identity.h"

#include "base/text.h"
#include "env/address.h"
#include "env/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SECRET_MIN = 16, // bytes of a key file
    SECRET_MAX = 4096,
    MEMBERS_DEFAULT = 16,
    PATH_SIZE = 4352,
};

static bool is_loopback(const char *host) {
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
           strcmp(host, "localhost") == 0;
}

static bool is_wildcard(const char *host) {
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

// "host:1" as it stands in lists of members.
static bool in_full(const char *host, char text[ADDRESS_SIZE_MAX + 1]) {
    bool is_v6 = strchr(host, ':') != NULL;
    int size = snprintf(text, ADDRESS_SIZE_MAX + 1, is_v6 ? "[%s]:1" : "%s:1", host);
    return size >= 0 && size <= (int)ADDRESS_SIZE_MAX;
}

// What a map can hold.
static bool is_address(const char *host) {
    char text[ADDRESS_SIZE_MAX + 1];
    struct slice parsed;
    uint16_t port;
    return in_full(host, text) && map_parse_address(slice_of_string(text), &parsed, &port) == ST_OK;
}

// Numeric, or a name that is known here.
static bool has_address(const char *host) {
    char text[ADDRESS_SIZE_MAX + 1];
    if (!in_full(host, text)) return false;
    struct address found[ADDRESSES_MAX];
    uint32_t count = 0;
    enum status st = address_parse(text, &found[0]);
    if (st == ST_NOT_FOUND) st = address_look_up(text, found, &count);
    return st == ST_OK;
}

// Who.

static void copy(char *to, const char *from, size_t capacity) {
    must(strlen(from) < capacity);
    memcpy(to, from, strlen(from) + 1);
}

// The entry of `initial` that this process is, or member_count.
static uint32_t find_entry(const struct map *map, const struct config *config,
                           const char *address) {
    for (uint32_t i = 0; i < map->member_count; i++) {
        const struct map_member *member = &map->members[i];
        if (config->name != NULL) {
            if (strcmp(member->name, config->name) == 0) return i;
        } else if (member->port == config->port && strcmp(member->address, address) == 0) {
            return i;
        }
    }
    return map->member_count;
}

static bool find_in_initial(struct identity *identity, const struct config *config,
                            const char *address, struct complaint *complaint) {
    struct arena arena = system_arena((size_t)64 << 20);
    bool is_found = false;
    struct map map;
    if (arena.memory == NULL) {
        complain_of(complaint, "no memory");
        return false;
    }
    map_init(&map, &arena, MEMBERS_MAX);
    uint32_t index = 0;
    if (map_parse_initial(slice_of_string(config->initial), &map) != ST_OK) {
        complain_of(complaint, "initial: must be NAME=HOST:PORT,NAME=HOST:PORT,... with each name "
                               "and address once");
    } else if ((index = find_entry(&map, config, address)) == map.member_count) {
        complain_of(complaint,
                    "initial: none of its %u members is %s%s at %s:%u; say which this "
                    "node is with name",
                    map.member_count, config->name == NULL ? "" : config->name,
                    config->name == NULL ? "this node" : "", address, (unsigned)config->port);
    } else if (map.members[index].port != config->port) {
        complain_of(complaint, "initial: %s has port %u there, but port is %u", config->name,
                    map.members[index].port, (unsigned)config->port);
    } else if (config->address != NULL &&
               strcmp(map.members[index].address, config->address) != 0) {
        complain_of(complaint,
                    "initial: %s has address %s there, but address is %s; leave address out, or "
                    "give all members the same list with that",
                    map.members[index].name, map.members[index].address, config->address);
    } else {
        copy(identity->self.name, map.members[index].name, sizeof(identity->self.name));
        copy(identity->self.address, map.members[index].address, sizeof(identity->self.address));
        identity->members = map.member_count;
        is_found = true;
    }
    system_arena_free(&arena);
    return is_found;
}

bool identity_find_self(struct identity *identity, const struct config *config,
                        struct complaint *complaint) {
    memset(identity, 0, sizeof(*identity));
    struct map_description *self = &identity->self;
    const char *address = config->address != NULL ? config->address : config->bind;
    if (strlen(address) > ADDRESS_SIZE_MAX - 8 || strlen(config->bind) > ADDRESS_SIZE_MAX - 8) {
        complain_of(complaint, "address: too long");
        return false;
    }
    if (!has_address(config->bind)) {
        complain_of(complaint, "bind %s: no such host", config->bind);
        return false;
    }
    if (config->initial != NULL) {
        if (!find_in_initial(identity, config, address, complaint)) return false;
    } else {
        if (is_wildcard(address)) {
            complain_of(complaint, "bind %s: say with address how others reach this node", address);
            return false;
        }
        if (!is_address(address)) {
            complain_of(complaint, "address %s: neither the name of a host nor an address",
                        address);
            return false;
        }
        copy(self->address, address, sizeof(self->address));
        (void)snprintf(self->name, sizeof(self->name), "node-%u", (unsigned)config->port);
        if (config->name != NULL) copy(self->name, config->name, sizeof(self->name));
        identity->members = config->seeds == NULL ? 1 : MEMBERS_DEFAULT;
    }
    if (config->members_max > identity->members) identity->members = (uint32_t)config->members_max;
    copy(self->host, config->host != NULL ? config->host : self->name, sizeof(self->host));
    copy(self->rack, config->rack, sizeof(self->rack));
    copy(self->dc, config->dc, sizeof(self->dc));
    self->port = (uint16_t)config->port;
    self->weight = (uint16_t)config->weight;
    self->shards = 1;
    return true;
}

// Secrets.

// Reads a file that nobody but its owner may read; its size without the line end, or -1.
static ssize_t read_secret(const char *path, char *to, size_t capacity,
                           struct complaint *complaint) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); // a pipe has no end
    struct stat facts;
    if (file < 0 || fstat(file, &facts) != 0) {
        complain_of(complaint, "cannot read %s: %s", path, strerror(errno));
        if (file >= 0) (void)close(file);
        return -1;
    }
    if (!S_ISREG(facts.st_mode)) {
        complain_of(complaint, "%s is not a plain file", path);
        (void)close(file);
        return -1;
    }
    if ((facts.st_mode & 077) != 0) {
        complain_of(complaint, "%s can be read by others than its owner: chmod 600 %s", path, path);
        (void)close(file);
        return -1;
    }
    ssize_t size = read(file, to, capacity);
    (void)close(file);
    while (size > 0 && (to[size - 1] == '\n' || to[size - 1] == '\r')) size--;
    if (size < 0 || (size_t)size == capacity) {
        complain_of(complaint, "%s: unreadable or too large", path);
        return -1;
    }
    return size;
}

static struct mac_key derive(const void *bytes, size_t size) {
    static const struct mac_key purpose = {.bytes = "quoit cluster k"};
    struct mac mac = mac_of(&purpose, (struct slice){bytes, size});
    struct mac_key key;
    static_assert(sizeof(key) == sizeof(mac), "a MAC makes a key");
    memcpy(&key, &mac, sizeof(key));
    return key;
}

static bool read_key(struct identity *identity, const char *path, struct complaint *complaint) {
    char secret[SECRET_MAX];
    ssize_t size = read_secret(path, secret, sizeof(secret), complaint);
    if (size < 0) return false;
    if (size < SECRET_MIN) {
        complain_of(complaint, "%s: a cluster key has at least %d bytes", path, SECRET_MIN);
        return false;
    }
    identity->secret = derive(secret, (size_t)size);
    return true;
}

static bool write_key(const char *path, struct complaint *complaint) {
    uint8_t random[32];
    char memory[2 * sizeof(random) + 2];
    system_random(random, sizeof(random));
    struct text text = text_over(memory, sizeof(memory));
    text_hex(&text, (struct slice){random, sizeof(random)});
    text_char(&text, '\n');
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool is_written =
        file >= 0 && write(file, text.data, text.size) == (ssize_t)text.size && fsync(file) == 0;
    if (!is_written) complain_of(complaint, "cannot write %s: %s", path, strerror(errno));
    if (file >= 0) (void)close(file);
    return is_written;
}

// The list as the cluster sees it: whatever order it was given in.
static void derive_from_initial(struct identity *identity, const char *initial) {
    const char *rest = initial;
    uint8_t sum[sizeof(struct mac_key)] = {0};
    while (*rest != '\0') {
        size_t size = strcspn(rest, ",");
        struct mac_key one = derive(rest, size);
        for (size_t i = 0; i < sizeof(sum); i++) sum[i] = (uint8_t)(sum[i] ^ one.bytes[i]);
        rest += size;
        if (*rest == ',') rest++;
    }
    identity->secret = derive(sum, sizeof(sum));
}

static bool key_path(const char *directory, char path[PATH_SIZE], struct complaint *complaint) {
    int size = snprintf(path, PATH_SIZE, "%s/cluster.key", directory);
    if (size > 0 && size < PATH_SIZE) return true;
    complain_of(complaint, "dir: too long");
    return false;
}

bool identity_key_is_good(const char *directory, struct complaint *complaint) {
    struct identity identity;
    char path[PATH_SIZE];
    if (!key_path(directory, path, complaint)) return false;
    return access(path, F_OK) != 0 || read_key(&identity, path, complaint);
}

static bool find_key(struct identity *identity, const struct config *config,
                     struct complaint *complaint) {
    if (config->key_file != NULL) return read_key(identity, config->key_file, complaint);
    char path[PATH_SIZE];
    if (!key_path(config->directory, path, complaint)) return false;
    if (access(path, F_OK) == 0) return read_key(identity, path, complaint);
    if (!is_loopback(config->bind)) {
        complain_of(complaint,
                    "bind %s can be reached from outside: a cluster key is needed; put the same "
                    "random line into a file of mode 0600 on every node and name it with key-file",
                    config->bind);
        return false;
    }
    if (config->seeds != NULL) {
        complain_of(complaint, "seeds: the key of the cluster to join is needed; see key-file");
        return false;
    }
    if (config->initial != NULL) {
        derive_from_initial(identity, config->initial);
        return true;
    }
    identity->has_made_key = write_key(path, complaint);
    return identity->has_made_key && read_key(identity, path, complaint);
}

void identity_forget_key(struct identity *identity, const char *directory) {
    char path[PATH_SIZE];
    struct complaint unheard;
    if (!identity->has_made_key || !key_path(directory, path, &unheard)) return;
    identity->has_made_key = false;
    (void)unlink(path);
}

bool identity_find_secrets(struct identity *identity, const struct config *config,
                           struct complaint *complaint) {
    if (!find_key(identity, config, complaint)) return false;
    if (config->password_file == NULL) return true;
    ssize_t size = read_secret(config->password_file, identity->password,
                               sizeof(identity->password), complaint);
    if (size < 0) return false;
    if (size == 0 || memchr(identity->password, '\0', (size_t)size) != NULL) {
        complain_of(complaint, "%s: holds no password", config->password_file);
        return false;
    }
    identity->password[size] = '\0';
    identity->has_password = true;
    return true;
}
