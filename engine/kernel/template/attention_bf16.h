/* Attention over a cache of bf16 (attention.h): sums in the order of bf16 GEMMs, and one softmax for all keys of a chunk. Its
 * spans are gone over twice, for scores and for values. Even and odd halves of pairs are summed one after the other: both
 * at once would take half as many queries. */
#pragma once

#include "engine/kernel/template/attention_scores.h"
#include "engine/kernel/template/attention_values.h"
#include "engine/kernel/template/convert.h"

/* A query as scores take it: [kv_stored_dim()], with zeros up to whole vectors. */
static void attention_round_query(const float *q, size_t head_dim, float *to) {
    for (size_t i = 0; i < head_dim; i += KERNEL_LANES) {
        const size_t lanes = head_dim - i < KERNEL_LANES ? head_dim - i : KERNEL_LANES;
        vector_store(to + i, convert_bf16(vector_load_first(q + i, lanes)));
    }
}

/* ---- scores --------------------------------------------------------------------------------------------- */

/* What dot products read: queries, and keys of some blocks. */
struct attention_operands {
    enum kv_type type;
    size_t queries, blocks, pairs;
    bool prefetches;
    const float *q[ATTENTION_SCORE_ACCUMULATORS];
    const unsigned char *keys[ATTENTION_SPAN], *ahead[ATTENTION_SPAN];
};

/* Dot products of one half of pairs [first, end). */
VECTOR_INLINE void attention_half_dots(const struct attention_operands *o, size_t first, size_t end,
                                       enum parity parity, struct vector *sum) {
    KERNEL_EACH (c, o->queries * o->blocks) sum[c] = vector_splat(0.0f);
    for (size_t pair = first; pair < end; pair++) {
        KERNEL_EACH (b, o->blocks) {
            if (o->prefetches && parity == EVEN)
                attention_prefetch_line(o->type, o->ahead[b] + pair * KERNEL_ALIGN);
            const struct vector key =
                attention_load_half(o->type, o->keys[b], o->pairs, pair * KERNEL_LANES, parity, KERNEL_LANES);
            KERNEL_EACH (i, o->queries) {
                const size_t c = i * o->blocks + b;
                sum[c] = vector_fma(vector_splat(o->q[i][2 * pair + parity]), key, sum[c]);
            }
        }
    }
}

/* As attention_dots. */
VECTOR_INLINE void attention_pair_dots(struct attention_tile *t, enum kv_type type, size_t query,
                                       size_t queries, size_t block, size_t blocks, bool prefetches) {
    const size_t pairs = kv_stored_dim(KV_TYPE_BF16, t->a->head_dim) / 2;
    struct attention_operands o = {.type = type,
                                   .queries = queries,
                                   .blocks = blocks,
                                   .pairs = attention_block_pairs(t->a),
                                   .prefetches = prefetches};
    struct vector even[ATTENTION_SCORE_ACCUMULATORS], odd[ATTENTION_SCORE_ACCUMULATORS];
    float *dots = t->query[query].weights + (t->first_block % ATTENTION_CHUNK_BLOCKS + block) * KERNEL_LANES;
    KERNEL_EACH (i, queries) o.q[i] = t->query[query + i].q;
    KERNEL_EACH (b, blocks) {
        o.keys[b] = t->keys[block + b];
        o.ahead[b] = block + b < t->ahead_count ? t->ahead_keys[block + b] : o.keys[b];
    }
    for (size_t first = 0; first < pairs; first += KERNEL_BF16_BLOCK / 2) {
        const size_t end = pairs - first < KERNEL_BF16_BLOCK / 2 ? pairs : first + KERNEL_BF16_BLOCK / 2;
        attention_half_dots(&o, first, end, EVEN, even);
        attention_half_dots(&o, first, end, ODD, odd);
        KERNEL_EACH (i, queries) {
            KERNEL_EACH (b, blocks) {
                float *to = dots + i * KERNEL_ATTENTION_CHUNK + b * KERNEL_LANES;
                const struct vector before = first == 0 ? vector_splat(0.0f) : vector_load(to);
                const size_t c = i * blocks + b;
                vector_store(to, vector_add(before, vector_add(even[c], odd[c])));
            }
        }
    }
}

VECTOR_INLINE void attention_pair_dots_of(struct attention_tile *t, size_t query, size_t queries) {
    if (t->type == KV_TYPE_F32)
        attention_dots_blocks(t, attention_pair_dots, KV_TYPE_F32, query, queries, false);
    else if (attention_prefetches(t, query))
        attention_dots_blocks(t, attention_pair_dots, KV_TYPE_BF16, query, queries, true);
    else
        attention_dots_blocks(t, attention_pair_dots, KV_TYPE_BF16, query, queries, false);
}

#if ATTENTION_SCORE_ACCUMULATORS >= 16
static __attribute__((noinline)) void attention_pair_dots_of_8(struct attention_tile *t, size_t query) {
    attention_pair_dots_of(t, query, 8);
}
#endif

static __attribute__((noinline)) void attention_pair_dots_of_4(struct attention_tile *t, size_t query) {
    attention_pair_dots_of(t, query, 4);
}

static __attribute__((noinline)) void attention_pair_dots_of_2(struct attention_tile *t, size_t query) {
    attention_pair_dots_of(t, query, 2);
}

static __attribute__((noinline)) void attention_pair_dots_of_1(struct attention_tile *t, size_t query) {
    attention_pair_dots_of(t, query, 1);
}

static void attention_all_pair_dots(struct attention_tile *t) {
    size_t query = 0;
#if ATTENTION_SCORE_ACCUMULATORS >= 16
    for (; query + 8 <= t->count; query += 8) attention_pair_dots_of_8(t, query);
#endif
    for (; query + 4 <= t->count; query += 4) attention_pair_dots_of_4(t, query);
    for (; query + 2 <= t->count; query += 2) attention_pair_dots_of_2(t, query);
    for (; query < t->count; query++) attention_pair_dots_of_1(t, query);
}

/* ---- softmax -------------------------------------------------------------------------------------------- */

/* From dot products to scores, of blocks [first, end) of a chunk, of which the query sees some keys each; returns the largest.
 * Most blocks are seen as a whole, and their view need not be looked at. */
static struct vector attention_score_chunk(const struct attention *a, const struct attention_query *query,
                                           size_t first, size_t end, float *weights) {
    const bool plain = !(a->score_cap > 0) && !query->alibi;
    const size_t whole = plain ? (query->oldest + KERNEL_LANES - 1) / KERNEL_LANES : end,
                 behind = (query->position + 1) / KERNEL_LANES;
    struct vector largest = vector_splat(-INFINITY);
    for (size_t block = first; block < end; block++, weights += KERNEL_LANES) {
        const struct vector dots = vector_load(weights);
        struct vector scores;
        if (block >= whole && block < behind) {
            scores = attention_scores(a, query, block, (struct attention_view){0, KERNEL_LANES}, dots, true);
        } else {
            scores = attention_scores(a, query, block, attention_view_of(query, block), dots, false);
        }
        vector_store(weights, scores);
        largest = vector_max(scores, largest);
    }
    return largest;
}

/* From those to weights. */
static void attention_weigh_chunk(const struct attention *a, struct attention_query *query, size_t first,
                                  size_t end) {
    float *weights = query->weights + first % ATTENTION_CHUNK_BLOCKS * KERNEL_LANES,
          *behind = weights + (end - first) * KERNEL_LANES;
    query->chunk.largest = vector_largest(attention_score_chunk(a, query, first, end, weights));
    const struct vector largest = vector_splat(query->chunk.largest);
    struct vector sums = query->chunk.sums;
    for (; weights < behind; weights += KERNEL_LANES) {
        const struct vector weight = vector_exp_bf16(vector_subtract(vector_load(weights), largest));
        sums = vector_add(sums, weight);
        vector_store(weights, weight);
    }
    query->chunk.sums = sums;
}

/* Of the blocks that each query sees of blocks [first, end), which are of one chunk. */
static __attribute__((noinline)) void attention_softmax_chunk(struct attention_tile *t, size_t first,
                                                              size_t end) {
    for (size_t i = 0; i < t->count; i++) {
        struct attention_query *query = &t->query[i];
        const size_t oldest = query->oldest / KERNEL_LANES, behind = query->position / KERNEL_LANES + 1;
        const size_t from = oldest > first ? oldest : first, to = behind < end ? behind : end;
        if (from < to) attention_weigh_chunk(t->a, query, from, to);
    }
}

/* ---- values --------------------------------------------------------------------------------------------- */

static __attribute__((noinline)) void attention_values_bf16(struct attention_tile *t) {
    attention_values_of(t, KV_TYPE_BF16, true);
}

static __attribute__((noinline)) void attention_values_widened_bf16(struct attention_tile *t) {
    attention_values_of(t, KV_TYPE_F32, true);
}

static void attention_all_pair_values(struct attention_tile *t) {
    if (t->type == KV_TYPE_BF16)
        attention_values_bf16(t);
    else
        attention_values_widened_bf16(t);
}
