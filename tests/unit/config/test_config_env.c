#include "tests/unit/config/config_fixture.h"

#include <unistd.h>

static void test_names_and_values(void **state) {
    struct fixture *f = *state;
    assert_int_equal(
        fixture_load(f, COMMAND_SERVE, WORDS(NULL),
                     WORDS("HOME=/", "PRENORM_KV_CACHE_MIB=12", "PRENORM_MODEL=a=b", "PRENORM_SEED=3", NULL)),
        STATUS_OK);
    assert_int_equal(f->config.kv_cache_mib, 12);
    assert_string_equal(f->config.model, "a=b");
    assert_int_equal(f->config.seed, 3); /* of another command: allowed, for the environment is shared */
}

static void test_empty_is_absent(void **state) {
    struct fixture *f = *state;
    assert_int_equal(
        fixture_load(f, COMMAND_SERVE, NO_WORDS, WORDS("PRENORM_PORT=", "PRENORM_CONFIG=", NULL)), STATUS_OK);
    assert_int_equal(f->config.port, 8080);
}

/* What Kubernetes sets for a service named prenorm. */
static void test_a_bad_value_names_its_variable(void **state) {
    struct fixture *f = *state;
    assert_int_equal(
        fixture_load(f, COMMAND_SERVE, NO_WORDS, WORDS("PRENORM_PORT=tcp://10.0.0.1:8080", NULL)),
        STATUS_INVALID_ARGUMENT);
    assert_string_equal(f->message,
                        "PRENORM_PORT: found 'tcp://10.0.0.1:8080', expected a whole number from 0 to 65535");
}

static void test_an_unknown_variable_is_a_warning(void **state) {
    struct fixture *f = *state;
    char logged[512];
    int ends[2], stderr_copy = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    enum status status = fixture_load(f, COMMAND_SERVE, NO_WORDS, WORDS("PRENORM_PROT=1", NULL));
    dup2(stderr_copy, STDERR_FILENO);
    ssize_t length = read(ends[0], logged, sizeof logged - 1);
    logged[length > 0 ? length : 0] = '\0';
    close(ends[0]), close(ends[1]), close(stderr_copy);
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(f->config.port, 8080);
    assert_non_null(strstr(logged, "PRENORM_PROT: no such option, ignored; did you mean PRENORM_PORT?"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CONFIG_TEST(test_names_and_values),
        CONFIG_TEST(test_empty_is_absent),
        CONFIG_TEST(test_a_bad_value_names_its_variable),
        CONFIG_TEST(test_an_unknown_variable_is_a_warning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
