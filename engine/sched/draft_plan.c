#include "engine/sched/draft_plan.h"

#include <stdint.h>

/* The sequence whose next draft has the best odds; count: none has any left. */
static size_t best_next(const struct draft_offer *offers, size_t count, const size_t *taken) {
    size_t best = count;
    double chance = 0;
    for (size_t i = 0; i < count; i++) {
        if (taken[i] >= offers[i].count || offers[i].chances[taken[i]] <= chance) continue;
        best = i;
        chance = offers[i].chances[taken[i]];
    }
    return best;
}

struct search {
    double base;    /* tokens a second of the step without drafts */
    double slowest; /* that the step may be while somebody has no draft */
    double best;    /* tokens a second */
    size_t rows;    /* of that step */
};

static bool consider(struct search *s, double tokens, double seconds, size_t rows, size_t without) {
    double rate = tokens / seconds;
    if (rate < DRAFT_GAIN_MIN * s->base || rate <= s->best) return false;
    if (without > 0 && seconds > s->slowest) return false;
    s->best = rate;
    s->rows = rows;
    return true;
}

/* false: there can be no drafts. */
static bool begin(struct search *s, const struct step_cost *cost, size_t count, size_t rows_max) {
    if (count == 0 || count >= rows_max || count >= STEP_COST_ROWS_MAX || !step_cost_is_known(cost, count))
        return false;
    double plain = step_cost_of(cost, count);
    *s = (struct search){
        .base = (double)count / plain, .slowest = DRAFT_BYSTANDER_SLOWDOWN * plain, .rows = count};
    return true;
}

size_t draft_plan(const struct step_cost *cost, const struct draft_offer *offers, size_t count,
                  size_t rows_max, size_t *drafts, double *rate) {
    uint8_t order[STEP_COST_ROWS_MAX];
    size_t rows = count, without = count;
    double tokens = (double)count;
    struct search s;
    *rate = 0;
    for (size_t i = 0; i < count; i++) drafts[i] = 0;
    if (rows_max > STEP_COST_ROWS_MAX) rows_max = STEP_COST_ROWS_MAX;
    if (!begin(&s, cost, count, rows_max)) return 0;
    for (size_t i; rows < rows_max && (i = best_next(offers, count, drafts)) < count;) {
        tokens += offers[i].chances[drafts[i]];
        without -= drafts[i] == 0;
        drafts[i]++;
        order[rows++] = (uint8_t)i;
        consider(&s, tokens, step_cost_of(cost, rows), rows, without);
    }
    for (; rows > s.rows; rows--) drafts[order[rows - 1]]--;
    *rate = s.best;
    return s.rows - count;
}

size_t draft_plan_depth(const struct step_cost *cost, double seconds, const struct draft_offer *offers,
                        size_t count, size_t rows_max, double *rate) {
    size_t rows = count, best = 0;
    double tokens = (double)count;
    struct search s;
    *rate = 0;
    if (rows_max > STEP_COST_ROWS_MAX) rows_max = STEP_COST_ROWS_MAX;
    if (!begin(&s, cost, count, rows_max)) return 0;
    for (size_t depth = 1; depth <= DRAFT_TOKENS_MAX; depth++) {
        size_t before = rows, without = 0;
        for (size_t i = 0; i < count; i++) {
            without += offers[i].count == 0;
            if (offers[i].count < depth) continue;
            tokens += offers[i].chances[depth - 1];
            rows++;
        }
        if (rows == before || rows > rows_max) break;
        double all = step_cost_of(cost, rows) + (double)depth * seconds;
        if (consider(&s, tokens, all, rows, without)) best = depth;
    }
    *rate = s.best;
    return best;
}
