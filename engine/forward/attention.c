/* Attention of a step: rotate queries and keys, store keys and values in their pages, then attend, by the tiles of
 * attention_plan.c. A tile stores the keys and values of its own rows where no other tile reads them; others are stored
 * before any tile runs. */
#include "engine/forward/state.h"
#include "engine/model/rotary.h"

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

/* Prepares a head of a run of rows, and stores its keys and values in the cache. */
static void store_head(const struct forward *f, size_t layer, const struct row_run *run, size_t head) {
    const struct kv_layout *layout = &f->pool->layout;
    const struct kv_table *table = f->entries[f->rows[run->first].entry].table;
    const struct kv_head cache = kv_head_of(layout, layer, head);
    const struct row_head first = row_head_of(f, run->first, head);
    size_t position = f->rows[run->first].position;
    unsigned char *page = kv_page(f->pool, table->pages[position / layout->page_tokens]);
    for (size_t row = run->first; row < run->first + run->count; row++) {
        const struct row_head r = row_head_of(f, row, head);
        prepare_head(f, layer, row, &r);
    }
    f->kernels->store_kv(&cache, page, position % layout->page_tokens, run->count, f->description->head_dim,
                         first.key, first.value, f->qkv_stride);
}

struct attention_step {
    struct forward *forward;
    size_t layer;
};

/* A run of rows by a head; all heads of a run before the next. */
static void store_tile(void *context, size_t tile, size_t worker) {
    (void)worker;
    const struct attention_step *step = context;
    const size_t heads = step->forward->description->kv_heads;
    store_head(step->forward, step->layer, &step->forward->runs[tile / heads], tile % heads);
}

static const struct attention_unit *unit_of_tile(const struct forward *f, size_t tile) {
    size_t low = 0, high = f->unit_count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (f->units[middle].tile <= tile)
            low = middle;
        else
            high = middle;
    }
    return &f->units[low];
}

/* A tile: a part of a unit by a key/value head, or by a split of it. All parts of a head before the next head, whose keys and
 * values then stay in a cache. */
struct attention_part {
    const struct attention_unit *unit;
    size_t head, split, splits, part;
};

static struct attention_part part_of(const struct forward *f, size_t tile) {
    const struct attention_unit *unit = unit_of_tile(f, tile);
    size_t parts = attention_parts(unit), local = tile - unit->tile;
    return (struct attention_part){.unit = unit,
                                   .head = local / parts / unit->splits,
                                   .split = local / parts % unit->splits,
                                   .splits = unit->splits,
                                   .part = local % parts};
}

static struct attention attention_of(const struct forward *f, size_t layer, const struct attention_part *p) {
    const struct model_description *d = f->description;
    const struct layer_traits *traits = &d->layer[layer];
    size_t group = d->heads / d->kv_heads / p->splits, first_query = (p->head * p->splits + p->split) * group;
    return (struct attention){
        .rows = f->attention_rows + p->unit->first,
        .column = first_query * d->head_dim,
        .shared = p->unit->shared,
        .group = group,
        .head_dim = d->head_dim,
        .window = traits->window,
        .scale = (float)traits->attention_scale,
        .score_cap = (float)d->score_cap,
        .pool = f->pool->memory,
        .page_tokens = f->pool->layout.page_tokens,
        .page_stride = f->pool->page_bytes,
        .cache = kv_head_of(&f->pool->layout, layer, p->head),
        .alibi = f->alibi ? f->alibi + first_query * f->alibi_stride : NULL,
        .alibi_stride = f->alibi_stride,
        .alibi_last = f->alibi_last,
    };
}

/* States of one chunk of a unit's rows by the query heads of a tile. */
static size_t chunk_states(const struct attention *a, const struct attention_unit *unit) {
    return unit->rows * a->group * kernel_attention_state(a->head_dim);
}

static float *states_of(const struct forward *f, const struct attention *a, const struct attention_part *p) {
    return f->states + p->unit->states * attention_state_floats(f->description) +
           (p->head * p->unit->splits + p->split) * p->unit->chunks * chunk_states(a, p->unit);
}

static void attend_block(const struct forward *f, const struct attention *a, const struct attention_part *p,
                         size_t layer) {
    const struct attention_unit *unit = p->unit;
    size_t first = p->part * unit->block_rows, left = unit->rows - first;
    size_t rows = left < unit->block_rows ? left : unit->block_rows;
    for (size_t r = first; !unit->stores_first && r < first + rows;) {
        const struct row_run run =
            attention_row_run(f, f->attention_order[unit->first + r], first + rows - r);
        store_head(f, layer, &run, p->head);
        r += run.count;
    }
    f->kernels->attention(a, first, rows);
}

static void attend_tile(void *context, size_t tile, size_t worker) {
    const struct attention_step *step = context;
    const struct forward *f = step->forward;
    const struct attention_part part = part_of(f, tile);
    struct attention a = attention_of(f, step->layer, &part), prefetch;
    struct workers_share share = workers_share(f->workers, f->attention_tiles, worker);
    if (tile >= share.first && tile + 1 < share.end) {
        const struct attention_part next = part_of(f, tile + 1);
        prefetch = attention_of(f, step->layer, &next);
        if (next.part == 0) a.prefetch = &prefetch;
    }
    if (part.unit->chunks)
        f->kernels->attention_chunk(&a, 0, part.unit->rows, part.part,
                                    states_of(f, &a, &part) + part.part * chunk_states(&a, part.unit));
    else
        attend_block(f, &a, &part, step->layer);
}

/* Out of the states of a unit's chunks by so many of a tile's query heads. Where they are not all of them, the states of a row
 * are not beside those of the next: a row at a time. */
static void merge_queries(const struct forward *f, size_t layer, const struct attention_part *p, size_t first,
                          size_t count) {
    struct attention a = attention_of(f, layer, p);
    const size_t stride = chunk_states(&a, p->unit), group = a.group,
                 state = kernel_attention_state(a.head_dim);
    float *states = states_of(f, &a, p) + first * state;
    a.column += first * a.head_dim;
    a.group = count;
    if (a.alibi) a.alibi += first * a.alibi_stride;
    if (count == group) {
        f->kernels->attention_merge(&a, 0, p->unit->rows, 0, states, stride);
        return;
    }
    for (size_t r = 0; r < p->unit->rows; r++, a.rows++)
        f->kernels->attention_merge(&a, 0, 1, 0, states + r * group * state, stride);
}

static void merge_tile(void *context, size_t tile, size_t worker) {
    (void)worker;
    const struct attention_step *step = context;
    const struct forward *f = step->forward;
    const size_t merges = attention_merges(f), heads = f->description->kv_heads;
    const struct attention_unit *unit = &f->units[tile / merges / heads];
    if (unit->chunks == 0) return;
    struct attention_part part = {.unit = unit, .head = tile / merges % heads, .splits = unit->splits};
    const size_t group = f->description->heads / heads, first = tile % merges * (group / merges),
                 own = group / unit->splits;
    for (size_t at = first, count; at < first + group / merges; at += count) {
        const size_t left = first + group / merges - at, to_split = own - at % own;
        count = left < to_split ? left : to_split;
        part.split = at / own;
        merge_queries(f, step->layer, &part, at % own, count);
    }
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
    f->stage = FORWARD_STAGE_ATTENTION;
    struct attention_step step = {.forward = f, .layer = layer};
    if (f->description->qk_norm == QK_NORM_WHOLE)
        forward_each_block(f, f->row_count, normalize_projections, &f->model->layers[layer]);
    if (f->run_count) workers_run(f->workers, store_tile, &step, f->run_count * f->description->kv_heads);
    workers_run(f->workers, attend_tile, &step, f->attention_tiles);
    if (f->any_chunks)
        workers_run(f->workers, merge_tile, &step,
                    f->unit_count * f->description->kv_heads * attention_merges(f));
}
