/* AVX2 with FMA, sixteen registers of eight lanes. A tile of gemm_f32 has 12 accumulators: one or two rows by
 * a whole panel, three or four by half of it, or five or six by a third of it, which is one cache line. Of several
 * passes the weights of a block of k stay in the first-level cache (24 KiB of a third). Weighted values of attention have
 * 12 accumulators too, by 6 queries: then each vector of values is loaded, and widened, for six. A query alone has 8, over
 * 64 dimensions, whose values are whole lines of the cache. */
#include "engine/kernel/x86/vector_avx2.h"

#define KERNEL_SET                       avx2
#define ATTENTION_QUERIES                12
#define ATTENTION_SCORE_ACCUMULATORS     4
#define ATTENTION_VALUE_QUERIES          6
#define ATTENTION_VALUE_VECTORS(queries) ((queries) >= 4 ? 1 : (queries) > 1 ? 2 : 4)
#define GEMM_ROWS                        6
#define GEMM_FEW_ROWS                    2
#define GEMM_REGISTERS(rows)             (PANEL_REGISTERS / ((rows) <= GEMM_FEW_ROWS ? 1 : (rows) <= 4 ? 2 : 3))
#define GEMM_K_BLOCK(passes)             ((passes) > 1 ? 384 : 1024)
#define GEMM_STREAMED_PASSES             4
#define GEMM_PREFETCHES                  true
#include "engine/kernel/template/gemm_f32_tile.h"
#include "engine/kernel/template/operations.h"

_Static_assert(GEMM_ROWS == KERNEL_ROWS_f32_avx2, "as in kernels.def");
