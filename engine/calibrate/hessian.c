#include "engine/calibrate/hessian.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"

/* Rows of H that a tile computes against one panel: its part of the columns stays in a core's caches. */
#define TILE_ROWS HESSIAN_STRETCH_STEP

static size_t lower(size_t a, size_t b) {
    return a < b ? a : b;
}

/* ---- memory ---- */

static size_t divide_up(size_t a, size_t b) {
    return (a + b - 1) / b;
}

size_t hessian_stretches_max(size_t in_max, size_t stretch_max) {
    return divide_up(in_max, stretch_max);
}

size_t hessian_width_max(size_t in_max, size_t stretch_max) {
    return lower(in_max, stretch_max);
}

static void cut(struct hessian *h) {
    const size_t count = divide_up(h->in, h->stretch_max), even = divide_up(h->in, count);
    h->stretch = count == 1 ? h->in : divide_up(even, HESSIAN_STRETCH_STEP) * HESSIAN_STRETCH_STEP;
    h->stretches = divide_up(h->in, h->stretch);
}

static size_t padded(size_t in) {
    return divide_up(in, TILE_ROWS) * TILE_ROWS;
}

static size_t sums_max(size_t in_max, size_t stretch_max) {
    const size_t width = hessian_width_max(in_max, stretch_max);
    return hessian_stretches_max(in_max, stretch_max) * width * width;
}

size_t hessian_bytes(size_t in_max, size_t stretch_max, size_t rows_max) {
    return sums_max(in_max, stretch_max) * sizeof(double) + 2 * padded(in_max) * rows_max * sizeof(float);
}

enum status hessian_init(struct hessian *h, size_t in_max, size_t stretch_max, size_t rows_max,
                         struct error *e) {
    *h = (struct hessian){.rows_max = rows_max, .stretch_max = stretch_max};
    h->sums = memory_aligned_unset(sums_max(in_max, stretch_max), sizeof *h->sums, "sums of inputs", e);
    h->panels = memory_aligned(padded(in_max) * rows_max, sizeof *h->panels, "rows of inputs", e);
    h->columns = memory_aligned(padded(in_max) * rows_max, sizeof *h->columns, "rows of inputs", e);
    if (h->sums && h->panels && h->columns) return STATUS_OK;
    hessian_deinit(h);
    return STATUS_NO_MEMORY;
}

void hessian_deinit(struct hessian *h) {
    free(h->sums);
    free(h->panels);
    free(h->columns);
    *h = (struct hessian){0};
}

void hessian_begin(struct hessian *h, size_t in) {
    h->in = in;
    cut(h);
    memset(h->sums, 0, h->stretches * h->stretch * h->stretch * sizeof *h->sums);
}

size_t hessian_stretch(const struct hessian *h, size_t stretch, size_t *first, double **sums) {
    *first = stretch * h->stretch;
    const size_t width = lower(h->stretch, h->in - *first);
    *sums = h->sums + stretch * h->stretch * h->stretch;
    return width;
}

/* ---- a block of rows ---- */

struct adding {
    struct hessian *h;
    const struct hessian_rows *rows;
    const struct kernel_table *kernels;
};

/* One panel: channels that do not exist are zeros. */
static void lay_out_panel(void *context, size_t panel, size_t worker) {
    (void)worker;
    const struct adding *a = context;
    const struct hessian_rows *rows = a->rows;
    const size_t first = panel * KERNEL_PANEL, in = a->h->in;
    const size_t width = first < in ? lower(KERNEL_PANEL, in - first) : 0;
    float *out = a->h->panels + first * rows->rows, *columns = a->h->columns + first * rows->rows;
    for (size_t r = 0; r < rows->rows; r++) {
        const float *x = rows->x + r * rows->stride + first;
        const float scale = rows->row_scale ? rows->row_scale[r] : 1;
        for (size_t n = 0; n < KERNEL_PANEL; n++) {
            float value = n < width ? x[n] * scale : 0;
            if (n < width && rows->smoothing) value *= rows->smoothing[first + n];
            out[r * KERNEL_PANEL + n] = columns[n * rows->rows + r] = value;
        }
    }
}

/* Columns of one panel by the rows of H from its diagonal on, in blocks: the products of all rows of the stretch. */
static void add_panel(void *context, size_t panel, size_t worker) {
    (void)worker;
    const struct adding *a = context;
    struct hessian *h = a->h;
    const size_t column = panel * KERNEL_PANEL, rows = a->rows->rows;
    double *sums;
    size_t first;
    const size_t width = hessian_stretch(h, column / h->stretch, &first, &sums);
    float products[TILE_ROWS * KERNEL_PANEL];
    for (size_t row = (column - first) / TILE_ROWS * TILE_ROWS; row < width; row += TILE_ROWS) {
        const struct gemm m = {.x = h->columns + (first + row) * rows,
                               .x_stride = rows,
                               .panels = h->panels + column * rows,
                               .k = rows,
                               .n = KERNEL_PANEL,
                               .out = products,
                               .out_stride = KERNEL_PANEL};
        const size_t count = lower(TILE_ROWS, width - row);
        a->kernels->gemm_f32(&m, 0, count, 0, 1);
        for (size_t r = 0; r < count; r++) {
            const size_t diagonal = row + r + 1 > column - first ? row + r + 1 - (column - first) : 0;
            double *out = sums + (row + r) * width + (column - first);
            for (size_t n = 0; n < lower(KERNEL_PANEL, diagonal); n++)
                out[n] += products[r * KERNEL_PANEL + n];
        }
    }
}

void hessian_add(struct hessian *h, const struct hessian_rows *rows, const struct kernel_table *kernels,
                 struct workers *workers) {
    struct adding a = {.h = h, .rows = rows, .kernels = kernels};
    assert(rows->rows > 0 && rows->rows <= h->rows_max);
    workers_run(workers, lay_out_panel, &a, padded(h->in) / KERNEL_PANEL);
    workers_run(workers, add_panel, &a, kernel_panels(h->in));
}
