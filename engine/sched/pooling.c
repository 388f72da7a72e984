#include "engine/sched/pooling.h"

#include <math.h>
#include <stdlib.h>

enum status pooling_init(struct pooling *p, size_t width, struct error *e) {
    *p = (struct pooling){.width = width,
                          .sum = calloc(width, sizeof *p->sum),
                          .embedding = calloc(width, sizeof *p->embedding)};
    if (p->sum && p->embedding) return STATUS_OK;
    return error_set(e, STATUS_NO_MEMORY, "request", "an embedding of %zu numbers", width);
}

void pooling_deinit(struct pooling *p) {
    free(p->sum);
    free(p->embedding);
}

size_t pooling_bytes(size_t width) {
    return width * (sizeof(double) + sizeof(float));
}

static void add_row(struct pooling *p, const struct backend *backend, size_t entry, size_t row,
                    double *scratch) {
    backend->hidden(backend->context, entry, row, scratch);
    for (size_t i = 0; i < p->width; i++) p->sum[i] += scratch[i];
}

void pooling_add(struct pooling *p, enum engine_pooling kind, const struct backend *backend,
                 const struct step_entry *entry, size_t index, size_t length, double *scratch) {
    const size_t end = entry->first_position + entry->count;
    size_t from = p->positions > entry->first_position ? p->positions : entry->first_position;
    if (kind == ENGINE_POOLING_LAST && from + 1 < length) from = length - 1;
    for (size_t at = from; at < end; at++) add_row(p, backend, index, at - entry->first_position, scratch);
    if (end > p->positions) p->positions = end;
}

bool pooling_finish(struct pooling *p, enum engine_pooling kind) {
    const double count = kind == ENGINE_POOLING_MEAN ? (double)p->positions : 1;
    for (size_t i = 0; i < p->width; i++) {
        p->embedding[i] = (float)(p->sum[i] / count);
        if (!isfinite(p->embedding[i])) return false;
    }
    return true;
}
