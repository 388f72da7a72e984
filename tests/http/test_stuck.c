/* An engine whose scheduler stands still, as the freezer or a debugger can make it: what probes and metrics say, and
 * that everything goes on afterwards. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/http/fake_manager.h"

enum { WAITS_MAX = 2400, WAIT_MS = 50 };

static void start_daemon(struct daemon *d, const char *seconds) {
    daemon_start_tales(d, "--threads", "2", "--stuck-seconds", seconds, NULL);
}

static pid_t find_thread(pid_t pid, const char *name) {
    char path[300], text[32];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    pid_t found = 0;
    for (const struct dirent *entry; !found && (entry = readdir(folder));) {
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/comm", (int)pid, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "re");
        if (!file) continue;
        if (fgets(text, sizeof text, file) && strcspn(text, "\n") == strlen(name) &&
            strncmp(text, name, strlen(name)) == 0)
            found = (pid_t)strtol(entry->d_name, NULL, 10);
        fclose(file);
    }
    closedir(folder);
    assert_true(found > 0);
    return found;
}

/* Stops one thread; the others run. false: this system does not let us. */
static bool freeze(pid_t thread) {
    int status;
    if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) != 0) {
        print_message("not run: threads cannot be stopped here (ptrace: %s)\n", strerror(errno));
        return false;
    }
    assert_int_equal(ptrace(PTRACE_INTERRUPT, thread, NULL, NULL), 0);
    assert_int_equal(waitpid(thread, &status, __WALL), thread);
    assert_true(WIFSTOPPED(status));
    return true;
}

static void thaw(pid_t thread) {
    assert_int_equal(ptrace(PTRACE_DETACH, thread, NULL, NULL), 0);
}

static void wait_status(const struct daemon *d, const char *path, long status) {
    for (int i = 0; i < WAITS_MAX; i++) {
        struct answer a = http_get(d, path);
        bool is_there = a.status == status;
        answer_free(&a);
        if (is_there) return;
        sleep_ms(WAIT_MS);
    }
    fail_msg("%s does not get %ld", path, status);
}

/* That so many ticks of a quarter of a second have passed, as the loop counts them. */
static void wait_ticks(const struct daemon *d, double count) {
    static const char name[] = "prenorm_loop_callback_seconds_count{kind=\"tick\"}";
    double begin = metric(d, name);
    for (int i = 0; i < WAITS_MAX; i++) {
        if (metric(d, name) >= begin + count) return;
        sleep_ms(WAIT_MS);
    }
    fail_msg("the loop does not tick");
}

static void check_is_stuck(const struct daemon *d) {
    static const char *const paths[] = {"/health", "/ready"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct answer a = http_get(d, paths[i]);
        assert_int_equal(a.status, 503);
        assert_non_null(strstr(a.body, "{\"status\":\"stuck\""));
        assert_non_null(strstr(a.body, "although work waits"));
        answer_free(&a);
    }
    assert_true(metric(d, "prenorm_engine_stalled_seconds") >= 1);
    assert_true(metric(d, "prenorm_ready") == 0);
}

static void test_frozen_scheduler(void **state) {
    (void)state;
    struct daemon d;
    start_daemon(&d, "1");
    pid_t thread = find_thread(d.pid, "prenorm-sched");
    if (!freeze(thread)) {
        daemon_stop(&d);
        skip();
    }
    /* Nobody asks anything of it. */
    wait_ticks(&d, 8);
    struct answer a = http_get(&d, "/health");
    assert_int_equal(a.status, 200);
    answer_free(&a);
    assert_true(metric(&d, "prenorm_engine_stalled_seconds") == 0);

    int fd = raw_connect(&d);
    raw_post(fd, "{\"prompt\":\"Once\",\"max_tokens\":3,\"temperature\":0}");
    wait_status(&d, "/health", 503);
    check_is_stuck(&d);
    thaw(thread);
    raw_read_until(fd, "\"completion_tokens\":3");
    wait_status(&d, "/health", 200);
    wait_status(&d, "/ready", 200);
    assert_true(metric(&d, "prenorm_engine_stalled_seconds") == 0);
    close(fd);
    char *log;
    assert_int_equal(kill(d.pid, SIGTERM), 0);
    assert_int_equal(daemon_wait(&d, &log), 0);
    assert_non_null(strstr(log, "/health and /ready answer 503 until it goes on"));
    assert_non_null(strstr(log, "the engine goes on, after "));
    free(log);
}

/* With 0 nobody is told, but the figure says it. */
static void test_switched_off(void **state) {
    (void)state;
    struct daemon d;
    start_daemon(&d, "0");
    pid_t thread = find_thread(d.pid, "prenorm-sched");
    if (!freeze(thread)) {
        daemon_stop(&d);
        skip();
    }
    int fd = raw_connect(&d);
    raw_post(fd, "{\"prompt\":\"Once\",\"max_tokens\":3,\"temperature\":0}");
    wait_ticks(&d, 4);
    for (int i = 0; metric(&d, "prenorm_engine_stalled_seconds") < 1; i++) {
        assert_true(i < WAITS_MAX);
        sleep_ms(WAIT_MS);
    }
    struct answer a = http_get(&d, "/health");
    assert_int_equal(a.status, 200);
    answer_free(&a);
    thaw(thread);
    raw_read_until(fd, "\"completion_tokens\":3");
    close(fd);
    daemon_stop(&d);
}

/* The manager's watchdog hears of the scheduler too, not of the loop alone. */
static void test_watchdog(void **state) {
    (void)state;
    struct manager m;
    struct daemon d;
    manager_open(&m, "500000");
    start_daemon(&d, "1");
    pid_t thread = find_thread(d.pid, "prenorm-sched");
    manager_wait(&m, "WATCHDOG=1", NULL);
    if (!freeze(thread)) {
        daemon_stop(&d);
        manager_close(&m);
        skip();
    }
    int fd = raw_connect(&d);
    raw_post(fd, "{\"prompt\":\"Once\",\"max_tokens\":3,\"temperature\":0}");
    wait_status(&d, "/health", 503);
    while (manager_next(&m, 0)) continue;
    wait_ticks(&d, 2); /* what its socket had no room for comes now */
    while (manager_next(&m, 0)) continue;
    wait_ticks(&d, 8);
    assert_null(manager_next(&m, 0));
    thaw(thread);
    raw_read_until(fd, "\"completion_tokens\":3");
    manager_wait(&m, "WATCHDOG=1", NULL);
    close(fd);
    daemon_stop(&d);
    manager_close(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_frozen_scheduler),
                                       cmocka_unit_test(test_switched_off), cmocka_unit_test(test_watchdog)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
