#include "engine/forward/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/blas/blas.h"
#include "engine/fold/quiet.h"
#include "engine/model/alibi.h"
#include "engine/model/rotary.h"

/* Buffers of one pass; rows are the tokens of the sequence. */
struct run {
    struct folded_model *model;
    const struct model_description *description;
    const struct blas *blas;
    size_t rows;
    double *weights,
        *bias; /* [BLOCK_ROWS, widest input], [BLOCK_ROWS], and a cover's more: of the linear that runs */
    double *stream;  /* [rows, stream_width] */
    double *normed;  /* [rows, stream_width] */
    double *output;  /* [rows, width]: output of a sub-layer */
    double *dual;    /* [rows, width] of residual_dual, else NULL */
    double *qkv;     /* [rows, (heads + 2 kv_heads) head_dim] */
    double *heads;   /* [rows, heads head_dim] */
    double *hidden;  /* [rows, up.out] */
    double *scores;  /* [rows] */
    double *scratch; /* of embedding rows */
};

/* Output rows that are folded at a time. */
#define BLOCK_ROWS 1024
/* A reduction is never spread over threads: the oracle is the same everywhere. */
#define REFERENCE_THREADS 1

/* out = x W' + b, W and b folded from the checkpoint as they are needed. */
static void apply_linear(const struct run *run, struct folded_linear *l, const double *x, double *out) {
    folded_linear_prepare(l);
    for (size_t first = 0; first < l->out; first += BLOCK_ROWS) {
        size_t count = l->out - first < BLOCK_ROWS ? l->out - first : BLOCK_ROWS;
        folded_linear_rows(l, first, count, run->weights, run->bias);
        for (size_t r = 0; r < run->rows; r++)
            memcpy(out + r * l->out + first, run->bias, count * sizeof *out);
        run->blas->dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)run->rows, (blasint)count,
                         (blasint)l->in, 1, x, (blasint)l->in, run->weights, (blasint)l->in, 1, out + first,
                         (blasint)l->out);
    }
}

/* Rows [width]; no such norm (norm->width 0): a copy. */
static void apply_norms(const struct run *run, const struct folded_norm *norm, size_t width, const double *x,
                        double *out) {
    if (!norm->width && out != x) memcpy(out, x, run->rows * width * sizeof *out);
    for (size_t r = 0; norm->width && r < run->rows; r++)
        folded_norm_apply(norm, x + r * width, out + r * width);
}

/* run->normed of run->stream. */
static void apply_stream_norm(const struct run *run, const struct folded_norm *norm, size_t width) {
    apply_norms(run, norm, width, run->stream, run->normed);
    for (size_t r = 0; r < run->rows; r++) folded_norm_quieten(run->model, norm, run->normed + r * width);
}

/* Rotary embedding (Su et al. 2021) of one head's vector. */
static void rotate(const struct rotary *rotary, const double *frequencies, size_t position, double *head) {
    size_t pairs = rotary->dimensions / 2;
    for (size_t i = 0; i < pairs; i++) {
        double angle = (double)position * frequencies[i];
        double cosine = rotary->attention_factor * cos(angle), sine = rotary->attention_factor * sin(angle);
        double *a = head + (rotary->interleaved ? 2 * i : i), *b = rotary->interleaved ? a + 1 : a + pairs;
        double x = *a, y = *b;
        *a = x * cosine - y * sine;
        *b = y * cosine + x * sine;
    }
}

static void normalize_heads(const struct model_description *d, const struct folded_norm *norm, size_t heads,
                            double *row) {
    if (d->qk_norm == QK_NORM_WHOLE) heads = 1;
    for (size_t h = 0; norm->width && h < heads; h++) {
        struct folded_norm own = *norm;
        if (d->qk_norm == QK_NORM_PER_HEAD) {
            own.gain += h * norm->width;
            if (own.shift) own.shift += h * norm->width;
        }
        folded_norm_apply(&own, row + h * norm->width, row + h * norm->width);
    }
}

/* Clamp, norms of heads, rotation. */
static void prepare_qkv(const struct run *run, size_t layer) {
    const struct model_description *d = run->description;
    const struct folded_layer *norms = &run->model->layers[layer];
    size_t stride = (d->heads + 2 * d->kv_heads) * d->head_dim;
    const struct rotary *rotary = rotary_of_layer(d, layer);
    double frequencies[MODEL_HEAD_DIM_MAX / 2];
    rotary_frequencies(rotary, rotary_length(d, run->rows), frequencies);
    for (size_t r = 0; r < run->rows; r++) {
        double *row = run->qkv + r * stride, *keys = row + d->heads * d->head_dim;
        for (size_t i = 0; d->clip_qkv > 0 && i < stride; i++)
            row[i] = fmax(-d->clip_qkv, fmin(d->clip_qkv, row[i]));
        normalize_heads(d, &norms->query_norm, d->heads, row);
        normalize_heads(d, &norms->key_norm, d->kv_heads, keys);
        for (size_t h = 0; d->layer[layer].rotary && h < d->heads + d->kv_heads; h++)
            rotate(rotary, frequencies, r, row + h * d->head_dim);
    }
}

static double dot(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static double soft_cap(double x, double cap) {
    return cap > 0 ? cap * tanh(x / cap) : x;
}

/* softmax(q k' scale + bias) v of one query head at one position. */
static void attend(const struct run *run, const struct layer_traits *traits, size_t position, size_t head,
                   double *out) {
    const struct model_description *d = run->description;
    size_t dim = d->head_dim, stride = (d->heads + 2 * d->kv_heads) * dim;
    size_t shared = head / (d->heads / d->kv_heads);
    const double *query = run->qkv + position * stride + head * dim;
    const double *keys = run->qkv + (d->heads + shared) * dim, *values = keys + d->kv_heads * dim;
    size_t first = traits->window && position + 1 > traits->window ? position + 1 - traits->window : 0;
    double largest = -INFINITY, sum = 0;
    for (size_t j = first; j <= position; j++) {
        run->scores[j] = soft_cap(traits->attention_scale * dot(query, keys + j * stride, dim), d->score_cap);
        if (d->position == POSITION_ALIBI)
            run->scores[j] += alibi_bias(d, head, j, position, traits->attention_scale);
        if (run->scores[j] > largest) largest = run->scores[j];
    }
    memset(out, 0, dim * sizeof *out);
    for (size_t j = first; j <= position; j++) {
        double weight = exp(run->scores[j] - largest);
        sum += weight;
        for (size_t i = 0; i < dim; i++) out[i] += weight * values[j * stride + i];
    }
    for (size_t i = 0; i < dim; i++) out[i] /= sum;
}

static double activate(enum activation activation, double x) {
    switch (activation) {
    case ACTIVATION_RELU:
        return x > 0 ? x : 0;
    case ACTIVATION_RELU_SQUARED:
        return x > 0 ? x * x : 0;
    case ACTIVATION_GELU:
        return 0.5 * x * (1 + erf(x * M_SQRT1_2));
    case ACTIVATION_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case ACTIVATION_GELU_QUICK:
        return x / (1 + exp(-1.702 * x));
    case ACTIVATION_SILU:
        return x / (1 + exp(-x));
    default:
        return x;
    }
}

static void attend_all(const struct run *run, size_t layer) {
    const struct model_description *d = run->description;
    prepare_qkv(run, layer);
    for (size_t r = 0; r < run->rows; r++)
        for (size_t h = 0; h < d->heads; h++)
            attend(run, &d->layer[layer], r, h, run->heads + (r * d->heads + h) * d->head_dim);
}

/* hidden = activation(up), or activation(gate) * up, of the normed rows. */
static void run_up(const struct run *run, size_t layer) {
    const struct model_description *d = run->description;
    struct folded_linear *up = &run->model->layers[layer].up;
    apply_linear(run, up, run->normed, run->hidden);
    size_t width = d->mlp_width;
    for (size_t r = 0; r < run->rows; r++)
        for (size_t k = 0; k < width; k++) {
            double *to = run->hidden + r * width + k; /* never ahead of what is still to be read */
            const double *row = run->hidden + r * up->out;
            *to = activate(d->activation, row[k]) * (d->gated ? row[width + k] : 1);
        }
}

/* Centres what a norm gave, in the basis of the form. */
static void centre_row(const struct folded_model *c, double *row) {
    size_t width = c->description->width;
    double mean = 0;
    for (size_t i = 0; i < width; i++) mean += row[i] / (double)width;
    double offset = mean - c->last_share * (row[width - 1] - mean);
    for (size_t i = 0; i < width; i++) row[i] -= offset;
}

/* x <- outer_norm(rescale * (residual_factor * residual_scale . x + post_norm(output))) for one row. */
static void add_output(const struct run *run, const struct folded_sublayer *s, double *output, double *stream,
                       double *dual) {
    const struct model_description *d = run->description;
    if (s->post_norm.width) folded_norm_apply(&s->post_norm, output, output);
    if (s->centre_post) centre_row(run->model, output);
    for (size_t i = 0; i < s->stream_width; i++) {
        double scale = s->residual_factor * (s->residual_scale ? s->residual_scale[i] : 1);
        stream[i] = s->rescale * (scale * stream[i] + output[i]);
        if (dual) dual[i] += d->dual_scale * output[i];
    }
    if (s->outer_norm.width) folded_norm_apply(&s->outer_norm, stream, stream);
}

static void finish(const struct run *run, struct folded_sublayer *s, double *x) {
    const struct rotation *rotation = &s->output.rotate_in;
    apply_norms(run, &s->inner_norm, s->output.in, x, x);
    for (size_t r = 0; s->output.rotates_rows && r < run->rows; r++)
        rotation_apply(rotation, x + r * s->output.in, rotation->lanes, 0, rotation->count);
    apply_linear(run, &s->output, x, run->output);
    for (size_t r = 0; r < run->rows; r++)
        add_output(run, s, run->output + r * s->output.out, run->stream + r * s->stream_width,
                   run->dual ? run->dual + r * run->description->width : NULL);
}

static void norm_input(const struct run *run, const struct folded_sublayer *s) {
    apply_stream_norm(run, &s->norm, s->stream_width);
}

/* The border between layers that run as published and those that are folded: rows become centred and, where
 * they are compressed, shorter. */
static void convert_stream(const struct run *run, size_t layer) {
    const struct folded_model *c = run->model;
    size_t width = c->description->width;
    if (layer == 0 || layer != c->folded_from) return;
    for (size_t r = 0; r < run->rows; r++) {
        folded_stream_convert(c, run->stream + r * width);
        memmove(run->stream + r * c->stream_width, run->stream + r * width,
                c->stream_width * sizeof *run->stream);
    }
}

static void run_block(const struct run *run, size_t i) {
    struct folded_layer *layer = &run->model->layers[i];
    enum residual residual = run->description->residual;
    convert_stream(run, i);
    norm_input(run, &layer->attention);
    apply_linear(run, &layer->qkv, run->normed, run->qkv);
    attend_all(run, i);
    if (residual == RESIDUAL_PARALLEL_TWO_NORMS) norm_input(run, &layer->mlp);
    if (residual != RESIDUAL_SEQUENTIAL) run_up(run, i); /* reads the stream before attention adds to it */
    finish(run, &layer->attention, run->heads);
    if (residual == RESIDUAL_SEQUENTIAL) {
        norm_input(run, &layer->mlp);
        run_up(run, i);
    }
    finish(run, &layer->mlp, run->hidden);
}

static void run_embedding(const struct run *run, const int32_t *ids) {
    const struct folded_model *c = run->model;
    for (size_t i = 0; i < run->rows; i++) {
        double *row = run->stream + i * folded_stream_width(c, 0);
        folded_embedding(c, (size_t)ids[i], i, row, run->scratch);
        if (run->dual) folded_dual_embedding(c, row, run->dual + i * c->description->width);
    }
}

/* ResiDual: dual_alpha * p + norm(q). The last entry of a compressed q is computed from the others. */
static void join_dual(const struct run *run) {
    const size_t width = run->description->width;
    for (size_t r = 0; r < run->rows; r++)
        folded_hidden(run->model, run->stream + r * width, run->dual + r * width);
    memcpy(run->normed, run->stream, run->rows * width * sizeof *run->normed);
}

static void run_deinit(struct run *run) {
    double *buffers[] = {run->weights, run->bias,  run->stream, run->normed, run->output, run->dual,
                         run->qkv,     run->heads, run->hidden, run->scores, run->scratch};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) free(buffers[i]);
}

static bool run_init(struct run *run, struct folded_model *c, size_t rows, struct error *e) {
    const struct model_description *d = c->description;
    size_t heads = d->heads * d->head_dim, qkv = heads + 2 * d->kv_heads * d->head_dim;
    size_t hidden = d->mlp_width * 2 > d->embedding_width ? d->mlp_width * 2 : d->embedding_width;
    bool dual = d->placement == PLACEMENT_RESIDUAL_DUAL;
    *run = (struct run){.model = c, .description = d, .rows = rows};
    const struct {
        double **buffer;
        size_t count;
    } buffers[] = {
        {&run->weights, folded_scratch(c, BLOCK_ROWS)},
        {&run->bias, BLOCK_ROWS + ROTATION_COVER_MAX},
        {&run->stream, rows * d->width},
        {&run->normed, rows * d->width},
        {&run->output, rows * d->width},
        {&run->dual, dual ? rows * d->width : 0},
        {&run->qkv, rows * qkv},
        {&run->heads, rows * heads},
        {&run->hidden, rows * hidden},
        {&run->scores, rows},
        {&run->scratch, folded_embedding_scratch(c)},
    };
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) {
        if (buffers[i].count == 0) continue;
        *buffers[i].buffer = memory_aligned(buffers[i].count, sizeof(double), "reference pass", e);
        if (!*buffers[i].buffer) return false;
    }
    return true;
}

enum status reference_logits(struct folded_model *c, const int32_t *ids, size_t count, double *logits,
                             struct error *e) {
    struct run run = {0};
    const struct blas *blas;
    enum status status = blas_open(REFERENCE_THREADS, &blas, e);
    if (status != STATUS_OK) return status;
    bool ok = run_init(&run, c, count, e);
    run.blas = blas;
    if (ok) {
        run_embedding(&run, ids);
        for (size_t i = 0; i < c->description->layers; i++) run_block(&run, i);
        if (run.dual)
            join_dual(&run);
        else
            apply_stream_norm(&run, &c->final_norm, folded_stream_width(c, c->description->layers));
        bool projected = c->project_out.part_count > 0;
        if (projected) apply_linear(&run, &c->project_out, run.normed, run.hidden);
        apply_linear(&run, &c->head, projected ? run.hidden : run.normed, logits);
        for (size_t i = 0; i < count * c->head.out; i++)
            logits[i] = soft_cap(logits[i], c->description->logit_cap);
    }
    run_deinit(&run);
    return ok ? STATUS_OK : STATUS_NO_MEMORY;
}
