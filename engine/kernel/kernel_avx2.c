/* AVX2 with FMA. A product is computed in tiles of up to 4 rows by half a panel: 12 chains in registers. */
#include "engine/kernel/isa.h"

#if defined(__x86_64__)
#include <string.h>

#include "engine/kernel/vector_avx2.h"

#define ATTENTION_SCORE_CHAINS  4
#define ATTENTION_VALUE_QUERIES 2
#define ATTENTION_VALUE_VECTORS 2
#include "engine/kernel/attention.h"
#include "engine/kernel/product.h"
#include "engine/kernel/rows.h"

#define MATMUL_ROWS  4
#define PART_VECTORS 6 /* of eight lanes: a whole panel, for one or two rows */
#define HALF_VECTORS 3

/* Sums of `rows` rows by `vectors` vectors of a panel, from column `column` of it on, into tile. rows and
 * vectors are constants where this is inlined. */
VECTOR_INLINE void matmul_sums(const struct matmul *m, size_t row, size_t rows, size_t panel, size_t column,
                               size_t vectors, float (*tile)[KERNEL_PANEL]) {
    const float *x = m->x + row * m->x_stride, *w = m->panels + panel * m->k * KERNEL_PANEL + column;
    const size_t stride = m->x_stride;
    __m256 sums[MATMUL_ROWS][PART_VECTORS];
    KERNEL_UNROLL for (size_t r = 0; r < rows; r++) KERNEL_UNROLL for (size_t v = 0; v < vectors; v++)
        sums[r][v] = _mm256_setzero_ps();
    for (size_t k = 0; k < m->k; k++, w += KERNEL_PANEL) {
        __m256 value[MATMUL_ROWS];
        if (rows <= 2) { /* more weights than rows: it is the rows that stay in registers */
            KERNEL_UNROLL for (size_t r = 0; r < rows; r++) value[r] = _mm256_set1_ps(x[r * stride + k]);
            KERNEL_UNROLL for (size_t v = 0; v < vectors; v++) {
                const __m256 weight = _mm256_loadu_ps(w + v * 8);
                KERNEL_UNROLL for (size_t r = 0; r < rows; r++) sums[r][v] =
                    _mm256_fmadd_ps(value[r], weight, sums[r][v]);
            }
        } else {
            __m256 weight[HALF_VECTORS];
            KERNEL_UNROLL for (size_t v = 0; v < vectors; v++) weight[v] = _mm256_loadu_ps(w + v * 8);
            KERNEL_UNROLL for (size_t r = 0; r < rows; r++) {
                value[0] = _mm256_set1_ps(x[r * stride + k]);
                KERNEL_UNROLL for (size_t v = 0; v < vectors; v++) sums[r][v] =
                    _mm256_fmadd_ps(value[0], weight[v], sums[r][v]);
            }
        }
    }
    KERNEL_UNROLL for (size_t r = 0; r < rows; r++) KERNEL_UNROLL for (size_t v = 0; v < vectors; v++)
        _mm256_storeu_ps(&tile[r][column + v * 8], sums[r][v]);
}

static void matmul_tile(const struct matmul *m, size_t row, size_t rows, size_t panel) {
    _Alignas(KERNEL_ALIGN) float tile[MATMUL_ROWS][KERNEL_PANEL];
    switch (rows) {
    case 4:
        matmul_sums(m, row, 4, panel, 0, HALF_VECTORS, tile);
        matmul_sums(m, row, 4, panel, KERNEL_PANEL / 2, HALF_VECTORS, tile);
        break;
    case 3:
        matmul_sums(m, row, 3, panel, 0, HALF_VECTORS, tile);
        matmul_sums(m, row, 3, panel, KERNEL_PANEL / 2, HALF_VECTORS, tile);
        break;
    case 2:
        matmul_sums(m, row, 2, panel, 0, PART_VECTORS, tile);
        break;
    default:
        matmul_sums(m, row, 1, panel, 0, PART_VECTORS, tile);
        break;
    }
    for (size_t r = 0; r < rows; r++) product_finish(m, row + r, panel, tile[r]);
}

/* Panels outside, rows inside: a panel comes from memory once. */
static void matmul(const struct matmul *m, size_t row_first, size_t row_count, size_t panel_first,
                   size_t panel_count) {
    const size_t end = row_first + row_count;
    for (size_t panel = panel_first; panel < panel_first + panel_count; panel++)
        for (size_t row = row_first; row < end; row += MATMUL_ROWS)
            matmul_tile(m, row, end - row < MATMUL_ROWS ? end - row : MATMUL_ROWS, panel);
}

const struct kernel_table *kernel_avx2(void) {
    static const struct kernel_table table = {
        .name = "avx2",
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
const struct kernel_table *kernel_avx2(void) {
    return NULL;
}
#endif
