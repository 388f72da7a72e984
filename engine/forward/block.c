/* One block: attention and MLP, in sequence or in parallel, with norms where the placement has them. Where
 * nothing else happens to the output of a sub-layer, its output projection adds to the residual stream in the
 * epilogue; else the output goes to f->output first. */
#include "engine/forward/state.h"

/* ---- input projections ---- */

static struct linear_call input_call(const struct forward *f, enum forward_stage stage,
                                     const struct packed_linear *linear, struct norm_output normed,
                                     float *out, size_t out_stride) {
    return (struct linear_call){
        .linear = linear,
        .stage = stage,
        .x = normed.x,
        .x_stride = normed.stride,
        .rows = f->row_count,
        .row_scale = normed.row_scale,
        .out = out,
        .out_stride = out_stride,
    };
}

static void run_qkv(struct forward *f, const struct packed_layer *layer, struct norm_output normed) {
    const enum forward_stage stage = FORWARD_STAGE_QKV;
    float *values_out = f->qkv + layer->qkv.out;
    const struct linear_call qkv = input_call(f, stage, &layer->qkv, normed, f->qkv, f->qkv_stride),
                             values = input_call(f, stage, &layer->values, normed, values_out, f->qkv_stride);
    if (layer->values.out)
        linear_run_joined(f, &qkv, &values);
    else
        linear_run(f, &qkv);
}

static void run_up(struct forward *f, const struct packed_layer *layer, struct norm_output normed) {
    struct linear_call call =
        input_call(f, FORWARD_STAGE_MLP_INPUT, &layer->up, normed, f->hidden, f->hidden_stride);
    call.activation = f->description->gated ? ACTIVATION_NONE : f->description->activation;
    linear_run(f, &call);
}

/* Columns [column, +width) of rows [first, +count) of f->gated. */
static void gate_columns(const struct forward *f, size_t first, size_t count, size_t column, size_t width) {
    const float *gate = f->hidden + first * f->hidden_stride + column;
    f->kernels->gate_rows(f->description->activation, gate, gate + f->description->mlp_width,
                          f->hidden_stride, count, width, f->gated + first * f->gated_stride + column,
                          f->gated_stride);
}

static void gate_block(struct forward *f, size_t first, size_t count, const void *context, size_t worker) {
    (void)context, (void)worker;
    gate_columns(f, first, count, 0, f->description->mlp_width);
}

/* ---- output projections ---- */

/* What an output projection reads. */
struct output_input {
    enum forward_stage stage; /* of the projection */
    float *x;
    size_t stride;
    forward_columns_fn make; /* of x; or NULL: it is there */
};

static void run_output(struct forward *f, const struct packed_linear *linear, const struct output_input *in,
                       const float *residual, float *out) {
    linear_run(f, &(struct linear_call){
                      .linear = linear,
                      .stage = in->stage,
                      .x = in->x,
                      .x_stride = in->stride,
                      .make = in->make,
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
    const struct packed_sublayer *s = *(const struct packed_sublayer *const *)context;
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
    if (factor != 1) forward_defer(f, f->row_count, rescale_block, &rescaling, sizeof rescaling);
}

static void norm_stream_block(struct forward *f, size_t first, size_t count, const void *context,
                              size_t worker) {
    (void)worker;
    norm_rows(f, *(const struct packed_norm *const *)context, f->stream + first * f->stream_stride, count);
}

/* The norm in front of an output projection. */
struct inner_norm {
    const struct packed_norm *norm;
    float *x;
    size_t stride;
};

static void norm_inner_block(struct forward *f, size_t first, size_t count, const void *context,
                             size_t worker) {
    (void)worker;
    const struct inner_norm *inner = context;
    const struct packed_norm *norm = inner->norm;
    float *x = inner->x + first * inner->stride;
    f->kernels->normalize_rows(norm->kind, x, inner->stride, count, norm->width, norm->divisor, norm->eps,
                               norm->gain, norm->bias, x, inner->stride);
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
static void add_output(struct forward *f, const struct packed_sublayer *s, const struct output_input *in) {
    const struct packed_norm *outer = &s->outer_norm;
    rescale(f, s, s->residual_factor);
    if (f->dual || s->post_norm.width || s->residual_scale) {
        run_output(f, &s->output, in, NULL, f->output);
        forward_defer(f, f->row_count, f->dual ? dual_block : join_block, &s, sizeof s);
    } else {
        run_output(f, &s->output, in, f->stream, f->stream);
    }
    rescale(f, s, s->rescale);
    if (outer->width) forward_defer(f, f->row_count, norm_stream_block, &outer, sizeof outer);
}

static void norm_inner(struct forward *f, const struct packed_sublayer *s, const struct output_input *in) {
    const struct inner_norm inner = {.norm = &s->inner_norm, .x = in->x, .stride = in->stride};
    if (s->inner_norm.width) forward_defer(f, f->row_count, norm_inner_block, &inner, sizeof inner);
}

static void finish_attention(struct forward *f, const struct packed_layer *layer) {
    const struct output_input in = {
        .stage = FORWARD_STAGE_ATTENTION_OUTPUT, .x = f->heads, .stride = f->heads_stride};
    norm_inner(f, &layer->attention, &in);
    add_output(f, &layer->attention, &in);
}

static void finish_mlp(struct forward *f, const struct packed_layer *layer) {
    struct output_input in = {.stage = FORWARD_STAGE_MLP_OUTPUT, .x = f->hidden, .stride = f->hidden_stride};
    if (f->description->gated) {
        in.x = f->gated;
        in.stride = f->gated_stride;
        in.make = gate_columns;
    }
    if (in.make && layer->mlp.inner_norm.width) { /* which needs whole rows */
        forward_defer(f, f->row_count, gate_block, NULL, 0);
        in.make = NULL;
    }
    norm_inner(f, &layer->mlp, &in);
    add_output(f, &layer->mlp, &in);
}

/* The input of a sub-layer's input projection. */
static struct norm_output input_of(struct forward *f, const struct packed_sublayer *s) {
    if (!s->norm.width) return (struct norm_output){.x = f->stream, .stride = f->stream_stride};
    return norm_defer(f, &s->norm, f->stream, f->row_count);
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
    forward_defer(f, f->row_count, convert_block, NULL, 0);
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
    finish_attention(f, layer);
    if (residual == RESIDUAL_SEQUENTIAL) run_up(f, layer, input_of(f, &layer->mlp));
    finish_mlp(f, layer);
}
