/* One block: attention and MLP, in sequence or in parallel, with norms where the placement has them. Where
 * nothing else happens to the output of a sub-layer, its output projection adds to the residual stream in the
 * epilogue; else the output goes to f->output first. */
#include "engine/forward/state.h"

/* Columns of a gate that a thread takes, and threads from which on that takes less than a run of the pool. */
#define GATE_COLUMNS     1024
#define GATE_THREADS_MIN 4

/* ---- input projections ---- */

static struct linear_call input_call(const struct forward *f, const struct packed_linear *linear,
                                     struct norm_output normed, float *out, size_t out_stride) {
    return (struct linear_call){
        .linear = linear,
        .x = normed.x,
        .x_stride = normed.stride,
        .rows = f->row_count,
        .row_scale = normed.row_scale,
        .out = out,
        .out_stride = out_stride,
    };
}

static void run_qkv(struct forward *f, const struct packed_layer *layer, struct norm_output normed) {
    const struct linear_call qkv = input_call(f, &layer->qkv, normed, f->qkv, f->qkv_stride),
                             values = input_call(f, &layer->values, normed, f->qkv + layer->qkv.out,
                                                 f->qkv_stride);
    if (layer->values.out)
        linear_run_joined(f, &qkv, &values);
    else
        linear_run(f, &qkv);
}

/* Columns [column, +width) of rows [first, +count). */
static void gate_part(const struct forward *f, size_t first, size_t count, size_t column, size_t width) {
    const float *gate = f->hidden + first * f->hidden_stride + column;
    f->kernels->gate_rows(f->description->activation, gate, gate + f->description->mlp_width,
                          f->hidden_stride, count, width, f->gated + first * f->gated_stride + column,
                          f->gated_stride);
}

static void gate_block(struct forward *f, size_t first, size_t count, const void *context, size_t worker) {
    (void)context, (void)worker;
    gate_part(f, first, count, 0, f->description->mlp_width);
}

static size_t gate_columns(const struct forward *f) {
    return (f->description->mlp_width + GATE_COLUMNS - 1) / GATE_COLUMNS;
}

/* A stretch of columns of one row. */
static void gate_tile(void *context, size_t tile, size_t worker) {
    (void)worker;
    const struct forward *f = context;
    const size_t columns = gate_columns(f), column = tile % columns * GATE_COLUMNS,
                 left = f->description->mlp_width - column;
    gate_part(f, tile / columns, 1, column, left < GATE_COLUMNS ? left : GATE_COLUMNS);
}

/* Where rows are fewer than threads, and wide, their columns are split too. */
static void run_gate(struct forward *f) {
    const size_t threads = workers_count(f->workers), columns = gate_columns(f);
    if (threads < GATE_THREADS_MIN || f->row_count >= threads || columns < GATE_THREADS_MIN)
        forward_each_block(f, f->row_count, gate_block, NULL);
    else
        workers_run(f->workers, gate_tile, f, f->row_count * columns);
}

static void run_up(struct forward *f, const struct packed_layer *layer, struct norm_output normed) {
    bool gated = f->description->gated;
    struct linear_call call = input_call(f, &layer->up, normed, f->hidden, f->hidden_stride);
    call.activation = gated ? ACTIVATION_NONE : f->description->activation;
    linear_run(f, &call);
    if (gated) run_gate(f);
}

/* ---- output projections ---- */

static void run_output(struct forward *f, const struct packed_linear *linear, float *x, size_t x_stride,
                       const float *residual, float *out) {
    linear_run(f, &(struct linear_call){
                      .linear = linear,
                      .x = x,
                      .x_stride = x_stride,
                      .rows = f->row_count,
                      .residual = residual,
                      .out = out,
                      .out_stride = f->stream_stride,
                      .may_rotate = true,
                  });
}

static void scale_row(float *row, size_t width, float factor) {
    for (size_t i = 0; i < width; i++) row[i] *= factor;
}

/* What is subtracted from a row as it is centred: its mean, in the orthonormal basis less a share of its last
 * entry. */
static float centre_of(const struct forward *f, const float *row) {
    size_t width = f->description->width;
    double sum = 0;
    for (size_t i = 0; i < width; i++) sum += row[i];
    double mean = sum / (double)width;
    return (float)(mean - f->model->folded->last_share * ((double)row[width - 1] - mean));
}

/* stream <- residual_scale . stream + post_norm(output), row by row. Gain and shift leave the output of a norm
 * with a mean: it is subtracted before the output is added to a centred stream. */
static void join_block(struct forward *f, size_t first, size_t count, const void *context, size_t worker) {
    (void)worker;
    const struct packed_sublayer *s = context;
    size_t width = s->stream_width;
    if (s->post_norm.width) norm_rows(f, &s->post_norm, f->output + first * f->stream_stride, count);
    for (size_t r = first; r < first + count; r++) {
        float *stream = f->stream + r * f->stream_stride, *output = f->output + r * f->stream_stride;
        float offset = s->centre_post ? centre_of(f, output) : 0;
        for (size_t i = 0; i < width; i++)
            stream[i] =
                (s->residual_scale ? s->residual_scale[i] * stream[i] : stream[i]) + (output[i] - offset);
    }
}

struct rescaling {
    float factor;
    size_t width;
};

static void rescale_block(struct forward *f, size_t first, size_t count, const void *context, size_t worker) {
    (void)worker;
    const struct rescaling *r = context;
    for (size_t i = first; i < first + count; i++)
        scale_row(f->stream + i * f->stream_stride, r->width, r->factor);
}

static void rescale(struct forward *f, const struct packed_sublayer *s, float factor) {
    const struct rescaling rescaling = {.factor = factor, .width = s->stream_width};
    if (factor != 1) forward_each_block(f, f->row_count, rescale_block, &rescaling);
}

static void norm_stream_block(struct forward *f, size_t first, size_t count, const void *context,
                              size_t worker) {
    (void)worker;
    norm_rows(f, context, f->stream + first * f->stream_stride, count);
}

/* The input of an output projection, and the norm in front of it. */
struct output_input {
    const struct packed_norm *norm;
    float *x;
    size_t stride;
};

static void norm_inner_block(struct forward *f, size_t first, size_t count, const void *context,
                             size_t worker) {
    (void)worker;
    const struct output_input *input = context;
    const struct packed_norm *norm = input->norm;
    float *x = input->x + first * input->stride;
    f->kernels->normalize_rows(norm->kind, x, input->stride, count, norm->width, norm->divisor, norm->eps,
                               norm->gain, norm->bias, x, input->stride);
}

/* q <- q + dual_scale * output, p <- p + output. */
static void dual_block(struct forward *f, size_t first, size_t count, const void *context, size_t worker) {
    (void)context, (void)worker;
    size_t width = f->description->width;
    float scale = (float)f->description->dual_scale;
    for (size_t r = first; r < first + count; r++)
        for (size_t i = 0; i < width; i++) {
            float output = f->output[r * f->stream_stride + i];
            f->dual[r * f->stream_stride + i] += scale * output;
            f->stream[r * f->stream_stride + i] += output;
        }
}

/* x <- outer_norm(rescale * (residual_factor * residual_scale . x + post_norm(output))) */
static void add_output(struct forward *f, const struct packed_sublayer *s, float *x, size_t x_stride) {
    rescale(f, s, s->residual_factor);
    if (f->dual || s->post_norm.width || s->residual_scale) {
        run_output(f, &s->output, x, x_stride, NULL, f->output);
        forward_each_block(f, f->row_count, f->dual ? dual_block : join_block, s);
    } else {
        run_output(f, &s->output, x, x_stride, f->stream, f->stream);
    }
    rescale(f, s, s->rescale);
    if (s->outer_norm.width) forward_each_block(f, f->row_count, norm_stream_block, &s->outer_norm);
}

static void finish(struct forward *f, const struct packed_sublayer *s, float *x, size_t x_stride) {
    struct output_input input = {.norm = &s->inner_norm, .x = x, .stride = x_stride};
    if (s->inner_norm.width) forward_each_block(f, f->row_count, norm_inner_block, &input);
    add_output(f, s, x, x_stride);
}

static void finish_mlp(struct forward *f, const struct packed_layer *layer) {
    if (f->description->gated)
        finish(f, &layer->mlp, f->gated, f->gated_stride);
    else
        finish(f, &layer->mlp, f->hidden, f->hidden_stride);
}

/* The input of a sub-layer's input projection. */
static struct norm_output input_of(struct forward *f, const struct packed_sublayer *s) {
    if (!s->norm.width) return (struct norm_output){.x = f->stream, .stride = f->stream_stride};
    return norm_run(f, &s->norm, f->stream, f->row_count);
}

/* A row as published becomes one as the form has it. */
static void convert_block(struct forward *f, size_t first, size_t count, const void *context, size_t worker) {
    (void)context, (void)worker;
    for (size_t r = first; r < first + count; r++) {
        float *row = f->stream + r * f->stream_stride, offset = centre_of(f, row);
        for (size_t i = 0; i < f->model->folded->stream_width; i++) row[i] -= offset;
    }
}

/* The border between layers that run as published and those that are folded. */
static void convert_stream(struct forward *f, size_t layer) {
    const struct folded_model *c = f->model->folded;
    if (layer == 0 || layer != c->folded_from || !folded_model_is_centred(c)) return;
    forward_each_block(f, f->row_count, convert_block, NULL);
}

size_t block_order(const struct forward *f, size_t index, const struct packed_linear **order) {
    const struct packed_layer *layer = &f->model->layers[index];
    bool parallel = f->description->residual != RESIDUAL_SEQUENTIAL;
    size_t count = 0;
    order[count++] = &layer->qkv;
    if (layer->values.out) order[count++] = &layer->values;
    if (parallel) order[count++] = &layer->up;
    order[count++] = &layer->attention.output;
    if (!parallel) order[count++] = &layer->up;
    order[count++] = &layer->mlp.output;
    return count;
}

void block_run(struct forward *f, size_t index) {
    const struct packed_layer *layer = &f->model->layers[index];
    enum residual residual = f->description->residual;
    convert_stream(f, index);
    struct norm_output normed = input_of(f, &layer->attention);
    run_qkv(f, layer, normed);
    /* In a parallel block the MLP reads the stream before attention adds to it. */
    if (residual == RESIDUAL_PARALLEL_TWO_NORMS) normed = input_of(f, &layer->mlp);
    if (residual != RESIDUAL_SEQUENTIAL) run_up(f, layer, normed);
    attention_run(f, index);
    finish(f, &layer->attention, f->heads, f->heads_stride);
    if (residual == RESIDUAL_SEQUENTIAL) run_up(f, layer, input_of(f, &layer->mlp));
    finish_mlp(f, layer);
}
