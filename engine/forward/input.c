/* What linears read: operations on rows, such as norms, deferred until a linear reads the rows, and the conversion of these.
 * A row goes through all of it at once, out of the nearest cache, and the workers have one run for it. */
#include <assert.h>
#include <string.h>

#include "engine/forward/state.h"

/* Where rows are fewer than threads they are split by columns too, as many as are rotated together. */
#define PART_COLUMNS     ((size_t)KERNEL_HADAMARD_ORDER * KERNEL_LANES)
#define PARTS_MIN        3 /* of a step that would have no run else: with fewer it takes longer */
#define PART_THREADS_MIN 4

/* ---- deferred operations ---- */

static void run_deferred(struct forward *f, size_t row, size_t worker) {
    for (size_t i = 0; i < f->deferred_count; i++)
        f->deferred[i].fn(f, row, 1, f->deferred[i].context, worker);
}

static void deferred_block(struct forward *f, size_t first, size_t count, const void *context,
                           size_t worker) {
    (void)context;
    for (size_t r = first; r < first + count; r++) run_deferred(f, r, worker);
}

void forward_flush(struct forward *f) {
    if (f->deferred_count > 0) forward_each_block(f, f->deferred_rows, deferred_block, NULL);
    f->deferred_count = 0;
}

void forward_defer(struct forward *f, size_t rows, forward_rows_fn fn, const void *context, size_t bytes) {
    assert(f->deferred_count == 0 || f->deferred_rows == rows);
    assert(f->deferred_count < DEFERRED_MAX && bytes <= sizeof f->deferred->context);
    struct deferred_op *op = &f->deferred[f->deferred_count++];
    f->deferred_rows = rows;
    op->fn = fn;
    if (bytes > 0) memcpy(op->context, context, bytes);
}

/* ---- norms ---- */

struct norm_call {
    const struct packed_norm *norm;
    const float *x;
};

static void scale_block(struct forward *f, size_t first, size_t count, const void *context, size_t worker) {
    (void)worker;
    const struct norm_call *call = context;
    const struct packed_norm *norm = call->norm;
    const float *x = call->x + first * f->stream_stride;
    f->kernels->row_scales(norm->kind, x, f->stream_stride, count, norm->width, norm->divisor, norm->eps,
                           f->row_scales + first);
    if (norm->quiet)
        f->kernels->scale_directions(&f->model->quiet.directions, x, f->stream_stride, count, norm->width,
                                     norm->quiet, f->normed + first * f->stream_stride, f->stream_stride);
}

static void normalize_block(struct forward *f, size_t first, size_t count, const void *context,
                            size_t worker) {
    (void)worker;
    const struct norm_call *call = context;
    const struct packed_norm *norm = call->norm;
    f->kernels->normalize_rows(norm->kind, call->x + first * f->stream_stride, f->stream_stride, count,
                               norm->width, norm->divisor, norm->eps, norm->gain, norm->bias,
                               f->normed + first * f->stream_stride, f->stream_stride);
}

// NOLINTNEXTLINE(readability-non-const-parameter): the linear behind it may rotate it
struct norm_output norm_defer(struct forward *f, const struct packed_norm *norm, float *x, size_t rows) {
    const struct norm_call call = {.norm = norm, .x = x};
    struct norm_output output = {.x = x, .stride = f->stream_stride};
    if (!norm->folded) {
        forward_defer(f, rows, normalize_block, &call, sizeof call);
        output.x = f->normed;
    } else if (norm->kind != ROW_NORM_NONE) {
        forward_defer(f, rows, scale_block, &call, sizeof call);
        if (norm->quiet) output.x = f->normed;
        output.row_scale = f->row_scales;
    }
    return output;
}

void norm_rows(const struct forward *f, const struct packed_norm *norm, float *x, size_t rows) {
    f->kernels->normalize_rows(norm->kind, x, f->stream_stride, rows, norm->width, norm->divisor, norm->eps,
                               norm->gain, norm->bias, x, f->stream_stride);
}

/* ---- conversion ---- */

/* Columns [first, end) of a row of a linear, rotated where that is due and as low-precision weights need them. */
static void convert_columns(const struct forward *f, const struct linear_inputs *inputs, size_t index,
                            size_t row, size_t first, size_t end) {
    const struct linear_call *call = inputs->call[index];
    const struct packed_linear *linear = call->linear;
    if (linear->type == WEIGHT_TYPE_F32) return;
    const bool all = first == 0 && end == linear->in;
    const struct activation_rows rows = {
        .x = call->x,
        .x_stride = call->x_stride,
        .k = linear->in,
        .smoothing = linear->smoothing,
        .out = inputs->rows[index],
        .first = first,
        .end = all ? 0 : end,
    };
    if (linear->rotates_rows)
        f->kernels->hadamard_rows(call->x + row * call->x_stride + first, call->x_stride, 1, end - first);
    f->kernels->convert_activations[linear->type](&rows, row, 1);
}

static bool converts(const struct linear_inputs *inputs) {
    for (size_t i = 0; i < inputs->count; i++)
        if (inputs->call[i]->linear->type != WEIGHT_TYPE_F32) return true;
    return false;
}

static void prepare_block(struct forward *f, size_t first, size_t count, const void *context, size_t worker) {
    const struct linear_inputs *inputs = context;
    for (size_t r = first; r < first + count; r++) {
        const struct linear_call *call = inputs->call[0];
        run_deferred(f, r, worker);
        if (!inputs->made) call->make(f, r, 1, 0, call->linear->in);
        for (size_t i = 0; i < inputs->count; i++)
            convert_columns(f, inputs, i, r, 0, inputs->call[i]->linear->in);
    }
}

/* ---- by columns ---- */

/* Parts of a row of so many columns that may be split behind multiples of step, 0: nowhere; 1: it is not worth it. */
static size_t parts_of(const struct forward *f, size_t rows, size_t columns, size_t step) {
    const size_t threads = workers_count(f->workers), parts = columns / PART_COLUMNS;
    if (threads < PART_THREADS_MIN || rows >= threads || step == 0 || PART_COLUMNS % step != 0) return 1;
    return parts < (rows < ROWS_MIN ? PARTS_MIN : 2) ? 1 : parts;
}

struct part_run {
    struct forward *forward;
    const struct linear_inputs *inputs; /* of one linear */
    size_t parts;
    bool converts;
};

/* The last has what is left. */
static void prepare_part(void *context, size_t tile, size_t worker) {
    (void)worker;
    const struct part_run *run = context;
    const struct linear_call *call = run->inputs->call[0];
    const size_t row = tile / run->parts, part = tile % run->parts, first = part * PART_COLUMNS,
                 end = part + 1 < run->parts ? first + PART_COLUMNS : call->linear->in;
    if (!run->inputs->made) call->make(run->forward, row, 1, first, end - first);
    if (run->converts) convert_columns(run->forward, run->inputs, 0, row, first, end);
}

static void prepare_parts(struct forward *f, const struct linear_inputs *inputs, size_t parts,
                          bool converting) {
    struct part_run run = {.forward = f, .inputs = inputs, .parts = parts, .converts = converting};
    workers_run(f->workers, prepare_part, &run, inputs->call[0]->rows * parts);
}

void inputs_prepare(struct forward *f, struct linear_inputs *inputs) {
    const struct linear_call *call = inputs->call[0];
    const struct packed_linear *linear = call->linear;
    const size_t step = kernel_conversion_step(linear->type, linear->in);
    const bool converting = converts(inputs), by_columns = f->deferred_count == 0 && inputs->count == 1;
    assert(f->deferred_count == 0 || f->deferred_rows == call->rows);
    assert(!call->make || inputs->count == 1);
    f->stage = FORWARD_STAGE_INPUTS;
    inputs->made |= !call->make;
    size_t parts = by_columns && converting ? parts_of(f, call->rows, linear->in, step) : 1;
    if (parts > 1) {
        prepare_parts(f, inputs, parts, true);
        return;
    }
    parts = by_columns && !inputs->made ? parts_of(f, call->rows, linear->in, 1) : 1;
    if (parts > 1) {
        prepare_parts(f, inputs, parts, false);
        inputs->made = true;
    }
    if (f->deferred_count > 0 || !inputs->made || converting)
        forward_each_block(f, call->rows, prepare_block, inputs);
    f->deferred_count = 0;
}

static void make_block(struct forward *f, size_t first, size_t count, const void *context, size_t worker) {
    (void)worker;
    const struct linear_call *call = context;
    call->make(f, first, count, 0, call->linear->in);
}

void inputs_make(struct forward *f, const struct linear_call *call) {
    forward_flush(f);
    if (call->make) forward_each_block(f, call->rows, make_block, call);
}
