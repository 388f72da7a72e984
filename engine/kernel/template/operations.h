/* Every operation but the GEMMs of low-precision weights, for the vectors of the including file: it defines
 * KERNEL_SET and the sizes and microkernel that the headers below ask for. */
#pragma once

#include "engine/kernel/template/attention.h"
#include "engine/kernel/template/convert.h"
#include "engine/kernel/template/gemm_f32.h"
#include "engine/kernel/template/join.h"
#include "engine/kernel/template/kv_store.h"
#include "engine/kernel/template/rows.h"

void KERNEL_FUNCTION(convert_int8)(const struct activation_rows *rows, size_t row_first, size_t row_count) {
    convert_rows(rows, row_first, row_count, WEIGHT_TYPE_INT8);
}

void KERNEL_FUNCTION(convert_int4)(const struct activation_rows *rows, size_t row_first, size_t row_count) {
    convert_rows(rows, row_first, row_count, WEIGHT_TYPE_INT4);
}
