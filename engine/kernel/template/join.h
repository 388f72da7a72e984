/* The second step of a GEMM of int8 whose k was split, once for every instruction set (see vector_scalar.h). */
#pragma once

#include "engine/kernel/template/announce.h"
#include "engine/kernel/template/epilogue.h"

void KERNEL_FUNCTION(join_int8_groups)(const struct lowp_gemm *m, size_t row, size_t panel,
                                       const float *products) {
    const size_t padded = kernel_padded_k(m->base.k), groups = kernel_int8_groups(padded);
    const unsigned char *scales = m->x + row * kernel_row_bytes(WEIGHT_TYPE_INT8, m->base.k) + padded;
    struct vector sum[EPILOGUE_VECTORS];
    _Alignas(KERNEL_ALIGN) float sums[KERNEL_PANEL];
    announce_int8_join(m, row, panel, groups, products);
    KERNEL_EACH (v, EPILOGUE_VECTORS) sum[v] = vector_splat(0.0f);
    for (size_t g = 0; g < groups; g++, products += KERNEL_PANEL) {
        float scale;
        memcpy(&scale, scales + g * sizeof scale, sizeof scale);
        KERNEL_EACH (v, EPILOGUE_VECTORS)
            sum[v] = vector_fma(vector_load(products + v * KERNEL_LANES), vector_splat(scale), sum[v]);
    }
    KERNEL_EACH (v, EPILOGUE_VECTORS) vector_store(sums + v * KERNEL_LANES, sum[v]);
    epilogue_panel_sums(&m->base, row, panel * KERNEL_PANEL, 1.0f, sums, true);
}
