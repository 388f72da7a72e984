/* What is written about the options by hand must agree with the table: the reference in config/README.md, the
 * example, and the help. */
#include "tests/support/generated_section.h"
#include "tests/unit/config/config_fixture.h"

#define BEGIN "<!-- options: begin -->\n"
#define END   "<!-- options: end -->"

static void print_commands(unsigned commands, FILE *out) {
    const char *separator = "";
    for (int command = 0; command < COMMAND_COUNT; command++) {
        if (!(commands >> command & 1u)) continue;
        fprintf(out, "%s%s", separator, command_name((enum command)command));
        separator = ", ";
    }
}

static void print_reference(FILE *out) {
    char expected[OPTION_TEXT_MAX];
    const char *group = "";
    for (int id = 0; id < OPTION_COUNT; id++) {
        const struct option_row *row = &option_rows[id];
        if (strcmp(group, row->group) != 0)
            fprintf(out,
                    "\n### %s\n\n| option | default | value | commands | what |\n|---|---|---|---|---|\n",
                    row->group);
        group = row->group;
        fprintf(out, "| `%s` | %s%s%s | %s | ", row->key, row->initial ? "`" : "",
                row->initial ? row->initial : "not set", row->initial ? "`" : "",
                option_expected((enum option_id)id, expected));
        print_commands(row->commands, out);
        fprintf(out, " | %s |\n", row->help);
    }
    fputc('\n', out);
}

static void test_the_reference_agrees_with_the_table(void **state) {
    (void)state;
    char *reference = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&reference, &length);
    print_reference(out);
    fclose(out);
    generated_section_check("config", "README.md", BEGIN, END, reference, "test_config_reference");
    free(reference);
}

static void test_the_example_is_accepted(void **state) {
    struct fixture *f = *state;
    const char *example = test_source_path("config/prenormd.json");
    for (int command = 0; command < COMMAND_COUNT; command++)
        assert_int_equal(fixture_load(f, (enum command)command, WORDS("--config", example, NULL), NO_WORDS),
                         STATUS_OK);
}

/* Whether a blank or a line end stands behind some place of a word in a text. */
static bool has_word(const char *text, const char *word) {
    for (const char *at = text; (at = strstr(at, word)); at++)
        if (at[strlen(word)] == ' ' || at[strlen(word)] == '\n') return true;
    return false;
}

/* Every option of a command, none of another's, and lines that fit a terminal. */
static void test_help_has_every_option(void **state) {
    (void)state;
    for (int command = 0; command < COMMAND_COUNT; command++) {
        char *help = NULL, name[64];
        size_t length = 0;
        FILE *out = open_memstream(&help, &length);
        config_print_help((enum command)command, out);
        fclose(out);
        for (int id = 0; id < OPTION_COUNT; id++) {
            snprintf(name, sizeof name, "\n  --%s", option_rows[id].key);
            assert_int_equal(has_word(help, name), option_belongs(&option_rows[id], (enum command)command));
        }
        for (char *line = strtok(help, "\n"); line; line = strtok(NULL, "\n"))
            assert_true(strlen(line) <= 100);
        free(help);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_reference_agrees_with_the_table),
        CONFIG_TEST(test_the_example_is_accepted),
        cmocka_unit_test(test_help_has_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
