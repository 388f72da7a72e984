/* AArch64 with NEON, 32 registers of four lanes. A tile of gemm_f32 has up to 24 accumulators: one or two
 * rows by a whole panel, or three to six by a third of it, whose weights of a block of k stay in the first-level
 * cache (24 KiB). It does not prefetch: what that would bring has not been measured on such a processor. */
#include "engine/kernel/arm/vector_neon.h"

#define KERNEL_SET                       neon
#define ATTENTION_SCORE_ACCUMULATORS     4
#define ATTENTION_VALUE_QUERIES          2
#define ATTENTION_VALUE_VECTORS(queries) 2
#define GEMM_ROWS                        6
#define GEMM_FEW_ROWS                    2
#define GEMM_REGISTERS(rows)             ((rows) <= GEMM_FEW_ROWS ? PANEL_REGISTERS : PANEL_REGISTERS / 3)
#define GEMM_K_BLOCK(passes)             ((passes) > 1 ? 384 : 1024)
#define GEMM_PREFETCHES                  false
#include "engine/kernel/template/gemm_f32_tile.h"
#include "engine/kernel/template/operations.h"

_Static_assert(GEMM_ROWS == KERNEL_ROWS_f32_neon, "as in kernels.def");
