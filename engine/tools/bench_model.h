/* Inside of the bench: for bench.c, bench_generate.c and bench_threads.c alone. */
#pragma once

#include "engine/forward/forward.h"
#include "engine/loaded/loaded_model.h"
#include "engine/tools/tools.h"
#include "engine/types/limits.h"

#define BENCH_PAGE_TOKENS KV_PAGE_TOKENS_STEP
#define BENCH_BATCH_MAX   128

struct bench_model {
    struct workers *workers;
    const struct kernel_table *kernels;
    struct loaded_model loaded;
    struct kv_pool pool;
    struct kv_table tables[BENCH_BATCH_MAX];
    struct forward *forward;
    int32_t *tokens; /* [BENCH_ROWS_MAX] */
    enum kv_type kv_type;
    bool without_norms;
};

/* A forward pass over the model, of whatever pool it has when it runs. */
enum status bench_forward_create(const struct bench_model *m, struct workers *workers, struct forward **out,
                                 struct error *e);

/* An empty pool in place of the one that is there. */
enum status bench_pool_init(struct bench_model *m, size_t pages, struct error *e);
