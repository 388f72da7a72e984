/* Times single kernels of every instruction set that runs here, in one thread, on the shapes of GPT-2 124M.
 * Weights and caches come from memory, as in a step of the model: calls go through as many copies as fill
 * COPIES_BYTES. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/kernel/kernel.h"
#include "engine/pack/panels/panels.h"
#include "engine/tools/tools.h"

#define WIDTH        768
#define HIDDEN       3072 /* whole panels */
#define VOCABULARY   50257
#define HEAD_DIM     64
#define CONTEXT      1024
#define ROWS_MAX     128
#define COPIES_BYTES ((size_t)128 << 20)
#define RUN_SECONDS  2e-3 /* calls of one run, at least */

struct work;
typedef void (*work_fn)(struct bench_kernels *b, const struct kernel_table *k, const struct work *w);

/* One line of the table: an operation on so many rows. type: of weights or cache. */
struct work {
    const char *operation;
    int type;
    size_t rows;
    work_fn run;
};

struct bench_kernels {
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t table_count;
    const struct work *prepared; /* whose weights or cache are in copies */
    unsigned char *copies;
    size_t copy_bytes, copy_count, next;
    float *x, *out;     /* [ROWS_MAX, HIDDEN], and a row of the vocabulary */
    unsigned char *low; /* converted rows */
    uint32_t pages[CONTEXT / KERNEL_LANES];
};

/* ---- the calls ---- */

static const unsigned char *next_copy(struct bench_kernels *b) {
    return b->copies + b->next++ % b->copy_count * b->copy_bytes;
}

static struct gemm gemm_of(struct bench_kernels *b) {
    return (struct gemm){.x = b->x,
                         .x_stride = WIDTH,
                         .panels = (const float *)(const void *)next_copy(b),
                         .k = WIDTH,
                         .n = HIDDEN,
                         .out = b->out,
                         .out_stride = HIDDEN};
}

static void run_gemm(struct bench_kernels *b, const struct kernel_table *k, const struct work *w) {
    const struct gemm m = gemm_of(b);
    const struct lowp_gemm lowp = {.base = m, .x = b->low, .panels = (const void *)m.panels};
    if (w->type == WEIGHT_TYPE_F32)
        k->gemm_f32(&m, 0, w->rows, 0, kernel_panels(HIDDEN));
    else
        k->gemm_lowp[w->type](&lowp, 0, w->rows, 0, kernel_panels(HIDDEN));
}

static void run_convert(struct bench_kernels *b, const struct kernel_table *k, const struct work *w) {
    const struct activation_rows rows = {.x = b->x, .x_stride = WIDTH, .k = WIDTH, .out = b->low};
    k->convert_activations[w->type](&rows, 0, w->rows);
}

static void run_epilogue(struct bench_kernels *b, const struct kernel_table *k, const struct work *w) {
    struct gemm m = gemm_of(b);
    m.activation = ACTIVATION_GELU_TANH;
    k->epilogue_rows(&m, b->x, HIDDEN, 0, w->rows);
}

static void run_row_scales(struct bench_kernels *b, const struct kernel_table *k, const struct work *w) {
    k->row_scales(ROW_NORM_CRMS, b->x, WIDTH, w->rows, WIDTH, WIDTH + 1, 1e-5f, b->out);
}

/* Of a few channels, one block of a rotation each. */
static void run_directions(struct bench_kernels *b, const struct kernel_table *k, const struct work *w) {
    enum { COLUMNS = KERNEL_HADAMARD_ORDER };
    static const size_t first[] = {0, COLUMNS, 2 * COLUMNS, 3 * COLUMNS, 4 * COLUMNS};
    const struct row_directions d = {
        .count = sizeof first / sizeof *first, .columns = COLUMNS, .first = first, .entries = b->x};
    k->scale_directions(&d, b->x, WIDTH, w->rows, WIDTH, b->x, b->out, WIDTH);
}

static void run_normalize(struct bench_kernels *b, const struct kernel_table *k, const struct work *w) {
    k->normalize_rows(ROW_NORM_LAYERNORM, b->x, WIDTH, w->rows, WIDTH, WIDTH, 1e-5f, NULL, NULL, b->out,
                      WIDTH);
}

static void run_gate(struct bench_kernels *b, const struct kernel_table *k, const struct work *w) {
    k->gate_rows(ACTIVATION_SILU, b->x, b->x, HIDDEN, w->rows, HIDDEN, b->out, HIDDEN);
}

static void run_hadamard(struct bench_kernels *b, const struct kernel_table *k, const struct work *w) {
    k->hadamard_rows(b->out, HIDDEN, w->rows, HIDDEN);
}

static void run_rotate(struct bench_kernels *b, const struct kernel_table *k, const struct work *w) {
    for (size_t r = 0; r < w->rows; r++)
        k->rotate(b->out + r * HEAD_DIM, HEAD_DIM / 2, false, b->x, b->x + HEAD_DIM);
}

static void run_argmax(struct bench_kernels *b, const struct kernel_table *k, const struct work *w) {
    (void)w;
    b->out[0] = (float)k->argmax(b->x, VOCABULARY);
}

static void run_exp_sum(struct bench_kernels *b, const struct kernel_table *k, const struct work *w) {
    (void)w;
    b->out[0] = k->exp_sum(b->x, VOCABULARY, 1, 1);
}

static struct kv_head head_of(const struct work *w) {
    const enum kv_type type = (enum kv_type)w->type;
    const size_t elements = KERNEL_LANES * HEAD_DIM * kv_type_bytes(type);
    return (struct kv_head){.type = type,
                            .values = elements,
                            .key_scales = 2 * elements,
                            .value_scales = 2 * elements + KERNEL_LANES * sizeof(float)};
}

static size_t page_bytes(const struct work *w) {
    return head_of(w).value_scales + KERNEL_LANES * sizeof(float);
}

static void run_store(struct bench_kernels *b, const struct kernel_table *k, const struct work *w) {
    const struct kv_head head = head_of(w);
    k->store_kv(&head, b->low, 0, w->rows, HEAD_DIM, b->x, b->x + w->rows * HEAD_DIM, HEAD_DIM);
}

static void run_attention(struct bench_kernels *b, const struct kernel_table *k, const struct work *w) {
    struct attention_row rows[ROWS_MAX];
    for (size_t i = 0; i < w->rows; i++)
        rows[i] = (struct attention_row){.q = b->x + i * HEAD_DIM,
                                         .out = b->out + i * HEAD_DIM,
                                         .pages = b->pages,
                                         .position = CONTEXT - w->rows + i};
    const struct attention a = {.rows = rows,
                                .group = 1,
                                .head_dim = HEAD_DIM,
                                .scale = 0.125f,
                                .pool = next_copy(b),
                                .cache = head_of(w),
                                .page_tokens = KERNEL_LANES,
                                .page_stride = page_bytes(w)};
    k->attention(&a, 0, w->rows);
}

#define GEMMS(type)                                                                                          \
    {"gemm", type, 1, run_gemm}, {"gemm", type, 4, run_gemm}, {"gemm", type, 16, run_gemm}, {                \
        "gemm", type, ROWS_MAX, run_gemm                                                                     \
    }
static const struct work works[] = {
    GEMMS(WEIGHT_TYPE_F32),
    GEMMS(WEIGHT_TYPE_BF16),
    GEMMS(WEIGHT_TYPE_INT8),
    GEMMS(WEIGHT_TYPE_INT4),
    {"attention", KV_TYPE_F32, 1, run_attention},
    {"attention", KV_TYPE_F32, ROWS_MAX, run_attention},
    {"attention", KV_TYPE_F16, 1, run_attention},
    {"attention", KV_TYPE_F16, ROWS_MAX, run_attention},
    {"attention", KV_TYPE_BF16, 1, run_attention},
    {"attention", KV_TYPE_BF16, ROWS_MAX, run_attention},
    {"attention", KV_TYPE_INT8, 1, run_attention},
    {"attention", KV_TYPE_INT8, ROWS_MAX, run_attention},
    {"convert", WEIGHT_TYPE_BF16, 16, run_convert},
    {"convert", WEIGHT_TYPE_INT8, 16, run_convert},
    {"epilogue", WEIGHT_TYPE_F32, 16, run_epilogue},
    {"row_scales", WEIGHT_TYPE_F32, 16, run_row_scales},
    {"directions", WEIGHT_TYPE_F32, 16, run_directions},
    {"normalize", WEIGHT_TYPE_F32, 16, run_normalize},
    {"gate", WEIGHT_TYPE_F32, 16, run_gate},
    {"hadamard", WEIGHT_TYPE_F32, 16, run_hadamard},
    {"rotate", WEIGHT_TYPE_F32, 16, run_rotate},
    {"store_kv", KV_TYPE_F32, 16, run_store},
    {"store_kv", KV_TYPE_F16, 16, run_store},
    {"store_kv", KV_TYPE_BF16, 16, run_store},
    {"store_kv", KV_TYPE_INT8, 16, run_store},
    {"argmax", WEIGHT_TYPE_F32, 1, run_argmax},
    {"exp_sum", WEIGHT_TYPE_F32, 1, run_exp_sum},
};

/* ---- what they read ---- */

static void fill_random(float *x, size_t count) {
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(state >> 8) * 0x1p-24f - 0.5f;
    }
}

static void make_cache(struct bench_kernels *b, const struct work *w) {
    const struct kv_head head = head_of(w);
    for (size_t i = 0; i < CONTEXT; i++)
        kernel_scalar()->store_kv(&head, b->copies + i / KERNEL_LANES * page_bytes(w), i % KERNEL_LANES, 1,
                                  HEAD_DIM, b->x + i * 7, b->x + i * 5, 0);
    b->copy_bytes = CONTEXT / KERNEL_LANES * page_bytes(w);
}

static enum status make_weights(struct bench_kernels *b, const struct work *w, struct error *e) {
    double *rows = memory_aligned((size_t)KERNEL_PANEL * WIDTH, sizeof *rows, "bench", e);
    if (!rows) return STATUS_NO_MEMORY;
    for (size_t i = 0; i < (size_t)KERNEL_PANEL * WIDTH; i++) rows[i] = (double)b->x[i];
    for (size_t first = 0; first < HIDDEN; first += KERNEL_PANEL)
        panels_pack((enum weight_type)w->type, rows, first, KERNEL_PANEL, WIDTH, b->copies);
    b->copy_bytes = kernel_panels(HIDDEN) * kernel_panel_bytes((enum weight_type)w->type, WIDTH);
    free(rows);
    return STATUS_OK;
}

static enum status prepare(struct bench_kernels *b, const struct work *w, const struct kernel_table *k,
                           struct error *e) {
    enum status status = STATUS_OK;
    if (w->run == run_gemm && w->type != WEIGHT_TYPE_F32) run_convert(b, k, w); /* in the form of its set */
    if (b->prepared && b->prepared->run == w->run && b->prepared->type == w->type) return status;
    b->copy_bytes = KERNEL_ALIGN;
    if (w->run == run_gemm) status = make_weights(b, w, e);
    if (w->run == run_attention) make_cache(b, w);
    b->copy_count = COPIES_BYTES / b->copy_bytes;
    for (size_t i = 1; i < b->copy_count && b->copy_bytes > KERNEL_ALIGN; i++)
        memcpy(b->copies + i * b->copy_bytes, b->copies, b->copy_bytes);
    b->prepared = w;
    return status;
}

/* Bytes that must come from memory, and operations; a pair of query and key counts twice: score and value. */
static void set_cost(struct bench_kernel *line, const struct work *w) {
    const double rows = (double)w->rows;
    if (w->run == run_gemm) {
        line->bytes = (double)(kernel_panels(HIDDEN) * kernel_panel_bytes((enum weight_type)w->type, WIDTH));
        line->flops[w->type] = 2 * rows * WIDTH * HIDDEN;
    } else if (w->run == run_attention) {
        const size_t blocks = CONTEXT / KERNEL_LANES;
        line->bytes = (double)(blocks * page_bytes(w));
        line->flops[WEIGHT_TYPE_F32] = 4 * HEAD_DIM * rows * (CONTEXT - (rows - 1) / 2);
    }
}

/* ---- the interface ---- */

size_t bench_kernels_isas(const struct bench_kernels *b) {
    return b->table_count;
}

size_t bench_kernels_count(const struct bench_kernels *b) {
    return b->table_count * (sizeof works / sizeof *works);
}

void bench_kernels_at(const struct bench_kernels *b, size_t index, struct bench_kernel *out) {
    const struct kernel_table *k = b->tables[index % b->table_count];
    const struct work *w = &works[index / b->table_count];
    const bool cached = w->run == run_attention || w->run == run_store;
    *out = (struct bench_kernel){.set = k->isa,
                                 .isa = k->name,
                                 .operation = w->operation,
                                 .type = cached ? kv_type_name((enum kv_type)w->type)
                                                : weight_type_name((enum weight_type)w->type),
                                 .rows = w->rows};
    set_cost(out, w);
}

static double time_calls(struct bench_kernels *b, const struct work *w, const struct kernel_table *k,
                         size_t calls) {
    double start = clock_seconds();
    for (size_t i = 0; i < calls; i++) w->run(b, k, w);
    return (clock_seconds() - start) / (double)calls;
}

enum status bench_kernels_run(struct bench_kernels *b, size_t index, double *seconds, struct error *e) {
    const struct kernel_table *k = b->tables[index % b->table_count];
    const struct work *w = &works[index / b->table_count];
    enum status status = prepare(b, w, k, e);
    if (status != STATUS_OK) return status;
    const double first = time_calls(b, w, k, 1);
    *seconds = first < RUN_SECONDS
                   ? time_calls(b, w, k, (size_t)fmin(RUN_SECONDS / fmax(first, 1e-8), 1e5) + 1)
                   : first;
    return STATUS_OK;
}

static enum status find_tables(struct bench_kernels *b, enum kernel_isa isa, struct error *e) {
    if (isa == KERNEL_ISA_AUTO) {
        b->table_count = kernel_available(b->tables);
        return STATUS_OK;
    }
    b->table_count = 1;
    return kernel_select(isa, &b->tables[0], e);
}

enum status bench_kernels_open(enum kernel_isa isa, struct bench_kernels **out, struct error *e) {
    *out = NULL;
    struct bench_kernels *b = memory_aligned(1, sizeof *b, "bench", e);
    if (!b) return STATUS_NO_MEMORY;
    enum status status = find_tables(b, isa, e);
    if (status == STATUS_OK) {
        b->copies = memory_aligned(COPIES_BYTES, 1, "bench", e);
        b->x = memory_aligned(ROWS_MAX * HIDDEN, sizeof *b->x, "bench", e);
        b->out = memory_aligned(ROWS_MAX * HIDDEN, sizeof *b->out, "bench", e);
        b->low = memory_aligned(ROWS_MAX, kernel_row_bytes(WEIGHT_TYPE_BF16, WIDTH), "bench", e);
        if (!b->copies || !b->x || !b->out || !b->low) status = STATUS_NO_MEMORY;
    }
    if (status != STATUS_OK) {
        bench_kernels_close(b);
        return status;
    }
    fill_random(b->x, ROWS_MAX * HIDDEN);
    for (uint32_t i = 0; i < CONTEXT / KERNEL_LANES; i++) b->pages[i] = i;
    *out = b;
    return STATUS_OK;
}

void bench_kernels_close(struct bench_kernels *b) {
    if (!b) return;
    free(b->copies);
    free(b->x);
    free(b->out);
    free(b->low);
    free(b);
}
