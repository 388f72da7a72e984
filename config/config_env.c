/* PRENORM_SOME_OPTION=V. An empty variable counts as absent, as in `PRENORM_PORT= prenormd serve`; an unknown
 * one is only a warning, for the environment is shared with programs that we know nothing of. */
#include "config/option.h"

#include <ctype.h>
#include <string.h>

#include "engine/base/log.h"

#define PREFIX        "PRENORM_"
#define FILE_VARIABLE PREFIX "CONFIG"

const char *config_env_file(char **environment) {
    size_t length = strlen(FILE_VARIABLE "=");
    for (; *environment; environment++)
        if (strncmp(*environment, FILE_VARIABLE "=", length) == 0) return *environment + length;
    return NULL;
}

static bool is_name(const char *variable, size_t length, const char *name) {
    return strlen(name) == length && memcmp(variable, name, length) == 0;
}

static enum option_id find_variable(const char *variable, size_t length) {
    char name[OPTION_TEXT_MAX];
    int id = 0;
    while (id < OPTION_COUNT && !is_name(variable, length, option_variable((enum option_id)id, name))) id++;
    return (enum option_id)id;
}

static void warn_unknown(const char *variable, size_t length) {
    char key[OPTION_TEXT_MAX], nearest_name[OPTION_TEXT_MAX];
    size_t used = 0;
    for (const char *at = variable + strlen(PREFIX); at < variable + length && used + 1 < sizeof key; at++)
        key[used++] = (char)(*at == '_' ? '-' : tolower((unsigned char)*at));
    key[used] = '\0';
    const char *nearest = option_nearest(key);
    if (nearest)
        log_warn("%.*s: no such option, ignored; did you mean %s?", (int)length, variable,
                 option_variable(option_find(nearest, strlen(nearest)), nearest_name));
    else
        log_warn("%.*s: no such option, ignored", (int)length, variable);
}

enum status config_env_read(struct config *c, char **environment, struct error *e) {
    for (; *environment; environment++) {
        const char *variable = *environment, *value = strchr(variable, '=');
        if (strncmp(variable, PREFIX, strlen(PREFIX)) != 0 || !value || !value[1]) continue;
        size_t length = (size_t)(value - variable);
        if (is_name(variable, length, FILE_VARIABLE)) continue;
        enum option_id id = find_variable(variable, length);
        if (id == OPTION_COUNT) {
            warn_unknown(variable, length);
            continue;
        }
        enum status status = option_set(c, id, SOURCE_ENVIRONMENT, value + 1, e);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}
