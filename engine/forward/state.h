/* The state of a forward pass; private to engine/forward. Rows are the tokens of the current step, one entry
 * after the other. All buffers have the sizes of the limits from the beginning; strides are multiples of 16
 * floats. */
#pragma once

#include "engine/blas/blas.h"
#include "engine/forward/forward.h"

/* Where a row comes from. */
struct row_origin {
    uint32_t entry;
    uint32_t token;
    uint32_t position;
};

/* Rows of one entry whose positions are of one block of keys: their keys and values are stored at once. */
struct row_run {
    size_t first, count;
};

/* Rows that attention takes together: those of one entry, or of several whose tables begin with the same pages. */
struct attention_unit {
    size_t first, rows; /* of attention_rows */
    size_t positions;   /* that some row of it sees, at most */
    size_t shared;      /* positions whose pages all have; 0 where it has one entry */
    size_t block_rows;  /* rows of a tile, unless its tiles are chunks */
    size_t chunks;      /* 0, or tiles are (head, chunk of keys), by all rows */
    size_t splits;      /* its query heads of a key/value head are so many tiles; 1 as a rule */
    size_t states;      /* then: where its states start; one is of all heads of a row and chunk */
    size_t tile;        /* its first */
    bool single_rows;   /* its entries have one row each */
    bool stores_first;  /* keys and values of its rows are stored before any tile runs */
};

/* How linears that run together are split into tiles: runs of units, by blocks of rows where there are many (linear.c). A unit
 * is a panel or a strip by some rows, and those of the same weights come one after the other. */
#define JOINED_MAX 2
struct tiling {
    size_t rows;              /* that it is for; 0: it is not there yet */
    size_t parts;             /* linears */
    size_t units[JOINED_MAX]; /* of each */
    size_t bytes[JOINED_MAX]; /* weights that one of them reads */
    size_t strips;            /* of a unit: 1, or those of a panel */
    size_t blocks, unit_rows; /* units of the same weights, one as a rule; and rows of each */
    size_t all_bytes;         /* that all units read: those of the same weights one after the other */
    size_t runs, block_rows, tiles;
    size_t groups; /* 0; else tiles are a panel by so many groups of k (linear_groups.c) */
};

/* A word that several threads change, in a cache line of its own. */
struct counter {
    _Alignas(KERNEL_ALIGN) _Atomic uint32_t count;
};

/* Works on rows [first, +count), each by itself. */
typedef void (*forward_rows_fn)(struct forward *f, size_t first, size_t count, const void *context,
                                size_t worker);
/* A deferred one; the context is a copy. */
#define DEFERRED_MAX 8
struct deferred_op {
    forward_rows_fn fn;
    _Alignas(max_align_t) unsigned char context[32];
};

struct forward {
    const struct packed_model *model;
    const struct model_description *description;
    const struct kv_pool *pool;
    const struct kernel_table *kernels;
    const struct blas *blas; /* of MATMUL_OPENBLAS, else NULL */
    struct workers *workers;
    struct forward_limits limits;

    /* strides */
    size_t embedding_stride, stream_stride, qkv_stride, heads_stride, hidden_stride, gated_stride,
        projected_stride, logits_stride, angle_stride, alibi_stride, lowp_stride;
    size_t states_max;      /* states of chunks of keys that a step may have at once */
    size_t products_floats; /* of products */
    size_t local_angles;    /* of a row of angles: where those of local layers start */

    float *stream;        /* [rows, stream_width]: the residual stream */
    float *normed;        /* [rows, stream_width]: where a norm is not folded, or quietens channels */
    float *row_scales;    /* [rows] */
    float *output;        /* [rows, width]: output of a sub-layer where a norm or scale follows before it is
                          added */
    float *dual;          /* [rows, width]: the dual stream of residual_dual, else NULL */
    float *qkv;           /* [rows, q | k | v] */
    float *heads;         /* [rows, heads * head_dim] */
    float *hidden;        /* [rows, mlp_width, twice when gated] */
    float *gated;         /* [rows, mlp_width] when gated */
    float *cosine, *sine; /* [rows, rotary pairs, then those of local layers from local_angles on] */
    float *last;          /* [logit rows, stream_width]: the rows that need logits */
    float *last_dual;     /* [logit rows, width] */
    float *projected;     /* [logit rows, embedding width] where the head is behind a projection */
    float *logits;        /* [logit rows, vocabulary] */
    float *hidden_states; /* [rows, embedding width] where the head is behind a projection, else NULL */
    float *sums;          /* [rows, widest out]: sums of MATMUL_OPENBLAS, before the epilogue */
    float *states;        /* [states_max, attention_state_floats()]: of chunks of keys */
    float *products;      /* [panels, groups, KERNEL_PANEL]: of a linear whose groups of k are split */
    float *lowp_rows;     /* [rows, lowp_stride]: activations as low-precision kernels read them */
    double *embedding_scratch; /* [workers][embedding_stride] */
    float *alibi;              /* [heads, context] or NULL */
    size_t alibi_last;         /* as in struct attention */
    double *frequencies;       /* [entries, rotary pairs]: as the rows of cosine */
    /* The linears of a step as they run, then NULL: the weights of the next are prefetched. */
    const struct packed_linear **order;
    struct tiling *tilings; /* of each, and of those that run together with it, as of the last step */
    bool *joins;            /* by its place in the order: a linear runs together with the one before */
    struct counter *done;   /* [threads]: parts of a panel, where its groups are split */
    float *memory;

    /* the current step */
    const struct step_entry *entries;
    size_t entry_count, row_count, logit_count;
    size_t order_at; /* of the linear that runs next */
    enum forward_stage stage;
    struct row_origin *rows; /* [rows_max] */
    size_t *first_row;       /* [entries_max + 1]: of each entry */

    struct deferred_op deferred[DEFERRED_MAX]; /* of deferred_rows rows: forward_defer() */
    size_t deferred_count, deferred_rows;

    /* attention_plan.c */
    struct attention_unit *units;         /* [entries_max + 1] */
    size_t *entry_unit;                   /* [entries_max + 1]: of each entry */
    size_t *common_pages;                 /* [entries_max + 1] */
    struct attention_row *attention_rows; /* [rows_max], unit by unit, all heads */
    uint32_t *attention_order;            /* [rows_max]: row of the step that each of them is */
    struct row_run *runs;                 /* [rows_max]: of the rows of units that store first */
    size_t unit_count, attention_tiles, run_count;
    bool any_chunks;

    forward_observe_fn observe; /* of forward_observe, or NULL */
    void *observe_context;
    bool halted; /* it has said no in this step */
};

/* Calls fn for blocks of rows: on the calling thread when they are fewer than ROWS_MIN, else over the workers, where many are blocks
 * of few rows. */
#define ROWS_MIN 8
void forward_each_block(struct forward *f, size_t rows, forward_rows_fn fn, const void *context);

/* The same, deferred until the next linear runs, which reads as many rows, or until forward_flush(); then all that was deferred is
 * done to a row after the other, in this order. The context, of so many bytes, is copied. */
void forward_defer(struct forward *f, size_t rows, forward_rows_fn fn, const void *context, size_t bytes);
void forward_flush(struct forward *f);

/* Makes columns [column, +columns) of rows [row, +rows) of what a linear reads. */
typedef void (*forward_columns_fn)(const struct forward *f, size_t row, size_t rows, size_t column,
                                   size_t columns);

/* out = activation(scale * x W' + bias) + residual, over all workers; in the order of forward->order. */
struct linear_call {
    const struct packed_linear *linear;
    enum forward_stage stage;
    float *x; /* only read, but for what make and may_rotate say */
    size_t x_stride, rows;
    forward_columns_fn make; /* of x; or NULL: it is there, but for what was deferred */
    const float *row_scale;
    enum activation activation;
    const float *residual;
    float *out;
    size_t out_stride;
    bool may_rotate; /* nobody reads x afterwards: a linear that rotates its rows does so in place */
};
void linear_run(struct forward *f, const struct linear_call *call);

/* linear_groups.c. Groups of k that a tile of a linear of one row takes; 0: tiles by all k, of which the slowest worker reads so
 * many bytes of weights, are as good. */
size_t linear_groups(const struct forward *f, const struct packed_linear *linear, size_t bytes);
/* Floats of the products of the model's linears that may be split so. */
size_t linear_groups_floats(const struct packed_model *model, size_t threads);
size_t linear_groups_tiles(const struct packed_linear *linear, size_t groups);
const void *linear_groups_weights(const struct packed_linear *linear, size_t groups, size_t tile);
void linear_groups_tile(const struct forward *f, const struct packed_linear *linear,
                        const struct lowp_gemm *gemm, size_t groups, size_t tile);

/* A layer's qkv and its values, or the two parts of the head, which read the same rows: in one run, unless each worker is to
 * keep to the weights in the memory of its node, which each linear has by itself (packed_model.c). */
void linear_run_joined(struct forward *f, const struct linear_call *first, const struct linear_call *second);

/* The linears that run together, and where the rows that each reads, of low-precision weights, are converted to. */
struct linear_inputs {
    const struct linear_call *call[JOINED_MAX];
    unsigned char *rows[JOINED_MAX];
    size_t count;
    bool made; /* x is there: it needs no making, or inputs_make() was called */
};
/* Does what was deferred, makes x and converts it. */
void inputs_prepare(struct forward *f, struct linear_inputs *inputs);
/* The same without the conversion: for who reads x itself. */
void inputs_make(struct forward *f, const struct linear_call *call);

/* The input of a linear that reads the output of `norm`: the rows themselves with one scale each (folded
 * norms), or normalised copies. They are there when the linear runs. */
struct norm_output {
    float *x;
    size_t stride;
    const float *row_scale;
};
struct norm_output norm_defer(struct forward *f, const struct packed_norm *norm, float *x, size_t rows);

/* Normalises rows of stride stream_stride in place, with gain and bias. */
void norm_rows(const struct forward *f, const struct packed_norm *norm, float *x, size_t rows);

/* What there is to compute of hidden states beside the stream itself. */
void hidden_run(struct forward *f);

/* Runs the head for the rows that need logits. */
void head_run(struct forward *f);
/* Its linears in the order in which they run: at most HEAD_LINEARS. */
#define HEAD_LINEARS 3
void head_order(const struct forward *f, const struct packed_linear **order);

/* Fills the residual stream with the embedding rows of the step's tokens. */
void embedding_run(struct forward *f);

/* cosine and sine of all rows. */
void rotary_prepare(struct forward *f);

/* Rotates queries and keys, stores keys and values in the cache, attends into f->heads; f->qkv holds the
 * projections. */
void attention_run(struct forward *f, size_t layer);
/* Plans units and tiles of the current step; called once for each step. */
void attention_plan(struct forward *f);
/* The run of at most so many rows that begins with this one. */
struct row_run attention_row_run(const struct forward *f, size_t row, size_t most);
/* Tiles of a unit by each split of each key/value head. */
size_t attention_parts(const struct attention_unit *unit);
/* Tiles that each key/value head of a unit's entry is split into when states of its chunks are merged. */
size_t attention_merges(const struct forward *f);
/* States that a step may have at once with so many threads, and the floats of one. */
size_t attention_states(const struct model_description *d, size_t threads);
size_t attention_state_floats(const struct model_description *d);

void block_run(struct forward *f, size_t layer);
/* Its linears in the order in which they run, at most BLOCK_LINEARS; returns how many. */
#define BLOCK_LINEARS 5
size_t block_order(const struct forward *f, size_t layer, const struct packed_linear **order);
