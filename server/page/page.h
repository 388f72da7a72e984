/* The page for people who look, page.html, as it lies in the program. */
#pragma once

#include <stddef.h>

#include "engine/base/error.h"

struct page {
    const char *html; /* static, not NUL-terminated */
    size_t length;
    char policy
        [512]; /* for the header Content-Security-Policy: its own script and style, requests to where it came from,
                         and nothing else */
};

/* Once, at the start. STATUS_UNSUPPORTED: the TLS library cannot compute the hashes of script and style. */
enum status page_init(struct page *p, struct error *e);
