/* The sampler against a plain one that sorts everything, in double precision. */
#include "tests/support/test_support.h"

#include <math.h>
#include <stdbool.h>

#include "engine/sample/sampler.h"

/* Under a sanitizer a quarter of the draws, with wider bounds by what they may be off. */
enum { DRAWS = TEST_SHARE ? 250 : 1000, DRAWS_MAX = 10 * DRAWS };

enum {
    ROWS_MAX = 5000,
    BLOCK = 1024, /* ids that the sampler sums at once: it finds the block, then the token */
    DECILES = 10
};

static const struct engine_sampling neutral = {
    .temperature = 1, .top_p = 1, .typical_p = 1, .repetition_penalty = 1, .has_seed = true, .seed = 5};

/* All tables give the same bits (every_kernel_table_draws_the_same): the fastest will do. Asking the
 * processor for it costs more than a draw. */
static const struct kernel_table *best_kernels(void) {
    static const struct kernel_table *tables[KERNEL_ISA_COUNT];
    static size_t count;
    if (count == 0) count = kernel_available(tables);
    return tables[count - 1];
}

struct bench {
    struct sampler_vocabulary vocabulary;
    struct sampler_scratch scratch;
    float row[ROWS_MAX];
};

static void bench_init(struct bench *b, size_t rows, size_t sampleable, double spread, unsigned seed) {
    struct error e;
    b->vocabulary = (struct sampler_vocabulary){.rows = rows, .sampleable = sampleable};
    assert_ok(sampler_scratch_init(&b->scratch, rows, &e));
    srand(seed);
    for (size_t i = 0; i < rows; i++) b->row[i] = (float)(spread * (rand() / (double)RAND_MAX - 0.5));
}

/* The token at a position: `generated` tokens were sampled before. */
static int32_t pick(struct bench *b, const struct engine_sampling *sampling, const int32_t *tokens,
                    size_t prompt, size_t generated) {
    struct error e;
    struct sampler_input input = {.sampling = sampling,
                                  .tokens = tokens,
                                  .prompt_count = prompt,
                                  .count = prompt + generated,
                                  .seed = sampling->seed};
    int32_t id = -1;
    assert_ok(sampler_pick(best_kernels(), &b->vocabulary, &b->scratch, &input, b->row, &id, &e));
    return id;
}

struct entry {
    double p, key;
    int32_t id;
};

static int by_key(const void *a, const void *b) {
    const struct entry *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

static size_t keep_mass(struct entry *list, size_t count, double mass) {
    double total = 0, sum = 0;
    for (size_t i = 0; i < count; i++) total += list[i].p;
    for (size_t i = 0; i < count; i++)
        if ((sum += list[i].p) >= mass * total) return i + 1;
    return count;
}

/* Probabilities that the parameters leave, by full sorts. */
static void plain_distribution(const float *row, size_t count, const struct engine_sampling *s, double *out) {
    static struct entry list[ROWS_MAX];
    double max = -INFINITY, total = 0, entropy = 0;
    for (size_t i = 0; i < count; i++) max = fmax(max, row[i]);
    for (size_t i = 0; i < count; i++) {
        list[i] = (struct entry){.p = exp((row[i] - max) / s->temperature), .id = (int32_t)i};
        list[i].key = -list[i].p;
        out[i] = 0;
    }
    qsort(list, count, sizeof *list, by_key);
    size_t kept = s->top_k > 0 && s->top_k < count ? s->top_k : count;
    if (s->top_p < 1) kept = keep_mass(list, kept, s->top_p);
    while (kept > 1 && list[kept - 1].p < s->min_p) kept--;
    for (size_t i = 0; i < kept; i++) total += list[i].p;
    if (s->typical_p < 1) {
        for (size_t i = 0; i < kept; i++) entropy -= list[i].p / total * log(list[i].p / total);
        for (size_t i = 0; i < kept; i++) list[i].key = fabs(-log(list[i].p / total) - entropy);
        qsort(list, kept, sizeof *list, by_key);
        kept = keep_mass(list, kept, s->typical_p);
        total = 0;
        for (size_t i = 0; i < kept; i++) total += list[i].p;
    }
    for (size_t i = 0; i < kept; i++) out[list[i].id] = list[i].p / total;
}

/* What many draws gave beside what they should, of one id or of several together. */
struct tally {
    double expect;
    unsigned seen;
};

static void add(struct tally *sum, const struct tally *t) {
    sum->expect += t->expect;
    sum->seen += t->seen;
}

static void check_tally(const struct tally *t, size_t draws) {
    double middle = (double)draws * t->expect, sigma = sqrt(fmax(middle * (1 - t->expect), 0));
    if (t->expect == 0) assert_int_equal(t->seen, 0);
    if (fabs(t->seen - middle) > 6 * sigma + 2)
        fail_msg("%u of %zu draws, expected %.1f, sigma %.1f", t->seen, draws, middle, sigma);
}

/* Single ids of a long row are drawn too seldom to show much: whole blocks of it show whether the right one
 * is found. */
static void check_blocks(const struct tally *tallies, size_t count, size_t draws) {
    for (size_t first = 0; first < count; first += BLOCK) {
        struct tally sum = {0};
        for (size_t i = first; i < count && i < first + BLOCK; i++) add(&sum, &tallies[i]);
        check_tally(&sum, draws);
    }
}

static int by_expectation(const void *a, const void *b) {
    const struct tally *x = a, *y = b;
    return (x->expect < y->expect) - (x->expect > y->expect);
}

/* Tenths of what is kept, best first, show whether what goes before a token is weighed as it should. */
static void check_deciles(struct tally *tallies, size_t count, size_t draws) {
    struct tally sums[DECILES] = {0};
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) kept += tallies[i].expect > 0;
    qsort(tallies, count, sizeof *tallies, by_expectation);
    for (size_t i = 0; i < kept; i++) add(&sums[i * DECILES / kept], &tallies[i]);
    for (size_t i = 0; i < DECILES; i++) check_tally(&sums[i], draws);
}

/* row: what the bench's row is after all masks. */
static void check_draws_from(struct bench *b, const struct engine_sampling *s, const float *row,
                             size_t draws) {
    static double expect[ROWS_MAX];
    static struct tally tallies[ROWS_MAX];
    static const int32_t tokens[DRAWS_MAX + 1];
    size_t count = b->vocabulary.sampleable;
    plain_distribution(row, count, s, expect);
    for (size_t i = 0; i < count; i++) tallies[i] = (struct tally){.expect = expect[i]};
    for (size_t i = 0; i < draws; i++) tallies[pick(b, s, tokens, 1, i)].seen++;
    for (size_t i = 0; i < count; i++) check_tally(&tallies[i], draws);
    check_blocks(tallies, count, draws);
    check_deciles(tallies, count, draws);
}

static void check_draws(struct bench *b, const struct engine_sampling *s) {
    check_draws_from(b, s, b->row, DRAWS);
}

static void draws_follow_the_filtered_distribution(void **state) {
    (void)state;
    struct {
        double temperature, top_p, min_p, typical_p;
        uint32_t top_k;
    } cases[] = {
        {1, 1, 0, 1, 0},         {0.7, 1, 0, 1, 0},     {1.5, 0.9, 0, 1, 0},     {1, 0.3, 0, 1, 0},
        {1, 1, 0, 1, 7},         {1, 0.8, 0, 1, 12},    {1, 1, 0.1, 1, 0},       {1, 0.95, 0.05, 1, 20},
        {1, 1, 0, 0.6, 0},       {0.8, 0.9, 0, 0.5, 9}, {2, 0.99, 0.01, 0.9, 0}, {1, 1e-9, 0, 1, 0},
        {1, 1, 1, 1, 0},         {1, 1, 0, 1e-9, 0},    {1, 1, 0, 1, 1},         {100, 0.97, 0, 1, 0},
        {0.01, 0.97, 0.2, 1, 3}, {1, 1, 0, 1, 100000},  {1, 0.5, 0.03, 1, 0},    {1, 0.05, 0, 1, 0},
    };
    static struct bench b;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int size = 0; size < 3; size++) {
            static const size_t counts[] = {40, 1299, 4700};
            bool sorts = cases[i].top_k > 0 || cases[i].typical_p < 1;
            if (sorts && size == 2) continue; /* blocks of a row are only for those that do not */
            struct engine_sampling s = neutral;
            s.temperature = cases[i].temperature, s.top_p = cases[i].top_p, s.min_p = cases[i].min_p;
            s.typical_p = cases[i].typical_p, s.top_k = cases[i].top_k;
            bench_init(&b, counts[size] + 1, counts[size], 8, (unsigned)i);
            check_draws(&b, &s);
            sampler_scratch_deinit(&b.scratch);
        }
}

/* Each block has more, or less, than the one before. */
static void draws_find_their_block(void **state) {
    (void)state;
    static const struct {
        double temperature, top_p, min_p;
    } cases[] = {{1, 1, 0}, {1, 0.9, 0}, {1, 0.3, 0}, {0.5, 1, 0.02}, {2, 0.97, 0.3}, {1, 0.6, 0.05}};
    static const double slopes[] = {3, -3};
    static struct bench b;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t k = 0; k < 2; k++) {
            struct engine_sampling s = neutral;
            s.temperature = cases[i].temperature, s.top_p = cases[i].top_p, s.min_p = cases[i].min_p;
            bench_init(&b, 4701, 4700, 2, (unsigned)i);
            for (size_t id = 0; id < 4700; id++) b.row[id] += (float)(slopes[k] * (double)id / 4700);
            check_draws_from(&b, &s, b.row, DRAWS_MAX);
            sampler_scratch_deinit(&b.scratch);
        }
}

/* Under each filter that draws from the row as it is. */
static void check_masked(struct bench *b, struct engine_sampling s, const float *row) {
    static const double top_p[] = {1, 0.9, 0.3, 1e-9}, min_p[] = {0, 0.05};
    for (size_t i = 0; i < sizeof top_p / sizeof *top_p; i++)
        for (size_t k = 0; k < sizeof min_p / sizeof *min_p; k++) {
            s.top_p = top_p[i], s.min_p = min_p[k];
            check_draws_from(b, &s, row, DRAWS);
        }
}

/* Ids here and there, and blocks without any: the first, the third, and all but one id of the last. */
static void unused_ids_are_never_drawn(void **state) {
    (void)state;
    static struct bench b;
    static int32_t unused_ids[ROWS_MAX];
    bench_init(&b, 4700, 4699, 6, 11);
    b.vocabulary.unused_ids = unused_ids;
    for (int32_t id = 0; id < 4699; id++) {
        int block = id / BLOCK;
        if (block == 0 || block == 2 || (block == 4 && id != 4698) || id % 7 == 3)
            unused_ids[b.vocabulary.unused_id_count++] = id;
    }
    b.row[17] = b.row[2500] = 9; /* the best, were they there */
    sampler_mask_unused_ids(&b.vocabulary, b.row);
    check_masked(&b, neutral, b.row);
    sampler_scratch_deinit(&b.scratch);
}

static void only_the_allowed_are_drawn(void **state) {
    (void)state;
    static struct bench b;
    static float masked[ROWS_MAX];
    static int32_t allowed[ROWS_MAX];
    static const int32_t steps[] = {1, 3, 900};
    bench_init(&b, 4700, 4699, 6, 12);
    b.row[10] = 9;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct engine_sampling s = neutral;
        s.allowed = allowed;
        for (size_t id = 0; id < 4699; id++) masked[id] = -INFINITY;
        /* Not in order, and none in the first block; the last is padding. */
        for (int32_t id = 4699; id > BLOCK; id -= steps[i]) {
            allowed[s.allowed_count++] = id;
            if (id < 4699) masked[id] = b.row[id];
        }
        check_masked(&b, s, masked);
    }
    sampler_scratch_deinit(&b.scratch);
}

/* Whatever else the request asks for. */
static void a_mask_is_the_same_as_a_list_of_ids(void **state) {
    (void)state;
    static struct bench b;
    static int32_t allowed[ROWS_MAX];
    static uint32_t mask[(ROWS_MAX + 31) / 32];
    const int32_t tokens[] = {0, 1, 2, 3};
    bench_init(&b, ROWS_MAX, ROWS_MAX - 7, 8, 3);
    for (unsigned round = 0; round < 200; round++) {
        struct engine_sampling s = neutral;
        struct error e;
        int32_t by_mask = -1;
        memset(mask, 0, sizeof mask);
        for (int32_t id = 0; id < ROWS_MAX; id++)
            if (rand() % (1 << round % 12) == 0)
                mask[id / 32] |= 1u << id % 32, allowed[s.allowed_count++] = id;
        if (s.allowed_count == 0) continue;
        s.seed = (int64_t)round;
        s.top_k = round % 3 ? 0 : 5;
        s.top_p = round % 4 ? 1 : 0.5;
        s.temperature = round % 5 ? 1 : 0;
        s.repetition_penalty = round % 2 ? 1 : 1.3;
        s.allowed = allowed;
        struct engine_sampling unlisted = s;
        if (round % 7) unlisted.allowed = NULL, unlisted.allowed_count = 0; /* or both */
        struct sampler_input input = {.sampling = &unlisted,
                                      .tokens = tokens,
                                      .prompt_count = 2,
                                      .count = 4,
                                      .mask = mask,
                                      .seed = s.seed};
        if (allowed[0] >= ROWS_MAX - 7) continue; /* nothing but padding */
        assert_ok(sampler_pick(best_kernels(), &b.vocabulary, &b.scratch, &input, b.row, &by_mask, &e));
        assert_int_equal(by_mask, pick(&b, &s, tokens, 2, 2));
        assert_true(mask[by_mask / 32] >> by_mask % 32 & 1);
    }
    sampler_scratch_deinit(&b.scratch);
}

/* Rows of several blocks whose values come many times: the nucleus ends within a tie, and no token behind it
 * comes. */
static void nucleus_ends_at_the_lowest_ids_of_a_tie(void **state) {
    (void)state;
    static struct bench b;
    static int32_t tokens[DRAWS + 1];
    bench_init(&b, 4100, 4099, 0, 1);
    struct engine_sampling s = neutral;
    for (int step = 1; step < 10; step++) {
        s.top_p = step / 10.0;
        for (size_t i = 0; i < 4099; i++) b.row[i] = (float)(i % 3); /* the largest: 2, 5, 8, ... */
        check_draws(&b, &s);
        for (size_t i = 0; i < 4099; i++) b.row[i] = 1; /* all the same: the lowest ids, whatever is drawn */
        size_t kept = (size_t)ceil(s.top_p * 4099);
        for (size_t i = 0; i < DRAWS; i++) assert_true((size_t)pick(&b, &s, tokens, 1, i) < kept);
    }
    sampler_scratch_deinit(&b.scratch);
}

/* However little the nucleus holds, and with every token but the best far behind it. */
static void a_nucleus_of_nothing_keeps_the_best(void **state) {
    (void)state;
    static struct bench b;
    bench_init(&b, 5000, 5000, 1e-3, 3);
    b.row[2345] = 1e-3f;
    struct engine_sampling s = neutral;
    static int32_t tokens[301];
    for (size_t i = 0; i < 300; i++) {
        s.top_p = i % 3 == 0 ? 0 : i % 3 == 1 ? 1e-300 : 1;
        s.min_p = i % 3 == 2 ? 1 : 0;
        assert_int_equal(pick(&b, &s, tokens, 1, i), 2345);
    }
    sampler_scratch_deinit(&b.scratch);
}

static void greedy_takes_the_lowest_of_the_largest(void **state) {
    (void)state;
    static struct bench b;
    bench_init(&b, 100, 90, 1, 1);
    b.row[17] = b.row[60] = 3;
    b.row[95] = 9; /* padding */
    struct engine_sampling s = neutral;
    s.temperature = 0;
    const int32_t prompt[] = {0};
    assert_int_equal(pick(&b, &s, prompt, 1, 0), 17);
    s.temperature = 1e-9;
    assert_int_equal(pick(&b, &s, prompt, 1, 0), 17);
    sampler_scratch_deinit(&b.scratch);
}

static void seed_choice_and_position_make_the_draw(void **state) {
    (void)state;
    static struct bench b;
    static int32_t tokens[101];
    bench_init(&b, 1000, 1000, 1, 1);
    struct engine_sampling s = neutral;
    int same = 0, again = 0;
    for (size_t i = 0; i < 100; i++) {
        int32_t a = pick(&b, &s, tokens, 1, i);
        s.seed = 6;
        same += a == pick(&b, &s, tokens, 1, i);
        s.seed = 5;
        again += a == pick(&b, &s, tokens, 1, i);
    }
    assert_int_equal(again, 100);
    assert_true(same < 10);
    sampler_scratch_deinit(&b.scratch);
}

static void penalties_work_on_what_was_said(void **state) {
    (void)state;
    static struct bench b;
    bench_init(&b, 10, 10, 0, 1);
    const int32_t tokens[] = {1, 1, 2, 3, 3, 3, 4};
    struct engine_sampling s = neutral;
    s.temperature = 0;
    /* Frequency and presence count generated tokens alone: the prompt is {1, 1, 2}. */
    float *row = b.row;
    row[1] = 1.0f, row[3] = 2.0f, row[4] = 1.4f;
    s.frequency_penalty = 0.5; /* 3: 2 - 1.5; 4: 1.4 - 0.5; 1 as it was */
    assert_int_equal(pick(&b, &s, tokens, 3, 4), 1);
    s.frequency_penalty = 0, s.presence_penalty = 0.3;
    assert_int_equal(pick(&b, &s, tokens, 3, 4), 3);
    s.presence_penalty = -2; /* 3: 4, 4: 3.4 */
    assert_int_equal(pick(&b, &s, tokens, 3, 4), 3);
    /* Repetition counts the prompt too: divides what is positive, multiplies what is negative. */
    s.presence_penalty = 0, s.repetition_penalty = 4;
    row[0] = 0.6f; /* 1: 0.25, 3: 0.5, 4: 0.35 */
    assert_int_equal(pick(&b, &s, tokens, 3, 4), 0);
    for (int i = 0; i < 10; i++) row[i] = -1.5f;
    row[1] = -0.5f; /* becomes -2 */
    assert_true(pick(&b, &s, tokens, 3, 4) == 0);
    for (size_t i = 0; i < 10; i++) assert_int_equal(b.scratch.counts[i], 0);
    sampler_scratch_deinit(&b.scratch);
}

static void biases_masks_and_unused_ids(void **state) {
    (void)state;
    static struct bench b;
    bench_init(&b, 12, 10, 0, 1);
    const int32_t unused_ids[] = {2, 7}, prompt[] = {0}, allowed[] = {2, 3, 5, 11}, banned[] = {5};
    b.vocabulary.unused_ids = unused_ids, b.vocabulary.unused_id_count = 2;
    b.row[2] = 9, b.row[7] = 8, b.row[6] = 5, b.row[5] = 4, b.row[3] = 1, b.row[11] = 20;
    sampler_mask_unused_ids(&b.vocabulary, b.row);
    struct engine_sampling s = neutral;
    s.temperature = 0;
    assert_int_equal(pick(&b, &s, prompt, 1, 0), 6);
    const struct engine_bias biases[] = {{6, -100}, {9, 4.5f}, {2, 100}, {11, 100}};
    s.biases = biases, s.bias_count = 4;
    assert_int_equal(pick(&b, &s, prompt, 1, 0), 9);
    s.bias_count = 0, s.allowed = allowed, s.allowed_count = 4;
    assert_int_equal(pick(&b, &s, prompt, 1, 0), 5);
    struct sampler_input input = {
        .sampling = &s, .tokens = prompt, .prompt_count = 1, .count = 1, .banned = banned, .banned_count = 1};
    struct error e;
    int32_t id;
    assert_ok(sampler_pick(kernel_scalar(), &b.vocabulary, &b.scratch, &input, b.row, &id, &e));
    assert_int_equal(id, 3);
    s.allowed_count = 1; /* an unused id alone */
    assert_int_equal(sampler_pick(kernel_scalar(), &b.vocabulary, &b.scratch, &input, b.row, &id, &e),
                     STATUS_INVALID_ARGUMENT);
    s.allowed_count = 0;
    assert_int_equal(sampler_pick(kernel_scalar(), &b.vocabulary, &b.scratch, &input, b.row, &id, &e),
                     STATUS_INVALID_ARGUMENT);
    sampler_scratch_deinit(&b.scratch);
}

static void the_row_is_left_as_it_was(void **state) {
    (void)state;
    static struct bench b;
    static float before[ROWS_MAX];
    bench_init(&b, 200, 200, 5, 1);
    memcpy(before, b.row, sizeof before);
    const int32_t tokens[] = {3, 4, 5};
    const struct engine_bias bias = {3, 2};
    struct engine_sampling s = neutral;
    s.top_p = 0.9, s.typical_p = 0.9, s.frequency_penalty = 1, s.biases = &bias, s.bias_count = 1;
    pick(&b, &s, tokens, 1, 2);
    assert_memory_equal(before, b.row, sizeof before);
    sampler_scratch_deinit(&b.scratch);
}

/* Every instruction set gives the same token, so a text does not depend on the machine's kernels. */
static void every_kernel_table_draws_the_same(void **state) {
    (void)state;
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    static struct bench b;
    bench_init(&b, 2500, 2500, 12, 9);
    static int32_t tokens[201];
    struct engine_sampling s = neutral;
    for (size_t i = 0; i < 200; i++) {
        s.top_p = i % 2 ? 0.9 : 1;
        s.min_p = i % 3 ? 0 : 0.02;
        int32_t expect = pick(&b, &s, tokens, 1, i);
        for (size_t t = 0; t < count; t++) {
            struct error e;
            struct sampler_input input = {
                .sampling = &s, .tokens = tokens, .prompt_count = 1, .count = 1 + i, .seed = s.seed};
            int32_t id;
            assert_ok(sampler_pick(tables[t], &b.vocabulary, &b.scratch, &input, b.row, &id, &e));
            assert_int_equal(id, expect);
        }
    }
    sampler_scratch_deinit(&b.scratch);
}

/* As in vLLM and transformers. Worked by hand: token 1 was said, its logit is 2. */
static void penalties_work_on_biased_logits(void **state) {
    (void)state;
    static struct bench b;
    bench_init(&b, 10, 10, 0, 1);
    const int32_t tokens[] = {1, 1};
    struct engine_bias bias = {1, 2};
    struct engine_sampling s = neutral;
    s.temperature = 0, s.repetition_penalty = 2, s.biases = &bias, s.bias_count = 1;
    b.row[1] = 2, b.row[5] = 2.5f;
    assert_int_equal(pick(&b, &s, tokens, 1, 1), 5); /* (2 + 2) / 2 = 2, not 2 / 2 + 2 = 3 */
    b.row[5] = 1.9f;
    assert_int_equal(pick(&b, &s, tokens, 1, 1), 1);
    for (int i = 0; i < 10; i++) b.row[i] = -9;
    b.row[1] = 2, b.row[5] = -3, bias.bias = -3, s.repetition_penalty = 4;
    assert_int_equal(pick(&b, &s, tokens, 1, 1), 5); /* (2 - 3) * 4 = -4, not 2 / 4 - 3 = -2.5 */
    s.frequency_penalty = 0.25, b.row[5] = -4.2f;    /* one of the two tokens is generated: -4 - 0.25 */
    assert_int_equal(pick(&b, &s, tokens, 1, 1), 5);
    b.row[5] = -4.3f;
    assert_int_equal(pick(&b, &s, tokens, 1, 1), 1);
    sampler_scratch_deinit(&b.scratch);
}

/* The last id of a ban is out where the others were generated just before: the prompt does not count. */
static void bans_work_on_what_was_generated(void **state) {
    (void)state;
    static struct bench b;
    bench_init(&b, 10, 10, 0, 1);
    const int32_t tokens[] = {3, 4, 3, 4, 3, 4, 9}, one[] = {6}, three[] = {3, 4, 5}, beyond[] = {12};
    const struct engine_ban bans[] = {{one, 1}, {three, 3}, {beyond, 1}};
    struct engine_sampling s = neutral;
    s.temperature = 0, s.bans = bans, s.ban_count = 3;
    b.row[6] = 9, b.row[5] = 8, b.row[2] = 7;
    assert_int_equal(pick(&b, &s, tokens, 6, 0), 5); /* all of 3, 4 is the prompt's */
    assert_int_equal(pick(&b, &s, tokens, 5, 1), 5); /* half of it */
    assert_int_equal(pick(&b, &s, tokens, 4, 2), 2);
    assert_int_equal(pick(&b, &s, tokens, 0, 6), 2);
    assert_int_equal(pick(&b, &s, tokens, 0, 7), 5);
    sampler_scratch_deinit(&b.scratch);
}

static void a_request_that_leaves_nothing_is_known(void **state) {
    (void)state;
    const int32_t unused_ids[] = {2}, allowed[] = {2, 3, 5, 11}, banned[] = {5}, ends[] = {7, 3},
                  all[] = {0, 1};
    const struct engine_ban bans[] = {{ends, 2}};
    const struct sampler_vocabulary vocabulary = {.rows = 12,
                                                  .sampleable = 10,
                                                  .unused_ids = unused_ids,
                                                  .unused_id_count = 1},
                                    small = {.rows = 4, .sampleable = 2};
    struct engine_sampling s = neutral;
    unsigned char marks[12];
    assert_true(sampler_leaves_token(&vocabulary, &s, banned, 1, marks));
    s.allowed = allowed, s.allowed_count = 4;
    assert_true(sampler_leaves_token(&vocabulary, &s, banned, 1, marks)); /* 3 */
    s.bans = bans, s.ban_count = 1;
    assert_false(sampler_leaves_token(&vocabulary, &s, banned, 1, marks));
    assert_true(sampler_leaves_token(&vocabulary, &s, banned, 0, marks)); /* 5 */
    s.allowed = NULL;
    assert_true(sampler_leaves_token(&vocabulary, &s, banned, 1, marks));
    assert_false(sampler_leaves_token(&small, &s, all, 2, marks));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_follow_the_filtered_distribution),
        cmocka_unit_test(draws_find_their_block),
        cmocka_unit_test(unused_ids_are_never_drawn),
        cmocka_unit_test(only_the_allowed_are_drawn),
        cmocka_unit_test(a_mask_is_the_same_as_a_list_of_ids),
        cmocka_unit_test(nucleus_ends_at_the_lowest_ids_of_a_tie),
        cmocka_unit_test(a_nucleus_of_nothing_keeps_the_best),
        cmocka_unit_test(greedy_takes_the_lowest_of_the_largest),
        cmocka_unit_test(seed_choice_and_position_make_the_draw),
        cmocka_unit_test(penalties_work_on_what_was_said),
        cmocka_unit_test(biases_masks_and_unused_ids),
        cmocka_unit_test(the_row_is_left_as_it_was),
        cmocka_unit_test(every_kernel_table_draws_the_same),
        cmocka_unit_test(penalties_work_on_biased_logits),
        cmocka_unit_test(bans_work_on_what_was_generated),
        cmocka_unit_test(a_request_that_leaves_nothing_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
