/* tests/cases/published: configs with the keys of published checkpoints are described without a warning, and as the
 * transformers library reads them where what it reads lies beside them (traits.json, by
 * tests/golden/make_published_traits.py). */
#include "tests/unit/engine/model/describe_text.h"

#include <limits.h>
#include <unistd.h>

/* ---- no warning ---- */

struct published {
    FILE *log;
    char trouble[1600]; /* the first error or warning; told when stderr is itself again */
};

static void check_published(const char *path, const char *name, void *context) {
    struct published *published = context;
    struct error e = {0};
    struct model_description d;
    const struct family *family;
    char line[1400] = "";
    rewind(published->log);
    assert_int_equal(ftruncate(fileno(published->log), 0), 0);
    if (describe_model(path, &d, &family, &e) != STATUS_OK) error_format(&e, line, sizeof line);
    description_deinit(&d);
    rewind(published->log);
    bool warned = !line[0] && fgets(line, sizeof line, published->log);
    if ((line[0] || warned) && !published->trouble[0])
        snprintf(published->trouble, sizeof published->trouble, "%s: %s", name, line);
}

static void test_published(void **state) {
    (void)state;
    struct published published = {.log = tmpfile()};
    int standard_error = dup(STDERR_FILENO);
    assert_non_null(published.log);
    dup2(fileno(published.log), STDERR_FILENO);
    size_t count = test_each_folder(test_source_path("tests/cases/published"), check_published, &published);
    dup2(standard_error, STDERR_FILENO);
    close(standard_error);
    fclose(published.log);
    assert_string_equal(published.trouble, "");
    assert_true(count >= 94);
}

/* ---- traits ---- */

static double number_of(const json_t *traits, const char *key) {
    const json_t *value = json_object_get(traits, key);
    if (!json_is_number(value)) fail_msg("traits.json: %s is no number", key);
    return json_number_value(value);
}

static bool truth_of(const json_t *traits, const char *key) {
    return json_is_true(json_object_get(traits, key));
}

static double element_of(const json_t *traits, const char *key, size_t i) {
    return json_number_value(json_array_get(json_object_get(traits, key), i));
}

static void check_sizes(const struct model_description *d, const json_t *traits) {
    const struct {
        const char *key;
        size_t found;
    } sizes[] = {
        {"vocabulary", d->vocabulary}, {"width", d->width},       {"layers", d->layers},
        {"heads", d->heads},           {"kv_heads", d->kv_heads}, {"head_dim", d->head_dim},
        {"mlp_width", d->mlp_width},   {"context", d->context},   {"rotated", d->rotary.dimensions},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if ((double)sizes[i].found != number_of(traits, sizes[i].key))
            fail_msg("%s: found %zu, expected %g", sizes[i].key, sizes[i].found,
                     number_of(traits, sizes[i].key));
}

static void check_rotary(const struct model_description *d, const json_t *traits) {
    static const char *const names[] = {
        [ROTARY_SCALING_NONE] = "none",       [ROTARY_SCALING_LINEAR] = "linear",
        [ROTARY_SCALING_DYNAMIC] = "dynamic", [ROTARY_SCALING_LLAMA3] = "llama3",
        [ROTARY_SCALING_YARN] = "yarn",       [ROTARY_SCALING_LONGROPE] = "longrope"};
    const char *kind = names[d->rotary.scaling];
    bool factor_counts =
        d->rotary.scaling != ROTARY_SCALING_NONE && d->rotary.scaling != ROTARY_SCALING_LONGROPE;
    assert_int_equal(d->position, POSITION_ROTARY);
    assert_false(d->rotary.interleaved);
    assert_number(d->rotary.theta, number_of(traits, "theta"));
    assert_number(d->local_rotary.dimensions ? d->local_rotary.theta : 0, number_of(traits, "local_theta"));
    assert_string_equal(kind, json_string_value(json_object_get(traits, "scaling")));
    if (factor_counts) assert_number(d->rotary.factor, number_of(traits, "scaling_factor"));
    if (number_of(traits, "scaling_context") > 0)
        assert_number((double)d->rotary.scaling_context, number_of(traits, "scaling_context"));
}

static void check_scales(const struct model_description *d, const json_t *traits) {
    assert_number(d->norm_eps, number_of(traits, "norm_eps"));
    assert_number(d->score_cap, number_of(traits, "score_cap"));
    assert_number(d->logit_cap, number_of(traits, "logit_cap"));
    assert_number(d->embedding_scale, number_of(traits, "embedding_scale"));
    assert_number(d->residual_multiplier, number_of(traits, "residual_multiplier"));
    assert_number(d->logit_scale, number_of(traits, "logit_scale"));
    assert_int_equal(d->tied, truth_of(traits, "tied"));
    assert_int_equal(d->bias[WEIGHT_QKV] != BIAS_NONE, truth_of(traits, "qkv_bias"));
}

/* A window as wide as the context sees all. */
static void check_layers(const struct model_description *d, const json_t *traits) {
    for (size_t i = 0; i < d->layers; i++) {
        double expected = element_of(traits, "windows", i);
        size_t window = d->layer[i].window < d->context ? d->layer[i].window : 0;
        assert_int_equal(window, expected < (double)d->context ? (size_t)expected : 0);
        assert_int_equal(d->layer[i].rotary, element_of(traits, "rotary_layers", i) != 0);
        assert_int_equal(d->layer[i].local, number_of(traits, "local_theta") > 0 && expected > 0);
        assert_number(d->layer[i].attention_scale, number_of(traits, "score_scale"));
    }
}

static void check_traits(const char *path, const char *name, void *context) {
    size_t *count = context;
    char file[PATH_MAX];
    json_error_t cause;
    snprintf(file, sizeof file, "%s/traits.json", path);
    if (access(file, F_OK) != 0) return; /* of a family that is not compared */
    json_t *traits = json_load_file(file, 0, &cause);
    struct error e = {0};
    struct model_description d;
    const struct family *family;
    assert_non_null(traits);
    print_message("%s\n", name);
    assert_ok(describe_model(path, &d, &family, &e));
    assert_string_equal(d.family, json_string_value(json_object_get(traits, "model_type")));
    assert_int_equal(d.norm_type, NORM_TYPE_RMSNORM);
    check_sizes(&d, traits);
    check_rotary(&d, traits);
    check_scales(&d, traits);
    check_layers(&d, traits);
    description_deinit(&d);
    json_decref(traits);
    ++*count;
}

static void test_published_traits(void **state) {
    (void)state;
    size_t count = 0;
    test_each_folder(test_source_path("tests/cases/published"), check_traits, &count);
    assert_true(count >= 49);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_published_traits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
