/* The tables of docs/structured-output.md are those of the code. */
#include "tests/support/generated_section.h"
#include "tests/support/test_support.h"

#include "engine/text/containers/text_buffer.h"

#define COMMAND "test_grammar_reference"

static const struct {
    const char *name, *kind, *note;
} keywords[] = {
#define KEYWORD(name, kind, form, note) {name, #kind, note},
#include "engine/grammar/sources/json_schema_keywords.def"
#undef KEYWORD
};

static const struct {
    const char *name, *note;
} formats[] = {
#define FORMAT(name, note, expression)                            {name, note},
#define NUMBER_FORMAT(name, note, is_whole, is_signed, low, high) {name, "of numbers: " note},
#include "engine/grammar/sources/json_schema_formats.def"
#undef FORMAT
#undef NUMBER_FORMAT
};

static const struct {
    const char *kind, *title;
} kinds[] = {
    {"ANY", "any value"},        {"STRING", "strings"},  {"NUMBER", "numbers"},
    {"ARRAY", "lists"},          {"OBJECT", "objects"},  {"LOCATION", "names of schemas"},
    {"ANNOTATION", "no effect"}, {"REFUSED", "refused"},
};

static void append(struct text_buffer *out, const char *text) {
    text_buffer_append(out, text, strlen(text));
}

/* Keywords without a note share a line. */
static void append_kind(struct text_buffer *out, const char *kind, const char *title) {
    bool is_first = true;
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        if (strcmp(keywords[i].kind, kind) != 0 || keywords[i].note[0]) continue;
        append(out, is_first ? "| " : ", ");
        if (is_first) append(out, title);
        append(out, is_first ? " | `" : "`");
        append(out, keywords[i].name);
        append(out, "`");
        is_first = false;
    }
    if (!is_first) append(out, " | |\n");
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        if (strcmp(keywords[i].kind, kind) != 0 || !keywords[i].note[0]) continue;
        append(out, "| ");
        append(out, title);
        append(out, " | `");
        append(out, keywords[i].name);
        append(out, "` | ");
        append(out, keywords[i].note);
        append(out, " |\n");
    }
}

static void check(struct text_buffer *table, const char *begin, const char *end) {
    text_buffer_append_byte(table, '\0');
    assert_false(table->failed);
    generated_section_check("docs", "structured-output.md", begin, end, table->bytes, COMMAND);
    text_buffer_deinit(table);
}

static void test_keywords(void **state) {
    (void)state;
    struct text_buffer table = {0};
    append(&table, "| of | keyword | |\n|---|---|---|\n");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        append_kind(&table, kinds[i].kind, kinds[i].title);
    check(&table, "<!-- keywords: begin -->\n", "<!-- keywords: end -->");
}

static void test_formats(void **state) {
    (void)state;
    struct text_buffer table = {0};
    append(&table, "| format | |\n|---|---|\n");
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (!formats[i].note[0]) continue; /* that of another one tells it, too */
        append(&table, "| `");
        append(&table, formats[i].name);
        append(&table, "` | ");
        append(&table, formats[i].note);
        append(&table, " |\n");
    }
    check(&table, "<!-- formats: begin -->\n", "<!-- formats: end -->");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_keywords), cmocka_unit_test(test_formats)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
