#include "engine/fold/massive.h"

#include <assert.h>

#include "engine/fold/row_squares.h"

/* Of a layer's units the largest over the root mean square. Where MLPs are known to have massive activations it is 9 to 32, in
 * the other layers of the same model 4 at most (docs/decisions.md). */
#define MASSIVE_RATIO 6
/* The part of the layers that may be massive. */
#define MASSIVE_PART 8

struct search {
    struct folded_model *model;
    double ratios[MODEL_LAYERS_MAX]; /* squares; 0: nothing is known */
};

static size_t lower(size_t a, size_t b) {
    return a < b ? a : b;
}

static void measure_layer(void *context, size_t layer, size_t worker) {
    struct search *s = context;
    const struct layer_views *views = &s->model->views->layers[layer];
    const size_t units = views->up.weight.out;
    double largest = 0, sum = 0;
    (void)worker;
    for (size_t unit = 0, count; unit < units; unit += count) {
        double gate[ROW_SQUARES_ROWS], up[ROW_SQUARES_ROWS];
        count = lower(units - unit, ROW_SQUARES_ROWS);
        row_squares_read(&views->gate.weight, unit, count, gate);
        row_squares_read(&views->up.weight, unit, count, up);
        for (size_t i = 0; i < count; i++) {
            const double square = gate[i] * up[i];
            largest = square > largest ? square : largest;
            sum += square;
        }
    }
    s->ratios[layer] = sum > 0 ? largest * (double)units / sum : 0;
}

/* The layer that stands out most, of those that are not chosen yet; `layers`: none does. */
static size_t most_massive(const struct search *s, size_t layers) {
    size_t found = layers;
    for (size_t i = 0; i < layers; i++) {
        if (s->model->layers[i].mlp.massive || !(s->ratios[i] > MASSIVE_RATIO * MASSIVE_RATIO)) continue;
        if (found == layers || s->ratios[i] > s->ratios[found]) found = i;
    }
    return found;
}

/* Most of them that there may be. */
static size_t massive_most(const struct folded_model *c) {
    return c->description->gated ? (c->description->layers + MASSIVE_PART - 1) / MASSIVE_PART : 0;
}

void folded_model_assume_massive(struct folded_model *c) {
    for (size_t i = 0; i < massive_most(c); i++) c->layers[i].mlp.massive = true;
}

void folded_model_find_massive(struct folded_model *c, struct workers *workers) {
    const size_t layers = c->description->layers, most = massive_most(c);
    struct search s = {.model = c};
    assert(layers <= MODEL_LAYERS_MAX);
    if (most) workers_run(workers, measure_layer, &s, layers);
    for (size_t chosen = 0, found; chosen < most && (found = most_massive(&s, layers)) < layers; chosen++)
        c->layers[found].mlp.massive = true;
}
