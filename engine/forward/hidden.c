/* Hidden states: rows of the stream on their way back to the model's own basis, in double precision, one at a time. */
#include <assert.h>

#include "engine/forward/state.h"

static bool is_wanted(const struct forward *f) {
    for (size_t i = 0; i < f->entry_count; i++)
        if (f->entries[i].wants_hidden) return true;
    return false;
}

/* Only a projection has to be computed for all rows together; models that have one are few and small. Its place in the
 * order of linears is that of the head's own run. */
void hidden_run(struct forward *f) {
    const struct packed_model *m = f->model;
    if (!m->project_out.out || !is_wanted(f)) return;
    struct norm_output normed = {.x = f->stream, .stride = f->stream_stride};
    assert(!f->dual);
    if (m->final_norm.width) normed = norm_defer(f, &m->final_norm, f->stream, f->row_count);
    const size_t order_at = f->order_at;
    linear_run(f, &(struct linear_call){.linear = &m->project_out,
                                        .stage = FORWARD_STAGE_HEAD,
                                        .x = normed.x,
                                        .x_stride = normed.stride,
                                        .row_scale = normed.row_scale,
                                        .rows = f->row_count,
                                        .out = f->hidden_states,
                                        .out_stride = f->projected_stride});
    f->order_at = order_at;
}

size_t forward_hidden_width(const struct packed_model *model) {
    return model->project_out.out ? model->project_out.out : model->description->width;
}

/* Rows of the stream and of a dual stream. */
size_t forward_hidden_scratch(const struct packed_model *model) {
    const size_t stream = 2 * model->description->width, projected = model->project_out.out;
    return stream > projected ? stream : projected;
}

static void widen(const float *from, size_t count, double *to) {
    for (size_t i = 0; i < count; i++) to[i] = (double)from[i];
}

void forward_hidden(const struct forward *f, size_t entry, size_t row, double *out) {
    const size_t at = f->first_row[entry] + row, width = f->description->width;
    assert(entry < f->entry_count && row < f->entries[entry].count && f->entries[entry].wants_hidden);
    if (f->hidden_states) {
        widen(f->hidden_states + at * f->projected_stride, f->model->project_out.out, out);
        return;
    }
    widen(f->stream + at * f->stream_stride, width, out);
    if (f->dual) widen(f->dual + at * f->stream_stride, width, out + width);
    folded_hidden(f->model->folded, out, f->dual ? out + width : NULL);
}
