/* A linear of one row whose panels are fewer than threads. Of int8 the sum over k is made of groups whose own sums are exact, so
 * threads can take some groups of a panel each, all columns, which lie together in memory; who is done with the last of a panel
 * joins them, in the order that they always have. Nobody waits for anybody. */
#include <stdatomic.h>

#include "engine/forward/state.h"

#define JOIN_BYTES 6144 /* of weights: what is read while a panel is joined */

static size_t lower(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t divide_up(size_t a, size_t b) {
    return (a + b - 1) / b;
}

static bool may_split(const struct packed_linear *linear, size_t threads) {
    return linear->type == WEIGHT_TYPE_INT8 && kernel_panels(linear->out) < threads;
}

size_t linear_groups(const struct forward *f, const struct packed_linear *linear, size_t bytes) {
    const size_t threads = workers_count(f->workers), panels = kernel_panels(linear->out);
    if (!may_split(linear, threads)) return 0;
    const size_t all = kernel_int8_groups(linear->in),
                 group_bytes = kernel_int8_group_k(linear->in) * KERNEL_PANEL;
    size_t best = 0;
    for (size_t groups = all - 1; groups > 0; groups--) {
        const size_t own = divide_up(panels * divide_up(all, groups), threads),
                     read = own * groups * group_bytes + JOIN_BYTES;
        if (read < bytes) bytes = read, best = groups;
    }
    return best;
}

struct largest {
    size_t threads, floats;
};

static void raise_floats(void *context, const struct packed_linear *linear) {
    struct largest *l = context;
    const size_t floats = kernel_panels(linear->out) * KERNEL_PANEL * kernel_int8_groups(linear->in);
    if (may_split(linear, l->threads) && floats > l->floats) l->floats = floats;
}

size_t linear_groups_floats(const struct packed_model *model, size_t threads) {
    struct largest largest = {.threads = threads};
    packed_model_each_linear(model, raise_floats, &largest);
    return largest.floats;
}

static size_t parts_of(const struct packed_linear *linear, size_t groups) {
    return divide_up(kernel_int8_groups(linear->in), groups);
}

size_t linear_groups_tiles(const struct packed_linear *linear, size_t groups) {
    return kernel_panels(linear->out) * parts_of(linear, groups);
}

const void *linear_groups_weights(const struct packed_linear *linear, size_t groups, size_t tile) {
    const size_t parts = parts_of(linear, groups);
    return (const char *)linear->weights + tile / parts * kernel_panel_bytes(WEIGHT_TYPE_INT8, linear->in) +
           tile % parts * groups * kernel_int8_group_k(linear->in) * KERNEL_PANEL;
}

void linear_groups_tile(const struct forward *f, const struct packed_linear *linear,
                        const struct lowp_gemm *gemm, size_t groups, size_t tile) {
    const size_t all = kernel_int8_groups(linear->in), parts = parts_of(linear, groups), panel = tile / parts,
                 first = tile % parts * groups;
    float *products = f->products + panel * all * KERNEL_PANEL;
    _Atomic uint32_t *done = &f->done[panel].count;
    f->kernels->gemm_int8_groups(gemm, 0, panel, first, lower(first + groups, all),
                                 products + first * KERNEL_PANEL);
    /* Release what was written, acquire what the others wrote. */
    if (atomic_fetch_add_explicit(done, 1, memory_order_acq_rel) + 1 < parts) return;
    atomic_store_explicit(done, 0, memory_order_relaxed);
    f->kernels->join_int8_groups(gemm, 0, panel, products);
}
