#include "engine/sched/step_cost.h"

#define WEIGHT 0.2  /* of the newest value in a smoothed one */
#define DRIFT  0.05 /* of its change in all others: sequences become longer, machines busier */
/* Of what more rows cost beyond the step that was measured, so much is forgotten with each step: what seemed too dear
 * once is tried again some thousand steps later. */
#define FORGOTTEN 0.001
#define OUTLIER   2 /* a step counts as at most so many times the expected: others use the machine too */

static double bounded(double ratio) {
    if (ratio > OUTLIER) return OUTLIER;
    return ratio < 1.0 / OUTLIER ? 1.0 / OUTLIER : ratio;
}

void step_cost_observe(struct step_cost *cost, size_t rows, double seconds) {
    if (rows == 0 || rows > STEP_COST_ROWS_MAX || !(seconds > 0) || cost->row_cost > 0) return;
    double *own = &cost->seconds[rows];
    if (*own <= 0) {
        *own = seconds;
        return;
    }
    double change = bounded(seconds / *own) - 1;
    for (size_t i = 1; i <= STEP_COST_ROWS_MAX; i++)
        cost->seconds[i] *= 1 + (i == rows ? WEIGHT : DRIFT) * change;
    for (size_t i = rows + 1; i <= STEP_COST_ROWS_MAX; i++)
        if (cost->seconds[i] > *own) cost->seconds[i] -= FORGOTTEN * (cost->seconds[i] - *own);
}

bool step_cost_is_known(const struct step_cost *cost, size_t rows) {
    return cost->row_cost > 0 || (rows <= STEP_COST_ROWS_MAX && cost->seconds[rows] > 0);
}

/* A step of fewer rows costs no more than one of more, whatever a busy machine made of one of them: the least of
 * what was measured from here on. 0: nothing was. *at: of how many rows. */
static double least_from(const struct step_cost *cost, size_t rows, size_t *at) {
    double least = 0;
    for (size_t i = rows; i <= STEP_COST_ROWS_MAX; i++) {
        double seconds = cost->seconds[i];
        if (seconds <= 0 || (least > 0 && seconds >= least)) continue;
        least = seconds;
        *at = i;
    }
    return least;
}

double step_cost_of(const struct step_cost *cost, size_t rows) {
    if (cost->row_cost > 0) return 1 + cost->row_cost * (double)(rows - 1);
    size_t below = rows, above = 0, unused;
    while (below > 0 && cost->seconds[below] <= 0) below--;
    double upper = least_from(cost, rows, &above);
    if (below == rows || below == 0) return upper;
    double lower = least_from(cost, below, &unused);
    if (upper > 0) return lower + (upper - lower) * (double)(rows - below) / (double)(above - below);
    /* Nothing is known of so many: low enough to be tried where the drafts are good, and measured then. */
    return lower * (1 + (double)(rows - below) / (double)(below + 9));
}
