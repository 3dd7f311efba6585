// SPDX-License-Identifier: Apache-2.0
#include "bin/cli_node.h"

#include "base/must.h"
#include "env/shared.h"
#include "model/map.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOG_LINES = 10, LOG_TAIL_MAX = 4096, COMMAND_LINE_MAX = 16 * 1024 };

void local_node_path(const struct local_node *node, const char *what, char path[PATH_MAX]) {
    must(snprintf(path, PATH_MAX, "%s/%s", node->directory, what) < PATH_MAX);
}

// Reads a small file; -1 if it is not there.
static ssize_t read_file(const char *path, char *text, size_t capacity) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t size = read(fd, text, capacity - 1);
    close(fd);
    if (size >= 0) text[size] = '\0';
    return size;
}

// Whether the process is a quoitd on the node's data. The kernel gives the command line as strings,
// each with its NUL.
static bool is_ours(const struct local_node *node, pid_t pid) {
    char path[64];
    char line[COMMAND_LINE_MAX];
    char data[PATH_MAX];
    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    ssize_t size = read_file(path, line, sizeof(line));
    if (size <= 0) return false; // gone, or a zombie
    local_node_path(node, "data", data);
    const char *base = strrchr(line, '/');
    if (strcmp(base == NULL ? line : base + 1, "quoitd") != 0) return false;
    for (const char *word = line; word < line + size; word += strlen(word) + 1) {
        if (strcmp(word, data) == 0) return true;
    }
    return false;
}

void local_node_init(struct local_node *node, const char *directory, uint32_t number,
                     uint16_t port) {
    *node = (struct local_node){.port = port};
    snprintf(node->name, sizeof(node->name), "node%u", number);
    must(snprintf(node->directory, PATH_MAX, "%s/%s", directory, node->name) < PATH_MAX);
    char path[PATH_MAX];
    char text[32];
    local_node_path(node, "quoitd.pid", path);
    if (read_file(path, text, sizeof(text)) <= 0) return;
    long pid = strtol(text, NULL, 10);
    if (pid > 0 && pid <= INT_MAX && is_ours(node, (pid_t)pid)) node->pid = (pid_t)pid;
}

static bool is_program(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

bool find_quoitd(char path[PATH_MAX]) {
    char self[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (size > 0) {
        self[size] = '\0';
        *strrchr(self, '/') = '\0';
        if (snprintf(path, PATH_MAX, "%s/quoitd", self) < PATH_MAX && is_program(path)) return true;
    }
    const char *list = getenv("PATH");
    while (list != NULL && *list != '\0') {
        size_t length = strcspn(list, ":");
        if (snprintf(path, PATH_MAX, "%.*s/quoitd", (int)length, list) < PATH_MAX &&
            is_program(path)) {
            return true;
        }
        list += length + (list[length] == ':');
    }
    return false;
}

static bool is_port_free(uint32_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0);
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool is_free =
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 1) == 0;
    close(fd);
    return is_free;
}

static bool are_ports_free(struct local_node *node) {
    const struct {
        uint32_t offset;
        const char *use;
    } ports[] = {
        {0, "clients"}, {PORT_SHARD_OFFSET, "cluster clients"}, {PORT_PEER_OFFSET, "other nodes"}};
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        if (is_port_free(node->port + ports[i].offset)) continue;
        snprintf(node->problem, sizeof(node->problem),
                 "%s needs port %u (for %s), which another program uses", node->name,
                 node->port + ports[i].offset, ports[i].use);
        return false;
    }
    return true;
}

// As system_lock_directory holds it.
static bool is_data_free(struct local_node *node) {
    char data[PATH_MAX];
    char lock[PATH_MAX];
    local_node_path(node, "data", data);
    if (snprintf(lock, PATH_MAX, "%s/" SHARED_LOCK_NAME, data) >= PATH_MAX) return true;
    int fd = open(lock, O_RDWR | O_CLOEXEC);
    if (fd < 0) return true; // nobody has held it yet, or its server will say why not
    bool is_free = flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    if (!is_free) {
        snprintf(node->problem, sizeof(node->problem), "%s: its data is in use by another process",
                 node->name);
    }
    return is_free;
}

bool local_node_has_place(struct local_node *node) {
    return are_ports_free(node) && is_data_free(node);
}

// In the child: becomes the server, or writes errno to the pipe.
static _Noreturn void become_server(char *const *arguments, int log, int pipe, bool is_bound) {
    // Ctrl-C on the terminal is for the one who stops the nodes in order.
    setsid();
    if (is_bound) prctl(PR_SET_PDEATHSIG, SIGTERM);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0) dup2(null, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv(arguments[0], arguments);
    int problem = errno;
    ssize_t ignored = write(pipe, &problem, sizeof(problem));
    (void)ignored;
    _exit(127);
}

static bool write_pid(struct local_node *node) {
    char path[PATH_MAX];
    local_node_path(node, "quoitd.pid", path);
    FILE *file = fopen(path, "we");
    if (file == NULL) return false;
    fprintf(file, "%d\n", (int)node->pid);
    return fclose(file) == 0;
}

bool local_node_start(struct local_node *node, char *const *arguments, bool is_bound) {
    char path[PATH_MAX];
    local_node_path(node, "log", path);
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int ends[2];
    if (log < 0 || pipe2(ends, O_CLOEXEC) != 0) {
        snprintf(node->problem, sizeof(node->problem), "%s: %s", path, strerror(errno));
        if (log >= 0) close(log);
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) become_server(arguments, log, ends[1], is_bound);
    close(log);
    close(ends[1]);
    int problem = pid < 0 ? errno : 0;
    if (pid > 0 && read(ends[0], &problem, sizeof(problem)) > 0) waitpid(pid, NULL, 0);
    close(ends[0]);
    if (problem == 0) {
        node->pid = pid;
        node->is_child = true;
        if (write_pid(node)) return true;
        problem = errno;
    }
    snprintf(node->problem, sizeof(node->problem), "cannot start %s: %s", arguments[0],
             strerror(problem));
    return false;
}

bool local_node_runs(struct local_node *node) {
    if (node->pid == 0) return false;
    bool runs = node->is_child ? waitpid(node->pid, &node->exit_status, WNOHANG) == 0
                               : is_ours(node, node->pid);
    if (runs) return true;
    node->pid = 0;
    char path[PATH_MAX];
    local_node_path(node, "quoitd.pid", path);
    unlink(path);
    return false;
}

void local_node_stop(struct local_node *node, int signal_number) {
    if (local_node_runs(node)) kill(node->pid, signal_number);
}

void local_node_describe_end(const struct local_node *node, char *text, size_t capacity) {
    if (!node->is_child) {
        snprintf(text, capacity, "%s ended", node->name);
    } else if (WIFSIGNALED(node->exit_status)) {
        int number = WTERMSIG(node->exit_status);
        snprintf(text, capacity, "%s was ended by signal %d (%s)", node->name, number,
                 strsignal(number));
    } else {
        snprintf(text, capacity, "%s ended with exit status %d", node->name,
                 WEXITSTATUS(node->exit_status));
    }
}

void local_node_print_log(const struct local_node *node, FILE *to) {
    char path[PATH_MAX];
    char tail[LOG_TAIL_MAX + 1];
    local_node_path(node, "log", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    off_t size = lseek(fd, 0, SEEK_END);
    ssize_t got = pread(fd, tail, LOG_TAIL_MAX, size > LOG_TAIL_MAX ? size - LOG_TAIL_MAX : 0);
    close(fd);
    if (got <= 0) return;
    tail[got] = '\0';
    const char *from = tail + got - (tail[got - 1] == '\n');
    for (int lines = 0; from > tail; from--) {
        if (from[-1] == '\n' && ++lines == LOG_LINES) break;
    }
    fprintf(to, "The end of %s:\n%s", path, from);
    if (tail[got - 1] != '\n') fputc('\n', to);
}
