/* AVX-512 (F, BW, DQ, VL). A product goes in tiles of up to 8 rows by one panel: 24 chains in registers. */
#include "engine/kernel/isa.h"

#if defined(__x86_64__)
#include "engine/kernel/x86/vector_avx512.h"

#define ATTENTION_SCORE_CHAINS  16
#define ATTENTION_VALUE_QUERIES 4
#define ATTENTION_VALUE_VECTORS 4
#define PRODUCT_ROWS            8
#include "engine/kernel/template/attention.h"
#include "engine/kernel/template/kv_store.h"
#include "engine/kernel/template/gemm_f32.h"
#include "engine/kernel/template/rows.h"

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

/* What the tables of AVX-512 have in common. */
#define COMMON                                                                                               \
    .gemm_f32 = product_tiles, .epilogue_rows = product_finish_rows, .row_scales = rows_scales,              \
    .normalize_rows = rows_normalize, .gate_rows = rows_gate, .rotate = rows_rotate, .store_kv = kv_store,   \
    .attention = attention_rows, .argmax = rows_argmax, .exp_sum = rows_exp_sum

const struct kernel_table *kernel_avx512(void) {
    static const struct kernel_table table = {
        .name = "avx512",
        .convert_activations = {NULL, prepare_bf16_avx512, prepare_int8_avx512, prepare_int8_avx512},
        .gemm_lowp = {NULL, matmul_bf16_avx512, matmul_int8_avx512, matmul_int4_avx512},
        COMMON,
    };
    return &table;
}

const struct kernel_table *kernel_avx512vnni(void) {
    static const struct kernel_table table = {
        .name = "avx512vnni",
        .convert_activations = {NULL, prepare_bf16_avx512, prepare_int8_avx512, prepare_int8_avx512},
        .gemm_lowp = {NULL, matmul_bf16_avx512, matmul_int8_avx512vnni, matmul_int4_avx512vnni},
        COMMON,
    };
    return &table;
}

const struct kernel_table *kernel_avx512bf16(void) {
    static const struct kernel_table table = {
        .name = "avx512bf16",
        .convert_activations = {NULL, prepare_bf16_avx512bf16, prepare_int8_avx512, prepare_int8_avx512},
        .gemm_lowp = {NULL, matmul_bf16_avx512bf16, matmul_int8_avx512vnni, matmul_int4_avx512vnni},
        COMMON,
    };
    return &table;
}

const struct kernel_table *kernel_amx(void) {
    static const struct kernel_table table = {
        .name = "amx",
        .convert_activations = {NULL, prepare_bf16_amx, prepare_int8_avx512, prepare_int8_avx512},
        .gemm_lowp = {NULL, matmul_bf16_amx, matmul_int8_amx, matmul_int4_amx},
        COMMON,
    };
    return &table;
}
#else
const struct kernel_table *kernel_avx512(void) {
    return NULL;
}
const struct kernel_table *kernel_avx512vnni(void) {
    return NULL;
}
const struct kernel_table *kernel_avx512bf16(void) {
    return NULL;
}
const struct kernel_table *kernel_amx(void) {
    return NULL;
}
#endif
