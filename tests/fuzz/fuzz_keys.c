/* The input is a file of API keys. What was read is a list of keys that are allowed, and nothing else is. */
#include <string.h>

#include "engine/base/log.h"
#include "server/clients/keys.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_file.h"

static bool allows(const struct keys *k, const char *authorization, const char *x_api_key) {
    const struct keys_given given = {.authorization = authorization, .x_api_key = x_api_key};
    size_t key;
    bool allowed = keys_allow(k, &given, &key);
    if (allowed != (key < k->count)) abort();
    return allowed;
}

/* The key in a line of the file, as keys.h has it; NULL: none. */
static char *key_of(char *line) {
    line += strspn(line, " \t\r");
    size_t length = strlen(line);
    while (length && strchr(" \t\r", line[length - 1])) length--;
    line[length] = '\0';
    return length && *line != '#' ? line : NULL;
}

static void check(const struct keys *k, char *file) {
    char header[8192];
    size_t count = 0;
    if (!k->required || k->count == 0) abort();
    if (allows(k, NULL, NULL) || allows(k, "Bearer ", " ") || allows(k, "Basic x", NULL)) abort();
    for (char *line; (line = strsep(&file, "\n"));) {
        const char *key = key_of(line);
        if (!key) continue;
        count++;
        snprintf(header, sizeof header, "Bearer %s", key);
        if (!allows(k, header, NULL) || !allows(k, NULL, key)) abort();
    }
    if (count != k->count) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char folder[] = FUZZ_FOLDER, path[64];
    struct keys keys = {0};
    struct error e = {0};
    log_set_level(LOG_LEVEL_ERROR);
    if (!mkdtemp(folder)) abort();
    fuzz_write(folder, "keys", data, size, path);
    enum status status = keys_load(&keys, path, &e);
    char *file = strndup((const char *)data, size);
    if (!file) abort();
    if (status == STATUS_OK)
        check(&keys, file);
    else if (e.code != status || !e.text[0] || keys.count || keys.items)
        abort();
    free(file);
    keys_deinit(&keys);
    unlink(path);
    rmdir(folder);
    return 0;
}
