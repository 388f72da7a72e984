/* API keys: one a line of a file; empty lines and lines that begin with '#' are skipped. Kept are digests of
 * them with a secret of this process (HMAC-SHA-256), in order: asking takes the same few comparisons for one
 * key as for the 100,000 that a file may have. Any thread while nobody writes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"

enum { KEY_DIGEST_BYTES = 32 };

struct keys {
    unsigned char (*digests)[KEY_DIGEST_BYTES]; /* ascending */
    unsigned char secret[KEY_DIGEST_BYTES];
    size_t count, capacity;
    bool required; /* false: no file is configured, everybody may call */
};

/* path NULL: no key is required. A file without a key is an error: it would lock everybody out. Replaces what
 * *k holds only on success, so that a bad file at run time changes nothing. */
enum status keys_load(struct keys *k, const char *path, struct error *e);
void keys_deinit(struct keys *k);

/* Whether the value of an Authorization header ("Bearer KEY"; NULL: absent) is a key. The time it takes
 * depends on the length of what is given and on its digest, of which nobody outside knows anything: not on
 * how much of a key was right. */
bool keys_allow(const struct keys *k, const char *authorization);
