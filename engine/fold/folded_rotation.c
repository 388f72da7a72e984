/* Which linears of a model are rotated, and how: rotations of what one writes are undone in what the next reads. */
#include "engine/fold/folded_model.h"

/* A value's blocks are within its head. */
static size_t head_order(size_t head_dim) {
    size_t order = 1;
    while (order < ROTATION_ORDER_MAX && head_dim % (2 * order) == 0) order *= 2;
    return order;
}

/* A sub-layer reads the stream through a plain RMS norm, and adds what its output projection gives. */
static bool is_plain(const struct folded_sublayer *s) {
    return s->norm.width && s->norm.folded && s->norm.kind == ROW_NORM_RMS && !s->post_norm.width &&
           !s->outer_norm.width && !s->residual_scale;
}

static bool stream_is_plain(const struct folded_model *c) {
    const struct model_description *d = c->description;
    const struct folded_norm *last = &c->final_norm;
    if (c->form != NORM_FORM_RMSNORM && c->form != NORM_FORM_ORTHONORMAL) return false;
    if (c->folded_from || d->placement == PLACEMENT_RESIDUAL_DUAL || d->placement == PLACEMENT_OUTPUT)
        return false;
    if (!last->width || !last->folded || last->kind != ROW_NORM_RMS) return false;
    for (size_t i = 0; i < d->layers; i++) {
        const struct folded_layer *layer = &c->layers[i];
        bool one_norm = d->residual == RESIDUAL_PARALLEL_ONE_NORM;
        struct folded_sublayer mlp = layer->mlp;
        if (one_norm) mlp.norm = layer->attention.norm;
        if (!is_plain(&layer->attention) || !is_plain(&mlp)) return false;
    }
    return true;
}

static void read_stream(struct folded_linear *l, struct rotation stream) {
    l->rotate_in = stream;
    l->reads_stream = true;
}

/* Every form of these has centred rows, or none has: an orthonormal map keeps their sizes, and with them what the
 * norms divide by. */
static void rotate_stream(struct folded_model *c) {
    c->stream =
        (struct rotation){.count = c->stream_width, .lanes = 1, .order = rotation_order(c->stream_width)};
    for (size_t i = 0; i < c->description->layers; i++) {
        struct folded_layer *layer = &c->layers[i];
        read_stream(&layer->qkv, c->stream);
        read_stream(&layer->up, c->stream);
        layer->attention.output.rotate_out = layer->mlp.output.rotate_out = c->stream;
    }
    read_stream(c->project_out.part_count ? &c->project_out : &c->head, c->stream);
}

/* Attention gives sums of values, so a map of all values of a head comes out again, and goes into the output
 * projection: there for each of the query heads that share it. */
static void rotate_values(const struct model_description *d, struct folded_layer *layer) {
    size_t order = head_order(d->head_dim), keys = (d->heads + d->kv_heads) * d->head_dim;
    if (d->clip_qkv > 0 || layer->attention.inner_norm.width || order < 2) return;
    layer->qkv.rotate_out =
        (struct rotation){.first = keys, .count = d->kv_heads * d->head_dim, .lanes = 1, .order = order};
    layer->attention.output.rotate_in =
        (struct rotation){.count = d->heads * d->head_dim, .lanes = 1, .order = order};
}

static void rotate_hidden(const struct model_description *d, struct folded_layer *layer) {
    size_t items = d->mlp_width / KERNEL_LANES;
    if (d->mlp_width % KERNEL_LANES || items < 2) return;
    layer->mlp.output.rotate_in =
        (struct rotation){.count = items, .lanes = KERNEL_LANES, .order = rotation_order(items)};
    layer->mlp.output.rotates_rows = true;
}

bool weight_type_is_rotated(enum weight_type weights) {
    return weights == WEIGHT_TYPE_INT8;
}

void folded_model_rotate(struct folded_model *c) {
    c->rotated = true;
    if (stream_is_plain(c)) rotate_stream(c);
    for (size_t i = 0; i < c->description->layers; i++) {
        rotate_values(c->description, &c->layers[i]);
        rotate_hidden(c->description, &c->layers[i]);
    }
}
