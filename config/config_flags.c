/* --key value, --key=value; --key and --no-key for booleans; -- ends the options. A later flag wins over an
 * earlier one. The line is walked twice: for what decides how to go on (--help, --config), then for the
 * options, which win over the file and so come after it. */
#include "config/option.h"

#include <string.h>

struct flag {
    const char *name; /* after "--", up to '=' or the end; NULL for an argument */
    size_t name_length;
    const char *inline_value; /* after '='; NULL when there is none */
    char *word;               /* as given */
};

struct flag_walk {
    char **flags;
    size_t count, next;
    bool only_arguments; /* after "--" */
};

static bool walk_next(struct flag_walk *walk, struct flag *out) {
    if (walk->next == walk->count) return false;
    char *word = walk->flags[walk->next++];
    if (!walk->only_arguments && strcmp(word, "--") == 0) {
        walk->only_arguments = true;
        return walk_next(walk, out);
    }
    *out = (struct flag){.word = word};
    if (walk->only_arguments || word[0] != '-' || !word[1]) return true;
    /* There are no short options but the one that everyone tries first. */
    out->name = strcmp(word, "-h") == 0 ? "help" : word[1] == '-' ? word + 2 : word;
    out->name_length = strcspn(out->name, "=");
    if (out->name[out->name_length]) out->inline_value = out->name + out->name_length + 1;
    return true;
}

static bool is_flag(const struct flag *flag, const char *name) {
    return strlen(name) == flag->name_length && memcmp(name, flag->name, flag->name_length) == 0;
}

/* The value of an option that needs one. */
static enum status take_value(struct flag_walk *walk, const struct flag *flag, const char **out,
                              struct error *e) {
    *out = flag->inline_value;
    if (*out) return STATUS_OK;
    if (walk->next == walk->count || strncmp(walk->flags[walk->next], "--", 2) == 0)
        return error_set(e, STATUS_INVALID_ARGUMENT, flag->word, "needs a value");
    *out = walk->flags[walk->next++];
    return STATUS_OK;
}

static enum status refuse_unknown(const struct flag *flag, struct error *e) {
    char name[64], where[80];
    snprintf(name, sizeof name, "%.*s", (int)flag->name_length, flag->name);
    snprintf(where, sizeof where, "%.*s", (int)strcspn(flag->word, "="), flag->word);
    const char *instead = option_instead_of(name), *nearest = option_nearest(name);
    if (instead) return error_set(e, STATUS_INVALID_ARGUMENT, where, "no such option; %s", instead);
    if (nearest)
        return error_set(e, STATUS_INVALID_ARGUMENT, where, "no such option; did you mean --%s?", nearest);
    return error_set(e, STATUS_INVALID_ARGUMENT, where, "no such option");
}

/* The option that a flag names; *negated for --no-key. */
static enum status find_flag(enum command command, const struct flag *flag, enum option_id *id, bool *negated,
                             struct error *e) {
    *id = option_find(flag->name, flag->name_length);
    *negated = false;
    if (*id == OPTION_COUNT && flag->name_length > 3 && memcmp(flag->name, "no-", 3) == 0 &&
        !flag->inline_value) {
        *id = option_find(flag->name + 3, flag->name_length - 3);
        *negated = *id != OPTION_COUNT;
    }
    if (*id == OPTION_COUNT || (*negated && option_rows[*id].type != OPTION_TYPE_BOOL))
        return refuse_unknown(flag, e);
    if (!option_belongs(&option_rows[*id], command))
        return error_set(e, STATUS_INVALID_ARGUMENT, flag->word, "is not an option of '%s'",
                         command_name(command));
    return STATUS_OK;
}

static enum status read_option(struct flag_walk *walk, enum command command, const struct flag *flag,
                               enum option_id *id, const char **value, struct error *e) {
    bool negated;
    enum status status = find_flag(command, flag, id, &negated, e);
    if (status != STATUS_OK) return status;
    if (option_rows[*id].type != OPTION_TYPE_BOOL) return take_value(walk, flag, value, e);
    *value = flag->inline_value ? flag->inline_value : negated ? "false" : "true";
    return STATUS_OK;
}

static const char *const arguments[COMMAND_COUNT] = {
#define X(id, name, argument, help) [COMMAND_##id] = argument,
    COMMAND_LIST(X)
#undef X
};

static enum status take_argument(struct config *c, enum command command, char *word, struct error *e) {
    if (!*arguments[command])
        return error_set(e, STATUS_INVALID_ARGUMENT, word,
                         "'%s' takes options only; the model is named by --model", command_name(command));
    if (c->argument)
        return error_set(e, STATUS_INVALID_ARGUMENT, word,
                         "'%s' takes one %s; a text with spaces needs quotes", command_name(command),
                         arguments[command]);
    c->argument = word;
    return STATUS_OK;
}

enum status config_flags_scan(struct config *c, enum command command, char **flags, size_t count,
                              const char **file, struct error *e) {
    struct flag_walk walk = {.flags = flags, .count = count};
    struct flag flag;
    enum option_id id;
    const char *value;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && walk_next(&walk, &flag)) {
        if (!flag.name)
            status = take_argument(c, command, flag.word, e);
        else if (is_flag(&flag, "help"))
            c->action = CONFIG_HELP;
        else if (is_flag(&flag, "print-config"))
            c->action = c->action == CONFIG_HELP ? CONFIG_HELP : CONFIG_PRINT;
        else if (is_flag(&flag, "config"))
            status = take_value(&walk, &flag, file, e);
        else
            status = read_option(&walk, command, &flag, &id, &value, e);
    }
    return status;
}

enum status config_flags_read(struct config *c, enum command command, char **flags, size_t count,
                              struct error *e) {
    struct flag_walk walk = {.flags = flags, .count = count};
    struct flag flag;
    enum option_id id;
    const char *value;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && walk_next(&walk, &flag)) {
        if (!flag.name || is_flag(&flag, "help") || is_flag(&flag, "print-config")) continue;
        if (is_flag(&flag, "config")) {
            status = take_value(&walk, &flag, &value, e);
            continue;
        }
        status = read_option(&walk, command, &flag, &id, &value, e);
        if (status == STATUS_OK) status = option_set(c, id, SOURCE_FLAG, value, e);
    }
    return status;
}
