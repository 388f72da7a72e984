/* AVX-512 (F, BW, DQ, VL), 32 registers of sixteen lanes. A tile of gemm_f32 is up to 8 rows by a panel: 24
 * accumulators. Attention has 16: scores of 8 queries by 2 blocks, or of 4 by 4; values of 4 queries by 4 vectors. */
#include "engine/kernel/x86/vector_avx512.h"

#define KERNEL_SET                       avx512
#define ATTENTION_SCORE_ACCUMULATORS     16
#define ATTENTION_QUERIES                32
#define ATTENTION_WIDENS                 24
#define ATTENTION_FLOATS_FAR             true
#define ATTENTION_VALUE_QUERIES          4
#define ATTENTION_VALUE_VECTORS(queries) 4
#define GEMM_ROWS                        8
#define GEMM_FEW_ROWS                    0
#define GEMM_REGISTERS(rows)             PANEL_REGISTERS
#define GEMM_PREFETCHES                  true
#include "engine/kernel/template/gemm_f32_tile.h"
#include "engine/kernel/template/operations.h"

_Static_assert(GEMM_ROWS == KERNEL_ROWS_f32_avx512, "as in kernels.def");
