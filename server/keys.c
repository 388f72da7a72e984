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

bool keys_find(const struct keys *k, const char *authorization, size_t *index) {
    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0) return false;
    const char *given = authorization + 7 + strspn(authorization + 7, " ");
    size_t length = strlen(given);
    size_t found = k->count; /* without branches: the time does not say which */
    for (size_t i = 0; i < k->count; i++) {
        size_t mask = (size_t)0 - (size_t)is_equal(k->items[i], given, length);
        found = (found & ~mask) | (i & mask);
    }
    *index = found;
    return found < k->count;
}

bool keys_allow(const struct keys *k, const char *authorization) {
    size_t index;
    return !k->required || keys_find(k, authorization, &index);
}
