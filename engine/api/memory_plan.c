#include "engine/api/memory_plan.h"

#include <assert.h>
#include <stdint.h>

#define MIB        ((double)((size_t)1 << 20))
#define ROUND_STEP ((size_t)4 << 20)

size_t memory_plan_round(size_t available_bytes) {
    return available_bytes < ROUND_STEP ? available_bytes : available_bytes / ROUND_STEP * ROUND_STEP;
}

void memory_plan_add(struct memory_plan *plan, const char *name, size_t bytes) {
    if (bytes == 0) return;
    assert(plan->count < MEMORY_PLAN_LINES_MAX);
    plan->lines[plan->count++] = (struct memory_line){name, bytes};
}

size_t memory_plan_total(const struct memory_plan *plan) {
    size_t total = 0;
    for (size_t i = 0; i < plan->count; i++)
        if (__builtin_add_overflow(total, plan->lines[i].bytes, &total)) return SIZE_MAX;
    return total;
}

size_t memory_plan_left(const struct memory_plan *plan) {
    size_t total = memory_plan_total(plan);
    if (plan->available_bytes == 0) return SIZE_MAX;
    return total < plan->available_bytes ? plan->available_bytes - total : 0;
}

static void write_line(double mib, const char *name) {
    log_info("memory plan: %8.1f MiB  %s", mib, name);
}

void memory_plan_log(const struct memory_plan *plan, size_t weights_bytes) {
    write_line((double)weights_bytes / MIB, "weights (held)");
    for (size_t i = 0; i < plan->count; i++)
        write_line((double)plan->lines[i].bytes / MIB, plan->lines[i].name);
    if (plan->available_bytes == 0)
        log_info("memory plan: what is left is not known here");
    else
        write_line(((double)plan->available_bytes - (double)memory_plan_total(plan)) / MIB,
                   memory_plan_left(plan) ? "left" : "missing");
}
