/* Which weight each tensor of an adapter belongs to, what does not fit, and adapters where nobody asked for one.
 * That the numbers are those of the PEFT library is tests/golden/test_forward.c. */
#include "engine/lora/lora.h"

#include <unistd.h>

#include "engine/base/log.h"
#include "tests/unit/engine/model/checkpoint_text.h"
#include "tests/unit/engine/model/describe_text.h"

/* A GPT-2 of one layer, 2 heads of 2, whose head is tied, and one whose head is not. */
#define SIZES                                                                                                \
    "'model_type': 'gpt2', 'n_embd': 4, 'n_head': 2, 'n_layer': 1, 'n_positions': 3, 'vocab_size': 5, "      \
    "'n_inner': 6"
#define TIED   "{" SIZES "}"
#define UNTIED "{" SIZES ", 'tie_word_embeddings': false}"
#define BASE                                                                                                 \
    "wte.weight F32 5 4;wpe.weight F32 3 4;ln_f.weight F32 4;ln_f.bias F32 4;h.0.ln_1.weight F32 4;"         \
    "h.0.ln_1.bias F32 4;h.0.ln_2.weight F32 4;h.0.ln_2.bias F32 4;h.0.attn.c_attn.weight F32 4 12;"         \
    "h.0.attn.c_attn.bias F32 12;h.0.attn.c_proj.weight F32 4 4;h.0.attn.c_proj.bias F32 4;"                 \
    "h.0.mlp.c_fc.weight F32 4 6;h.0.mlp.c_fc.bias F32 6;h.0.mlp.c_proj.weight F32 6 4;"                     \
    "h.0.mlp.c_proj.bias F32 4;"

#define M     "base_model.model.transformer."
#define ATTN  M "h.0.attn.c_attn.lora_A.weight F32 2 4;" M "h.0.attn.c_attn.lora_B.weight F32 12 2;"
#define TABLE M "wte.lora_embedding_A F32 2 5;" M "wte.lora_embedding_B F32 4 2;"
#define HEAD  "base_model.model.lm_head.lora_A.weight F32 2 4;base_model.model.lm_head.lora_B.weight F32 5 2;"

struct fixture {
    char *base, *adapter;
    struct model_description description;
    const struct family *family;
    struct checkpoint *checkpoint;
    struct tensor_views views;
    struct lora *lora;
};

/* settings: of adapter_config.json, beside type and rank, with ' for ". */
static enum status fixture_init(struct fixture *f, const char *config, const char *settings,
                                const char *tensors, struct error *error) {
    struct error e = {0};
    char text[1024], base[2048];
    *f = (struct fixture){.base = test_folder_create(), .adapter = test_folder_create()};
    write_config(f->base, config);
    snprintf(base, sizeof base, BASE "%s", strstr(config, "tie_word") ? "lm_head.weight F32 5 4;" : "");
    write_checkpoint(f->base, base);
    snprintf(text, sizeof text, "{'peft_type': 'LORA', 'r': 2, 'lora_alpha': 2%s}", settings);
    for (char *c = text; *c; c++)
        if (*c == '\'') *c = '"';
    test_file_write(f->adapter, "adapter_config.json", text, strlen(text));
    write_tensors(f->adapter, "adapter_model.safetensors", tensors);
    assert_ok(describe_model(f->base, &f->description, &f->family, &e));
    assert_ok(checkpoint_open(f->base, &f->checkpoint, &e));
    enum status status = lora_open(f->adapter, &f->lora, &e);
    if (status == STATUS_OK)
        status = lora_bind(f->lora, &f->description, f->family, f->checkpoint, &f->views, &e);
    *error = e;
    return status;
}

static void fixture_deinit(struct fixture *f) {
    tensor_views_deinit(&f->views);
    lora_close(f->lora);
    checkpoint_close(f->checkpoint);
    description_deinit(&f->description);
    test_folder_remove(f->base);
    test_folder_remove(f->adapter);
}

/* ---- errors ---- */

static const struct {
    const char *config, *settings, *tensors, *words; /* NULL: it is merged */
} cases[] = {
    {TIED, "", ATTN, NULL},
    {TIED, "", TABLE HEAD, NULL},
    {TIED, ", 'target_modules': ['c_attn']", ATTN, NULL},
    {TIED, ", 'target_modules': ['c_attn', 'c_fc']", ATTN, NULL}, /* a warning */
    /* without the library's prefix, and of the bare model */
    {TIED, "", "h.0.attn.c_attn.lora_A.weight F32 2 4;h.0.attn.c_attn.lora_B.weight F32 12 2;", NULL},
    {UNTIED, ", 'modules_to_save': ['lm_head', 'ln_f']",
     "base_model.model.lm_head.weight F32 5 4;" M "ln_f.weight F32 4;" M "ln_f.bias F32 4;", NULL},
    {TIED, ", 'bias': 'all'", ATTN M "h.0.attn.c_attn.base_layer.bias F32 12;", NULL},
    /* the bias of a module that is saved whole, as PEFT saves it with that of all others: three times */
    {TIED, ", 'bias': 'all', 'modules_to_save': ['ln_f']",
     ATTN M "ln_f.weight F32 4;" M "ln_f.bias F32 4;" M "ln_f.modules_to_save.bias F32 4;" M
            "ln_f.original_module.bias F32 4;",
     NULL},
    {TIED, ", 'bias': 'all', 'modules_to_save': ['ln_f']",
     ATTN M "ln_f.weight F32 4;" M "ln_f.original_module.bias F32 4;",
     "original_module.bias|matches no weight"},
    {TIED, ", 'bias': 'all'", ATTN M "ln_f.bias F32 4;" M "ln_f.original_module.bias F32 4;",
     "original_module.bias|matches no weight"},
    /* no weight of the model */
    {TIED, "", M "h.1.attn.c_attn.lora_A.weight F32 2 4;" M "h.1.attn.c_attn.lora_B.weight F32 12 2;",
     "h.1.attn.c_attn.lora_A|matches no weight"},
    {TIED, "", M "h.0.ln_1.lora_A.weight F32 2 4;" M "h.0.ln_1.lora_B.weight F32 4 2;",
     "ln_1|matches no weight"},
    {TIED, "", ATTN "base_model.model.score.weight F32 2 4;", "score.weight|matches no weight"},
    {TIED, "", ATTN M "h.0.attn.c_attn.lora_C.weight F32 2 4;", "lora_C|not a known part"},
    {TIED, "", ATTN M "h.0.attn.c_attn.lora_magnitude_vector F32 12;", "lora_magnitude_vector|DoRA"},
    {TIED, "", ATTN M "h.0.attn.c_attn.lora_B.bias F32 12;", "lora_B.bias|not a known part"},
    /* halves, shapes, types */
    {TIED, "", M "h.0.attn.c_attn.lora_A.weight F32 2 4;", "c_attn.lora_A|other tensor"},
    {TIED, "", M "h.0.attn.c_attn.lora_B.weight F32 12 2;", "c_attn.lora_B|other tensor"},
    {TIED, "", M "h.0.attn.c_attn.lora_A.weight F32 4 2;" M "h.0.attn.c_attn.lora_B.weight F32 12 2;",
     "c_attn.lora_A|[2, 4] and [12, 2]"},
    {TIED, "", M "h.0.attn.c_attn.lora_A.weight F32 2 4;" M "h.0.attn.c_attn.lora_B.weight F32 4 2;",
     "c_attn|other shapes"},
    {TIED, "", M "h.0.attn.c_attn.lora_A.weight F32 8;" M "h.0.attn.c_attn.lora_B.weight F32 12 2;",
     "c_attn|other shapes"},
    {TIED, ", 'rank_pattern': {'c_attn': 3}", ATTN, "c_attn|[3, 4]"},
    {TIED, "", M "h.0.attn.c_attn.lora_A.weight I8 2 4;" M "h.0.attn.c_attn.lora_B.weight F32 12 2;",
     "c_attn.lora_A|element type"},
    {TIED, ", 'modules_to_save': ['ln_f']", M "ln_f.weight F32 5;", "ln_f.weight|another shape"},
    {TIED, "", "", "no tensors"},
    /* tables and linears */
    {TIED, "", M "wte.lora_A.weight F32 2 4;" M "wte.lora_B.weight F32 5 2;", "wte|is an embedding"},
    {TIED, "", M "h.0.mlp.c_fc.lora_embedding_A F32 2 6;" M "h.0.mlp.c_fc.lora_embedding_B F32 4 2;",
     "c_fc|the module is none"},
    {TIED, "", ATTN M "h.0.attn.c_attn.lora_embedding_A F32 2 4;", "linears and one for embeddings"},
    /* what the configuration says */
    {TIED, ", 'target_modules': ['c_fc']", ATTN, "c_attn|does not select"},
    {TIED, ", 'target_modules': ['c_attn'], 'layers_to_transform': [1]", ATTN, "c_attn|does not select"},
    {TIED, ", 'modules_to_save': ['ln_f']", ATTN, "ln_f|no tensor"},
    /* twice */
    {TIED, "", ATTN "h.0.attn.c_attn.lora_A.weight F32 2 4;h.0.attn.c_attn.lora_B.weight F32 12 2;",
     "already"},
    {TIED, "", M "ln_f.weight F32 4;ln_f.weight F32 4;", NULL}, /* the same */
    /* a tied head that was trained, and saved without saying so, would change the table as well */
    {TIED, "", "base_model.model.lm_head.weight F32 4 5;", "lm_head.weight|another shape"},
    {TIED, ", 'modules_to_save': ['lm_head']", "base_model.model.lm_head.weight F32 4 5;",
     "lm_head|another shape"},
};

static void test_cases(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct error e = {0};
        char message[ERROR_LINE_BYTES] = "";
        enum status status = fixture_init(&f, cases[i].config, cases[i].settings, cases[i].tensors, &e);
        if (status != STATUS_OK) error_format(&e, message, sizeof message);
        if (!cases[i].words && status != STATUS_OK) fail_msg("case %zu: %s", i, message);
        if (cases[i].words && status == STATUS_OK) fail_msg("case %zu is merged: '%s'", i, cases[i].words);
        if (cases[i].words && !test_says(message, cases[i].words))
            fail_msg("case %zu: '%s' does not say '%s'", i, message, cases[i].words);
        fixture_deinit(&f);
    }
}

/* ---- what is attached ---- */

static void test_parts_of_a_fused_tensor(void **state) {
    (void)state;
    struct fixture f;
    struct error e = {0};
    double base[4], merged[4], factors[2];
    assert_ok(fixture_init(&f, TIED, "", ATTN, &e));
    const struct layer_views *layer = &f.views.layers[0];
    assert_non_null(layer->query.weight.low_rank);
    assert_ptr_equal(layer->value.weight.low_rank, layer->query.weight.low_rank);
    assert_null(layer->attention.output.weight.low_rank);
    /* Row 1 of v is row 9 of the tensor, and of B: every element of these files is its index. */
    matrix_read(&layer->value.weight, 1, 1, merged);
    for (size_t k = 0; k < 2; k++) factors[k] = (double)(9 * 2 + k);
    for (size_t k = 0; k < 4; k++) {
        base[k] = (double)(k * 12 + 9); /* stored [in, out] */
        assert_true(merged[k] == base[k] + factors[0] * (double)k + factors[1] * (double)(4 + k));
    }
    fixture_deinit(&f);
}

static void test_a_tied_table_and_head_have_one_each(void **state) {
    (void)state;
    struct fixture f;
    struct error e = {0};
    assert_ok(fixture_init(&f, TIED, "", TABLE, &e));
    assert_ptr_equal(f.views.embedding.tensor, f.views.head.weight.tensor);
    assert_non_null(f.views.embedding.low_rank);
    assert_null(f.views.head.weight.low_rank);
    fixture_deinit(&f);
    assert_ok(fixture_init(&f, TIED, "", HEAD, &e));
    assert_null(f.views.embedding.low_rank);
    assert_non_null(f.views.head.weight.low_rank);
    fixture_deinit(&f);
}

static void test_tables_that_are_saved_whole(void **state) {
    (void)state;
    struct fixture f;
    struct error e = {0};
    const char *head = "base_model.model.lm_head.weight F32 5 4;", *table = M "wte.weight F32 5 4;";
    assert_ok(fixture_init(&f, TIED, ", 'modules_to_save': ['lm_head']", head, &e));
    assert_string_equal(f.views.head.weight.tensor->file, "adapter_model.safetensors");
    assert_string_equal(f.views.embedding.tensor->file, "model.safetensors");
    fixture_deinit(&f);
    assert_ok(fixture_init(&f, TIED, ", 'modules_to_save': ['wte']", table, &e));
    assert_string_equal(f.views.head.weight.tensor->file, "model.safetensors");
    assert_string_equal(f.views.embedding.tensor->file, "adapter_model.safetensors");
    fixture_deinit(&f);
    /* of what lies under an adapter, or was saved with it: both stay one */
    assert_ok(fixture_init(&f, TIED, "", table, &e));
    assert_ptr_equal(f.views.head.weight.tensor, f.views.embedding.tensor);
    assert_string_equal(f.views.embedding.tensor->file, "adapter_model.safetensors");
    fixture_deinit(&f);
}

static void test_identity(void **state) {
    (void)state;
    struct fixture f;
    struct error e = {0};
    assert_ok(fixture_init(&f, TIED, "", ATTN, &e));
    const struct adapter_identity *identity = lora_identity(f.lora);
    assert_string_equal(identity->name, strrchr(f.adapter, '/') + 1);
    assert_int_equal(strlen(identity->config_xxh64), 16);
    assert_int_equal(strlen(identity->weights_xxh64), 16);
    assert_string_not_equal(identity->config_xxh64, identity->weights_xxh64);
    fixture_deinit(&f);
}

/* ---- beside the model ---- */

static void test_adapters_where_nobody_asked(void **state) {
    (void)state;
    struct error e = {0};
    char *folder = test_folder_create(), *other = test_folder_create(), same[1200];
    snprintf(same, sizeof same, "%s/.", folder);
    write_checkpoint(folder, BASE);
    assert_ok(lora_check_folder(folder, NULL, false, &e));
    test_file_write(folder, "adapter_config.json", "{}", 2);
    assert_int_equal(lora_check_folder(folder, NULL, false, &e), STATUS_OPTION);
    assert_string_equal(e.where, "model");
    assert_non_null(strstr(e.text, "--lora"));
    assert_non_null(strstr(e.text, "--ignore-adapter"));
    assert_int_equal(lora_check_folder(folder, other, false, &e), STATUS_OPTION);
    assert_ok(lora_check_folder(folder, folder, false, &e));
    assert_ok(lora_check_folder(folder, same, false, &e));
    assert_ok(lora_check_folder(folder, NULL, true, &e));
    /* weights without the configuration are one too */
    test_file_write(other, "adapter_model.bin", "", 0);
    assert_int_equal(lora_check_folder(other, NULL, true, &e), STATUS_OPTION);
    assert_non_null(strstr(e.text, "needs its base"));
    test_folder_remove(folder);
    test_folder_remove(other);
}

static void test_files_that_are_missing(void **state) {
    (void)state;
    struct error e = {0};
    struct lora *lora;
    char *folder = test_folder_create();
    assert_int_equal(lora_open(folder, &lora, &e), STATUS_NOT_FOUND);
    test_file_write(folder, "adapter_config.json", "{\"peft_type\": \"LORA\"}", 21);
    assert_int_equal(lora_open(folder, &lora, &e), STATUS_NOT_FOUND);
    assert_non_null(strstr(e.text, "adapter_model.bin"));
    const char *pointer = "version https://git-lfs.github.com/spec/v1\n";
    test_file_write(folder, "adapter_model.safetensors", pointer, strlen(pointer));
    assert_int_equal(lora_open(folder, &lora, &e), STATUS_MALFORMED);
    assert_non_null(strstr(e.text, "git lfs pull"));
    test_folder_remove(folder);
}

int main(void) {
    log_set_level(LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_parts_of_a_fused_tensor),
        cmocka_unit_test(test_a_tied_table_and_head_have_one_each),
        cmocka_unit_test(test_tables_that_are_saved_whole),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_adapters_where_nobody_asked),
        cmocka_unit_test(test_files_that_are_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
