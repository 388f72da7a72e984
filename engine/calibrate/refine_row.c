#include "engine/calibrate/refine_row.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/calibrate/factor.h"
#include "engine/calibrate/int4_panel.h"
#include "engine/pack/panels/rounding.h"

#define GROUP  KERNEL_INT4_GROUP
#define SWEEPS 3

/* Candidates of a group, side by side, and what it has. */
enum { OFFSETS = 2 * INT4_SHIFT_MOST + 1, PRESENT = (2 * INT4_WIDER_MOST + 1) * OFFSETS, LANES };
_Static_assert(LANES == 16, "whole vectors");

#define EACH_USE(use, w)                                                                                     \
    for (const struct head_use *use = head_use_at((w)->uses, (w)->last); use;                                \
         use = head_use_at((w)->uses, use->next))

/* A row at work, in units of its scale. */
struct work {
    const struct refining *r;
    const struct head_uses *uses;
    uint32_t last;          /* of the uses: an index */
    float general, own;     /* parts of the text's moments, and of a weight of a use */
    float *target, *errors; /* [padded] */
    float *slope;           /* [padded]: the text's moments by the errors */
    float *pull;            /* [uses]: inputs by the errors */
};

/* One group: block = L D L', of both kinds of moments; `centre`: what all else moves D by. */
struct group {
    size_t first, count;
    float block[GROUP][GROUP]; /* then L below its diagonal */
    float d[GROUP], centre[GROUP], wanted[GROUP];
    float m[LANES], c[LANES], cost[LANES];
    float errors[GROUP][LANES];
};

/* ---- what all rows share ---- */

size_t refine_padded(size_t in) {
    return (in + GROUP - 1) / GROUP * GROUP;
}

static size_t moments_of(size_t in) {
    const size_t width = hessian_width_max(in, HESSIAN_STRETCH_MAX);
    return hessian_stretches_max(in, HESSIAN_STRETCH_MAX) * width * width;
}

size_t refine_bytes(size_t in, size_t positions) {
    return (moments_of(in) + positions * refine_padded(in)) * sizeof(float);
}

enum status refining_init(struct refining *r, size_t in, size_t positions, struct error *e) {
    *r = (struct refining){.in = in, .positions = positions};
    r->moments = memory_aligned(moments_of(in), sizeof *r->moments, "moments of inputs", e);
    r->inputs = memory_aligned(positions * refine_padded(in), sizeof *r->inputs, "inputs of the head", e);
    if (r->moments && r->inputs) return STATUS_OK;
    refining_deinit(r);
    return STATUS_NO_MEMORY;
}

void refining_deinit(struct refining *r) {
    free(r->moments);
    free(r->inputs);
    *r = (struct refining){0};
}

void refining_take(struct refining *r, const struct hessian *h) {
    r->stretch = h->stretch;
    r->stretches = h->stretches;
    for (size_t s = 0; s < h->stretches; s++) {
        size_t first;
        double *sums, trace = 0;
        const size_t width = hessian_stretch(h, s, &first, &sums);
        float *out = r->moments + s * r->stretch * r->stretch;
        for (size_t i = 0; i < width; i++) trace += sums[i * width + i];
        for (size_t i = 0; i < width; i++)
            for (size_t k = 0; k <= i; k++)
                out[i * r->stretch + k] = out[k * r->stretch + i] =
                    (float)(sums[i * width + k] / (double)r->positions);
        const float ridge = trace > 0 ? (float)(FACTOR_RIDGE * trace / (double)(width * r->positions)) : 1.0f;
        for (size_t i = 0; i < width; i++) out[i * r->stretch + i] += ridge;
    }
}

size_t refine_row_scratch(size_t in, size_t positions) {
    return 3 * refine_padded(in) + (positions + LANES - 1) / LANES * LANES;
}

/* Row k of the moments, from the first input of its stretch on. */
static const float *moments_at(const struct refining *r, size_t k) {
    const size_t s = k / r->stretch;
    return r->moments + (s * r->stretch + k % r->stretch) * r->stretch;
}

static const float *inputs_of(const struct work *w, const struct head_use *use) {
    return w->r->inputs + use->position * refine_padded(w->r->in);
}

/* ---- what the errors of a row do ---- */

/* Errors of a group that have changed by `change`. */
WIDEST_INLINE void add_errors(const struct work *w, size_t at, size_t count, const float *change) {
    const struct refining *r = w->r;
    const size_t first = at / r->stretch * r->stretch,
                 width = r->in - first < r->stretch ? r->in - first : r->stretch;
    for (size_t k = 0; k < count; k++) {
        const float *row = moments_at(r, at + k), by = change[k];
        for (size_t j = 0; j < width; j++) w->slope[first + j] += by * row[j];
    }
    size_t i = 0;
    EACH_USE(use, w) {
        const float *x = inputs_of(w, use) + at;
        float parts[LANES] = {0};
        for (size_t k = 0; k < GROUP; k += LANES)
            for (size_t l = 0; l < LANES; l++) parts[l] += change[k + l] * x[k + l];
        for (size_t l = 0; l < LANES; l++) w->pull[i] += parts[l];
        i++;
    }
}

/* ---- a group ---- */

/* The moments of the group's inputs for this row, and by `slope` those of all errors with each of them. */
WIDEST_INLINE void find_moments(const struct work *w, struct group *g, float *slope) {
    for (size_t i = 0; i < GROUP; i++)
        for (size_t j = 0; j < GROUP; j++) g->block[i][j] = i == j ? 1.0f : 0.0f;
    for (size_t i = 0; i < g->count; i++) {
        const float *row = moments_at(w->r, g->first + i) + g->first % w->r->stretch;
        for (size_t j = 0; j < g->count; j++) g->block[i][j] = w->general * row[j];
    }
    for (size_t i = 0; i < GROUP; i++) slope[i] = w->general * w->slope[g->first + i];
    size_t u = 0;
    EACH_USE(use, w) {
        const float *x = inputs_of(w, use) + g->first, weight = w->own * use->weight;
        for (size_t i = 0; i < g->count; i++) {
            const float by = weight * x[i];
            for (size_t j = 0; j < GROUP; j++) g->block[i][j] += by * x[j];
        }
        const float by = weight * w->pull[u++];
        for (size_t i = 0; i < GROUP; i++) slope[i] += by * x[i];
    }
}

WIDEST_INLINE bool factor_block(struct group *g) {
    for (size_t j = 0; j < GROUP; j++) {
        g->d[j] = g->block[j][j];
        if (!(g->d[j] > 0)) return false;
        for (size_t i = j + 1; i < GROUP; i++) {
            const float by = g->block[i][j] / g->d[j];
            for (size_t k = j + 1; k < GROUP; k++) g->block[i][k] -= by * g->block[j][k];
            g->block[i][j] = by;
        }
    }
    return true;
}

/* The cost of errors E of the group is the sum of D[k] (E[k] + sum over j > k of E[j] L[j][k] + centre[k])^2, where
 * D centre = L^-1 (slope - block E) for the E that it has; wanted: the weights with which that is nothing. */
WIDEST_INLINE void find_wanted(const struct work *w, struct group *g, const float *rest) {
    float best[GROUP];
    for (size_t i = 0; i < GROUP; i++) {
        float sum = rest[i];
        for (size_t j = 0; j < i; j++) sum -= g->block[i][j] * (g->d[j] * g->centre[j]);
        g->centre[i] = sum / g->d[i];
    }
    for (size_t k = GROUP; k-- > 0;) {
        best[k] = -g->centre[k];
        for (size_t j = k + 1; j < GROUP; j++) best[k] -= g->block[j][k] * best[j];
        g->wanted[k] = w->target[g->first + k] - best[k];
    }
}

WIDEST_INLINE bool prepare(const struct work *w, struct group *g) {
    float rest[GROUP];
    find_moments(w, g, rest);
    for (size_t k = 0; k < GROUP; k++)
        for (size_t i = 0; i < GROUP; i++) rest[i] -= w->errors[g->first + k] * g->block[k][i];
    if (!factor_block(g)) return false;
    find_wanted(w, g, rest);
    return true;
}

WIDEST_INLINE void list_candidates(struct group *g) {
    float low = g->wanted[0], high = low;
    for (size_t k = 1; k < g->count; k++) {
        low = g->wanted[k] < low ? g->wanted[k] : low;
        high = g->wanted[k] > high ? g->wanted[k] : high;
    }
    for (int l = 0; l < PRESENT; l++)
        int4_candidate(low, high, l / OFFSETS - INT4_WIDER_MOST, l % OFFSETS - INT4_SHIFT_MOST, &g->m[l],
                       &g->c[l]);
    g->m[PRESENT] = 1;
    g->c[PRESENT] = 0;
}

WIDEST_INLINE void round_candidates(const struct work *w, struct group *g) {
    memset(g->cost, 0, sizeof g->cost);
    for (size_t k = g->count; k-- > 0;) {
        const float target = w->target[g->first + k];
        float x[LANES], value[LANES];
        for (size_t l = 0; l < LANES; l++) x[l] = target + g->centre[k];
        for (size_t j = k + 1; j < g->count; j++)
            for (size_t l = 0; l < LANES; l++) x[l] += g->block[j][k] * g->errors[j][l];
        for (size_t l = 0; l < LANES; l++)
            value[l] = g->m[l] * rounded(clamped((x[l] - g->c[l]) / g->m[l], -8, 7)) + g->c[l];
        value[PRESENT] = target - w->errors[g->first + k];
        for (size_t l = 0; l < LANES; l++) {
            g->errors[k][l] = target - value[l];
            g->cost[l] += g->d[k] * ((x[l] - value[l]) * (x[l] - value[l]));
        }
    }
}

WIDEST_INLINE size_t best_of(const struct group *g) {
    size_t best = PRESENT;
    for (size_t l = 0; l < PRESENT; l++)
        if (g->cost[l] < g->cost[best]) best = l;
    return best;
}

WIDEST_INLINE void take(const struct work *w, const struct group *g, size_t lane, void *panel, size_t n) {
    float change[GROUP] = {0};
    int8_t *group = int4_scale_offset_of(panel, w->r->in, g->first, n);
    group[0] = (int8_t)g->m[lane];
    group[1] = (int8_t)g->c[lane];
    for (size_t k = 0; k < g->count; k++) {
        float *error = &w->errors[g->first + k];
        change[k] = g->errors[k][lane] - *error;
        *error = g->errors[k][lane];
        int4_store(panel, w->r->in, g->first + k, n, (int)rounded(w->target[g->first + k] - *error));
    }
    add_errors(w, g->first, g->count, change);
}

/* ---- a row ---- */

/* How much the row's own uses count: by how many equal ones they are worth. */
static void weigh(struct work *w) {
    float sum = 0, squares = 0;
    EACH_USE(use, w) {
        sum += use->weight;
        squares += use->weight * use->weight;
    }
    const float equal = squares > 0 ? sum * sum / squares : 0;
    w->general = REFINE_SHRINKING / (equal + REFINE_SHRINKING);
    w->own = sum > 0 ? (1 - w->general) / sum : 0;
}

static void begin(struct work *w, const double *row, const void *panel, size_t n) {
    const size_t in = w->r->in;
    const double scale = (double)int4_scales_of(panel, in)[n];
    for (size_t k = 0; k < in; k++) {
        w->target[k] = (float)(row[k] / scale);
        w->errors[k] = w->target[k] - (float)int4_value_of(panel, in, k, n);
    }
    for (size_t k = 0; k < in; k += GROUP) add_errors(w, k, in - k < GROUP ? in - k : GROUP, w->errors + k);
}

WIDEST static size_t sweep(const struct work *w, void *panel, size_t n) {
    size_t changed = 0;
    struct group g;
    for (size_t first = refine_padded(w->r->in); first > 0; first -= GROUP) {
        const size_t at = first - GROUP, left = w->r->in - at;
        g.first = at;
        g.count = left < GROUP ? left : GROUP;
        if (!prepare(w, &g)) continue;
        list_candidates(&g);
        round_candidates(w, &g);
        const size_t best = best_of(&g);
        if (best == PRESENT) continue;
        take(w, &g, best, panel, n);
        changed++;
    }
    return changed;
}

size_t refine_row(const struct refining *r, const struct head_uses *uses, uint32_t last, const double *row,
                  void *panel, size_t n, float *scratch) {
    const size_t padded = refine_padded(r->in);
    struct work w = {.r = r,
                     .uses = uses,
                     .last = last,
                     .target = scratch,
                     .errors = scratch + padded,
                     .slope = scratch + 2 * padded,
                     .pull = scratch + 3 * padded};
    size_t changed = 0;
    if (last == HEAD_USES_END || !isnormal(int4_scales_of(panel, r->in)[n])) return 0;
    memset(scratch, 0, refine_row_scratch(r->in, r->positions) * sizeof *scratch);
    weigh(&w);
    begin(&w, row, panel, n);
    for (int i = 0; i < SWEEPS; i++) changed += sweep(&w, panel, n);
    return changed;
}
