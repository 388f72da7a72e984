/* Lines of the access log: what is in them, that nothing of a client's breaks them, and files that take none. */
#include "server/service/access_log.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/test_support.h"

static const struct access_record finished = {.id = "req-1",
                                              .trace_id = "4bf92f3577b34da6a3ce929d0e0e4736",
                                              .client = "2001:db8::1",
                                              .method = "POST",
                                              .path = "/v1/completions",
                                              .status = 200,
                                              .outcome = "stop",
                                              .reason = "",
                                              .has_tokens = true,
                                              .prompt_tokens = 12,
                                              .cached_tokens = 8,
                                              .generated_tokens = 30,
                                              .queued_seconds = 0.25,
                                              .first_token_seconds = 0.5,
                                              .total_seconds = 1.75};

static const struct access_record refused = {.id = "-",
                                             .trace_id = "",
                                             .client = "",
                                             .method = "G\"T",
                                             .path = "/a b\n\x1b[2J\xff\xc2\x85\xf0\x9f\x98\x80\\",
                                             .outcome = "refused",
                                             .reason = "not_found",
                                             .queued_seconds = -1,
                                             .first_token_seconds = -1,
                                             .total_seconds = 0};

struct place {
    char path[40];
    struct access_log log;
};

static void open_place(struct place *p, enum log_format format) {
    struct error e;
    strcpy(p->path, "/tmp/prenorm-access-XXXXXX");
    int fd = mkstemp(p->path);
    assert_true(fd >= 0);
    close(fd);
    assert_ok(access_log_open(&p->log, p->path, format, &e));
}

static void read_place(const struct place *p, char *out, size_t size) {
    FILE *file = fopen(p->path, "re");
    assert_non_null(file);
    out[fread(out, 1, size - 1, file)] = '\0';
    fclose(file);
}

static void test_text(void **state) {
    (void)state;
    struct place p;
    char text[4096];
    open_place(&p, LOG_FORMAT_TEXT);
    access_log_write(&p.log, &finished);
    access_log_write(&p.log, &refused);
    read_place(&p, text, sizeof text);
    const char *second = strchr(text, '\n') + 1;
    assert_int_equal(strspn(text, "0123456789-T:.Z"), LOG_TIME_BYTES - 1);
    assert_int_equal(
        second - text - (LOG_TIME_BYTES - 1),
        strlen(" id=req-1 trace_id=4bf92f3577b34da6a3ce929d0e0e4736 client=2001:db8::1 method=POST "
               "path=/v1/completions status=200 outcome=stop reason=- prompt_tokens=12 "
               "cached_tokens=8 generated_tokens=30 queued_seconds=0.250000 "
               "first_token_seconds=0.500000 total_seconds=1.750000\n"));
    assert_non_null(strstr(text,
                           " client=2001:db8::1 method=POST path=/v1/completions status=200 outcome=stop "
                           "reason=- prompt_tokens=12 cached_tokens=8 generated_tokens=30 "
                           "queued_seconds=0.250000 first_token_seconds=0.500000 total_seconds=1.750000\n"));
    assert_string_equal(
        second + LOG_TIME_BYTES - 1,
        " id=\"-\" trace_id=- client=- method=\"G\\\"T\" "
        "path=\"/a b\\u000a\\u001b[2J\\ufffd\\u0085\\ud83d\\ude00\\\\\" status=- outcome=refused "
        "reason=not_found prompt_tokens=- cached_tokens=- generated_tokens=- queued_seconds=- "
        "first_token_seconds=- total_seconds=0.000000\n");
    access_log_close(&p.log);
    unlink(p.path);
}

static void test_json(void **state) {
    (void)state;
    struct place p;
    char text[4096];
    const char *s;
    json_int_t status, prompt;
    double queued, first, total;
    open_place(&p, LOG_FORMAT_JSON);
    access_log_write(&p.log, &refused);
    access_log_write(&p.log, &finished);
    read_place(&p, text, sizeof text);
    for (const char *c = text; *c; c++) assert_true(*c == '\n' || (*c >= ' ' && *c < 0x7f));
    char *second = strchr(text, '\n');
    *second++ = '\0';
    json_t *line = json_loads(text, 0, NULL);
    assert_non_null(line);
    assert_string_equal(json_string_value(json_object_get(line, "path")),
                        "/a b\n\x1b[2J\xef\xbf\xbd\xc2\x85\xf0\x9f\x98\x80\\");
    assert_true(json_is_null(json_object_get(line, "status")));
    assert_true(json_is_null(json_object_get(line, "queued_seconds")));
    json_decref(line);
    line = json_loads(second, 0, NULL);
    assert_int_equal(json_unpack(line, "{s:s,s:I,s:I,s:F,s:F,s:F}", "outcome", &s, "status", &status,
                                 "prompt_tokens", &prompt, "queued_seconds", &queued, "first_token_seconds",
                                 &first, "total_seconds", &total),
                     0);
    assert_string_equal(s, "stop");
    assert_true(status == 200 && prompt == 12 && queued == 0.25 && first == 0.5 && total == 1.75);
    json_decref(line);
    access_log_close(&p.log);
    unlink(p.path);
}

/* As large as everything may be at most. */
static void test_long_values(void **state) {
    (void)state;
    struct place p;
    char text[8192], path[ACCESS_PATH_BYTES_MAX + 1], id[129];
    struct access_record r = refused;
    memset(path, 1, sizeof path - 1);
    memset(id, 'x', sizeof id - 1);
    path[sizeof path - 1] = id[sizeof id - 1] = '\0';
    r.path = path, r.id = id, r.method = "\1\2\3\4\5\6\7\10\1\2\3\4\5\6\7\10\1\2\3\4";
    open_place(&p, LOG_FORMAT_JSON);
    access_log_write(&p.log, &r);
    assert_int_equal(p.log.dropped, 0);
    read_place(&p, text, sizeof text);
    json_t *line = json_loads(text, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(line, "path")), path);
    json_decref(line);
    access_log_close(&p.log);
    unlink(p.path);
}

static void test_full_disk(void **state) {
    (void)state;
    struct access_log log;
    struct error e;
    if (access("/dev/full", W_OK) != 0) skip();
    assert_ok(access_log_open(&log, "/dev/full", LOG_FORMAT_TEXT, &e));
    for (int i = 0; i < 5; i++) access_log_write(&log, &finished);
    assert_int_equal(log.dropped, 5);
    access_log_close(&log);
}

/* A reader that does not read keeps nobody waiting, and gets whole lines once it reads. */
static void test_blocked_pipe(void **state) {
    (void)state;
    char path[] = "/tmp/prenorm-fifo-XXXXXX", text[1 << 17];
    struct access_log log;
    struct error e;
    assert_non_null(mkdtemp(path));
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(access_log_open(&log, path, LOG_FORMAT_TEXT, &e),
                     STATUS_OPTION); /* nobody reads at all */
    assert_string_equal(e.where, "access-log");
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    assert_ok(access_log_open(&log, path, LOG_FORMAT_TEXT, &e));
    for (int i = 0; i < 2000; i++) access_log_write(&log, &finished);
    assert_true(log.dropped > 0 && log.dropped < 2000);
    uint64_t dropped = log.dropped;
    ssize_t length = read(reader, text, sizeof text - 1);
    assert_true(length > 0);
    text[length] = '\0';
    size_t lines = 0;
    for (const char *at = text; (at = strstr(at, " total_seconds=1.750000\n")); at++) lines++;
    assert_int_equal(lines, 2000 - dropped);
    access_log_write(&log, &finished);
    assert_int_equal(log.dropped, dropped);
    assert_int_equal(log.dropped_told, dropped);
    access_log_close(&log);
    close(reader);
    unlink(path);
}

static void test_off_and_bad_places(void **state) {
    (void)state;
    struct access_log log;
    struct error e;
    assert_ok(access_log_open(&log, NULL, LOG_FORMAT_TEXT, &e));
    access_log_write(&log, &finished);
    access_log_close(&log);
    assert_int_equal(access_log_open(&log, "/nowhere/at/all", LOG_FORMAT_TEXT, &e), STATUS_OPTION);
    assert_int_equal(access_log_open(&log, "/tmp", LOG_FORMAT_TEXT, &e), STATUS_OPTION);
}

/* A file that was moved away: what comes after access_log_use is in the new one. */
static void test_new_file(void **state) {
    (void)state;
    struct place p;
    struct error e;
    char text[4096], old[60];
    open_place(&p, LOG_FORMAT_TEXT);
    access_log_write(&p.log, &refused);
    snprintf(old, sizeof old, "%s.1", p.path);
    assert_int_equal(rename(p.path, old), 0);
    int fd = access_log_open_file(p.path, &e);
    assert_true(fd >= 0);
    access_log_use(&p.log, fd);
    access_log_write(&p.log, &finished);
    read_place(&p, text, sizeof text);
    assert_non_null(strstr(text, "outcome=stop"));
    assert_null(strstr(text, "outcome=refused"));
    access_log_close(&p.log);
    unlink(p.path);
    unlink(old);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),         cmocka_unit_test(test_json),
        cmocka_unit_test(test_long_values),  cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_blocked_pipe), cmocka_unit_test(test_off_and_bad_places),
        cmocka_unit_test(test_new_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
