#include "engine/pack/loud_feedback.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/fold/loud.h"

/* A loud channel's mean square beside the others', less the 1 that each has. Of SmolLM2 some are 20 times and some 500 times as
 * loud; by docs/decisions.md 100 and 300 do the same. */
#define IMPORTANCE 99
/* Of a direction the part of its square that a block must have: what is spread wider cannot be avoided within a block. */
#define LEAST_PART 0.125

/* The directions that go through a block, of the loudest channels first. */
struct directions {
    size_t rank;
    double at[FEEDBACK_RANK][FEEDBACK_COLUMNS];
};

static void add_direction(struct directions *d, const double *direction, size_t columns) {
    double square = 0;
    for (size_t i = 0; i < columns; i++) square += direction[i] * direction[i];
    if (square < LEAST_PART || d->rank == FEEDBACK_RANK) return;
    memcpy(d->at[d->rank++], direction, columns * sizeof *direction);
}

/* directions: [loud_count][width of the model]. */
static void set_block(const struct folded_model *c, const double *directions, size_t column,
                      struct feedback_block *b) {
    const size_t left = c->stream_width - column, columns = left < FEEDBACK_COLUMNS ? left : FEEDBACK_COLUMNS;
    struct directions d = {0};
    for (size_t i = 0; i < c->loud_count; i++)
        add_direction(&d, directions + i * c->description->width + column, columns);
    feedback_block_set(b, d.rank, d.at, IMPORTANCE);
}

enum status loud_feedback_create(const struct folded_model *c, struct feedback_block **out, struct error *e) {
    const size_t width = c->description->width,
                 blocks = (c->stream_width + FEEDBACK_COLUMNS - 1) / FEEDBACK_COLUMNS;
    *out = NULL;
    if (!c->loud_count) return STATUS_OK;
    double *directions = memory_aligned(c->loud_count * width, sizeof *directions, "loud channels", e);
    if (!directions) return STATUS_NO_MEMORY;
    for (size_t i = 0; i < c->loud_count; i++) folded_stream_direction(c, c->loud[i], directions + i * width);
    *out = memory_aligned(blocks, sizeof **out, "loud channels", e);
    for (size_t b = 0; *out && b < blocks; b++) set_block(c, directions, b * FEEDBACK_COLUMNS, *out + b);
    free(directions);
    return *out ? STATUS_OK : STATUS_NO_MEMORY;
}
