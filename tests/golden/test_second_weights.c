/* Drafts are made by a second pass over the cache of the first: in other weights and another form of the norms, and yet
 * with the same keys and values. */
#include "engine/loaded/second_weights.h"

#include <math.h>

#include "engine/forward/forward.h"
#include "tests/support/test_support.h"

static struct workers *workers;

enum { TOKENS = 24, PAGE_TOKENS = 16, CONTEXT_PAGES = 2 };

static struct forward *pass_of(const struct packed_model *packed, const struct kv_pool *pool) {
    const struct kernel_table *kernels;
    struct forward *forward;
    struct error e;
    const struct forward_limits limits = {.rows_max = TOKENS, .logit_rows_max = 1, .entries_max = 1};
    assert_ok(kernel_select(KERNEL_ISA_AUTO, &kernels, &e));
    assert_ok(forward_create(packed, pool, kernels, workers, &limits, &forward, &e));
    return forward;
}

static const float *step(struct forward *f, const struct kv_table *table, const int32_t *tokens, size_t first,
                         size_t count) {
    const struct step_entry entry = {.table = table,
                                     .tokens = tokens + first,
                                     .first_position = first,
                                     .count = count,
                                     .logit_rows = 1,
                                     .rotary_length = forward_rotary_length(f, TOKENS)};
    forward_step(f, &entry, 1);
    return forward_logits(f, 0);
}

/* The last row by the second weights, over keys and values of the first, is nearly that of the first: the two are in
 * other bases, but not their heads. */
static void keys_and_values_are_those_of_the_model(void **state) {
    (void)state;
    struct loaded_model m;
    struct second_weights s;
    struct kv_pool pool;
    struct kv_table table;
    struct error e;
    int32_t tokens[TOKENS];
    for (size_t i = 0; i < TOKENS; i++) tokens[i] = (int32_t)(300 + 37 * i);
    const struct loaded_model_options options = {.model = test_source_path("deploy/models/tales"),
                                                 .form = NORM_FORM_CRMSNORM};
    assert_ok(workers_create(2, &workers, &e));
    assert_ok(loaded_model_init(&m, &options, workers, &e));
    assert_ok(second_weights_init(&s, &m, WEIGHT_TYPE_BF16, workers, NULL, NULL, &e));
    const struct model_description *d = &m.description;
    const struct kv_layout layout = {d->layers, d->kv_heads, d->head_dim, PAGE_TOKENS, KV_TYPE_F32};
    assert_ok(kv_pool_init(&pool, &layout, CONTEXT_PAGES, &e));
    assert_ok(kv_table_init(&table, CONTEXT_PAGES, &e));
    assert_int_equal(kv_table_reserve(&table, &pool, TOKENS), STATUS_OK);
    struct forward *first = pass_of(&m.packed, &pool), *second = pass_of(&s.packed, &pool);
    const float *right = step(first, &table, tokens, 0, TOKENS);
    const float *near = step(second, &table, tokens, TOKENS - 1, 1);
    double error = 0, size = 0;
    for (size_t i = 0; i < d->vocabulary; i++) {
        error += pow((double)near[i] - (double)right[i], 2);
        size += pow((double)right[i], 2);
    }
    assert_true(size > 0 && error < 1e-4 * size);
    forward_destroy(first);
    forward_destroy(second);
    kv_table_shrink(&table, &pool, 0);
    kv_table_deinit(&table);
    kv_pool_deinit(&pool);
    second_weights_deinit(&s);
    loaded_model_deinit(&m);
    workers_destroy(workers);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(keys_and_values_are_those_of_the_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
