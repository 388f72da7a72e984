#include "config/option.h"

#include <stdlib.h>
#include <string.h>

enum status config_init(struct config *c, struct error *e) {
    *c = (struct config){0};
    for (int id = 0; id < OPTION_COUNT; id++) {
        if (!option_rows[id].initial) continue;
        enum status status = option_set(c, (enum option_id)id, SOURCE_DEFAULT, option_rows[id].initial, e);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

void config_deinit(struct config *c) {
    for (int id = 0; id < OPTION_COUNT; id++) option_deinit(c, (enum option_id)id);
    free(c->file);
    *c = (struct config){0};
}

/* Rules between options, and those that a range cannot say. */
static enum status check_rules(const struct config *c, struct error *e) {
    char origin[OPTION_TEXT_MAX];
    if (!c->tls_cert != !c->tls_key) {
        enum option_id given = c->tls_cert ? OPTION_tls_cert : OPTION_tls_key;
        enum option_id missing = c->tls_cert ? OPTION_tls_key : OPTION_tls_cert;
        return error_set(e, STATUS_INVALID_ARGUMENT, option_origin(c, given, c->source[given], origin),
                         "needs %s too", option_rows[missing].key);
    }
    if (c->kv_page_tokens % 16 != 0)
        return error_set(e, STATUS_INVALID_ARGUMENT,
                         option_origin(c, OPTION_kv_page_tokens, c->source[OPTION_kv_page_tokens], origin),
                         "found %zu, expected a multiple of 16", c->kv_page_tokens);
    return STATUS_OK;
}

static enum status read_file(struct config *c, const char *path, struct error *e) {
    if (!path || !*path) return STATUS_OK;
    c->file = strdup(path);
    if (!c->file) return error_set(e, STATUS_NO_MEMORY, "configuration", "no memory for a path");
    return config_file_read(c, e);
}

enum status config_load(struct config *c, enum command command, char **flags, size_t flag_count,
                        char **environment, struct error *e) {
    const char *file = config_env_file(environment);
    enum status status = config_flags_scan(c, command, flags, flag_count, &file, e);
    if (status != STATUS_OK || c->action == CONFIG_HELP) return status;
    status = read_file(c, file, e);
    if (status == STATUS_OK) status = config_env_read(c, environment, e);
    if (status == STATUS_OK) status = config_flags_read(c, command, flags, flag_count, e);
    if (status == STATUS_OK) status = check_rules(c, e);
    return status;
}

static const char *const command_names[COMMAND_COUNT] = {
#define X(id, name, argument, help) [COMMAND_##id] = name,
    COMMAND_LIST(X)
#undef X
};

const char *command_name(enum command command) {
    return command_names[command];
}

enum command command_from_name(const char *name) {
    int command = 0;
    while (command < COMMAND_COUNT && strcmp(command_names[command], name) != 0) command++;
    return (enum command)command;
}
