/* API keys: one a line of a file; empty lines and lines that begin with '#' are skipped. Loop thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

struct keys {
    char **items;
    size_t count;
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

/* Whether one of them is a key, or none is required. *key: which one it is, by its place in the file; KEYS_NONE
 * where none is required or given. The time it takes depends on the lengths and the number of keys, not on how
 * much of a key was right. */
bool keys_allow(const struct keys *k, const struct keys_given *given, size_t *key);
