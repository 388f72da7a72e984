#include "server/keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { KEY_BYTES_MAX = 4096, KEY_COUNT_MAX = 100000 };

void keys_deinit(struct keys *k) {
    for (size_t i = 0; i < k->count; i++) free(k->items[i]);
    free(k->items);
    *k = (struct keys){0};
}

static char *trim(char *line) {
    line += strspn(line, " \t\r\n");
    size_t length = strlen(line);
    while (length && strchr(" \t\r\n", line[length - 1])) length--;
    line[length] = '\0';
    return line;
}

static bool add_key(struct keys *k, const char *key) {
    if (k->count >= KEY_COUNT_MAX) return false;
    char **items = realloc(k->items, (k->count + 1) * sizeof *items);
    if (!items) return false;
    k->items = items;
    k->items[k->count] = strdup(key);
    return k->items[k->count] && ++k->count;
}

static enum status read_lines(struct keys *k, FILE *file, const char *path, struct error *e) {
    char line[KEY_BYTES_MAX];
    while (fgets(line, sizeof line, file)) {
        if (!strchr(line, '\n') && !feof(file))
            return error_set(e, STATUS_LIMIT, path, "has a line of more than %d bytes", KEY_BYTES_MAX - 2);
        char *key = trim(line);
        if (!*key || *key == '#') continue;
        if (!add_key(k, key))
            return error_set(e, STATUS_LIMIT, path, "has too many keys (at most %d)", KEY_COUNT_MAX);
    }
    if (ferror(file)) return error_set(e, STATUS_IO, path, "cannot be read: %s", strerror(errno));
    if (!k->count) return error_set(e, STATUS_MALFORMED, path, "has no key; one a line was expected");
    return STATUS_OK;
}

enum status keys_load(struct keys *k, const char *path, struct error *e) {
    if (!path) return STATUS_OK;
    FILE *file = fopen(path, "re");
    if (!file) return error_set(e, STATUS_IO, path, "the key file cannot be opened: %s", strerror(errno));
    struct keys fresh = {.required = true};
    enum status status = read_lines(&fresh, file, path, e);
    fclose(file);
    struct keys *drop = status == STATUS_OK ? k : &fresh;
    keys_deinit(drop);
    if (status == STATUS_OK) *k = fresh;
    return status;
}

static bool is_equal(const char *key, const char *given, size_t given_length) {
    size_t length = strlen(key);
    unsigned char difference = length != given_length;
    for (size_t i = 0; i < length; i++)
        difference |= (unsigned char)(key[i] ^ (given_length ? given[i % given_length] : 0));
    return difference == 0;
}

/* Which key a text is; KEYS_NONE: none. All are compared, without branches, whichever is right. */
static size_t find(const struct keys *k, const char *text) {
    size_t found = KEYS_NONE;
    if (!text) return found;
    text += strspn(text, " \t");
    size_t length = strlen(text);
    while (length && (text[length - 1] == ' ' || text[length - 1] == '\t')) length--;
    for (size_t i = 0; i < k->count; i++) {
        size_t mask = (size_t)0 - (size_t)is_equal(k->items[i], text, length);
        found = (found & ~mask) | (i & mask);
    }
    return found;
}

static const char *bearer(const char *authorization) {
    static const char scheme[] = "Bearer";
    size_t length = sizeof scheme - 1;
    if (!authorization || strncasecmp(authorization, scheme, length) != 0) return NULL;
    return authorization[length] == ' ' || authorization[length] == '\t' ? authorization + length : NULL;
}

bool keys_allow(const struct keys *k, const struct keys_given *given, size_t *key) {
    *key = KEYS_NONE;
    if (!k->required) return true;
    const size_t found[] = {find(k, bearer(given->authorization)), find(k, given->x_api_key),
                            find(k, given->api_key)};
    for (size_t i = 0; i < sizeof found / sizeof *found; i++)
        if (*key == KEYS_NONE) *key = found[i];
    return *key != KEYS_NONE;
}
