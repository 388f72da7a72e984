/* The scalar table: what every other table must equal, bit for bit. */
#include "engine/kernel/isa.h"
#include "engine/kernel/scalar/vector_scalar.h"

#define ATTENTION_SCORE_CHAINS  4
#define ATTENTION_VALUE_QUERIES 1
#define ATTENTION_VALUE_VECTORS 1
#define PRODUCT_ROWS            1
#include "engine/kernel/template/attention.h"
#include "engine/kernel/template/kv_store.h"
#include "engine/kernel/template/gemm_f32.h"
#include "engine/kernel/template/rows.h"

static void product_add(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                        float (*sums)[KERNEL_PANEL], const struct product_ahead *ahead) {
    (void)ahead;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < k; i++)
            for (size_t n = 0; n < KERNEL_PANEL; n++)
                sums[r][n] = fmaf(x[r * stride + i], w[i * KERNEL_PANEL + n], sums[r][n]);
}

const struct kernel_table *kernel_scalar(void) {
    static const struct kernel_table table = {
        .name = "scalar",
        .gemm_f32 = product_tiles,
        .convert_activations = {NULL, prepare_bf16_scalar, prepare_int8_scalar, prepare_int8_scalar},
        .gemm_lowp = {NULL, matmul_bf16_scalar, matmul_int8_scalar, matmul_int4_scalar},
        .epilogue_rows = product_finish_rows,
        .row_scales = rows_scales,
        .normalize_rows = rows_normalize,
        .gate_rows = rows_gate,
        .rotate = rows_rotate,
        .store_kv = kv_store,
        .attention = attention_rows,
        .argmax = rows_argmax,
        .exp_sum = rows_exp_sum,
    };
    return &table;
}
