/* The input is a file of options, read by each command; what was accepted is printed, and that must be
 * accepted in turn. */
#include "config/config.h"
#include "engine/base/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_file.h"

/* An error must come with a text. */
static bool load(struct config *c, enum command command, char *path) {
    static char *none[] = {NULL};
    char *flags[] = {"--config", path};
    struct error e = {0};
    if (config_init(c, &e) != STATUS_OK) abort();
    enum status status = config_load(c, command, flags, 2, none, &e);
    if (status != STATUS_OK && (e.code != status || !e.text[0])) abort();
    return status == STATUS_OK;
}

static void print_and_load_again(const struct config *c, enum command command, const char *folder) {
    struct config again;
    struct error e;
    char path[64];
    snprintf(path, sizeof path, "%s/printed", folder);
    FILE *out = fopen(path, "wb");
    if (!out || config_print(c, command, out, &e) != STATUS_OK || fclose(out) != 0) abort();
    if (!load(&again, command, path)) abort();
    config_deinit(&again);
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char folder[] = FUZZ_FOLDER, path[64];
    log_set_level(LOG_LEVEL_ERROR);
    if (!mkdtemp(folder)) abort();
    fuzz_write(folder, "options", data, size, path);
    for (enum command command = 0; command < COMMAND_COUNT; command++) {
        struct config config;
        if (load(&config, command, path)) print_and_load_again(&config, command, folder);
        config_deinit(&config);
    }
    unlink(path);
    rmdir(folder);
    return 0;
}
