#include "server/keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include <gnutls/crypto.h>

enum { KEY_BYTES_MAX = 4096, KEY_COUNT_MAX = 100000 };

void keys_deinit(struct keys *k) {
    free(k->digests);
    *k = (struct keys){0};
}

static bool digest(const struct keys *k, const char *key, size_t length, unsigned char *out) {
    return gnutls_hmac_fast(GNUTLS_MAC_SHA256, k->secret, sizeof k->secret, key, length, out) == 0;
}

static char *trim(char *line) {
    line += strspn(line, " \t\r\n");
    size_t length = strlen(line);
    while (length && strchr(" \t\r\n", line[length - 1])) length--;
    line[length] = '\0';
    return line;
}

static bool reserve(struct keys *k) {
    if (k->count < k->capacity) return true;
    size_t capacity = k->capacity ? k->capacity * 2 : 16;
    void *grown = realloc(k->digests, capacity * sizeof *k->digests);
    if (!grown) return false;
    k->digests = grown;
    k->capacity = capacity;
    return true;
}

static enum status add_key(struct keys *k, const char *key, const char *path, struct error *e) {
    if (k->count >= KEY_COUNT_MAX)
        return error_set(e, STATUS_LIMIT, path, "has too many keys (at most %d)", KEY_COUNT_MAX);
    if (!reserve(k) || !digest(k, key, strlen(key), k->digests[k->count]))
        return error_set(e, STATUS_NO_MEMORY, path, "there is no memory for its keys");
    k->count++;
    return STATUS_OK;
}

static int compare(const void *a, const void *b) {
    return memcmp(a, b, KEY_DIGEST_BYTES);
}

static enum status read_lines(struct keys *k, FILE *file, const char *path, struct error *e) {
    char line[KEY_BYTES_MAX];
    while (fgets(line, sizeof line, file)) {
        if (!strchr(line, '\n') && !feof(file))
            return error_set(e, STATUS_LIMIT, path, "has a line of more than %d bytes", KEY_BYTES_MAX - 2);
        char *key = trim(line);
        if (!*key || *key == '#') continue;
        if (add_key(k, key, path, e) != STATUS_OK) return e->code;
    }
    if (ferror(file)) return error_set(e, STATUS_IO, path, "cannot be read: %s", strerror(errno));
    if (!k->count) return error_set(e, STATUS_MALFORMED, path, "has no key; one a line was expected");
    qsort(k->digests, k->count, sizeof *k->digests, compare);
    return STATUS_OK;
}

enum status keys_load(struct keys *k, const char *path, struct error *e) {
    if (!path) return STATUS_OK;
    FILE *file = fopen(path, "re");
    if (!file) return error_set(e, STATUS_IO, path, "the key file cannot be opened: %s", strerror(errno));
    struct keys fresh = {.required = true};
    enum status status = getrandom(fresh.secret, sizeof fresh.secret, 0) == (ssize_t)sizeof fresh.secret
                             ? read_lines(&fresh, file, path, e)
                             : error_set(e, STATUS_IO, path, "the system gives no random numbers");
    fclose(file);
    struct keys *drop = status == STATUS_OK ? k : &fresh;
    keys_deinit(drop);
    if (status == STATUS_OK) *k = fresh;
    return status;
}

bool keys_allow(const struct keys *k, const char *authorization) {
    unsigned char given[KEY_DIGEST_BYTES];
    if (!k->required) return true;
    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0) return false;
    const char *key = authorization + 7 + strspn(authorization + 7, " ");
    if (!digest(k, key, strlen(key), given)) return false;
    return bsearch(given, k->digests, k->count, sizeof *k->digests, compare) != NULL;
}
