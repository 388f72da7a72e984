/* The prenorm format: what its keys mean, and what is refused by name because it would say something that is not
 * done. That the numbers are right is checked by tests/golden/placements. */
#include "tests/unit/engine/model/describe_text.h"

#define SIZES                                                                                                \
    "'model_type': 'prenorm', 'vocab_size': 100, 'hidden_size': 24, 'intermediate_size': 64, "               \
    "'num_attention_heads': 4, 'num_hidden_layers': 3, 'max_position_embeddings': 32"
#define WITH(...) "{" SIZES ", " __VA_ARGS__ "}"

static void test_defaults(void **state) {
    (void)state;
    struct model_description d = described("{" SIZES "}");
    assert_int_equal(d.placement, PLACEMENT_PRE);
    assert_int_equal(d.norm_type, NORM_TYPE_LAYERNORM);
    assert_int_equal(d.position, POSITION_LEARNED);
    assert_true(d.final_norm && d.tied && !d.gated && !d.embedding_norm);
    assert_int_equal(d.head_dim, 6);
    assert_int_equal(d.kv_heads, 4);
    assert_number(d.residual_alpha, 1);
    assert_number(d.embedding_scale, 1);
    description_deinit(&d);
}

static void test_sizes_and_embedding(void **state) {
    (void)state;
    struct model_description d = described(
        WITH("'gated_mlp': true, 'num_key_value_heads': 2, 'head_dim': 10, 'embedding_scale': 4.5, "
             "'embedding_norm': true, 'position_embedding_type': 'sinusoidal', 'position_offset': 2"));
    assert_true(d.gated && d.embedding_norm);
    assert_int_equal(d.kv_heads, 2);
    assert_int_equal(d.head_dim, 10);
    assert_number(d.embedding_scale, 4.5);
    assert_int_equal(d.position, POSITION_SINUSOIDAL_HALVES);
    assert_int_equal(d.position_offset, 2);
    description_deinit(&d);
    static const struct {
        const char *text;
        enum position_kind kind;
    } kinds[] = {{WITH("'position_embedding_type': 'none'"), POSITION_NONE},
                 {WITH("'position_embedding_type': 'alibi'"), POSITION_ALIBI},
                 {WITH("'position_embedding_type': 'rotary', 'rope_theta': 500"), POSITION_ROTARY}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        d = described(kinds[i].text);
        assert_int_equal(d.position, kinds[i].kind);
        if (kinds[i].kind == POSITION_ROTARY) assert_number(d.rotary.theta, 500);
        description_deinit(&d);
    }
}

static void test_a_list_of_placements(void **state) {
    (void)state;
    struct model_description d =
        described(WITH("'norm_placement': ['deepnorm', 'post', 'sandwich'], 'gpas': true"));
    assert_int_equal(d.placement, PLACEMENT_MIXED);
    assert_string_equal(placement_name(d.placement), "mixed");
    assert_int_equal(d.layer[0].placement, PLACEMENT_DEEPNORM);
    assert_int_equal(d.layer[1].placement, PLACEMENT_POST);
    assert_int_equal(d.layer[2].placement, PLACEMENT_SANDWICH);
    assert_number(d.deepnorm_alpha, pow(6, 0.25));
    assert_int_equal(description_converts_from(&d), 2);
    assert_true(description_converts(&d) && d.final_norm);
    assert_false(description_has_norm(&d, 0, WEIGHT_MLP_POST_NORM));
    assert_true(description_has_norm(&d, 2, WEIGHT_MLP_POST_NORM));
    description_deinit(&d);
    d = described(WITH("'norm_placement': ['pre', 'pre', 'pre']")); /* a list of one name is that name */
    assert_int_equal(d.placement, PLACEMENT_PRE);
    description_deinit(&d);
    d = described(WITH("'norm_placement': ['pre', 'pre', 'post']"));
    assert_false(description_converts(&d) || d.final_norm);
    description_deinit(&d);
}

static void test_norms_that_are_absent(void **state) {
    (void)state;
    struct model_description d =
        described(WITH("'norm_placement': 'normformer', 'attn_post_norm': false, 'mlp_inner_norm': true, "
                       "'attn_inner_norm': false"));
    assert_int_equal(d.norms_left_out, WEIGHT_BIT(ATTENTION_POST_NORM));
    assert_false(description_has_norm(&d, 1, WEIGHT_ATTENTION_POST_NORM));
    assert_true(description_has_norm(&d, 1, WEIGHT_MLP_INNER_NORM));
    description_deinit(&d);
    assert_refused(WITH("'attn_post_norm': true"), "attn_post_norm=true|contradicts|pre");
    assert_refused(WITH("'norm_placement': 'sandwich', 'attn_post_norm': false"), "attn_post_norm=false");
    assert_refused(WITH("'norm_placement': 'normformer', 'attn_inner_norm': true"), "attn_inner_norm=true");
}

/* A key that a placement does not read would say something that is not done. */
static void test_keys_of_other_placements(void **state) {
    (void)state;
    static const struct refusal refusals[] = {
        {WITH("'residual_alpha': 2, 'norm_placement': 'post'"), "residual_alpha belongs to|sandwich"},
        {WITH("'deepnorm_alpha': 2"), "deepnorm_alpha belongs to norm_placement=deepnorm"},
        {WITH("'head_scale': 'paper'"), "head_scale belongs to norm_placement=normformer"},
        {WITH("'residual_scale': true"), "residual_scale belongs to norm_placement=normformer"},
        {WITH("'dual_scale': 2"), "dual_scale belongs to norm_placement=residual_dual"},
        {WITH("'rope_theta': 1000"), "rope_theta belongs to|rotary"},
        {WITH("'position_embedding_type': 'alibi', 'position_offset': 2"),
         "position_offset belongs to|learned"},
        {WITH("'norm_placement': 'keel'"), "keel needs residual_alpha"},
        {WITH("'residual_alpha': 0"), "residual_alpha|0"},
    };
    assert_each_refused(refusals, sizeof refusals / sizeof *refusals);
}

static void test_placements_that_are_refused(void **state) {
    (void)state;
    static const struct refusal refusals[] = {
        {WITH("'norm_placement': 'peri'"), "norm_placement=\"peri\"|sandwich|list"},
        {WITH("'norm_placement': 3"), "norm_placement|expected pre"},
        {WITH("'norm_placement': ['pre', 'post']"), "2 names|3 layers"},
        {WITH("'norm_placement': []"), "0 names|3 layers"},
        {WITH("'norm_placement': ['pre', 'sub_ln', 'pre']"), "norm_placement[1]=\"sub_ln\"|list"},
        {WITH("'norm_placement': ['pre', 'pre', 7]"), "norm_placement[2]"},
        {WITH("'norm_placement': 'residual_dual', 'gpas': true"), "residual_dual|gpas"},
        {WITH("'norm_placement': 'output', 'gpas': true"), "output|gpas"},
        {WITH("'norm_placement': 'residual_dual', 'final_norm': false"), "residual_dual|final_norm"},
        {WITH("'norm_type': 'crmsnorm', 'norm_placement': 'sandwich'"), "crmsnorm needs|pre"},
        {WITH("'norm_type': 'rmsnorm', 'norm_placement': 'residual_dual'"), "needs norm_type=layernorm"},
    };
    assert_each_refused(refusals, sizeof refusals / sizeof *refusals);
}

/* What the authors' code can do and the format can't say; a switch that is off is nothing. */
static void test_features_that_are_refused(void **state) {
    (void)state;
    static const struct refusal refusals[] = {
        {WITH("'position_embedding_type': 'xpos'"), "xPos"},
        {WITH("'position_embedding_type': 'T5'"), "T5's relative position bias"},
        {WITH("'position_embedding_type': 'relative_bias'"), "T5's relative position bias"},
        {WITH("'position_embedding_type': 'none at all'"), "one of learned, rotary, none, alibi, sinusoidal"},
        {WITH("'xpos_rel_pos': true"), "xpos_rel_pos|xPos"},
        {WITH("'rel_pos_buckets': 32"), "T5's relative position bias"},
        {WITH("'adaptive_softmax_cutoff': '4000,20000'"), "adaptive softmax"},
        {WITH("'cross_attention': true"), "cross-attention"},
        {WITH("'multiway': true"), "multiway"},
        {WITH("'moe_freq': 2"), "mixture of experts"},
        {WITH("'num_experts': 8"), "mixture of experts"},
    };
    assert_each_refused(refusals, sizeof refusals / sizeof *refusals);
    struct model_description d = described(
        WITH("'xpos_rel_pos': false, 'rel_pos_buckets': 0, 'adaptive_softmax_cutoff': '', 'multiway': null"));
    description_deinit(&d);
}

/* Unknown keys are an error, whatever they are; what other tools write into any config is known. */
static void test_unknown_keys(void **state) {
    (void)state;
    assert_refused(WITH("'rms_norm_eps': 1e-6"), "rms_norm_eps");
    assert_refused(WITH("'no_such_key': 0"), "no_such_key");
    struct model_description d =
        described(WITH("'architectures': ['PrenormForCausalLM'], 'transformers_version': '4.57.6', "
                       "'torch_dtype': 'float32', 'use_cache': true, 'initializer_range': 0.02"));
    description_deinit(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_sizes_and_embedding),
        cmocka_unit_test(test_a_list_of_placements),
        cmocka_unit_test(test_norms_that_are_absent),
        cmocka_unit_test(test_keys_of_other_placements),
        cmocka_unit_test(test_placements_that_are_refused),
        cmocka_unit_test(test_features_that_are_refused),
        cmocka_unit_test(test_unknown_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
