/* The manual pages and the completion of bash have what the table of options has. */
#include "tests/support/generated_section.h"
#include "tests/unit/config/config_fixture.h"

#define COMMAND "test_config_man_pages"

/* Text as roff reads it: what would begin a request, or an escape, is made plain. */
static void print_roff(const char *text, FILE *out) {
    if (*text == '.' || *text == '\'') fputs("\\&", out);
    for (; *text; text++)
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
}

/* "a whole number from 0 to 65535; default 8080" */
static void print_range(enum option_id id, FILE *out) {
    char expected[OPTION_TEXT_MAX];
    fprintf(out, ".br\nValue: ");
    print_roff(option_expected(id, expected), out);
    fprintf(out, option_rows[id].initial ? "; default " : "; not set by default");
    if (option_rows[id].initial) print_roff(option_rows[id].initial, out);
    fprintf(out, ".\n");
}

static void print_of_commands(unsigned commands, FILE *out) {
    const char *separator = ".br\nOf ";
    if (commands == (1u << COMMAND_COUNT) - 1) return;
    for (int command = 0; command < COMMAND_COUNT; command++) {
        if (!(commands >> command & 1u)) continue;
        fprintf(out, "%s\\fB%s\\fR", separator, command_name((enum command)command));
        separator = ", ";
    }
    fprintf(out, ".\n");
}

static void print_row(enum option_id id, bool is_flag, FILE *out) {
    const struct option_row *row = &option_rows[id];
    fprintf(out, ".TP\n\\fB%s", is_flag ? "\\-\\-" : "");
    print_roff(row->key, out);
    fprintf(out, "\\fR%s\n", is_flag && row->type != OPTION_TYPE_BOOL ? " \\fIVALUE\\fR" : "");
    print_roff(row->help, out);
    fprintf(out, ".\n");
    print_range(id, out);
    print_of_commands(row->commands, out);
}

static void print_options(bool as_flags, FILE *out) {
    const char *group = "";
    for (int id = 0; id < OPTION_COUNT; id++) {
        if (strcmp(group, option_rows[id].group) != 0) fprintf(out, ".SS %s\n", option_rows[id].group);
        group = option_rows[id].group;
        print_row((enum option_id)id, as_flags, out);
    }
}

static void the_page_of_the_program_has_all_flags(void **state) {
    (void)state;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    print_options(true, out);
    fclose(out);
    generated_section_check("docs/man", "prenormd.1", ".\\\" options: begin\n", ".\\\" options: end", text,
                            COMMAND);
    free(text);
}

static void the_page_of_the_file_has_all_keys(void **state) {
    (void)state;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    print_options(false, out);
    fclose(out);
    generated_section_check("docs/man", "prenormd.json.5", ".\\\" options: begin\n", ".\\\" options: end",
                            text, COMMAND);
    free(text);
}

/* ---- completion ---- */

/* A line of `case` for each option with a fixed set of values, or a path. */
static void print_values(FILE *out) {
    char choices[OPTION_TEXT_MAX];
    fprintf(out, "    case $1 in\n");
    for (int id = 0; id < OPTION_COUNT; id++) {
        const struct option_row *row = &option_rows[id];
        if (option_has_choices(row)) {
            option_choices((enum option_id)id, " ", choices, sizeof choices);
            fprintf(out, "    --%s) echo \"words %s\" ;;\n", row->key, choices);
        } else if (row->type == OPTION_TYPE_PATH) {
            fprintf(out, "    --%s) echo path ;;\n", row->key);
        } else if (row->type != OPTION_TYPE_BOOL) {
            fprintf(out, "    --%s) echo any ;;\n", row->key);
        }
    }
    fprintf(out, "    --config) echo path ;;\n    esac\n");
}

static void print_flags(FILE *out) {
    fprintf(out, "    case $1 in\n");
    for (int command = 0; command < COMMAND_COUNT; command++) {
        fprintf(out, "    %s) echo \"", command_name((enum command)command));
        for (int id = 0; id < OPTION_COUNT; id++)
            if (option_belongs(&option_rows[id], (enum command)command))
                fprintf(out, "--%s ", option_rows[id].key);
        fprintf(out, "--config --print-config --help\" ;;\n");
    }
    fprintf(out, "    esac\n");
}

static void print_commands(FILE *out) {
    fprintf(out, "    echo \"");
    for (int command = 0; command < COMMAND_COUNT; command++)
        fprintf(out, "%s ", command_name((enum command)command));
    fprintf(out, "help --help --version\"\n");
}

static void check_completion(const char *name, void (*print)(FILE *out)) {
    char *text = NULL, begin[64], end[64];
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    print(out);
    fclose(out);
    snprintf(begin, sizeof begin, "    # %s: begin\n", name);
    snprintf(end, sizeof end, "    # %s: end", name);
    generated_section_check("deploy/completion", "prenormd", begin, end, text, COMMAND);
    free(text);
}

static void the_completion_has_all_words(void **state) {
    (void)state;
    check_completion("commands", print_commands);
    check_completion("flags", print_flags);
    check_completion("values", print_values);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_of_the_program_has_all_flags),
        cmocka_unit_test(the_page_of_the_file_has_all_keys),
        cmocka_unit_test(the_completion_has_all_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
