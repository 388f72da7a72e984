#include "engine/sched/pace.h"

#define WEIGHT  0.2 /* of the newest value in a smoothed one */
#define OUTLIER 2   /* a step counts as at most so many times the expected: others use the machine too */

static double smooth(double average, double value) {
    return average > 0 ? average + WEIGHT * (value - average) : value;
}

static double without_outliers(double seconds, double expected) {
    return expected > 0 && seconds > OUTLIER * expected ? OUTLIER * expected : seconds;
}

/* One step that happened to be quick must not let in a whole prompt: not many more rows than were tried. */
static size_t rows_within_reach(const struct pace *pace) {
    size_t reach = 2 * pace->prefill_rows;
    return reach > PACE_ROWS_UNKNOWN ? reach : PACE_ROWS_UNKNOWN;
}

size_t pace_prefill_rows(const struct pace *pace, size_t decode_rows) {
    if (pace->mixed_steps >= PACE_MIXED_STEPS_MAX) return 0;
    if (pace->decode_seconds <= 0 || pace->row_seconds <= 0)
        return decode_rows > PACE_ROWS_UNKNOWN ? decode_rows : PACE_ROWS_UNKNOWN;
    double rows = (PACE_SLOWDOWN - 1) * pace->decode_seconds / pace->row_seconds;
    size_t reach = rows_within_reach(pace);
    if (rows < PACE_ROWS_MIN) return PACE_ROWS_MIN;
    return rows < (double)reach ? (size_t)rows : reach;
}

static void observe_mixed(struct pace *pace, size_t rows, double seconds) {
    double decode = pace->decode_seconds, least = decode / PACE_ROWS_FREE;
    if (pace->row_seconds > 0) seconds = without_outliers(seconds, decode + (double)rows * pace->row_seconds);
    double added = (seconds - decode) / (double)rows;
    pace->row_seconds = smooth(pace->row_seconds, added > least ? added : least);
    pace->prefill_rows = rows;
}

void pace_observe(struct pace *pace, size_t decode_rows, size_t prefill_rows, double seconds) {
    if (decode_rows == 0) return;
    if (prefill_rows == 0) {
        seconds = without_outliers(seconds, pace->decode_seconds);
        pace->decode_seconds = smooth(pace->decode_seconds, seconds);
        pace->mixed_steps = 0;
        return;
    }
    pace->mixed_steps++;
    if (pace->decode_seconds > 0) observe_mixed(pace, prefill_rows, seconds);
}
