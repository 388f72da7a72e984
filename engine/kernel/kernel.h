/* The table of compute kernels. kernels.def says which instruction set has which; kernel_select() chooses
 * once, at start-up.
 *
 * The contract that everything above rests on: every function gives the SAME BITS in every instruction set,
 * for any number of rows, any tiling and any number of threads. So
 *   - each output of a GEMM is one accumulator: fused multiply-adds over k = 0 .. K-1 in this order, from 0;
 *   - each sum over a row runs in 16 lanes (lane = index mod 16, ascending), which are then added pairwise:
 *     lane i += lane i+8, then +4, +2, +1;
 *   - exp and the activations are those of vector_math.h, evaluated with the same operations everywhere;
 *   - whatever else is computed is said with each function: "a * b + c" in one fused operation is written
 *     fma(a, b, c), all other operations round one by one.
 * Only the payload and the sign of a NaN are left open. The scalar kernels state all this with fmaf(); the
 * others are tested bitwise against them, and they against the definitions written here (tests/kernels).
 *
 * Inputs need no alignment but panels, which are aligned to KERNEL_ALIGN. An output may overlap an input only
 * where that is said. No function here allocates, locks or makes a system call. All lengths are in elements,
 * not bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/types/choices.h"
#include "engine/types/limits.h"

#define KERNEL_PANEL 48 /* output rows of a weight matrix that are packed together */
#define KERNEL_LANES 16 /* lanes of a row reduction; also the positions in a block of keys */
_Static_assert(KERNEL_LANES == KV_PAGE_TOKENS_STEP, "pages are whole blocks of keys");
#define KERNEL_ALIGN 64 /* alignment in bytes of every buffer that is allocated for kernels */

/* Of a Hadamard transform: items together, at most; and by its bit i, whether item i has its sign changed first. Bit i is
 * set where i has an odd number of neighbouring pairs of ones in binary (Rudin-Shapiro): so what all items have in
 * common is spread too, and a second transform does not undo the first. hadamard_rows() builds on what these signs are. */
#define KERNEL_HADAMARD_ORDER 64
#define KERNEL_HADAMARD_SIGNS UINT64_C(0xb8b7b8484748b848)

/* Added to a float of magnitude below 2^22 it rounds it to an integer, to nearest even, which then stands in
 * the low bits. */
#define KERNEL_ROUNDING_SHIFT 0x1.8p23f

enum activation {
    ACTIVATION_NONE,
    ACTIVATION_RELU,
    ACTIVATION_RELU_SQUARED, /* max(0, x)^2 */
    ACTIVATION_GELU,         /* x/2 (1 + erf(x/sqrt 2)) */
    ACTIVATION_GELU_TANH,    /* gelu_new: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
    ACTIVATION_GELU_QUICK,   /* x sigmoid(1.702 x) */
    ACTIVATION_SILU,         /* x sigmoid(x) */
    ACTIVATION_COUNT
};

/* Columns of a panel, multiples of KERNEL_LANES; end 0: all of them. */
struct panel_columns {
    size_t first, end;
};

/* A GEMM with its epilogue. out[r][n] = activation(row_scale[r] * sum_k x[r][k] w[n][k] + bias[n]) +
 * residual[r][n], with the operations in this order: a multiplication by row_scale (if any), an addition of
 * bias (if any), the activation, an addition of residual (if any). residual may be out itself; x may not. */
struct gemm {
    const float *x; /* [rows, k] */
    size_t x_stride;
    const float *panels; /* [ceil(n/48)][k][48]; rows beyond n are zero */
    size_t k, n;
    const float *row_scale; /* [rows] or NULL */
    const float *bias;      /* [n] or NULL */
    enum activation activation;
    const float *residual; /* [rows, n] or NULL */
    size_t residual_stride;
    float *out; /* [rows, n]; nothing beyond column n is written */
    size_t out_stride;
    struct panel_columns columns; /* of each panel of a tile only these */
    /* A hint: the panel, or where a tile takes some columns the first of these in it, that this thread will most likely read
     * next. It may be prefetched, never read; or NULL. */
    const void *prefetch;
};

/* ---- low-precision weights ----
 * Activations are converted too, row by row: rounded to bf16, or quantized to int8. k is padded with zeros to
 * a multiple of KERNEL_LOWP_K in both, so that no loop has a tail.
 *
 *   bf16  Both sides rounded to nearest even; magnitudes below 2^-56 count as 0, so that every product is a
 *         multiple of the smallest normal float and no sum is ever subnormal (the instructions for bf16 flush
 *         those). The sum s starts at 0 and takes k in blocks of KERNEL_BF16_BLOCK, ascending: a block has
 *         two accumulators from 0, of its even and of its odd k, by fused multiply-adds in ascending order,
 *         and s = s + (even + odd). It is what the instruction for tiles of bf16 (TDPBF16PS) computes.
 *   int8  A row of weights has a scale for each group of k (kernel_int8_group_k of them), a row of activations
 *         others: q = round(x * (127 / largest |x|)), to nearest even. The sum of a group's products of integers is
 *         exact. It becomes a float, times the scale of the weights; s starts at 0 and takes the groups, ascending, by
 *         s = fma(that, scale of the activations, s).
 *
 *   int4  A row of weights, and one of activations, has one scale. Weights are of 8 bits and stored in 4: each
 *         KERNEL_INT4_GROUP of k of a row has an integer scale m (0 .. 16) and offset c; a weight is m * q + c,
 *         q = -8 .. 7, of magnitude 127 at most. The sum over a group is m * (sum of q * x) + c * (sum of x), both sums
 *         within 16 bits. The sum of all groups, as a float, is multiplied by the scale of the weights, then by that of
 *         the activations.
 *
 * A row of activations that is not all finite gives NaN everywhere in int8 and int4. */
#define KERNEL_LOWP_K     64       /* k is padded to a multiple of this */
#define KERNEL_INT8_GROUP 256      /* of k, at most: int8 weights, and activations, that share a scale */
#define KERNEL_INT4_GROUP 32       /* of k: int4 weights that share a scale and an offset */
#define KERNEL_BF16_BLOCK 32       /* of k: bf16 products that are summed apart */
#define KERNEL_BF16_MIN   0x1p-56f /* smaller magnitudes of bf16 count as 0 */
/* Beyond this k the integer sums of int4 could overflow: |sum| <= 127 * 127 * k. */
#define KERNEL_INT4_K_MAX 131072

static inline size_t kernel_padded_k(size_t k) {
    return (k + KERNEL_LOWP_K - 1) / KERNEL_LOWP_K * KERNEL_LOWP_K;
}

/* Groups of int8 are as few as they can be, and nearly even. */
static inline size_t kernel_int8_groups(size_t k) {
    return (kernel_padded_k(k) + KERNEL_INT8_GROUP - 1) / KERNEL_INT8_GROUP;
}

/* k of a group of int8, but for the last, which may be shorter: a multiple of KERNEL_LOWP_K. Without a division, because
 * kernels ask for it at every panel. */
static inline size_t kernel_int8_group_k(size_t k) {
    const size_t padded = kernel_padded_k(k), groups = kernel_int8_groups(k);
    size_t group = KERNEL_LOWP_K;
    while (group * groups < padded) group += KERNEL_LOWP_K;
    return group;
}

/* Columns of a row of activations that are converted by themselves: so many, or 0: all or none. */
static inline size_t kernel_conversion_step(enum weight_type type, size_t k) {
    return type == WEIGHT_TYPE_BF16 ? KERNEL_LOWP_K : type == WEIGHT_TYPE_INT8 ? kernel_int8_group_k(k) : 0;
}

/* Bytes from one panel of weights to the next. Panels start with the weights, in this order:
 *   f32   float [k][48]
 *   bf16  uint16_t [k/2][48][2]
 *   int8  uint8_t [k/4][48][4], each weight + 128; then float scale[groups][48]
 *   int4  uint8_t [k/32][4][48][4]: byte [g][s][n][b] holds, each + 8, q of k = 32 g + 4 s + b (low half) and
 *         of k = 32 g + 16 + 4 s + b (high half); then int8_t [k/32][48][2], scale m and offset c; then
 *         float scale[48] */
size_t kernel_panel_bytes(enum weight_type type, size_t k);

/* Bytes of a row of activations as GEMMs of this type read it (0 for f32, which reads floats). */
size_t kernel_row_bytes(enum weight_type type, size_t k);

/* Rows of activations to be converted. */
struct activation_rows {
    const float *x; /* [rows, k] */
    size_t x_stride;
    size_t k;
    const float *smoothing; /* [k]: smoothing scales, which x is multiplied by first; or NULL */
    unsigned char *out;     /* aligned; a row each kernel_row_bytes() */
    /* Only columns [first, end); end 0: all. first is a multiple of kernel_conversion_step(), end is k or one too. */
    size_t first, end;
};

/* A GEMM of converted activations. */
struct lowp_gemm {
    struct gemm base; /* x, x_stride and panels are not read */
    const unsigned char *x, *panels;
};

/* Directions in rows, unit vectors: direction i is 0 but for columns [first[i], first[i] + columns). */
struct row_directions {
    size_t count, columns;
    const size_t *first;  /* [count] */
    const float *entries; /* [count][columns] */
};

enum row_norm {
    ROW_NORM_NONE,      /* scale 1: only to measure what norms cost */
    ROW_NORM_RMS,       /* 1 / sqrt(q / divisor + eps); q = sum x^2, each lane by q = fma(x, x, q) */
    ROW_NORM_CRMS,      /* the same with fma(sum x, sum x, q) for q: Jiang et al. 2023 */
    ROW_NORM_LAYERNORM, /* only for normalize_rows */
};

/* ---- the cache of keys and values ----
 * What is stored is what is read, also for the positions of the step at hand.
 *   f32   The numbers themselves.
 *   f16   IEEE half precision, to nearest even; magnitudes of 65,520 and more become infinite.
 *   bf16  As activations beside bf16 weights: to nearest even, magnitudes below KERNEL_BF16_MIN count as 0.
 *   int8  A key has one scale, a value another: scale = largest |x| / 127, q = round(x * (127 / largest |x|))
 *         to nearest even, each operation rounded but the multiplication within round(), which is exact.
 * Where 127 / largest |x| is not finite, scale and q are 0; where some x is not finite, q is 0 and scale NaN. */
/* Bytes of an element. */
static inline size_t kv_type_bytes(enum kv_type type) {
    switch (type) {
    case KV_TYPE_F16:
    case KV_TYPE_BF16:
        return sizeof(uint16_t);
    case KV_TYPE_INT8:
        return sizeof(int8_t);
    case KV_TYPE_F32:
    case KV_TYPE_COUNT:
        break;
    }
    return sizeof(float);
}

/* Elements that a key takes, and a value: bf16 stands in pairs, so of an odd head one more. */
static inline size_t kv_stored_dim(enum kv_type type, size_t head_dim) {
    return type == KV_TYPE_BF16 ? head_dim + head_dim % 2 : head_dim;
}

/* Where one layer's key/value head lies in every page of page_tokens positions, in bytes from the page's
 * start: elements keys [page_tokens/16][head_dim][16] and values [page_tokens][head_dim]; for int8 floats
 * key_scales [page_tokens] and value_scales [page_tokens] too. Floats and halves need their own alignment
 * only.
 * bf16: with dim = kv_stored_dim(), keys [page_tokens/16][dim/2][16][2], pairs of dimensions, and values
 * [page_tokens/2][dim][2], pairs of positions, as the instruction for tiles of bf16 reads them. What a key has beyond head_dim
 * is 0, what a value has there is never used. Each of a pair of positions can be written without the other. */
struct kv_head {
    enum kv_type type;
    size_t keys, values, key_scales, value_scales;
};

/* Keys of a chunk, which attention computes apart from the others and then merges, so that it can be split over
 * threads. Chunks start at absolute positions 0, 256, 512, ... */
#define KERNEL_ATTENTION_CHUNK 256
#define KERNEL_HEAD_DIM_MAX    1024 /* elements of a head */
_Static_assert(KERNEL_ATTENTION_CHUNK % KERNEL_LANES == 0, "chunks are whole blocks of keys");

/* What attention by tiles (AMX) takes, of a cache in bf16: heads of so many dimensions, read by at most so many query heads
 * each. Others are left to vectors. */
enum {
    KERNEL_TILES_HEAD_DIM_MIN = KERNEL_LANES,
    KERNEL_TILES_HEAD_DIM_MAX = 256,
    KERNEL_TILES_GROUP_MAX = 32
};

static inline bool kernel_tiles_take(size_t head_dim, size_t group) {
    return head_dim >= KERNEL_TILES_HEAD_DIM_MIN && head_dim <= KERNEL_TILES_HEAD_DIM_MAX &&
           group <= KERNEL_TILES_GROUP_MAX;
}

/* A row of queries. */
struct attention_row {
    const float *q;        /* from `column` on [group][head_dim] */
    float *out;            /* likewise; not q */
    const uint32_t *pages; /* of its sequence: page of positions [i * page_tokens, (i+1) * page_tokens) */
    size_t position;
};

/* Attention of query rows with one key/value head (and the query heads that share it) over the paged cache, in one pass
 * with a running maximum and sum, by blocks of 16 keys that start at absolute positions 0, 16, 32, ... Rows of one
 * sequence (those whose `pages` are equal) stand together, by ascending position. Keys and values of the rows' own
 * positions are already stored.
 * k_j and v_j are what is stored: floats, halves widened, or integers q with the scales ks_j and vs_j.
 * For a query at position p and max(0, p - window + 1) <= j <= p,
 *   - score(p, j) = scale * (q . k_j), for int8 scale * ((q . k_j) * ks_j);
 *   - where there is a cap, cap * tanh(score * (1 / cap)), tanh as in vector_math.h;
 *   - where there is alibi, + (alibi[s + j] - alibi[s + p]), s = alibi_last ? alibi_last - p : 0.
 * Memory of other positions is never used, whatever it holds.
 *
 * The order, for each query alone, whatever rows are computed with it. Each chunk of KERNEL_ATTENTION_CHUNK keys of which
 * it sees some starts anew: m = -inf, l = 0, out = 0. For each block of the chunk of which it sees a key, ascending:
 *   - scores: (q . k_j) is one accumulator, by fused multiply-adds from 0; -inf for keys that it does not
 *     see;
 *   - m' is the larger of m and the block's largest score; f = exp(m - m'); weights w_j = exp(score - m');
 *   - lane sums l = l * f + w, not fused, lane = position mod 16;
 *   - out = out * f, then out = fma(w_j, v_j, out), for int8 fma(w_j * vs_j, v_j, out), for each key
 *     that it sees, ascending.
 * The chunks are merged, ascending: (M, L, O) is (m, l, out) of the first; with each further one, M' is the larger of M
 * and m; f = exp(M - M'), g = exp(m - M'); L = fma(l, g, L * f); O = fma(out, g, O * f). At last
 * O = O * (1 / sum of the lanes of L). Where a maximum does not rise the factor is 1, also from -inf to -inf.
 *
 * A chunk of bf16 has one maximum, and its sums the order of bf16 GEMMs; all else is as above:
 *   - q is rounded as keys are. (q . k_j) starts at 0 and takes the dimensions in blocks of KERNEL_BF16_BLOCK, ascending (the
 *     last may be shorter): two accumulators from 0, of even and of odd dimensions, by fused multiply-adds in
 *     ascending order, then (q . k_j) + (even + odd);
 *   - m is the largest score of the chunk's keys that the query sees; weights w_j = exp(score - m), numbers of bf16, by
 *     vector_exp_bf16() of vector_math.h; lane sums l = l + w from 0, ascending;
 *   - out = 0, then for each block of 16 keys of which it sees some, ascending: two accumulators from 0, of even and of
 *     odd positions, by fused multiply-adds of w_j and v_j for each key that it sees, ascending; out = out + (even + odd). */
struct attention {
    const struct attention_row *rows;
    size_t column; /* of the first of these heads in q and out */
    /* The first so many positions lie in the same pages for all rows: what these see of them is read once for several.
     * A multiple of KERNEL_LANES; of no account where all rows are of one sequence. */
    size_t shared;
    size_t group; /* query heads that read this key/value head */
    size_t head_dim;
    size_t window; /* 0: the whole past */
    float scale;
    float score_cap;           /* 0: none */
    const unsigned char *pool; /* the cache */
    struct kv_head cache;      /* of this layer and key/value head */
    size_t page_tokens;        /* a multiple of KERNEL_LANES */
    size_t page_stride;        /* bytes from one page to the next */
    const float *alibi;        /* [group][context], row stride alibi_stride, or NULL */
    size_t alibi_stride;
    /* 0: alibi is a function of the position (entry j for position j); else of the distance: entry alibi_last
     * is distance 0, the entries before it the keys before. */
    size_t alibi_last;
    const struct attention *prefetch; /* a hint: what this thread will most likely do next, from row 0. Its
                                         first keys and values may be prefetched; or NULL */
};

/* Floats of what attention_chunk leaves of a query: out, padded to KERNEL_LANES, the lane sums, m. */
static inline size_t kernel_attention_state(size_t head_dim) {
    return (head_dim + KERNEL_LANES - 1) / KERNEL_LANES * KERNEL_LANES + 2 * KERNEL_LANES;
}

struct kernel_table {
    enum kernel_isa isa;
    const char *name; /* of its row in kernels.def */
    /* By weight type: rows of the largest tile that is computed at once. What results are does not depend on it. */
    unsigned tile_rows[WEIGHT_TYPE_COUNT];
    /* By weight type: up to so many rows, some columns of a panel take less time than all of them. */
    unsigned strip_rows[WEIGHT_TYPE_COUNT];
    /* By weight type, for measuring: so many rounds of the instructions that multiply it, on registers alone. Returns the
     * operations that they were; a multiplication and its addition are two. */
    double (*peak[WEIGHT_TYPE_COUNT])(size_t rounds);

    /* The tile of rows [row_first, +row_count) and panels [panel_first, +panel_count). */
    void (*gemm_f32)(const struct gemm *m, size_t row_first, size_t row_count, size_t panel_first,
                     size_t panel_count);

    /* By weight type, NULL for f32: conversion of rows [row_first, +row_count) of x; and the GEMM of
     * converted rows, in tiles as above. */
    void (*convert_activations[WEIGHT_TYPE_COUNT])(const struct activation_rows *rows, size_t row_first,
                                                   size_t row_count);
    void (*gemm_lowp[WEIGHT_TYPE_COUNT])(const struct lowp_gemm *m, size_t row_first, size_t row_count,
                                         size_t panel_first, size_t panel_count);

    /* int8 in two steps, so that k can be split over threads: of a row by a panel, what the sums of groups [first, end) are as
     * floats times the scales of the weights, to products [end - first][48]; then from those of all groups what gemm_lowp
     * gives. */
    void (*gemm_int8_groups)(const struct lowp_gemm *m, size_t row, size_t panel, size_t first, size_t end,
                             float *products);
    void (*join_int8_groups)(const struct lowp_gemm *m, size_t row, size_t panel, const float *products);

    /* The epilogue alone, of sums that another library has computed: sums [rows, n]. x and panels
     * are not read. */
    void (*epilogue_rows)(const struct gemm *m, const float *sums, size_t sums_stride, size_t row_first,
                          size_t row_count);

    /* scale[r] for each row of x [rows, width]. divisor is the width of the original model. norm is not
     * LAYERNORM. */
    void (*row_scales)(enum row_norm norm, const float *x, size_t stride, size_t rows, size_t width,
                       float divisor, float eps, float *scale);

    /* out = x, but for its parts along some directions d: out = fma(t, d, out), one direction after the other, with
     * t = factors[i] * sum of d x, whose lanes are q = fma(d, x, q), from the direction's first column on. x is not out. */
    void (*scale_directions)(const struct row_directions *d, const float *x, size_t x_stride, size_t rows,
                             size_t width, const float *factors, float *out, size_t out_stride);

    /* out = fma(n, gain, bias) (n * gain, n + bias or n where one or both are NULL), n = (x - mean) * scale,
     * by rows; LAYERNORM (mean, then biased variance about it; divisor = width), RMS or CRMS. gain, bias:
     * [width] or NULL. out may be x. */
    void (*normalize_rows)(enum row_norm norm, const float *x, size_t x_stride, size_t rows, size_t width,
                           float divisor, float eps, const float *gain, const float *bias, float *out,
                           size_t out_stride);

    /* out[i] = activation(gate[i]) * up[i]. out may be gate or up. */
    void (*gate_rows)(enum activation activation, const float *gate, const float *up, size_t stride,
                      size_t rows, size_t width, float *out, size_t out_stride);

    /* Rotates rows [rows, width] in place. A row is n = width / KERNEL_LANES vectors, width a multiple of KERNEL_LANES.
     * Blocks of `order` vectors, the largest power of two that is not more than n and KERNEL_HADAMARD_ORDER, go
     * through a Hadamard transform of which those of KERNEL_HADAMARD_SIGNS have been negated. That takes no negation: for
     * h = 1, 2, 4 .. order/2 each pair of vectors (a, b) that are h apart becomes (a + b, a - b), but (a - b, a + b) in
     * every second part of 2 h vectors, since there the second half has the opposite of the signs that it has in the other
     * parts. (Where all of a part's signs are opposite, it is itself such a second half.) Then all are multiplied by
     * 1 / sqrt(order), rounded.
     * Where order does not divide n, the last `order` vectors then go through it once more. */
    void (*hadamard_rows)(float *x, size_t stride, size_t rows, size_t width);

    /* x[i] = cap * tanh(x[i] * (1 / cap)) over i. */
    void (*soft_cap)(float *x, size_t count, float cap);

    /* Rotates one head's vector in place by the angles of its position, (a, b) to (fma(a, cos, -(b * sin)),
     * fma(b, cos, a * sin)): pairs (i, i + pairs) when half, (2i, 2i + 1) when interleaved; dimensions beyond
     * 2 * pairs stay as they are. */
    void (*rotate)(float *head, size_t pairs, bool interleaved, const float *cosine, const float *sine);

    /* Stores keys and values [count, head_dim], rows of both `stride` apart, as those of a page from the slot'th on. What is
     * stored of a position does not depend on the others; blocks of 16 that are all there take less time. */
    void (*store_kv)(const struct kv_head *head, unsigned char *page, size_t slot, size_t count,
                     size_t head_dim, const float *keys, const float *values, size_t stride);

    /* Rows [row_first, +row_count) of one key/value head. */
    void (*attention)(const struct attention *a, size_t row_first, size_t row_count);

    /* The same in two steps, which may be split over threads: what rows make of one chunk, into
     * states [rows][group][kernel_attention_state()]; then out from those of all chunks, the states of chunk c at
     * states + (c - first_chunk) * stride, which are used up. */
    void (*attention_chunk)(const struct attention *a, size_t row_first, size_t row_count, size_t chunk,
                            float *states);
    void (*attention_merge)(const struct attention *a, size_t row_first, size_t row_count, size_t first_chunk,
                            float *states, size_t stride);

    /* Index of the largest of x[0 .. count-1], the lowest on ties; NaN never wins (0 where all are NaN).
     * count is not 0. */
    size_t (*argmax)(const float *x, size_t count);

    /* sum of exp((x[i] - max) * factor) over i, in the lane order above. */
    float (*exp_sum)(const float *x, size_t count, float max, float factor);
};

/* The scalar table: the definition of what all others compute. */
const struct kernel_table *kernel_scalar(void);

/* The best table that this CPU and its operating system offer (state of the wide registers checked by
 * XGETBV), or a lower one that is asked for. Not available: STATUS_OPTION with the names that are. */
enum status kernel_select(enum kernel_isa asked, const struct kernel_table **out, struct error *e);

/* Every table that runs here, the scalar one first and the best last. Returns how many. */
size_t kernel_available(const struct kernel_table *tables[KERNEL_ISA_COUNT]);

/* Space-separated names of the CPU features that the best table needs here ("" for scalar), for logs and
 * /version; cut to size. */
void kernel_features(char *out, size_t size);

/* False when the name is unknown; names as config.json files spell them ("gelu_new", "relu", "silu", ...). */
bool activation_from_name(const char *name, enum activation *out);
const char *activation_name(enum activation activation);

/* Number of panels of n output rows. */
static inline size_t kernel_panels(size_t n) {
    return (n + KERNEL_PANEL - 1) / KERNEL_PANEL;
}

/* The columns that a tile takes of each panel. */
static inline struct panel_columns kernel_columns(const struct gemm *m) {
    return m->columns.end ? m->columns : (struct panel_columns){.end = KERNEL_PANEL};
}

static inline bool kernel_columns_are_all(struct panel_columns columns) {
    return columns.end - columns.first == KERNEL_PANEL;
}

static inline float kernel_bf16_to_float(uint16_t narrow) {
    uint32_t bits = (uint32_t)narrow << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* To nearest even; NaN stays NaN. */
static inline uint16_t kernel_bf16_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value) return 0x7fc0;
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* IEEE half precision, exact. */
static inline float kernel_f16_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 0x3ff;
    uint32_t bits = sign | (exponent == 31 ? 0xff : exponent + 112) << 23 | fraction << 13;
    float value;
    if (exponent == 0) { /* subnormal: in units of 2^-24 */
        value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* To nearest even; NaN stays NaN, what is beyond the range becomes infinite. */
static inline uint16_t kernel_f16_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (magnitude >= 0x47800000) return (uint16_t)(sign | 0x7c00); /* 2^16 */
    if (magnitude < 0x38800000) {                                  /* 2^-14: in units of 2^-24 */
        float units = (value < 0 ? -value : value) * 0x1p24f;
        return (uint16_t)(sign | (uint32_t)((units + KERNEL_ROUNDING_SHIFT) - KERNEL_ROUNDING_SHIFT));
    }
    return (uint16_t)(sign | (magnitude + 0xfff + (magnitude >> 13 & 1) - 0x38000000) >> 13);
}
