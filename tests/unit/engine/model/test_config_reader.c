#include "tests/unit/engine/model/describe_text.h"

#include "engine/model/config_reader.h"

struct fixture {
    json_t *root;
    struct config_reader reader;
};

static struct fixture fixture_of(const char *text) {
    struct fixture f;
    struct error e = {0};
    f.root = json_loads(text, 0, NULL);
    assert_non_null(f.root);
    assert_ok(config_reader_init(&f.reader, f.root, "config.json", "toy", &e));
    return f;
}

static void fixture_end(struct fixture *f) {
    config_reader_deinit(&f->reader);
    json_decref(f->root);
}

static void test_values(void **state) {
    (void)state;
    struct fixture f = fixture_of(
        "{\"size\": 7, \"real\": 0.5, \"whole\": 3, \"yes\": true, \"text\": \"a\", \"null\": null}");
    struct config_reader *r = &f.reader;
    assert_int_equal(config_size(r, "size", 1, 0, 10), 7);
    assert_int_equal(config_size(r, "absent", 5, 0, 10), 5);
    assert_int_equal(config_size(r, "null", 5, 0, 10), 5);
    assert_int_equal(config_size_required(r, "size", 7, 7), 7);
    assert_number(config_real(r, "real", 1, 0, 1), 0.5);
    assert_number(config_real(r, "whole", 1, 0, 9), 3);
    assert_number(config_real(r, "absent", 0.25, 0, 1), 0.25);
    assert_true(config_bool(r, "yes", false));
    assert_true(config_bool(r, "absent", true));
    assert_false(config_bool(r, "null", true));
    assert_string_equal(config_text(r, "text", "b"), "a");
    assert_string_equal(config_text(r, "absent", "b"), "b");
    assert_true(config_has(r, "size"));
    assert_false(config_has(r, "null"));
    assert_false(config_failed(r));
    fixture_end(&f);
}

static void test_first_error_sticks(void **state) {
    (void)state;
    struct fixture f = fixture_of("{\"a\": -1, \"b\": \"x\"}");
    assert_int_equal(config_size(&f.reader, "a", 4, 0, 10), 4);
    assert_false(config_bool(&f.reader, "b", false));
    config_refuse(&f.reader, "anything");
    assert_int_equal(f.reader.error.code, STATUS_MALFORMED);
    assert_string_equal(f.reader.error.where, "config.json: a");
    assert_string_equal(f.reader.error.text, "found -1, expected an integer from 0 to 10");
    fixture_end(&f);
}

static void test_wrong_types(void **state) {
    (void)state;
    static const char *const texts[] = {"{\"a\": 1.5}", "{\"a\": \"1\"}", "{\"a\": true}", "{\"a\": [1]}",
                                        "{\"a\": {}}",  "{\"a\": 11}",    "{\"a\": -1}",   "{\"a\": 1e400}"};
    for (size_t i = 0; i < 7; i++) {
        struct fixture f = fixture_of(texts[i]);
        config_size(&f.reader, "a", 4, 0, 10);
        if (!config_failed(&f.reader)) fail_msg("%s", texts[i]);
        fixture_end(&f);
    }
    assert_null(json_loads(texts[7], 0, NULL)); /* an infinite number does not get this far */
    struct fixture f = fixture_of("{\"a\": \"0.5\"}");
    config_real(&f.reader, "a", 1, 0, 1);
    assert_non_null(strstr(f.reader.error.text, "a number from 0 to 1"));
    fixture_end(&f);
}

static void test_required(void **state) {
    (void)state;
    struct fixture f = fixture_of("{}");
    config_size_required(&f.reader, "width", 2, 9);
    assert_string_equal(f.reader.error.where, "config.json: width");
    assert_string_equal(f.reader.error.text, "is missing; expected an integer from 2 to 9");
    fixture_end(&f);
}

static void test_either(void **state) {
    (void)state;
    struct fixture f = fixture_of("{\"a\": 3, \"same\": 3, \"other\": 4}");
    assert_int_equal(config_size_either(&f.reader, "a", "absent", 1, 0, 9), 3);
    assert_int_equal(config_size_either(&f.reader, "absent", "a", 1, 0, 9), 3);
    assert_int_equal(config_size_either(&f.reader, "a", "same", 1, 0, 9), 3);
    assert_int_equal(config_size_either(&f.reader, "absent", "neither", 1, 0, 9), 1);
    assert_false(config_failed(&f.reader));
    config_size_either(&f.reader, "a", "other", 1, 0, 9);
    assert_non_null(strstr(f.reader.error.text, "a and other"));
    fixture_end(&f);
}

static void test_choice(void **state) {
    (void)state;
    static const char *const allowed[] = {"first", "second", NULL};
    struct fixture f = fixture_of("{\"a\": \"second\", \"b\": \"third\"}");
    assert_int_equal(config_choice(&f.reader, "a", "first", allowed), 1);
    assert_int_equal(config_choice(&f.reader, "absent", "first", allowed), 0);
    assert_false(config_failed(&f.reader));
    config_choice(&f.reader, "b", "first", allowed);
    assert_string_equal(f.reader.error.text, "found \"third\", expected one of first, second");
    fixture_end(&f);
}

static void test_demands(void **state) {
    (void)state;
    struct fixture f = fixture_of("{\"flag\": true, \"size\": 4, \"null\": null}");
    config_demand_bool(&f.reader, "flag", false, true, "why");
    config_demand_bool(&f.reader, "absent", false, false, "why");
    config_demand_size(&f.reader, "size", 4);
    config_demand_size(&f.reader, "absent", 4);
    config_refuse_null(&f.reader, "size");
    config_refuse_null(&f.reader, "absent");
    assert_false(config_failed(&f.reader));
    config_demand_bool(&f.reader, "flag", false, false, "is not to be");
    assert_string_equal(f.reader.error.where, "config.json: toy");
    assert_string_equal(f.reader.error.text, "flag=true is not to be");
    fixture_end(&f);
    f = fixture_of("{\"size\": 4.0}");
    config_demand_size(&f.reader, "size", 4);
    assert_true(config_failed(&f.reader));
    fixture_end(&f);
    f = fixture_of("{\"null\": null}");
    config_refuse_null(&f.reader, "null");
    assert_string_equal(f.reader.error.text, "null=null is not supported");
    fixture_end(&f);
}

static void test_object(void **state) {
    (void)state;
    struct fixture f = fixture_of("{\"inner\": {\"size\": 40}, \"text\": \"x\"}");
    struct config_reader inner;
    assert_false(config_object(&f.reader, "absent", &inner));
    assert_true(config_object(&f.reader, "inner", &inner));
    config_size(&inner, "size", 1, 0, 10);
    config_object_end(&f.reader, &inner);
    assert_string_equal(f.reader.error.where, "config.json: inner: size");
    fixture_end(&f);
    f = fixture_of("{\"text\": \"x\"}");
    assert_false(config_object(&f.reader, "text", &inner));
    assert_non_null(strstr(f.reader.error.text, "expected an object"));
    fixture_end(&f);
}

static void test_unknown_keys(void **state) {
    (void)state;
    static const char *const known[] = {"b", "not-there", NULL};
    struct fixture f = fixture_of("{\"a\": 1, \"b\": 2, \"c\": 3, \"d\": null, \"off\": false, \"on\": true, "
                                  "\"inner\": {\"read\": 1, \"e\": {}, \"f\": 0}}");
    struct config_reader *r = &f.reader, inner;
    config_size(r, "a", 0, 0, 9);
    config_know(r, known);
    config_know(r, NULL);
    config_know_value(r, "off", "false");
    config_know_value(r, "on", "false");
    config_know_value(r, "absent", "false");
    assert_true(config_object(r, "inner", &inner));
    config_size(&inner, "read", 0, 0, 9);
    config_object_end(r, &inner);
    assert_string_equal(r->unknown, "inner.{e, f}");
    assert_int_equal(r->unknown_count, 1);
    config_gather_unknown(r);
    assert_string_equal(r->unknown, "inner.{e, f}, c, on"); /* null says nothing */
    assert_int_equal(r->unknown_count, 3);
    assert_false(config_failed(r));
    fixture_end(&f);
}

/* Names beyond the room are counted and not written. */
static void test_many_unknown_keys(void **state) {
    (void)state;
    char text[4096] = "{";
    for (size_t i = 0, used = 1; i < 100; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s\"a-rather-long-key-%zu\": 1",
                                 i ? "," : "", i);
    strcat(text, "}");
    struct fixture f = fixture_of(text);
    config_gather_unknown(&f.reader);
    assert_int_equal(f.reader.unknown_count, 100);
    assert_in_range(strlen(f.reader.unknown), 200, sizeof f.reader.unknown - 1);
    fixture_end(&f);
}

/* Long keys and values of hostile files are cut, not followed. */
static void test_long_texts(void **state) {
    (void)state;
    char text[9000], key[4001];
    memset(key, 'k', 4000);
    key[4000] = '\0';
    snprintf(text, sizeof text, "{\"%s\": \"%s\"}", key, key);
    struct fixture f = fixture_of(text);
    struct config_reader inner;
    config_size(&f.reader, key, 0, 0, 9);
    assert_true(config_failed(&f.reader));
    fixture_end(&f);
    snprintf(text, sizeof text, "{\"%s\": {}}", key);
    f = fixture_of(text);
    assert_true(config_object(&f.reader, key, &inner));
    assert_true(strlen(inner.file) < sizeof inner.file);
    config_object_end(&f.reader, &inner);
    fixture_end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),       cmocka_unit_test(test_first_error_sticks),
        cmocka_unit_test(test_wrong_types),  cmocka_unit_test(test_required),
        cmocka_unit_test(test_either),       cmocka_unit_test(test_choice),
        cmocka_unit_test(test_demands),      cmocka_unit_test(test_object),
        cmocka_unit_test(test_unknown_keys), cmocka_unit_test(test_many_unknown_keys),
        cmocka_unit_test(test_long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
