#include "engine/model/tensor_views.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/model/spare_tensors.h"

#define NAME_MAX_BYTES    256
#define WRAPPER_BYTES_MAX 64 /* names that are wrapped deeper than this are missed */

/* State while views are bound; the first error is kept. */
struct binder {
    struct tensor_views *model;
    const struct model_description *description;
    const struct family *family;
    const struct checkpoint *checkpoint;
    const struct tensor **used;
    size_t used_count;
    const struct tensor *tied_copy; /* of the head: known and not used */
    char wrapper[WRAPPER_BYTES_MAX];
    struct error error;
};

static bool failed(const struct binder *b) {
    return b->error.code != STATUS_OK;
}

static const struct weight_name *name_of(const struct binder *b, enum weight weight) {
    return weight_name_find(b->description->names, weight);
}

/* The bias has a name of its own where a second row of the same weight follows. */
static bool has_own_name(const struct weight_name *n, const char *suffix) {
    return strcmp(suffix, "bias") == 0 && n[1].name && n[1].weight == n->weight;
}

/* Fills in the layer, and the head where the name has a second %zu. suffix: "weight", "bias", or "" for a
 * tensor that has none. */
static void full_name(const struct weight_name *n, size_t layer, size_t head, const char *suffix, char *out) {
    if (has_own_name(n, suffix)) {
        n++;
        suffix = "";
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int length = snprintf(out, NAME_MAX_BYTES, n->name, layer, head);
#pragma GCC diagnostic pop
    assert(length > 0 && length < NAME_MAX_BYTES / 2);
    if (suffix[0]) snprintf(out + length, NAME_MAX_BYTES - (size_t)length, ".%s", suffix);
}

/* With or without the family's prefix; NULL when there is none. */
static const struct tensor *look_up(const struct binder *b, const char *name) {
    char full[NAME_MAX_BYTES + WRAPPER_BYTES_MAX + 32];
    snprintf(full, sizeof full, "%s%s%s", b->wrapper, b->family->prefix, name);
    const struct tensor *t = checkpoint_find(b->checkpoint, full);
    if (t) return t;
    snprintf(full, sizeof full, "%s%s", b->wrapper, name);
    return checkpoint_find(b->checkpoint, full);
}

static const struct tensor *find(struct binder *b, const char *name) {
    const struct tensor *t = look_up(b, name);
    if (t) b->used[b->used_count++] = t;
    return t;
}

static void shape_text(const size_t *shape, size_t rank, char *out, size_t size) {
    size_t used = (size_t)snprintf(out, size, "[");
    for (size_t i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, i ? ", %zu" : "%zu", shape[i]);
    if (used < size) snprintf(out + used, size - used, "]");
}

/* A vector of one entry may be stored as a scalar. */
static bool has_shape(const struct tensor *t, const size_t *shape, size_t rank) {
    if (t->rank == 0) return rank == 1 && shape[0] == 1;
    if (t->rank != rank) return false;
    for (size_t i = 0; i < rank; i++)
        if (t->shape[i] != shape[i]) return false;
    return true;
}

static void fail_tensor(struct binder *b, const struct tensor *t, const size_t *shape, size_t rank) {
    char where[400], found[128], expected[128];
    snprintf(where, sizeof where, "%s: %s", t->file, t->name);
    shape_text(t->shape, t->rank, found, sizeof found);
    shape_text(shape, rank, expected, sizeof expected);
    error_set(&b->error, STATUS_MALFORMED, where, "has the shape %s, expected %s", found, expected);
}

/* Which tensor: of a weight, layer and head. suffix is "weight" or "bias". */
struct tensor_slot {
    enum weight weight;
    size_t layer, head;
    const char *suffix;
};

/* The tensor of a slot, which must have this shape. Absent: NULL, and an error when it is required. */
static const struct tensor *bind_tensor(struct binder *b, struct tensor_slot slot, bool required,
                                        const size_t *shape, size_t rank) {
    const struct weight_name *n = name_of(b, slot.weight);
    if (failed(b) || !n) {
        assert(failed(b) || !required);
        return NULL;
    }
    char name[NAME_MAX_BYTES];
    full_name(n, slot.layer, slot.head, slot.suffix, name);
    const struct tensor *t = find(b, name);
    if (!t && required) {
        char expected[128];
        shape_text(shape, rank, expected, sizeof expected);
        error_set(&b->error, STATUS_NOT_FOUND, name,
                  "the checkpoint has no such tensor; expected one of shape %s%s", expected,
                  tensors_missing_hint(b->checkpoint));
    } else if (t && t->dtype == DTYPE_OTHER) {
        error_set(&b->error, STATUS_UNSUPPORTED, name,
                  "has an element type that weights can't have; expected F32, F16 or BF16");
    } else if (t && !has_shape(t, shape, rank)) {
        fail_tensor(b, t, shape, rank);
    }
    return failed(b) ? NULL : t;
}

static struct vector_view bind_vector(struct binder *b, enum weight weight, size_t layer, const char *suffix,
                                      bool required, size_t count) {
    const struct tensor *t =
        bind_tensor(b, (struct tensor_slot){weight, layer, 0, suffix}, required, &count, 1);
    return (struct vector_view){.tensor = t, .count = count};
}

/* The whole matrix, [out, in] or stored the other way round. */
static struct matrix_view bind_matrix(struct binder *b, enum weight weight, size_t layer, bool transposed,
                                      size_t out, size_t in) {
    size_t shape[2] = {transposed ? in : out, transposed ? out : in};
    const struct tensor *t = bind_tensor(b, (struct tensor_slot){weight, layer, 0, "weight"}, true, shape, 2);
    return (struct matrix_view){.tensor = t, .transposed = transposed, .out = out, .in = in};
}

static struct vector_view bind_bias(struct binder *b, enum weight weight, size_t layer, size_t count) {
    enum weight_bias bias = b->description->bias[weight];
    bool none = bias == BIAS_NONE || (bias == BIAS_LAST_LAYER && layer + 1 < b->description->layers);
    if (none) return (struct vector_view){.count = count};
    return bind_vector(b, weight, layer, "bias", bias != BIAS_OPTIONAL, count);
}

static struct linear_view bind_linear(struct binder *b, enum weight weight, size_t layer, size_t out,
                                      size_t in) {
    return (struct linear_view){
        .weight = bind_matrix(b, weight, layer, b->description->transposed, out, in),
        .bias = bind_bias(b, weight, layer, out),
    };
}

static struct norm_view bind_norm(struct binder *b, enum weight weight, size_t layer, size_t width) {
    bool plain = b->description->norm_plain, required = b->description->norm_type != NORM_TYPE_CRMSNORM;
    return (struct norm_view){
        .gain = plain ? (struct vector_view){.count = width}
                      : bind_vector(b, weight, layer, "weight", required, width),
        .bias = bind_bias(b, weight, layer, width),
    };
}

/* A norm of a block, where its placement has it. */
static struct norm_view bind_layer_norm(struct binder *b, enum weight weight, size_t layer, size_t width) {
    if (!description_has_norm(b->description, layer, weight)) return (struct norm_view){0};
    return bind_norm(b, weight, layer, width);
}

/* A part of a fused linear: a view of the same tensors with a map of rows, or from a first row on. */
static struct linear_view part_of(const struct linear_view *fused, const uint32_t *rows, size_t first,
                                  size_t out) {
    struct linear_view part = *fused;
    part.weight.rows = part.bias.rows = rows ? rows + first : NULL;
    part.weight.first_row = part.bias.first_row = rows ? 0 : first;
    part.weight.out = part.bias.count = out;
    return part;
}

static void bind_qkv(struct binder *b, struct layer_views *layer, size_t i) {
    const struct model_description *d = b->description;
    size_t q = d->heads * d->head_dim, kv = d->kv_heads * d->head_dim;
    if (d->qkv_packing == QKV_SEPARATE) {
        layer->query = bind_linear(b, WEIGHT_QUERY, i, q, d->width);
        layer->key = bind_linear(b, WEIGHT_KEY, i, kv, d->width);
        layer->value = bind_linear(b, WEIGHT_VALUE, i, kv, d->width);
        return;
    }
    struct linear_view fused = bind_linear(b, WEIGHT_QKV, i, q + 2 * kv, d->width);
    layer->query = part_of(&fused, b->model->row_maps, 0, q);
    layer->key = part_of(&fused, b->model->row_maps, q, kv);
    layer->value = part_of(&fused, b->model->row_maps, q + kv, kv);
}

/* gate and up, of which an ungated MLP has the latter alone. */
static void bind_up(struct binder *b, struct layer_views *layer, size_t i) {
    const struct model_description *d = b->description;
    size_t width = d->mlp_width;
    if (d->gate_up_stacked) {
        struct linear_view fused = bind_linear(b, WEIGHT_MLP_GATE_UP, i, 2 * width, d->width);
        layer->gate = part_of(&fused, NULL, 0, width);
        layer->up = part_of(&fused, NULL, width, width);
        return;
    }
    if (d->gated) layer->gate = bind_linear(b, WEIGHT_MLP_GATE, i, width, d->width);
    layer->up = bind_linear(b, WEIGHT_MLP_UP, i, width, d->width);
}

static bool is_one_per_head(const struct weight_name *n) {
    const char *first = strstr(n->name, "%zu");
    return first && strstr(first + 1, "%zu");
}

/* One norm of heads: a vector [head_dim] or, of a whole projection, [heads * head_dim]; a matrix [heads,
 * head_dim]; or a vector for each head. */
static void bind_head_vectors(struct binder *b, struct tensor_slot slot, size_t heads,
                              struct vector_view *views) {
    const struct model_description *d = b->description;
    bool per_head = d->qk_norm == QK_NORM_PER_HEAD, apart = is_one_per_head(name_of(b, slot.weight));
    size_t shape[2] = {heads, d->qk_norm == QK_NORM_WHOLE ? heads * d->head_dim : d->head_dim};
    if (!per_head || apart) {
        for (slot.head = 0; slot.head < (apart ? heads : 1); slot.head++)
            views[slot.head] =
                (struct vector_view){.tensor = bind_tensor(b, slot, true, shape + 1, 1), .count = shape[1]};
        return;
    }
    views[0] =
        (struct vector_view){.tensor = bind_tensor(b, slot, true, shape, 2), .count = heads * d->head_dim};
}

static void bind_head_norm(struct binder *b, enum weight weight, size_t layer, size_t heads,
                           struct vector_view *views, struct head_norm_view *norm) {
    if (b->description->qk_norm == QK_NORM_NONE) return;
    norm->views = is_one_per_head(name_of(b, weight)) ? heads : 1;
    norm->gain = views;
    bind_head_vectors(b, (struct tensor_slot){weight, layer, 0, "weight"}, heads, norm->gain);
    if (b->description->bias[weight] == BIAS_NONE) return;
    norm->bias = views + heads;
    bind_head_vectors(b, (struct tensor_slot){weight, layer, 0, "bias"}, heads, norm->bias);
}

/* The norms of the model's width. Which of the two is that of the sum, if any, is up to the placement. */
static void bind_stream_norms(struct binder *b, struct sublayer_views *s, size_t layer, enum weight norm,
                              enum weight post) {
    const struct model_description *d = b->description;
    enum norm_placement placement = d->layer[layer].placement;
    bool keel = placement == PLACEMENT_KEEL, post_like = placement_is_post_like(placement) && !keel;
    *(post_like ? &s->outer_norm : &s->norm) = bind_layer_norm(b, norm, layer, d->width);
    *(keel ? &s->outer_norm : &s->post_norm) = bind_layer_norm(b, post, layer, d->width);
}

/* The norms inside of a sub-layer, and the scales of its placement. */
static void bind_inner(struct binder *b, struct layer_views *layer, size_t i) {
    const struct model_description *d = b->description;
    size_t heads = d->heads * d->head_dim;
    layer->attention.inner_norm = bind_layer_norm(b, WEIGHT_ATTENTION_INNER_NORM, i, heads);
    layer->mlp.inner_norm = bind_layer_norm(b, WEIGHT_MLP_INNER_NORM, i, d->mlp_width);
    if (d->head_scale != HEAD_SCALE_NONE)
        layer->head_scale = bind_vector(b, WEIGHT_HEAD_SCALE, i, "", true, d->heads);
    if (d->residual_scale)
        layer->mlp.residual_scale = bind_vector(b, WEIGHT_RESIDUAL_SCALE, i, "", true, d->width);
    if (d->gpas) layer->gpas_gate = bind_vector(b, WEIGHT_GATE, i, "", true, 1);
}

static void bind_layer(struct binder *b, struct layer_views *layer, size_t i) {
    const struct model_description *d = b->description;
    struct sublayer_views *attention = &layer->attention, *mlp = &layer->mlp;
    bind_stream_norms(b, attention, i, WEIGHT_ATTENTION_NORM, WEIGHT_ATTENTION_POST_NORM);
    bind_stream_norms(b, mlp, i, WEIGHT_MLP_NORM, WEIGHT_MLP_POST_NORM);
    bind_qkv(b, layer, i);
    struct vector_view *views = b->model->head_views + i * 2 * (d->heads + d->kv_heads);
    bind_head_norm(b, WEIGHT_QUERY_NORM, i, d->heads, views, &layer->query_norm);
    bind_head_norm(b, WEIGHT_KEY_NORM, i, d->kv_heads, views + 2 * d->heads, &layer->key_norm);
    attention->output = bind_linear(b, WEIGHT_ATTENTION_OUT, i, d->width, d->heads * d->head_dim);
    bind_up(b, layer, i);
    mlp->output = bind_linear(b, WEIGHT_MLP_DOWN, i, d->width, d->mlp_width);
    bind_inner(b, layer, i);
}

static bool has_weight(const struct binder *b, enum weight weight) {
    char name[NAME_MAX_BYTES];
    if (!name_of(b, weight)) return false;
    full_name(name_of(b, weight), 0, 0, "weight", name);
    return look_up(b, name) != NULL;
}

/* A tied table may be stored under either of its names. */
static void bind_embedding(struct binder *b) {
    const struct model_description *d = b->description;
    bool as_head = d->tied && !has_weight(b, WEIGHT_EMBEDDING) && has_weight(b, WEIGHT_HEAD);
    b->model->embedding =
        bind_matrix(b, as_head ? WEIGHT_HEAD : WEIGHT_EMBEDDING, 0, false, d->vocabulary, d->embedding_width);
}

static void bind_embedding_and_head(struct binder *b) {
    const struct model_description *d = b->description;
    struct tensor_views *m = b->model;
    bind_embedding(b);
    if (d->position == POSITION_LEARNED) {
        m->position = bind_matrix(b, WEIGHT_POSITION, 0, false, d->context + d->position_offset, d->width);
        m->position.first_row = d->position_offset;
        m->position.out = d->context;
    }
    if (d->embedding_norm) m->embedding_norm = bind_norm(b, WEIGHT_EMBEDDING_NORM, 0, d->width);
    if (d->embedding_width != d->width) {
        m->project_in = bind_linear(b, WEIGHT_PROJECT_IN, 0, d->width, d->embedding_width);
        m->project_out = bind_linear(b, WEIGHT_PROJECT_OUT, 0, d->embedding_width, d->width);
    }
    if (d->final_norm) m->final_norm = bind_norm(b, WEIGHT_FINAL_NORM, 0, d->width);
    if (!d->tied) {
        m->head.weight = bind_matrix(b, WEIGHT_HEAD, 0, false, d->vocabulary, d->embedding_width);
    } else {
        /* A stored copy of a tied head is known and not used. */
        char name[NAME_MAX_BYTES];
        if (name_of(b, WEIGHT_HEAD)) {
            full_name(name_of(b, WEIGHT_HEAD), 0, 0, "weight", name);
            b->tied_copy = find(b, name);
        }
        m->head.weight = m->embedding;
    }
    m->head.bias = bind_bias(b, WEIGHT_HEAD, 0, d->vocabulary);
}

static int compare_pointers(const void *a, const void *b) {
    const struct tensor *x = *(const struct tensor *const *)a, *y = *(const struct tensor *const *)b;
    return (x > y) - (x < y);
}

static void check_spare(struct binder *b) {
    qsort(b->used, b->used_count, sizeof *b->used, compare_pointers);
    tensors_check_spare(b->checkpoint, b->family, b->used, b->used_count, &b->error);
}

static uint64_t count_parameters(const struct binder *b) {
    uint64_t sum = 0;
    for (size_t i = 0; i < b->used_count; i++) {
        const struct tensor *t = b->used[i];
        uint64_t elements = 1;
        for (size_t k = 0; k < t->rank; k++) elements *= t->shape[k];
        if (t == b->tied_copy && t != b->model->embedding.tensor) continue;
        if (i == 0 || b->used[i - 1] != t) sum += elements;
    }
    return sum;
}

static size_t head_views(const struct model_description *d) {
    return d->qk_norm == QK_NORM_NONE ? 1 : d->layers * 2 * (d->heads + d->kv_heads);
}

/* Where the vector of a query head (kind 0), key head (1) or value head (2) starts in a fused tensor, in
 * heads. */
static size_t fused_head(const struct model_description *d, size_t kind, size_t head) {
    size_t group = d->heads / d->kv_heads, quarter = d->heads / 4;
    switch (d->qkv_packing) {
    case QKV_PER_HEAD:
        return 3 * head + kind;
    case QKV_GROUPED:
        if (kind == 0) return head / group * (group + 2) + head % group;
        return head * (group + 2) + group + kind - 1;
    case QKV_CODEGEN: {
        static const size_t order[3] = {0, 2, 1}; /* a block holds q, then v, then k */
        return (head / quarter * 3 + order[kind]) * quarter + head % quarter;
    }
    default:
        return (kind > 0 ? d->heads : 0) + (kind > 1 ? d->kv_heads : 0) + head;
    }
}

/* Packings where q, k and v are interleaved need a map of rows: those of q, then of k, then of v. */
static bool make_row_maps(struct tensor_views *m, struct error *e) {
    const struct model_description *d = m->description;
    if (d->qkv_packing == QKV_SEPARATE || d->qkv_packing == QKV_CONCATENATED) return true;
    m->row_maps =
        memory_aligned((d->heads + 2 * d->kv_heads) * d->head_dim, sizeof *m->row_maps, "row maps", e);
    if (!m->row_maps) return false;
    uint32_t *row = m->row_maps;
    for (size_t kind = 0; kind < 3; kind++)
        for (size_t head = 0; head < (kind ? d->kv_heads : d->heads); head++)
            for (size_t i = 0; i < d->head_dim; i++)
                *row++ = (uint32_t)(fused_head(d, kind, head) * d->head_dim + i);
    return true;
}

enum status tensor_views_init(struct tensor_views *m, const struct model_description *description,
                              const struct family *family, const struct checkpoint *checkpoint,
                              struct error *e) {
    *m = (struct tensor_views){.description = description, .checkpoint = checkpoint};
    struct binder b = {.model = m, .description = description, .family = family, .checkpoint = checkpoint};
    const struct tensor *first = checkpoint_at(checkpoint, 0);
    size_t wrapper = tensors_wrapper(checkpoint);
    if (wrapper < sizeof b.wrapper) snprintf(b.wrapper, wrapper + 1, "%s", first ? first->name : "");
    size_t lookups = WEIGHT_COUNT * 2 * (description->layers + 1) + head_views(description);
    b.used = memory_aligned(lookups, sizeof *b.used, "tensor names", e);
    m->layers = memory_aligned(description->layers, sizeof *m->layers, "bound layers", e);
    m->head_views = memory_aligned(head_views(description), sizeof *m->head_views, "head norms", e);
    if (!b.used || !m->layers || !m->head_views || !make_row_maps(m, e)) {
        free(b.used);
        return STATUS_NO_MEMORY;
    }
    bind_embedding_and_head(&b);
    for (size_t i = 0; i < description->layers && !failed(&b); i++) bind_layer(&b, &m->layers[i], i);
    if (!failed(&b)) check_spare(&b);
    m->parameters = count_parameters(&b);
    free(b.used);
    if (failed(&b) && e) *e = b.error;
    return b.error.code;
}

void tensor_views_deinit(struct tensor_views *m) {
    free(m->layers);
    free(m->row_maps);
    free(m->head_views);
    *m = (struct tensor_views){0};
}

void tensor_views_each_matrix(struct tensor_views *m, void (*each)(void *context, struct matrix_view *view),
                              void *context) {
    struct matrix_view *tables[] = {&m->embedding, &m->position, &m->project_in.weight,
                                    &m->project_out.weight, &m->head.weight};
    for (size_t k = 0; k < sizeof tables / sizeof *tables; k++)
        if (tables[k]->tensor) each(context, tables[k]);
    for (size_t i = 0; i < m->description->layers; i++) {
        struct layer_views *layer = &m->layers[i];
        struct linear_view *linears[] = {
            &layer->query, &layer->key, &layer->value,     &layer->attention.output,
            &layer->gate,  &layer->up,  &layer->mlp.output};
        for (size_t k = 0; k < sizeof linears / sizeof *linears; k++)
            if (linears[k]->weight.tensor) each(context, &linears[k]->weight);
    }
}
