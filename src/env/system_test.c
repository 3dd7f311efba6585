// SPDX-License-Identifier: Apache-2.0
//
// What only real worlds have: names, resets, signals, locks, limits of the process. Each case runs
// on both.
#include "env/system.h"

#include "base/timer.h"
#include "env/address.h"
#include "tests/test.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64];
static bool is_portable;
static struct env *env;

static uint32_t log_lines;
static char last_line[600];

static void on_log(void *context, enum env_level level, struct slice line) {
    (void)context;
    (void)level;
    log_lines++;
    snprintf(last_line, sizeof(last_line), "%.*s", (int)line.size, (const char *)line.data);
}

static struct env *open_world(uint64_t listen_until) {
    struct env_complaint complaint = {""};
    struct env_options options = {
        .directory = directory,
        .log = on_log,
        .is_portable = is_portable,
        .listen_until = listen_until,
    };
    struct env *opened = system_open(&options, &complaint);
    if (opened == NULL) fail_msg("%s", complaint.text);
    return opened;
}

static int set_up(void **state) {
    is_portable = *state != NULL;
    log_lines = 0;
    snprintf(directory, sizeof(directory), "/tmp/quoit-system-XXXXXX");
    if (mkdtemp(directory) == NULL) return -1;
    env = open_world(0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    system_close(env);
    char lock[80];
    snprintf(lock, sizeof(lock), "%s/LOCK", directory);
    remove(lock);
    return rmdir(directory);
}

struct ask {
    struct env_op op;
    uint32_t calls;
};

static void on_done(struct env_op *op) {
    CONTAINER_OF(op, struct ask, op)->calls++;
}

static enum status finish(struct ask *a) {
    uint64_t until = env->now + 20 * NS_PER_SECOND;
    while (a->calls == 0 && env->now < until) system_wait(env, until);
    assert_int_equal(a->calls, 1);
    return a->op.status;
}

// An address of which no other case knows, and no process that was started at about the same time.
static const char *fresh_address(const char *host) {
    static char text[64];
    static uint32_t port = 21500;
    snprintf(text, sizeof(text), "%s:%u", host, (uint32_t)(port++ + (unsigned)getpid() % 64 * 90));
    return text;
}

static struct env_socket *listening(const char *address) {
    struct env_socket *listener = NULL;
    struct ask a = {.op.done = on_done};
    env_listen(env, &a.op, address, &listener);
    assert_int_equal(finish(&a), ST_OK);
    return listener;
}

static struct env_socket *connect_and_accept(struct env_socket *listener, const char *address,
                                             struct env_socket **near) {
    struct env_socket *far = NULL;
    struct ask accept = {.op.done = on_done};
    struct ask connect = {.op.done = on_done};
    env_accept(env, &accept.op, listener, &far);
    env_connect(env, &connect.op, address, near);
    assert_int_equal(finish(&connect), ST_OK);
    assert_int_equal(finish(&accept), ST_OK);
    return far;
}

static void names_are_looked_up(void **state) {
    (void)state;
    char address[64];
    snprintf(address, sizeof(address), "%s", fresh_address("localhost"));
    struct env_socket *near = NULL;
    struct env_socket *listener = listening(address);
    struct env_socket *far = connect_and_accept(listener, address, &near);
    env_shut(env, near);
    env_shut(env, far);
    env_shut(env, listener);
}

static void a_name_that_nobody_has_is_refused(void **state) {
    (void)state;
    struct env_socket *stream = NULL;
    struct ask connect = {.op.done = on_done};
    env_connect(env, &connect.op, "no-such-host.invalid:7379", &stream);
    assert_int_equal(finish(&connect), ST_IO);
    assert_null(stream);
}

static void ipv6_works_and_is_written_in_brackets(void **state) {
    (void)state;
    struct address loopback;
    assert_int_equal(address_parse("[::1]:0", &loopback), ST_OK);
    int fd = address_socket(&loopback, 0);
    bool has_ipv6 = fd >= 0 && bind(fd, &loopback.to.any, loopback.size) == 0;
    if (fd >= 0) close(fd);
    if (!has_ipv6) {
        print_message("SKIPPED: no IPv6 here\n");
        skip();
    }
    char address[64];
    snprintf(address, sizeof(address), "%s", fresh_address("[::1]"));
    struct env_socket *near = NULL;
    struct env_socket *listener = listening(address);
    struct env_socket *far = connect_and_accept(listener, address, &near);
    assert_string_equal(env_peer(env, near), address);
    assert_memory_equal(env_peer(env, far), "[::1]:", 6);
    env_shut(env, near);
    env_shut(env, far);
    env_shut(env, listener);
}

static int plain_connection(const char *text) {
    struct address address;
    assert_int_equal(address_parse(text, &address), ST_OK);
    int fd = address_socket(&address, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &address.to.any, address.size), 0);
    return fd;
}

static void a_reset_fails_a_recv_and_the_sends_after_it(void **state) {
    (void)state;
    const char *address = fresh_address("127.0.0.1");
    struct env_socket *listener = listening(address);
    struct env_socket *stream = NULL;
    struct ask accept = {.op.done = on_done};
    env_accept(env, &accept.op, listener, &stream);
    int fd = plain_connection(address);
    assert_int_equal(finish(&accept), ST_OK);

    uint8_t byte = 0;
    struct ask recv = {.op.done = on_done};
    env_recv(env, &recv.op, stream, &byte, 1);
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    close(fd);
    assert_int_equal(finish(&recv), ST_IO);
    struct ask send = {.op.done = on_done};
    env_send(env, &send.op, stream, &byte, 1);
    assert_int_equal(finish(&send), ST_IO);
    env_shut(env, stream);
    env_shut(env, listener);
}

static enum status try_to_listen(const char *address) {
    struct env_socket *listener = NULL;
    struct ask a = {.op.done = on_done};
    env_listen(env, &a.op, address, &listener);
    return finish(&a);
}

static void *close_soon(void *argument) {
    usleep(50 * 1000);
    close(*(int *)argument);
    return NULL;
}

// As what a killed process had is, for a moment.
static void an_address_that_is_in_use_a_little_longer_is_waited_for(void **state) {
    (void)state;
    const char *text = fresh_address("127.0.0.1");
    struct address address;
    assert_int_equal(address_parse(text, &address), ST_OK);
    int fd = address_socket(&address, 0);
    assert_int_equal(bind(fd, &address.to.any, address.size), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(try_to_listen(text), ST_IO);

    system_close(env);
    env = open_world(shared_clock() + 100 * NS_PER_MS);
    assert_int_equal(try_to_listen(text), ST_IO); // patience ends

    system_close(env);
    env = open_world(shared_clock() + 20 * NS_PER_SECOND);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, close_soon, &fd), 0);
    assert_int_equal(try_to_listen(text), ST_OK);
    pthread_join(thread, NULL);
}

// With no descriptor left an accept is refused, without keeping the processor busy; with one it
// goes on.
static void a_listener_survives_a_lack_of_descriptors(void **state) {
    (void)state;
    const char *address = fresh_address("127.0.0.1");
    struct env_socket *listener = listening(address);
    int fd = plain_connection(address);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(fd);
    close(next);
    struct rlimit none = {.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);

    struct env_socket *stream = NULL;
    uint32_t refused = 0;
    uint64_t until = env->now + 300 * NS_PER_MS;
    struct ask accept = {.op.done = on_done};
    env_accept(env, &accept.op, listener, &stream);
    while (env->now < until) {
        system_wait(env, until);
        if (accept.calls == 0) continue;
        assert_int_equal(accept.op.status, ST_BUSY);
        refused++;
        accept = (struct ask){.op.done = on_done};
        env_accept(env, &accept.op, listener, &stream);
    }
    assert_true(refused > 0 || is_portable); // libuv turns the connection away by itself
    assert_true(refused < 10);

    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    int another = plain_connection(address);
    assert_int_equal(finish(&accept), ST_OK);
    close(fd);
    close(another);
    env_shut(env, stream);
    env_shut(env, listener);
}

static void more_requests_than_the_kernel_takes_at_once_all_call_back(void **state) {
    (void)state;
    enum { COUNT = 20000 };
    struct ask *asks = calloc(COUNT, sizeof(*asks));
    uint8_t *bytes = calloc(COUNT, 1);
    assert_non_null(asks);
    assert_non_null(bytes);
    struct env_file *file = NULL;
    struct ask open = {.op.done = on_done};
    env_open(env, &open.op, "a", ENV_CREATE, &file);
    assert_int_equal(finish(&open), ST_OK);
    struct ask write = {.op.done = on_done};
    env_write(env, &write.op, file, 0, (const uint8_t *)"abcdefgh", 8);
    assert_int_equal(finish(&write), ST_OK);
    for (uint32_t i = 0; i < COUNT; i++) {
        asks[i].op.done = on_done;
        env_read(env, &asks[i].op, file, i % 8, &bytes[i], 1);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(finish(&asks[i]), ST_OK);
        assert_int_equal(bytes[i], 'a' + i % 8);
    }
    struct ask close = {.op.done = on_done};
    env_close(env, &close.op, file);
    assert_int_equal(finish(&close), ST_OK);
    struct ask remove = {.op.done = on_done};
    env_remove(env, &remove.op, "a");
    assert_int_equal(finish(&remove), ST_OK);
    free(asks);
    free(bytes);
}

static void a_wait_ends_at_its_deadline(void **state) {
    (void)state;
    uint64_t start = env->now;
    uint64_t deadline = start + 20 * NS_PER_MS;
    uint32_t turns = 0;
    for (; env->now < deadline && turns < 10; turns++) system_wait(env, deadline);
    assert_true(env->now >= deadline);
    assert_true(env->now < deadline + 10 * NS_PER_SECOND);
    system_wait(env, 0);
    system_wait(env, env->now);
}

static void *wake_soon(void *argument) {
    usleep(20 * 1000);
    system_wake(argument);
    return NULL;
}

static void another_thread_ends_an_endless_wait(void **state) {
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake_soon, env), 0);
    system_wait(env, TIMER_NEVER);
    pthread_join(thread, NULL);
    system_wake(env); // before the wait is as good
    system_wait(env, TIMER_NEVER);
}

static void *kill_soon(void *argument) {
    (void)argument;
    usleep(20 * 1000);
    kill(getpid(), SIGTERM);
    return NULL;
}

static void a_signal_ends_an_endless_wait(void **state) {
    (void)state;
    system_catch_signals();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, kill_soon, NULL), 0);
    while (!system_is_stopping()) system_wait(env, TIMER_NEVER);
    pthread_join(thread, NULL);
    kill(getpid(), SIGINT); // the second finds the flag set, so it is the wake that counts
    system_wait(env, TIMER_NEVER);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
}

static void a_directory_is_held_by_one_and_the_lock_is_no_file_of_it(void **state) {
    (void)state;
    int lock = -1;
    int second = -1;
    struct env_complaint complaint = {""};
    assert_int_equal(system_lock_directory(directory, &lock, &complaint), ST_OK);
    assert_int_equal(system_lock_directory(directory, &second, &complaint), ST_BUSY);
    assert_non_null(strstr(complaint.text, directory));
    uint8_t names[64];
    struct ask list = {.op.done = on_done};
    env_list(env, &list.op, names, sizeof(names));
    assert_int_equal(finish(&list), ST_OK);
    assert_int_equal(list.op.size, 0);
    system_unlock_directory(lock);
    assert_int_equal(system_lock_directory(directory, &lock, &complaint), ST_OK);
    system_unlock_directory(lock);
    assert_int_equal(system_lock_directory("/dev/null/x", &lock, &complaint), ST_IO);
}

static void who_only_reads_makes_nothing_and_is_refused_a_held_directory(void **state) {
    (void)state;
    int lock = 7;
    int second = -1;
    char path[80];
    struct env_complaint complaint = {""};
    snprintf(path, sizeof(path), "%s/LOCK", directory);
    remove(path);
    assert_int_equal(system_lock_for_reading(directory, &lock, &complaint), ST_OK);
    assert_int_equal(lock, -1);
    assert_int_equal(access(path, F_OK), -1);
    system_unlock_directory(lock);
    assert_int_equal(system_lock_directory(directory, &lock, &complaint), ST_OK);
    assert_int_equal(system_lock_for_reading(directory, &second, &complaint), ST_BUSY);
    assert_non_null(strstr(complaint.text, "in use"));
    system_unlock_directory(lock);
    assert_int_equal(system_lock_for_reading(directory, &lock, &complaint), ST_OK);
    assert_int_equal(system_lock_directory(directory, &second, &complaint), ST_BUSY);
    system_unlock_directory(lock);
    assert_int_equal(system_lock_for_reading("/dev/null/x", &lock, &complaint), ST_IO);
}

static void what_is_opened_read_only_is_read_and_not_written(void **state) {
    (void)state;
    struct env_file *file = NULL;
    uint8_t bytes[4] = "kept";
    struct ask create = {.op.done = on_done};
    struct ask fill = {.op.done = on_done};
    env_open(env, &create.op, "file", ENV_CREATE, &file);
    assert_int_equal(finish(&create), ST_OK);
    env_write(env, &fill.op, file, 0, bytes, sizeof(bytes));
    assert_int_equal(finish(&fill), ST_OK);
    system_close(env);

    struct env_complaint complaint = {""};
    env = system_open(&(struct env_options){.directory = directory,
                                            .log = on_log,
                                            .is_portable = is_portable,
                                            .is_read_only = true},
                      &complaint);
    assert_non_null(env);
    struct ask open = {.op.done = on_done};
    struct ask read = {.op.done = on_done};
    struct ask write = {.op.done = on_done};
    uint8_t found[4] = {0};
    env_open(env, &open.op, "file", ENV_OPEN, &file);
    assert_int_equal(finish(&open), ST_OK);
    env_write(env, &write.op, file, 0, (const uint8_t *)"lost", 4);
    assert_int_not_equal(finish(&write), ST_OK);
    env_read(env, &read.op, file, 0, found, sizeof(found));
    assert_int_equal(finish(&read), ST_OK);
    assert_memory_equal(found, bytes, sizeof(bytes));
    system_close(env);

    env = open_world(0);
    struct ask remove = {.op.done = on_done};
    env_remove(env, &remove.op, "file");
    assert_int_equal(finish(&remove), ST_OK);
}

static void only_the_portable_world_is_announced(void **state) {
    (void)state;
    assert_string_equal(system_name(env), is_portable ? "portable" : "io_uring");
    assert_int_equal(log_lines, is_portable ? 1 : 0);
}

static void the_environment_can_ask_for_the_portable_world(void **state) {
    (void)state;
    setenv("QUOIT_IO", "portable", 1);
    struct env *other = open_world(0);
    unsetenv("QUOIT_IO");
    assert_string_equal(system_name(other), "portable");
    system_close(other);
}

static void a_directory_that_is_not_there_is_complained_of(void **state) {
    (void)state;
    struct env_complaint complaint = {""};
    struct env_options options = {.directory = "/nowhere/at/all", .is_portable = is_portable};
    assert_null(system_open(&options, &complaint));
    assert_non_null(strstr(complaint.text, "/nowhere/at/all"));
}

static void an_arena_is_zero_and_random_bytes_are_not(void **state) {
    (void)state;
    struct arena arena = system_arena(1u << 26);
    assert_non_null(arena.memory);
    uint8_t *bytes = arena_take(&arena, 1, 1000000);
    for (uint32_t i = 0; i < 1000000; i++) assert_int_equal(bytes[i], 0);
    system_arena_free(&arena);
    uint64_t a[4] = {0};
    uint64_t b[4] = {0};
    system_random(a, sizeof(a));
    system_random(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
}

static void what_the_process_uses_grows(void **state) {
    (void)state;
    struct system_usage before = system_used();
    assert_in_range(before.resident, 1u << 20, (uint64_t)1 << 40);
    struct system_usage now = before;
    while (now.user_us < before.user_us + 1000) now = system_used();
    assert_true(now.system_us >= before.system_us);
    char text[128];
    assert_memory_equal(system_release(text, sizeof(text)), "Linux ", 6);
    assert_int_equal(strlen(system_release(text, 4)), 3);
}

// The kernel says no to whoever wants an io_uring in this process.
static bool refuse_io_uring(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// In a process of its own, because a filter stays. 0 when all is well.
static int without_io_uring(void) {
    if (!refuse_io_uring()) return 1;
    log_lines = 0;
    struct env_complaint complaint = {""};
    struct env_options options = {.directory = directory, .log = on_log};
    struct env *other = system_open(&options, &complaint);
    if (other == NULL) return 2;
    if (strcmp(system_name(other), "portable") != 0) return 3;
    if (log_lines != 1) return 4;
    if (strstr(last_line, "Operation not permitted") == NULL) return 5;
    system_wait(other, 0);
    system_close(other);
    return 0;
}

static void where_io_uring_is_refused_the_portable_world_stands_in(void **state) {
    (void)state;
    pid_t child = fork();
    if (child == 0) _exit(without_io_uring());
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 0);
}

static void a_log_line_has_time_level_and_text(void **state) {
    (void)state;
    struct env_options options = {.directory = NULL};
    int pipes[2];
    char line[200];
    assert_int_equal(pipe(pipes), 0);
    int before = dup(STDERR_FILENO);
    dup2(pipes[1], STDERR_FILENO);
    shared_log(&options, 1767323045678, ENV_WARNING, SLICE("disk full"));
    dup2(before, STDERR_FILENO);
    ssize_t size = read(pipes[0], line, sizeof(line));
    static const char expected[] = "2026-01-02T03:04:05.678Z WARNING disk full\n";
    assert_int_equal(size, sizeof(expected) - 1);
    assert_memory_equal(line, expected, sizeof(expected) - 1);
    close(before);
    close(pipes[0]);
    close(pipes[1]);
}

int system_test(void) {
#define ON_BOTH(name)                                                                              \
    cmocka_unit_test_prestate_setup_teardown(name, set_up, tear_down, NULL),                       \
        cmocka_unit_test_prestate_setup_teardown(name, set_up, tear_down, directory)
    const struct CMUnitTest cases[] = {
        ON_BOTH(names_are_looked_up),
        ON_BOTH(a_name_that_nobody_has_is_refused),
        ON_BOTH(ipv6_works_and_is_written_in_brackets),
        ON_BOTH(a_reset_fails_a_recv_and_the_sends_after_it),
        ON_BOTH(an_address_that_is_in_use_a_little_longer_is_waited_for),
        ON_BOTH(a_listener_survives_a_lack_of_descriptors),
        ON_BOTH(more_requests_than_the_kernel_takes_at_once_all_call_back),
        ON_BOTH(a_wait_ends_at_its_deadline),
        ON_BOTH(another_thread_ends_an_endless_wait),
        ON_BOTH(a_signal_ends_an_endless_wait),
        ON_BOTH(a_directory_is_held_by_one_and_the_lock_is_no_file_of_it),
        ON_BOTH(who_only_reads_makes_nothing_and_is_refused_a_held_directory),
        ON_BOTH(what_is_opened_read_only_is_read_and_not_written),
        ON_BOTH(only_the_portable_world_is_announced),
        ON_BOTH(the_environment_can_ask_for_the_portable_world),
        ON_BOTH(a_directory_that_is_not_there_is_complained_of),
        cmocka_unit_test_setup_teardown(where_io_uring_is_refused_the_portable_world_stands_in,
                                        set_up, tear_down),
        cmocka_unit_test(a_log_line_has_time_level_and_text),
        cmocka_unit_test(an_arena_is_zero_and_random_bytes_are_not),
        cmocka_unit_test(what_the_process_uses_grows),
    };
    return cmocka_run_group_tests_name("system", cases, NULL, NULL);
}
