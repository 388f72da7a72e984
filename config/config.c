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

/* ---- rules between options, and those that a range cannot say ---- */

/* What can be changed while a program runs: nothing that is owned. */
static bool is_setting(const struct option_row *row) {
    return strcmp(row->group, "Generation") == 0 && row->type != OPTION_TYPE_LIST &&
           row->type != OPTION_TYPE_STRING && row->type != OPTION_TYPE_PATH;
}

enum status config_set(struct config *c, const char *key, const char *value, struct error *e) {
    enum option_id id = option_find(key, strlen(key));
    if (id == OPTION_COUNT || !is_setting(&option_rows[id]))
        return error_set(e, STATUS_INVALID_ARGUMENT, key, "is not a setting of the generation");
    return option_set(c, id, SOURCE_FLAG, value, e);
}

void config_each_setting(const struct config *c,
                         void (*each)(void *context, const char *key, const char *value), void *context) {
    char value[OPTION_TEXT_MAX];
    for (int id = 0; id < OPTION_COUNT; id++)
        if (is_setting(&option_rows[id]))
            each(context, option_rows[id].key, option_value(c, (enum option_id)id, value));
}

bool config_explain(const struct config *c, struct error *e) {
    if (e->code != STATUS_OPTION) return false;
    enum option_id id = option_find(e->where, strlen(e->where));
    if (id == OPTION_COUNT) return false;
    char value[OPTION_TEXT_MAX], origin[OPTION_TEXT_MAX], where[2 * OPTION_TEXT_MAX];
    enum option_source source = c->source[id];
    option_origin(c, id, source, origin);
    option_value(c, id, value);
    int used = snprintf(where, sizeof where, "--%s%s%.200s", option_rows[id].key, *value ? " " : "", value);
    if (source != SOURCE_FLAG)
        snprintf(where + used, sizeof where - (size_t)used,
                 source == SOURCE_DEFAULT ? " (the default)" : " (set by %.200s)", origin);
    struct error plain = *e;
    error_set(e, plain.code, where, "%s", plain.text);
    return source != SOURCE_DEFAULT;
}

static enum status check_tls(const struct config *c, struct error *e) {
    if (!c->tls_cert == !c->tls_key) return STATUS_OK;
    const char *given = option_rows[c->tls_cert ? OPTION_tls_cert : OPTION_tls_key].key;
    const char *missing = option_rows[c->tls_cert ? OPTION_tls_key : OPTION_tls_cert].key;
    return error_set(e, STATUS_OPTION, given, "needs %s too", missing);
}

/* What a bench would pass over without a word, so that something else is timed than was asked for. A shape in the
 * file or the environment may stand there for when no model is named. */
static enum status check_bench(const struct config *c, struct error *e) {
    enum option_id first = c->kernels ? OPTION_kernels : c->norms ? OPTION_norms : OPTION_threads_model;
    char by[OPTION_TEXT_MAX];
    option_origin(c, first, c->source[first], by);
    if (c->kernels + c->norms + c->threads_model > 1)
        return error_set(e, STATUS_OPTION, c->threads_model ? "threads-model" : "norms",
                         "is another bench than %s: name one of them", by);
    if (c->works && (c->kernels || c->norms))
        return error_set(e, STATUS_OPTION, "works", "%s has works of its own", by);
    if (c->json && c->threads_model)
        return error_set(e, STATUS_OPTION, "json", "%s writes a table alone", by);
    option_origin(c, OPTION_model, c->source[OPTION_model], by);
    if (c->model && c->source[OPTION_shape] == SOURCE_FLAG)
        return error_set(e, STATUS_OPTION, "shape",
                         "is for random weights, and %s names a model: leave one of them out", by);
    return STATUS_OK;
}

/* Only between options of the command: the environment may hold some for another one. */
static enum status check_rules(const struct config *c, enum command command, struct error *e) {
    enum status status = STATUS_OK;
    if (option_belongs(&option_rows[OPTION_tls_cert], command)) status = check_tls(c, e);
    if (status == STATUS_OK && option_belongs(&option_rows[OPTION_kv_page_tokens], command))
        status = kv_page_tokens_check(c->kv_page_tokens, e);
    if (status == STATUS_OK && option_belongs(&option_rows[OPTION_matmul], command))
        status = matmul_check(c->matmul, c->weights, e);
    if (status == STATUS_OK && option_belongs(&option_rows[OPTION_norm_form], command) &&
        command != COMMAND_BENCH)
        status = norm_form_check(c->norm_form, e);
    if (status == STATUS_OK && command == COMMAND_BENCH) status = check_bench(c, e);
    if (status != STATUS_OK && e) config_explain(c, e);
    return status;
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
    if (status == STATUS_OK) status = check_rules(c, command, e);
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
