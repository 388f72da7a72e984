/* From the residual stream to logits, for the rows that need them. */
#include <string.h>

#include "engine/forward/state.h"

/* Gathers the rows that need logits; returns how many. */
static size_t gather(const struct forward *f, const float *from, float *to) {
    size_t count = 0;
    for (size_t i = 0; i < f->entry_count; i++) {
        size_t end = f->first_row[i + 1];
        for (size_t r = end - f->entries[i].logit_rows; r < end; r++, count++)
            memcpy(to + count * f->stream_stride, from + r * f->stream_stride,
                   f->stream_stride * sizeof(float));
    }
    return count;
}

/* The last entry of a centred row that is stored without it. */
static void restore_last(float *row, size_t width) {
    double sum = 0;
    for (size_t i = 0; i + 1 < width; i++) sum += row[i];
    row[width - 1] = (float)-sum;
}

/* ResiDual (Xie et al. 2023): dual_alpha * p + norm(q). A compressed q is expanded to its full width; its
 * CRMS is then the RMS of the full row. */
static void join_dual(struct forward *f, size_t rows) {
    const struct packed_norm *norm = &f->model->final_norm;
    size_t width = f->description->width;
    float alpha = (float)f->description->dual_alpha;
    for (size_t r = 0; r < rows; r++) {
        float *q = f->last_dual + r * f->stream_stride, *p = f->last + r * f->stream_stride;
        enum row_norm kind = norm->kind;
        if (kind == ROW_NORM_CRMS) {
            restore_last(q, width);
            kind = ROW_NORM_RMS;
        }
        f->kernels->normalize_rows(kind, q, f->stream_stride, 1, width, norm->divisor, norm->eps, norm->gain,
                                   norm->bias, q, f->stream_stride);
        for (size_t i = 0; i < width; i++) p[i] = alpha * p[i] + q[i];
    }
}

static struct norm_output final_norm(struct forward *f, size_t rows) {
    struct norm_output plain = {.x = f->last, .stride = f->stream_stride};
    if (f->dual) join_dual(f, rows);
    if (f->dual || !f->model->final_norm.width) return plain;
    return norm_defer(f, &f->model->final_norm, f->last, rows);
}

void head_order(const struct forward *f, const struct packed_linear **order) {
    if (f->model->project_out.out) *order++ = &f->model->project_out;
    if (f->model->common.out) *order++ = &f->model->common;
    *order = &f->model->head;
}

static void cap_block(struct forward *f, size_t first, size_t count, const void *context, size_t worker) {
    (void)context, (void)worker;
    for (size_t r = first; r < first + count; r++)
        f->kernels->soft_cap(f->logits + r * f->logits_stride, f->description->vocabulary,
                             (float)f->description->logit_cap);
}

void head_run(struct forward *f) {
    const struct packed_model *m = f->model;
    size_t rows = gather(f, f->stream, f->last);
    if (rows == 0) return;
    if (f->dual) gather(f, f->dual, f->last_dual);
    struct norm_output normed = final_norm(f, rows);
    struct linear_call call = {.linear = &m->head,
                               .stage = FORWARD_STAGE_HEAD,
                               .x = normed.x,
                               .x_stride = normed.stride,
                               .row_scale = normed.row_scale,
                               .rows = rows};
    if (m->project_out.out) {
        call.linear = &m->project_out;
        call.out = f->projected;
        call.out_stride = f->projected_stride;
        linear_run(f, &call);
        call = (struct linear_call){.linear = &m->head,
                                    .stage = FORWARD_STAGE_HEAD,
                                    .x = f->projected,
                                    .x_stride = f->projected_stride,
                                    .rows = rows};
    }
    call.out_stride = f->logits_stride;
    call.out = f->logits + m->common.out;
    if (m->common.out) {
        struct linear_call common = call;
        common.linear = &m->common;
        common.out = f->logits;
        linear_run_joined(f, &common, &call);
    } else {
        linear_run(f, &call);
    }
    if (f->description->logit_cap > 0 && !f->halted) forward_each_block(f, rows, cap_block, NULL);
}
