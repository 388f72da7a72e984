#include "engine/sched/prefill_budget.h"

#define WEIGHT  0.2 /* of the newest value in a smoothed one */
#define OUTLIER 2   /* a step counts as at most so many times the expected: others use the machine too */

static double smooth(double average, double value) {
    return average > 0 ? average + WEIGHT * (value - average) : value;
}

static double without_outliers(double seconds, double expected) {
    return expected > 0 && seconds > OUTLIER * expected ? OUTLIER * expected : seconds;
}

/* One step that happened to be quick must not let in a whole prompt: not many more rows than were tried. */
static size_t rows_within_reach(const struct prefill_budget *budget) {
    size_t reach = 2 * budget->prefill_rows;
    return reach > PREFILL_BUDGET_ROWS_UNKNOWN ? reach : PREFILL_BUDGET_ROWS_UNKNOWN;
}

size_t prefill_budget_prefill_rows(const struct prefill_budget *budget, size_t decode_rows) {
    if (budget->mixed_steps >= PREFILL_BUDGET_MIXED_STEPS_MAX) return 0;
    if (budget->decode_seconds <= 0 || budget->row_seconds <= 0)
        return decode_rows > PREFILL_BUDGET_ROWS_UNKNOWN ? decode_rows : PREFILL_BUDGET_ROWS_UNKNOWN;
    double rows = (PREFILL_BUDGET_SLOWDOWN - 1) * budget->decode_seconds / budget->row_seconds;
    size_t reach = rows_within_reach(budget);
    if (rows < PREFILL_BUDGET_ROWS_MIN) return PREFILL_BUDGET_ROWS_MIN;
    return rows < (double)reach ? (size_t)rows : reach;
}

static void observe_mixed(struct prefill_budget *budget, size_t rows, double seconds) {
    double decode = budget->decode_seconds, least = decode / PREFILL_BUDGET_ROWS_FREE;
    if (budget->row_seconds > 0)
        seconds = without_outliers(seconds, decode + (double)rows * budget->row_seconds);
    double added = (seconds - decode) / (double)rows;
    budget->row_seconds = smooth(budget->row_seconds, added > least ? added : least);
    budget->prefill_rows = rows;
}

void prefill_budget_observe(struct prefill_budget *budget, size_t decode_rows, size_t prefill_rows,
                            double seconds) {
    if (decode_rows == 0) return;
    if (prefill_rows == 0) {
        seconds = without_outliers(seconds, budget->decode_seconds);
        budget->decode_seconds = smooth(budget->decode_seconds, seconds);
        budget->mixed_steps = 0;
        return;
    }
    budget->mixed_steps++;
    if (budget->decode_seconds > 0) observe_mixed(budget, prefill_rows, seconds);
}
