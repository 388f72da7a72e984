#include "engine/convert/converted.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"

static const char *const form_names[NORM_FORM_COUNT] = {
    [NORM_FORM_LAYERNORM] = "layernorm",
    [NORM_FORM_RMSNORM] = "rmsnorm",
    [NORM_FORM_CRMSNORM] = "crmsnorm",
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

static bool is_folded(const struct converted_model *c) { return c->form != NORM_FORM_LAYERNORM; }

static double *read_vector(const struct vector_view *v, size_t count, double fallback, double offset, struct error *e) {
    double *values = memory_aligned(count, sizeof *values, "norm", e);
    if (!values) return NULL;
    vector_read(v, count, fallback, values);
    if (v->tensor)
        for (size_t i = 0; i < count; i++) values[i] += offset;
    return values;
}

/* The norm as the checkpoint has it, to be run (LayerNorm form) or folded. */
static bool read_norm(const struct converted_model *c, const struct bound_norm *bound, double eps,
                      struct converted_norm *norm, struct error *e) {
    const struct model_description *d = c->description;
    *norm = (struct converted_norm){.kind = ROW_NORM_LAYERNORM, .width = d->width, .divisor = d->width, .eps = eps};
    norm->gain = read_vector(&bound->gain, d->width, 1, d->norm_gain_offset, e);
    norm->shift = read_vector(&bound->bias, d->width, 0, 0, e);
    return norm->gain && norm->shift;
}

/* A norm on the main branch: what runs, and what is folded into the linears behind it. */
static bool convert_norm(const struct converted_model *c, const struct bound_norm *bound, double eps,
                         struct converted_norm *norm, struct converted_norm *fold, struct error *e) {
    if (!is_folded(c)) return read_norm(c, bound, eps, norm, e);
    *norm = (struct converted_norm){
        .kind = c->form == NORM_FORM_CRMSNORM ? ROW_NORM_CRMS : ROW_NORM_RMS,
        .width = c->branch_width,
        .divisor = c->description->width,
        .eps = eps,
    };
    return read_norm(c, bound, eps, fold, e);
}

static void free_norm(struct converted_norm *norm) {
    free(norm->gain);
    free(norm->shift);
}

/* Entries of all views, one after the other. */
static double *read_views(const struct vector_view *views, size_t count, struct error *e) {
    size_t total = views[0].count * count;
    double *values = memory_aligned(total, sizeof *values, "head norm", e);
    for (size_t i = 0; values && i < count; i++) vector_read(&views[i], views[i].count, 0, values + i * views[i].count);
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
}

/* A linear that reads the main branch through a norm. */
static void make_entry(const struct converted_model *c, struct converted_linear *l, const struct converted_norm *fold) {
    l->weight_scale = l->bias_scale = 1;
    if (!is_folded(c)) return;
    l->gain = fold->gain;
    l->shift = fold->shift;
    l->compress_in = c->form == NORM_FORM_CRMSNORM;
    if (l->compress_in) l->in--;
}

/* A linear that writes to the main branch. */
static bool make_exit(const struct converted_model *c, struct converted_linear *l, struct error *e) {
    l->weight_scale = l->bias_scale = 1;
    if (!is_folded(c)) return true;
    l->centre_out = true;
    if (c->form == NORM_FORM_CRMSNORM) l->out--;
    l->column_mean = memory_aligned(l->in, sizeof *l->column_mean, "column means", e);
    return l->column_mean != NULL;
}

static bool convert_layer(struct converted_model *c, size_t i, struct error *e) {
    const struct bound_layer *bound = &c->bound->layers[i];
    struct converted_layer *layer = &c->layers[i];
    double eps = c->description->norm_eps;
    if (!convert_norm(c, &bound->attention_norm, eps, &layer->attention_norm, &layer->attention_fold, e)) return false;
    bool one_norm = c->description->residual == RESIDUAL_PARALLEL_ONE_NORM;
    if (!one_norm && !convert_norm(c, &bound->mlp_norm, eps, &layer->mlp_norm, &layer->mlp_fold, e)) return false;
    if (!read_head_norm(c, &bound->query_norm, &layer->query_norm, e)) return false;
    if (!read_head_norm(c, &bound->key_norm, &layer->key_norm, e)) return false;
    add_part(&layer->qkv, &bound->query);
    add_part(&layer->qkv, &bound->key);
    add_part(&layer->qkv, &bound->value);
    make_entry(c, &layer->qkv, &layer->attention_fold);
    add_part(&layer->attention_out, &bound->attention_out);
    if (!make_exit(c, &layer->attention_out, e)) return false;
    if (c->description->gated) add_part(&layer->up, &bound->gate);
    add_part(&layer->up, &bound->up);
    make_entry(c, &layer->up, one_norm ? &layer->attention_fold : &layer->mlp_fold);
    add_part(&layer->down, &bound->down);
    return make_exit(c, &layer->down, e);
}

/* The head reads the final norm, through a projection where the embedding is of another width. */
static bool convert_head(struct converted_model *c, struct error *e) {
    const struct bound_model *bound = c->bound;
    if (!convert_norm(c, &bound->final_norm, c->description->final_norm_eps, &c->final_norm, &c->final_fold, e)) return false;
    add_part(&c->head, &bound->head);
    if (bound->project_out.weight.tensor) {
        add_part(&c->project_out, &bound->project_out);
        make_entry(c, &c->project_out, &c->final_fold);
    } else {
        make_entry(c, &c->head, &c->final_fold);
    }
    c->head.weight_scale = c->head.bias_scale = c->description->logit_scale;
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
    return read_norm(c, &c->bound->embedding_norm, c->description->embedding_norm_eps, &c->embedding_norm, e);
}

enum status converted_model_init(struct converted_model *c, const struct bound_model *bound, enum norm_form form,
                                 struct error *e) {
    const struct model_description *d = bound->description;
    *c = (struct converted_model){.bound = bound, .description = d, .form = form};
    if (form != NORM_FORM_LAYERNORM && !description_converts(d))
        return error_set(e, STATUS_UNSUPPORTED, "norm-form", "%s has no %s form (its norm placement is %s): use layernorm",
                         d->family, norm_form_name(form), placement_name(d->placement));
    c->branch_width = form == NORM_FORM_CRMSNORM ? d->width - 1 : d->width;
    c->layers = memory_aligned(d->layers, sizeof *c->layers, "converted layers", e);
    if (!c->layers) return STATUS_NO_MEMORY;
    for (size_t i = 0; i < d->layers; i++)
        if (!convert_layer(c, i, e)) return STATUS_NO_MEMORY;
    return convert_head(c, e) && convert_entry(c, e) ? STATUS_OK : STATUS_NO_MEMORY;
}

void converted_model_deinit(struct converted_model *c) {
    for (size_t i = 0; c->layers && i < c->description->layers; i++) {
        struct converted_layer *layer = &c->layers[i];
        free_norm(&layer->attention_norm);
        free_norm(&layer->mlp_norm);
        free_norm(&layer->query_norm);
        free_norm(&layer->key_norm);
        free_norm(&layer->attention_fold);
        free_norm(&layer->mlp_fold);
        free(layer->attention_out.column_mean);
        free(layer->down.column_mean);
    }
    free_norm(&c->final_norm);
    free_norm(&c->final_fold);
    free_norm(&c->embedding_norm);
    free(c->project_in);
    free(c->layers);
    *c = (struct converted_model){0};
}
