#include "engine/sched/pace.h"

#define WEIGHT            0.2 /* of the newest value in a smoothed one */
#define OUTLIER           2 /* a value counts as at most so many times the smoothed one: others use the machine too */
#define ROW_SECONDS_LEAST 1e-9

static void smooth(double *average, double value) {
    if (*average > 0 && value > OUTLIER * *average) value = OUTLIER * *average;
    *average = *average > 0 ? *average + WEIGHT * (value - *average) : value;
}

size_t pace_prefill_rows(const struct pace *pace, size_t decode_rows) {
    if (pace->mixed_steps >= PACE_MIXED_STEPS_MAX) return 0;
    if (pace->decode_seconds <= 0 || pace->row_seconds <= 0)
        return decode_rows > PACE_ROWS_UNKNOWN ? decode_rows : PACE_ROWS_UNKNOWN;
    double rows = (PACE_SLOWDOWN - 1) * pace->decode_seconds / pace->row_seconds;
    if (rows < PACE_ROWS_MIN) return PACE_ROWS_MIN;
    return rows < 1e9 ? (size_t)rows : (size_t)1e9;
}

void pace_observe(struct pace *pace, size_t decode_rows, size_t prefill_rows, double seconds) {
    if (decode_rows == 0) return;
    if (prefill_rows == 0) {
        smooth(&pace->decode_seconds, seconds);
        pace->mixed_steps = 0;
        return;
    }
    pace->mixed_steps++;
    if (pace->decode_seconds <= 0) return;
    double added = (seconds - pace->decode_seconds) / (double)prefill_rows;
    smooth(&pace->row_seconds, added > ROW_SECONDS_LEAST ? added : ROW_SECONDS_LEAST);
}
