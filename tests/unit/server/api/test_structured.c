/* Every way to say what a text must match, and what is refused. */
#include "tests/support/test_support.h"

#include <jansson.h>

#include "server/api/structured.h"

static const struct api_limits limits = {.model = "m"};

static enum api_error_kind read(const char *body, struct api_structured *s, json_t **json,
                                struct api_error *e) {
    *s = (struct api_structured){0};
    *json = json_loads(body, 0, NULL);
    assert_non_null(*json);
    return api_structured_read(s, *json, &limits, e);
}

static void expect(const char *body, const char *field, enum grammar_kind kind, const char *text,
                   const char *whitespace) {
    struct api_structured s;
    struct api_error e = {0};
    json_t *json;
    if (read(body, &s, &json, &e) != API_OK) fail_msg("%s: %s", body, e.message);
    assert_string_equal(s.field, field);
    assert_int_equal(s.source.kind, kind);
    assert_int_equal(s.source.text.length, strlen(text));
    assert_memory_equal(s.source.text.text, text, strlen(text));
    assert_int_equal(s.source.whitespace.length, strlen(whitespace));
    if (*whitespace) assert_memory_equal(s.source.whitespace.text, whitespace, strlen(whitespace));
    api_structured_deinit(&s);
    json_decref(json);
}

static void every_spelling_says_the_same(void **state) {
    (void)state;
    static const char schema[] = "{\"z\":1,\"a\":0.25}"; /* in the order of the body */
    expect("{\"response_format\":{\"type\":\"json_object\"}}", "response_format", GRAMMAR_JSON_OBJECT, "",
           "");
    expect("{\"response_format\":{\"type\":\"json_object\",\"schema\":{\"z\":1,\"a\":0.25}}}",
           "response_format", GRAMMAR_JSON_SCHEMA, schema, "");
    expect("{\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"strict\":true,"
           "\"schema\":{\"z\":1, \"a\":0.25}}}}",
           "response_format", GRAMMAR_JSON_SCHEMA, schema, "");
    expect("{\"structured_outputs\":{\"json\":{\"z\":1,\"a\":0.25},\"whitespace_pattern\":\" ?\"}}",
           "structured_outputs.json", GRAMMAR_JSON_SCHEMA, schema, " ?");
    expect("{\"structured_outputs\":{\"json\":\"{}\"}}", "structured_outputs.json", GRAMMAR_JSON_SCHEMA, "{}",
           "");
    expect("{\"structured_outputs\":{\"regex\":\"a+\",\"json\":null,\"json_object\":false}}",
           "structured_outputs.regex", GRAMMAR_REGEX, "a+", "");
    expect("{\"structured_outputs\":{\"choice\":[\"a\",\"b\"]}}", "structured_outputs.choice", GRAMMAR_CHOICE,
           "[\"a\",\"b\"]", "");
    expect("{\"structured_outputs\":{\"grammar\":\"root ::= \\\"a\\\"\"}}", "structured_outputs.grammar",
           GRAMMAR_GBNF, "root ::= \"a\"", "");
    expect("{\"structured_outputs\":{\"json_object\":true}}", "structured_outputs.json_object",
           GRAMMAR_JSON_OBJECT, "", "");
    expect(
        "{\"structured_outputs\":{\"regex\":\"a\",\"disable_fallback\":true,\"disable_any_whitespace\":false,"
        "\"disable_additional_properties\":false}}",
        "structured_outputs.regex", GRAMMAR_REGEX, "a", "");
    expect("{\"guided_json\":true,\"guided_whitespace_pattern\":\"x\"}", "guided_json", GRAMMAR_JSON_SCHEMA,
           "true", "x");
    expect("{\"guided_regex\":\"b\"}", "guided_regex", GRAMMAR_REGEX, "b", "");
    expect("{\"guided_choice\":[\"x\"]}", "guided_choice", GRAMMAR_CHOICE, "[\"x\"]", "");
    expect("{\"guided_grammar\":\"g\"}", "guided_grammar", GRAMMAR_GBNF, "g", "");
    expect("{\"grammar\":\"g\",\"json_schema\":null}", "grammar", GRAMMAR_GBNF, "g", "");
    expect("{\"json_schema\":{\"z\":1,\"a\":0.25}}", "json_schema", GRAMMAR_JSON_SCHEMA, schema, "");
}

static void what_is_said_of_json_is_kept(void **state) {
    (void)state;
    struct api_structured s;
    struct api_error e = {0};
    json_t *json;
    assert_int_equal(read("{\"structured_outputs\":{\"json\":{},\"disable_any_whitespace\":true,"
                          "\"disable_additional_properties\":true}}",
                          &s, &json, &e),
                     API_OK);
    assert_true(s.source.is_compact && s.source.closes_objects);
    api_structured_deinit(&s);
    json_decref(json);
}

static void what_asks_for_nothing_is_absent(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "{}",
        "{\"response_format\":null,\"structured_outputs\":null,\"grammar\":\"\",\"guided_regex\":\"\"}",
        "{\"response_format\":{\"type\":\"text\"}}",
        "{\"structured_outputs\":{}}",
        "{\"structured_outputs\":{\"json_object\":false,\"choice\":[],\"disable_any_whitespace\":false}}",
        "{\"guided_whitespace_pattern\":\" \",\"guided_json_object\":false}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct api_structured s;
        struct api_error e = {0};
        json_t *json;
        if (read(bodies[i], &s, &json, &e) != API_OK) fail_msg("%s: %s", bodies[i], e.message);
        assert_null(s.field);
        api_structured_deinit(&s);
        json_decref(json);
    }
}

static void refused(const char *body, const char *param, const char *words) {
    struct api_structured s;
    struct api_error e = {0};
    json_t *json;
    assert_int_equal(read(body, &s, &json, &e), API_INVALID);
    assert_string_equal(e.param, param);
    if (!strstr(e.message, words)) fail_msg("%s: %s; expected '%s'", body, e.message, words);
    api_structured_deinit(&s);
    json_decref(json);
}

static void mistakes_are_named(void **state) {
    (void)state;
    refused("{\"guided_regex\":\"a\",\"structured_outputs\":{\"choice\":[\"b\"]}}", "guided_regex",
            "'structured_outputs.choice' and 'guided_regex' each say");
    refused("{\"structured_outputs\":{\"choice\":[\"b\"],\"json\":{}}}", "structured_outputs.choice",
            "only one of them");
    refused("{\"response_format\":\"json\"}", "response_format", "an object");
    refused("{\"response_format\":{\"type\":\"xml\"}}", "response_format",
            "must be \"text\", \"json_object\"");
    refused("{\"response_format\":{}}", "response_format", "'response_format.type' must be");
    refused("{\"response_format\":{\"type\":\"json_schema\"}}", "response_format",
            "must be an object with a 'schema'");
    refused("{\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\"}}}",
            "response_format", "has no 'schema'");
    refused("{\"structured_outputs\":[]}", "structured_outputs", "an object");
    refused("{\"structured_outputs\":{\"structural_tag\":\"x\"}}", "structured_outputs.structural_tag",
            "structural_tag");
    refused("{\"structured_outputs\":{\"json\":\"{}\",\"disable_any_whitespace\":true,\"whitespace_pattern\":"
            "\" \"}}",
            "structured_outputs.disable_any_whitespace", "only one of them");
    refused("{\"structured_outputs\":{\"regex\":\"a\",\"disable_any_whitespace\":true}}",
            "structured_outputs.regex", "'disable_any_whitespace': that one is for JSON");
    refused("{\"structured_outputs\":{\"choice\":[\"a\"],\"disable_additional_properties\":true}}",
            "structured_outputs.choice", "'disable_additional_properties': that one is for JSON");
    refused("{\"structured_outputs\":{\"json\":{},\"disable_fallback\":1}}",
            "structured_outputs.disable_fallback", "true or false");
    refused("{\"guided_json\":7}", "guided_json", "a JSON schema");
    refused("{\"guided_choice\":\"a\"}", "guided_choice", "an array of strings");
    refused("{\"guided_choice\":[\"a\",1]}", "guided_choice", "an array of strings");
    refused("{\"guided_regex\":\"a\",\"guided_whitespace_pattern\":\" \"}", "guided_regex",
            "nothing here is JSON");
    refused("{\"grammar\":{}}", "grammar", "a string");
    refused("{\"guided_json_object\":1}", "guided_json_object", "true or false");
    refused("{\"guided_whitespace_pattern\":1}", "guided_whitespace_pattern", "a string");
}

/* ---- before anything is parsed --------------------------------------------------------------------------------- */

/* {"FIELD":BEGIN part,part,..,part END}, of `count` parts. */
static enum api_error_kind check(const char *field, const char *begin, const char *part, size_t count,
                                 const char *end, struct api_error *e) {
    struct bytes body = {0};
    bytes_format(&body, "{\"prompt\":\"a\",\"%s\":%s", field, begin);
    for (size_t i = 0; i < count; i++) {
        if (i) bytes_text(&body, ",");
        bytes_text(&body, part);
    }
    bytes_format(&body, "%s}", end);
    enum api_error_kind kind = api_structured_check(body.data, body.length, e);
    bytes_deinit(&body);
    return kind;
}

static void too_much_is_refused_by_its_bytes(void **state) {
    (void)state;
    enum { MOST = API_STRUCTURED_VALUES_MAX };
    static const char *const fields[] = {"json_schema",     "guided_json",        "guided_choice",
                                         "response_format", "structured_outputs", "grammar"};
    struct api_error e = {0};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        assert_int_equal(check(fields[i], "[", "0", MOST - 1, "]", &e), API_OK);
        assert_int_equal(check(fields[i], "[", "0", MOST, "]", &e), API_INVALID);
        assert_string_equal(e.param, fields[i]);
        assert_non_null(strstr(e.message, "has 65537 JSON values and keys; at most 65536 are allowed."));
    }
    /* Keys count, and what is not closed. */
    assert_int_equal(check("json_schema", "{", "\"a\":{}", (MOST - 1) / 2, "}", &e), API_OK);
    assert_int_equal(check("json_schema", "{", "\"a\":{}", MOST / 2, "}", &e), API_INVALID);
    assert_int_equal(check("json_schema", "[", "[", MOST + 1, "", &e), API_INVALID);
    /* A key that may be the field's in another spelling; another one; more than one. */
    assert_int_equal(check("json\\u005fschema", "[", "0", MOST, "]", &e), API_INVALID);
    assert_int_equal(check("logit_bias", "{", "\"a\":0", MOST, "}", &e), API_OK);
    assert_int_equal(check("stop\":[],\"json_schema", "[", "0", MOST, "]", &e), API_INVALID);
}

static void what_is_long_is_refused_by_its_bytes(void **state) {
    (void)state;
    struct api_error e = {0};
    assert_int_equal(check("grammar", "\"", "", API_STRUCTURED_BYTES_MAX - 1, "\"", &e), API_OK);
    assert_int_equal(check("grammar", "\"", "", API_STRUCTURED_BYTES_MAX, "\"", &e), API_INVALID);
    assert_non_null(strstr(e.message, "has 2097153 bytes; at most 2097152 are allowed."));
    assert_int_equal(check("suffix", "\"", "", API_STRUCTURED_BYTES_MAX, "\"", &e), API_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spelling_says_the_same),
        cmocka_unit_test(what_is_said_of_json_is_kept),
        cmocka_unit_test(what_asks_for_nothing_is_absent),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(too_much_is_refused_by_its_bytes),
        cmocka_unit_test(what_is_long_is_refused_by_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
