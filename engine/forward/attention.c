/* Attention of a step: rotate, store keys and values in their pages as they will be read, then attend; tiles
 * are (entry, block of query rows, key/value head). */
#include "engine/forward/state.h"

/* Query rows of a tile: enough to use a block of keys several times, few enough to share a prefill out. */
#define TILE_ROWS 32

static void clip_row(float *row, size_t count, float limit) {
    for (size_t i = 0; i < count; i++) {
        if (row[i] > limit) row[i] = limit;
        if (row[i] < -limit) row[i] = -limit;
    }
}

static void normalize_heads(const struct forward *f, const struct packed_norm *norm, size_t heads,
                            float *row) {
    for (size_t h = 0; h < heads; h++, row += norm->width) {
        const float *bias = norm->bias ? norm->bias + h * norm->gain_stride : NULL;
        f->kernels->normalize_rows(norm->kind, row, norm->width, 1, norm->width, norm->eps,
                                   norm->gain + h * norm->gain_stride, bias, row, norm->width);
    }
}

/* From projections to what attention reads: clamp, norm of the heads, rotation, in this order. */
static void prepare_row(const struct forward *f, size_t layer, size_t row) {
    const struct model_description *d = f->description;
    const struct packed_layer *weights = &f->model->layers[layer];
    float *head = f->qkv + row * f->qkv_stride, *keys = head + d->heads * d->head_dim;
    if (d->clip_qkv > 0) clip_row(head, (d->heads + 2 * d->kv_heads) * d->head_dim, (float)d->clip_qkv);
    if (weights->query_norm.width) normalize_heads(f, &weights->query_norm, d->heads, head);
    if (weights->key_norm.width) normalize_heads(f, &weights->key_norm, d->kv_heads, keys);
    if (!d->layer[layer].rotary) return;
    for (size_t h = 0; h < d->heads + d->kv_heads; h++, head += d->head_dim)
        f->kernels->rotate(head, d->rotary.dimensions / 2, d->rotary.interleaved,
                           f->cosine + row * f->angle_stride, f->sine + row * f->angle_stride);
}

static void store_row(const struct forward *f, size_t layer, size_t row) {
    const struct model_description *d = f->description;
    const struct kv_layout *layout = &f->pool->layout;
    size_t position = f->rows[row].position, dim = d->head_dim, slot = position % layout->page_tokens;
    const struct kv_table *table = f->entries[f->rows[row].entry].table;
    unsigned char *page = kv_page(f->pool, table->pages[position / layout->page_tokens]);
    const float *key = f->qkv + row * f->qkv_stride + d->heads * dim, *value = key + d->kv_heads * dim;
    for (size_t h = 0; h < d->kv_heads; h++, key += dim, value += dim) {
        const struct kv_head head = kv_head_of(layout, layer, h);
        f->kernels->store_kv(&head, page, slot, dim, key, value);
    }
}

static void store_block(struct forward *f, size_t first, size_t count, const void *context, size_t worker) {
    (void)worker;
    size_t layer = *(const size_t *)context;
    for (size_t r = first; r < first + count; r++) {
        prepare_row(f, layer, r);
        store_row(f, layer, r);
    }
}

void attention_plan(struct forward *f) {
    size_t tiles = 0;
    for (size_t i = 0; i < f->entry_count; i++) {
        f->attention_tile[i] = tiles;
        tiles += (f->entries[i].count + TILE_ROWS - 1) / TILE_ROWS * f->description->kv_heads;
    }
    f->attention_tile[f->entry_count] = tiles;
}

static size_t entry_of_tile(const struct forward *f, size_t tile) {
    size_t low = 0, high = f->entry_count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (f->attention_tile[middle] <= tile)
            low = middle;
        else
            high = middle;
    }
    return low;
}

struct attention_step {
    struct forward *forward;
    size_t layer;
};

static void attend_tile(void *context, size_t tile, size_t worker) {
    (void)worker;
    const struct attention_step *step = context;
    const struct forward *f = step->forward;
    const struct model_description *d = f->description;
    const struct layer_traits *traits = &d->layer[step->layer];
    size_t i = entry_of_tile(f, tile), local = tile - f->attention_tile[i];
    size_t head = local % d->kv_heads, first = local / d->kv_heads * TILE_ROWS;
    const struct step_entry *entry = &f->entries[i];
    size_t group = d->heads / d->kv_heads, column = head * group * d->head_dim, row = f->first_row[i];
    struct attention a = {
        .q = f->qkv + row * f->qkv_stride + column,
        .q_stride = f->qkv_stride,
        .out = f->heads + row * f->heads_stride + column,
        .out_stride = f->heads_stride,
        .group = group,
        .head_dim = d->head_dim,
        .first_position = entry->first_position,
        .window = traits->window,
        .scale = (float)traits->attention_scale,
        .pool = f->pool->memory,
        .pages = entry->table->pages,
        .page_tokens = f->pool->layout.page_tokens,
        .page_stride = f->pool->page_bytes,
        .cache = kv_head_of(&f->pool->layout, step->layer, head),
        .alibi = f->alibi ? f->alibi + head * group * f->alibi_stride : NULL,
        .alibi_stride = f->alibi_stride,
        .alibi_last = f->alibi_last,
    };
    size_t left = entry->count - first;
    f->kernels->attention(&a, first, left < TILE_ROWS ? left : TILE_ROWS);
}

void attention_run(struct forward *f, size_t layer) {
    forward_each_block(f, f->row_count, store_block, &layer);
    struct attention_step step = {.forward = f, .layer = layer};
    workers_run(f->workers, attend_tile, &step, f->attention_tile[f->entry_count]);
}
