/* JSON schemas and regular expressions: the cases of tests/cases/grammar, a list in each file. A case has a "schema", a "text"
 * that stands for one, or a "regex"; texts that are "accepted" and "refused", or the "error" that it must give (a part of
 * its line). */
#include <jansson.h>

#include <dirent.h>

#include "tests/unit/engine/grammar/grammar_fixture.h"

#include "engine/files/json_file.h"
#include "engine/grammar/sources/json_schema.h"

enum { CASES_BYTES_MAX = 1 << 20 };

static const struct grammar_options options = {.bytes_max = (size_t)64 << 20, .seconds_max = 100};

/* The source of a case, which the caller frees. */
static char *source_of(const json_t *item, enum grammar_kind *kind) {
    const json_t *schema = json_object_get(item, "schema"), *text = json_object_get(item, "text");
    *kind = schema || text ? GRAMMAR_JSON_SCHEMA : GRAMMAR_REGEX;
    if (schema) return json_dumps(schema, JSON_COMPACT | JSON_ENCODE_ANY);
    return strdup(json_string_value(text ? text : json_object_get(item, "regex")));
}

static void check_texts(struct grammar *g, const char *source, const json_t *texts, bool accepted) {
    for (size_t i = 0; i < json_array_size(texts); i++) {
        const char *text = json_string_value(json_array_get(texts, i));
        assert_non_null(text);
        if (fixture_matches(g, text) != accepted)
            fail_msg("%s: '%s' is%s accepted", source, text, accepted ? " not" : "");
    }
}

static void check_case(const json_t *item, const struct grammar_vocabulary *v) {
    enum grammar_kind kind;
    char *source = source_of(item, &kind), line[ERROR_LINE_BYTES];
    const char *error = json_string_value(json_object_get(item, "error"));
    struct grammar *g = NULL;
    struct error e = {.code = STATUS_OK};
    enum status status =
        grammar_compile(kind, (struct engine_string){source, strlen(source)}, &options, v, &g, &e);
    error_format(&e, line, sizeof line);
    if (error) {
        assert_true(status == STATUS_INVALID_ARGUMENT || status == STATUS_LIMIT);
        if (!strstr(line, error)) fail_msg("%s: '%s' instead of '%s'", source, line, error);
    } else {
        if (status != STATUS_OK) fail_msg("%s: %s", source, line);
        assert_true(json_array_size(json_object_get(item, "accepted")) > 0);
        check_texts(g, source, json_object_get(item, "accepted"), true);
        check_texts(g, source, json_object_get(item, "refused"), false);
    }
    grammar_release(g);
    free(source);
}

static size_t check_file(const char *folder, const char *name, const struct grammar_vocabulary *v) {
    json_t *cases;
    struct error e;
    assert_ok(json_file_load_as(folder, name, CASES_BYTES_MAX, JSON_FILE_STRICT, &cases, &e));
    size_t count = json_array_size(cases);
    for (size_t i = 0; i < count; i++) check_case(json_array_get(cases, i), v);
    json_decref(cases);
    return count;
}

static void test_cases(void **state) {
    (void)state;
    const char *folder = test_source_path("tests/cases/grammar");
    struct grammar_vocabulary *v = fixture_vocabulary();
    struct dirent *entry;
    size_t count = 0;
    DIR *files = opendir(folder);
    assert_non_null(files);
    while ((entry = readdir(files)))
        if (strstr(entry->d_name, ".json")) count += check_file(folder, entry->d_name, v);
    assert_true(count > 100);
    closedir(files);
    grammar_vocabulary_destroy(v);
}

static void test_any_object(void **state) {
    (void)state;
    struct grammar_vocabulary *v = fixture_vocabulary();
    struct grammar *g = fixture_compile(GRAMMAR_JSON_OBJECT, "", v);
    assert_true(fixture_matches(g, "{\"a\": [1, {\"b\": null}], \"c\": \"\\ud83d\\ude00\"}"));
    assert_false(fixture_matches(g, "[]"));
    assert_false(fixture_matches(g, "{\"a\"}"));
    grammar_release(g);
    grammar_vocabulary_destroy(v);
}

static enum status compile_with_space(const char *pattern, const struct grammar_vocabulary *v,
                                      struct grammar **g, struct error *e) {
    struct grammar_options with = options;
    with.whitespace_pattern = pattern;
    return grammar_compile(GRAMMAR_JSON_SCHEMA, (struct engine_string){"{\"type\":\"array\"}", 16}, &with, v,
                           g, e);
}

static void test_white_space_is_as_asked_for(void **state) {
    (void)state;
    struct grammar_vocabulary *v = fixture_vocabulary();
    struct grammar *g;
    struct error e;
    assert_ok(compile_with_space("", v, &g, &e));
    assert_true(fixture_matches(g, "[1,2]"));
    assert_false(fixture_matches(g, "[1, 2]"));
    grammar_release(g);
    assert_ok(compile_with_space("\\s*", v, &g, &e));
    assert_true(fixture_matches(g, "[ \n\n\t 1,   2]"));
    assert_false(fixture_matches(g, "[\f1]"));
    grammar_release(g);
    assert_int_equal(compile_with_space("[ ]*x", v, &g, &e), STATUS_INVALID_ARGUMENT);
    assert_string_equal(e.where, "whitespace_pattern");
    grammar_vocabulary_destroy(v);
}

static void objects_can_be_closed(void **state) {
    (void)state;
    static const char source[] = "{\"type\":\"object\",\"patternProperties\":{\"^a\":{\"type\":\"null\"}}}";
    struct grammar_vocabulary *v = fixture_vocabulary();
    struct grammar_options with = {.bytes_max = FIXTURE_MEMORY, .seconds_max = 100};
    for (int closed = 0; closed < 2; closed++) {
        struct grammar *g;
        struct error e;
        with.closes_objects = closed;
        assert_ok(grammar_compile(GRAMMAR_JSON_SCHEMA, (struct engine_string){source, strlen(source)}, &with,
                                  v, &g, &e));
        assert_true(fixture_matches(g, "{\"ab\":null}"));
        assert_int_equal(fixture_matches(g, "{\"ab\":null,\"b\":1}"), !closed);
        grammar_release(g);
    }
    grammar_vocabulary_destroy(v);
}

/* Work of the writer counts: without that these go on for ever, or nearly so. */
static void the_writer_ends_too(void **state) {
    (void)state;
    enum { GROUPS = 62, VALUES = 5000 };
    const struct grammar_options hasty = {.bytes_max = FIXTURE_MEMORY, .seconds_max = 0.05};
    struct grammar_vocabulary *v = fixture_vocabulary();
    struct grammar *g;
    struct error e;
    char *source = malloc(40 * GROUPS + 16 * VALUES), *at = source;
    at += sprintf(at, "{\"allOf\":[");
    for (int i = 0; i < GROUPS; i++) at += sprintf(at, "{\"anyOf\":[{},{\"title\":\"\"}]},");
    sprintf(at, "{\"anyOf\":[false]}]}");
    assert_int_equal(grammar_compile(GRAMMAR_JSON_SCHEMA, (struct engine_string){source, strlen(source)},
                                     &hasty, v, &g, &e),
                     STATUS_LIMIT);
    assert_says(e.text, "longer");
    at = source + sprintf(source, "{\"allOf\":[{\"enum\":[0");
    for (int i = 1; i < VALUES; i++) at += sprintf(at, ",%d", 2 * i);
    at += sprintf(at, "]},{\"enum\":[1");
    for (int i = 1; i < VALUES; i++) at += sprintf(at, ",%d", 2 * i + 1);
    sprintf(at, "]}]}");
    assert_int_equal(grammar_compile(GRAMMAR_JSON_SCHEMA, (struct engine_string){source, strlen(source)},
                                     &hasty, v, &g, &e),
                     STATUS_LIMIT);
    assert_says(e.text, "longer");
    free(source);
    grammar_vocabulary_destroy(v);
}

/* What has been parsed is not parsed again, but where it may have a zero in it. */
static void documents_are_as_good_as_their_text(void **state) {
    static const char *const sources[] = {"{\"enum\":[\"a\",1.0,{\"b\":[null]}]}", "true",
                                          "{\"properties\":{\"b\":{\"type\":\"null\"}}}"};
    static const char *const texts[] = {"\"a\"", "1.0", "{\"b\":null}", "{}", "[3]"};
    (void)state;
    struct grammar_vocabulary *v = fixture_vocabulary();
    struct grammar_options with = options;
    struct grammar *g;
    struct error e;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        json_t *document = json_loads(sources[i], JSON_DECODE_ANY, NULL);
        struct engine_string source = {sources[i], strlen(sources[i])};
        struct grammar *parsed = fixture_compile(GRAMMAR_JSON_SCHEMA, sources[i], v);
        with.document = document;
        assert_ok(grammar_compile(GRAMMAR_JSON_SCHEMA, source, &with, v, &g, &e));
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
            assert_int_equal(fixture_matches(g, texts[k]), fixture_matches(parsed, texts[k]));
        grammar_release(parsed);
        grammar_release(g);
        json_decref(document);
    }
    static const char zero[] = "{\"const\":\"a\\u0000b\"}";
    json_t *document = json_loads(zero, JSON_ALLOW_NUL, NULL);
    with.document = document;
    assert_int_equal(
        grammar_compile(GRAMMAR_JSON_SCHEMA, (struct engine_string){zero, strlen(zero)}, &with, v, &g, &e),
        STATUS_INVALID_ARGUMENT);
    json_decref(document);
    grammar_vocabulary_destroy(v);
}

/* Keys have one spelling whatever is asked of them. */
static void names_are_in_the_spelling_of_keys(void **state) {
    static const char *const asked[] = {"{}", "{\"minLength\":1}", "{\"pattern\":\"b\"}",
                                        "{\"enum\":[\"b\\n\",1]}",
                                        "{\"anyOf\":[{\"const\":\"b\\n\"},{\"type\":\"string\"}]}"};
    (void)state;
    struct grammar_vocabulary *v = fixture_vocabulary();
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        char source[128];
        snprintf(source, sizeof source, "{\"type\":\"object\",\"propertyNames\":%s}", asked[i]);
        struct grammar *g = fixture_compile(GRAMMAR_JSON_SCHEMA, source, v);
        assert_true(fixture_matches(g, "{\"b\\n\":1}"));
        assert_false(fixture_matches(g, "{\"b\\u000a\":1}"));
        assert_false(fixture_matches(g, "{1:1}"));
        grammar_release(g);
    }
    grammar_vocabulary_destroy(v);
}

/* Within the memory that a grammar has by default. */
static void twenty_thousand_values_are_taken(void **state) {
    (void)state;
    enum { VALUES = 20000 };
    struct grammar_vocabulary *v = fixture_vocabulary();
    char *source = malloc(40 * VALUES), *at = source + sprintf(source, "{\"enum\":[\"\"");
    for (int i = 0; i < VALUES; i++) at += sprintf(at, ",\"%x or value %d\"", (unsigned)i * 2654435761u, i);
    sprintf(at, "]}");
    struct grammar *g = fixture_compile(GRAMMAR_JSON_SCHEMA, source, v);
    assert_true(fixture_matches(g, "\"0 or value 0\""));
    assert_true(fixture_matches(g, "\"9e3779b1 or value 1\""));
    assert_false(fixture_matches(g, "\"9e3779b1 or value 2\""));
    grammar_release(g);
    at = source + strlen("{\"enum\":");
    source[strlen(source) - 1] = '\0';
    g = fixture_compile(GRAMMAR_CHOICE, at, v);
    assert_true(fixture_matches(g, "9e3779b1 or value 1"));
    assert_false(fixture_matches(g, "9e3779b1 or value"));
    grammar_release(g);
    free(source);
    grammar_vocabulary_destroy(v);
}

/* Beyond the limits of json_schema.h and regex_source.h. */
static void test_large_sources_are_refused(void **state) {
    (void)state;
    struct grammar_vocabulary *v = fixture_vocabulary();
    struct grammar *g;
    struct error e;
    char *source = malloc(JSON_SCHEMA_BYTES_MAX + 2);
    memset(source, ' ', JSON_SCHEMA_BYTES_MAX + 1);
    source[JSON_SCHEMA_BYTES_MAX + 1] = '\0';
    assert_int_equal(fixture_try(GRAMMAR_JSON_SCHEMA, source, v, &g, &e), STATUS_LIMIT);
    assert_int_equal(fixture_try(GRAMMAR_REGEX, source, v, &g, &e), STATUS_LIMIT);
    free(source);
    grammar_vocabulary_destroy(v);
}

/* Every $ref leads on to the next, the last one to the first: as many values as there are, and no depth of C. */
static void test_many_definitions(void **state) {
    (void)state;
    enum { DEFINITIONS = 1000, BYTES = 96 };
    struct grammar_vocabulary *v = fixture_vocabulary();
    char *source = malloc(BYTES * (DEFINITIONS + 2)), *at = source;
    at += sprintf(at, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{");
    for (int i = 0; i < DEFINITIONS; i++)
        at += sprintf(at, "\"d%d\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/d%d\"}},", i, i + 1);
    sprintf(at, "\"d%d\":{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#/$defs/d0\"}]}}}", DEFINITIONS);
    struct grammar *g = fixture_compile(GRAMMAR_JSON_SCHEMA, source, v);
    memset(source, '[', DEFINITIONS);
    sprintf(source + DEFINITIONS, "null");
    assert_true(fixture_read(g, source, strlen(source)) != GRAMMAR_DEAD);
    source[DEFINITIONS - 1] = 'n';
    assert_true(fixture_read(g, source, DEFINITIONS) == GRAMMAR_DEAD);
    grammar_release(g);
    free(source);
    grammar_vocabulary_destroy(v);
}

int main(void) {
    json_file_process_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_any_object),
        cmocka_unit_test(test_white_space_is_as_asked_for),
        cmocka_unit_test(objects_can_be_closed),
        cmocka_unit_test(the_writer_ends_too),
        cmocka_unit_test(documents_are_as_good_as_their_text),
        cmocka_unit_test(names_are_in_the_spelling_of_keys),
        cmocka_unit_test(twenty_thousand_values_are_taken),
        cmocka_unit_test(test_large_sources_are_refused),
        cmocka_unit_test(test_many_definitions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
