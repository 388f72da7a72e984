/* --help, out of the table. */
#include "config/option.h"

#include <string.h>

#define HELP_COLUMN 30
#define HELP_WIDTH  100

static const struct {
    const char *argument, *help;
} commands[COMMAND_COUNT] = {
#define X(id, name, argument, help) [COMMAND_##id] = {argument, help},
    COMMAND_LIST(X)
#undef X
};

static const char *value_name(enum option_type type) {
    switch (type) {
    case OPTION_TYPE_PATH:
        return " PATH";
    case OPTION_TYPE_SIZE:
    case OPTION_TYPE_INTEGER:
        return " N";
    case OPTION_TYPE_REAL:
        return " X";
    case OPTION_TYPE_BOOL:
        return "";
    case OPTION_TYPE_STRING:
    case OPTION_TYPE_LIST:
        return " TEXT";
    default:
        return " NAME";
    }
}

static int next_line(FILE *out) {
    fputc('\n', out);
    return 0;
}

/* Words at the column of the help, the first line continuing where the cursor is. */
static void print_wrapped(const char *text, int column, FILE *out) {
    while (*text) {
        int length = (int)strcspn(text, " ");
        if (column > HELP_COLUMN && column + 1 + length > HELP_WIDTH) column = next_line(out);
        if (column < HELP_COLUMN)
            column += fprintf(out, "%*s", HELP_COLUMN - column, "");
        else
            column += fprintf(out, " ");
        column += fprintf(out, "%.*s", length, text);
        text += length + (text[length] == ' ');
    }
    fputc('\n', out);
}

static void print_option(const char *key, const char *value, const char *help, FILE *out) {
    int column = fprintf(out, "  --%s%s", key, value);
    if (column >= HELP_COLUMN) column = next_line(out);
    print_wrapped(help, column, out);
}

static void print_row(enum option_id id, FILE *out) {
    const struct option_row *row = &option_rows[id];
    char range[OPTION_TEXT_MAX] = "", help[3 * OPTION_TEXT_MAX];
    const char *opening = " [";
    size_t used = (size_t)snprintf(help, sizeof help, "%s", row->help);
    if (row->least) snprintf(range, sizeof range, "%s..%s", row->least, row->most);
    if (option_has_choices(row)) option_choices(id, " | ", range, sizeof range);
    if (*range) {
        used += (size_t)snprintf(help + used, sizeof help - used, "%s%s", opening, range);
        opening = ", ";
    }
    if (row->initial)
        used += (size_t)snprintf(help + used, sizeof help - used, "%sdefault %s", opening, row->initial);
    if (*range || row->initial) snprintf(help + used, sizeof help - used, "]");
    print_option(row->key, value_name(row->type), help, out);
}

void config_print_help(enum command command, FILE *out) {
    const char *group = "", *argument = commands[command].argument;
    fprintf(out, "Usage: prenormd %s [OPTION]...%s%s\n%s.\n", command_name(command), *argument ? " " : "",
            argument, commands[command].help);
    for (int id = 0; id < OPTION_COUNT; id++) {
        if (!option_belongs(&option_rows[id], command)) continue;
        if (strcmp(group, option_rows[id].group) != 0) fprintf(out, "\n%s:\n", option_rows[id].group);
        group = option_rows[id].group;
        print_row((enum option_id)id, out);
    }
    fprintf(out, "\nConfiguration:\n");
    print_option("config", " PATH", "JSON file of options: {\"port\": 8080, ...}", out);
    print_option("print-config", "", "Print the options in effect as such a file and exit", out);
    print_option("help", "", "Print this and exit", out);
    fprintf(
        out,
        "\n--some-option V, --some-option=V, the environment variable PRENORM_SOME_OPTION=V and the key\n"
        "\"some-option\" of the file say the same. A flag wins over the environment, that over the file.\n");
}

void config_print_usage(FILE *out) {
    fprintf(out, "Usage: prenormd COMMAND [OPTION]...\n\nCommands:\n");
    for (int command = 0; command < COMMAND_COUNT; command++)
        fprintf(out, "  %-12s %s\n", command_name((enum command)command), commands[command].help);
    fprintf(out, "  %-12s %s\n", "help", "Print the options of a command, or this");
    fprintf(out, "\n'prenormd help COMMAND' lists the options of a command; 'prenormd --version' tells the "
                 "version.\n");
}
