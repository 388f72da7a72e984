/* One block: norm, attention, MLP, in sequence or in parallel. Every exit adds to the main branch in its epilogue. */
#include "engine/forward/state.h"

static void run_entry(struct forward *f, const struct packed_linear *linear, struct norm_output normed,
                      enum activation activation, float *out, size_t out_stride) {
    linear_run(f, &(struct linear_call){
                      .linear = linear,
                      .x = normed.x,
                      .x_stride = normed.stride,
                      .rows = f->row_count,
                      .row_scale = normed.row_scale,
                      .activation = activation,
                      .out = out,
                      .out_stride = out_stride,
                  });
}

static void run_exit(struct forward *f, const struct packed_linear *linear, const float *x, size_t x_stride) {
    linear_run(f, &(struct linear_call){
                      .linear = linear,
                      .x = x,
                      .x_stride = x_stride,
                      .rows = f->row_count,
                      .residual = f->branch,
                      .out = f->branch,
                      .out_stride = f->branch_stride,
                  });
}

static void gate_block(struct forward *f, size_t first, size_t count, const void *context, size_t worker) {
    (void)context, (void)worker;
    const float *gate = f->hidden + first * f->hidden_stride;
    f->kernels->gate_rows(f->description->activation, gate, gate + f->description->mlp_width, f->hidden_stride, count,
                          f->description->mlp_width, f->gated + first * f->gated_stride, f->gated_stride);
}

static void run_up(struct forward *f, const struct packed_layer *layer, struct norm_output normed) {
    bool gated = f->description->gated;
    run_entry(f, &layer->up, normed, gated ? ACTIVATION_NONE : f->description->activation, f->hidden, f->hidden_stride);
    if (gated) forward_each_block(f, f->row_count, gate_block, NULL);
}

static void run_down(struct forward *f, const struct packed_layer *layer) {
    if (f->description->gated) run_exit(f, &layer->down, f->gated, f->gated_stride);
    else run_exit(f, &layer->down, f->hidden, f->hidden_stride);
}

void block_run(struct forward *f, size_t index) {
    const struct packed_layer *layer = &f->model->layers[index];
    enum residual residual = f->description->residual;
    struct norm_output normed = norm_run(f, &layer->attention_norm, f->branch, f->row_count);
    run_entry(f, &layer->qkv, normed, ACTIVATION_NONE, f->qkv, f->qkv_stride);
    /* In parallel the MLP reads the branch before attention adds to it. */
    if (residual == RESIDUAL_PARALLEL_TWO_NORMS) normed = norm_run(f, &layer->mlp_norm, f->branch, f->row_count);
    if (residual != RESIDUAL_SEQUENTIAL) run_up(f, layer, normed);
    attention_run(f, index);
    run_exit(f, &layer->attention_out, f->heads, f->heads_stride);
    if (residual == RESIDUAL_SEQUENTIAL) run_up(f, layer, norm_run(f, &layer->mlp_norm, f->branch, f->row_count));
    run_down(f, layer);
}
