#include "engine/pack/pack_rows.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "engine/base/widest.h"
#include "engine/pack/panels/panels.h"

/* Columns of a stretch, unless a rotation needs more together: with a panel's rows less than a second-level cache. */
#define COLUMNS    512
#define BLOCK_ROWS (2 * ROTATION_ORDER_MAX) /* at most, of those that are asked for */
#define COVER_ROWS (BLOCK_ROWS + ROTATION_COVER_MAX)
_Static_assert(KERNEL_PANEL <= BLOCK_ROWS, "a panel's rows are a block");

/* A block of rows at work. */
struct block {
    struct folded_block folded;
    const struct packed_linear *to;
    const struct feedback_block *feedback;
    size_t first_row;           /* of `from`: the first of `to` */
    double largest[BLOCK_ROWS]; /* as struct panels_part has it */
    double bias[COVER_ROWS], dropped[COVER_ROWS];
    double *weights; /* [COVER_ROWS][stride]: of the stretch at hand */
    size_t stride;
    bool finite; /* all that was stored so far */
};

static size_t wanted_columns(const struct packed_linear *to) {
    return COLUMNS % panels_columns_step(to->type, to->in) ? to->in : COLUMNS;
}

/* Rows of doubles are whole cache lines, and an odd number of them, so that the same column of many rows does not fall into
 * one set of a cache. */
static size_t stride_of(size_t columns) {
    return (columns + 7) / 8 * 8 | 8;
}

/* Where panels_columns_step() asks for whole rows, these are short. */
static void find_widest(const struct folded_linear *l, size_t *widest) {
    const size_t wanted = l->in < 2 * COLUMNS ? l->in : COLUMNS;
    for (size_t column = 0, end; column < l->in; column = end) {
        end = folded_columns_end(l, column, wanted);
        if (end - column > *widest) *widest = end - column;
    }
}

size_t pack_rows_scratch(const struct folded_model *c) {
    size_t widest = 0;
    for (size_t i = 0; i < c->description->layers; i++) {
        find_widest(&c->layers[i].qkv, &widest);
        find_widest(&c->layers[i].attention.output, &widest);
        find_widest(&c->layers[i].up, &widest);
        find_widest(&c->layers[i].mlp.output, &widest);
    }
    find_widest(&c->head, &widest);
    if (c->project_out.part_count) find_widest(&c->project_out, &widest);
    return stride_of(widest) * (c->rotated ? COVER_ROWS : KERNEL_PANEL);
}

WIDEST static void divide(double *restrict row, const float *restrict by, size_t count) {
    for (size_t k = 0; k < count; k++) row[k] /= (double)by[k];
}

/* Columns of the rows asked for, divided by what their activations are multiplied by. */
static struct panels_part read_part(const struct block *b, size_t column, size_t columns) {
    const struct packed_linear *to = b->to;
    double *weights = b->weights + (b->folded.first - b->folded.from) * b->stride;
    folded_block_columns(&b->folded, column, columns, b->weights, b->stride);
    for (size_t r = 0; to->smoothing && r < b->folded.count; r++)
        divide(weights + r * b->stride, to->smoothing + column, columns);
    return (struct panels_part){
        .type = to->type,
        .n = to->out,
        .k = to->in,
        .row = b->folded.first - b->first_row,
        .rows = b->folded.count,
        .column = column,
        .columns = columns,
        .w = weights,
        .stride = b->stride,
        .largest = b->largest,
        .feedback = b->folded.linear->reads_stream ? b->feedback : NULL,
    };
}

static void measure_part(struct block *b, const struct panels_part *part) {
    panels_measure(part, b->largest);
}

static void store_part(struct block *b, const struct panels_part *part) {
    const struct packed_linear *to = b->to;
    if (to->matmul == MATMUL_OWN) {
        b->finite = panels_pack_part(part, to->weights) && b->finite;
        return;
    }
    float *row = (float *)to->weights + part->row * to->in + part->column;
    for (size_t r = 0; r < part->rows; r++, row += to->in)
        for (size_t k = 0; k < part->columns; k++) {
            row[k] = (float)part->w[r * part->stride + k];
            b->finite = isfinite(row[k]) && b->finite;
        }
}

/* Folds the block, and hands each of its stretches of columns to `take`. */
static void each_part(struct block *b, void (*take)(struct block *b, const struct panels_part *part)) {
    const struct folded_linear *from = b->folded.linear;
    const size_t wanted = wanted_columns(b->to);
    for (size_t column = 0, end; column < from->in; column = end) {
        end = folded_columns_end(from, column, wanted);
        b->stride = stride_of(end - column);
        const struct panels_part part = read_part(b, column, end - column);
        take(b, &part);
    }
}

/* int4 needs to know the largest weight of a whole row before it packs the first: folding twice is less than keeping the
 * rows, which then are in no near cache. */
static void pack_block(struct block *b, const struct folded_linear *from, size_t first, size_t count) {
    folded_block_begin(&b->folded, from, first, count);
    assert(b->folded.end - b->folded.from <= COVER_ROWS && count <= BLOCK_ROWS);
    memset(b->largest, 0, sizeof b->largest);
    if (b->to->type == WEIGHT_TYPE_INT4) each_part(b, measure_part);
    each_part(b, store_part);
    for (size_t r = 0; b->to->bias && r < count; r++) {
        float *bias = &b->to->bias[first - b->first_row + r];
        *bias = (float)b->bias[first - b->folded.from + r];
        b->finite = *bias <= FLT_MAX && b->finite; /* that of a token which never comes is -infinity */
    }
}

bool pack_rows(const struct folded_linear *from, size_t first_row, const struct packed_linear *to,
               size_t first, size_t count, const struct feedback_block *feedback,
               double *scratch) { // NOLINT(readability-non-const-parameter)
    struct block block = {
        .to = to, .feedback = feedback, .first_row = first_row, .weights = scratch, .finite = true};
    const size_t end = first_row + first + count;
    block.folded.bias = block.bias;
    block.folded.dropped = block.dropped;
    for (size_t row = first_row + first, next; row < end; row = next) {
        next = rotation_block_end(&from->rotate_out, row, KERNEL_PANEL);
        if (next > end) next = end;
        pack_block(&block, from, row, next - row);
    }
    return block.finite;
}
