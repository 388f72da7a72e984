#include "engine/convert/converted.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"

static const char *const form_names[NORM_FORM_COUNT] = {
    [NORM_FORM_LAYERNORM] = "layernorm",
    [NORM_FORM_RMSNORM] = "rmsnorm",
    [NORM_FORM_CRMSNORM] = "crmsnorm",
    [NORM_FORM_ORTHONORMAL] = "orthonormal",
};

const char *norm_form_name(enum norm_form form) {
    return (unsigned)form < NORM_FORM_COUNT ? form_names[form] : "unknown";
}

bool norm_form_from_name(const char *name, enum norm_form *form) {
    for (unsigned i = 0; i < NORM_FORM_COUNT; i++)
        if (strcmp(form_names[i], name) == 0) {
            *form = (enum norm_form)i;
            return true;
        }
    return false;
}

enum norm_form norm_form_for(const struct model_description *d, enum norm_form wanted) {
    if (!description_converts(d)) return NORM_FORM_LAYERNORM;
    bool compressed = wanted == NORM_FORM_CRMSNORM || wanted == NORM_FORM_ORTHONORMAL;
    if (compressed && d->norm_type == NORM_TYPE_RMSNORM) return NORM_FORM_RMSNORM;
    /* The dual branch is read back to its whole width, which the paper's basis makes easy. */
    if (compressed && (d->placement == PLACEMENT_RESIDUAL_DUAL || d->width < 2)) return NORM_FORM_CRMSNORM;
    return wanted;
}

static bool is_folded(const struct converted_model *c) {
    return c->form != NORM_FORM_LAYERNORM;
}

/* Exits take the mean out unless the model never had one to take out. */
static bool is_centred(const struct converted_model *c) {
    return is_folded(c) && c->description->norm_type == NORM_TYPE_LAYERNORM;
}

/* NULL for a vector that the checkpoint does not have (false only when memory is out). */
static bool read_vector(const struct vector_view *v, double offset, double scale, double **out,
                        struct error *e) {
    if (!v->tensor) return true;
    *out = memory_aligned(v->count, sizeof **out, "norm", e);
    if (!*out) return false;
    vector_read(v, v->count, 0, *out);
    for (size_t i = 0; i < v->count; i++) (*out)[i] = ((*out)[i] + offset) * scale;
    return true;
}

/* A norm that runs with its gain and shift, both times scale. */
static bool read_norm(const struct converted_model *c, const struct bound_norm *bound, double eps,
                      double scale, struct converted_norm *norm, struct error *e) {
    const struct model_description *d = c->description;
    *norm = (struct converted_norm){
        .kind = d->norm_type == NORM_TYPE_RMSNORM ? ROW_NORM_RMS : ROW_NORM_LAYERNORM,
        .width = bound->gain.count,
        .divisor = bound->gain.count,
        .eps = eps,
    };
    return read_vector(&bound->gain, d->norm_gain_offset, scale, &norm->gain, e) &&
           read_vector(&bound->bias, 0, scale, &norm->shift, e);
}

/* A norm on the main branch: what runs, and what is folded into the linears behind it. With the branch
 * carried as x / c (gates of GPAS), its eps is eps / c^2. */
static bool convert_norm(const struct converted_model *c, const struct bound_norm *bound, double eps,
                         double gates, struct converted_norm *norm, struct converted_norm *fold,
                         struct error *e) {
    if (!is_folded(c)) return read_norm(c, bound, eps, 1, norm, e);
    *norm = (struct converted_norm){
        .kind = c->form == NORM_FORM_CRMSNORM ? ROW_NORM_CRMS : ROW_NORM_RMS,
        .folded = true,
        .width = c->branch_width,
        .divisor = c->description->width,
        .eps = eps / (gates * gates),
    };
    return read_norm(c, bound, eps, 1, fold, e);
}

static void free_norm(struct converted_norm *norm) {
    free(norm->gain);
    free(norm->shift);
}

/* Entries of all views, one after the other. */
static double *read_views(const struct vector_view *views, size_t count, struct error *e) {
    size_t total = views[0].count * count;
    double *values = memory_aligned(total, sizeof *values, "head norm", e);
    for (size_t i = 0; values && i < count; i++)
        vector_read(&views[i], views[i].count, 0, values + i * views[i].count);
    return values;
}

static bool read_head_norm(const struct converted_model *c, const struct bound_head_norm *bound,
                           struct converted_norm *norm, struct error *e) {
    const struct model_description *d = c->description;
    if (!bound->gain) return true;
    *norm = (struct converted_norm){
        .kind = ROW_NORM_LAYERNORM, .width = d->head_dim, .divisor = d->head_dim, .eps = d->qk_norm_eps};
    norm->gain = read_views(bound->gain, bound->views, e);
    if (bound->bias) norm->shift = read_views(bound->bias, bound->views, e);
    return norm->gain && (norm->shift || !bound->bias);
}

static void add_part(struct converted_linear *l, const struct bound_linear *part) {
    l->part[l->part_count++] = *part;
    l->out += part->weight.out;
    l->in = part->weight.in;
    l->weight_scale = l->bias_scale = 1;
}

/* A linear that reads the main branch through a norm; the sign of the gates goes into its weights. */
static void make_entry(const struct converted_model *c, struct converted_linear *l,
                       const struct converted_norm *fold, double gates) {
    if (!is_folded(c)) return;
    l->gain = fold->gain;
    l->shift = fold->shift;
    l->weight_scale *= gates < 0 ? -1 : 1;
    l->compress_in = c->form == NORM_FORM_CRMSNORM || c->form == NORM_FORM_ORTHONORMAL;
    l->spread = c->spread;
    if (l->compress_in) l->in--;
}

/* A linear that writes to the main branch, carried as x / gates. */
static bool make_exit(const struct converted_model *c, struct converted_linear *l, double gates,
                      struct error *e) {
    if (!is_folded(c)) return true;
    l->weight_scale = l->bias_scale = 1 / gates;
    if (!is_centred(c)) return true;
    l->centre_out = true;
    if (c->branch_width < c->description->width) l->out--;
    l->spread = c->spread;
    l->column_mean = memory_aligned(l->in, sizeof *l->column_mean, "column means", e);
    l->column_rms = memory_aligned(l->in, sizeof *l->column_rms, "column means", e);
    return l->column_mean && l->column_rms;
}

/* Scales of heads (NormFormer), spread over `count` entries: of the exit's input, or of its reshaped
 * output. */
static bool fold_head_scale(const struct converted_model *c, const struct vector_view *scales, size_t count,
                            struct converted_sublayer *s, struct error *e) {
    if (!scales->tensor) return true;
    size_t heads = scales->count;
    s->exit_scale = memory_aligned(count, sizeof *s->exit_scale, "head scales", e);
    if (!s->exit_scale) return false;
    for (size_t i = 0; i < count; i++) vector_read_part(scales, i / (count / heads), 1, s->exit_scale + i);
    if (c->description->head_scale == HEAD_SCALE_PAPER)
        s->exit.gain = s->exit_scale;
    else
        s->exit.out_scale = s->exit_scale;
    return true;
}

/* The exit of a sub-layer: straight to the branch, or through a norm of its own that takes the gates
 * instead. */
static bool convert_exit(const struct converted_model *c, const struct bound_sublayer *bound, double gates,
                         struct converted_sublayer *s, struct error *e) {
    double eps = c->description->norm_eps;
    add_part(&s->exit, &bound->exit);
    if (bound->inner_norm.gain.tensor && !read_norm(c, &bound->inner_norm, eps, 1, &s->inner_norm, e))
        return false;
    if (!read_vector(&bound->residual_scale, 0, 1, &s->residual_scale, e)) return false;
    if (!bound->post_norm.gain.tensor) return make_exit(c, &s->exit, gates, e);
    return read_norm(c, &bound->post_norm, eps, is_folded(c) ? 1 / gates : 1, &s->post_norm, e);
}

/* Beyond these the gates are applied to the branch and start again: eps / c^2 and 1 / c would lose their
 * bits. */
#define GATES_SMALLEST 0x1p-20
#define GATES_LARGEST  0x1p20

/* After a pre-like sub-layer: the gate joins the product that is folded away, or is applied. */
static void pass_gate(const struct converted_model *c, struct converted_sublayer *s, double gate,
                      double *gates) {
    *gates *= gate;
    bool in_range = fabs(*gates) >= GATES_SMALLEST && fabs(*gates) <= GATES_LARGEST;
    if (is_folded(c) && in_range) return;
    s->rescale = *gates;
    *gates = 1;
}

/* s = 1 - SiLU(alpha) (GPAS, Chen et al. 2025). */
static double gate_of(const struct bound_layer *bound) {
    double alpha = 0;
    if (!bound->gpas_gate.tensor) return 1;
    vector_read(&bound->gpas_gate, 1, 0, &alpha);
    return 1 - alpha / (1 + exp(-alpha));
}

/* F reads the branch as it is; the norm stands behind the sum. */
static bool convert_post_like(const struct converted_model *c, const struct bound_sublayer *bound,
                              double gate, struct converted_sublayer *s, struct error *e) {
    s->residual_factor = gate * c->description->deepnorm_alpha;
    return read_norm(c, &bound->norm, c->description->norm_eps, 1, &s->norm, e) &&
           convert_exit(c, bound, 1, s, e);
}

static bool convert_pre_like(const struct converted_model *c, const struct bound_sublayer *bound,
                             double gates, struct converted_sublayer *s, struct error *e) {
    double eps = c->description->norm_eps;
    if (bound->norm.gain.count && !convert_norm(c, &bound->norm, eps, gates, &s->norm, &s->fold, e))
        return false;
    return convert_exit(c, bound, gates, s, e);
}

static bool convert_layer(struct converted_model *c, size_t i, double *gates, struct error *e) {
    const struct model_description *d = c->description;
    const struct bound_layer *bound = &c->bound->layers[i];
    struct converted_layer *layer = &c->layers[i];
    struct converted_sublayer *attention = &layer->attention, *mlp = &layer->mlp;
    bool post_like = description_is_post_like(d), parallel = d->residual != RESIDUAL_SEQUENTIAL;
    double gate = gate_of(bound);
    attention->residual_factor = attention->rescale = mlp->residual_factor = mlp->rescale = 1;
    add_part(&layer->qkv, &bound->query);
    add_part(&layer->qkv, &bound->key);
    add_part(&layer->qkv, &bound->value);
    if (d->gated) add_part(&layer->up, &bound->gate);
    add_part(&layer->up, &bound->up);
    if (!read_head_norm(c, &bound->query_norm, &layer->query_norm, e)) return false;
    if (!read_head_norm(c, &bound->key_norm, &layer->key_norm, e)) return false;
    size_t scaled = d->head_scale == HEAD_SCALE_PAPER ? d->heads * d->head_dim : d->width;
    if (post_like)
        return convert_post_like(c, &bound->attention, gate, attention, e) &&
               convert_post_like(c, &bound->mlp, gate, mlp, e);
    if (!convert_pre_like(c, &bound->attention, *gates, attention, e)) return false;
    if (!fold_head_scale(c, &bound->head_scale, scaled, attention, e)) return false;
    make_entry(c, &layer->qkv, &attention->fold, *gates);
    if (!parallel) pass_gate(c, attention, gate, gates);
    if (!convert_pre_like(c, &bound->mlp, *gates, mlp, e)) return false;
    make_entry(c, &layer->up, d->residual == RESIDUAL_PARALLEL_ONE_NORM ? &attention->fold : &mlp->fold,
               *gates);
    pass_gate(c, mlp, gate, gates);
    return true;
}

/* ResiDual: the head reads dual_alpha * p + norm(q). The dual branch q is read by this norm alone, so it is
 * carried centred (and, in the CRMSNorm form, without its last entry); gain and shift run, as the sum follows
 * them. */
static bool convert_dual_norm(struct converted_model *c, struct error *e) {
    const struct model_description *d = c->description;
    if (!read_norm(c, &c->bound->final_norm, d->final_norm_eps, 1, &c->final_norm, e)) return false;
    if (c->form == NORM_FORM_RMSNORM) c->final_norm.kind = ROW_NORM_RMS;
    if (c->form == NORM_FORM_CRMSNORM) c->final_norm.kind = ROW_NORM_CRMS;
    return true;
}

/* The head reads the final norm, through a projection where the embedding is of another width. */
static bool convert_head(struct converted_model *c, double gates, struct error *e) {
    const struct bound_model *bound = c->bound;
    const struct model_description *d = c->description;
    bool dual = d->placement == PLACEMENT_RESIDUAL_DUAL, normed = bound->final_norm.gain.count > 0 && !dual;
    if (dual && !convert_dual_norm(c, e)) return false;
    if (normed &&
        !convert_norm(c, &bound->final_norm, d->final_norm_eps, gates, &c->final_norm, &c->final_fold, e))
        return false;
    add_part(&c->head, &bound->head);
    c->head.weight_scale = c->head.bias_scale = d->logit_scale;
    bool projected = bound->project_out.weight.tensor != NULL;
    if (projected) add_part(&c->project_out, &bound->project_out);
    if (normed) make_entry(c, projected ? &c->project_out : &c->head, &c->final_fold, gates);
    return true;
}

static bool convert_entry(struct converted_model *c, struct error *e) {
    const struct matrix_view *m = &c->bound->project_in.weight;
    if (m->tensor) {
        c->project_in = memory_aligned(m->out * m->in, sizeof *c->project_in, "input projection", e);
        if (!c->project_in) return false;
        matrix_read(m, 0, m->out, c->project_in);
    }
    if (!c->description->embedding_norm) return true;
    return read_norm(c, &c->bound->embedding_norm, c->description->embedding_norm_eps, 1, &c->embedding_norm,
                     e);
}

enum status converted_model_init(struct converted_model *c, const struct bound_model *bound,
                                 enum norm_form form, struct error *e) {
    const struct model_description *d = bound->description;
    double gates =
        1; /* product of all gates so far that have not been applied: the branch is carried as x / gates */
    *c = (struct converted_model){.bound = bound, .description = d, .form = norm_form_for(d, form)};
    bool orthonormal = c->form == NORM_FORM_ORTHONORMAL;
    bool compressed =
        orthonormal || (c->form == NORM_FORM_CRMSNORM && d->placement != PLACEMENT_RESIDUAL_DUAL);
    c->branch_width = compressed ? d->width - 1 : d->width;
    c->spread = orthonormal ? 1 / (sqrt((double)d->width) - 1) : 0;
    c->layers = memory_aligned(d->layers, sizeof *c->layers, "converted layers", e);
    if (!c->layers) return STATUS_NO_MEMORY;
    for (size_t i = 0; i < d->layers; i++)
        if (!convert_layer(c, i, &gates, e)) return STATUS_NO_MEMORY;
    return convert_head(c, gates, e) && convert_entry(c, e) ? STATUS_OK : STATUS_NO_MEMORY;
}

static void free_sublayer(struct converted_sublayer *s) {
    free_norm(&s->norm);
    free_norm(&s->fold);
    free_norm(&s->inner_norm);
    free_norm(&s->post_norm);
    free(s->exit.column_mean);
    free(s->exit.column_rms);
    free(s->exit_scale);
    free(s->residual_scale);
}

void converted_model_deinit(struct converted_model *c) {
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
    *c = (struct converted_model){0};
}
