/* The tables of fields: every row of foreign_fields.def is refused by its name or passed over, as it says; every field of
 * params.def is known where it says so. */
#include "tests/support/test_support.h"

#include "server/api/fields.h"
#include "server/api/json_body.h"

static const struct api_limits limits = {
    .context = 128, .vocabulary = 300, .model = "m", .refuse_unknown = true};

static enum api_error_kind check(const char *name, json_t *value, struct api_error *e) {
    json_t *body = json_pack("{s:o}", name, value);
    assert_non_null(body);
    *e = (struct api_error){0};
    enum api_error_kind kind = api_fields_check(body, "", NULL, 0, &limits, e);
    json_decref(body);
    return kind;
}

/* A name that a pattern stands for. */
static const char *example(const char *pattern) {
    static char name[80];
    size_t length = strlen(pattern);
    bool is_pattern = pattern[length - 1] == '*';
    snprintf(name, sizeof name, "%.*s%s", (int)(length - is_pattern), pattern, is_pattern ? "choice" : "");
    return name;
}

static void expect(const char *name, json_t *value, enum api_error_kind kind) {
    struct api_error e;
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    if (check(name, value, &e) != kind) fail_msg("%s: %s: %s", name, text, e.message);
    free(text);
    if (kind == API_OK) return;
    assert_string_equal(e.param, name);
    assert_non_null(strstr(e.message, name));
    assert_non_null(strstr(e.message, "is not supported by this server: "));
}

static void test_every_foreign_field(void **state) {
    (void)state;
    size_t count;
    const struct api_foreign_field *fields = api_foreign_fields(&count);
    assert_true(count > 150);
    for (size_t i = 0; i < count; i++) {
        const char *name = example(fields[i].name), *neutral = fields[i].neutral;
        bool is_any = *neutral == '*', is_exact = *neutral == '=';
        assert_true(strlen(fields[i].instead) > 10);
        expect(name, json_null(), API_OK);
        expect(name, json_pack("[s]", "some"), is_any ? API_OK : API_INVALID);
        expect(name, json_pack("{s:i}", "some", 1), is_any ? API_OK : API_INVALID);
        expect(name, json_false(), is_exact ? API_INVALID : API_OK);
        expect(name, json_array(), is_exact ? API_INVALID : API_OK);
        expect(name, json_string(""), is_exact ? API_INVALID : API_OK);
        if (is_any) continue;
        json_t *values = json_loads(neutral + is_exact, 0, NULL);
        if (!values) fail_msg("%s: %s is no list", name, neutral);
        for (size_t j = 0; j < json_array_size(values); j++)
            expect(name, json_incref(json_array_get(values, j)), API_OK);
        json_decref(values);
    }
}

/* The first row that fits counts, so one behind it would never be looked at. */
static void test_no_row_hides_another(void **state) {
    (void)state;
    size_t count;
    const struct api_foreign_field *fields = api_foreign_fields(&count);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++) {
            size_t length = strlen(fields[j].name);
            bool hides = fields[j].name[length - 1] == '*'
                             ? strncmp(fields[j].name, fields[i].name, length - 1) == 0
                             : strcmp(fields[j].name, fields[i].name) == 0;
            if (hides) fail_msg("%s stands behind %s", fields[i].name, fields[j].name);
        }
}

static void test_numbers_are_compared_as_numbers(void **state) {
    (void)state;
    expect("repeat_penalty", json_real(1.0), API_OK);
    expect("repeat_penalty", json_real(1.1), API_INVALID);
    expect("mirostat", json_real(0), API_OK);
    expect("mirostat", json_integer(2), API_INVALID);
    expect("dry_base", json_real(1.75), API_OK);
    expect("dry_multiplier", json_real(0.8), API_INVALID);
}

struct row {
    const char *name, *meaning;
    unsigned where;
};

static const struct row rows[] = {
#define NUMBER(type, field, name, initial, least, most, where, meaning) {name, meaning, where},
#define FIELD(name, type, initial, where, meaning)                      {name, meaning, where},
#include "server/api/params.def"
#undef NUMBER
#undef FIELD
};

/* Each name once an endpoint; a field that is known is not refused, whatever its value is. */
static void test_every_field_of_every_endpoint(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(strlen(rows[i].meaning) > 10);
        assert_true(rows[i].where != 0);
        for (size_t j = 0; j < i; j++)
            if (strcmp(rows[i].name, rows[j].name) == 0) assert_int_equal(rows[i].where & rows[j].where, 0);
        for (unsigned bit = 1; bit <= API_APPLY_TEMPLATE; bit <<= 1) {
            struct api_error e = {0};
            json_t *body = json_pack("{s:[s]}", rows[i].name, "some");
            enum api_error_kind kind = api_params_check_names((enum api_endpoint)bit, body, &limits, &e);
            bool is_known = false;
            for (size_t j = 0; j < sizeof rows / sizeof *rows; j++)
                is_known |= strcmp(rows[i].name, rows[j].name) == 0 && rows[j].where & bit;
            if ((kind == API_OK) != is_known) fail_msg("%s, endpoint %u: %s", rows[i].name, bit, e.message);
            json_decref(body);
        }
    }
}

/* What one way to generate knows no other may pass over: it is a foreign field there. */
static void test_fields_of_other_endpoints(void **state) {
    (void)state;
    const unsigned all = API_COMPLETIONS | API_CHAT | API_INFILL;
    struct api_limits lenient = limits;
    lenient.refuse_unknown = false;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned where = 0;
        for (size_t j = 0; j < sizeof rows / sizeof *rows; j++)
            if (strcmp(rows[i].name, rows[j].name) == 0) where |= rows[j].where;
        if (!(rows[i].where & all) || (where & all) == all) continue;
        struct api_error e = {0};
        json_t *body = json_pack("{s:[s]}", rows[i].name, "some");
        if (api_fields_check(body, "", NULL, 0, &lenient, &e) != API_INVALID)
            fail_msg("%s would be passed over", rows[i].name);
        json_decref(body);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_foreign_field),
        cmocka_unit_test(test_no_row_hides_another),
        cmocka_unit_test(test_numbers_are_compared_as_numbers),
        cmocka_unit_test(test_every_field_of_every_endpoint),
        cmocka_unit_test(test_fields_of_other_endpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
