/* Weights of int4: each group's scale and offset are those of some candidates that leave the least error after all that is
 * behind. */
#include <float.h>
#include <string.h>

#include "engine/calibrate/int4_panel.h"
#include "engine/calibrate/round_work.h"

struct group {
    struct lanes target[GROUP]; /* moved by what is behind the group */
    struct lanes m, c;
    struct lanes error; /* the least so far */
};

static float stored(const struct work *w, const void *panel, size_t k, size_t n) {
    return (float)int4_value_of(panel, w->factor->in, k, n);
}

static void begin(const struct work *w, const void *panel, double inverse[LANES]) {
    const float *scales = int4_scales_of(panel, w->factor->in);
    for (size_t n = 0; n < LANES; n++) inverse[n] = round_inverse_of(scales[n]);
}

/* ---- a group ---- */

/* Rounds the group with one scale and offset for each row; errors: of its weights, which is what feedback goes on
 * with; sum: of what they cost. */
static void round_group(const struct work *w, const struct lanes *weights, const struct group *g,
                        const struct lanes *m, const struct lanes *c, size_t stretch, size_t at,
                        struct lanes *restrict errors, struct lanes *restrict sum) {
    const struct factor *f = w->factor;
    struct lanes inverse;
    for (size_t n = 0; n < LANES; n++) inverse.at[n] = 1 / m->at[n];
    memset(sum, 0, sizeof *sum);
    for (size_t k = GROUP; k-- > 0;) {
        const float weight = f->weight[stretch * f->width + at + k];
        const struct lanes x = round_moved(w, stretch, at, k, &g->target[k], errors);
        for (size_t n = 0; n < LANES; n++) {
            const float level = rounded(clamped((x.at[n] - c->at[n]) * inverse.at[n], -8, 7));
            const float value = m->at[n] * level + c->at[n];
            errors[k].at[n] = weights[k].at[n] - value;
            sum->at[n] += weight * ((x.at[n] - value) * (x.at[n] - value));
        }
    }
}

static void range_of(const struct lanes *x, struct lanes *low, struct lanes *high) {
    *low = *high = x[0];
    for (size_t i = 1; i < GROUP; i++)
        for (size_t n = 0; n < LANES; n++) {
            low->at[n] = x[i].at[n] < low->at[n] ? x[i].at[n] : low->at[n];
            high->at[n] = x[i].at[n] > high->at[n] ? x[i].at[n] : high->at[n];
        }
}

static void choose(struct group *g, const struct lanes *m, const struct lanes *c, const struct lanes *error) {
    for (size_t n = 0; n < LANES; n++) {
        const bool better = error->at[n] < g->error.at[n];
        g->error.at[n] = better ? error->at[n] : g->error.at[n];
        g->m.at[n] = better ? m->at[n] : g->m.at[n];
        g->c.at[n] = better ? c->at[n] : g->c.at[n];
    }
}

/* Scale and offset of each row, and the errors that they leave. */
static void fit(const struct work *w, size_t stretch, size_t at) {
    const size_t first = stretch * w->factor->stretch + at;
    struct group group, *g = &group;
    struct lanes low, high, m, c, error, errors[GROUP];
    round_move_group(w, stretch, at, w->weights + first, g->target);
    range_of(g->target, &low, &high);
    for (size_t n = 0; n < LANES; n++) g->error.at[n] = FLT_MAX, g->m.at[n] = 1, g->c.at[n] = 0;
    for (int wider = -INT4_WIDER_MOST; wider <= INT4_WIDER_MOST; wider++)
        for (int by = -INT4_SHIFT_MOST; by <= INT4_SHIFT_MOST; by++) {
            for (size_t n = 0; n < LANES; n++)
                int4_candidate(low.at[n], high.at[n], wider, by, &m.at[n], &c.at[n]);
            round_group(w, w->weights + first, g, &m, &c, stretch, at, errors, &error);
            choose(g, &m, &c, &error);
        }
    round_group(w, w->weights + first, g, &g->m, &g->c, stretch, at, w->errors + first, &error);
    w->scales[first / GROUP] = g->m;
    w->offsets[first / GROUP] = g->c;
}

static void write_row(const struct work *w, size_t n, void *panel) {
    const size_t in = w->factor->in;
    for (size_t k = 0; k < round_padded(in); k++) {
        int8_t *group = int4_scale_offset_of(panel, in, k, n);
        group[0] = (int8_t)w->scales[k / GROUP].at[n];
        group[1] = (int8_t)w->offsets[k / GROUP].at[n];
        int4_store(panel, in, k, n, (int)rounded(w->weights[k].at[n] - w->errors[k].at[n]));
    }
}

const struct rounding round_int4 = {
    .repeats = true, .begin = begin, .stored = stored, .fit = fit, .write_row = write_row};
