/* A daemon of our own on a free port, and clients: libcurl for whole requests, a socket where bytes matter.
 * Everything here fails the test by itself when something is not as it must be. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "tests/support/test_support.h"

struct daemon {
    pid_t pid;
    int port;
    char *log; /* file with its stderr */
    bool is_tls;
};

/* The arguments after these, up to a NULL, are the daemon's flags. Returns when it listens; without a line
 * that says so the test fails. daemon_start_fake has the settings of fake_engine.h and waits until it is
 * ready. */
void daemon_start(struct daemon *d, const char *program, const char *const *flags);
void daemon_start_fake(struct daemon *d, const char *settings, ...) __attribute__((sentinel));
/* With the bundled model, when it is ready. */
void daemon_start_tales(struct daemon *d, ...) __attribute__((sentinel));
void daemon_wait_ready(const struct daemon *d);

/* Sends SIGTERM and waits; fails unless the exit code is 0. */
void daemon_stop(struct daemon *d);

/* Waits for the end and gives the exit code. The log's text, if wanted, is the caller's to free. */
int daemon_wait(struct daemon *d, char **log);

/* As a crash of the machine would end it. */
void daemon_kill(struct daemon *d);

struct answer {
    long status;
    char *headers; /* as they came */
    char *body;    /* of a stream without its pings */
    size_t length;
    int error; /* CURLcode: 0 when the whole answer came */
};

/* headers: "Name: value" strings up to a NULL; NULL: none. A body makes it a POST of application/json. */
struct answer http_request(const struct daemon *d, const char *method, const char *path,
                           const char *const *headers, const char *body, size_t length);
struct answer http_get(const struct daemon *d, const char *path);
struct answer http_post(const struct daemon *d, const char *path, const char *body);
void answer_free(struct answer *a);

/* The value of a header, in static storage; NULL when the answer has none of that name. */
const char *answer_header(const struct answer *a, const char *name);

/* The body as JSON; json_decref it. */
json_t *answer_json(const struct answer *a);

/* Posts what must be answered by 200 and JSON; json_decref it. complete: to /v1/completions. */
json_t *post_json(const struct daemon *d, const char *path, const char *body);
json_t *complete(const struct daemon *d, const char *body);

/* Fails unless the value is that of the text. */
void expect_json(const json_t *found, const char *expected);

/* A value of choices[index], and its text; borrowed. */
const json_t *choice_value(const json_t *answer, size_t index, const char *name);
const char *choice_text(const json_t *answer, size_t index);

/* A sample of /metrics by its name with labels as they are printed; -1 when there is none. */
double metric(const struct daemon *d, const char *name);

/* Waits until the sample has the value, or is above it. */
void wait_metric(const struct daemon *d, const char *name, double value);
void wait_metric_above(const struct daemon *d, const char *name, double value);

/* Whether its log has a text; until it does. */
bool has_logged(const struct daemon *d, const char *text);
void wait_logged(const struct daemon *d, const char *text);

/* ---- sockets ---- */

int raw_connect(const struct daemon *d);
void raw_send(int fd, const char *text);
/* POST /v1/completions with a body. */
void raw_post(int fd, const char *body);
/* Reads until the text has come; what was read is in static storage. */
const char *raw_read_until(int fd, const char *text);
/* Reads to the end of file; the caller frees. Fails after ten seconds. */
char *raw_read_all(int fd, size_t *length);

void sleep_ms(unsigned ms);
