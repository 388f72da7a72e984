#include "engine/fold/quiet.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/fold/loud.h"

/* The least part of a channel's mean square over tokens that the square of its mean has. Of SmolLM2's eight loud channels it is
 * 0.77 to 0.98 of five; of those that a small model has by chance, 0.3 at most (docs/decisions.md). */
#define LEAST_PART 0.5
#define TOKENS     512 /* that are looked at, or so: as far apart as there are tokens */
/* What a quiet channel's mean square is taken to be beside the others'. The factors are fourth roots, so it need not be exact: by
 * docs/decisions.md 10, 30 and 100 do the same. */
#define LOUDNESS 30
/* Of a channel whose columns are next to nothing. */
#define LEAST_FACTOR 0.125
/* Rows of each matrix that are read, or so. */
#define ROWS         256
#define COLUMNS      256
#define NORM_LINEARS 2

/* ---- which channels ---- */

struct channel_sums {
    double sum, square;
};

/* Rows of the stream as tokens begin it, in the basis of the form. row: [width] and a scratch for it. */
static void add_tokens(const struct folded_model *c, double *row, struct channel_sums *sums) {
    const struct model_description *d = c->description;
    const size_t step = (d->vocabulary + TOKENS - 1) / TOKENS;
    for (size_t i = 0; i * step < d->vocabulary; i++) {
        folded_embedding(c, i * step, i % d->context, row, row + d->width);
        rotation_undo(&c->stream, row);
        for (size_t n = 0; n < c->loud_count; n++) {
            const double entry = c->loud[n] < c->stream_width ? row[c->loud[n]] : 0;
            sums[n].sum += entry;
            sums[n].square += entry * entry;
        }
    }
}

enum status folded_model_find_quiet(struct folded_model *c, struct error *e) {
    const size_t vocabulary = c->description->vocabulary, step = (vocabulary + TOKENS - 1) / TOKENS,
                 tokens = (vocabulary + step - 1) / step;
    struct channel_sums sums[LOUD_CHANNELS_MAX] = {{0}};
    c->quiet_count = 0;
    if (!c->loud_count) return STATUS_OK;
    double *row =
        memory_aligned(c->description->width + folded_embedding_scratch(c), sizeof *row, "quiet channels", e);
    if (!row) return STATUS_NO_MEMORY;
    add_tokens(c, row, sums);
    free(row);
    for (size_t i = 0; i < c->loud_count; i++) {
        const double part = sums[i].sum * sums[i].sum / (double)tokens;
        if (part > LEAST_PART * sums[i].square) c->quiet[c->quiet_count++] = c->loud[i];
    }
    return STATUS_OK;
}

void folded_model_assume_quiet(struct folded_model *c) {
    c->quiet_count = folded_loud_most(c);
    for (size_t i = 0; i < c->quiet_count; i++) c->quiet[i] = i;
}

/* ---- factors ---- */

/* A norm of the stream, and the linears that read it. */
struct reading {
    struct folded_norm *norm;
    struct folded_linear *linears[NORM_LINEARS];
    size_t count;
};

static struct reading reading_at(struct folded_model *c, size_t index) {
    if (index == 2 * c->description->layers)
        return (struct reading){&c->final_norm, {c->project_out.part_count ? &c->project_out : &c->head}, 1};
    const bool one_norm = c->description->residual == RESIDUAL_PARALLEL_ONE_NORM;
    struct folded_layer *layer = &c->layers[index / 2];
    if (index % 2) return (struct reading){&layer->mlp.norm, {&layer->up}, !one_norm};
    return (struct reading){&layer->attention.norm, {&layer->qkv, &layer->up}, one_norm ? 2 : 1};
}

/* Of columns: those of the quiet channels, and the sum of all. */
struct column_squares {
    double quiet[LOUD_CHANNELS_MAX], all;
};

static void add_row(const struct folded_model *c, const struct folded_linear *l, const struct matrix_view *m,
                    size_t row, struct column_squares *squares) {
    double at[COLUMNS];
    for (size_t column = 0, columns; column < c->stream_width; column += columns) {
        columns = c->stream_width - column < COLUMNS ? c->stream_width - column : COLUMNS;
        const struct matrix_part part = {row, 1, column, columns};
        matrix_read_part(m, &part, at, COLUMNS);
        for (size_t k = 0; k < columns; k++) {
            const double weight = at[k] * (l->gain ? l->gain[column + k] : 1);
            at[k] = weight * weight;
            squares->all += at[k];
        }
        for (size_t i = 0; i < c->quiet_count; i++)
            if (c->quiet[i] >= column && c->quiet[i] - column < columns)
                squares->quiet[i] += at[c->quiet[i] - column];
    }
}

static void add_linear(const struct folded_model *c, const struct folded_linear *l,
                       struct column_squares *squares) {
    for (size_t p = 0; p < l->part_count; p++) {
        const struct matrix_view *m = &l->part[p].weight;
        const size_t step = (m->out + ROWS - 1) / ROWS;
        for (size_t row = 0; row < m->out; row += step) add_row(c, l, m, row, squares);
    }
}

/* That which makes the activations finer by as much as it makes the weights coarser: of both a channel adds a part of its square
 * to each column of its block. */
static double factor_of(double square, double mean) {
    const double factor = sqrt(sqrt(square / mean / LOUDNESS));
    if (!(factor > LEAST_FACTOR)) return LEAST_FACTOR; /* and where it is no number */
    return factor < 1 ? factor : 1;
}

static void set_factors(void *context, size_t index, size_t worker) {
    struct folded_model *c = context;
    const struct reading reading = reading_at(c, index);
    struct column_squares squares = {.all = 0};
    (void)worker;
    if (!reading.count) return;
    double *quiet = reading.norm->quiet, *columns = quiet + c->stream_width;
    for (size_t i = 0; i < reading.count; i++) add_linear(c, reading.linears[i], &squares);
    for (size_t i = 0; i < c->stream_width; i++) quiet[i] = 1;
    for (size_t i = 0; i < c->quiet_count; i++)
        quiet[c->quiet[i]] = factor_of(squares.quiet[i], squares.all / (double)c->stream_width);
    for (size_t i = 0; i < c->stream_width; i++) columns[i] = 1 / quiet[i];
    for (size_t i = 0; i < reading.count; i++) reading.linears[i]->quiet = columns;
}

enum status folded_model_quieten(struct folded_model *c, struct workers *workers, struct error *e) {
    const size_t readings = 2 * c->description->layers + 1;
    if (!c->quiet_count) return STATUS_OK;
    for (size_t i = 0; i < readings; i++) {
        const struct reading reading = reading_at(c, i);
        if (!reading.count) continue;
        reading.norm->quiet = memory_aligned(2 * c->stream_width, sizeof(double), "quiet channels", e);
        if (!reading.norm->quiet) return STATUS_NO_MEMORY;
    }
    workers_run(workers, set_factors, c, readings);
    return STATUS_OK;
}

/* ---- rows ---- */

void folded_norm_quieten(const struct folded_model *c, const struct folded_norm *norm, double *row) {
    if (!norm->quiet) return;
    rotation_undo(&c->stream, row);
    for (size_t i = 0; i < c->stream_width; i++) row[i] *= norm->quiet[i];
    rotation_apply(&c->stream, row, 1, 0, c->stream.count);
}

void folded_quiet_direction(const struct folded_model *c, size_t channel, double *direction) {
    memset(direction, 0, c->stream_width * sizeof *direction);
    direction[channel] = 1;
    rotation_apply(&c->stream, direction, 1, 0, c->stream.count);
}
