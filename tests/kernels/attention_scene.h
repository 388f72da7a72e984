/* Scenes of attention: rows of one sequence over a cache, where memory of positions that no query may see holds NaN. */
#pragma once

#include "tests/kernels/kernel_test.h"

#define HEAD_DIM_MAX   KERNEL_HEAD_DIM_MAX
#define SCENE_ROWS_MAX 512

enum bias { BIAS_NONE, BIAS_BY_POSITION, BIAS_BY_DISTANCE, BIAS_COUNT };

struct scene {
    struct attention a;
    size_t rows, first, context, page_count;
    size_t q_stride, out_stride;
    struct buffer q, out, pool, alibi;
    uint32_t *pages;
    struct attention_row row[SCENE_ROWS_MAX];
};

/* Element `index` of a part of the page that holds a position, as it is read. */
static inline float element_at(const struct scene *s, size_t position, size_t part, size_t index) {
    const struct attention *a = &s->a;
    const unsigned char *at = a->pool + s->pages[position / a->page_tokens] * a->page_stride + part +
                              index * kv_type_bytes(a->cache.type);
    float value;
    uint16_t half;
    if (a->cache.type == KV_TYPE_INT8) return (float)*(const int8_t *)at;
    if (a->cache.type == KV_TYPE_F16) return kernel_f16_to_float(*(uint16_t *)memcpy(&half, at, sizeof half));
    if (a->cache.type == KV_TYPE_BF16)
        return kernel_bf16_to_float(*(uint16_t *)memcpy(&half, at, sizeof half));
    return *(float *)memcpy(&value, at, sizeof value);
}

static inline float key_at(const struct scene *s, size_t position, size_t d) {
    const struct attention *a = &s->a;
    size_t in_page = position % a->page_tokens, block = in_page / KERNEL_LANES, lane = in_page % KERNEL_LANES;
    size_t index = (block * a->head_dim + d) * KERNEL_LANES + lane;
    if (a->cache.type == KV_TYPE_BF16)
        index = ((block * ((a->head_dim + 1) / 2) + d / 2) * KERNEL_LANES + lane) * 2 + d % 2;
    return element_at(s, position, a->cache.keys, index);
}

static inline float value_at(const struct scene *s, size_t position, size_t d) {
    size_t in_page = position % s->a.page_tokens, index = in_page * s->a.head_dim + d;
    if (s->a.cache.type == KV_TYPE_BF16)
        index = (in_page / 2 * ((s->a.head_dim + 1) / 2 * 2) + d) * 2 + in_page % 2;
    return element_at(s, position, s->a.cache.values, index);
}

/* What the scores of a key, or the weights of a value, are multiplied by. */
static inline float scale_at(const struct scene *s, size_t position, size_t part) {
    const struct attention *a = &s->a;
    float scale;
    if (a->cache.type != KV_TYPE_INT8) return 1.0f;
    memcpy(&scale,
           a->pool + s->pages[position / a->page_tokens] * a->page_stride + part +
               position % a->page_tokens * sizeof scale,
           sizeof scale);
    return scale;
}

static inline void store(struct scene *s, size_t position, const float *key, const float *value) {
    unsigned char *page =
        (unsigned char *)s->pool.data + s->pages[position / s->a.page_tokens] * s->a.page_stride;
    kernel_scalar()->store_kv(&s->a.cache, page, position % s->a.page_tokens, 1, s->a.head_dim, key, value,
                              0);
}

static inline size_t oldest_of(const struct scene *s, size_t position) {
    return s->a.window && position >= s->a.window ? position - s->a.window + 1 : 0;
}

/* Pages in no order; stored are only the positions that some row sees. All other bytes are those of a NaN. */
static inline void scene_store(struct scene *s, struct random *r, float key_size) {
    float key[HEAD_DIM_MAX], value[HEAD_DIM_MAX];
    memset(s->pool.data, 0xff, s->pool.count * sizeof *s->pool.data);
    size_t last = s->first + s->rows - 1;
    for (size_t p = oldest_of(s, s->first); p <= last; p++) {
        for (size_t d = 0; d < s->a.head_dim; d++) {
            key[d] = random_float(r) * key_size;
            value[d] = random_float(r);
        }
        store(s, p, key, value);
    }
}

/* A head in the middle of its pages, whose parts have gaps between them; odd sizes give any alignment. */
static inline struct kv_head scene_head(enum kv_type type, size_t page_tokens, size_t head_dim) {
    size_t elements = page_tokens * kv_stored_dim(type, head_dim) * kv_type_bytes(type),
           scales = page_tokens * sizeof(float);
    return (struct kv_head){.type = type,
                            .keys = KERNEL_ALIGN,
                            .values = 2 * KERNEL_ALIGN + elements,
                            .key_scales = 3 * KERNEL_ALIGN + 2 * elements,
                            .value_scales = 4 * KERNEL_ALIGN + 2 * elements + scales};
}

static inline struct scene scene_create(struct random *r, enum kv_type type, size_t rows, size_t first,
                                        size_t group, size_t head_dim, size_t window, enum bias bias) {
    struct scene s = {.rows = rows,
                      .first = first,
                      .context = first + rows,
                      .q_stride = group * head_dim + 3,
                      .out_stride = group * head_dim + 5};
    assert_true(rows <= SCENE_ROWS_MAX);
    size_t page_tokens = KERNEL_LANES * random_between(r, 1, 4);
    struct kv_head head = scene_head(type, page_tokens, head_dim);
    size_t page_bytes = head.value_scales + page_tokens * sizeof(float) + KERNEL_ALIGN;
    s.page_count = (s.context + page_tokens - 1) / page_tokens;
    s.pages = malloc(s.page_count * sizeof *s.pages);
    assert_non_null(s.pages);
    for (size_t i = 0; i < s.page_count; i++) s.pages[i] = (uint32_t)(s.page_count - 1 - i);
    s.q = buffer_create(rows * s.q_stride, 1);
    random_fill(r, s.q.data, s.q.count);
    s.out = buffer_create(rows * s.out_stride, random_below(r, 16));
    s.pool = buffer_create(s.page_count * page_bytes / sizeof(float), 0);
    s.alibi = buffer_create(group * (s.context + 1), 2);
    for (size_t i = 0; i < s.alibi.count; i++)
        s.alibi.data[i] = 0.1f * (float)(i / (s.context + 1) + 1) * (float)(i % (s.context + 1));
    s.a = (struct attention){.group = group,
                             .head_dim = head_dim,
                             .window = window,
                             .scale = 1.0f / sqrtf((float)head_dim),
                             .pool = (const unsigned char *)s.pool.data,
                             .cache = head,
                             .page_tokens = page_tokens,
                             .page_stride = page_bytes,
                             .score_cap = random_below(r, 3) ? 0.0f : 2.0f,
                             .alibi = bias != BIAS_NONE ? s.alibi.data : NULL,
                             .alibi_stride = s.context + 1,
                             .alibi_last = random_below(r, 2) ? s.context : 0};
    scene_store(&s, r, 4.0f);
    return s;
}

static inline struct scene scene_random(struct random *r) {
    size_t window = random_below(r, 2) ? random_between(r, 1, 70) : 0;
    size_t head_dim = random_below(r, 4) ? random_between(r, 1, 40) : 16 * random_between(r, 1, 6);
    /* Now and then over several chunks, or about the end of one. */
    size_t first = random_below(r, 150);
    if (random_below(r, 8) == 0) first = random_below(r, 3 * KERNEL_ATTENTION_CHUNK);
    if (random_below(r, 8) == 0)
        first = KERNEL_ATTENTION_CHUNK * random_between(r, 1, 2) - random_below(r, 20);
    return scene_create(r, (enum kv_type)random_below(r, KV_TYPE_COUNT), random_between(r, 1, 20), first,
                        random_between(r, 1, 3), head_dim, window, (enum bias)random_below(r, BIAS_COUNT));
}

static inline void scene_destroy(struct scene *s) {
    buffer_destroy(&s->q);
    buffer_destroy(&s->out);
    buffer_destroy(&s->pool);
    buffer_destroy(&s->alibi);
    free(s->pages);
}

static inline void scene_clear(struct scene *s) {
    for (size_t i = 0; i < s->out.count; i++) s->out.data[i] = 12345.0f;
}

static inline void scene_check_padding(const struct scene *s) {
    for (size_t r = 0; r < s->rows; r++)
        for (size_t i = s->a.group * s->a.head_dim; i < s->out_stride; i++)
            assert_true(s->out.data[r * s->out_stride + i] == 12345.0f);
    buffer_check(&s->out);
}

/* Where the rows lie: a scene may have been copied. */
static inline void scene_point(struct scene *s) {
    for (size_t r = 0; r < s->rows; r++)
        s->row[r] = (struct attention_row){.q = s->q.data + r * s->q_stride,
                                           .out = s->out.data + r * s->out_stride,
                                           .pages = s->pages,
                                           .position = s->first + r};
    s->a.rows = s->row;
}

static inline float *scene_run(struct scene *s, const struct kernel_table *table) {
    scene_clear(s);
    scene_point(s);
    table->attention(&s->a, 0, s->rows);
    scene_check_padding(s);
    float *copy = malloc(s->out.count * sizeof(float));
    assert_non_null(copy);
    memcpy(copy, s->out.data, s->out.count * sizeof(float));
    return copy;
}
