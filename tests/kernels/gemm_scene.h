/* A GEMM of any weight type with all its buffers, for the tests that compare tables with each other. */
#pragma once

#include "engine/pack/panels/panels.h"
#include "tests/kernels/kernel_test.h"

/* What the output holds before a GEMM; it must survive beyond column n. */
#define OUT_MARK 12345.0f

struct gemm_case {
    enum weight_type type;
    struct lowp_gemm m;          /* of f32 only the base */
    struct activation_rows rows; /* of f32: not used */
    size_t row_count;
    double *w; /* [n, k] */
    struct buffer x, smoothing, converted, panels, scale, bias, residual, out;
};

static inline struct buffer filled(struct random *r, size_t count, size_t offset, bool extreme) {
    struct buffer b = buffer_create(count, offset);
    if (extreme)
        random_fill_extreme(r, b.data, count);
    else
        random_fill(r, b.data, count);
    return b;
}

/* The weights as doubles: of f32 those that it has, extreme ones too; of the others with more digits than any has. */
static inline void fill_weights(struct random *r, struct gemm_case *p, bool extreme) {
    size_t count = p->m.base.n * p->m.base.k;
    if (p->type == WEIGHT_TYPE_F32) {
        struct buffer w = filled(r, count, 0, extreme);
        for (size_t i = 0; i < count; i++) p->w[i] = (double)w.data[i];
        buffer_destroy(&w);
        return;
    }
    for (size_t i = 0; i < count; i++) p->w[i] = (double)random_float(r) + 1e-9 * (double)random_float(r);
}

static inline struct gemm_case case_create(struct random *r, enum weight_type type, size_t rows, size_t k,
                                           size_t n, bool extreme) {
    size_t pad = random_below(r, 5);
    struct gemm_case p = {.type = type, .row_count = rows, .rows = {.x_stride = k + pad, .k = k}};
    p.m.base =
        (struct gemm){.x_stride = k + pad, .k = k, .n = n, .out_stride = n + pad, .residual_stride = n + pad};
    p.x = filled(r, rows * (k + pad), random_below(r, 16), extreme);
    p.smoothing = filled(r, k, 3, false);
    p.scale = filled(r, rows, 1, extreme && type == WEIGHT_TYPE_F32);
    p.bias = filled(r, n, 3, extreme);
    p.residual = filled(r, rows * (n + pad), random_below(r, 16), extreme);
    p.out = buffer_create(rows * (n + pad), random_below(r, 16));
    p.converted = buffer_create(rows * kernel_row_bytes(type, k) / sizeof(float), 0);
    p.panels = buffer_create(kernel_panels(n) * kernel_panel_bytes(type, k) / sizeof(float), 0);
    p.w = malloc(n * k * sizeof *p.w);
    assert_non_null(p.w);
    fill_weights(r, &p, extreme);
    panels_pack(type, p.w, 0, n, k, p.panels.data);
    buffer_check(&p.panels);
    p.rows.x = p.x.data;
    p.rows.smoothing = random_below(r, 2) ? p.smoothing.data : NULL;
    p.rows.out = (unsigned char *)p.converted.data;
    p.m.base.x = p.x.data;
    p.m.base.panels = p.panels.data;
    p.m.x = p.rows.out;
    p.m.panels = (const unsigned char *)p.panels.data;
    p.m.base.row_scale = random_below(r, 2) ? p.scale.data : NULL;
    p.m.base.bias = random_below(r, 2) ? p.bias.data : NULL;
    p.m.base.activation = (enum activation)random_below(r, ACTIVATION_COUNT);
    p.m.base.residual = random_below(r, 2) ? p.residual.data : NULL;
    p.m.base.out = p.out.data;
    return p;
}

static inline void case_destroy(struct gemm_case *p) {
    struct buffer *buffers[] = {&p->x,     &p->smoothing, &p->converted, &p->panels,
                                &p->scale, &p->bias,      &p->residual,  &p->out};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) buffer_destroy(buffers[i]);
    free(p->w);
}

/* Only the sums. */
static inline void case_strip(struct gemm_case *p) {
    p->rows.smoothing = p->m.base.row_scale = p->m.base.bias = p->m.base.residual = NULL;
    p->m.base.activation = ACTIVATION_NONE;
}

/* Marks all over. */
static inline void case_clear(struct gemm_case *p) {
    for (size_t i = 0; i < p->out.count; i++) p->out.data[i] = OUT_MARK;
}

/* Of f32 nothing is converted. */
static inline void case_convert(struct gemm_case *p, const struct kernel_table *table) {
    if (p->type == WEIGHT_TYPE_F32) return;
    memset(p->converted.data, 0x77, p->converted.count * sizeof(float));
    table->convert_activations[p->type](&p->rows, 0, p->row_count);
    buffer_check(&p->converted);
}

static inline void case_check_padding(const struct gemm_case *p) {
    for (size_t r = 0; r < p->row_count; r++)
        for (size_t i = p->m.base.n; i < p->m.base.out_stride; i++)
            assert_true(p->out.data[r * p->m.base.out_stride + i] == OUT_MARK);
    buffer_check(&p->out);
}

/* Some rows of some panels, of activations that have been converted. */
static inline void case_gemm(const struct gemm_case *p, const struct kernel_table *table, size_t row,
                             size_t rows, size_t panel, size_t panels) {
    if (p->type == WEIGHT_TYPE_F32)
        table->gemm_f32(&p->m.base, row, rows, panel, panels);
    else
        table->gemm_lowp[p->type](&p->m, row, rows, panel, panels);
}

/* All of it; the caller frees the copy of the output. */
static inline float *case_run(struct gemm_case *p, const struct kernel_table *table) {
    case_clear(p);
    case_convert(p, table);
    case_gemm(p, table, 0, p->row_count, 0, kernel_panels(p->m.base.n));
    case_check_padding(p);
    float *copy = malloc(p->out.count * sizeof(float));
    assert_non_null(copy);
    memcpy(copy, p->out.data, p->out.count * sizeof(float));
    return copy;
}

/* The same by so many columns of all panels at a time, each of which writes nothing but these. */
static inline float *case_run_strips(struct gemm_case *p, const struct kernel_table *table, size_t columns) {
    float *all = malloc(p->out.count * sizeof *all);
    assert_non_null(all);
    for (size_t i = 0; i < p->out.count; i++) all[i] = OUT_MARK;
    for (size_t first = 0; first < KERNEL_PANEL; first += columns) {
        const size_t end = first + columns < KERNEL_PANEL ? first + columns : KERNEL_PANEL;
        case_clear(p);
        p->m.base.columns = (struct panel_columns){first, end};
        case_gemm(p, table, 0, p->row_count, 0, kernel_panels(p->m.base.n));
        case_check_padding(p);
        for (size_t r = 0; r < p->row_count; r++)
            for (size_t n = 0, i = r * p->m.base.out_stride; n < p->m.base.n; n++, i++) {
                if (n % KERNEL_PANEL >= first && n % KERNEL_PANEL < end)
                    all[i] = p->out.data[i];
                else
                    assert_true(p->out.data[i] == OUT_MARK);
            }
    }
    p->m.base.columns = (struct panel_columns){0};
    return all;
}

/* Every table against the scalar one, which comes first of them: of that the strips. */
static inline void compare_tables(struct gemm_case *p) {
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    float *expected = case_run(p, kernel_scalar());
    for (size_t t = 0; t < count; t++) {
        float *found = t > 0 ? case_run(p, tables[t]) : NULL;
        if (found)
            assert_same_bits(expected, found, p->out.count, "%s in %s, %zu rows, k %zu, n %zu",
                             weight_type_name(p->type), tables[t]->name, p->row_count, p->m.base.k,
                             p->m.base.n);
        free(found);
        found = case_run_strips(p, tables[t], KERNEL_LANES);
        assert_same_bits(expected, found, p->out.count, "%s in strips in %s, %zu rows, k %zu, n %zu",
                         weight_type_name(p->type), tables[t]->name, p->row_count, p->m.base.k, p->m.base.n);
        free(found);
    }
    free(expected);
}
