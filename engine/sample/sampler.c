#include "engine/sample/sampler.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/sample/generator.h"

#define TEMPERATURE_GREEDY 1e-5 /* below: its inverse would leave the range where exp is of use */
#define DRAW_BLOCK         1024 /* ids whose weights are summed at once */
#define DRAW_PIECES        32 /* in which the block that is drawn is looked at; DRAW_BLOCK is a power of it */
#define EXP_LEAST          1e-46 /* the kernels' exp is 0 below */
#define NUCLEUS_FIRST      64    /* candidates that top_p and typical_p look at first ... */
#define NUCLEUS_GROWTH     8     /* ... and how fast that grows while they do not suffice */

enum status sampler_scratch_init(struct sampler_scratch *scratch, size_t rows, struct error *e) {
    *scratch = (struct sampler_scratch){
        .row = memory_aligned(rows, sizeof *scratch->row, "sampler row", e),
        .keys = memory_aligned(rows, sizeof *scratch->keys, "sampler keys", e),
        .counts = memory_aligned(rows, sizeof *scratch->counts, "sampler counts", e),
        .candidates = memory_aligned(rows, sizeof *scratch->candidates, "sampler candidates", e),
        .nearest = memory_aligned(rows, sizeof *scratch->nearest, "sampler candidates", e),
        .weights = memory_aligned(rows, sizeof *scratch->weights, "sampler weights", e),
        .mask = memory_aligned(sampler_mask_words(rows), sizeof *scratch->mask, "sampler mask", e)};
    if (scratch->row && scratch->keys && scratch->counts && scratch->candidates && scratch->nearest &&
        scratch->weights && scratch->mask)
        return STATUS_OK;
    sampler_scratch_deinit(scratch);
    return STATUS_NO_MEMORY;
}

size_t sampler_scratch_bytes(size_t rows) {
    const struct sampler_scratch *s = NULL;
    return rows * (sizeof *s->row + sizeof *s->keys + sizeof *s->counts + sizeof *s->candidates +
                   sizeof *s->nearest + sizeof *s->weights) +
           sampler_mask_words(rows) * sizeof *s->mask;
}

void sampler_scratch_deinit(struct sampler_scratch *scratch) {
    free(scratch->row);
    free(scratch->keys);
    free(scratch->counts);
    free(scratch->candidates);
    free(scratch->nearest);
    free(scratch->weights);
    free(scratch->mask);
    *scratch = (struct sampler_scratch){0};
}

void sampler_mask_unused_ids(const struct sampler_vocabulary *vocabulary, float *row) {
    for (size_t i = 0; i < vocabulary->unused_id_count; i++) row[vocabulary->unused_ids[i]] = -INFINITY;
}

/* ---- the row: masks, penalties, biases ----------------------------------------------------------------- */

static bool has_penalties(const struct engine_sampling *s) {
    return s->repetition_penalty != 1 || s->frequency_penalty != 0 || s->presence_penalty != 0;
}

static bool row_changes(const struct sampler_input *input) {
    const struct engine_sampling *s = input->sampling;
    return s->allowed || input->mask || s->bias_count > 0 || input->banned_count > 0 || s->ban_count > 0 ||
           has_penalties(s);
}

/* The row with only the allowed ids left, in scratch. */
static void copy_row(const struct sampler_vocabulary *vocabulary, const struct engine_sampling *s,
                     const float *row, float *out) {
    size_t count = vocabulary->sampleable;
    if (!s->allowed) {
        memcpy(out, row, count * sizeof *out);
        return;
    }
    for (size_t i = 0; i < count; i++) out[i] = -INFINITY;
    for (size_t i = 0; i < s->allowed_count; i++)
        if (s->allowed[i] >= 0 && (size_t)s->allowed[i] < count) out[s->allowed[i]] = row[s->allowed[i]];
}

/* One word's ids; out may be the row. A choice between two values, which compilers know how to make for several ids at once. */
static void mask_word(uint32_t word, const float *row, float *out) {
    for (unsigned bit = 0; bit < 32; bit++) out[bit] = word & (uint32_t)1 << bit ? row[bit] : -INFINITY;
}

/* The row with only the ids of the mask left; out may be the row. Of words without any the row is not read. */
static void copy_masked(const uint32_t *mask, size_t count, const float *row, float *out) {
    size_t words = count / 32;
    for (size_t i = 0; i < words; i++) {
        if (mask[i] == 0)
            for (size_t bit = 0; bit < 32; bit++) out[32 * i + bit] = -INFINITY;
        else
            mask_word(mask[i], row + 32 * i, out + 32 * i);
    }
    for (size_t i = 32 * words; i < count; i++) out[i] = mask[i / 32] >> i % 32 & 1 ? row[i] : -INFINITY;
}

static void penalise(const struct engine_sampling *s, float *logit, uint32_t generated) {
    double value = *logit;
    if (s->repetition_penalty != 1)
        value = value > 0 ? value / s->repetition_penalty : value * s->repetition_penalty;
    value -= s->frequency_penalty * generated;
    if (generated > 0) value -= s->presence_penalty;
    *logit = (float)value;
}

/* Each distinct token once: generated ones are counted (plus 1, so that 0 means "done or not seen"), then met
 * again. */
static void apply_penalties(const struct sampler_input *input, size_t sampleable, uint32_t *counts,
                            float *row) {
    const struct engine_sampling *s = input->sampling;
    size_t first = s->repetition_penalty != 1 ? 0 : input->prompt_count;
    for (size_t i = first; i < input->count; i++) {
        uint32_t *count = &counts[input->tokens[i]];
        if (*count == 0) *count = 1;
        *count += i >= input->prompt_count;
    }
    for (size_t i = first; i < input->count; i++) {
        int32_t id = input->tokens[i];
        if (counts[id] == 0) continue;
        if ((size_t)id < sampleable) penalise(s, &row[id], counts[id] - 1);
        counts[id] = 0;
    }
}

/* Whether the generated tokens end with all but the last of the ban's. */
static bool has_begun(const struct engine_ban *ban, const struct sampler_input *input) {
    size_t generated = input->count - input->prompt_count, before = ban->count - 1;
    if (before > generated) return false;
    return before == 0 ||
           memcmp(ban->ids, input->tokens + input->count - before, before * sizeof *ban->ids) == 0;
}

static void rule_out(float *row, size_t count, int32_t id) {
    if (id >= 0 && (size_t)id < count) row[id] = -INFINITY;
}

static void apply_bans(const struct sampler_input *input, size_t count, float *row) {
    const struct engine_sampling *s = input->sampling;
    for (size_t i = 0; i < input->banned_count; i++) rule_out(row, count, input->banned[i]);
    for (size_t i = 0; i < s->ban_count; i++)
        if (has_begun(&s->bans[i], input)) rule_out(row, count, s->bans[i].ids[s->bans[i].count - 1]);
}

static const float *prepare_row(const struct sampler_vocabulary *vocabulary, struct sampler_scratch *scratch,
                                const struct sampler_input *input, const float *row) {
    if (!row_changes(input)) return row;
    const struct engine_sampling *s = input->sampling;
    size_t count = vocabulary->sampleable;
    float *out = scratch->row;
    if (!input->mask || s->allowed) copy_row(vocabulary, s, row, out);
    if (input->mask) copy_masked(input->mask, count, s->allowed ? out : row, out);
    for (size_t i = 0; i < s->bias_count; i++)
        if (s->biases[i].token >= 0 && (size_t)s->biases[i].token < count)
            out[s->biases[i].token] += s->biases[i].bias;
    apply_bans(input, count, out);
    if (has_penalties(s)) apply_penalties(input, count, scratch->counts, out);
    return out;
}

static void mark(unsigned char *marks, size_t count, int32_t id) {
    if (id >= 0 && (size_t)id < count) marks[id] = 1;
}

bool sampler_leaves_token(const struct sampler_vocabulary *vocabulary, const struct engine_sampling *sampling,
                          const int32_t *banned, size_t banned_count, unsigned char *marks) {
    size_t count = vocabulary->sampleable;
    memset(marks, 0, count);
    for (size_t i = 0; i < vocabulary->unused_id_count; i++) mark(marks, count, vocabulary->unused_ids[i]);
    for (size_t i = 0; i < banned_count; i++) mark(marks, count, banned[i]);
    for (size_t i = 0; i < sampling->ban_count; i++)
        mark(marks, count, sampling->bans[i].ids[sampling->bans[i].count - 1]);
    if (!sampling->allowed) return memchr(marks, 0, count) != NULL;
    for (size_t i = 0; i < sampling->allowed_count; i++) {
        int32_t id = sampling->allowed[i];
        if (id >= 0 && (size_t)id < count && !marks[id]) return true;
    }
    return false;
}

/* ---- the distribution: what may be drawn, and with what weight ----------------------------------------- */

/* weight(id) = exp((logit - max) / temperature): 1 for the most probable. */
struct distribution {
    const struct kernel_table *kernels;
    const float *row;
    const uint32_t *mask; /* NULL: none */
    size_t count, best;   /* best: the id that is drawn at temperature 0 */
    float max, factor;
    struct sampler_scratch *scratch;
    size_t kept; /* candidates with weights in scratch */
};

static double weight_of(const struct distribution *d, float logit) {
    return (double)d->kernels->exp_sum(&logit, 1, d->max, d->factor);
}

static void weigh(struct distribution *d) {
    for (size_t i = 0; i < d->kept; i++)
        d->scratch->weights[i] = weight_of(d, d->scratch->candidates[i].value);
}

static double total_weight(const struct distribution *d) {
    double total = 0;
    for (size_t i = 0; i < d->kept; i++) total += d->scratch->weights[i];
    return total;
}

/* How many of the first weights reach `mass` together; 0 when all of them do not. */
static size_t reach(const double *weights, size_t count, double mass) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        if ((sum += weights[i]) >= mass) return i + 1;
    return 0;
}

static void keep_top_k(struct distribution *d, size_t k) {
    d->kept = selection_best(d->row, d->count, k, d->scratch->candidates);
    weigh(d);
}

/* top_p of the whole row: the best few, then more of them until they suffice. */
static void keep_nucleus(struct distribution *d, double p) {
    double mass = p * (double)d->kernels->exp_sum(d->row, d->count, d->max, d->factor);
    for (size_t k = NUCLEUS_FIRST;; k *= NUCLEUS_GROWTH) {
        keep_top_k(d, k);
        size_t enough = reach(d->scratch->weights, d->kept, mass);
        if (enough > 0) d->kept = enough;
        if (enough > 0 || k >= d->count) return;
    }
}

/* Every id of at least this weight (and more than 0), in the order of ids. */
static void keep_min_weight(struct distribution *d, double least) {
    /* A logit below this has less weight for certain: most are passed over without an exp. */
    float cutoff = d->max + (float)(log(least > EXP_LEAST ? least : EXP_LEAST) - 0.01) / d->factor;
    d->kept = 0;
    for (size_t i = 0; i < d->count; i++) {
        if (d->row[i] < cutoff) continue;
        double weight = weight_of(d, d->row[i]);
        if (weight <= 0 || weight < least) continue;
        d->scratch->candidates[d->kept] = (struct candidate){d->row[i], (int32_t)i};
        d->scratch->weights[d->kept++] = weight;
    }
}

static void cut_nucleus(struct distribution *d, double p) {
    size_t enough = reach(d->scratch->weights, d->kept, p * total_weight(d));
    if (enough > 0) d->kept = enough;
}

static void cut_min_weight(struct distribution *d, double least) {
    while (d->kept > 1 && d->scratch->weights[d->kept - 1] < least) d->kept--;
}

/* Entropy in nats of the candidates. */
static double entropy(const struct distribution *d, double total) {
    double h = 0;
    for (size_t i = 0; i < d->kept; i++) {
        double p = d->scratch->weights[i] / total;
        if (p > 0) h -= p * log(p);
    }
    return h;
}

/* Of the `kept` candidates with a key (higher is better), how many of the best reach `mass`; they are in
 * `nearest`. */
static size_t reach_by_key(const struct sampler_scratch *s, size_t kept, double mass) {
    for (size_t k = NUCLEUS_FIRST;; k *= NUCLEUS_GROWTH) {
        size_t found = selection_best(s->keys, kept, k, s->nearest);
        double sum = 0;
        for (size_t i = 0; i < found; i++)
            if ((sum += s->weights[s->nearest[i].id]) >= mass) return i + 1;
        if (k >= kept) return found;
    }
}

/* Locally typical sampling (Meister et al. 2023): those whose surprise is nearest to the entropy, until they
 * have the mass. */
static void keep_typical(struct distribution *d, double p) {
    struct sampler_scratch *s = d->scratch;
    double total = total_weight(d), h = entropy(d, total);
    for (size_t i = 0; i < d->kept; i++) {
        double share = s->weights[i] / total;
        s->keys[i] = share > 0 ? -(float)fabs(-log(share) - h) : -INFINITY;
    }
    size_t chosen = reach_by_key(s, d->kept, p * total);
    for (size_t i = 0; i < chosen; i++) s->keys[s->nearest[i].id] = 1; /* keys are not positive: this marks */
    size_t kept = 0;
    for (size_t i = 0; i < d->kept; i++) {
        if (s->keys[i] != 1) continue;
        s->candidates[kept] = s->candidates[i];
        s->weights[kept++] = s->weights[i];
    }
    d->kept = kept;
}

/* Applies the filters in their order (sampler.h). top_k and top_p leave the candidates best first, which is
 * what lets the next filter cut the tail. */
static void filter(struct distribution *d, const struct engine_sampling *s) {
    bool top_k = s->top_k > 0 && s->top_k < d->count;
    if (top_k) {
        keep_top_k(d, s->top_k);
        if (s->top_p < 1) cut_nucleus(d, s->top_p);
    } else if (s->top_p < 1) {
        keep_nucleus(d, s->top_p);
    } else {
        keep_min_weight(d, s->min_p);
    }
    cut_min_weight(d, s->min_p);
    if (s->typical_p < 1) keep_typical(d, s->typical_p);
}

/* top_p and min_p alone can do without (draw_row). */
static bool needs_candidates(const struct engine_sampling *s, size_t count) {
    return (s->top_k > 0 && s->top_k < count) || s->typical_p < 1;
}

/* ---- the draw ------------------------------------------------------------------------------------------ */

static double draw_uniform(const struct sampler_input *input, uint32_t attempt) {
    return generator_uniform(input->seed, input->choice, input->count - input->prompt_count, attempt);
}

/* The first candidate at which the running sum passes u * total; rounding must not lead past the last of
 * weight. */
static int32_t draw_candidate(const struct distribution *d, double u) {
    double target = u * total_weight(d), sum = 0;
    size_t last = 0;
    for (size_t i = 0; i < d->kept; i++) {
        if (d->scratch->weights[i] <= 0) continue;
        last = i;
        sum += d->scratch->weights[i];
        if (sum > target) break;
    }
    return d->scratch->candidates[last].id;
}

/* ---- the draw from the whole row, under top_p and min_p ------------------------------------------------ */

/* Sorting a row to find the nucleus would cost a hundred times what drawing from it does: rows may be nearly
 * flat, and then most of the vocabulary is in the nucleus. So a token is drawn from the row as it is, and
 * rejected when it turns out to stand behind the nucleus: those that go before it have the mass already. What
 * is drawn in the end is distributed as the row without what is rejected, which is the nucleus. After a
 * rejection only what goes before the rejected one is left, so that the number of attempts is about 1 + ln(1
 * / m) for the mass m that is kept: top_p, what min_p leaves, or, where both would keep less, the probability
 * of the best alone. */

/* Everything goes before this: before an id goes what is more probable, and as probable with a lower id. */
static const struct candidate row_end = {.value = -INFINITY, .id = 0};

/* Consecutive ids. */
struct segment {
    size_t first, count;
};

/* The i'th of the pieces of this length that a segment is cut into; the last is shorter. */
static struct segment piece(struct segment whole, size_t i, size_t length) {
    size_t from = i * length, rest = whole.count - from;
    return (struct segment){whole.first + from, rest < length ? rest : length};
}

static size_t piece_count(struct segment whole, size_t length) {
    return (whole.count + length - 1) / length;
}

/* The logits of a segment (a block at most), with those that do not go before `end` at -infinity. */
static const float *cut(const struct distribution *d, struct segment at, struct candidate end) {
    const float *row = d->row + at.first;
    float *out = d->scratch->keys;
    if (end.value == -INFINITY) return row;
    size_t ties = (size_t)end.id > at.first ? (size_t)end.id - at.first : 0, i = 0;
    if (ties > at.count) ties = at.count;
    for (; i < ties; i++) out[i] = row[i] >= end.value ? row[i] : -INFINITY;
    for (; i < at.count; i++) out[i] = row[i] > end.value ? row[i] : -INFINITY;
    return out;
}

/* Weight of what goes before `end` in a segment. */
static double weight_before(const struct distribution *d, struct segment at, struct candidate end) {
    return (double)d->kernels->exp_sum(cut(d, at, end), at.count, d->max, d->factor);
}

static struct segment whole_row(const struct distribution *d) {
    return (struct segment){0, d->count};
}

/* Whether the mask leaves none of a block: it has no weight, whatever goes before `end`. */
static bool is_masked(const struct distribution *d, struct segment block) {
    uint32_t any = 0;
    if (!d->mask) return false;
    for (size_t i = block.first / 32; i < (block.first + block.count + 31) / 32; i++) any |= d->mask[i];
    return any == 0;
}

/* Weights of all blocks into scratch; returns their sum. */
static double weigh_blocks(const struct distribution *d, struct candidate end) {
    double total = 0;
    for (size_t i = 0; i < piece_count(whole_row(d), DRAW_BLOCK); i++) {
        struct segment block = piece(whole_row(d), i, DRAW_BLOCK);
        total += d->scratch->weights[i] = is_masked(d, block) ? 0 : weight_before(d, block, end);
    }
    return total;
}

/* The first piece at which the running sum of weights passes the target; *sum is what lies before it.
 * Rounding must not lead past the last piece of weight. */
static struct segment find_piece(const struct distribution *d, struct segment whole, size_t length,
                                 struct candidate end, double target, double *sum) {
    struct segment found = {0};
    double before = *sum;
    for (size_t i = 0; i < piece_count(whole, length); i++) {
        struct segment at = piece(whole, i, length);
        double weight = length == DRAW_BLOCK ? d->scratch->weights[i] : weight_before(d, at, end);
        if (weight <= 0) continue;
        found = at;
        *sum = before;
        before += weight;
        if (before > target) break;
    }
    return found;
}

/* Of what goes before `end`, in the order of ids, the first id at which the running sum passes the target.
 * Blocks have been weighed. */
static size_t draw_before(const struct distribution *d, struct candidate end, double target) {
    struct segment at = whole_row(d);
    double sum = 0;
    for (size_t length = DRAW_BLOCK; length > 0; length /= DRAW_PIECES)
        at = find_piece(d, at, length, end, target, &sum);
    return at.first;
}

/* Whether less than `mass` goes before the candidate, which goes before `end`: the blocks have been weighed
 * up to `end`, with this total. Mostly it is certain long before the last block. */
static bool is_in_nucleus(const struct distribution *d, struct candidate candidate, double mass,
                          double total) {
    double before = 0, rest = total;
    for (size_t i = 0; i < piece_count(whole_row(d), DRAW_BLOCK); i++) {
        before += weight_before(d, piece(whole_row(d), i, DRAW_BLOCK), candidate);
        rest -= d->scratch->weights[i];
        if (before >= mass) return false;
        if (before + rest < mass) return true;
    }
    return true;
}

static int32_t draw_row(const struct distribution *d, const struct sampler_input *input) {
    const struct engine_sampling *s = input->sampling;
    struct candidate end = row_end;
    double total = weigh_blocks(d, end), mass = s->top_p < 1 ? s->top_p * total : INFINITY;
    for (uint32_t attempt = 0;; attempt++) {
        size_t id = draw_before(d, end, draw_uniform(input, attempt) * total);
        struct candidate drawn = {d->row[id], (int32_t)id};
        if (id == d->best) return drawn.id; /* each filter keeps at least one */
        if (weight_of(d, drawn.value) >= s->min_p && is_in_nucleus(d, drawn, mass, total)) return drawn.id;
        total = weigh_blocks(d, end = drawn);
    }
}

enum status sampler_refuse(struct error *e) {
    return error_set(e, STATUS_INVALID_ARGUMENT, "sampling", "no token is left that may be sampled");
}

enum status sampler_pick(const struct kernel_table *kernels, const struct sampler_vocabulary *vocabulary,
                         struct sampler_scratch *scratch, const struct sampler_input *input, const float *row,
                         int32_t *id, struct error *e) {
    const struct engine_sampling *s = input->sampling;
    size_t count = vocabulary->sampleable;
    assert(count > 0 && count <= vocabulary->rows);
    const float *prepared = prepare_row(vocabulary, scratch, input, row);
    size_t best = kernels->argmax(prepared, count);
    if (!(prepared[best] > -INFINITY && prepared[best] < INFINITY)) return sampler_refuse(e);
    *id = (int32_t)best;
    if (s->temperature < TEMPERATURE_GREEDY) return STATUS_OK;
    struct distribution d = {.kernels = kernels,
                             .row = prepared,
                             .mask = input->mask,
                             .count = count,
                             .best = best,
                             .max = prepared[best],
                             .factor = (float)(1 / s->temperature),
                             .scratch = scratch};
    if (needs_candidates(s, count)) {
        filter(&d, s);
        *id = draw_candidate(&d, draw_uniform(input, 0));
    } else {
        *id = draw_row(&d, input);
    }
    return STATUS_OK;
}
