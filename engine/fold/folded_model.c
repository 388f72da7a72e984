#include "engine/fold/folded_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"

enum norm_form norm_form_for(const struct model_description *d, enum norm_form wanted) {
    bool compressed = wanted == NORM_FORM_CRMSNORM || wanted == NORM_FORM_ORTHONORMAL;
    if (wanted == NORM_FORM_LAYERNORM) return wanted;
    if (d->placement == PLACEMENT_OUTPUT) return d->output_is_rmsnorm ? NORM_FORM_RMSNORM : NORM_FORM_OUTPUT;
    if (d->norm_type == NORM_TYPE_CRMSNORM) return NORM_FORM_CRMSNORM_NATIVE;
    if (!description_converts(d)) return NORM_FORM_LAYERNORM;
    if (!compressed && wanted != NORM_FORM_RMSNORM) return NORM_FORM_LAYERNORM; /* another model's own form */
    if (compressed && d->norm_type == NORM_TYPE_RMSNORM) return NORM_FORM_RMSNORM;
    /* The dual stream is expanded to its full width again before the head, which is easy in the paper's
     * basis. */
    if (compressed && (d->placement == PLACEMENT_RESIDUAL_DUAL || d->width < 2)) return NORM_FORM_CRMSNORM;
    return wanted;
}

/* The residual stream where it is read or added to. */
struct stream {
    bool folded;  /* as the form has it, else as published */
    double gates; /* product of the factors so far that have not been applied: it is stored as x / gates */
};

/* Whether the form folds what reads the stream. In the output form that is the head alone, and only behind an
 * RMSNorm: nothing else reads through a norm, so nothing can be centred for one that subtracts the mean. */
static bool is_folded(const struct folded_model *c) {
    if (c->form == NORM_FORM_OUTPUT) return c->description->norm_type != NORM_TYPE_LAYERNORM;
    return c->form != NORM_FORM_LAYERNORM;
}

static bool is_compressed(const struct folded_model *c) {
    return c->form == NORM_FORM_CRMSNORM || c->form == NORM_FORM_ORTHONORMAL;
}

/* Output projections are centred, unless the model is one of RMSNorm, whose rows have a mean that counts. */
bool folded_model_is_centred(const struct folded_model *c) {
    return is_folded(c) && c->description->norm_type == NORM_TYPE_LAYERNORM;
}

size_t folded_stream_width(const struct folded_model *c, size_t layer) {
    return layer < c->folded_from ? c->description->width : c->stream_width;
}

static enum row_norm norm_kind(const struct model_description *d) {
    static const enum row_norm kinds[] = {[NORM_TYPE_LAYERNORM] = ROW_NORM_LAYERNORM,
                                          [NORM_TYPE_RMSNORM] = ROW_NORM_RMS,
                                          [NORM_TYPE_CRMSNORM] = ROW_NORM_CRMS};
    return kinds[d->norm_type];
}

/* Of rows of the model that are stored in so many entries. */
static size_t norm_divisor(const struct model_description *d, size_t width) {
    return d->norm_type == NORM_TYPE_CRMSNORM ? width + 1 : width;
}

/* *out stays NULL for a vector that the checkpoint does not have. False only when there is no memory. */
static bool read_vector(const struct vector_view *v, double offset, double scale, double **out,
                        struct error *e) {
    if (!v->tensor) return true;
    *out = memory_aligned(v->count, sizeof **out, "norm", e);
    if (!*out) return false;
    vector_read(v, v->count, 0, *out);
    for (size_t i = 0; i < v->count; i++) (*out)[i] = ((*out)[i] + offset) * scale;
    return true;
}

/* A norm that is not folded: it runs with its gain and shift, both multiplied by scale. */
static bool read_norm(const struct folded_model *c, const struct norm_view *views, double eps, double scale,
                      struct folded_norm *norm, struct error *e) {
    const struct model_description *d = c->description;
    *norm = (struct folded_norm){
        .kind = norm_kind(d),
        .width = views->gain.count,
        .divisor = norm_divisor(d, views->gain.count),
        .eps = eps,
    };
    return read_vector(&views->gain, d->norm_gain_offset, scale, &norm->gain, e) &&
           read_vector(&views->bias, 0, scale, &norm->shift, e);
}

/* A norm of the residual stream: what runs of it, and what is folded into the linears that read its output.
 * Where the stream is stored as x / c (c is a product of GPAS gates), the eps becomes eps / c^2. */
static bool fold_stream_norm(const struct folded_model *c, const struct norm_view *views, double eps,
                             struct stream stream, struct folded_norm *norm, struct folded_norm *fold,
                             struct error *e) {
    const struct model_description *d = c->description;
    if (!stream.folded) return read_norm(c, views, eps, 1, norm, e);
    bool sums = c->form == NORM_FORM_CRMSNORM || d->norm_type == NORM_TYPE_CRMSNORM;
    *norm = (struct folded_norm){
        .kind = sums ? ROW_NORM_CRMS : ROW_NORM_RMS,
        .folded = true,
        .width = c->stream_width,
        .divisor = norm_divisor(d, d->width),
        .eps = eps / (stream.gates * stream.gates),
    };
    return read_norm(c, views, eps, 1, fold, e);
}

static void free_norm(struct folded_norm *norm) {
    free(norm->gain);
    free(norm->shift);
    free(norm->quiet);
}

/* The values of all views, one after the other. */
static double *read_views(const struct vector_view *views, size_t count, double offset, struct error *e) {
    size_t total = views[0].count * count;
    double *values = memory_aligned(total, sizeof *values, "head norm", e);
    for (size_t i = 0; values && i < count; i++)
        vector_read(&views[i], views[i].count, 0, values + i * views[i].count);
    for (size_t i = 0; values && i < total; i++) values[i] += offset;
    return values;
}

static bool read_head_norm(const struct folded_model *c, const struct head_norm_view *views,
                           struct folded_norm *norm, struct error *e) {
    const struct model_description *d = c->description;
    if (!views->gain) return true;
    size_t width = d->qk_norm == QK_NORM_WHOLE ? views->gain->count : d->head_dim;
    *norm =
        (struct folded_norm){.kind = norm_kind(d), .width = width, .divisor = width, .eps = d->qk_norm_eps};
    norm->gain = read_views(views->gain, views->views, d->norm_gain_offset, e);
    if (views->bias) norm->shift = read_views(views->bias, views->views, 0, e);
    return norm->gain && (norm->shift || !views->bias);
}

static void add_part(struct folded_linear *l, const struct linear_view *part) {
    l->part[l->part_count++] = *part;
    l->out += part->weight.out;
    l->in = part->weight.in;
    l->weight_scale = l->bias_scale = 1;
}

/* An input projection: a linear that reads the residual stream through a norm (NULL: as it is). The sign of
 * the gates goes into its weights; where no norm takes their size away, they do as a whole. */
static void make_input(const struct folded_model *c, struct folded_linear *l, const struct folded_norm *fold,
                       struct stream stream) {
    if (!stream.folded) return;
    if (!fold) {
        l->weight_scale *= stream.gates;
        return;
    }
    l->gain = fold->gain;
    l->shift = fold->shift;
    l->weight_scale *= stream.gates < 0 ? -1 : 1;
    l->compress_in = is_compressed(c);
    l->last_share = c->last_share;
    if (l->compress_in) l->in--;
}

/* An output projection: a linear whose output is added to the residual stream. */
static bool make_output(const struct folded_model *c, struct folded_linear *l, struct stream stream,
                        struct error *e) {
    if (!stream.folded) return true;
    l->weight_scale /= stream.gates;
    l->bias_scale /= stream.gates;
    if (!folded_model_is_centred(c)) return true;
    l->centre_out = true;
    if (c->stream_width < c->description->width) l->out--;
    l->last_share = c->last_share;
    l->column_mean = memory_aligned(l->in, sizeof *l->column_mean, "column means", e);
    l->column_rms = memory_aligned(l->in, sizeof *l->column_rms, "column means", e);
    return l->column_mean && l->column_rms;
}

/* NormFormer's scales of heads, repeated to `count` values: for the input of the output projection, or for
 * its output reshaped to heads. */
static bool fold_head_scale(const struct folded_model *c, const struct vector_view *scales, size_t count,
                            struct folded_sublayer *s, struct error *e) {
    if (!scales->tensor) return true;
    size_t heads = scales->count;
    s->output_scale = memory_aligned(count, sizeof *s->output_scale, "head scales", e);
    if (!s->output_scale) return false;
    for (size_t i = 0; i < count; i++) vector_read_part(scales, i / (count / heads), 1, s->output_scale + i);
    if (c->description->head_scale == HEAD_SCALE_PAPER)
        s->output.gain = s->output_scale;
    else
        s->output.out_scale = s->output_scale;
    return true;
}

/* The output projection of a sub-layer. Its output is added to the stream directly, or after a norm of its
 * own; then the gates are folded into that norm instead. */
static bool fold_output(const struct folded_model *c, const struct sublayer_views *views,
                        struct stream stream, struct folded_sublayer *s, struct error *e) {
    double eps = c->description->norm_eps;
    add_part(&s->output, &views->output);
    s->output.weight_scale = s->output.bias_scale = c->description->residual_multiplier;
    if (views->inner_norm.gain.count && !read_norm(c, &views->inner_norm, eps, 1, &s->inner_norm, e))
        return false;
    if (!read_vector(&views->residual_scale, 0, 1, &s->residual_scale, e)) return false;
    if (!views->post_norm.gain.count) return make_output(c, &s->output, stream, e);
    s->centre_post = stream.folded && folded_model_is_centred(c);
    return read_norm(c, &views->post_norm, eps, 1 / stream.gates, &s->post_norm, e);
}

/* A product of gates outside this range is applied to the stream, and a new product begins: eps / c^2 and 1 /
 * c would lose precision. */
#define GATES_SMALLEST 0x1p-20
#define GATES_LARGEST  0x1p20

/* After a sub-layer whose sum is scaled: the gate is multiplied into the product that is folded away, or it is
 * applied. */
static void pass_gate(struct folded_sublayer *s, double gate, struct stream *stream) {
    stream->gates *= gate;
    bool in_range = fabs(stream->gates) >= GATES_SMALLEST && fabs(stream->gates) <= GATES_LARGEST;
    if (stream->folded && in_range) return;
    s->rescale = stream->gates;
    stream->gates = 1;
}

/* s = 1 - SiLU(alpha) (GPAS, Chen et al. 2025). */
static double gate_of(const struct layer_views *views) {
    double alpha = 0;
    if (!views->gpas_gate.tensor) return 1;
    vector_read(&views->gpas_gate, 1, 0, &alpha);
    return 1 - alpha / (1 + exp(-alpha));
}

/* What the residual and the sum are multiplied by. The gate of GPAS stands at the residual where a norm
 * follows, else at the sum. */
struct factors {
    double residual, sum;
};

static struct factors factors_of(const struct model_description *d, enum norm_placement placement,
                                 double gate) {
    if (!placement_is_post_like(placement))
        return (struct factors){.residual = d->residual_alpha, .sum = gate};
    double alpha = placement == PLACEMENT_DEEPNORM ? d->deepnorm_alpha
                   : placement == PLACEMENT_KEEL   ? d->residual_alpha
                                                   : 1;
    return (struct factors){.residual = gate * alpha, .sum = 1};
}

/* A factor of the residual is a gate that stands in front of the addition: it counts for what is added, and
 * not yet for the norm. */
static bool fold_sublayer(const struct folded_model *c, const struct sublayer_views *views,
                          struct factors factors, struct stream *stream, struct folded_sublayer *s,
                          struct error *e) {
    double eps = c->description->norm_eps;
    s->residual_factor = s->rescale = 1;
    s->stream_width = stream->folded ? c->stream_width : c->description->width;
    if (views->norm.gain.count && !fold_stream_norm(c, &views->norm, eps, *stream, &s->norm, &s->fold, e))
        return false;
    if (views->outer_norm.gain.count && !read_norm(c, &views->outer_norm, eps, 1, &s->outer_norm, e))
        return false;
    if (stream->folded)
        stream->gates *= factors.residual;
    else
        s->residual_factor = factors.residual;
    if (!fold_output(c, views, *stream, s, e)) return false;
    pass_gate(s, factors.sum, stream);
    return true;
}

static const struct folded_norm *norm_of(const struct folded_sublayer *s) {
    return s->norm.width ? &s->fold : NULL;
}

static void add_parts(const struct model_description *d, const struct layer_views *views,
                      struct folded_layer *layer) {
    add_part(&layer->qkv, &views->query);
    add_part(&layer->qkv, &views->key);
    add_part(&layer->qkv, &views->value);
    if (d->gated) add_part(&layer->up, &views->gate);
    add_part(&layer->up, &views->up);
}

static bool fold_layer(struct folded_model *c, size_t i, struct stream *stream, struct error *e) {
    const struct model_description *d = c->description;
    const struct layer_views *views = &c->views->layers[i];
    struct folded_layer *layer = &c->layers[i];
    struct folded_sublayer *attention = &layer->attention, *mlp = &layer->mlp;
    const struct factors factors = factors_of(d, d->layer[i].placement, gate_of(views));
    stream->folded = is_folded(c) && i >= c->folded_from;
    add_parts(d, views, layer);
    if (!read_head_norm(c, &views->query_norm, &layer->query_norm, e)) return false;
    if (!read_head_norm(c, &views->key_norm, &layer->key_norm, e)) return false;
    size_t scaled = d->head_scale == HEAD_SCALE_PAPER ? d->heads * d->head_dim : d->width;
    struct stream read = *stream;
    if (!fold_sublayer(c, &views->attention, factors, stream, attention, e)) return false;
    if (!fold_head_scale(c, &views->head_scale, scaled, attention, e)) return false;
    make_input(c, &layer->qkv, norm_of(attention), read);
    if (d->residual == RESIDUAL_SEQUENTIAL) read = *stream;
    if (!fold_sublayer(c, &views->mlp, factors, stream, mlp, e)) return false;
    make_input(c, &layer->up, norm_of(d->residual == RESIDUAL_PARALLEL_ONE_NORM ? attention : mlp), read);
    return true;
}

/* ResiDual: the head reads dual_alpha * p + norm(q). Only this norm reads the dual stream q, so q is stored
 * centred (and, in the CRMSNorm form, without its last entry). Gain and shift are not folded, because the
 * addition follows them. */
static bool fold_dual_norm(struct folded_model *c, struct error *e) {
    const struct model_description *d = c->description;
    if (!read_norm(c, &c->views->final_norm, d->final_norm_eps, 1, &c->final_norm, e)) return false;
    if (c->form == NORM_FORM_RMSNORM) c->final_norm.kind = ROW_NORM_RMS;
    if (c->form == NORM_FORM_CRMSNORM) c->final_norm.kind = ROW_NORM_CRMS;
    return true;
}

/* The head reads the output of the final norm, after a projection where the embedding has another width. */
static bool fold_head(struct folded_model *c, struct stream stream, struct error *e) {
    const struct tensor_views *views = c->views;
    const struct model_description *d = c->description;
    bool dual = d->placement == PLACEMENT_RESIDUAL_DUAL, normed = views->final_norm.gain.count > 0 && !dual;
    if (dual && !fold_dual_norm(c, e)) return false;
    if (normed && !fold_stream_norm(c, &views->final_norm, d->final_norm_eps, stream, &c->final_norm,
                                    &c->final_fold, e))
        return false;
    add_part(&c->head, &views->head);
    c->head.weight_scale = c->head.bias_scale = d->logit_scale;
    c->final_factor = !normed ? stream.gates : stream.gates < 0 ? -1 : 1;
    bool projected = views->project_out.weight.tensor != NULL;
    if (projected) add_part(&c->project_out, &views->project_out);
    make_input(c, projected ? &c->project_out : &c->head, normed ? &c->final_fold : NULL, stream);
    return true;
}

static bool fold_embedding(struct folded_model *c, struct error *e) {
    const struct matrix_view *m = &c->views->project_in.weight;
    if (m->tensor) {
        c->project_in = memory_aligned(m->out * m->in, sizeof *c->project_in, "input projection", e);
        if (!c->project_in) return false;
        matrix_read(m, 0, m->out, c->project_in);
    }
    if (!c->description->embedding_norm) return true;
    return read_norm(c, &c->views->embedding_norm, c->description->embedding_norm_eps, 1, &c->embedding_norm,
                     e);
}

enum status folded_model_init(struct folded_model *c, const struct tensor_views *views, enum norm_form form,
                              struct error *e) {
    const struct model_description *d = views->description;
    struct stream stream = {.gates = 1};
    *c = (struct folded_model){.views = views, .description = d, .form = norm_form_for(d, form)};
    bool compressed = is_compressed(c) && d->placement != PLACEMENT_RESIDUAL_DUAL;
    c->stream_width = compressed ? d->width - 1 : d->width;
    c->last_share = c->form == NORM_FORM_ORTHONORMAL ? 1 / (sqrt((double)d->width) - 1) : 0;
    c->folded_from = is_folded(c) ? description_converts_from(d) : 0;
    c->layers = memory_aligned(d->layers, sizeof *c->layers, "converted layers", e);
    if (!c->layers) return STATUS_NO_MEMORY;
    for (size_t i = 0; i < d->layers; i++)
        if (!fold_layer(c, i, &stream, e)) return STATUS_NO_MEMORY;
    return fold_head(c, stream, e) && fold_embedding(c, e) ? STATUS_OK : STATUS_NO_MEMORY;
}

static void free_sublayer(struct folded_sublayer *s) {
    free_norm(&s->norm);
    free_norm(&s->fold);
    free_norm(&s->inner_norm);
    free_norm(&s->post_norm);
    free_norm(&s->outer_norm);
    free(s->output.column_mean);
    free(s->output.column_rms);
    free(s->output_scale);
    free(s->residual_scale);
}

void folded_model_deinit(struct folded_model *c) {
    for (size_t i = 0; c->layers && i < c->description->layers; i++) {
        free_sublayer(&c->layers[i].attention);
        free_sublayer(&c->layers[i].mlp);
        free_norm(&c->layers[i].query_norm);
        free_norm(&c->layers[i].key_norm);
    }
    free_norm(&c->final_norm);
    free_norm(&c->final_fold);
    free_norm(&c->embedding_norm);
    free(c->project_in);
    free(c->layers);
    *c = (struct folded_model){0};
}
