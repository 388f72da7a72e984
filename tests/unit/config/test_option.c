#include "tests/unit/config/config_fixture.h"

#include <ctype.h>
#include <math.h>

static bool is_number(const struct option_row *row) {
    return row->type == OPTION_TYPE_SIZE || row->type == OPTION_TYPE_INTEGER || row->type == OPTION_TYPE_REAL;
}

static const char *const fields[OPTION_COUNT] = {
#define OPTION(type, field, ...) [OPTION_##field] = #field,
#include "config/options.def"
#undef OPTION
};

static void test_keys_are_their_fields_spelled_with_dashes(void **state) {
    (void)state;
    for (int id = 0; id < OPTION_COUNT; id++) {
        const char *key = option_rows[id].key;
        assert_int_equal(strlen(key), strlen(fields[id]));
        for (size_t i = 0; key[i]; i++) assert_int_equal(key[i], fields[id][i] == '_' ? '-' : fields[id][i]);
        assert_int_equal(option_find(key, strlen(key)), id);
        assert_true(strncmp(key, "no-", 3) != 0); /* that is how a boolean is negated */
    }
}

static void test_rows_are_whole(void **state) {
    (void)state;
    for (int id = 0; id < OPTION_COUNT; id++) {
        const struct option_row *row = &option_rows[id];
        assert_int_equal(is_number(row), row->least != NULL);
        assert_int_equal(is_number(row), row->most != NULL);
        assert_int_equal(row->type == OPTION_TYPE_CHOICE, row->choices != NULL);
        assert_int_equal(row->type >= OPTION_TYPE_NORM_FORM, option_values(row->type) != NULL);
        assert_true(row->commands != 0);
        assert_true(row->group[0] && isupper((unsigned char)row->help[0]));
        assert_true(row->help[strlen(row->help) - 1] != '.');
        /* A number that is not set cannot be told from 0; only the seed asks config_is_set. */
        if (row->type == OPTION_TYPE_SIZE || row->type == OPTION_TYPE_REAL || row->type == OPTION_TYPE_BOOL)
            assert_non_null(row->initial);
    }
}

static void test_groups_stand_together(void **state) {
    (void)state;
    for (int id = 2; id < OPTION_COUNT; id++)
        for (int before = 0; before < id - 1; before++)
            if (strcmp(option_rows[before].group, option_rows[id].group) == 0)
                assert_string_equal(option_rows[id - 1].group, option_rows[id].group);
}

static enum status set(struct fixture *f, enum option_id id, const char *text) {
    enum status status = option_set(&f->config, id, SOURCE_FLAG, text, &f->error);
    if (status != STATUS_OK) error_format(&f->error, f->message, sizeof f->message);
    return status;
}

static void test_numbers_are_taken_whole_and_within_bounds(void **state) {
    struct fixture *f = *state;
    static const char *const bad[] = {"",
                                      "-1",
                                      "65536",
                                      "80x",
                                      " 80",
                                      "80 ",
                                      "+80",
                                      "0x50",
                                      "8e1",
                                      "80.0",
                                      "-",
                                      "--80",
                                      "99999999999999999999999",
                                      "1e400",
                                      "nan",
                                      "true"};
    assert_int_equal(set(f, OPTION_port, "65535"), STATUS_OK);
    assert_int_equal(f->config.port, 65535);
    assert_int_equal(set(f, OPTION_port, "0"), STATUS_OK);
    assert_int_equal(f->config.port, 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(set(f, OPTION_port, bad[i]), STATUS_INVALID_ARGUMENT);
        assert_int_equal(f->config.port, 0);
    }
}

static void test_seeds_use_all_of_64_bits(void **state) {
    struct fixture *f = *state;
    assert_int_equal(set(f, OPTION_seed, "-9223372036854775808"), STATUS_OK);
    assert_true(f->config.seed == INT64_MIN);
    assert_int_equal(set(f, OPTION_seed, "9223372036854775807"), STATUS_OK);
    assert_true(f->config.seed == INT64_MAX);
    assert_int_equal(set(f, OPTION_seed, "9223372036854775808"), STATUS_INVALID_ARGUMENT);
    assert_int_equal(set(f, OPTION_seed, "-9223372036854775809"), STATUS_INVALID_ARGUMENT);
}

static void test_reals(void **state) {
    struct fixture *f = *state;
    static const char *const bad[] = {"",     "nan", "inf", "-inf", "0x1p0", "2.0001",
                                      "-0.1", "1,5", ".",   "e",    "1e",    "1 "};
    assert_int_equal(set(f, OPTION_temperature, "0.7"), STATUS_OK);
    assert_true(fabs(f->config.temperature - 0.7) < 1e-15);
    assert_int_equal(set(f, OPTION_temperature, "2e0"), STATUS_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(set(f, OPTION_temperature, bad[i]), STATUS_INVALID_ARGUMENT);
    assert_true(f->config.temperature == 2.0);
}

static void test_choices_are_whole_words(void **state) {
    struct fixture *f = *state;
    static const char *const bad[] = {"", "err", "error|warn", "|", "ERROR", "warn ", "level"};
    assert_int_equal(set(f, OPTION_log_level, "warn"), STATUS_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(set(f, OPTION_log_level, bad[i]), STATUS_INVALID_ARGUMENT);
    assert_string_equal(f->config.log_level, "warn");
    assert_string_equal(f->message, "--log-level: found 'level', expected one of error, warn, info, debug");
}

static void test_lists_grow_within_a_source_and_start_anew_in_the_next(void **state) {
    struct fixture *f = *state;
    struct error e;
    assert_ok(option_set(&f->config, OPTION_stop, SOURCE_FILE, "a", &e));
    assert_ok(option_set(&f->config, OPTION_stop, SOURCE_FILE, "b", &e));
    assert_int_equal(f->config.stop.count, 2);
    assert_string_equal(f->config.stop.items[1], "b");
    assert_ok(option_set(&f->config, OPTION_stop, SOURCE_FLAG, "c", &e));
    assert_int_equal(f->config.stop.count, 1);
    assert_string_equal(f->config.stop.items[0], "c");
}

static void test_long_values_are_cut_in_messages(void **state) {
    struct fixture *f = *state;
    char text[4000];
    memset(text, '9', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(set(f, OPTION_port, text), STATUS_INVALID_ARGUMENT);
    assert_true(strlen(f->message) < 200);
    assert_non_null(strstr(f->message, "expected a whole number from 0 to 65535"));
}

static void test_nearest(void **state) {
    (void)state;
    char long_key[200];
    memset(long_key, 'a', sizeof long_key);
    long_key[sizeof long_key - 1] = '\0';
    assert_string_equal(option_nearest("prot"), "port");
    assert_string_equal(option_nearest("kv-cache-mb"), "kv-cache-mib");
    assert_string_equal(option_nearest("max-seqences"), "max-sequences");
    assert_null(option_nearest("frobnicate"));
    assert_null(option_nearest(long_key));
}

/* Each row names an option of ours, or a thing that needs none, and stands for no option of ours. */
static void test_options_of_other_servers(void **state) {
    static const struct {
        const char *name, *instead;
    } rows[] = {
#define FOREIGN_OPTION(name, instead) {name, instead},
#include "config/foreign_options.def"
#undef FOREIGN_OPTION
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(option_find(rows[i].name, strlen(rows[i].name)), OPTION_COUNT);
        assert_string_equal(option_instead_of(rows[i].name), rows[i].instead); /* and it is there once */
        for (const char *at = rows[i].instead; (at = strstr(at, "--"));) {
            size_t length = strspn(at += 2, "abcdefghijklmnopqrstuvwxyz-");
            if (length == 7 && memcmp(at, "version", 7) == 0) continue;
            enum option_id id = option_find(at, length);
            assert_int_not_equal(id, OPTION_COUNT);
            /* A daemon is what other servers' options are written for. */
            if (strcmp(at + length, " is this option here") == 0)
                assert_true(option_belongs(&option_rows[id], COMMAND_SERVE) ||
                            option_belongs(&option_rows[id], COMMAND_CONVERT));
        }
    }
    assert_string_equal(option_instead_of("max_model_len"), option_instead_of("max-model-len"));
    assert_null(option_instead_of("max-model"));
    assert_null(option_instead_of("max-model-len-2"));
    assert_null(option_instead_of(""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_are_their_fields_spelled_with_dashes),
        cmocka_unit_test(test_rows_are_whole),
        cmocka_unit_test(test_groups_stand_together),
        CONFIG_TEST(test_numbers_are_taken_whole_and_within_bounds),
        CONFIG_TEST(test_seeds_use_all_of_64_bits),
        CONFIG_TEST(test_reals),
        CONFIG_TEST(test_choices_are_whole_words),
        CONFIG_TEST(test_lists_grow_within_a_source_and_start_anew_in_the_next),
        CONFIG_TEST(test_long_values_are_cut_in_messages),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_options_of_other_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
