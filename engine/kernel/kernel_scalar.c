/* The scalar table: what every other table must equal, bit for bit. */
#include "engine/kernel/isa.h"
#include "engine/kernel/vector_scalar.h"

#define ATTENTION_SCORE_CHAINS  4
#define ATTENTION_VALUE_QUERIES 1
#define ATTENTION_VALUE_VECTORS 1
#include "engine/kernel/attention.h"
#include "engine/kernel/product.h"
#include "engine/kernel/rows.h"

static void matmul(const struct matmul *m, size_t row_first, size_t row_count, size_t panel_first,
                   size_t panel_count) {
    for (size_t panel = panel_first; panel < panel_first + panel_count; panel++)
        for (size_t row = row_first; row < row_first + row_count; row++) {
            const float *x = m->x + row * m->x_stride, *w = m->panels + panel * m->k * KERNEL_PANEL;
            float sums[KERNEL_PANEL] = {0};
            for (size_t k = 0; k < m->k; k++)
                for (size_t n = 0; n < KERNEL_PANEL; n++)
                    sums[n] = fmaf(x[k], w[k * KERNEL_PANEL + n], sums[n]);
            product_finish(m, row, panel, sums);
        }
}

const struct kernel_table *kernel_scalar(void) {
    static const struct kernel_table table = {
        .name = "scalar",
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
