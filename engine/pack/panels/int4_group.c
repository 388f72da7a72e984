/* Quantization of groups of weights to int4. This is most of the time that packing takes: it is compiled as if all
 * numbers were finite, which they are, since only so the compiler vectorizes it. */
#include "engine/pack/panels/int4_group.h"

#include <float.h>

#include "engine/base/widest.h"

#define SCALE_MAX 16 /* 15 of them from -127 to 127 */
#define SUMS                                                                                                 \
    8 /* of a group, of index modulo 8, then added one by one: the order that files were written with */

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

WIDEST_INLINE float clamped(float value, float least, float most) {
    value = value < least ? least : value;
    return value > most ? most : value;
}

WIDEST_INLINE float rounded(float value) {
    return value + KERNEL_ROUNDING_SHIFT - KERNEL_ROUNDING_SHIFT;
}

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

/* Candidates are scales with which sixteen levels span about the whole group, and offsets about its middle,
 * half a scale to either side: where the levels fall matters more than that they reach the extremes. */
WIDEST_INLINE void set_candidate(const struct lanes *low, const struct lanes *high, int wider, int by,
                                 struct lanes *m, struct lanes *c) {
    EACH_ROW(n) {
        const float spanning = rounded(0.95f * (high->at[n] - low->at[n]) / 15);
        const float scale = clamped(spanning + (float)wider, 1, SCALE_MAX);
        const float middle = rounded((low->at[n] + high->at[n] + scale) / 2);
        const float shift = scale < 4 ? 1 : rounded(scale / 4);
        m->at[n] = scale;
        c->at[n] = clamped(middle + shift * (float)by, 8 * scale - 127, 127 - 7 * scale);
    }
}

WIDEST void int4_groups_fit(struct int4_groups *groups) {
    struct lanes low, high, least, best_m, best_c;
    find_range(groups, &low, &high);
    EACH_ROW(n) least.at[n] = FLT_MAX, best_m.at[n] = 1, best_c.at[n] = 0;
    for (int wider = -1; wider <= 1; wider++)
        for (int by = -2; by <= 2; by++) {
            struct lanes m, c, error;
            set_candidate(&low, &high, wider, by, &m, &c);
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
