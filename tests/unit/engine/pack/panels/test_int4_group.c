/* The levels that a group of int4 weights is given: always a byte each, exact where the weights are levels,
 * and better than sixteen levels about zero. */
#include "engine/pack/panels/int4_group.h"

#include <math.h>

#include "tests/kernels/kernel_test.h"

/* One row's group. */
struct int4_group {
    float x[KERNEL_INT4_GROUP];
    int8_t q[KERNEL_INT4_GROUP], m, c;
};

/* Beside groups of other rows, which must make no difference. */
static void int4_group_fit(struct int4_group *group) {
    static struct random r = {77};
    struct int4_groups groups;
    const size_t row = random_below(&r, INT4_ROWS);
    for (size_t i = 0; i < KERNEL_INT4_GROUP; i++) {
        for (size_t n = 0; n < INT4_ROWS; n++) groups.x[i][n] = 127 * random_float(&r);
        groups.x[i][row] = group->x[i];
    }
    int4_groups_fit(&groups);
    for (size_t i = 0; i < KERNEL_INT4_GROUP; i++) group->q[i] = (int8_t)groups.q[i][row];
    group->m = (int8_t)groups.m[row], group->c = (int8_t)groups.c[row];
}

static int value_of(const struct int4_group *group, size_t i) {
    return group->m * group->q[i] + group->c;
}

static void assert_is_stored(const struct int4_group *group) {
    assert_in_range(group->m, 1, 16);
    for (size_t i = 0; i < KERNEL_INT4_GROUP; i++) {
        assert_true(group->q[i] >= -8 && group->q[i] <= 7);
        assert_true(abs(value_of(group, i)) <= 127);
    }
}

static double squared_error(const struct int4_group *group) {
    double sum = 0;
    for (size_t i = 0; i < KERNEL_INT4_GROUP; i++) {
        const double error = (double)group->x[i] - value_of(group, i);
        sum += error * error;
    }
    return sum;
}

static void test_levels_are_exact(void **state) {
    (void)state;
    struct random r = {1};
    for (int m = 1; m <= 16; m++)
        for (int c = 8 * m - 127; c <= 127 - 7 * m; c++) {
            struct int4_group group;
            for (size_t i = 0; i < KERNEL_INT4_GROUP; i++)
                group.x[i] = (float)(m * ((int)random_below(&r, 16) - 8) + c);
            group.x[3] = (float)(c - 8 * m), group.x[20] = (float)(c + 7 * m);
            int4_group_fit(&group);
            assert_is_stored(&group);
            if (squared_error(&group) != 0) fail_msg("step %d, centre %d", m, c);
        }
}

static void test_any_group_is_stored(void **state) {
    (void)state;
    struct random r = {2};
    static const float extremes[] = {-127, 127, 0, 1e-30f, -0.0f, 126.5f, -64.5f};
    for (int round = 0; round < 20000; round++) {
        struct int4_group group;
        const float width = 127 * random_float(&r),
                    about = (127 - (width < 0 ? -width : width)) * random_float(&r);
        for (size_t i = 0; i < KERNEL_INT4_GROUP; i++) {
            group.x[i] = about + width * random_float(&r);
            if (round % 4 == 0) group.x[i] = extremes[random_below(&r, sizeof extremes / sizeof *extremes)];
            if (round % 4 == 1) group.x[i] = about;
        }
        int4_group_fit(&group);
        assert_is_stored(&group);
    }
}

/* Sixteen levels from -8 to 7 with a step of any size, chosen so that the largest weight is the last level. */
static double plain_error(const struct int4_group *group) {
    double extreme = 0, sum = 0;
    for (size_t i = 0; i < KERNEL_INT4_GROUP; i++)
        if (fabs((double)group->x[i]) > fabs(extreme)) extreme = (double)group->x[i];
    for (size_t i = 0; i < KERNEL_INT4_GROUP; i++) {
        const double step = extreme / -8, level = fmin(7, fmax(-8, rint((double)group->x[i] / step)));
        sum += pow((double)group->x[i] - level * step, 2);
    }
    return sum;
}

static void test_error_is_smaller_than_about_zero(void **state) {
    (void)state;
    struct random r = {3};
    double found = 0, plain = 0;
    for (int round = 0; round < 2000; round++) {
        struct int4_group group;
        for (size_t i = 0; i < KERNEL_INT4_GROUP; i++) { /* nearly normal */
            group.x[i] = 0;
            for (int part = 0; part < 6; part++) group.x[i] += 20 * random_float(&r);
        }
        int4_group_fit(&group);
        found += squared_error(&group);
        plain += plain_error(&group);
    }
    /* 0.75 of it */
    if (!(found < 0.8 * plain)) fail_msg("%g of %g", found, plain);
}

/* ---- the definition, a group at a time ---- */

static float clamped(float value, float least, float most) {
    value = value < least ? least : value;
    return value > most ? most : value;
}

static float level_of(float x, float inverse_m, float c) {
    return rintf(clamped((x - c) * inverse_m, -8, 7));
}

static float lane_error(const float *x, float m, float c) {
    float lanes[8] = {0}, sum = 0;
    for (size_t i = 0; i < KERNEL_INT4_GROUP; i++) {
        const float error = x[i] - (m * level_of(x[i], 1 / m, c) + c);
        lanes[i % 8] += error * error;
    }
    for (size_t lane = 0; lane < 8; lane++) sum += lanes[lane];
    return sum;
}

static void fit_plainly(struct int4_group *group) {
    float low = group->x[0], high = low, least = INFINITY, best_m = 1, best_c = 0;
    for (size_t i = 1; i < KERNEL_INT4_GROUP; i++)
        low = fminf(low, group->x[i]), high = fmaxf(high, group->x[i]);
    for (int wider = -1; wider <= 1; wider++)
        for (int by = -2; by <= 2; by++) {
            const float m = clamped(rintf(0.95f * (high - low) / 15) + (float)wider, 1, 16);
            const float shift = m < 4 ? 1 : rintf(m / 4);
            const float c =
                clamped(rintf((low + high + m) / 2) + shift * (float)by, 8 * m - 127, 127 - 7 * m);
            const float error = lane_error(group->x, m, c);
            if (error >= least) continue;
            least = error, best_m = m, best_c = c;
        }
    group->m = (int8_t)best_m, group->c = (int8_t)best_c;
    for (size_t i = 0; i < KERNEL_INT4_GROUP; i++)
        group->q[i] = (int8_t)level_of(group->x[i], 1 / best_m, best_c);
}

/* Files that are converted anew stay the same. */
static void test_bits_are_those_of_the_definition(void **state) {
    (void)state;
    struct random r = {4};
    for (int round = 0; round < 5000; round++) {
        struct int4_group found, expected;
        const float width = round % 2 ? 127 : (float)random_below(&r, 127);
        for (size_t i = 0; i < KERNEL_INT4_GROUP; i++) {
            found.x[i] = width * random_float(&r);
            if (round % 3 == 0) found.x[i] = rintf(found.x[i]);
        }
        expected = found;
        int4_group_fit(&found);
        fit_plainly(&expected);
        assert_int_equal(found.m, expected.m);
        assert_int_equal(found.c, expected.c);
        assert_memory_equal(found.q, expected.q, sizeof found.q);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels_are_exact),
        cmocka_unit_test(test_any_group_is_stored),
        cmocka_unit_test(test_error_is_smaller_than_about_zero),
        cmocka_unit_test(test_bits_are_those_of_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
