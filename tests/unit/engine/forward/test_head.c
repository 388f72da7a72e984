/* From the residual stream to logits: which rows, in which order, against the folded head in double. */
#include "tests/unit/engine/forward/fixture.h"

static const size_t firsts[] = {0, 3, 8}, counts[] = {6, 1, 5}, logits[] = {2, 0, 5};

/* Rows that are asked for have numbers, the others are poisoned. */
static void fill_stream(const struct fixture *f) {
    const struct forward *forward = f->forward;
    for (size_t i = 0; i < forward->entry_count; i++)
        for (size_t r = forward->first_row[i]; r < forward->first_row[i + 1]; r++) {
            bool wanted = r >= forward->first_row[i + 1] - f->entries[i].logit_rows;
            for (size_t k = 0; k < f->place.folded.stream_width; k++)
                forward->stream[r * forward->stream_stride + k] = wanted ? fixture_number(r * 1000 + k) : NAN;
        }
}

static void expect_logits(struct fixture *f, size_t logit, size_t row) {
    size_t width = f->place.folded.stream_width, rows = f->place.folded.head.out;
    double *x = calloc(width, sizeof *x), *expected = calloc(rows, sizeof *expected);
    for (size_t k = 0; k < width; k++) x[k] = f->forward->stream[row * f->forward->stream_stride + k];
    if (f->place.folded.final_norm.width) folded_norm_apply(&f->place.folded.final_norm, x, x);
    fixture_apply(&f->place.folded.head, x, expected);
    double difference = fixture_difference(forward_logits(f->forward, logit), expected, rows);
    assert_true(difference < 1e-5);
    free(x);
    free(expected);
}

static void check_head(const char *folder, enum norm_form form) {
    struct fixture f;
    fixture_init(&f, folder, form);
    assert_int_equal(f.packed.project_out.out, 0);
    fixture_plan(&f, 3, firsts, counts, logits);
    fill_stream(&f);
    f.forward->order_at = f.place.description.layers * F32_BLOCK_LINEARS;
    head_run(f.forward);
    expect_logits(&f, 0, 4);
    expect_logits(&f, 1, 5);
    for (size_t i = 0; i < 5; i++) expect_logits(&f, 2 + i, 7 + i);
    fixture_deinit(&f);
}

static void test_only_rows_that_were_asked_for(void **state) {
    (void)state;
    static const char *const folders[] = {"tests/golden/families/gpt2", "tests/golden/families/gptj",
                                          "tests/golden/families/cohere"};
    for (size_t i = 0; i < 3; i++)
        for (enum norm_form form = NORM_FORM_LAYERNORM; form < NORM_FORM_COUNT; form++)
            check_head(folders[i], form);
}

static void test_no_rows_cost_nothing(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, "tests/golden/families/gpt2", NORM_FORM_CRMSNORM);
    fixture_plan(&f, 2, firsts, counts, (size_t[]){0, 0});
    f.forward->order_at = f.place.description.layers * F32_BLOCK_LINEARS;
    f.forward->logits[0] = 42;
    head_run(f.forward);
    assert_true(f.forward->logits[0] == 42);
    assert_int_equal(f.forward->order_at, f.place.description.layers * F32_BLOCK_LINEARS);
    fixture_deinit(&f);
}

static void test_order_of_linears(void **state) {
    (void)state;
    struct fixture f;
    const struct packed_linear *order[HEAD_LINEARS] = {0};
    fixture_init(&f, "tests/golden/families/opt-proj", NORM_FORM_CRMSNORM);
    head_order(f.forward, order);
    assert_ptr_equal(order[0], &f.packed.project_out);
    assert_ptr_equal(order[1], &f.packed.head);
    fixture_deinit(&f);
    fixture_init(&f, "tests/golden/families/gpt2", NORM_FORM_CRMSNORM);
    head_order(f.forward, order);
    assert_ptr_equal(order[0], &f.packed.head);
    f.packed.common.out = KERNEL_PANEL; /* beside int8 */
    head_order(f.forward, order);
    assert_ptr_equal(order[0], &f.packed.common);
    assert_ptr_equal(order[1], &f.packed.head);
    fixture_deinit(&f);
}

/* Of the sums that OpenBLAS leaves to the epilogue, which own kernels need none of. */
static size_t sums_bytes(struct fixture *f) {
    const struct forward_limits limits = {
        .rows_max = ROWS_MAX, .logit_rows_max = ROWS_MAX, .entries_max = ENTRIES_MAX};
    f->packed.matmul = MATMUL_OPENBLAS;
    size_t bytes = forward_memory_bytes(&f->packed, f->workers, &limits);
    f->packed.matmul = MATMUL_OWN;
    return bytes - forward_memory_bytes(&f->packed, f->workers, &limits);
}

static void test_sums_have_room_for_the_widest_linear(void **state) {
    (void)state;
    enum { WIDE = 4096 };
    struct fixture f;
    fixture_init(&f, "tests/golden/families/opt-wide-embedding", NORM_FORM_CRMSNORM);
    struct packed_layer *last = &f.packed.layers[f.place.description.layers - 1];
    struct packed_linear *const linears[] = {&last->qkv,        &last->attention.output, &last->up,
                                             &last->mlp.output, &f.packed.project_out,   &f.packed.head};
    for (size_t i = 0; i < sizeof linears / sizeof *linears; i++) {
        const size_t out = linears[i]->out;
        linears[i]->out = WIDE;
        assert_int_equal(sums_bytes(&f), ROWS_MAX * WIDE * sizeof(float));
        linears[i]->out = out;
    }
    fixture_deinit(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_rows_that_were_asked_for),
        cmocka_unit_test(test_no_rows_cost_nothing),
        cmocka_unit_test(test_order_of_linears),
        cmocka_unit_test(test_sums_have_room_for_the_widest_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
