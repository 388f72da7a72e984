/* AVX2 with FMA. A product goes in tiles of up to 4 rows by half a panel, or up to 2 rows by a panel: 12
 * chains. */
#include "engine/kernel/isa.h"

#if defined(__x86_64__)
#include "engine/kernel/x86/vector_avx2.h"

#define ATTENTION_SCORE_CHAINS  4
#define ATTENTION_VALUE_QUERIES 2
#define ATTENTION_VALUE_VECTORS 2
#define PRODUCT_ROWS            4
#include "engine/kernel/template/attention.h"
#include "engine/kernel/template/kv_store.h"
#include "engine/kernel/template/gemm_f32.h"
#include "engine/kernel/template/rows.h"

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

/* What both tables have in common. */
#define COMMON                                                                                               \
    .gemm_f32 = product_tiles,                                                                               \
    .convert_activations = {NULL, prepare_bf16_avx2, prepare_int8_avx2, prepare_int8_avx2},                  \
    .epilogue_rows = product_finish_rows, .row_scales = rows_scales, .normalize_rows = rows_normalize,       \
    .gate_rows = rows_gate, .rotate = rows_rotate, .store_kv = kv_store, .attention = attention_rows,        \
    .argmax = rows_argmax, .exp_sum = rows_exp_sum

const struct kernel_table *kernel_avx2(void) {
    static const struct kernel_table table = {
        .name = "avx2",
        .gemm_lowp = {NULL, matmul_bf16_avx2, matmul_int8_avx2, matmul_int4_avx2},
        COMMON,
    };
    return &table;
}

const struct kernel_table *kernel_avxvnni(void) {
    static const struct kernel_table table = {
        .name = "avxvnni",
        .gemm_lowp = {NULL, matmul_bf16_avx2, matmul_int8_avxvnni, matmul_int4_avxvnni},
        COMMON,
    };
    return &table;
}
#else
const struct kernel_table *kernel_avx2(void) {
    return NULL;
}
const struct kernel_table *kernel_avxvnni(void) {
    return NULL;
}
#endif
