/* How long a completion took, for who asks: the member `timings` as llama-server has it, and the header
 * Server-Timing. */
#include <stdio.h>

#include "server/completion/completion.h"

static double longer(double a, double b) {
    return a > b ? a : b;
}

void completion_count_times(struct completion *c, const struct engine_event *event) {
    struct completion_times *t = &c->times;
    t->queue = longer(t->queue, event->queue_seconds);
    t->prefill = longer(t->prefill, event->prefill_seconds);
    t->decode = longer(t->decode, event->decode_seconds);
}

/* null where there is nothing to divide by. */
static void write_ratio(struct bytes *out, const char *name, double value, double by) {
    if (by > 0)
        bytes_format(out, ",\"%s\":%.3f", name, value / by);
    else
        bytes_format(out, ",\"%s\":null", name);
}

static void write_phase(struct bytes *out, const char *phase, double count, double seconds) {
    char name[40];
    double ms = seconds * 1e3;
    bytes_format(out, ",\"%s_n\":%.0f,\"%s_ms\":%.3f", phase, count, phase, ms);
    snprintf(name, sizeof name, "%s_per_token_ms", phase);
    write_ratio(out, name, ms, count);
    snprintf(name, sizeof name, "%s_per_second", phase);
    write_ratio(out, name, count, seconds);
}

void completion_write_timings(struct bytes *out, const struct completion *c) {
    size_t cached = 0, prompt = 0, generated = 0;
    for (size_t i = 0; i < c->prompt_count; i++) {
        cached += c->prompts[i].cached_tokens;
        prompt += c->prompts[i].count - c->prompts[i].cached_tokens;
        generated += c->prompts[i].completion_tokens;
    }
    bytes_format(out, ",\"timings\":{\"cache_n\":%zu", cached);
    write_phase(out, "prompt", (double)prompt, c->times.prefill);
    write_phase(out, "predicted", (double)generated, c->times.decode);
    bytes_text(out, "}");
}

void completion_server_timing(const struct completion *c, double total_seconds,
                              char out[COMPLETION_SERVER_TIMING_SIZE]) {
    const struct completion_times *t = &c->times;
    snprintf(out, COMPLETION_SERVER_TIMING_SIZE,
             "queue;dur=%.3f, prefill;dur=%.3f, decode;dur=%.3f, total;dur=%.3f", t->queue * 1e3,
             t->prefill * 1e3, t->decode * 1e3, total_seconds * 1e3);
}
