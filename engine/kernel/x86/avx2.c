/* AVX2 with FMA. A product goes in tiles of up to 4 rows by half a panel, or up to 2 rows by a panel: 12
 * chains. */
#include "engine/kernel/x86/vector_avx2.h"

#define ATTENTION_SCORE_CHAINS  4
#define ATTENTION_VALUE_QUERIES 2
#define ATTENTION_VALUE_VECTORS 2
#define PRODUCT_ROWS            KERNEL_ROWS_f32_avx2
#define KERNEL_SET              avx2
#include "engine/kernel/template/operations.h"

#define HALF_VECTORS  3 /* of eight lanes */
#define PANEL_VECTORS 6

/* rows is a constant where these are inlined. */
VECTOR_INLINE void prefetch_lines(uintptr_t line, size_t spacing) {
    KERNEL_EACH (s, PRODUCT_STREAMS) _mm_prefetch((const char *)(line + s * spacing), _MM_HINT_T1);
}

/* One or two rows by a whole panel: the rows stay in registers, the weights pass. */
VECTOR_INLINE void add_wide(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                            float (*sums)[KERNEL_PANEL], const struct product_ahead *ahead) {
    __m256 sum[2][PANEL_VECTORS], value[2];
    const size_t period = ahead->period ? ahead->period : k;
    uintptr_t line = ahead->from;
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, PANEL_VECTORS) sum[r][v] = _mm256_loadu_ps(&sums[r][v * 8]);
    }
    for (size_t i = 0, end; i < k; line += PRODUCT_LINE) {
        if (ahead->period) prefetch_lines(line, ahead->spacing);
        for (end = k - i < period ? k : i + period; i < end; i++, w += KERNEL_PANEL) {
            KERNEL_EACH (r, rows) value[r] = _mm256_set1_ps(x[r * stride + i]);
            KERNEL_EACH (v, PANEL_VECTORS) {
                const __m256 weight = _mm256_loadu_ps(w + v * 8);
                KERNEL_EACH (r, rows) sum[r][v] = _mm256_fmadd_ps(value[r], weight, sum[r][v]);
            }
        }
    }
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, PANEL_VECTORS) _mm256_storeu_ps(&sums[r][v * 8], sum[r][v]);
    }
}

/* Three or four rows by the half of a panel that starts at `column`: the weights stay, the rows pass. Each
 * half asks for every second line. */
VECTOR_INLINE void add_half(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                            size_t column, float (*sums)[KERNEL_PANEL], const struct product_ahead *ahead) {
    __m256 sum[PRODUCT_ROWS][HALF_VECTORS], weight[HALF_VECTORS];
    const size_t period = ahead->period ? 2 * ahead->period : k;
    uintptr_t line = ahead->from + (column ? PRODUCT_LINE : 0);
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, HALF_VECTORS) sum[r][v] = _mm256_loadu_ps(&sums[r][column + v * 8]);
    }
    for (size_t i = 0, end; i < k; line += 2 * PRODUCT_LINE) {
        if (ahead->period) prefetch_lines(line, ahead->spacing);
        for (end = k - i < period ? k : i + period; i < end; i++, w += KERNEL_PANEL) {
            KERNEL_EACH (v, HALF_VECTORS) weight[v] = _mm256_loadu_ps(w + column + v * 8);
            KERNEL_EACH (r, rows) {
                const __m256 value = _mm256_set1_ps(x[r * stride + i]);
                KERNEL_EACH (v, HALF_VECTORS) sum[r][v] = _mm256_fmadd_ps(value, weight[v], sum[r][v]);
            }
        }
    }
    KERNEL_EACH (r, rows) {
        KERNEL_EACH (v, HALF_VECTORS) _mm256_storeu_ps(&sums[r][column + v * 8], sum[r][v]);
    }
}

static void product_add(const float *x, size_t stride, size_t rows, const float *w, size_t k,
                        float (*sums)[KERNEL_PANEL], const struct product_ahead *ahead) {
    switch (rows) {
    case 1:
        add_wide(x, stride, 1, w, k, sums, ahead);
        break;
    case 2:
        add_wide(x, stride, 2, w, k, sums, ahead);
        break;
    case 3:
        add_half(x, stride, 3, w, k, 0, sums, ahead);
        add_half(x, stride, 3, w, k, KERNEL_PANEL / 2, sums, ahead);
        break;
    default:
        add_half(x, stride, PRODUCT_ROWS, w, k, 0, sums, ahead);
        add_half(x, stride, PRODUCT_ROWS, w, k, KERNEL_PANEL / 2, sums, ahead);
        break;
    }
}
