#include "tests/unit/engine/model/describe_text.h"

/* A head of 64 dimensions, a context of 100. */
#define NEOX                                                                                                 \
    "{'model_type': 'gpt_neox', 'hidden_size': 256, 'num_attention_heads': 4, 'max_position_embeddings': "   \
    "100"
#define PHI                                                                                                  \
    "{'model_type': 'phi', 'hidden_size': 256, 'num_attention_heads': 4, 'max_position_embeddings': 100"
#define COHERE                                                                                               \
    "{'model_type': 'cohere', 'hidden_size': 256, 'num_attention_heads': 4, 'max_position_embeddings': 100"
#define NEMOTRON                                                                                             \
    "{'model_type': 'nemotron', 'hidden_size': 256, 'num_attention_heads': 4, 'max_position_embeddings': "   \
    "100"

static const struct {
    const char *text;
    size_t dimensions;
    double theta;
    enum rotary_scaling scaling;
    double factor;
    size_t context;
} cases[] = {
    /* defaults */
    {NEOX "}", 16, 1e4, ROTARY_SCALING_NONE, 1, 100},
    {PHI "}", 32, 1e4, ROTARY_SCALING_NONE, 1, 100},
    {COHERE "}", 64, 1e4, ROTARY_SCALING_NONE, 1, 100},
    {"{'model_type': 'persimmon', 'qk_layernorm': true}", 32, 25000, ROTARY_SCALING_NONE, 1, 16384},
    {"{'model_type': 'stablelm'}", 20, 1e4, ROTARY_SCALING_NONE, 1, 4096},
    {"{'model_type': 'gpt_neox_japanese'}", 80, 1e4, ROTARY_SCALING_NONE, 1, 2048},
    /* loose keys */
    {NEOX ", 'rotary_pct': 1.0, 'rotary_emb_base': 500}", 64, 500, ROTARY_SCALING_NONE, 1, 100},
    {PHI ", 'partial_rotary_factor': 0.25, 'rope_theta': 77.5}", 16, 77.5, ROTARY_SCALING_NONE, 1, 100},
    {NEOX ", 'rope_theta': 500, 'partial_rotary_factor': 1.0}", 16, 1e4, ROTARY_SCALING_NONE, 1,
     100}, /* not its keys */
    {COHERE ", 'rope_theta': 8000000.0, 'partial_rotary_factor': 1.0}", 64, 8e6, ROTARY_SCALING_NONE, 1, 100},
    {NEOX ", 'rope_scaling': null}", 16, 1e4, ROTARY_SCALING_NONE, 1, 100},
    {NEOX ", 'rope_scaling': {'type': 'linear', 'factor': 2.5}}", 16, 1e4, ROTARY_SCALING_LINEAR, 2.5, 100},
    {PHI ", 'rope_scaling': {'rope_type': 'linear', 'type': 'linear', 'factor': 2}}", 32, 1e4,
     ROTARY_SCALING_LINEAR, 2, 100},
    {PHI ", 'rope_scaling': {'rope_type': 'default'}}", 32, 1e4, ROTARY_SCALING_NONE, 1, 100},
    {NEOX ", 'rope_scaling': {'rope_type': 'dynamic', 'factor': 2.5}}", 16, 1e4, ROTARY_SCALING_DYNAMIC, 2.5,
     250},
    /* one dictionary */
    {NEOX ", 'rope_parameters': {'rope_type': 'default', 'rope_theta': 700.0, 'partial_rotary_factor': 0.5}}",
     32, 700, ROTARY_SCALING_NONE, 1, 100},
    {NEOX ", 'rope_parameters': {'rope_theta': 700.0}}", 16, 700, ROTARY_SCALING_NONE, 1, 100},
    {PHI ", 'rope_parameters': {'rope_type': 'linear', 'rope_theta': 700, 'factor': 4}}", 32, 700,
     ROTARY_SCALING_LINEAR, 4, 100},
    {PHI ", 'rope_parameters': {'rope_type': 'dynamic', 'factor': 4, 'original_max_position_embeddings': 9}}",
     32, 1e4, ROTARY_SCALING_DYNAMIC, 4, 400},
    {COHERE ", 'rope_parameters': {'rope_type': 'default'}}", 64, 5e5, ROTARY_SCALING_NONE, 1, 100},
    {COHERE ", 'rope_theta': 9.0, 'rope_parameters': {'rope_type': 'default'}}", 64, 9, ROTARY_SCALING_NONE,
     1, 100},
    {COHERE ", 'rope_parameters': {}}", 64, 1e4, ROTARY_SCALING_NONE, 1, 100},
    {NEMOTRON ", 'rope_parameters': {'rope_type': 'linear', 'factor': 2}}", 32, 1e4, ROTARY_SCALING_LINEAR, 2,
     100},
    /* an odd number of rotated dimensions, 0.3 * 64 = 19.2: up where the library does, with the frequencies
       of 19 */
    {NEOX ", 'rotary_pct': 0.3}", 20, 16237.767391887217, ROTARY_SCALING_NONE, 1, 100},
    {NEMOTRON ", 'partial_rotary_factor': 0.3}", 20, 16237.767391887217, ROTARY_SCALING_NONE, 1, 100},
};

static void test_settings(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e = {0};
        struct model_description d;
        print_message("%s\n", cases[i].text);
        assert_ok(describe_text(cases[i].text, &d, &e));
        assert_int_equal(d.position, POSITION_ROTARY);
        assert_int_equal(d.rotary.dimensions, cases[i].dimensions);
        assert_number(d.rotary.theta, cases[i].theta);
        assert_int_equal(d.rotary.scaling, cases[i].scaling);
        assert_number(d.rotary.factor, cases[i].factor);
        assert_int_equal(d.context, cases[i].context);
        if (d.rotary.scaling == ROTARY_SCALING_DYNAMIC) assert_int_equal(d.rotary.scaling_context, 100);
        description_deinit(&d);
    }
}

#define LLAMA                                                                                                \
    "{'model_type': 'llama', 'hidden_size': 256, 'num_attention_heads': 4, 'max_position_embeddings': 100"
#define PHI3                                                                                                 \
    "{'model_type': 'phi3', 'hidden_size': 32, 'num_attention_heads': 4, 'max_position_embeddings': 100"
#define GEMMA3                                                                                               \
    "{'model_type': 'gemma3_text', 'hidden_size': 32, 'num_attention_heads': 4, 'num_hidden_layers': 2"
#define YARN   "'rope_type': 'yarn', 'factor': 4"
#define LLAMA3 "'rope_type': 'llama3', 'factor': 8, 'low_freq_factor': 1, 'high_freq_factor': 4"
#define LONG   "'short_factor': [1, 1, 1, 2], 'long_factor': [1, 2, 3, 4]"

static void test_llama3(void **state) {
    (void)state;
    struct model_description d =
        described(LLAMA ", 'rope_scaling': {" LLAMA3 ", 'original_max_position_embeddings': 40}}");
    assert_int_equal(d.rotary.scaling, ROTARY_SCALING_LLAMA3);
    assert_true(d.rotary.slow == 1 && d.rotary.fast == 4 && d.rotary.factor == 8);
    assert_true(d.rotary.scaling_context == 40 && d.context == 100);
    description_deinit(&d);
    assert_refused(LLAMA ", 'rope_scaling': {'rope_type': 'llama3', 'factor': 8}}", "low_freq_factor");
    assert_refused(LLAMA ", 'rope_parameters': {'rope_type': 'llama3', 'factor': 8, 'low_freq_factor': 4, "
                         "'high_freq_factor': 4}}",
                   "high_freq_factor");
}

static void test_yarn(void **state) {
    (void)state;
    struct model_description d = described(LLAMA ", 'rope_scaling': {" YARN "}}");
    assert_int_equal(d.rotary.scaling, ROTARY_SCALING_YARN);
    assert_true(d.rotary.slow == 1 && d.rotary.fast == 32 && d.rotary.truncate);
    assert_number(d.rotary.attention_factor, 0.1 * log(4) + 1);
    assert_true(d.rotary.scaling_context == 100 && d.context == 400);
    description_deinit(&d);
    d = described(LLAMA ", 'rope_parameters': {" YARN
                        ", 'original_max_position_embeddings': 20, 'mscale': 0.5, "
                        "'mscale_all_dim': 2, 'beta_fast': 0, 'beta_slow': 2, 'truncate': false}}");
    assert_number(d.rotary.attention_factor, (0.05 * log(4) + 1) / (0.2 * log(4) + 1));
    assert_true(d.rotary.slow == 2 && d.rotary.fast == 32 && !d.rotary.truncate);
    assert_true(d.rotary.scaling_context == 20 && d.context == 100);
    description_deinit(&d);
    assert_refused(LLAMA ", 'rope_scaling': {" YARN ", 'beta_fast': 1, 'beta_slow': 2}}", "beta_fast");
    assert_refused(LLAMA ", 'rope_theta': 1, 'rope_scaling': {" YARN "}}", "rope_theta");
    assert_refused(LLAMA ", 'original_max_position_embeddings': 30, 'rope_scaling': {" YARN
                         ", 'original_max_position_embeddings': 20}}",
                   "original_max_position_embeddings|20|30");
    assert_refused(LLAMA ", 'original_max_position_embeddings': 30, 'rope_scaling': {" YARN "}}",
                   "original_max_position_embeddings|100|30");
    assert_refused(LLAMA ", 'rope_scaling': {'type': 'longrope', " LONG "}}", "longrope");
}

static void test_longrope(void **state) {
    (void)state;
    static const char *const kinds[] = {"'type': 'longrope'", "'type': 'su'", "'type': 'yarn'",
                                        "'rope_type': 'longrope', 'type': 'su'"};
    for (size_t i = 0; i < 4; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 PHI3 ", 'original_max_position_embeddings': 20, 'rope_scaling': {%s, " LONG "}}", kinds[i]);
        struct model_description d = described(text);
        assert_int_equal(d.rotary.scaling, ROTARY_SCALING_LONGROPE);
        assert_number(d.rotary.attention_factor, sqrt(1 + log(5) / log(20)));
        assert_true(d.rotary.scaling_context == 20 && d.context == 100);
        assert_true(d.rotary.short_factor[3] == 2 && d.rotary.long_factor[1] == 2);
        description_deinit(&d);
    }
    assert_refused(PHI3 ", 'rope_scaling': {'type': 'longrope', 'short_factor': [1, 1, 1, 2]}}",
                   "long_factor|4");
    assert_refused(
        PHI3 ", 'rope_scaling': {'type': 'longrope', 'short_factor': [1, 1, 0, 2], 'long_factor': [1, 1, "
             "1, 1]}}",
        "short_factor");
    assert_refused(PHI3 ", 'rope_scaling': {'type': 'longrope', " LONG ", 'factor': 3}}", "factor|ratio");
    assert_refused(PHI3 ", 'rope_scaling': {'type': 'linear', 'factor': 3}}", "linear");
}

static void test_two_bases(void **state) {
    (void)state;
    struct model_description d =
        described(GEMMA3 ", 'rope_theta': 500, 'rope_scaling': {'rope_type': 'linear', 'factor': 8}}");
    assert_true(d.rotary.theta == 500 && d.rotary.scaling == ROTARY_SCALING_LINEAR);
    assert_true(d.local_rotary.theta == 10000 && d.local_rotary.scaling == ROTARY_SCALING_NONE);
    description_deinit(&d);
    d = described(GEMMA3 ", 'rope_parameters': {'full_attention': {'rope_theta': 7}, 'sliding_attention': "
                         "{'rope_type': 'linear', 'factor': 2}}}");
    assert_true(d.rotary.theta == 7 && d.local_rotary.theta == 10000 && d.local_rotary.factor == 2);
    description_deinit(&d);
    assert_refused(GEMMA3 ", 'rope_parameters': {'rope_theta': 7}}", "rope_parameters|full_attention");
}

static void test_interleaved(void **state) {
    (void)state;
    static const char *const interleaved[] = {"gptj", "codegen", "cohere", "cohere2"};
    for (size_t i = 0; i < 4; i++) {
        char text[64];
        struct error e = {0};
        struct model_description d;
        snprintf(text, sizeof text, "{'model_type': '%s'}", interleaved[i]);
        assert_ok(describe_text(text, &d, &e));
        assert_true(d.rotary.interleaved);
        assert_number(d.rotary.theta, 10000);
        description_deinit(&d);
    }
}

static void test_refused(void **state) {
    (void)state;
    assert_refused(NEOX ", 'rope_scaling': {'rope_type': 'yarn', 'factor': 4}}", "rope_scaling|yarn|linear");
    assert_refused(NEOX ", 'rope_parameters': {'rope_type': 'longrope', 'short_factor': [1]}}",
                   "rope_parameters|longrope");
    assert_refused(PHI ", 'rope_scaling': {'type': 'llama3', 'factor': 8}}", "llama3");
    assert_refused(PHI ", 'rope_scaling': {'factor': 8}}", "rope_scaling|rope_type");
    assert_refused(PHI ", 'rope_scaling': {'type': 'linear'}}", "rope_scaling|factor");
    assert_refused(PHI ", 'rope_scaling': {'type': 'linear', 'rope_type': 'dynamic', 'factor': 2}}",
                   "linear|dynamic|contradict");
    assert_refused(PHI ", 'rope_scaling': {'type': 'linear', 'factor': 0.5}}", "factor|0.5");
    assert_refused(PHI ", 'rope_scaling': {'type': 'linear', 'factor': 'x'}}", "factor|x");
    assert_refused(PHI ", 'rope_scaling': 'linear'}", "rope_scaling|object");
    assert_refused(PHI ", 'rope_scaling': {'type': 7}}", "type|7");
    assert_refused(PHI ", 'rope_theta': 0}", "rope_theta");
    assert_refused(PHI ", 'rope_theta': -5}", "rope_theta|-5");
    assert_refused(PHI ", 'rope_parameters': {'rope_theta': '10000'}}", "rope_parameters|rope_theta");
    assert_refused(PHI
                   ", 'rope_parameters': {'rope_theta': 1}, 'rope_scaling': {'type': 'linear', 'factor': 2}}",
                   "rope_parameters|rope_scaling");
    assert_refused(PHI ", 'partial_rotary_factor': 1.5}", "partial_rotary_factor|1.5");
    assert_refused(PHI ", 'partial_rotary_factor': 0}", "rotary dimensions");
    assert_refused(PHI ", 'partial_rotary_factor': 0.3}", "19 rotary dimensions");
    assert_refused(PHI ", 'partial_rotary_factor': 0.04, 'rope_scaling': {'type': 'dynamic', 'factor': 2}}",
                   "dynamic");
    assert_refused(NEOX ", 'rotary_pct': 0.3, 'rope_scaling': {'type': 'dynamic', 'factor': 2}}",
                   "dynamic|19");
    assert_refused(COHERE ", 'partial_rotary_factor': 0.5}", "partial_rotary_factor=0.5");
    assert_refused(COHERE ", 'rope_parameters': {'rope_type': 'default', 'partial_rotary_factor': 0.5}}",
                   "partial_rotary_factor=0.5");
    assert_refused("{'model_type': 'cohere2', 'rope_parameters': {'sliding_attention': {'rope_theta': 5}}}",
                   "rope_parameters|sliding_attention");
    assert_refused(NEMOTRON ", 'rope_scaling': {'type': 'linear', 'factor': 2}}",
                   "rope_scaling|rope_parameters");
    assert_refused("{'model_type': 'gptj', 'rotary_dim': null}", "rotary_dim");
    assert_refused("{'model_type': 'gptj', 'rotary_dim': 0}", "rotary_dim");
    assert_refused("{'model_type': 'gptj', 'rotary_dim': 7}", "7 rotary dimensions");
    assert_refused("{'model_type': 'codegen', 'rotary_dim': 1000}", "1000 rotary dimensions");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings), cmocka_unit_test(test_llama3),    cmocka_unit_test(test_yarn),
        cmocka_unit_test(test_longrope), cmocka_unit_test(test_two_bases), cmocka_unit_test(test_interleaved),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
