#include "engine/fold/loud.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/fold/row_squares.h"

/* Of a channel's size over the median's. Of SmolLM2's channels eight are beyond, 1.11 to 6.8, and 1.08 is the next; random rows
 * of as many columns and layers stay below 1.05 (docs/decisions.md). */
#define LOUD_RATIO 1.1
/* The part of the channels that may be loud: one of those that a block of a rotation mixes, in the mean. */
#define LOUD_PART 64

struct search {
    const struct folded_model *model;
    double *sizes; /* [width]: their squares: sums of squares of the rows' squares */
};

/* Squares of squares, so that a channel that some layers write loudly stands out beside those that all write a little. */
static void add_sizes(const struct folded_linear *output, size_t first, size_t count, double *sums) {
    double squares[ROW_SQUARES_ROWS];
    row_squares_read(&output->part[0].weight, first, count, squares);
    for (size_t r = 0; r < count; r++) {
        const double scale = output->weight_scale * (output->out_scale ? output->out_scale[first + r] : 1);
        const double square = scale * scale * squares[r];
        sums[r] += square * square;
    }
}

/* A few channels in all layers, in the order of these. */
static void measure_channels(void *context, size_t tile, size_t worker) {
    const struct search *s = context;
    const struct folded_model *c = s->model;
    const size_t first = tile * ROW_SQUARES_ROWS, left = c->description->width - first;
    const size_t count = left < ROW_SQUARES_ROWS ? left : ROW_SQUARES_ROWS;
    double *sums = s->sizes + first;
    (void)worker;
    memset(sums, 0, count * sizeof *sums);
    for (size_t i = 0; i < c->description->layers; i++) {
        add_sizes(&c->layers[i].attention.output, first, count, sums);
        add_sizes(&c->layers[i].mlp.output, first, count, sums);
    }
    for (size_t r = 0; r < count; r++)
        if (!isfinite(sums[r])) sums[r] = 0;
}

static int by_size(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median_of(const double *values, size_t count, double *sorted) {
    memcpy(sorted, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, by_size);
    return sorted[count / 2];
}

/* Takes the loudest channel: its size becomes 0, so that the next call takes the next. */
static size_t take_loudest(double *sizes, size_t count) {
    size_t found = 0;
    for (size_t i = 1; i < count; i++)
        if (sizes[i] > sizes[found]) found = i;
    sizes[found] = 0;
    return found;
}

size_t folded_loud_most(const struct folded_model *c) {
    const size_t most = (c->description->width + LOUD_PART - 1) / LOUD_PART;
    return most < LOUD_CHANNELS_MAX ? most : LOUD_CHANNELS_MAX;
}

/* sizes: destroyed. scratch: [width]. */
static void choose(struct folded_model *c, double *sizes, double *scratch) {
    const size_t width = c->description->width;
    const double bound = LOUD_RATIO * LOUD_RATIO * median_of(sizes, width, scratch);
    const size_t most = folded_loud_most(c);
    size_t loud = 0;
    for (size_t i = 0; i < width; i++) loud += sizes[i] > bound;
    c->loud_count = loud < most ? loud : most;
    for (size_t i = 0; i < c->loud_count; i++) c->loud[i] = take_loudest(sizes, width);
}

enum status folded_model_find_loud(struct folded_model *c, struct workers *workers, struct error *e) {
    const size_t width = c->description->width;
    c->loud_count = 0;
    if (!c->stream.order) return STATUS_OK;
    struct search s = {.model = c, .sizes = memory_aligned(2 * width, sizeof *s.sizes, "loud channels", e)};
    if (!s.sizes) return STATUS_NO_MEMORY;
    workers_run(workers, measure_channels, &s, (width + ROW_SQUARES_ROWS - 1) / ROW_SQUARES_ROWS);
    choose(c, s.sizes, s.sizes + width);
    free(s.sizes);
    return STATUS_OK;
}

void folded_stream_direction(const struct folded_model *c, size_t channel, double *direction) {
    memset(direction, 0, c->description->width * sizeof *direction);
    direction[channel] = 1;
    folded_stream_convert(c, direction);
    rotation_apply(&c->stream, direction, 1, 0, c->stream.count);
}
