/* Attention of a step: rotate queries and keys, store keys and values in their pages, then attend. A tile is
 * (entry of the step, block of query rows, key/value head). A tile with all rows of its entry stores its own
 * keys and values; those of longer entries are stored before any tile runs. */
#include "engine/forward/state.h"
#include "engine/model/rotary.h"

/* Query rows of a tile: enough to use a block of keys several times, few enough to split a prefill over the
 * threads. */
#define TILE_ROWS 32

static void clip_row(float *row, size_t count, float limit) {
    for (size_t i = 0; i < count; i++) {
        if (row[i] > limit) row[i] = limit;
        if (row[i] < -limit) row[i] = -limit;
    }
}

/* Heads [first, +count); row points to the first of them. */
static void normalize_heads(const struct forward *f, const struct packed_norm *norm, size_t first,
                            size_t count, float *row) {
    for (size_t h = first; h < first + count; h++, row += norm->width) {
        const float *bias = norm->bias ? norm->bias + h * norm->gain_stride : NULL;
        f->kernels->normalize_rows(norm->kind, row, norm->width, 1, norm->width, norm->divisor, norm->eps,
                                   norm->gain + h * norm->gain_stride, bias, row, norm->width);
    }
}

static void rotate_heads(const struct forward *f, size_t layer, size_t row, size_t count, float *head) {
    const struct rotary *rotary = rotary_of_layer(f->description, layer);
    size_t angles = row * f->angle_stride + (f->description->layer[layer].local ? f->local_angles : 0);
    for (size_t h = 0; h < count; h++, head += f->description->head_dim)
        f->kernels->rotate(head, rotary->dimensions / 2, rotary->interleaved, f->cosine + angles,
                           f->sine + angles);
}

/* A key/value head of a row, and the query heads that read it. */
struct row_head {
    float *queries, *key, *value;
    size_t head, first_query, group;
};

static struct row_head row_head_of(const struct forward *f, size_t row, size_t head) {
    const struct model_description *d = f->description;
    size_t group = d->heads / d->kv_heads, dim = d->head_dim;
    float *queries = f->qkv + row * f->qkv_stride, *keys = queries + d->heads * dim;
    return (struct row_head){
        .queries = queries + head * group * dim,
        .key = keys + head * dim,
        .value = keys + (d->kv_heads + head) * dim,
        .head = head,
        .first_query = head * group,
        .group = group,
    };
}

/* From projections to what attention reads: clamp, norm of the heads, rotation, in this order. */
static void prepare_head(const struct forward *f, size_t layer, size_t row, const struct row_head *r) {
    const struct model_description *d = f->description;
    const struct packed_layer *weights = &f->model->layers[layer];
    if (d->clip_qkv > 0) {
        clip_row(r->queries, r->group * d->head_dim, (float)d->clip_qkv);
        clip_row(r->key, d->head_dim, (float)d->clip_qkv);
        clip_row(r->value, d->head_dim, (float)d->clip_qkv);
    }
    bool by_head = d->qk_norm != QK_NORM_WHOLE; /* else it is done */
    if (by_head && weights->query_norm.width)
        normalize_heads(f, &weights->query_norm, r->first_query, r->group, r->queries);
    if (by_head && weights->key_norm.width) normalize_heads(f, &weights->key_norm, r->head, 1, r->key);
    if (!d->layer[layer].rotary) return;
    rotate_heads(f, layer, row, r->group, r->queries);
    rotate_heads(f, layer, row, 1, r->key);
}

/* Prepares a head of a row, and stores its key and value in the cache. */
static void store_head(const struct forward *f, size_t layer, size_t row, size_t head) {
    const struct kv_layout *layout = &f->pool->layout;
    const struct kv_table *table = f->entries[f->rows[row].entry].table;
    const struct kv_head cache = kv_head_of(layout, layer, head);
    const struct row_head r = row_head_of(f, row, head);
    size_t position = f->rows[row].position;
    unsigned char *page = kv_page(f->pool, table->pages[position / layout->page_tokens]);
    prepare_head(f, layer, row, &r);
    f->kernels->store_kv(&cache, page, position % layout->page_tokens, f->description->head_dim, r.key,
                         r.value);
}

static size_t row_blocks(const struct step_entry *entry) {
    return (entry->count + TILE_ROWS - 1) / TILE_ROWS;
}

/* A tile has all rows of the entry. */
static bool is_short(const struct step_entry *entry) {
    return row_blocks(entry) == 1;
}

static void store_block(struct forward *f, size_t first, size_t count, const void *context, size_t worker) {
    (void)worker;
    size_t layer = *(const size_t *)context;
    for (size_t r = first; r < first + count; r++)
        for (size_t h = 0; !is_short(&f->entries[f->rows[r].entry]) && h < f->description->kv_heads; h++)
            store_head(f, layer, r, h);
}

void attention_plan(struct forward *f) {
    size_t tiles = 0;
    f->has_long_entry = false;
    for (size_t i = 0; i < f->entry_count; i++) {
        f->has_long_entry |= !is_short(&f->entries[i]);
        f->attention_tile[i] = tiles;
        tiles += row_blocks(&f->entries[i]) * f->description->kv_heads;
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

/* A tile: rows [first, +rows) of an entry by a key/value head. All rows of a head before the next head, whose
 * keys and values then stay in a cache. */
struct attention_part {
    const struct step_entry *entry;
    size_t entry_row; /* of the entry's first row in the step */
    size_t head, first, rows;
};

static struct attention_part part_of(const struct forward *f, size_t tile) {
    size_t i = entry_of_tile(f, tile), local = tile - f->attention_tile[i];
    size_t blocks = row_blocks(&f->entries[i]), first = local % blocks * TILE_ROWS;
    size_t left = f->entries[i].count - first;
    return (struct attention_part){
        .entry = &f->entries[i],
        .entry_row = f->first_row[i],
        .head = local / blocks,
        .first = first,
        .rows = left < TILE_ROWS ? left : TILE_ROWS,
    };
}

static struct attention attention_of(const struct forward *f, size_t layer, const struct attention_part *p) {
    const struct model_description *d = f->description;
    const struct layer_traits *traits = &d->layer[layer];
    size_t group = d->heads / d->kv_heads, column = p->head * group * d->head_dim;
    return (struct attention){
        .q = f->qkv + p->entry_row * f->qkv_stride + column,
        .q_stride = f->qkv_stride,
        .out = f->heads + p->entry_row * f->heads_stride + column,
        .out_stride = f->heads_stride,
        .group = group,
        .head_dim = d->head_dim,
        .first_position = p->entry->first_position,
        .window = traits->window,
        .scale = (float)traits->attention_scale,
        .score_cap = (float)d->score_cap,
        .pool = f->pool->memory,
        .pages = p->entry->table->pages,
        .page_tokens = f->pool->layout.page_tokens,
        .page_stride = f->pool->page_bytes,
        .cache = kv_head_of(&f->pool->layout, layer, p->head),
        .alibi = f->alibi ? f->alibi + p->head * group * f->alibi_stride : NULL,
        .alibi_stride = f->alibi_stride,
        .alibi_last = f->alibi_last,
    };
}

static void attend_tile(void *context, size_t tile, size_t worker) {
    const struct attention_step *step = context;
    const struct forward *f = step->forward;
    const struct attention_part part = part_of(f, tile);
    struct attention a = attention_of(f, step->layer, &part), prefetch;
    struct workers_share share = workers_share(f->workers, f->attention_tile[f->entry_count], worker);
    if (tile >= share.first && tile + 1 < share.end) {
        const struct attention_part next = part_of(f, tile + 1);
        prefetch = attention_of(f, step->layer, &next);
        if (next.first == 0) a.prefetch = &prefetch;
    }
    if (is_short(part.entry))
        for (size_t r = 0; r < part.rows; r++) store_head(f, step->layer, part.entry_row + r, part.head);
    f->kernels->attention(&a, part.first, part.rows);
}

/* Norms of whole projections, before these are split into heads. */
static void normalize_projections(struct forward *f, size_t first, size_t count, const void *context,
                                  size_t worker) {
    (void)worker;
    const struct packed_layer *weights = context;
    const struct packed_norm *norms[] = {&weights->query_norm, &weights->key_norm};
    float *x = f->qkv + first * f->qkv_stride;
    for (size_t i = 0; i < 2; x += norms[i++]->width)
        f->kernels->normalize_rows(norms[i]->kind, x, f->qkv_stride, count, norms[i]->width,
                                   norms[i]->divisor, norms[i]->eps, norms[i]->gain, norms[i]->bias, x,
                                   f->qkv_stride);
}

void attention_run(struct forward *f, size_t layer) {
    if (f->halted) return;
    struct attention_step step = {.forward = f, .layer = layer};
    if (f->description->qk_norm == QK_NORM_WHOLE)
        forward_each_block(f, f->row_count, normalize_projections, &f->model->layers[layer]);
    if (f->has_long_entry) forward_each_block(f, f->row_count, store_block, &layer);
    workers_run(f->workers, attend_tile, &step, f->attention_tile[f->entry_count]);
}
