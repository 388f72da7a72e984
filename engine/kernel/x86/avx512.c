/* AVX-512 (F, BW, DQ, VL). A product goes in tiles of up to 8 rows by one panel: 24 chains in registers. */
#include "engine/kernel/x86/vector_avx512.h"

#define ATTENTION_SCORE_CHAINS  16
#define ATTENTION_VALUE_QUERIES 4
#define ATTENTION_VALUE_VECTORS 4
#define PRODUCT_ROWS            KERNEL_ROWS_f32_avx512
#define KERNEL_SET              avx512
#include "engine/kernel/template/operations.h"

#define PANEL_VECTORS (KERNEL_PANEL / KERNEL_LANES)

/* rows is a constant where this is inlined. */
VECTOR_INLINE void add_tile(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                            float (*sums)[KERNEL_PANEL], const struct product_ahead *ahead) {
    struct vector sum[PRODUCT_ROWS][PANEL_VECTORS], weight[PANEL_VECTORS];
    const size_t spacing = ahead->spacing, period = ahead->period ? ahead->period : k;
    uintptr_t line = ahead->from;
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, PANEL_VECTORS) sum[r][v] = vector_load(sums[r] + v * KERNEL_LANES);
    }
    for (size_t i = 0, end; i < k; line += PRODUCT_LINE) {
        if (ahead->period) {
            KERNEL_EACH (s, PRODUCT_STREAMS) _mm_prefetch((const char *)(line + s * spacing), _MM_HINT_T1);
        }
        for (end = k - i < period ? k : i + period; i < end; i++, w += KERNEL_PANEL) {
            KERNEL_EACH (v, PANEL_VECTORS) weight[v] = vector_load(w + v * KERNEL_LANES);
            KERNEL_EACH (r, rows) {
                const struct vector value = vector_splat(x[r * stride + i]);
                KERNEL_EACH (v, PANEL_VECTORS) sum[r][v] = vector_fma(value, weight[v], sum[r][v]);
            }
        }
    }
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, PANEL_VECTORS) vector_store(sums[r] + v * KERNEL_LANES, sum[r][v]);
    }
}

static void product_add(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                        float (*sums)[KERNEL_PANEL], const struct product_ahead *ahead) {
    switch (rows) {
    case 1:
        add_tile(x, stride, 1, w, k, sums, ahead);
        break;
    case 2:
        add_tile(x, stride, 2, w, k, sums, ahead);
        break;
    case 3:
        add_tile(x, stride, 3, w, k, sums, ahead);
        break;
    case 4:
        add_tile(x, stride, 4, w, k, sums, ahead);
        break;
    case 5:
        add_tile(x, stride, 5, w, k, sums, ahead);
        break;
    case 6:
        add_tile(x, stride, 6, w, k, sums, ahead);
        break;
    case 7:
        add_tile(x, stride, 7, w, k, sums, ahead);
        break;
    default:
        add_tile(x, stride, PRODUCT_ROWS, w, k, sums, ahead);
        break;
    }
}
