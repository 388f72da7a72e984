#include "tests/support/test_support.h"

#include <math.h>

#include "engine/sample/selection.h"

static int best_first(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? 1 : -1;
    return x->id < y->id ? -1 : 1;
}

/* Against a full sort, with many ties. */
static void equals_a_full_sort(void **state) {
    (void)state;
    srand(1);
    for (int round = 0; round < 500; round++) {
        float row[300];
        struct candidate all[300], out[300];
        size_t count = 1 + (size_t)rand() % 300, wanted = (size_t)rand() % 301, finite = 0;
        int values = 1 + rand() % 400;
        for (size_t i = 0; i < count; i++) {
            row[i] = rand() % 10 == 0 ? -INFINITY : (float)(rand() % values);
            if (row[i] > -INFINITY) all[finite++] = (struct candidate){row[i], (int32_t)i};
        }
        qsort(all, finite, sizeof *all, best_first);
        size_t got = selection_best(row, count, wanted, out);
        assert_int_equal(got, finite < wanted ? finite : wanted);
        for (size_t i = 0; i < got; i++) {
            assert_int_equal(out[i].id, all[i].id);
            assert_true(out[i].value == all[i].value);
        }
    }
}

static void leaves_nan_and_minus_infinity_out(void **state) {
    (void)state;
    const float row[] = {NAN, -INFINITY, 2, NAN, 1, -INFINITY};
    struct candidate out[6];
    assert_int_equal(selection_best(row, 6, 6, out), 2);
    assert_int_equal(out[0].id, 2);
    assert_int_equal(out[1].id, 4);
    assert_int_equal(selection_best(row, 2, 2, out), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_a_full_sort),
                                       cmocka_unit_test(leaves_nan_and_minus_infinity_out)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
