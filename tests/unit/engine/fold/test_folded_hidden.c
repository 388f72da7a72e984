/* The way back is exact: the stream of a token, whatever the form stores of it, gives the hidden state that the untouched
 * form gives, to the rounding of doubles. With whole models it is tests/golden/test_hidden_states.c. */
#include <math.h>

#include "tests/support/folded_place.h"

enum { TOKENS = 20, WIDTH_MAX = 256 };

/* What the head would read if there were no layers. */
static void hidden_of_embeddings(const char *folder, enum norm_form form, bool rotated,
                                 double out[TOKENS][WIDTH_MAX], size_t *width) {
    struct folded_place p;
    folded_place_init(&p, test_source_path(folder), form);
    if (rotated) folded_model_rotate(&p.folded);
    double *scratch = malloc(folded_embedding_scratch(&p.folded) * sizeof *scratch);
    *width = p.description.width;
    assert_true(*width <= WIDTH_MAX);
    for (size_t i = 0; i < TOKENS; i++) {
        for (size_t k = 0; k < WIDTH_MAX; k++) out[i][k] = NAN; /* what the form does not store is not read */
        folded_embedding(&p.folded, i, i, out[i], scratch);
        folded_hidden(&p.folded, out[i], NULL);
    }
    free(scratch);
    folded_place_deinit(&p);
}

static void check(const char *folder, enum norm_form form, bool rotated) {
    static double untouched[TOKENS][WIDTH_MAX], found[TOKENS][WIDTH_MAX];
    size_t width, same_width;
    hidden_of_embeddings(folder, NORM_FORM_LAYERNORM, false, untouched, &width);
    hidden_of_embeddings(folder, form, rotated, found, &same_width);
    assert_int_equal(width, same_width);
    for (size_t i = 0; i < TOKENS; i++)
        for (size_t k = 0; k < width; k++)
            if (!(fabs(found[i][k] - untouched[i][k]) <= 1e-12))
                fail_msg("%s, %s%s: token %zu, entry %zu: %.17g, untouched %.17g", folder,
                         norm_form_name(form), rotated ? " rotated" : "", i, k, found[i][k], untouched[i][k]);
}

static void test_layernorm(void **state) {
    (void)state;
    static const char *const folders[] = {"tests/golden/families/gpt2", "tests/golden/families/gpt_neox",
                                          "tests/golden/families/xglm-odd-width"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        check(folders[i], NORM_FORM_RMSNORM, false);
        check(folders[i], NORM_FORM_CRMSNORM, false);
        check(folders[i], NORM_FORM_ORTHONORMAL, false);
        check(folders[i], NORM_FORM_RMSNORM, true);
        check(folders[i], NORM_FORM_ORTHONORMAL, true);
    }
}

static void test_rmsnorm(void **state) {
    (void)state;
    check("tests/golden/families/llama-llama3", NORM_FORM_RMSNORM, false);
    check("tests/golden/families/llama-llama3", NORM_FORM_RMSNORM, true);
    check("tests/golden/families/gemma2-caps", NORM_FORM_RMSNORM, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_layernorm), cmocka_unit_test(test_rmsnorm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
