/* The scalar kernels: what every other set must equal, bit for bit. */
#include "engine/kernel/scalar/vector_scalar.h"

#define KERNEL_SET                       scalar
#define ATTENTION_SCORE_ACCUMULATORS     4
#define ATTENTION_VALUE_QUERIES          1
#define ATTENTION_VALUE_VECTORS(queries) 1
#define GEMM_ROWS                        KERNEL_ROWS_f32_scalar
#include "engine/kernel/template/operations.h"

static size_t gemm_f32_width(size_t rows, bool strip) {
    (void)rows;
    return strip ? KERNEL_LANES : KERNEL_PANEL;
}

static void gemm_f32_microkernel(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                                 size_t width, float (*sums)[KERNEL_PANEL],
                                 const struct gemm_prefetch *prefetch) {
    (void)prefetch;
    for (size_t r = 0; r < rows; r++, x += stride) {
        /* Two steps of k, one after the other, between a load of the sums and a store. */
        for (size_t i = 0; i + 1 < k; i += 2)
            for (size_t n = 0; n < width; n++)
                sums[r][n] = fmaf(x[i + 1], w[(i + 1) * KERNEL_PANEL + n],
                                  fmaf(x[i], w[i * KERNEL_PANEL + n], sums[r][n]));
        for (size_t n = 0; k % 2 && n < width; n++)
            sums[r][n] = fmaf(x[k - 1], w[(k - 1) * KERNEL_PANEL + n], sums[r][n]);
    }
}
