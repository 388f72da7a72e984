#include "tests/unit/engine/model/describe_text.h"

#include "engine/model/tensor_views.h"
#include "tests/unit/engine/model/checkpoint_text.h"

struct fixture {
    char *folder;
    struct model_description description;
    const struct family *family;
    struct checkpoint *checkpoint;
    struct tensor_views views;
    enum status status;
    struct error error;
};

static void fixture_init(struct fixture *f, const char *config, const char *tensors) {
    struct error e = {0};
    *f = (struct fixture){.folder = test_folder_create()};
    write_config(f->folder, config);
    write_checkpoint(f->folder, tensors);
    assert_ok(describe_model(f->folder, &f->description, &f->family, &e));
    assert_ok(checkpoint_open(f->folder, &f->checkpoint, &e));
    f->status = tensor_views_init(&f->views, &f->description, f->family, f->checkpoint, &f->error);
}

static void fixture_deinit(struct fixture *f) {
    tensor_views_deinit(&f->views);
    checkpoint_close(f->checkpoint);
    description_deinit(&f->description);
    test_folder_remove(f->folder);
}

/* ---- a GPT-2 of one layer, 2 heads of 2 ---- */

#define GPT2_CONFIG                                                                                          \
    "{'model_type': 'gpt2', 'n_embd': 4, 'n_head': 2, 'n_layer': 1, 'n_positions': 3, 'vocab_size': 5, "     \
    "'n_inner': 6}"
#define GPT2_ENDS(p)                                                                                         \
    p "wte.weight F32 5 4;" p "wpe.weight F32 3 4;" p "ln_f.weight F32 4;" p "ln_f.bias F32 4;"
#define GPT2_NORMS(p)                                                                                        \
    p "h.0.ln_1.weight F32 4;" p "h.0.ln_1.bias F32 4;" p "h.0.ln_2.weight F32 4;" p "h.0.ln_2.bias F32 4;"
#define GPT2_ATTENTION(p)                                                                                    \
    p "h.0.attn.c_attn.weight F32 4 12;" p "h.0.attn.c_attn.bias F32 12;" p                                  \
      "h.0.attn.c_proj.weight F32 4 4;" p "h.0.attn.c_proj.bias F32 4;"
#define GPT2_MLP(p)                                                                                          \
    p "h.0.mlp.c_fc.weight F32 4 6;" p "h.0.mlp.c_fc.bias F32 6;" p "h.0.mlp.c_proj.weight F32 6 4;" p       \
      "h.0.mlp.c_proj.bias F32 4;"
#define GPT2(p) GPT2_ENDS(p) GPT2_NORMS(p) GPT2_ATTENTION(p) GPT2_MLP(p)

static const struct {
    const char *config, *tensors, *fragments; /* of the error; NULL: it binds */
} cases[] = {
    {GPT2_CONFIG, GPT2(""), NULL},
    {GPT2_CONFIG, GPT2("transformer."), NULL},
    /* buffers, and a copy of the tied head */
    {GPT2_CONFIG, GPT2("") "h.0.attn.bias I8 3 4;h.0.attn.masked_bias F32 1;", NULL},
    {GPT2_CONFIG, GPT2("") "lm_head.weight F32 5 4;", NULL},
    /* the tied table under the head's name alone */
    {GPT2_CONFIG,
     GPT2_NORMS("") GPT2_ATTENTION("") GPT2_MLP("") "wpe.weight F32 3 4;ln_f.weight F32 4;"
                                                    "ln_f.bias F32 4;lm_head.weight F32 5 4;",
     NULL},
    {GPT2_CONFIG,
     GPT2_NORMS("") GPT2_ATTENTION("") GPT2_MLP("") "wpe.weight F32 3 4;ln_f.weight F32 4;"
                                                    "ln_f.bias F32 4;lm_head.weight F32 4 4;",
     "lm_head.weight|[4, 4]|[5, 4]"},
    {GPT2_CONFIG, GPT2_NORMS("") GPT2_ATTENTION("") GPT2_MLP(""), "wte.weight|no such tensor"},
    /* heads for other tasks */
    {GPT2_CONFIG, GPT2("transformer.") "v_head.summary.weight F32 1 4;v_head.summary.bias F32 1;", NULL},
    {GPT2_CONFIG, GPT2("") "score.weight F32 2 4;", NULL},
    {GPT2_CONFIG, GPT2("") "w_head.weight F32 2 4;", "w_head.weight|is not a tensor"},
    {GPT2_CONFIG, GPT2("") "h.0.score.weight F32 2 4;", "h.0.score.weight|is not a tensor"},
    /* wrapped names, and what of them can't be undone */
    {GPT2_CONFIG, GPT2("module."), NULL},
    {GPT2_CONFIG, GPT2("_orig_mod.transformer."), NULL},
    {GPT2_CONFIG, GPT2("module._orig_mod.transformer.") "module._orig_mod.v_head.weight F32 1 4;", NULL},
    {GPT2_CONFIG, GPT2("base_model.model.transformer."), NULL},
    {GPT2_CONFIG, GPT2("module.") "lm_head.weight F32 5 4;", "no such tensor|module."},
    {GPT2_CONFIG, GPT2("modules."), "no such tensor"},
    {GPT2_CONFIG, GPT2("base_model.model.") "base_model.model.h.0.attn.c_attn.lora_A.default.weight F32 4 4;",
     "lora_A|is not a tensor|PEFT|merge_and_unload"},
    {GPT2_CONFIG,
     GPT2_ENDS("base_model.model.") GPT2_NORMS("base_model.model.")
         GPT2_MLP("base_model.model.") "base_model.model.h.0.attn.c_attn.base_layer.weight F32 4 12;",
     "c_attn.weight|no such tensor|PEFT|merge_and_unload"},
    /* missing, extra, of another shape or type */
    {GPT2_CONFIG, GPT2_ENDS("") GPT2_NORMS("") GPT2_ATTENTION(""),
     "h.0.mlp.c_fc.weight|no such tensor|[4, 6]"},
    {GPT2_CONFIG, GPT2_ENDS("") GPT2_NORMS("") GPT2_MLP(""), "h.0.attn.c_attn.weight|no such tensor|[4, 12]"},
    {GPT2_CONFIG, GPT2("") "h.1.ln_1.weight F32 4;", "h.1.ln_1.weight|is not a tensor of gpt2"},
    {GPT2_CONFIG, GPT2("") "h.0.attn.c_attn.lora_A F32 4;", "lora_A|is not a tensor"},
    {GPT2_CONFIG, GPT2("") "transformer.wte.weight F32 5 4;", "wte.weight|is not a tensor"},
    {"{'model_type': 'gpt2', 'n_embd': 4, 'n_head': 2, 'n_layer': 1, 'n_positions': 3, 'vocab_size': 6, "
     "'n_inner': 6}",
     GPT2(""), "wte.weight|[5, 4]|[6, 4]"},
    {"{'model_type': 'gpt2', 'n_embd': 4, 'n_head': 2, 'n_layer': 2, 'n_positions': 3, 'vocab_size': 5, "
     "'n_inner': 6}",
     GPT2(""), "h.1.ln_1.weight|no such tensor"},
    {"{'model_type': 'gpt2', 'n_embd': 4, 'n_head': 2, 'n_layer': 1, 'n_positions': 3, 'vocab_size': 5, "
     "'n_inner': 6,"
     " 'tie_word_embeddings': false}",
     GPT2(""), "lm_head.weight|no such tensor"},
    {GPT2_CONFIG, GPT2_ENDS("") "h.0.ln_1.weight I8 4;" GPT2_ATTENTION("") GPT2_MLP(""),
     "h.0.ln_1.weight|element type"},
};

static void test_cases(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        char message[ERROR_LINE_BYTES] = "";
        fixture_init(&f, cases[i].config, cases[i].tensors);
        if (f.status != STATUS_OK) error_format(&f.error, message, sizeof message);
        if (!cases[i].fragments && f.status != STATUS_OK) fail_msg("case %zu: %s", i, message);
        if (cases[i].fragments) {
            assert_int_not_equal(f.status, STATUS_OK);
            assert_says(message, cases[i].fragments);
        }
        fixture_deinit(&f);
    }
}

static void test_parameters(void **state) {
    (void)state;
    struct fixture f;
    /* Neither a buffer nor the stored copy of a tied head counts. */
    fixture_init(&f, GPT2_CONFIG, GPT2("") "h.0.attn.bias I8 3 4;lm_head.weight F32 5 4;");
    assert_int_equal(f.views.parameters, 20 + 12 + 8 + 16 + 48 + 12 + 16 + 4 + 24 + 6 + 24 + 4);
    fixture_deinit(&f);
}

/* ---- rows of q, k and v in the packings: element (r, c) of a tensor with n columns is r n + c ---- */

static void assert_rows(const struct linear_view *part, const size_t *rows, size_t count) {
    double row[64], bias;
    assert_int_equal(part->weight.out, count);
    for (size_t r = 0; r < count; r++) {
        matrix_read(&part->weight, r, 1, row);
        for (size_t c = 0; c < part->weight.in; c++)
            assert_number(row[c], part->weight.transposed ? (double)(c * 12 + rows[r])
                                                          : (double)(rows[r] * part->weight.in + c));
        if (!part->bias.tensor) continue;
        vector_read_part(&part->bias, r, 1, &bias);
        assert_number(bias, (double)rows[r]);
    }
}

static void test_transposed(void **state) {
    (void)state;
    static const size_t q[] = {0, 1, 2, 3}, k[] = {4, 5, 6, 7}, v[] = {8, 9, 10, 11};
    struct fixture f;
    fixture_init(&f, GPT2_CONFIG, GPT2(""));
    assert_int_equal(f.status, STATUS_OK);
    assert_rows(&f.views.layers[0].query, q, 4);
    assert_rows(&f.views.layers[0].key, k, 4);
    assert_rows(&f.views.layers[0].value, v, 4);
    fixture_deinit(&f);
}

/* Width 4, one layer, vocabulary 5. */
static void assert_packing(const char *config, const char *tensors, const size_t *q, size_t q_count,
                           const size_t *k, const size_t *v, size_t kv_count) {
    struct fixture f;
    fixture_init(&f, config, tensors);
    char message[ERROR_LINE_BYTES] = "";
    if (f.status != STATUS_OK) error_format(&f.error, message, sizeof message);
    assert_string_equal(message, "");
    assert_rows(&f.views.layers[0].query, q, q_count);
    assert_rows(&f.views.layers[0].key, k, kv_count);
    assert_rows(&f.views.layers[0].value, v, kv_count);
    fixture_deinit(&f);
}

#define FALCON                                                                                               \
    "{'model_type': 'falcon', 'hidden_size': 8, 'num_hidden_layers': 1, 'vocab_size': 5, "                   \
    "'num_attention_heads': 4"
#define FALCON_TENSORS(qkv)                                                                                  \
    "word_embeddings.weight F32 5 8;ln_f.weight F32 8;ln_f.bias F32 8;"                                      \
    "h.0.self_attention.query_key_value.weight F32 " qkv " 8;h.0.self_attention.dense.weight F32 8 8;"       \
    "h.0.mlp.dense_h_to_4h.weight F32 32 8;h.0.mlp.dense_4h_to_h.weight F32 8 32;"
#define FALCON_ONE_NORM "h.0.input_layernorm.weight F32 8;h.0.input_layernorm.bias F32 8;"
#define FALCON_TWO_NORMS                                                                                     \
    "h.0.ln_attn.weight F32 8;h.0.ln_attn.bias F32 8;h.0.ln_mlp.weight F32 8;h.0.ln_mlp.bias F32 8;"

static void test_falcon_packings(void **state) {
    (void)state;
    static const size_t q_mqa[] = {0, 1, 2, 3, 4, 5, 6, 7}, k_mqa[] = {8, 9}, v_mqa[] = {10, 11};
    assert_packing(FALCON "}", FALCON_TENSORS("12") FALCON_ONE_NORM, q_mqa, 8, k_mqa, v_mqa, 2);
    static const size_t q_mha[] = {0, 1, 6, 7, 12, 13, 18, 19}, k_mha[] = {2, 3, 8, 9, 14, 15, 20, 21},
                        v_mha[] = {4, 5, 10, 11, 16, 17, 22, 23};
    assert_packing(FALCON ", 'multi_query': false}", FALCON_TENSORS("24") FALCON_ONE_NORM, q_mha, 8, k_mha,
                   v_mha, 8);
    static const size_t q_gqa[] = {0, 1, 2, 3, 8, 9, 10, 11}, k_gqa[] = {4, 5, 12, 13},
                        v_gqa[] = {6, 7, 14, 15};
    assert_packing(FALCON ", 'new_decoder_architecture': true, 'num_kv_heads': 2}",
                   FALCON_TENSORS("16") FALCON_TWO_NORMS, q_gqa, 8, k_gqa, v_gqa, 4);
}

/* The tensors must be those of the shape that the config says, not merely of some shape of the family. */
static void test_falcon_norms(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, FALCON "}", FALCON_TENSORS("12") FALCON_TWO_NORMS);
    assert_says(f.error.where, "h.0.input_layernorm.weight");
    fixture_deinit(&f);
    fixture_init(&f, FALCON ", 'parallel_attn': false}", FALCON_TENSORS("12") FALCON_ONE_NORM);
    assert_says(f.error.where, "h.0.post_attention_layernorm.weight");
    fixture_deinit(&f);
}

static void test_codegen_packing(void **state) {
    (void)state;
    static const size_t q[] = {0, 3, 6, 9}, v[] = {1, 4, 7, 10}, k[] = {2, 5, 8, 11};
    struct fixture f;
    char tensors[] =
        "wte.weight F32 5 8;ln_f.weight F32 8;ln_f.bias F32 8;lm_head.weight F32 5 8;lm_head.bias F32 5;"
        "h.0.ln_1.weight F32 8;h.0.ln_1.bias F32 8;h.0.attn.qkv_proj.weight F32 24 "
        "8;h.0.attn.out_proj.weight F32 8 8;"
        "h.0.mlp.fc_in.weight F32 32 8;h.0.mlp.fc_in.bias F32 32;h.0.mlp.fc_out.weight F32 8 "
        "32;h.0.mlp.fc_out.bias F32 8;";
    fixture_init(
        &f,
        "{'model_type': 'codegen', 'n_embd': 8, 'n_head': 4, 'n_layer': 1, 'vocab_size': 5, 'rotary_dim': 2}",
        tensors);
    assert_int_equal(f.status, STATUS_OK);
    for (size_t block = 0; block < 4; block++)
        for (size_t i = 0; i < 2; i++) {
            double row[8];
            matrix_read(&f.views.layers[0].query.weight, 2 * block + i, 1, row);
            assert_number(row[0], (double)(8 * (2 * q[block] + i)));
            matrix_read(&f.views.layers[0].value.weight, 2 * block + i, 1, row);
            assert_number(row[0], (double)(8 * (2 * v[block] + i)));
            matrix_read(&f.views.layers[0].key.weight, 2 * block + i, 1, row);
            assert_number(row[0], (double)(8 * (2 * k[block] + i)));
        }
    fixture_deinit(&f);
}

/* ---- biases by the config, and a bias with a name of its own ---- */

#define JAPANESE                                                                                             \
    "{'model_type': 'gpt_neox_japanese', 'hidden_size': 4, 'num_attention_heads': 2, 'num_hidden_layers': "  \
    "2, "                                                                                                    \
    "'intermediate_multiple_size': 1, 'vocab_size': 5}"
#define JAPANESE_LAYER(i)                                                                                    \
    "layers." i ".input_layernorm.weight F32 4;layers." i ".input_layernorm.bias F32 4;"                     \
    "layers." i ".post_attention_layernorm.weight F32 4;layers." i ".post_attention_layernorm.bias F32 4;"   \
    "layers." i ".attention.query_key_value.weight F32 12 4;layers." i ".attention.dense.weight F32 4 4;"    \
    "layers." i ".mlp.dense_h_to_4h.weight F32 4 4;layers." i ".mlp.dense_4h_to_h.weight F32 4 4;"
#define JAPANESE_TENSORS                                                                                     \
    "embed_in.weight F32 5 4;final_layer_norm.weight F32 4;final_layer_norm.bias F32 4;" JAPANESE_LAYER("0") \
        JAPANESE_LAYER("1")

static void test_bias_of_last_layer(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, JAPANESE, JAPANESE_TENSORS "layers.1.attention.dense_bias F32 4;");
    assert_int_equal(f.status, STATUS_OK);
    assert_null(f.views.layers[0].attention.output.bias.tensor);
    assert_non_null(f.views.layers[1].attention.output.bias.tensor);
    fixture_deinit(&f);
    fixture_init(&f, JAPANESE, JAPANESE_TENSORS);
    assert_says(f.error.where, "layers.1.attention.dense_bias");
    fixture_deinit(&f);
    fixture_init(&f, JAPANESE,
                 JAPANESE_TENSORS "layers.1.attention.dense_bias F32 4;layers.0.attention.dense_bias F32 4;");
    assert_says(f.error.where, "layers.0.attention.dense_bias");
    fixture_deinit(&f);
}

#define OLMO                                                                                                 \
    "{'model_type': 'olmo', 'hidden_size': 4, 'num_attention_heads': 2, 'num_hidden_layers': 1, "            \
    "'intermediate_size': 6, 'vocab_size': 5, 'tie_word_embeddings': true"
#define OLMO_TENSORS                                                                                         \
    "model.embed_tokens.weight F32 5 4;model.layers.0.self_attn.q_proj.weight F32 4 4;"                      \
    "model.layers.0.self_attn.k_proj.weight F32 4 4;model.layers.0.self_attn.v_proj.weight F32 4 4;"         \
    "model.layers.0.self_attn.o_proj.weight F32 4 4;model.layers.0.mlp.gate_proj.weight F32 6 4;"            \
    "model.layers.0.mlp.up_proj.weight F32 6 4;model.layers.0.mlp.down_proj.weight F32 4 6;"
#define OLMO_BIASES                                                                                          \
    "model.layers.0.self_attn.q_proj.bias F32 4;model.layers.0.self_attn.k_proj.bias F32 4;"                 \
    "model.layers.0.self_attn.v_proj.bias F32 4;model.layers.0.self_attn.o_proj.bias F32 4;"

static void test_biases_by_config(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, OLMO "}", OLMO_TENSORS);
    assert_int_equal(f.status, STATUS_OK);
    fixture_deinit(&f);
    fixture_init(&f, OLMO ", 'attention_bias': true}", OLMO_TENSORS OLMO_BIASES);
    assert_int_equal(f.status, STATUS_OK);
    fixture_deinit(&f);
    fixture_init(&f, OLMO ", 'attention_bias': true}", OLMO_TENSORS);
    assert_says(f.error.where, "q_proj.bias");
    fixture_deinit(&f);
    fixture_init(&f, OLMO "}", OLMO_TENSORS OLMO_BIASES);
    assert_says(f.error.text, "is not a tensor of olmo");
    fixture_deinit(&f);
    fixture_init(&f, OLMO "}", OLMO_TENSORS "model.norm.weight F32 4;");
    assert_says(f.error.where, "model.norm.weight");
    fixture_deinit(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_transposed),
        cmocka_unit_test(test_falcon_packings),
        cmocka_unit_test(test_falcon_norms),
        cmocka_unit_test(test_codegen_packing),
        cmocka_unit_test(test_bias_of_last_layer),
        cmocka_unit_test(test_biases_by_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
