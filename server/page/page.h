/* The page at / for people, page.html, as it lies in the program. Immutable after page_init, so any thread may read. */
#pragma once

#include <stddef.h>

#include "engine/base/error.h"

struct page {
    const char *html; /* static, not NUL-terminated */
    size_t length;
    /* For the header Content-Security-Policy: its own script and style, requests to where it came from, and nothing
     * else. */
    char policy[512];
};

/* Once, at the start. STATUS_UNSUPPORTED: the TLS library cannot compute the hashes of script and style. */
enum status page_init(struct page *p, struct error *e);
