/* One block for one token at position 0, where attention is the value alone, against the folded linears in
 * double; and the order in which its linears run. */
#include "tests/unit/engine/forward/fixture.h"

#define F32_BOUND 1e-5

/* Buffers of one row in double. */
struct row {
    double stream[512], normed[512], qkv[2048], heads[1024], hidden[4096], added[512];
};

static double activate(enum activation activation, double x) {
    switch (activation) {
    case ACTIVATION_GELU:
        return x / 2 * (1 + erf(x / sqrt(2)));
    case ACTIVATION_GELU_TANH:
        return x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case ACTIVATION_SILU:
        return x / (1 + exp(-x));
    case ACTIVATION_RELU:
        return x > 0 ? x : 0;
    default:
        fail_msg("activation %d is in no case of this test", (int)activation);
        return 0;
    }
}

static void normalize(const struct folded_norm *norm, size_t width, const double *x, double *out) {
    if (norm->width)
        folded_norm_apply(norm, x, out);
    else
        memcpy(out, x, width * sizeof *out);
}

/* At position 0 each head attends to its own key/value head's value. */
static void attend(const struct model_description *d, struct row *row) {
    const double *values = row->qkv + (d->heads + d->kv_heads) * d->head_dim;
    size_t group = d->heads / d->kv_heads;
    for (size_t h = 0; h < d->heads; h++)
        memcpy(row->heads + h * d->head_dim, values + h / group * d->head_dim, d->head_dim * sizeof(double));
}

static void add_attention(const struct model_description *d, struct folded_layer *layer, struct row *row) {
    fixture_apply(&layer->qkv, row->normed, row->qkv);
    attend(d, row);
    fixture_apply(&layer->attention.output, row->heads, row->added);
}

static void run_mlp(const struct model_description *d, struct folded_layer *layer, struct row *row,
                    double *added) {
    fixture_apply(&layer->up, row->normed, row->hidden);
    for (size_t i = 0; i < d->mlp_width; i++) {
        double x = activate(d->activation, row->hidden[i]);
        row->hidden[i] = d->gated ? x * row->hidden[d->mlp_width + i] : x;
    }
    fixture_apply(&layer->mlp.output, row->hidden, added);
}

static void expected_block(struct fixture *f, struct row *row) {
    const struct model_description *d = &f->place.description;
    struct folded_layer *layer = &f->place.folded.layers[0];
    size_t width = f->place.folded.stream_width;
    double added[512];
    normalize(&layer->attention.norm, width, row->stream, row->normed);
    add_attention(d, layer, row);
    if (d->residual == RESIDUAL_SEQUENTIAL) {
        for (size_t i = 0; i < width; i++) row->stream[i] += row->added[i];
        memset(row->added, 0, sizeof row->added);
    }
    if (d->residual != RESIDUAL_PARALLEL_ONE_NORM)
        normalize(&layer->mlp.norm, width, row->stream, row->normed);
    run_mlp(d, layer, row, added);
    for (size_t i = 0; i < width; i++) row->stream[i] += row->added[i] + added[i];
}

static void check_block(const char *folder, enum norm_form form) {
    struct fixture f;
    static struct row row;
    fixture_init(&f, folder, form);
    size_t width = f.place.folded.stream_width;
    assert_true(width <= 512 && f.place.description.mlp_width <= 2048 &&
                (f.place.description.heads + 2 * f.place.description.kv_heads) *
                        f.place.description.head_dim <=
                    2048);
    fixture_plan(&f, 1, (size_t[]){0}, (size_t[]){1}, (size_t[]){1});
    for (size_t i = 0; i < width; i++) row.stream[i] = f.forward->stream[i] = fixture_number(i);
    if (f.forward->angle_stride) rotary_prepare(f.forward);
    attention_plan(f.forward);
    block_run(f.forward, 0);
    assert_int_equal(f.forward->order_at, F32_BLOCK_LINEARS);
    expected_block(&f, &row);
    double difference = fixture_difference(f.forward->stream, row.stream, width);
    print_message("  %s, %s: %.2g\n", folder, norm_form_name(form), difference);
    assert_true(difference < F32_BOUND);
    fixture_deinit(&f);
}

/* Sequential, parallel with one norm and with two, gated, grouped heads. */
static void test_a_block_is_its_definition(void **state) {
    (void)state;
    static const char *const folders[] = {
        "tests/golden/families/gpt2",     "tests/golden/families/gptj",
        "tests/golden/families/gpt_neox", "tests/golden/families/starcoder2",
        "tests/golden/families/stablelm", "tests/golden/families/opt"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        for (enum norm_form form = NORM_FORM_LAYERNORM; form < NORM_FORM_COUNT; form++)
            check_block(folders[i], form);
}

static void expect_order(const char *folder, bool parallel) {
    struct fixture f;
    const struct packed_linear *order[BLOCK_LINEARS];
    fixture_init(&f, folder, NORM_FORM_CRMSNORM);
    const struct packed_layer *layer = &f.packed.layers[1];
    assert_int_equal(block_order(f.forward, 1, order), F32_BLOCK_LINEARS);
    assert_ptr_equal(order[0], &layer->qkv);
    assert_ptr_equal(order[1], parallel ? &layer->up : &layer->attention.output);
    assert_ptr_equal(order[2], parallel ? &layer->attention.output : &layer->up);
    assert_ptr_equal(order[3], &layer->mlp.output);
    fixture_deinit(&f);
}

/* What is prefetched is what runs next. */
static void test_order_of_linears(void **state) {
    (void)state;
    expect_order("tests/golden/families/gpt2", false);
    expect_order("tests/golden/families/gpt_neox", true);
}

/* Other sequences in the step, and other rows of the same, leave a row's bits as they are. */
static void test_a_row_has_the_same_bits_in_company(void **state) {
    (void)state;
    struct fixture f;
    static float alone[512];
    fixture_init(&f, "tests/golden/families/gpt_neox", NORM_FORM_CRMSNORM);
    size_t width = f.place.folded.stream_width;
    for (size_t company = 0; company < 2; company++) {
        fixture_plan(&f, company ? 3 : 1, (size_t[]){0, 0, 0}, (size_t[]){1, 30, 4}, (size_t[]){0, 0, 0});
        for (size_t r = 0; r < f.forward->row_count; r++)
            for (size_t i = 0; i < width; i++)
                f.forward->stream[r * f.forward->stream_stride + i] = fixture_number(1000 * r + i);
        rotary_prepare(f.forward);
        attention_plan(f.forward);
        block_run(f.forward, 0);
        if (!company) memcpy(alone, f.forward->stream, width * sizeof(float));
    }
    assert_memory_equal(alone, f.forward->stream, width * sizeof(float));
    fixture_deinit(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_block_is_its_definition),
        cmocka_unit_test(test_order_of_linears),
        cmocka_unit_test(test_a_row_has_the_same_bits_in_company),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
