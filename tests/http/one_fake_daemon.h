/* For tests that ask one daemon over a fake engine from their first test to the last: setup and teardown of the
 * group. */
#pragma once

#include "tests/http/support_http.h"

static struct daemon d;

static inline int one_fake_daemon_start(void **state) {
    (void)state;
    daemon_start_fake(&d, "fake", NULL);
    return 0;
}

static inline int one_fake_daemon_stop(void **state) {
    (void)state;
    daemon_stop(&d);
    return 0;
}
