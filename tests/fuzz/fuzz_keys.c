/* The input is a file of API keys. What was read is a list of keys that are allowed, and nothing else is. */
#include <string.h>

#include "engine/base/log.h"
#include "server/keys.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_file.h"

static void check(const struct keys *k) {
    if (!k->required || k->count == 0) abort();
    if (keys_allow(k, NULL) || keys_allow(k, "Bearer ") || keys_allow(k, "Basic x")) abort();
    for (size_t i = 0; i < k->count; i++) {
        size_t length = strlen(k->items[i]) + 16;
        char *header = malloc(length);
        if (!header || length == 16) abort(); /* an empty key would let everybody in */
        snprintf(header, length, "Bearer %s", k->items[i]);
        if (!keys_allow(k, header)) abort();
        free(header);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char folder[] = FUZZ_FOLDER, path[64];
    struct keys keys = {0};
    struct error e = {0};
    log_set_level(LOG_LEVEL_ERROR);
    if (!mkdtemp(folder)) abort();
    fuzz_write(folder, "keys", data, size, path);
    enum status status = keys_load(&keys, path, &e);
    if (status == STATUS_OK)
        check(&keys);
    else if (e.code != status || !e.text[0] || keys.count || keys.items)
        abort();
    keys_deinit(&keys);
    unlink(path);
    rmdir(folder);
    return 0;
}
