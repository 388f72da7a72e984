#include "engine/pack/quiet_directions.h"

#include <stdlib.h>

#include "engine/base/memory.h"
#include "engine/fold/quiet.h"

/* Columns that hold any channel's direction: a block of the rotation, or where the last two overlap both of them. */
static size_t columns_of(const struct rotation *r) {
    const size_t columns = r->count % r->order ? 2 * r->order : r->order;
    return columns < r->count ? columns : r->count;
}

/* row: [stream_width] */
static void set_direction(const struct folded_model *c, size_t i, size_t columns, double *row,
                          const struct quiet_directions *d) {
    const size_t block = c->quiet[i] - c->quiet[i] % c->stream.order, last = c->stream_width - columns;
    d->first[i] = block < last ? block : last;
    folded_quiet_direction(c, c->quiet[i], row);
    for (size_t k = 0; k < columns; k++) d->entries[i * columns + k] = (float)row[d->first[i] + k];
}

enum status quiet_directions_init(struct quiet_directions *d, const struct folded_model *c, struct error *e) {
    *d = (struct quiet_directions){0};
    if (!c->quiet_count) return STATUS_OK;
    const size_t columns = columns_of(&c->stream);
    d->first = memory_aligned(c->quiet_count, sizeof *d->first, "quiet channels", e);
    d->entries = memory_aligned(c->quiet_count * columns, sizeof *d->entries, "quiet channels", e);
    double *row = memory_aligned(c->stream_width, sizeof *row, "quiet channels", e);
    const bool ok = d->first && d->entries && row;
    for (size_t i = 0; ok && i < c->quiet_count; i++) set_direction(c, i, columns, row, d);
    d->directions = (struct row_directions){c->quiet_count, columns, d->first, d->entries};
    free(row);
    return ok ? STATUS_OK : STATUS_NO_MEMORY;
}

void quiet_directions_deinit(struct quiet_directions *d) {
    free(d->first);
    free(d->entries);
    *d = (struct quiet_directions){0};
}

void quiet_factors_set(const struct folded_model *c, const struct folded_norm *norm, float *to) {
    for (size_t i = 0; to && norm->quiet && i < c->quiet_count; i++)
        to[i] = (float)(norm->quiet[c->quiet[i]] - 1);
}
