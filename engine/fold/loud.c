#include "engine/fold/loud.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/fold/row_squares.h"

/* Of a channel's squares over the median. Where channels are known to be loud it is 1.7 and more, for the others of the same
 * model 1.13 at most (docs/decisions.md). */
#define LOUD_RATIO 1.5
/* The part of the channels that may be loud: one of those that a block of a rotation mixes, in the mean. */
#define LOUD_PART 64

struct search {
    const struct folded_model *model;
    double *squares; /* [width] */
};

/* What is added to the stream is the projection's output times these. */
static void add_squares(const struct folded_linear *output, size_t first, size_t count, double *sums) {
    double squares[ROW_SQUARES_ROWS];
    row_squares_read(&output->part[0].weight, first, count, squares);
    for (size_t r = 0; r < count; r++) {
        const double scale = output->weight_scale * (output->out_scale ? output->out_scale[first + r] : 1);
        sums[r] += scale * scale * squares[r];
    }
}

/* A few channels in all layers, in the order of these. */
static void measure_channels(void *context, size_t tile, size_t worker) {
    const struct search *s = context;
    const struct folded_model *c = s->model;
    const size_t first = tile * ROW_SQUARES_ROWS, left = c->description->width - first;
    const size_t count = left < ROW_SQUARES_ROWS ? left : ROW_SQUARES_ROWS;
    double *sums = s->squares + first;
    (void)worker;
    memset(sums, 0, count * sizeof *sums);
    for (size_t i = 0; i < c->description->layers; i++) {
        add_squares(&c->layers[i].attention.output, first, count, sums);
        add_squares(&c->layers[i].mlp.output, first, count, sums);
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

/* Takes the loudest channel: its squares become 0, so that the next call takes the next. */
static size_t take_loudest(double *squares, size_t count) {
    size_t found = 0;
    for (size_t i = 1; i < count; i++)
        if (squares[i] > squares[found]) found = i;
    squares[found] = 0;
    return found;
}

/* squares: destroyed. */
static void choose(struct folded_model *c, double *squares, double *scratch) {
    const size_t width = c->description->width;
    const double bound = LOUD_RATIO * median_of(squares, width, scratch);
    size_t loud = 0, most = (width + LOUD_PART - 1) / LOUD_PART;
    for (size_t i = 0; i < width; i++) loud += squares[i] > bound;
    if (most > LOUD_CHANNELS_MAX) most = LOUD_CHANNELS_MAX;
    c->loud_count = loud < most ? loud : most;
    for (size_t i = 0; i < c->loud_count; i++) c->loud[i] = take_loudest(squares, width);
}

enum status folded_model_find_loud(struct folded_model *c, struct workers *workers, struct error *e) {
    const size_t width = c->description->width;
    c->loud_count = 0;
    if (!c->stream.order) return STATUS_OK;
    struct search s = {.model = c,
                       .squares = memory_aligned(2 * width, sizeof *s.squares, "loud channels", e)};
    if (!s.squares) return STATUS_NO_MEMORY;
    workers_run(workers, measure_channels, &s, (width + ROW_SQUARES_ROWS - 1) / ROW_SQUARES_ROWS);
    choose(c, s.squares, s.squares + width);
    free(s.squares);
    return STATUS_OK;
}

void folded_stream_direction(const struct folded_model *c, size_t channel, double *direction) {
    memset(direction, 0, c->description->width * sizeof *direction);
    direction[channel] = 1;
    folded_stream_convert(c, direction);
    rotation_apply(&c->stream, direction, 1, 0, c->stream.count);
}
