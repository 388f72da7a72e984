/* Attention in parts: a chunk of keys at a time, and sequences together that share pages. Each has the bits of the whole,
 * of each sequence alone, in every table. */
#include "tests/kernels/attention_scene.h"

/* Of scenes; no divisor of what they differ by. */
enum { EVERY = TEST_SHARE ? 5 : 1 };

/* Chunk by chunk, last first, as threads may take them; of each some rows of the scene's at a time. */
static void run_by_chunks(struct scene *s, size_t rows, size_t together, const struct kernel_table *table) {
    const size_t chunks = (s->context - 1) / KERNEL_ATTENTION_CHUNK + 1, all = rows * s->a.group;
    const size_t stride = all * kernel_attention_state(s->a.head_dim);
    struct buffer states = buffer_create(chunks * stride, 3);
    for (size_t i = 0; i < states.count; i++) states.data[i] = NAN;
    scene_clear(s);
    for (size_t chunk = chunks; chunk-- > 0;)
        for (size_t row = 0; row < rows; row += together)
            table->attention_chunk(&s->a, row, rows - row < together ? rows - row : together, chunk,
                                   states.data + chunk * stride);
    table->attention_merge(&s->a, 0, rows, 0, states.data, stride);
    buffer_check(&states);
    buffer_destroy(&states);
}

static void test_same_bits_by_chunks(void **state) {
    (void)state;
    struct random r = {9};
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    for (int i = 0; i < 90; i += EVERY) {
        struct scene s = scene_random(&r);
        float *expected = scene_run(&s, kernel_scalar());
        const size_t together = i % 2 ? s.rows : random_between(&r, 1, s.rows);
        for (size_t t = 0; t < count; t++) {
            run_by_chunks(&s, s.rows, together, tables[t]);
            scene_check_padding(&s);
            assert_same_bits(expected, s.out.data, s.out.count, "%s by chunks", tables[t]->name);
        }
        free(expected);
        scene_destroy(&s);
    }
}

/* What tiles take, of which a chunk holds a part: with a value at its ends that is not finite, which some of them see. */
static void test_same_bits_by_chunks_of_many_queries(void **state) {
    (void)state;
    struct random r = {15};
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    for (int i = 0; i < 60; i += EVERY) {
        const size_t rows = random_between(&r, 4, 40), head_dim = random_between(&r, 16, 80),
                     first = KERNEL_ATTENTION_CHUNK * random_between(&r, 1, 3) - random_below(&r, 40),
                     window = i % 2 ? random_between(&r, 1, 400) : 0;
        struct scene s = scene_create(&r, KV_TYPE_BF16, rows, first, random_between(&r, 1, 5), head_dim,
                                      window, i % 3 ? BIAS_NONE : (enum bias)random_below(&r, BIAS_COUNT));
        float key[HEAD_DIM_MAX], value[HEAD_DIM_MAX];
        random_fill(&r, key, head_dim);
        random_fill_extreme(&r, value, head_dim);
        if (i % 4) store(&s, (i % 4 == 1 ? oldest_of(&s, first) : first) + rows / 2, key, value);
        float *expected = scene_run(&s, kernel_scalar());
        for (size_t t = 0; t < count; t++) {
            run_by_chunks(&s, rows, random_between(&r, 1, rows), tables[t]);
            scene_check_padding(&s);
            assert_same_bits(expected, s.out.data, s.out.count, "%s by chunks", tables[t]->name);
        }
        free(expected);
        scene_destroy(&s);
    }
}

/* ---- sequences that share pages ---- */

/* Some rows of several sequences whose first pages are the same. */
#define FAMILY_MAX 8 /* of up to 24 rows: more queries than any set takes at once */
struct family {
    struct scene s; /* with memory for the pages of all */
    size_t sequences, shared;
    uint32_t *pages[FAMILY_MAX];
    struct attention_row row[FAMILY_MAX * 3];
    size_t rows;
};

/* Each sequence has the shared pages, and copies of the others of its own: behind those of the sequence before. */
static void family_add(struct family *f, struct random *r, size_t sequence) {
    struct scene *s = &f->s;
    const size_t common = f->shared / s->a.page_tokens, most = s->rows < 3 ? s->rows : 3;
    f->pages[sequence] = malloc(s->page_count * sizeof **f->pages);
    assert_non_null(f->pages[sequence]);
    for (size_t i = 0; i < s->page_count; i++)
        f->pages[sequence][i] = s->pages[i] + (i < common ? 0 : (uint32_t)(sequence * s->page_count));
    size_t first = random_below(r, s->rows - most + 1), end = first + random_between(r, 1, most);
    for (; first < end; first++) {
        f->row[f->rows] = s->row[first];
        f->row[f->rows].out = s->out.data + f->rows * s->out_stride;
        f->row[f->rows++].pages = f->pages[sequence];
    }
}

static struct family family_create(struct random *r) {
    struct family f = {.s = scene_random(r), .sequences = random_between(r, 2, FAMILY_MAX)};
    struct scene *s = &f.s;
    const size_t page_floats = s->a.page_stride / sizeof(float), floats = s->page_count * page_floats;
    struct buffer pool = buffer_create(f.sequences * floats, 0);
    for (size_t i = 0; i < f.sequences; i++)
        memcpy(pool.data + i * floats, s->pool.data, floats * sizeof(float));
    buffer_destroy(&s->pool);
    s->pool = pool;
    s->a.pool = (const unsigned char *)pool.data;
    buffer_destroy(&s->out);
    s->out = buffer_create(FAMILY_MAX * 3 * s->out_stride, 1);
    f.shared = random_below(r, s->page_count + 1) * s->a.page_tokens;
    return f;
}

/* Their own values differ, so that a query that read another's pages would show. */
static void family_store(struct family *f, struct random *r) {
    struct scene *s = &f->s;
    float key[HEAD_DIM_MAX], value[HEAD_DIM_MAX];
    uint32_t *const pages = s->pages;
    for (size_t i = 0; i < f->sequences; i++) {
        s->pages = f->pages[i];
        size_t first = oldest_of(s, s->first);
        for (size_t p = first > f->shared ? first : f->shared; p < s->context; p++) {
            random_fill(r, key, s->a.head_dim);
            random_fill(r, value, s->a.head_dim);
            store(s, p, key, value);
        }
    }
    s->pages = pages;
}

static void family_destroy(struct family *f) {
    for (size_t i = 0; i < f->sequences; i++) free(f->pages[i]);
    scene_destroy(&f->s);
}

static void check_family(struct family *f, const struct kernel_table *const *tables, size_t count) {
    struct scene *s = &f->s;
    s->a.rows = f->row;
    scene_clear(s);
    for (size_t row = 0; row < f->rows; row++) kernel_scalar()->attention(&s->a, row, 1);
    float *expected = malloc(s->out.count * sizeof *expected);
    assert_non_null(expected);
    memcpy(expected, s->out.data, s->out.count * sizeof *expected);
    s->a.shared = f->shared;
    for (size_t t = 0; t < count; t++) {
        scene_clear(s);
        tables[t]->attention(&s->a, 0, f->rows);
        assert_same_bits(expected, s->out.data, s->out.count, "%s, %zu positions shared", tables[t]->name,
                         f->shared);
        run_by_chunks(s, f->rows, f->rows, tables[t]);
        assert_same_bits(expected, s->out.data, s->out.count, "%s by chunks, %zu positions shared",
                         tables[t]->name, f->shared);
    }
    free(expected);
}

static void test_same_bits_for_sequences_that_share_pages(void **state) {
    (void)state;
    struct random r = {10};
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    for (int i = 0; i < 150; i += EVERY) {
        struct family f = family_create(&r);
        scene_point(&f.s);
        for (size_t sequence = 0; sequence < f.sequences; sequence++) family_add(&f, &r, sequence);
        family_store(&f, &r);
        check_family(&f, tables, count);
        family_destroy(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_by_chunks),
        cmocka_unit_test(test_same_bits_by_chunks_of_many_queries),
        cmocka_unit_test(test_same_bits_for_sequences_that_share_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
