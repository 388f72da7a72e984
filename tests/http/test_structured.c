/* Structured output over HTTP, from the bundled model: what comes matches what the request asked for, whole or as a
 * stream, at any temperature, with drafts and beside others; and what is not understood is refused. */
#include "tests/http/drafting_daemons.h"

#include <ctype.h>

/* Texts of each kind; and how many may end before one has taken all of the memory. */
enum { SEEDS = TEST_SHARE ? 1 : 5, SEEDS_MAX = 5 };

static json_t *ask(const char *fields, unsigned seed) {
    char request[2048];
    snprintf(request, sizeof request, "{\"prompt\":\"Once upon a time\",\"max_tokens\":300,\"seed\":%u,%s}",
             seed, fields);
    return complete(&with, request);
}

static void expect_stop(const json_t *answer, size_t choice) {
    assert_string_equal(json_string_value(choice_value(answer, choice, "finish_reason")), "stop");
}

/* ---- JSON ---------------------------------------------------------------------------------------------- */

#define SCHEMA                                                                                               \
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":12},\"age\":{"         \
    "\"type\":\"integer\",\"minimum\":0,\"maximum\":130},\"tags\":{\"type\":\"array\",\"items\":{\"enum\":[" \
    "\"red\",\"green\"]},\"maxItems\":3}},\"required\":[\"name\",\"age\"],\"additionalProperties\":false}"

static void check_person(const char *text) {
    json_error_t error;
    json_t *person = json_loads(text, 0, &error), *age;
    if (!person) fail_msg("%s: %s", text, error.text);
    assert_true(json_is_string(json_object_get(person, "name")));
    assert_true(json_is_integer(age = json_object_get(person, "age")));
    assert_true(json_integer_value(age) >= 0 && json_integer_value(age) <= 130);
    const json_t *tags = json_object_get(person, "tags");
    assert_int_equal(json_object_size(person), tags ? 3 : 2);
    assert_true(json_array_size(tags) <= 3);
    json_decref(person);
}

static void an_answer_matches_its_schema(void **state) {
    (void)state;
    static const char *const fields[] = {
        "\"temperature\":1.5,\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":"
        "\"person\","
        "\"schema\":" SCHEMA "}}",
        "\"temperature\":0,\"structured_outputs\":{\"json\":" SCHEMA ",\"whitespace_pattern\":\" ?\"}",
        "\"temperature\":1,\"top_p\":0.9,\"guided_json\":" SCHEMA,
        "\"temperature\":0.7,\"json_schema\":" SCHEMA ",\"min_tokens\":5,\"frequency_penalty\":0.5",
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        for (unsigned seed = 0; seed < SEEDS; seed++) {
            json_t *answer = ask(fields[i], seed);
            expect_stop(answer, 0);
            check_person(choice_text(answer, 0));
            json_decref(answer);
        }
}

static void choices_of_a_request_each_match(void **state) {
    (void)state;
    json_t *answer = ask("\"n\":4,\"temperature\":1.5,\"logprobs\":2,\"guided_json\":" SCHEMA, 3);
    for (size_t i = 0; i < 4; i++) {
        expect_stop(answer, i);
        check_person(choice_text(answer, i));
    }
    json_decref(answer);
}

/* Only where the model or its length ends it, is it no whole object. */
static void an_object_is_an_object(void **state) {
    (void)state;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        json_t *answer = ask("\"temperature\":1,\"response_format\":{\"type\":\"json_object\"}", seed);
        const char *reason = json_string_value(choice_value(answer, 0, "finish_reason"));
        json_t *object = json_loads(choice_text(answer, 0), 0, NULL);
        assert_true(json_is_object(object) || strcmp(reason, "length") == 0);
        json_decref(object);
        json_decref(answer);
    }
}

static void what_is_cut_says_so(void **state) {
    (void)state;
    json_t *answer = complete(
        &with, "{\"prompt\":\"Once\",\"max_tokens\":2,\"temperature\":0,\"guided_json\":" SCHEMA "}");
    assert_string_equal(json_string_value(choice_value(answer, 0, "finish_reason")), "length");
    json_decref(answer);
}

/* ---- other forms --------------------------------------------------------------------------------------- */

static void a_choice_is_one_of_its_strings(void **state) {
    (void)state;
    static const char *const texts[] = {"yes", "no", "perhaps not", "perhaps"};
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        json_t *answer =
            ask("\"temperature\":2,\"guided_choice\":[\"yes\",\"no\",\"perhaps not\",\"perhaps\"]", seed);
        bool found = false;
        for (size_t i = 0; i < 4; i++) found |= strcmp(choice_text(answer, 0), texts[i]) == 0;
        if (!found) fail_msg("%s", choice_text(answer, 0));
        expect_stop(answer, 0);
        json_decref(answer);
    }
}

static void a_regular_expression_is_matched(void **state) {
    (void)state;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        json_t *answer =
            ask("\"temperature\":1.5,\"structured_outputs\":{\"regex\":\"[0-9]{3}-[a-c]{2,4}\"}", seed);
        const char *text = choice_text(answer, 0);
        size_t length = strlen(text);
        assert_true(length >= 6 && length <= 8 && text[3] == '-');
        for (size_t i = 0; i < length; i++)
            if (i != 3) assert_true(i < 3 ? isdigit((unsigned char)text[i]) : strchr("abc", text[i]) != NULL);
        expect_stop(answer, 0);
        json_decref(answer);
    }
}

static void a_grammar_with_recursion_is_matched(void **state) {
    (void)state;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        json_t *answer =
            ask("\"temperature\":1,\"grammar\":\"root ::= \\\"(\\\" root \\\")\\\" | \\\"x\\\"\"", seed);
        const char *text = choice_text(answer, 0);
        size_t depth = strspn(text, "(");
        if (strcmp(json_string_value(choice_value(answer, 0, "finish_reason")), "stop") == 0) {
            assert_int_equal(strlen(text), 2 * depth + 1);
            assert_int_equal(strspn(text + depth + 1, ")"), depth);
        }
        json_decref(answer);
    }
}

/* ---- the same bytes ------------------------------------------------------------------------------------ */

static void drafts_change_no_byte(void **state) {
    (void)state;
    static const char *const fields[] = {
        "\"temperature\":0,\"logprobs\":3,\"guided_json\":" SCHEMA,
        "\"temperature\":1,\"stream\":true,\"response_format\":{\"type\":\"json_object\"}",
        "\"temperature\":0,\"guided_regex\":\"(ab "
        "){20}\",\"prediction\":{\"type\":\"content\",\"content\":\"ab ab "
        "ab ab ab ab ab xx\"}",
        "\"temperature\":0,\"guided_regex\":\"( *the *fox *ran *)+\",\"stop\":[\"fox ran the fox ran the\"]",
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char request[2048];
        snprintf(
            request, sizeof request,
            "{\"prompt\":\"The fox ran. The fox\",\"max_tokens\":100,\"seed\":5,\"request_id\":\"one\",%s}",
            fields[i]);
        expect_same_body(request);
    }
}

/* ---- refusals ------------------------------------------------------------------------------------------ */

static void refused(const struct daemon *d, const char *fields, const char *words) {
    char request[2048];
    snprintf(request, sizeof request, "{\"prompt\":\"a\",%s}", fields);
    struct answer a = http_post(d, "/v1/completions", request);
    if (a.status != 400 || !strstr(a.body, words)) fail_msg("%ld %s; expected %s", a.status, a.body, words);
    answer_free(&a);
}

static void what_is_not_understood_is_refused_by_name(void **state) {
    (void)state;
    refused(&with,
            "\"guided_json\":{\"type\":\"object\",\"properties\":{\"a\":{\"not\":{\"type\":\"null\"}}}}",
            "/properties/a");
    refused(&with, "\"guided_json\":{\"type\":\"thing\"}", "schema#: 'type': expected null");
    refused(&with, "\"guided_regex\":\"a(?=b)\"", "guided_regex");
    refused(&with, "\"guided_regex\":\"(\"", "guided_regex");
    refused(&with, "\"grammar\":\"root ::= other\"", "other");
    refused(&with, "\"grammar\":\"root ::= root \\\"a\\\" | \\\"b\\\"\"", "root");
    refused(&with, "\"guided_json\":\"{\"", "guided_json");
    refused(&with, "\"guided_regex\":\"a\",\"guided_choice\":[\"b\"]", "only one of them");
}

/* Each field alone leaves tokens, together they leave none: at once, or at a later token, of a stream too. */
static void fields_that_exclude_each_other_are_named(void **state) {
    (void)state;
    refused(&with, "\"guided_choice\":[\"yes\"],\"allowed_token_ids\":[1]",
            "all are excluded by 'allowed_token_ids', 'guided_choice'.\"");
    refused(&with, "\"guided_regex\":\"[xyz]{3}!\",\"bad_words\":[\"!\"],\"logit_bias\":{\"1\":1}",
            "excluded by 'bad_words', 'logit_bias', "
            "'guided_regex'.\",\"type\":\"invalid_request_error\",\"param\":"
            "\"bad_words\"");
    struct answer a =
        http_post(&with, "/v1/completions",
                  "{\"prompt\":\"a\",\"stream\":true,\"guided_regex\":\"[xyz]{3}!\",\"bad_words\":[\"!\"]}");
    assert_non_null(
        strstr(a.body, "data: {\"error\":{\"message\":\"At a place of the text no token is left"));
    answer_free(&a);
}

/* One token of this expression has more states than a small memory holds: the request is told so, and the next ones have
 * room again. One that has many over its text has them one after the other. */
static void states_beyond_the_memory_are_said(void **state) {
    (void)state;
    static const char format[] = "{\"prompt\":\"Once\",\"max_tokens\":%d,\"temperature\":2,\"seed\":%d,"
                                 "%s}";
    static const char many[] = "\"guided_regex\":\"[ab]*a[ab]{2000}c\"";
    static const char too_many[] =
        "\"guided_grammar\":\"root ::= (\\\"a\\\" | \\\"aa\\\" | \\\"a\\\" root){60,} \\\"b\\\"\"";
    bool is_refused = false;
    char request[256];
    struct daemon small;
    drafting_start(&small, "--structured-outputs-mib", "1");
    for (int seed = 0; seed < SEEDS_MAX && !is_refused; seed++) {
        snprintf(request, sizeof request, format, 450, seed, too_many);
        struct answer a = http_post(&small, "/v1/completions", request);
        is_refused = a.status == 400;
        if (is_refused)
            assert_non_null(strstr(a.body, "'guided_grammar'"));
        else
            assert_int_equal(a.status, 200);
        answer_free(&a);
    }
    assert_true(is_refused);
    snprintf(request, sizeof request, format, 4, 1, too_many);
    json_decref(complete(&small, request));
    snprintf(request, sizeof request, format, 450, 1, many);
    json_decref(complete(&small, request));
    daemon_stop(&small);
}

static void figures_follow_what_was_asked(void **state) {
    (void)state;
    static const char fields[] = "\"temperature\":0,\"guided_regex\":\"[xyz]{5}\"";
    double compiled = metric(&without, "prenorm_grammar_compiled_total"),
           found = metric(&without, "prenorm_grammar_found_total"),
           refused_before = metric(&without, "prenorm_grammar_refused_total"),
           masks = metric(&without, "prenorm_grammar_masks_total"),
           timed = metric(&without, "prenorm_grammar_compile_seconds_count");
    char request[256];
    snprintf(request, sizeof request, "{\"prompt\":\"a\",%s}", fields);
    for (int i = 0; i < 3; i++) json_decref(complete(&without, request));
    refused(&without, "\"guided_regex\":\"(\"", "guided_regex");
    assert_true(metric(&without, "prenorm_grammar_compiled_total") == compiled + 1);
    assert_true(metric(&without, "prenorm_grammar_found_total") == found + 2);
    assert_true(metric(&without, "prenorm_grammar_refused_total") == refused_before + 1);
    assert_true(metric(&without, "prenorm_grammar_compile_seconds_count") == timed + 2);
    assert_true(metric(&without, "prenorm_grammars_kept") >= 1);
    masks = metric(&without, "prenorm_grammar_masks_total") - masks;
    assert_true(masks >= 3 && masks <= 15);
    assert_true(metric(&without, "prenorm_grammar_mask_seconds_total") > 0);
}

static void it_can_be_switched_off(void **state) {
    (void)state;
    struct daemon off;
    drafting_start(&off, "--structured-outputs-mib", "0");
    refused(&off, "\"guided_regex\":\"a\"", "switched off here");
    json_decref(
        complete(&off, "{\"prompt\":\"a\",\"max_tokens\":1,\"response_format\":{\"type\":\"text\"}}"));
    daemon_stop(&off);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_matches_its_schema),
        cmocka_unit_test(choices_of_a_request_each_match),
        cmocka_unit_test(an_object_is_an_object),
        cmocka_unit_test(what_is_cut_says_so),
        cmocka_unit_test(a_choice_is_one_of_its_strings),
        cmocka_unit_test(a_regular_expression_is_matched),
        cmocka_unit_test(a_grammar_with_recursion_is_matched),
        cmocka_unit_test(drafts_change_no_byte),
        cmocka_unit_test(what_is_not_understood_is_refused_by_name),
        cmocka_unit_test(fields_that_exclude_each_other_are_named),
        cmocka_unit_test(states_beyond_the_memory_are_said),
        cmocka_unit_test(figures_follow_what_was_asked),
        cmocka_unit_test(it_can_be_switched_off),
    };
    return cmocka_run_group_tests(tests, drafting_setup, drafting_teardown);
}
