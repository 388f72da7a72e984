/* Chat templates against what the transformers library renders: every NAME.jinja with its NAME.json in
 * tests/golden/chat-templates, and in the folders that PRENORM_TEST_CHAT_TEMPLATES names (separated by colons); and
 * snippets.json there, many small templates with one context. Texts must be equal; where the library raises, so must
 * we. In each text, what a client wrote must be marked. */
#include "tests/support/test_support.h"

#include <dirent.h>
#include <jansson.h>

#include "engine/text/template/template.h"

struct totals {
    size_t cases, errors, wrong;
};

static json_t *load(const char *folder, const char *name) {
    json_error_t cause;
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    json_t *json = json_load_file(path, JSON_ALLOW_NUL, &cause);
    if (!json) fail_msg("%s: line %d: %s", path, cause.line, cause.text);
    return json;
}

static char *load_text(const char *folder, const char *name, size_t *length) {
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("%s cannot be opened", path);
    char *text = malloc(TEMPLATE_SOURCE_BYTES_MAX);
    assert_non_null(text);
    *length = fread(text, 1, TEMPLATE_SOURCE_BYTES_MAX, file);
    fclose(file);
    return text;
}

/* Ranges are ascending, apart from each other, and within the text. */
static void check_ranges(const struct template_text *text) {
    size_t end = 0;
    for (size_t i = 0; i < text->client_count; i++) {
        assert_true(text->client[i].start < text->client[i].end);
        assert_true(i == 0 || text->client[i].start > end);
        end = text->client[i].end;
    }
    assert_true(end <= text->length);
}

static void report(const char *name, size_t index, const json_t *expected, const char *found) {
    print_message("%s, case %zu:\n  expected: %s\n  found:    %s\n", name, index,
                  expected ? json_string_value(expected) : "an error", found);
}

/* status: of compiling, e then says why. */
static void check_case(const char *name, size_t index, const struct template *t, struct error *e,
                       const struct template_input *input, const json_t *expected, struct totals *totals) {
    struct template_text text = {0};
    enum status status = t ? template_render(t, input, &text, e) : e->code;
    totals->cases++;
    totals->errors += expected == NULL;
    bool right = expected ? status == STATUS_OK && text.length == json_string_length(expected) &&
                                memcmp(text.text, json_string_value(expected), text.length) == 0
                          : status == STATUS_INVALID_ARGUMENT || (!t && status == STATUS_MALFORMED);
    if (!right) {
        if (totals->wrong++ < 20) report(name, index, expected, status == STATUS_OK ? text.text : e->text);
    }
    if (status == STATUS_OK) check_ranges(&text);
    template_text_deinit(&text);
}

static json_t *client_variables(const json_t *test) {
    json_t *client = json_deep_copy(json_object_get(test, "extra"));
    if (!client) client = json_object();
    json_object_set(client, "messages", json_object_get(test, "messages"));
    json_object_set(client, "add_generation_prompt", json_object_get(test, "add_generation_prompt"));
    return client;
}

static void check_template(const char *folder, const char *name, struct totals *totals) {
    char json_name[512], template_name[512];
    struct template *t = NULL;
    struct error e = {0};
    size_t length, index;
    const json_t *test;
    snprintf(json_name, sizeof json_name, "%s.json", name);
    snprintf(template_name, sizeof template_name, "%s.jinja", name);
    json_t *file = load(folder, json_name), *model = json_object_get(file, "variables");
    char *source = load_text(folder, template_name, &length);
    if (template_create(source, length, &t, &e) != STATUS_OK)
        fail_msg("%s: %s: %s", template_name, e.where, e.text);
    json_object_set_new(model, "tools", json_null());
    json_object_set_new(model, "documents", json_null());
    json_array_foreach(json_object_get(file, "cases"), index, test) {
        json_t *client = client_variables(test);
        const struct template_input input = {.model = model, .client = client};
        check_case(name, index, t, &e, &input, json_object_get(test, "text"), totals);
        json_decref(client);
    }
    template_destroy(t);
    free(source);
    json_decref(file);
}

static size_t check_folder(const char *folder, struct totals *totals) {
    size_t count = 0;
    DIR *directory = opendir(folder);
    if (!directory) fail_msg("%s cannot be opened", folder);
    for (struct dirent *entry; (entry = readdir(directory));) {
        char *end = strstr(entry->d_name, ".jinja");
        if (!end || end[6]) continue;
        *end = '\0';
        check_template(folder, entry->d_name, totals);
        count++;
    }
    closedir(directory);
    return count;
}

static void test_own_templates(void **state) {
    (void)state;
    struct totals totals = {0};
    assert_true(check_folder(test_source_path("tests/golden/chat-templates"), &totals) >= 5);
    assert_true(totals.cases >= 50 && totals.errors >= 5);
    assert_int_equal(totals.wrong, 0);
}

static void test_further_templates(void **state) {
    (void)state;
    struct totals totals = {0};
    const char *named = getenv("PRENORM_TEST_CHAT_TEMPLATES");
    if (!named || !*named) {
        print_message("PRENORM_TEST_CHAT_TEMPLATES names no folder\n");
        skip();
    }
    char *folders = strdup(named), *rest = folders;
    for (char *folder; (folder = strsep(&rest, ":"));)
        if (*folder && check_folder(folder, &totals) == 0) fail_msg("no template in '%s'", folder);
    free(folders);
    print_message("%zu renderings, %zu of them errors, %zu wrong\n", totals.cases, totals.errors,
                  totals.wrong);
    assert_int_equal(totals.wrong, 0);
}

static void test_snippets(void **state) {
    (void)state;
    struct totals totals = {0};
    size_t index;
    json_t *test, *file = load(test_source_path("tests/golden/chat-templates"), "snippets.json");
    const struct template_input input = {.client = json_object_get(file, "context")};
    json_array_foreach(json_object_get(file, "cases"), index, test) {
        const json_t *source = json_array_get(test, 0), *expected = json_array_get(test, 1);
        struct template *t = NULL;
        struct error e = {0};
        template_create(json_string_value(source), json_string_length(source), &t, &e);
        check_case(json_string_value(source), index, t, &e, &input,
                   json_is_string(expected) ? expected : NULL, &totals);
        template_destroy(t);
    }
    json_decref(file);
    assert_true(totals.cases >= 300);
    assert_int_equal(totals.wrong, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_own_templates), cmocka_unit_test(test_snippets),
                                       cmocka_unit_test(test_further_templates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
