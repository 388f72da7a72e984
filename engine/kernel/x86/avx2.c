/* AVX2 with FMA, sixteen registers of eight lanes. A tile of gemm_f32 has 12 accumulators: one or two rows by
 * a whole panel, or three or four by half of it. */
#include "engine/kernel/x86/vector_avx2.h"

#define KERNEL_SET                   avx2
#define ATTENTION_SCORE_ACCUMULATORS 4
#define ATTENTION_VALUE_QUERIES      2
#define ATTENTION_VALUE_VECTORS      2
#define GEMM_ROWS                    4
#define GEMM_FEW_ROWS                2
#define GEMM_REGISTERS(rows)         ((rows) <= GEMM_FEW_ROWS ? PANEL_REGISTERS : PANEL_REGISTERS / 2)
#define GEMM_PREFETCHES              true
#include "engine/kernel/template/gemm_f32_tile.h"
#include "engine/kernel/template/operations.h"

_Static_assert(GEMM_ROWS == KERNEL_ROWS_f32_avx2, "as in kernels.def");
