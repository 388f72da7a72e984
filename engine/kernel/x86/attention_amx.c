/* Attention over a cache of bf16 with AMX: up to 32 queries, whole rows of one sequence, go together over a chunk in three
 * steps: dot products of all by tiles, their softmax in vectors, weighted values by tiles. The cache is read as it is
 * stored. All else is left to the vectors of AVX-512.
 *
 * Tiles compute all keys of a block for all queries. A score of a key that a query does not see becomes -inf, its weight
 * 0; so a value that is not finite would still reach it, as NaN. Where a block is not seen by all that go together, its
 * values are looked at first (edge_is_finite), and those that none of them sees are zeros in a copy. */
#include "engine/kernel/x86/amx_attention_chunk.h"

#include "engine/kernel/template/attention_announce.h"

static void merge_chunk(struct batch *b) {
    for (size_t i = 0; i < b->count; i++) {
        if (!(b->seen >> i & 1)) continue;
        const struct attention_state chunk = {vector_load(b->sums[i]), b->largest[i], b->out[i]};
        if (b->merged >> i & 1) {
            attention_add_state(&b->state[i], &chunk, b->head_dim);
            continue;
        }
        b->state[i] = (struct attention_state){chunk.sums, chunk.largest, b->query[i].out};
        memcpy(b->query[i].out, chunk.values, b->head_dim * sizeof *chunk.values);
    }
    b->merged |= b->seen;
}

static void compute_all_chunks(struct batch *b) {
    set_queries(b);
    for (size_t chunk = b->oldest / KERNEL_ATTENTION_CHUNK; chunk <= b->newest / KERNEL_ATTENTION_CHUNK;
         chunk++) {
        compute_chunk(b, chunk);
        merge_chunk(b);
    }
    for (size_t i = 0; i < b->count; i++) attention_divide(&b->state[i], b->head_dim);
}

/* Of all chunks, or of one to states. */
struct call {
    const struct attention *a;
    size_t chunk;
    float *states;
};

static void compute_state(struct batch *b, size_t chunk, float *states) {
    const size_t size = kernel_attention_state(b->head_dim);
    set_queries(b);
    compute_chunk(b, chunk);
    for (size_t i = 0; i < b->count; i++, states += size) {
        const bool seen = b->seen >> i & 1;
        float *sums = attention_sums_of(states, b->head_dim);
        const struct attention_state empty = attention_empty_state(states, b->head_dim);
        vector_store(sums, seen ? vector_load(b->sums[i]) : empty.sums);
        sums[KERNEL_LANES] = seen ? b->largest[i] : empty.largest;
        if (seen) memcpy(states, b->out[i], b->head_dim * sizeof *states);
    }
}

static void leave_to_vectors(const struct call *c, size_t row, size_t rows) {
    if (rows == 0) return;
    if (c->states)
        attention_chunk_avx512(c->a, row, rows, c->chunk, c->states);
    else
        attention_avx512(c->a, row, rows);
}

/* Rows of one sequence. */
static void compute_rows(struct batch *b, const struct call *c, size_t row, size_t rows) {
    set_batch(b, row, rows);
    b->cold = row == 0 || c->a->rows[row - 1].pages != c->a->rows[row].pages;
    size_t first = b->oldest / KERNEL_LANES, end = b->newest / KERNEL_LANES + 1;
    if (c->states) {
        first = larger(first, c->chunk * ATTENTION_CHUNK_BLOCKS);
        end = smaller(end, (c->chunk + 1) * ATTENTION_CHUNK_BLOCKS);
    }
    if (first >= end || !edge_is_finite(b, first, end))
        leave_to_vectors(c, row, rows);
    else if (c->states)
        compute_state(b, c->chunk, c->states + row * c->a->group * kernel_attention_state(b->head_dim));
    else
        compute_all_chunks(b);
}

/* Rows from `row` on that are of the same sequence. */
static size_t rows_of_sequence(const struct attention *a, size_t row, size_t end) {
    size_t rows = 1;
    while (row + rows < end && a->rows[row + rows].pages == a->rows[row].pages) rows++;
    return rows;
}

/* Runs of rows that are long enough by tiles; those between them, together, by vectors. */
static __attribute__((noinline)) void compute(const struct call *c, size_t row_first, size_t row_count) {
    const struct attention *a = c->a;
    const size_t most = QUERIES_MAX / a->group, end = row_first + row_count;
    struct batch b;
    b.a = a;
    b.head_dim = a->head_dim;
    b.dim = kv_stored_dim(KV_TYPE_BF16, a->head_dim);
    b.plain = a->scale > 0 && !(a->score_cap > 0) && !a->alibi;
    memset(b.unit, 0, sizeof b.unit);
    for (size_t i = 0; i < KERNEL_LANES; i++) b.unit[i / 2][i][i % 2] = kernel_bf16_of(1.0f);
    if (b.dim % KERNEL_BF16_BLOCK > 0) memset(b.tail, 0, sizeof b.tail);
    configure_tiles();
    size_t left = row_first; /* rows before it are done */
    for (size_t row = row_first, rows; row < end; row += rows) {
        rows = rows_of_sequence(a, row, end);
        const size_t batches = (rows + most - 1) / most;
        rows = (rows + batches - 1) / batches; /* nearly even ones */
        if (rows * a->group < QUERIES_MIN) continue;
        leave_to_vectors(c, left, row - left);
        compute_rows(&b, c, row, rows);
        left = row + rows;
    }
    _tile_release();
    leave_to_vectors(c, left, end - left);
}

/* Whether there are rows for tiles: without, what these need is not set up. */
static bool takes(const struct attention *a, size_t row_first, size_t row_count) {
    const size_t end = row_first + row_count;
    if (a->cache.type != KV_TYPE_BF16 || !kernel_tiles_take(a->head_dim, a->group)) return false;
    for (size_t row = row_first, rows; row < end; row += rows) {
        rows = rows_of_sequence(a, row, end);
        if (rows * a->group >= QUERIES_MIN) return true;
    }
    return false;
}

void attention_amx(const struct attention *a, size_t row_first, size_t row_count) {
    const struct call call = {.a = a};
    if (!takes(a, row_first, row_count)) {
        attention_avx512(a, row_first, row_count);
        return;
    }
    attention_announce(a, row_first, row_count);
    compute(&call, row_first, row_count);
}

void attention_chunk_amx(const struct attention *a, size_t row_first, size_t row_count, size_t chunk,
                         float *states) {
    const struct call call = {a, chunk, states};
    if (!takes(a, row_first, row_count)) {
        attention_chunk_avx512(a, row_first, row_count, chunk, states);
        return;
    }
    attention_announce_chunk(a, row_first, row_count, chunk, states);
    compute(&call, row_first, row_count);
}
