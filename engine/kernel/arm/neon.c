/* AArch64 with NEON. A product goes in tiles of up to 6 rows by a third of a panel, or up to 2 rows by a
 * panel: 24 chains in the 32 registers. */
#include "engine/kernel/arm/vector_neon.h"

#define ATTENTION_SCORE_CHAINS  4
#define ATTENTION_VALUE_QUERIES 2
#define ATTENTION_VALUE_VECTORS 2
#define PRODUCT_ROWS            KERNEL_ROWS_f32_neon
#define KERNEL_SET              neon
#include "engine/kernel/template/operations.h"

#define PANEL_VECTORS (KERNEL_PANEL / KERNEL_LANES)

/* `rows` rows by `vectors` vectors of a panel from `column` on; both numbers are constants where this is
 * inlined. */
VECTOR_INLINE void add_tile(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                            size_t column, size_t vectors, float (*sums)[KERNEL_PANEL]) {
    struct vector sum[PRODUCT_ROWS][PANEL_VECTORS];
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, vectors) sum[r][v] = vector_load(sums[r] + column + v * KERNEL_LANES);
    }
    for (size_t i = 0; i < k; i++, w += KERNEL_PANEL) {
        KERNEL_EACH (v, vectors) {
            const struct vector weight = vector_load(w + column + v * KERNEL_LANES);
            KERNEL_EACH (r, rows) sum[r][v] = vector_fma(vector_splat(x[r * stride + i]), weight, sum[r][v]);
        }
    }
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, vectors) vector_store(sums[r] + column + v * KERNEL_LANES, sum[r][v]);
    }
}

/* Three to six rows, by a third of a panel after the other. */
VECTOR_INLINE void add_thirds(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                              float (*sums)[KERNEL_PANEL]) {
    for (size_t column = 0; column < KERNEL_PANEL; column += KERNEL_LANES)
        add_tile(x, stride, rows, w, k, column, 1, sums);
}

static void product_add(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                        float (*sums)[KERNEL_PANEL], const struct product_ahead *ahead) {
    (void)ahead; /* not asked for: what it would bring has not been measured on such a processor */
    switch (rows) {
    case 1:
        add_tile(x, stride, 1, w, k, 0, PANEL_VECTORS, sums);
        break;
    case 2:
        add_tile(x, stride, 2, w, k, 0, PANEL_VECTORS, sums);
        break;
    case 3:
        add_thirds(x, stride, 3, w, k, sums);
        break;
    case 4:
        add_thirds(x, stride, 4, w, k, sums);
        break;
    case 5:
        add_thirds(x, stride, 5, w, k, sums);
        break;
    default:
        add_thirds(x, stride, PRODUCT_ROWS, w, k, sums);
        break;
    }
}
