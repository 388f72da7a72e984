/* The scalar table: what every other table must equal, bit for bit. */
#include "engine/kernel/scalar/vector_scalar.h"

#define ATTENTION_SCORE_CHAINS  4
#define ATTENTION_VALUE_QUERIES 1
#define ATTENTION_VALUE_VECTORS 1
#define PRODUCT_ROWS            KERNEL_ROWS_f32_scalar
#define KERNEL_SET              scalar
#include "engine/kernel/template/operations.h"

static void product_add(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                        float (*sums)[KERNEL_PANEL], const struct product_ahead *ahead) {
    (void)ahead;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < k; i++)
            for (size_t n = 0; n < KERNEL_PANEL; n++)
                sums[r][n] = fmaf(x[r * stride + i], w[i * KERNEL_PANEL + n], sums[r][n]);
}
