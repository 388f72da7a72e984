/* Attention: every table against the scalar one bit by bit, and the scalar one against a plain softmax in
 * double. Memory of positions that no query may see holds NaN throughout. `test_kernels_attention --time`
 * prints GFLOP/s instead. */
#include <float.h>

#include "engine/base/clock.h"
#include "tests/kernels/attention_scene.h"

/* Of scenes; no divisor of what they differ by. */
enum { EVERY = TEST_SHARE ? 5 : 1 };

static void compare_tables(struct scene *s) {
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    float *expected = scene_run(s, kernel_scalar());
    for (size_t t = 1; t < count; t++) {
        float *found = scene_run(s, tables[t]);
        assert_same_bits(expected, found, s->out.count,
                         "%s, %s, %zu rows from %zu, group %zu, head %zu, window %zu", tables[t]->name,
                         kv_type_name(s->a.cache.type), s->rows, s->first, s->a.group, s->a.head_dim,
                         s->a.window);
        free(found);
    }
    free(expected);
}

/* The scene's first rows, where they stand. */
static void compare_rows(struct scene *s, size_t rows) {
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    float *expected = malloc(s->out.count * sizeof *expected);
    assert_non_null(expected);
    scene_clear(s);
    kernel_scalar()->attention(&s->a, 0, rows);
    memcpy(expected, s->out.data, s->out.count * sizeof *expected);
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < s->a.group * s->a.head_dim; i++)
            assert_true(isfinite(expected[row * s->out_stride + i]));
    for (size_t t = 1; t < count; t++) {
        scene_clear(s);
        tables[t]->attention(&s->a, 0, rows);
        assert_same_bits(expected, s->out.data, s->out.count, "%s, window %zu", tables[t]->name, s->a.window);
    }
    free(expected);
}

static void test_same_bits_in_every_table(void **state) {
    (void)state;
    struct random r = {1};
    for (int i = 0; i < 600; i += EVERY) {
        struct scene s = scene_random(&r);
        compare_tables(&s);
        scene_destroy(&s);
    }
}

/* What comes next is prefetched, and changes nothing; here it is another sequence, as often with a window. */
static void test_prefetch_changes_no_bit(void **state) {
    (void)state;
    struct random r = {11};
    for (int i = 0; i < 100; i += EVERY) {
        struct scene s = scene_random(&r), other = scene_random(&r);
        float *expected = scene_run(&s, kernel_scalar());
        scene_point(&other);
        s.a.prefetch = &other.a;
        compare_tables(&s);
        float *found = scene_run(&s, kernel_scalar());
        assert_same_bits(expected, found, s.out.count, "with a prefetch hint");
        free(expected);
        free(found);
        scene_destroy(&s);
        scene_destroy(&other);
    }
}

/* More queries than any set takes at once; of the widest heads it takes fewer, and of 257 no multiple of four. */
static void test_same_bits_for_common_heads(void **state) {
    (void)state;
    static const size_t head_dims[] = {8, 64, 80, 96, 128, 250, 256, 257, 512, 1023, 1024};
    struct random r = {2};
    for (size_t i = 0; i < KV_TYPE_COUNT * (sizeof head_dims / sizeof head_dims[0]); i += EVERY) {
        size_t head_dim = head_dims[i / KV_TYPE_COUNT];
        struct scene s = scene_create(&r, (enum kv_type)(i % KV_TYPE_COUNT), 17, 100, 2, head_dim, 0,
                                      (enum bias)(i / KV_TYPE_COUNT % BIAS_COUNT));
        compare_tables(&s);
        scene_destroy(&s);
    }
}

/* What tiles of queries take: as many rows as two calls of a step and more, any number of heads beside one another, chunks and
 * windows that begin and end within a tile. */
static void test_same_bits_for_many_queries(void **state) {
    (void)state;
    static const size_t head_dims[] = {15, 16, 17, 33, 48, 64, 80, 96, 128, 250, 256},
                        groups[] = {1, 1, 2, 3, 4, 5, 8, 12, 32, 33};
    struct random r = {12};
    for (int i = 0; i < 120; i += EVERY) {
        const size_t group = groups[random_below(&r, sizeof groups / sizeof *groups)];
        const size_t head_dim = head_dims[random_below(&r, sizeof head_dims / sizeof *head_dims)];
        const size_t rows = random_between(&r, 1, group > 8 ? 10 : 70), first = random_below(&r, 600);
        const size_t window = random_below(&r, 2) ? random_between(&r, 1, 300) : 0;
        struct scene s = scene_create(&r, KV_TYPE_BF16, rows, first, group, head_dim, window,
                                      i % 2 ? BIAS_NONE : (enum bias)(i / 2 % BIAS_COUNT));
        if (i % 3) s.a.score_cap = 0;
        if (i % 7 == 0) s.a.scale = -s.a.scale;
        compare_tables(&s);
        scene_destroy(&s);
    }
}

/* Rows of one sequence need not follow one another; nobody sees what lies between two windows. */
static void test_same_bits_for_rows_apart(void **state) {
    (void)state;
    struct random r = {13};
    float nothing[16];
    for (size_t d = 0; d < 16; d++) nothing[d] = NAN;
    for (size_t window = 0; window < 24; window++) {
        struct scene s = scene_create(&r, KV_TYPE_BF16, 64, 300, 2, 16, window, BIAS_NONE);
        const size_t rows = 15, before = 5, gap = 30;
        for (size_t p = s.first + before; window && p + window <= s.first + before + gap; p++)
            store(&s, p, nothing, nothing);
        scene_point(&s);
        for (size_t row = before; row < rows; row++) s.row[row].position += gap;
        compare_rows(&s, rows);
        scene_destroy(&s);
    }
}

/* Values at the ends of the range: those that a later position brings must not reach an earlier query. */
static void test_same_bits_for_extreme_values(void **state) {
    (void)state;
    struct random r = {3};
    for (int i = 0; i < 150; i += EVERY) {
        struct scene s = scene_random(&r);
        float key[HEAD_DIM_MAX], value[HEAD_DIM_MAX];
        random_fill(&r, key, s.a.head_dim);
        random_fill_extreme(&r, value, s.a.head_dim);
        if (i % 2) random_fill_extreme(&r, key, 1);
        store(&s, s.first + s.rows - 1, key, value);
        compare_tables(&s);
        if (s.rows > 1) {
            float *row = scene_run(&s, kernel_scalar());
            for (size_t j = 0; j < s.a.group * s.a.head_dim; j++) assert_true(isfinite(row[j]));
            free(row);
        }
        scene_destroy(&s);
    }
}

/* The same of many queries, of one position among those that some of them see and others do not: behind a diagonal, or as a
 * window leaves it. Of NaN and infinity each once, since others may hide them. */
static void test_values_reach_who_sees_them_alone(void **state) {
    (void)state;
    struct random r = {14};
    static const float values[] = {NAN, INFINITY, -INFINITY, FLT_MAX};
    for (size_t i = 0; i < 64; i += EVERY) {
        const size_t rows = random_between(&r, 8, 40), first = random_between(&r, 100, 300),
                     head_dim = 16 * random_between(&r, 1, 5), window = i % 2 ? random_between(&r, 1, 70) : 0;
        struct scene s = scene_create(&r, KV_TYPE_BF16, rows, first, 1, head_dim, window, BIAS_NONE);
        float key[HEAD_DIM_MAX], value[HEAD_DIM_MAX];
        const size_t oldest = oldest_of(&s, first);
        const size_t position = (window ? oldest : first) + random_below(&r, (uint32_t)rows);
        random_fill(&r, key, head_dim);
        random_fill(&r, value, head_dim);
        value[random_below(&r, (uint32_t)head_dim)] = values[i / 4 % 4];
        store(&s, position, key, value);
        compare_tables(&s);
        float *out = scene_run(&s, kernel_scalar());
        for (size_t row = 0; row < rows; row++)
            for (size_t d = 0; d < head_dim; d++)
                if (position > first + row || position < oldest_of(&s, first + row))
                    assert_true(isfinite(out[row * s.out_stride + d]));
        free(out);
        scene_destroy(&s);
    }
}

/* One row at a time, and any other split. */
static void test_same_bits_for_any_tiling(void **state) {
    (void)state;
    struct random r = {4};
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    for (int i = 0; i < 90; i += EVERY) {
        struct scene s = scene_random(&r);
        float *expected = scene_run(&s, kernel_scalar());
        for (size_t t = 0; t < count; t++) {
            scene_clear(&s);
            for (size_t row = 0, rows; row < s.rows; row += rows) {
                rows = i % 2 ? 1 : random_between(&r, 1, s.rows - row);
                tables[t]->attention(&s.a, row, rows);
            }
            scene_check_padding(&s);
            assert_same_bits(expected, s.out.data, s.out.count, "%s in tiles", tables[t]->name);
        }
        free(expected);
        scene_destroy(&s);
    }
}

/* The same prompt in two chunks: rows of the second chunk start at another first position. */
static void test_same_bits_for_any_chunks(void **state) {
    (void)state;
    struct random r = {5};
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    for (size_t t = 0; t < count; t++)
        for (size_t first = 1; first < 20; first++) {
            struct scene s = scene_create(&r, (enum kv_type)(first % KV_TYPE_COUNT), 20, 37, 2, 24,
                                          first % 2 ? 0 : 21, (enum bias)(first % BIAS_COUNT));
            float *expected = scene_run(&s, tables[t]);
            scene_clear(&s);
            struct attention second = s.a;
            second.rows += first;
            tables[t]->attention(&second, 0, s.rows - first);
            tables[t]->attention(&s.a, 0, first);
            assert_same_bits(expected, s.out.data, s.out.count, "%s in chunks", tables[t]->name);
            free(expected);
            scene_destroy(&s);
        }
}

static float exp_of(float x) {
    return kernel_scalar()->exp_sum(&x, 1, 0.0f, 1.0f);
}

/* As bf16 has it. */
static float rounded(float x) {
    return fabsf(x) < 0x1p-56f ? 0.0f : kernel_bf16_to_float(kernel_bf16_of(x));
}

/* The weights of bf16. */
static float exp_bf16_of(float x) {
    const float t = fmaf(x, 0x1.715476p0f, -0.5f), n = nearbyintf(t), g = t - n;
    if (x < -38.8f) return 0.0f;
    const float power =
        fmaf(fmaf(fmaf(0x1.3f96a4p-4f, g, 0x1.5f56a4p-2f), g, 0x1.f5f97ep-1f), g, 0x1.6a033cp0f);
    return ldexpf(nearbyintf(power * 128) / 128, (int)n);
}

static float defined_dot(struct scene *s, const float *q, size_t j) {
    float dot = 0.0f;
    for (size_t d = 0; d < s->a.head_dim; d++) dot = fmaf(q[d], key_at(s, j, d), dot);
    return dot;
}

static float defined_bf16_dot(struct scene *s, const float *q, size_t j) {
    float dot = 0.0f;
    for (size_t first = 0; first < s->a.head_dim; first += 32) {
        float even = 0.0f, odd = 0.0f;
        for (size_t d = first; d < first + 32 && d < s->a.head_dim; d++) {
            float *sum = d % 2 ? &odd : &even;
            *sum = fmaf(rounded(q[d]), key_at(s, j, d), *sum);
        }
        dot = dot + (even + odd);
    }
    return dot;
}

/* The score of one key as kernel.h defines it. */
static float defined_score(struct scene *s, size_t row, size_t head, size_t j) {
    const struct attention *a = &s->a;
    const float *q = s->q.data + row * s->q_stride + head * a->head_dim;
    float dot = a->cache.type == KV_TYPE_BF16 ? defined_bf16_dot(s, q, j) : defined_dot(s, q, j);
    const float *alibi = a->alibi ? a->alibi + head * a->alibi_stride : NULL;
    size_t position = s->first + row, shift = a->alibi_last ? a->alibi_last - position : 0;
    if (a->cache.type == KV_TYPE_INT8) dot *= scale_at(s, j, a->cache.key_scales);
    dot *= a->scale;
    if (a->score_cap > 0) kernel_scalar()->soft_cap(&dot, 1, a->score_cap);
    if (a->alibi) dot += alibi[shift + j] - alibi[shift + position];
    return dot;
}

/* The running state of the definition. */
struct defined {
    float m, lanes[KERNEL_LANES], *out;
};

static float defined_factor(float before, float after) {
    return exp_of(after > before ? before - after : 0.0f);
}

/* One block, keys first <= j < end (absolute). */
static void defined_block(struct scene *s, size_t row, size_t head, size_t first, size_t end,
                          struct defined *state) {
    float scores[KERNEL_LANES], m = state->m;
    for (size_t j = first; j < end; j++) {
        scores[j % KERNEL_LANES] = defined_score(s, row, head, j);
        if (scores[j % KERNEL_LANES] > m) m = scores[j % KERNEL_LANES];
    }
    float f = defined_factor(state->m, m);
    for (size_t i = 0; i < KERNEL_LANES; i++) state->lanes[i] *= f;
    for (size_t d = 0; d < s->a.head_dim; d++) state->out[d] *= f;
    for (size_t j = first; j < end; j++) {
        float w = exp_of(scores[j % KERNEL_LANES] - m);
        state->lanes[j % KERNEL_LANES] += w;
        if (s->a.cache.type == KV_TYPE_INT8) w *= scale_at(s, j, s->a.cache.value_scales);
        for (size_t d = 0; d < s->a.head_dim; d++) state->out[d] = fmaf(w, value_at(s, j, d), state->out[d]);
    }
    state->m = m;
}

/* A chunk of bf16: one maximum, and pairs. */
static void defined_bf16_chunk(struct scene *s, size_t row, size_t head, size_t first, size_t end,
                               struct defined *state) {
    float weights[KERNEL_ATTENTION_CHUNK];
    for (size_t j = first; j < end; j++) {
        float *score = &weights[j % KERNEL_ATTENTION_CHUNK];
        *score = defined_score(s, row, head, j);
        if (*score > state->m) state->m = *score;
    }
    for (size_t j = first; j < end; j++) {
        float *weight = &weights[j % KERNEL_ATTENTION_CHUNK];
        *weight = exp_bf16_of(*weight - state->m);
        state->lanes[j % KERNEL_LANES] += *weight;
    }
    for (size_t block = first / KERNEL_LANES; block * KERNEL_LANES < end; block++)
        for (size_t d = 0; d < s->a.head_dim; d++) {
            float sums[2] = {0.0f, 0.0f};
            for (size_t j = block * KERNEL_LANES; j < (block + 1) * KERNEL_LANES && j < end; j++)
                if (j >= first)
                    sums[j % 2] = fmaf(weights[j % KERNEL_ATTENTION_CHUNK], value_at(s, j, d), sums[j % 2]);
            state->out[d] = state->out[d] + (sums[0] + sums[1]);
        }
}

/* Keys first <= j < end, of one chunk. */
static void defined_chunk(struct scene *s, size_t row, size_t head, size_t first, size_t end,
                          struct defined *state) {
    state->m = -INFINITY;
    memset(state->lanes, 0, sizeof state->lanes);
    memset(state->out, 0, s->a.head_dim * sizeof *state->out);
    if (s->a.cache.type == KV_TYPE_BF16) {
        defined_bf16_chunk(s, row, head, first, end, state);
        return;
    }
    for (size_t start = first / KERNEL_LANES * KERNEL_LANES; start < end; start += KERNEL_LANES)
        defined_block(s, row, head, start > first ? start : first,
                      start + KERNEL_LANES < end ? start + KERNEL_LANES : end, state);
}

static void defined_merge(struct defined *all, const struct defined *next, size_t head_dim) {
    const float m = next->m > all->m ? next->m : all->m;
    const float f = defined_factor(all->m, m), g = defined_factor(next->m, m);
    for (size_t i = 0; i < KERNEL_LANES; i++) all->lanes[i] = fmaf(next->lanes[i], g, all->lanes[i] * f);
    for (size_t d = 0; d < head_dim; d++) all->out[d] = fmaf(next->out[d], g, all->out[d] * f);
    all->m = m;
}

static void defined_attention(struct scene *s, size_t row, size_t head, float *out) {
    size_t position = s->first + row, oldest = oldest_of(s, position);
    float values[HEAD_DIM_MAX];
    struct defined all = {.out = out}, next = {.out = values};
    for (size_t first = oldest, end; first <= position; first = end) {
        end = (first / KERNEL_ATTENTION_CHUNK + 1) * KERNEL_ATTENTION_CHUNK;
        if (end > position) end = position + 1;
        defined_chunk(s, row, head, first, end, first == oldest ? &all : &next);
        if (first != oldest) defined_merge(&all, &next, s->a.head_dim);
    }
    for (size_t half = KERNEL_LANES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++) all.lanes[i] += all.lanes[i + half];
    for (size_t d = 0; d < s->a.head_dim; d++) out[d] *= 1.0f / all.lanes[0];
}

/* The order that kernel.h states, word by word. */
static void test_scalar_is_the_definition(void **state) {
    (void)state;
    struct random r = {8};
    for (int i = 0; i < 90; i += EVERY) {
        struct scene s = scene_random(&r);
        float *found = scene_run(&s, kernel_scalar()), expected[HEAD_DIM_MAX];
        for (size_t row = 0; row < s.rows; row++)
            for (size_t head = 0; head < s.a.group; head++) {
                defined_attention(&s, row, head, expected);
                assert_same_bits(expected, found + row * s.out_stride + head * s.a.head_dim, s.a.head_dim,
                                 "row %zu, head %zu", row, head);
            }
        free(found);
        scene_destroy(&s);
    }
}

static double exact_score(struct scene *s, size_t row, size_t head, size_t j) {
    const struct attention *a = &s->a;
    const float *q = s->q.data + row * s->q_stride + head * a->head_dim;
    double score = 0;
    for (size_t d = 0; d < a->head_dim; d++) score += (double)q[d] * (double)key_at(s, j, d);
    score *= (double)a->scale * (double)scale_at(s, j, a->cache.key_scales);
    if (a->score_cap > 0) score = (double)a->score_cap * tanh(score / (double)a->score_cap);
    size_t position = s->first + row, shift = a->alibi_last ? a->alibi_last - position : 0;
    const float *alibi = a->alibi ? a->alibi + head * a->alibi_stride + shift : NULL;
    if (a->alibi) score += (double)alibi[j] - (double)alibi[position];
    return score;
}

/* Weighted values of one query in double precision. */
static void exact_attention(struct scene *s, size_t row, size_t head, double *out) {
    size_t position = s->first + row, oldest = oldest_of(s, position);
    double largest = -INFINITY, sum = 0;
    for (size_t j = oldest; j <= position; j++) largest = fmax(largest, exact_score(s, row, head, j));
    memset(out, 0, s->a.head_dim * sizeof *out);
    for (size_t j = oldest; j <= position; j++) {
        double weight = exp(exact_score(s, row, head, j) - largest);
        sum += weight;
        weight *= (double)scale_at(s, j, s->a.cache.value_scales);
        for (size_t d = 0; d < s->a.head_dim; d++) out[d] += weight * (double)value_at(s, j, d);
    }
    for (size_t d = 0; d < s->a.head_dim; d++) out[d] /= sum;
}

/* |values| <= 1 and scores up to about 20: an error of a score of 20 * 2^-22 moves a weight by as much of
 * itself. bf16 rounds a query by up to 2^-9 of itself, so a score by up to 20 * 2^-9, and then weights. */
static void test_scalar_against_double(void **state) {
    (void)state;
    struct random r = {6};
    for (int i = 0; i < 90; i += EVERY) {
        struct scene s = scene_random(&r);
        const double tolerance = s.a.cache.type == KV_TYPE_BF16 ? 0.05 : 2e-5;
        float *found = scene_run(&s, kernel_scalar());
        double expected[HEAD_DIM_MAX];
        for (size_t row = 0; row < s.rows; row++)
            for (size_t head = 0; head < s.a.group; head++) {
                exact_attention(&s, row, head, expected);
                const float *out = found + row * s.out_stride + head * s.a.head_dim;
                for (size_t d = 0; d < s.a.head_dim; d++)
                    if (!(fabs((double)out[d] - expected[d]) <= tolerance))
                        fail_msg("row %zu, head %zu, %zu: found %g, expected %g", row, head, d,
                                 (double)out[d], expected[d]);
            }
        free(found);
        scene_destroy(&s);
    }
}

/* GFLOP/s of one head of 64 in one thread; queries and keys of a row count twice: scores and values. */
static double speed(struct scene *s, const struct kernel_table *table) {
    double pairs = (double)s->rows * ((double)s->first + (double)(s->rows + 1) / 2), best = 1e9;
    scene_point(s);
    for (int repeat = 0; repeat < 300; repeat++) {
        double start = clock_seconds();
        table->attention(&s->a, 0, s->rows);
        best = fmin(best, clock_seconds() - start);
    }
    return pairs * 4 * 64 / best * 1e-9;
}

static int print_times(void) {
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    struct random r = {7};
    printf("one head of 64, one thread, GFLOP/s: prefill 512, decode at 1024\n");
    for (enum kv_type type = 0; type < KV_TYPE_COUNT; type++) {
        struct scene prefill = scene_create(&r, type, 512, 0, 1, 64, 0, BIAS_NONE),
                     decode = scene_create(&r, type, 1, 1023, 1, 64, 0, BIAS_NONE);
        for (size_t t = 1; t < count; t++)
            printf("%5s %10s%10.1f%10.1f\n", kv_type_name(type), tables[t]->name, speed(&prefill, tables[t]),
                   speed(&decode, tables[t]));
        scene_destroy(&prefill);
        scene_destroy(&decode);
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--time") == 0) return print_times();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_in_every_table),
        cmocka_unit_test(test_prefetch_changes_no_bit),
        cmocka_unit_test(test_same_bits_for_common_heads),
        cmocka_unit_test(test_same_bits_for_many_queries),
        cmocka_unit_test(test_same_bits_for_rows_apart),
        cmocka_unit_test(test_same_bits_for_extreme_values),
        cmocka_unit_test(test_values_reach_who_sees_them_alone),
        cmocka_unit_test(test_same_bits_for_any_tiling),
        cmocka_unit_test(test_same_bits_for_any_chunks),
        cmocka_unit_test(test_scalar_is_the_definition),
        cmocka_unit_test(test_scalar_against_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
