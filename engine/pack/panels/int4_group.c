/* Quantization of groups of weights to int4. This is most of the time that packing takes: it is compiled as if all
 * numbers were finite, which they are, since only so the compiler vectorizes it. */
#include "engine/pack/panels/int4_group.h"

#include <float.h>

#include "engine/pack/panels/rounding.h"

/* Sums of a group, of index modulo 8, which are then added one by one: the order that files were written with. */
#define SUMS 8

/* A number of each row. */
struct lanes {
    float at[INT4_ROWS];
};

/* Kept a loop, since only as one it becomes vectors: unrolled, rows are mixed with each other. */
#if defined __clang__
#define EACH_ROW(n) _Pragma("clang loop unroll(disable)") for (size_t n = 0; n < INT4_ROWS; n++)
#else
#define EACH_ROW(n) _Pragma("GCC unroll 1") for (size_t n = 0; n < INT4_ROWS; n++)
#endif

/* The nearest level of x, before it is multiplied by m and moved by c. */
WIDEST_INLINE float level_of(float x, float inverse_m, float c) {
    return rounded(clamped((x - c) * inverse_m, -8, 7));
}

WIDEST_INLINE void squared_errors(const struct int4_groups *g, const struct lanes *m, const struct lanes *c,
                                  struct lanes *errors) {
    struct lanes inverse, sum = {{0}};
    EACH_ROW(n) inverse.at[n] = 1 / m->at[n];
    for (size_t first = 0; first < SUMS; first++) {
        struct lanes part = {{0}};
        for (size_t i = first; i < KERNEL_INT4_GROUP; i += SUMS) EACH_ROW(n) {
                const float level = level_of(g->x[i][n], inverse.at[n], c->at[n]);
                const float error = g->x[i][n] - (m->at[n] * level + c->at[n]);
                part.at[n] += error * error;
            }
        EACH_ROW(n) sum.at[n] += part.at[n];
    }
    *errors = sum;
}

WIDEST_INLINE void find_range(const struct int4_groups *g, struct lanes *low, struct lanes *high) {
    EACH_ROW(n) low->at[n] = high->at[n] = g->x[0][n];
    for (size_t i = 1; i < KERNEL_INT4_GROUP; i++) EACH_ROW(n) {
            low->at[n] = g->x[i][n] < low->at[n] ? g->x[i][n] : low->at[n];
            high->at[n] = g->x[i][n] > high->at[n] ? g->x[i][n] : high->at[n];
        }
}

WIDEST static void fit(struct int4_groups *groups) {
    struct lanes low, high, least, best_m, best_c;
    find_range(groups, &low, &high);
    EACH_ROW(n) least.at[n] = FLT_MAX, best_m.at[n] = 1, best_c.at[n] = 0;
    for (int wider = -INT4_WIDER_MOST; wider <= INT4_WIDER_MOST; wider++)
        for (int by = -INT4_SHIFT_MOST; by <= INT4_SHIFT_MOST; by++) {
            struct lanes m, c, error;
            EACH_ROW(n) int4_candidate(low.at[n], high.at[n], wider, by, &m.at[n], &c.at[n]);
            squared_errors(groups, &m, &c, &error);
            EACH_ROW(n) {
                const _Bool better = error.at[n] < least.at[n];
                least.at[n] = better ? error.at[n] : least.at[n];
                best_m.at[n] = better ? m.at[n] : best_m.at[n];
                best_c.at[n] = better ? c.at[n] : best_c.at[n];
            }
        }
    for (size_t i = 0; i < KERNEL_INT4_GROUP; i++)
        EACH_ROW(n) groups->q[i][n] = level_of(groups->x[i][n], 1 / best_m.at[n], best_c.at[n]);
    EACH_ROW(n) groups->m[n] = best_m.at[n], groups->c[n] = best_c.at[n];
}

/* A function of its own: clang knows the choice of the loader only within a file. */
void int4_groups_fit(struct int4_groups *groups) {
    fit(groups);
}
