/* AVX-512 (F, BW, DQ, VL). A product is computed in tiles of up to 8 rows by one panel: 24 chains in
 * registers. */
#include "engine/kernel/isa.h"

#if defined(__x86_64__)
#include <string.h>

#include "engine/kernel/vector_avx512.h"

#define ATTENTION_SCORE_CHAINS  8
#define ATTENTION_VALUE_QUERIES 4
#define ATTENTION_VALUE_VECTORS 4
#include "engine/kernel/attention.h"
#include "engine/kernel/product.h"
#include "engine/kernel/rows.h"

#define MATMUL_ROWS   8
#define PANEL_VECTORS (KERNEL_PANEL / KERNEL_LANES)

/* `rows` is a constant where this is inlined. */
VECTOR_INLINE void matmul_tile(const struct matmul *m, size_t row, size_t rows, size_t panel) {
    const float *x = m->x + row * m->x_stride, *w = m->panels + panel * m->k * KERNEL_PANEL;
    const size_t stride = m->x_stride;
    struct vector sums[MATMUL_ROWS][PANEL_VECTORS];
    KERNEL_UNROLL for (size_t r = 0; r < rows; r++) KERNEL_UNROLL for (size_t v = 0; v < PANEL_VECTORS; v++)
        sums[r][v] = vector_splat(0.0f);
    for (size_t k = 0; k < m->k; k++, w += KERNEL_PANEL) {
        struct vector weight[PANEL_VECTORS];
        KERNEL_UNROLL for (size_t v = 0; v < PANEL_VECTORS; v++) weight[v] =
            vector_load(w + v * KERNEL_LANES);
        KERNEL_UNROLL for (size_t r = 0; r < rows; r++) {
            const struct vector value = vector_splat(x[r * stride + k]);
            KERNEL_UNROLL for (size_t v = 0; v < PANEL_VECTORS; v++) sums[r][v] =
                vector_fma(value, weight[v], sums[r][v]);
        }
    }
    _Alignas(KERNEL_ALIGN) float tile[KERNEL_PANEL];
    KERNEL_UNROLL for (size_t r = 0; r < rows; r++) {
        KERNEL_UNROLL for (size_t v = 0; v < PANEL_VECTORS; v++)
            vector_store(tile + v * KERNEL_LANES, sums[r][v]);
        product_finish(m, row + r, panel, tile);
    }
}

static void matmul_tail(const struct matmul *m, size_t row, size_t rows, size_t panel) {
    switch (rows) {
    case 7:
        matmul_tile(m, row, 7, panel);
        break;
    case 6:
        matmul_tile(m, row, 6, panel);
        break;
    case 5:
        matmul_tile(m, row, 5, panel);
        break;
    case 4:
        matmul_tile(m, row, 4, panel);
        break;
    case 3:
        matmul_tile(m, row, 3, panel);
        break;
    case 2:
        matmul_tile(m, row, 2, panel);
        break;
    case 1:
        matmul_tile(m, row, 1, panel);
        break;
    default:
        break;
    }
}

/* Panels outside, rows inside: a panel comes from memory once. */
static void matmul(const struct matmul *m, size_t row_first, size_t row_count, size_t panel_first,
                   size_t panel_count) {
    for (size_t panel = panel_first; panel < panel_first + panel_count; panel++) {
        size_t row = row_first, end = row_first + row_count;
        for (; row + MATMUL_ROWS <= end; row += MATMUL_ROWS) matmul_tile(m, row, MATMUL_ROWS, panel);
        matmul_tail(m, row, end - row, panel);
    }
}

const struct kernel_table *kernel_avx512(void) {
    static const struct kernel_table table = {
        .name = "avx512",
        .matmul_f32 = matmul,
        .finish_rows = product_finish_rows,
        .row_scales = rows_scales,
        .normalize_rows = rows_normalize,
        .gate_rows = rows_gate,
        .rotate = rows_rotate,
        .attention_f32 = attention_rows,
        .argmax = rows_argmax,
        .exp_sum = rows_exp_sum,
    };
    return &table;
}
#else
const struct kernel_table *kernel_avx512(void) {
    return NULL;
}
#endif
