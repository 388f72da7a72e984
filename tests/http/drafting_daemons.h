/* Two daemons with the bundled model, one of which has no drafts: setup and teardown for cmocka, and how an answer of the
 * one is compared with that of the other. */
#pragma once

#include "tests/http/support_http.h"

static struct daemon with, without; /* drafts */

/* One more of them, with an option of its own; daemon_stop it. */
static inline void drafting_start(struct daemon *d, const char *option, const char *value) {
    daemon_start_tales(d, option, value, NULL);
}

static inline int drafting_setup(void **state) {
    (void)state;
    drafting_start(&with, "--speculate", "auto");
    drafting_start(&without, "--speculate", "off");
    return 0;
}

static inline int drafting_teardown(void **state) {
    (void)state;
    daemon_stop(&with);
    daemon_stop(&without);
    return 0;
}

/* The bytes of an answer but for its times; the request has to give an id. The caller frees. */
static inline char *drafting_body(const struct daemon *d, const char *request) {
    struct answer a = http_post(d, "/v1/completions", request);
    if (a.status != 200) fail_msg("%ld: %s", a.status, a.body);
    char *body = strdup(a.body);
    for (char *at = body; (at = strstr(at, "\"created\":"));)
        for (at += strlen("\"created\":"); *at >= '0' && *at <= '9'; at++) *at = '0';
    answer_free(&a);
    return body;
}

static inline void expect_same_body(const char *request) {
    char *a = drafting_body(&with, request), *b = drafting_body(&without, request);
    assert_string_equal(a, b);
    free(a);
    free(b);
}
