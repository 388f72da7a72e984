/* SIGHUP: keys and certificate take effect together or not at all, the loop does not wait for the disk, and a
 * storm of signals is answered by one more reading. */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/http/support_http.h"

static char *folder, cert[256], key[256], keys[256];
static struct daemon d;

static int setup(void **state) {
    (void)state;
    folder = test_folder_create();
    snprintf(cert, sizeof cert, "%s/cert.pem", folder);
    snprintf(key, sizeof key, "%s/key.pem", folder);
    snprintf(keys, sizeof keys, "%s/keys", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    test_folder_remove(folder);
    return 0;
}

static bool make_certificate(void) {
    char command[1024];
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=t "
             "-keyout %s -out %s >/dev/null 2>&1",
             key, cert);
    return system(command) == 0;
}

static void write_keys(const char *text) {
    test_file_write(folder, "keys", text, strlen(text));
}

static size_t lines_with(const char *text) {
    char *log = test_file_read("/", d.log + 1, NULL);
    size_t count = 0;
    for (const char *at = log; (at = strstr(at, text)); at++) count++;
    free(log);
    return count;
}

static void wait_lines(const char *text, size_t count) {
    for (int i = 0; i < 1000 && lines_with(text) < count; i++) sleep_ms(20);
    assert_int_equal(lines_with(text), count);
}

static void expect_status(const char *name, long status) {
    char header[64];
    snprintf(header, sizeof header, "Authorization: Bearer %s", name);
    struct answer a = http_request(&d, "GET", "/version", (const char *const[]){header, NULL}, NULL, 0);
    assert_int_equal(a.status, status);
    answer_free(&a);
}

static const char again[] = "have been read again", unchanged[] = "nothing was changed";

/* Whichever of the two is bad, the good one does not take effect alone. */
static void test_all_or_nothing(void **state) {
    (void)state;
    if (!make_certificate()) {
        print_message("no openssl program: TLS is not tried\n");
        skip();
    }
    write_keys("old\n");
    daemon_start_fake(&d, "fake", "--tls-cert", cert, "--tls-key", key, "--api-key-file", keys, NULL);
    write_keys("new\n");
    test_file_write(folder, "key.pem", "nonsense", 8);
    kill(d.pid, SIGHUP);
    wait_lines(unchanged, 1);
    assert_int_equal(lines_with("key.pem"), 1); /* the log says which */
    expect_status("old", 200);
    expect_status("new", 401);
    assert_true(make_certificate());
    write_keys("# none\n");
    kill(d.pid, SIGHUP);
    wait_lines(unchanged, 2);
    expect_status("old", 200);
    write_keys("new\n");
    for (size_t i = 1; i <= 3; i++) {
        kill(d.pid, SIGHUP);
        wait_lines(again, i);
        expect_status("old", 401);
        expect_status("new", 200);
    }
    daemon_stop(&d);
}

/* The disk is a pipe here: it gives nothing until the test does. */
static void give_keys(const char *text) {
    int fd = open(keys, O_WRONLY | O_CLOEXEC); /* returns when the daemon has opened it, too */
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void test_a_storm_on_a_slow_disk(void **state) {
    (void)state;
    static const char signals[] = "prenorm_loop_callback_seconds_count{kind=\"signal\"}";
    write_keys("old\n");
    daemon_start_fake(&d, "fake", "--api-key-file", keys, "--public-metrics", NULL);
    unlink(keys);
    assert_int_equal(mkfifo(keys, 0600), 0);
    for (int i = 0; i < 50; i++) {
        kill(d.pid, SIGHUP);
        if (i < 3)
            for (int tries = 0; tries < 1000 && metric(&d, signals) < i + 1; tries++) sleep_ms(20);
    }
    assert_true(metric(&d, signals) >= 3); /* the loop goes on, while the first reading waits */
    expect_status("old", 200);
    assert_int_equal(lines_with(again), 0);
    give_keys("first\n");
    wait_lines(again, 1);
    expect_status("first", 200);
    give_keys("second\n"); /* one reading for all that came meanwhile */
    wait_lines(again, 2);
    expect_status("second", 200);
    unlink(keys);
    write_keys("third\n");
    kill(d.pid, SIGHUP);
    wait_lines(again, 3);
    expect_status("third", 200);
    daemon_stop(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_or_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_storm_on_a_slow_disk, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
