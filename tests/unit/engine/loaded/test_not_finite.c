/* Weights that are not finite numbers: whichever tensor of whichever model or adapter has one, it is named as it is loaded, with
 * its place, in every type; but for what is not read then, and a bias of the head by which a token never comes. */
#include "engine/base/log.h"
#include "engine/loaded/loaded_model.h"
#include "tests/support/golden.h"
#include "tests/support/poisoned.h"

enum { EVERY = TEST_SHARE ? 11 : 1 };

static struct workers *workers;

/* ---- models ---- */

static const float values[] = {NAN, INFINITY, -INFINITY};
static const enum norm_form forms[] = {NORM_FORM_CRMSNORM, NORM_FORM_ORTHONORMAL, NORM_FORM_RMSNORM,
                                       NORM_FORM_LAYERNORM};

/* Tensors so far, and loads of those that are looked at. */
static size_t turns, refusals;

static bool is(const char *name, const struct tensor *t) {
    return t && strcmp(name, t->name) == 0;
}

static bool ends_with(const char *text, const char *end) {
    const size_t length = strlen(text), ends = strlen(end);
    return length >= ends && strcmp(text + length - ends, end) == 0;
}

/* What is not read as a model is loaded: buffers of families, a tied head's second copy, and an embedding that is no head. And
 * a token that never comes. */
static bool may_have(const struct loaded_model *model, const char *name, float value) {
    const struct tensor *embedding = model->views.embedding.tensor, *head = model->views.head.weight.tensor;
    if (ends_with(name, ".masked_bias") || ends_with(name, ".inv_freq") || ends_with(name, ".attn.bias"))
        return true;
    if (is(name, model->views.head.bias.tensor)) return value < 0;
    return !is(name, head) && (is(name, embedding) || ends_with(name, "lm_head.weight"));
}

/* In a type and form that are others for each turn. */
static enum status load(const char *folder, const char *lora, size_t turn, struct loaded_model *model,
                        struct error *e) {
    const struct loaded_model_options options = {.model = folder,
                                                 .lora = lora,
                                                 .weights = (enum weight_type)(turn / 3 % WEIGHT_TYPE_COUNT),
                                                 .form = forms[turn / 12 % 4],
                                                 .exact_form = true};
    return loaded_model_init(model, &options, workers, e);
}

static void check_tensor(const struct poisoned *p, const char *case_name, const struct tensor *t) {
    const size_t turn = turns, count = poisoned_elements(t);
    const float value = values[turn % 3];
    struct loaded_model model;
    struct error e = {0};
    poisoned_write(p, t, turn % 2 ? count / 2 : count - 1, value);
    if (load(p->folder, NULL, turn, &model, &e) == STATUS_OK) {
        if (!may_have(&model, t->name, value))
            fail_msg("%s: %s has %g, and was loaded", case_name, t->name, (double)value);
        loaded_model_deinit(&model);
        return;
    }
    assert_says(e.text, t->name);
    assert_says(e.text, "model.safetensors|expected finite numbers");
    refusals++;
}

static void check_model(const char *path, const char *name, void *context) {
    struct poisoned p;
    (void)context;
    if (!poisoned_has_file(path, "model.safetensors") || strcmp(name, "tales") == 0) return;
    poisoned_create(&p, path, "model.safetensors", "config.json");
    for (size_t i = 0; i < checkpoint_count(p.checkpoint); i++, turns++)
        if (checkpoint_at(p.checkpoint, i)->dtype != DTYPE_OTHER && turns % EVERY == 0)
            check_tensor(&p, name, checkpoint_at(p.checkpoint, i));
    poisoned_destroy(&p);
}

static void test_models(void **state) {
    (void)state;
    turns = refusals = 0;
    golden_each(check_model, NULL);
    assert_true(refusals > turns / EVERY * 9 / 10);
}

/* ---- adapters ---- */

/* The embedding has an adapter of its own; and of what is saved whole PEFT writes copies. */
static bool is_unread_adapter(const char *name) {
    return strstr(name, ".wte.") || strstr(name, ".embed_") || strstr(name, ".modules_to_save.") ||
           strstr(name, ".original_module.");
}

static void check_adapter(const char *path, const char *name, void *context) {
    static const char file[] = "adapter_model.safetensors";
    struct golden_place place;
    struct poisoned p;
    (void)context;
    golden_place(path, &place);
    if (!poisoned_has_file(path, file)) return;
    poisoned_create(&p, path, file, "adapter_config.json");
    for (size_t i = 0; i < checkpoint_count(p.checkpoint); i++, turns++) {
        const struct tensor *t = checkpoint_at(p.checkpoint, i);
        struct loaded_model model;
        struct error e = {0};
        if (turns % EVERY != 0) continue;
        poisoned_write(&p, t, poisoned_elements(t) - 1, values[turns % 3]);
        if (load(place.model, p.folder, turns, &model, &e) == STATUS_OK) {
            loaded_model_deinit(&model);
            if (!is_unread_adapter(t->name)) fail_msg("%s: %s was loaded", name, t->name);
            continue;
        }
        /* What stands in place of a tensor of the model has its name from then on. */
        if (strstr(t->name, ".lora_")) assert_says(e.text, t->name);
        assert_says(e.text, "adapter_model.safetensors|expected finite numbers");
        refusals++;
    }
    poisoned_destroy(&p);
}

static void test_adapters(void **state) {
    (void)state;
    turns = refusals = 0;
    golden_each_adapter(check_adapter, NULL);
    assert_true(refusals > turns / EVERY * 8 / 10);
}

/* ---- which, and what becomes too large ---- */

static const struct tensor *find(const struct poisoned *p, const char *name) {
    const struct tensor *t = checkpoint_find(p->checkpoint, name);
    if (!t) fail_msg("%s is not there", name);
    return t;
}

/* Whichever thread meets one first. */
static void test_the_first_is_named(void **state) {
    const char *const first = "h.0.mlp.c_fc.weight";
    struct poisoned p;
    (void)state;
    poisoned_create(&p, test_source_path("tests/golden/families/gpt2"), "model.safetensors", "config.json");
    for (size_t i = 0; i < checkpoint_count(p.checkpoint); i++) {
        const struct tensor *t = checkpoint_at(p.checkpoint, i);
        const bool is_later =
            strncmp(t->name, "h.0", 3) != 0 || strcmp(t->name, "h.0.mlp.c_proj.weight") == 0;
        if (t->rank == 2 && strcmp(t->name, "wpe.weight") != 0 && is_later)
            poisoned_put(t->dtype, NAN, poisoned_data(&p, t));
    }
    for (size_t turn = 0; turn < 48; turn += 3) {
        struct loaded_model model;
        struct error e = {0};
        poisoned_write(&p, find(&p, first), turn, INFINITY);
        assert_int_equal(load(p.folder, NULL, turn, &model, &e), STATUS_OPTION);
        assert_says(e.text, first);
    }
    poisoned_destroy(&p);
}

/* What f32 holds and bf16 does not; and what only the gain that is folded into it makes too large. */
static void test_what_becomes_too_large(void **state) {
    static const struct {
        float weight, gain;
        size_t turn;       /* of the types, by load() */
        const char *words; /* NULL: it is loaded */
    } cases[] = {{3.4e38f, 1, 0, NULL},
                 {3.4e38f, 1, 3, "h.1.mlp.c_fc.weight|more than bf16 holds"},
                 {3.4e38f, 1, 6, NULL},
                 {3.4e38f, 1, 9, NULL},
                 {3.4e38f, 2, 0, "h.1.mlp.c_fc.weight|more than f32 holds"},
                 {3.4e38f, 2, 6, NULL},
                 {3.4e38f, 3e38f, 6, "h.1.mlp.c_fc.weight|more than int8 holds"},
                 {3.4e38f, 3e38f, 9, "h.1.mlp.c_fc.weight|more than int4 holds"}};
    struct poisoned p;
    (void)state;
    poisoned_create(&p, test_source_path("tests/golden/families/gpt2"), "model.safetensors", "config.json");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct loaded_model model;
        struct error e = {0};
        poisoned_put(DTYPE_F32, cases[i].gain, poisoned_data(&p, find(&p, "h.1.ln_2.weight")));
        poisoned_write(&p, find(&p, "h.1.mlp.c_fc.weight"), 5, cases[i].weight);
        const enum status status = load(p.folder, NULL, 24 + cases[i].turn, &model, &e);
        if (status != STATUS_OK && !cases[i].words) fail_msg("case %zu: %s", i, e.text);
        if (status == STATUS_OK && cases[i].words) fail_msg("case %zu was loaded", i);
        if (status == STATUS_OK)
            loaded_model_deinit(&model);
        else
            assert_says(e.text, cases[i].words);
    }
    poisoned_destroy(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_models), cmocka_unit_test(test_adapters),
                                       cmocka_unit_test(test_the_first_is_named),
                                       cmocka_unit_test(test_what_becomes_too_large)};
    struct error e = {0};
    log_set_level(LOG_LEVEL_ERROR);
    assert_ok(workers_create(2, &workers, &e));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    workers_destroy(workers);
    return failed;
}
