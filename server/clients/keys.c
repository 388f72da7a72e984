#include "server/clients/keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include <gnutls/crypto.h>

enum { KEY_BYTES_MAX = 4096, KEY_COUNT_MAX = 100000 };

void keys_deinit(struct keys *k) {
    free(k->items);
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
    struct key *grown = realloc(k->items, capacity * sizeof *k->items);
    if (!grown) return false;
    k->items = grown;
    k->capacity = capacity;
    return true;
}

static enum status add_key(struct keys *k, const char *key, const char *path, struct error *e) {
    if (k->count >= KEY_COUNT_MAX)
        return error_set(e, STATUS_LIMIT, path, "has too many keys (at most %d)", KEY_COUNT_MAX);
    if (!reserve(k) || !digest(k, key, strlen(key), k->items[k->count].digest))
        return error_set(e, STATUS_NO_MEMORY, path, "there is no memory for its keys");
    k->items[k->count].place = k->count;
    k->count++;
    return STATUS_OK;
}

static int compare_digests(const void *a, const void *b) {
    const struct key *x = a, *y = b;
    return memcmp(x->digest, y->digest, KEY_DIGEST_BYTES);
}

static int compare(const void *a, const void *b) {
    const struct key *x = a, *y = b;
    int digests = compare_digests(a, b);
    return digests ? digests : (x->place > y->place) - (x->place < y->place);
}

/* Bytes of the line that fgets has read, without its end; SIZE_MAX: it is longer. What is behind it was filled with line ends:
 * it may have NULs. */
static size_t line_length(const char line[KEY_BYTES_MAX]) {
    const char *end = memchr(line, '\n', KEY_BYTES_MAX);
    if (!end) return SIZE_MAX;
    size_t length = (size_t)(end - line);
    bool is_read = length + 1 < KEY_BYTES_MAX && line[length + 1] == '\0';
    return is_read ? length : length - 1;
}

/* A header carries no control characters, so such a line is none of a text: UTF-16, or no key file at all. */
static bool is_text(const char *line, size_t length) {
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)line[i];
        bool is_end = byte == '\r' && i + 1 == length;
        if (byte == 0x7f || (byte < ' ' && byte != '\t' && !is_end)) return false;
    }
    return true;
}

static enum status read_line(struct keys *k, char line[KEY_BYTES_MAX], size_t number, const char *path,
                             struct error *e) {
    static const char mark[] = "\xef\xbb\xbf"; /* that some editors begin UTF-8 with */
    size_t length = line_length(line);
    if (length == SIZE_MAX)
        return error_set(e, STATUS_LIMIT, path, "has a line of more than %d bytes", KEY_BYTES_MAX - 2);
    if (!is_text(line, length))
        return error_set(e, STATUS_MALFORMED, path,
                         "line %zu has control characters; a key a line was expected, in plain text", number);
    line[length] = '\0';
    bool is_marked = number == 1 && strncmp(line, mark, sizeof mark - 1) == 0;
    char *key = trim(is_marked ? line + sizeof mark - 1 : line);
    return *key && *key != '#' ? add_key(k, key, path, e) : STATUS_OK;
}

static enum status read_lines(struct keys *k, FILE *file, const char *path, struct error *e) {
    char line[KEY_BYTES_MAX];
    for (size_t number = 1;; number++) {
        memset(line, '\n', sizeof line);
        if (!fgets(line, sizeof line, file)) break;
        if (read_line(k, line, number, path, e) != STATUS_OK) return e->code;
    }
    if (ferror(file)) return error_set(e, STATUS_IO, path, "cannot be read: %s", strerror(errno));
    if (!k->count) return error_set(e, STATUS_MALFORMED, path, "has no key; one a line was expected");
    qsort(k->items, k->count, sizeof *k->items, compare);
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

/* Which key a text is; KEYS_NONE: none. */
static size_t find(const struct keys *k, const char *text) {
    struct key given;
    if (!text) return KEYS_NONE;
    text += strspn(text, " \t");
    size_t length = strlen(text);
    while (length && (text[length - 1] == ' ' || text[length - 1] == '\t')) length--;
    if (!digest(k, text, length, given.digest)) return KEYS_NONE;
    const struct key *found = bsearch(&given, k->items, k->count, sizeof *k->items, compare_digests);
    if (!found) return KEYS_NONE;
    while (found > k->items && compare_digests(found - 1, found) == 0) found--;
    return found->place;
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
