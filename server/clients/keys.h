/* API keys: one a line of a file; empty lines and lines that begin with '#' are skipped, control characters refused. Kept are digests of
 * them with a secret of this process (HMAC-SHA-256), in order: asking takes the same few comparisons for one
 * key as for the 100,000 that a file may have. Any thread while nobody writes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

enum { KEY_DIGEST_BYTES = 32 };

struct key {
    unsigned char digest[KEY_DIGEST_BYTES];
    size_t place; /* in the file: how many keys stand before it */
};

struct keys {
    struct key *items; /* ascending by their digests, then by their places */
    unsigned char secret[KEY_DIGEST_BYTES];
    size_t count, capacity;
    bool required; /* false: no file is configured, everybody may call */
};

/* path NULL: no key is required. A file without a key is an error: it would lock everybody out. Replaces what
 * *k holds only on success, so that a bad file at run time changes nothing. */
enum status keys_load(struct keys *k, const char *path, struct error *e);
void keys_deinit(struct keys *k);

/* Values of the headers that may carry a key, blanks at their ends included; NULL: absent. */
struct keys_given {
    const char *authorization; /* "Bearer KEY" */
    const char *x_api_key, *api_key;
};

#define KEYS_NONE SIZE_MAX

/* Whether one of them is a key, or none is required. *key: which one it is, by its place in the file (of a
 * key that stands there twice, the first); KEYS_NONE where none is required or given. The time it takes
 * depends on the length of what is given and on its digest, of which nobody outside knows anything: not on
 * how much of a key was right. */
bool keys_allow(const struct keys *k, const struct keys_given *given, size_t *key);
