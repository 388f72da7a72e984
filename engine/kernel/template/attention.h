/* Attention over the paged cache, once for every instruction set (see vector_scalar.h; the including file
 * also defines the sizes of its register tiles).
 *
 * A query is one head of one row; queries are numbered row * group + head. A tile of queries goes together over
 * the keys that all their rows share, then each sequence's queries over what it has of its own. They go by spans
 * of blocks, and each span is done in three steps: scores of all, the running softmax of each query block by
 * block, weighted values of all. What is computed for a query, and in which order, does not depend on its tile:
 * blocks and chunks start at absolute positions, a block where a query sees no key is skipped for it, and a key
 * that it does not see is not added. The running state stands on the stack and in the rows of `out`.
 *
 * A cache of bf16 has one softmax for a chunk: the tile goes over the chunk's spans for scores, then again for values. */
#pragma once

#include <assert.h>

#include "engine/kernel/template/attention_announce.h"
#include "engine/kernel/template/attention_bf16.h"
#include "engine/kernel/template/attention_scores.h"
#include "engine/kernel/template/attention_values.h"

/* Blocks [first, end) of a sequence. */
struct attention_range {
    const uint32_t *pages;
    size_t first, end;
    const struct attention *of; /* whose cache they lie in: that of a hint is another head's, or layer's */
    enum attention_sweep sweep;
};

/* values: where those of its first chunk go. */
static void attention_set_query(struct attention_query *query, const struct attention *a, size_t index,
                                float *values) {
    const struct attention_row *row = &a->rows[index / a->group];
    size_t head = index % a->group, column = a->column + head * a->head_dim;
    query->q = row->q + column;
    query->out = row->out + column;
    query->pages = row->pages;
    query->position = row->position;
    query->alibi = a->alibi ? a->alibi + head * a->alibi_stride : NULL;
    if (a->alibi && a->alibi_last) query->alibi += a->alibi_last - query->position;
    query->oldest = attention_oldest(a, query->position);
    query->chunk = attention_empty_state(values ? values : query->out, a->head_dim);
    query->has_merged = false;
}

/* ---- chunks --------------------------------------------------------------------------------------------- */

/* The chunk joins those before it. */
static void attention_close_chunk(struct attention_query *query, size_t head_dim) {
    if (query->has_merged)
        attention_add_state(&query->merged, &query->chunk, head_dim);
    else
        query->merged = query->chunk;
    query->has_merged = true;
}

/* Those that have seen keys of the chunk that ends at a position, and will see more. */
static void attention_end_chunk(struct attention_tile *t, size_t end) {
    for (size_t i = 0; i < t->count; i++) {
        struct attention_query *query = &t->query[i];
        if (query->oldest >= end || query->position < end) continue;
        attention_close_chunk(query, t->a->head_dim);
        query->chunk = attention_empty_state(query->spare, t->a->head_dim);
    }
}

/* ---- spans ---------------------------------------------------------------------------------------------- */

static bool attention_widens(const struct attention_tile *t) {
    return t->wide && t->count >= ATTENTION_WIDENS && t->a->cache.type != KV_TYPE_F32;
}

VECTOR_INLINE void attention_widen_block(enum kv_type type, const unsigned char *from, size_t elements,
                                         float *to) {
    for (size_t i = 0; i < elements; i += KERNEL_LANES)
        vector_store(to + i, attention_load(type, from, i, KERNEL_LANES));
}

VECTOR_INLINE void attention_widen_pairs(const unsigned char *from, size_t pairs, float *to) {
    for (size_t i = 0; i < pairs; i += KERNEL_LANES) {
        vector_store(to + i, attention_load_half(KV_TYPE_BF16, from, pairs, i, EVEN, KERNEL_LANES));
        vector_store(to + pairs + i, attention_load_half(KV_TYPE_BF16, from, pairs, i, ODD, KERNEL_LANES));
    }
}

/* Keys or values of the span become floats, which all queries then read. What is ahead is prefetched meanwhile. */
static void attention_widen(struct attention_tile *t, const unsigned char **blocks,
                            const unsigned char **ahead) {
    const enum kv_type type = t->a->cache.type;
    const size_t elements = KERNEL_LANES * kv_stored_dim(type, t->a->head_dim);
    for (size_t b = 0; b < t->blocks; b++) {
        float *to = t->wide + b * elements;
        if (b < t->ahead_count) attention_prefetch_block(type, ahead[b], attention_block_bytes(t->a));
        if (type == KV_TYPE_BF16)
            attention_widen_pairs(blocks[b], attention_block_pairs(t->a), to);
        else if (type == KV_TYPE_F16)
            attention_widen_block(KV_TYPE_F16, blocks[b], elements, to);
        else
            attention_widen_block(KV_TYPE_INT8, blocks[b], elements, to);
        blocks[b] = (const unsigned char *)to;
    }
    t->type = KV_TYPE_F32;
}

static void attention_add_all_values(struct attention_tile *t) {
    switch (t->type) {
    case KV_TYPE_F16:
        attention_values_f16(t);
        break;
    case KV_TYPE_INT8:
        attention_values_int8(t);
        break;
    case KV_TYPE_F32:
    case KV_TYPE_BF16: /* attention_all_pair_values */
    case KV_TYPE_COUNT:
        attention_values_f32(t);
        break;
    }
}

static void attention_span(struct attention_tile *t) {
    const bool widens = attention_widens(t), keys = t->sweep != ATTENTION_VALUES,
               values = t->sweep != ATTENTION_SCORES;
    if (widens && keys) attention_widen(t, t->keys, t->ahead_keys);
    if (t->sweep == ATTENTION_ALL) {
        attention_all_dots(t);
        attention_softmax(t);
    } else if (keys) {
        attention_all_pair_dots(t);
    }
    if (widens && values) attention_widen(t, t->values, t->ahead_values);
    if (t->sweep == ATTENTION_ALL)
        attention_add_all_values(t);
    else if (values)
        attention_all_pair_values(t);
}

/* Blocks of the span that starts with `block`, in a range that ends before `end`: a span is of one chunk. */
static size_t attention_span_blocks(size_t block, size_t end) {
    size_t blocks = ATTENTION_CHUNK_BLOCKS - block % ATTENTION_CHUNK_BLOCKS;
    if (blocks > ATTENTION_SPAN) blocks = ATTENTION_SPAN;
    return end - block < blocks ? end - block : blocks;
}

/* As many blocks as the span has, ATTENTION_AHEAD of them ahead; behind the end of the range, the first of what this thread
 * does next. So memory is as busy with the short span at the end of a range as with the others. */
static void attention_look_ahead(struct attention_tile *t, const struct attention_range *range,
                                 const struct attention_range *next) {
    size_t block = t->first_block + ATTENTION_AHEAD;
    const size_t end = block + t->blocks;
    if (t->first_block == range->first && block > range->end) block = range->end;
    for (; block < end; block++) {
        const struct attention_range *in = block < range->end ? range : next;
        const size_t index = block < range->end ? block : next->first + (block - range->end);
        if (index < in->end) attention_add_ahead(t, in->of, in->pages, index, in->sweep);
    }
    for (size_t i = t->blocks; i < t->ahead_count; i++) { /* where the range is short */
        attention_prefetch_block(t->a->cache.type, t->ahead_keys[i], attention_block_bytes(t->a));
        if (t->sweep == ATTENTION_ALL)
            attention_prefetch_block(t->a->cache.type, t->ahead_values[i], attention_block_bytes(t->a));
    }
}

/* All spans of a range. cold: they are not in a cache yet. */
static void attention_walk(struct attention_tile *t, const struct attention_range *range,
                           const struct attention_range *next, bool cold) {
    t->sweep = range->sweep;
    for (size_t block = range->first; block < range->end; block += t->blocks) {
        attention_set_span(t, range->pages, block, attention_span_blocks(block, range->end));
        size_t end = block + t->blocks;
        t->ahead_count = 0;
        if (cold) attention_look_ahead(t, range, next);
        attention_span(t);
        if (end % ATTENTION_CHUNK_BLOCKS == 0 && !t->one_chunk && t->sweep == ATTENTION_ALL)
            attention_end_chunk(t, end * KERNEL_LANES);
    }
}

/* ---- tiles ---------------------------------------------------------------------------------------------- */

/* Of blocks [first, end), those that some of the queries from `query` on sees; their pages are those of the first. */
static struct attention_range attention_seen(const struct attention_tile *t, size_t query, size_t count,
                                             const struct attention_range *within) {
    size_t oldest = t->query[query].oldest, newest = t->query[query].position;
    for (size_t i = query + 1; i < query + count; i++) {
        if (t->query[i].oldest < oldest) oldest = t->query[i].oldest;
        if (t->query[i].position > newest) newest = t->query[i].position;
    }
    struct attention_range seen = {t->query[query].pages, oldest / KERNEL_LANES, newest / KERNEL_LANES + 1,
                                   t->a, within->sweep};
    if (seen.first < within->first) seen.first = within->first;
    if (seen.end > within->end) seen.end = within->end;
    return seen;
}

/* Queries from `query` on that are of the same sequence. */
static size_t attention_of_sequence(const struct attention_tile *t, size_t query) {
    size_t count = 1;
    while (query + count < t->count && t->query[query + count].pages == t->query[query].pages) count++;
    return count;
}

static enum attention_sweep attention_first_sweep(const struct attention *a) {
    return a->cache.type == KV_TYPE_BF16 ? ATTENTION_SCORES : ATTENTION_ALL;
}

/* What a thread reads after a call. */
static struct attention_range attention_hinted(const struct attention *next) {
    if (!next) return (struct attention_range){0};
    size_t position = next->rows->position;
    return (struct attention_range){next->rows->pages, attention_oldest(next, position) / KERNEL_LANES,
                                    position / KERNEL_LANES + 1, next, attention_first_sweep(next)};
}

/* What each sequence of the tile has of its own, after what they share. */
static __attribute__((noinline)) void attention_walk_own(struct attention_tile *t,
                                                         const struct attention_range *own,
                                                         const struct attention_range *next) {
    struct attention_tile part;
    part.a = t->a;
    part.one_chunk = t->one_chunk;
    part.wide = t->wide;
    for (size_t i = 0; i < t->count; i += part.count) {
        part.count = attention_of_sequence(t, i);
        memcpy(part.query, t->query + i, part.count * sizeof *part.query);
        const struct attention_range range = attention_seen(t, i, part.count, own);
        struct attention_range after = *next;
        if (i + part.count < t->count)
            after = attention_seen(t, i + part.count, attention_of_sequence(t, i + part.count), own);
        attention_walk(&part, &range, &after, (t->index + i) % t->a->group == 0);
        memcpy(t->query + i, part.query, part.count * sizeof *part.query);
    }
}

/* All that the tile sees of blocks [within->first, within->end), in one sweep; `next` is read after it. */
static void attention_sweep_all(struct attention_tile *t, const struct attention_range *within,
                                const struct attention_range *next, bool cold) {
    const size_t count = attention_of_sequence(t, 0), shared = t->a->shared / KERNEL_LANES;
    struct attention_range common = *within, own = *within;
    if (count < t->count) {
        if (shared < common.end) common.end = shared;
        if (shared > own.first) own.first = shared;
    }
    const struct attention_range range = attention_seen(t, 0, t->count, &common);
    const struct attention_range after = count < t->count ? attention_seen(t, 0, count, &own) : *next;
    attention_walk(t, &range, &after, cold);
    if (count < t->count) attention_walk_own(t, &own, next);
}

/* The first chunk of bf16 of those of a range; the others, if there are some, or `next` are read after it. Returns where
 * they begin. */
static size_t attention_sweep_chunk(struct attention_tile *t, const struct attention_range *range,
                                    const struct attention_range *next, bool cold) {
    const size_t end = (range->first / ATTENTION_CHUNK_BLOCKS + 1) * ATTENTION_CHUNK_BLOCKS,
                 of_first = attention_of_sequence(t, 0);
    struct attention_range scores = *range, others = *range;
    if (end < range->end) scores.end = end;
    others.first = scores.end;
    struct attention_range values = scores;
    values.sweep = ATTENTION_VALUES;
    const struct attention_range first_values = attention_seen(t, 0, of_first, &values),
                                 first_others = attention_seen(t, 0, of_first, &others);
    attention_sweep_all(t, &scores, &first_values, cold);
    attention_softmax_chunk(t, scores.first, scores.end);
    attention_sweep_all(t, &values, first_others.first < first_others.end ? &first_others : next, cold);
    if (!t->one_chunk) attention_end_chunk(t, end * KERNEL_LANES);
    return scores.end;
}

static void attention_walk_all(struct attention_tile *t, const struct attention_range *within, bool cold) {
    const struct attention_range hinted = attention_hinted(t->a->prefetch);
    if (within->sweep == ATTENTION_ALL) {
        attention_sweep_all(t, within, &hinted, cold);
        return;
    }
    struct attention_range seen = attention_seen(t, 0, t->count, within);
    while (seen.first < seen.end) seen.first = attention_sweep_chunk(t, &seen, &hinted, cold);
}

/* ---- the operations ------------------------------------------------------------------------------------- */

/* Of attention, or of attention_chunk, which has states. */
struct attention_call {
    const struct attention *a;
    size_t first, end; /* queries */
    size_t chunk;
    float *states;
};

static struct attention_call attention_call_of(const struct attention *a, size_t row_first,
                                               size_t row_count) {
    assert(a->group > 0 && a->head_dim <= KERNEL_HEAD_DIM_MAX);
    assert(a->page_tokens % KERNEL_LANES == 0 && a->shared % KERNEL_LANES == 0);
    return (struct attention_call){
        .a = a, .first = row_first * a->group, .end = (row_first + row_count) * a->group};
}

/* Room that the queries of a tile share out. */
struct attention_room {
    float *spare;             /* [queries][attention_padded()] */
    float *rounded, *weights; /* of bf16, or NULL: the queries, likewise; [queries][KERNEL_ATTENTION_CHUNK] */
};

/* values: as of attention_set_query. */
static void attention_take_query(struct attention_tile *t, size_t i, const struct attention_room *room,
                                 float *values) {
    struct attention_query *query = &t->query[i];
    const size_t at = i * attention_padded(t->a->head_dim);
    attention_set_query(query, t->a, t->index + i, values);
    query->spare = room->spare + at;
    if (!room->rounded) return;
    attention_round_query(query->q, t->a->head_dim, room->rounded + at);
    query->q = room->rounded + at;
    query->weights = room->weights + i * KERNEL_ATTENTION_CHUNK;
}

/* What a tile sees in all its chunks. */
static void attention_whole_tile(struct attention_tile *t, const struct attention_room *room, bool cold) {
    const struct attention_range all = {.end = SIZE_MAX, .sweep = attention_first_sweep(t->a)};
    const size_t head_dim = t->a->head_dim;
    for (size_t i = 0; i < t->count; i++) attention_take_query(t, i, room, NULL);
    attention_walk_all(t, &all, cold);
    for (size_t i = 0; i < t->count; i++) {
        struct attention_query *query = &t->query[i];
        if (query->has_merged) attention_add_state(&query->merged, &query->chunk, head_dim);
        attention_divide(query->has_merged ? &query->merged : &query->chunk, head_dim);
    }
}

/* What a tile sees in one chunk. */
static void attention_chunk_tile(struct attention_tile *t, const struct attention_room *room, size_t chunk,
                                 float *states, bool cold) {
    const struct attention_range within = {.first = chunk * ATTENTION_CHUNK_BLOCKS,
                                           .end = (chunk + 1) * ATTENTION_CHUNK_BLOCKS,
                                           .sweep = attention_first_sweep(t->a)};
    const size_t size = kernel_attention_state(t->a->head_dim);
    states += t->index * size;
    for (size_t i = 0; i < t->count; i++) attention_take_query(t, i, room, states + i * size);
    attention_walk_all(t, &within, cold);
    for (size_t i = 0; i < t->count; i++) {
        float *sums = attention_sums_of(states + i * size, t->a->head_dim);
        vector_store(sums, t->query[i].chunk.sums);
        sums[KERNEL_LANES] = t->query[i].chunk.largest;
    }
}

/* In tiles of so many queries at most. */
static void attention_tiles(struct attention_tile *t, const struct attention_call *call, size_t most,
                            const struct attention_room *room) {
    t->a = call->a;
    t->one_chunk = call->states != NULL;
    for (size_t index = call->first; index < call->end; index += t->count) {
        t->index = index;
        t->count = call->end - index < most ? call->end - index : most;
        if (call->states)
            attention_chunk_tile(t, room, call->chunk, call->states, index == 0);
        else
            attention_whole_tile(t, room, index == 0);
    }
}

/* Frames of their own, since all of a frame is touched: a few queries take a small one, and bf16 one with its weights. */
#define ATTENTION_FEW_FLOATS  (ATTENTION_FEW * ATTENTION_NARROW)
#define ATTENTION_MANY_FLOATS (ATTENTION_FEW * KERNEL_HEAD_DIM_MAX)

static __attribute__((noinline)) void attention_few(const struct attention_call *call) {
    float spare[ATTENTION_FEW_FLOATS];
    const struct attention_room room = {.spare = spare};
    struct attention_tile t;
    t.wide = NULL;
    attention_tiles(&t, call, ATTENTION_FEW, &room);
}

static __attribute__((noinline)) void attention_few_bf16(const struct attention_call *call) {
    _Alignas(KERNEL_ALIGN) float spare[ATTENTION_FEW_FLOATS], rounded[ATTENTION_FEW_FLOATS],
        weights[ATTENTION_FEW * KERNEL_ATTENTION_CHUNK];
    const struct attention_room room = {spare, rounded, weights};
    struct attention_tile t;
    t.wide = NULL;
    attention_tiles(&t, call, ATTENTION_FEW, &room);
}

/* So many queries have room in ATTENTION_MANY_FLOATS. */
static size_t attention_most_queries(size_t head_dim) {
    const size_t room = ATTENTION_MANY_FLOATS / attention_padded(head_dim);
    return room < ATTENTION_QUERIES ? room : ATTENTION_QUERIES;
}

static __attribute__((noinline)) void attention_many(const struct attention_call *call) {
    _Alignas(KERNEL_ALIGN) float wide[ATTENTION_WIDE_FLOATS], spare[ATTENTION_MANY_FLOATS];
    const size_t head_dim = call->a->head_dim;
    const struct attention_room room = {.spare = spare};
    struct attention_tile t;
    t.wide = head_dim <= ATTENTION_NARROW ? wide : NULL;
    attention_tiles(&t, call, attention_most_queries(head_dim), &room);
}

static __attribute__((noinline)) void attention_many_bf16(const struct attention_call *call) {
    _Alignas(KERNEL_ALIGN) float wide[ATTENTION_WIDE_FLOATS], spare[ATTENTION_MANY_FLOATS],
        rounded[ATTENTION_MANY_FLOATS], weights[ATTENTION_QUERIES * KERNEL_ATTENTION_CHUNK];
    const size_t head_dim = call->a->head_dim;
    const struct attention_room room = {spare, rounded, weights};
    struct attention_tile t;
    t.wide = head_dim <= ATTENTION_NARROW ? wide : NULL;
    attention_tiles(&t, call, attention_most_queries(head_dim), &room);
}

static void attention_run(const struct attention_call *call) {
    const bool few = call->end - call->first <= ATTENTION_FEW && call->a->head_dim <= ATTENTION_NARROW;
    if (call->a->cache.type == KV_TYPE_BF16)
        few ? attention_few_bf16(call) : attention_many_bf16(call);
    else
        few ? attention_few(call) : attention_many(call);
}

void KERNEL_FUNCTION(attention)(const struct attention *a, size_t row_first, size_t row_count) {
    const struct attention_call call = attention_call_of(a, row_first, row_count);
    attention_announce(a, row_first, row_count);
    attention_run(&call);
}

void KERNEL_FUNCTION(attention_chunk)(const struct attention *a, size_t row_first, size_t row_count,
                                      size_t chunk, float *states) {
    struct attention_call call = attention_call_of(a, row_first, row_count);
    call.chunk = chunk;
    call.states = states;
    attention_announce_chunk(a, row_first, row_count, chunk, states);
    attention_run(&call);
}

static void attention_merge_query(const struct attention *a, size_t index, size_t first_chunk, float *states,
                                  size_t stride) {
    struct attention_query query;
    attention_set_query(&query, a, index, NULL);
    states += index * kernel_attention_state(a->head_dim);
    const size_t last = query.position / KERNEL_ATTENTION_CHUNK;
    for (size_t chunk = query.oldest / KERNEL_ATTENTION_CHUNK; chunk <= last; chunk++) {
        float *values = states + (chunk - first_chunk) * stride;
        const float *sums = attention_sums_of(values, a->head_dim);
        query.chunk = (struct attention_state){vector_load(sums), sums[KERNEL_LANES], values};
        attention_close_chunk(&query, a->head_dim);
    }
    attention_divide(&query.merged, a->head_dim);
    memcpy(query.out, query.merged.values, a->head_dim * sizeof(float));
}

void KERNEL_FUNCTION(attention_merge)(const struct attention *a, size_t row_first, size_t row_count,
                                      size_t first_chunk, float *states, size_t stride) {
    const size_t end = (row_first + row_count) * a->group;
    attention_announce_merge(a, row_first, row_count, first_chunk, states, stride);
    for (size_t index = row_first * a->group; index < end; index++)
        attention_merge_query(a, index, first_chunk, states, stride);
}
