#include "server/metrics/metrics.h"

#include <string.h>
#include <version.h>

#include "engine/base/log.h"
#include "server/http/route.h"
#include "server/json/write.h"
#include "server/service/service.h"

/* ---- the format ---------------------------------------------------------------------------------------- */

void metrics_head(struct bytes *out, const char *kind, const char *name, const char *help) {
    bytes_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

void metrics_sample(struct bytes *out, const char *name, const char *labels, double value) {
    if (labels[0])
        bytes_format(out, "%s{%s} %.15g\n", name, labels, value);
    else
        bytes_format(out, "%s %.15g\n", name, value);
}

void metrics_histogram(struct bytes *out, const char *name, const char *labels,
                       const struct engine_histogram *h) {
    const char *comma = labels[0] ? "," : "", *open = labels[0] ? "{" : "", *close = labels[0] ? "}" : "";
    uint64_t count = 0;
    for (size_t i = 0; i < h->bound_count; i++) {
        count += h->counts[i];
        bytes_format(out, "%s_bucket{%s%sle=\"%.10g\"} %llu\n", name, labels, comma, h->bounds[i],
                     (unsigned long long)count);
    }
    count += h->counts[h->bound_count];
    bytes_format(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, labels, comma, (unsigned long long)count);
    bytes_format(out, "%s_sum%s%s%s %.15g\n", name, open, labels, close, h->sum);
    bytes_format(out, "%s_count%s%s%s %llu\n", name, open, labels, close, (unsigned long long)count);
}

void metrics_label(struct bytes *out, const char *name, const char *value) {
    bytes_format(out, "%s%s=\"", out->length ? "," : "", name);
    for (size_t i = 0, length = strlen(value); i < length;) {
        size_t step = utf8_sequence_length(value + i, length - i);
        if (!step)
            bytes_text(out, "\xef\xbf\xbd");
        else if (value[i] == '\n')
            bytes_text(out, "\\n");
        else {
            if (value[i] == '"' || value[i] == '\\') bytes_text(out, "\\");
            bytes_append(out, value + i, step);
        }
        i += step ? step : 1;
    }
    bytes_text(out, "\"");
}

/* One without labels. */
static void write_figure(struct bytes *out, const char *kind, const char *name, const char *help,
                         double value) {
    metrics_head(out, kind, name, help);
    metrics_sample(out, name, "", value);
}

/* A sample that is always 1 and whose labels say something; takes the labels. */
static void write_info(struct bytes *out, const char *name, const char *help, struct bytes *labels) {
    bytes_append(labels, "", 1);
    metrics_head(out, "gauge", name, help);
    if (labels->failed)
        out->failed = true;
    else
        metrics_sample(out, name, labels->data, 1);
    bytes_deinit(labels);
}

/* ---- the server ---------------------------------------------------------------------------------------- */

static void write_stats(struct bytes *out, const struct http_stats *stats) {
#define COUNTER "counter"
#define GAUGE   "gauge"
#define STAT(field, kind, name, help)                                                                        \
    metrics_head(out, kind, name, help);                                                                     \
    metrics_sample(out, name, "", (double)stats->field);
#include "server/service/http_stats.def"
#undef STAT
#undef COUNTER
#undef GAUGE
}

void metrics_write_answers(struct bytes *out, const struct http_stats *stats,
                           const struct route_table *routes) {
    metrics_head(out, "counter", "prenorm_http_answers_total", "Answers by route and status.");
    for (unsigned route = 0; route <= routes->count; route++)
        for (unsigned i = 0; i < HTTP_STATS_STATUS_COUNT; i++)
            if (stats->answers[route][i])
                bytes_format(out, "prenorm_http_answers_total{route=\"%s\",code=\"%u\"} %llu\n",
                             route_label(routes, route), HTTP_STATS_STATUS_LEAST + i,
                             (unsigned long long)stats->answers[route][i]);
    metrics_head(out, "counter", "prenorm_http_rejected_total", "Requests refused or failed, by reason.");
    for (int kind = API_OK + 1; kind < API_ERROR_COUNT; kind++)
        bytes_format(out, "prenorm_http_rejected_total{reason=\"%s\"} %llu\n",
                     api_error_reason((enum api_error_kind)kind), (unsigned long long)stats->rejected[kind]);
}

static void write_loop_longest(struct bytes *out, const struct loop *l) {
    static const char max_name[] = "prenorm_loop_callback_seconds_max",
                      cpu_name[] = "prenorm_loop_callback_cpu_seconds_max";
    metrics_head(out, "gauge", max_name, "The longest of these calls since the start.");
    for (int call = 0; call < LOOP_CALL_COUNT; call++)
        bytes_format(out, "%s{kind=\"%s\"} %.9g\n", max_name, loop_call_name((enum loop_call)call),
                     (double)l->figures[call].max_ns * 1e-9);
    metrics_head(out, "gauge", cpu_name,
                 "The longest of these calls by the processor's time of the loop thread, whatever else ran.");
    for (int call = 0; call < LOOP_CALL_COUNT; call++)
        bytes_format(out, "%s{kind=\"%s\"} %.9g\n", cpu_name, loop_call_name((enum loop_call)call),
                     (double)l->figures[call].cpu_max_ns * 1e-9);
}

/* What the loop was called for, and how long that kept it from everything else. */
static void write_loop(struct bytes *out, const struct loop *l) {
    static const char name[] = "prenorm_loop_callback_seconds";
    metrics_head(out, "summary", name,
                 "Time that the loop thread spent in one call, by what it was called for.");
    for (int call = 0; call < LOOP_CALL_COUNT; call++) {
        const struct loop_figures *f = &l->figures[call];
        const char *label = loop_call_name((enum loop_call)call);
        bytes_format(out, "%s_sum{kind=\"%s\"} %.9g\n", name, label, (double)f->sum_ns * 1e-9);
        bytes_format(out, "%s_count{kind=\"%s\"} %llu\n", name, label, (unsigned long long)f->count);
    }
    write_loop_longest(out, l);
}

static void write_server(struct bytes *out, struct service *s) {
    char stage[64];
    struct bytes labels = {0};
    metrics_label(&labels, "version", PRENORM_VERSION);
    metrics_label(&labels, "compiler", __VERSION__);
    write_info(out, "prenorm_build_info", "The program; always 1.", &labels);
    struct api_error reason;
    write_figure(out, "gauge", "prenorm_ready", "1 when requests are taken: what /ready says.",
                 service_check_ready(s, &reason) == API_OK);
    write_figure(out, "gauge", "prenorm_engine_stalled_seconds",
                 "Time for which the engine has computed nothing although work waits.",
                 liveness_seconds(&s->liveness));
    write_figure(out, "gauge", "prenorm_load_stage_ratio",
                 "Share of the present stage of loading that is done.",
                 s->engine ? 1 : opener_progress(s->opener, stage, sizeof stage));
    write_figure(out, "gauge", "prenorm_encode_requests", "Requests whose text is being turned into tokens.",
                 (double)s->admission.requests);
    write_figure(out, "gauge", "prenorm_encode_large_requests", "Of these, large ones that run or wait.",
                 (double)s->lanes.large_held);
    write_figure(out, "gauge", "prenorm_http_body_bytes_held", "Bytes of request bodies in memory.",
                 (double)s->admission.bytes);
    write_figure(out, "counter", "prenorm_log_lines_dropped_total",
                 "Log lines that were lost because nobody read stderr.", (double)log_lines_dropped());
    write_figure(out, "counter", "prenorm_access_log_lines_dropped_total",
                 "Lines that the access log had no room for, on its disk or in its pipe.",
                 (double)s->access_log.dropped);
    write_figure(out, "gauge", "prenorm_reading_memory_bytes",
                 "Memory taken by requests that are being parsed and encoded.",
                 (double)gate_used(&s->memory.reading));
    write_figure(out, "gauge", "prenorm_answer_memory_bytes",
                 "Memory taken by admitted requests, whole answers and unsent parts of streams.",
                 (double)budget_used(&s->memory.answers));
    write_loop(out, &s->loop);
    write_stats(out, &s->stats);
    metrics_write_answers(out, &s->stats, s->routes);
}

/* ---- the engine ---------------------------------------------------------------------------------------- */

/* What --verify found, in standard deviations of the logits. */
static void write_verify(struct bytes *out, const struct engine_verify_figures *v) {
    write_figure(out, "gauge", "prenorm_verify_largest_difference_ratio",
                 "Largest difference of a logit from the untouched model at start-up, over the deviation of "
                 "the logits.",
                 v->largest);
    write_figure(out, "gauge", "prenorm_verify_mean_difference_ratio", "The same, mean over all logits.",
                 v->mean);
    write_figure(out, "gauge", "prenorm_verify_kl_divergence_nats", "Mean divergence of the distributions.",
                 v->kl);
    write_figure(out, "gauge", "prenorm_verify_greedy_agreement_ratio",
                 "Share of tokens with the same likeliest successor.", v->agreement);
}

static void write_model_info(struct bytes *out, const struct service *s, const char *model_label) {
    struct bytes labels = {0};
    metrics_label(&labels, "model_name", s->model);
    metrics_label(&labels, "family", s->info.family);
    metrics_label(&labels, "norm_form", norm_form_name(s->info.norm_form));
    metrics_label(&labels, "weights", weight_type_name(s->info.weights));
    metrics_label(&labels, "kv_type", kv_type_name(s->info.kv_type));
    metrics_label(&labels, "isa", kernel_isa_name(s->info.isa));
    write_info(out, "prenorm_model_info", "The model; always 1.", &labels);
    write_figure(out, "gauge", "prenorm_load_duration_seconds", "Time that loading took.",
                 s->info.load_seconds);
    write_figure(out, "gauge", "prenorm_weight_bytes", "Bytes of the packed weights.",
                 (double)s->info.weight_bytes);
    write_figure(out, "gauge", "prenorm_kv_cache_bytes", "Bytes of the key/value cache.",
                 (double)s->info.kv_bytes);
    if (s->info.verify.tokens) write_verify(out, &s->info.verify);
    metrics_head(out, "gauge", "vllm:cache_config_info", "Pages of the key/value cache; always 1.");
    bytes_format(out, "vllm:cache_config_info{%s,block_size=\"%zu\",num_gpu_blocks=\"%zu\"} 1\n", model_label,
                 s->info.kv_page_tokens, s->info.kv_pages);
}

/* Of a step that only decodes readers may ask how evenly it comes; how long the others take follows the
 * prompts. */
static void write_step_times(struct bytes *out, const struct engine_stats *s) {
    static const char name[] = "prenorm_step_duration_seconds";
    metrics_head(out, "histogram", name,
                 "Time of a step, by what it computed: decode, prefill or both (mixed).");
    metrics_histogram(out, name, "phase=\"decode\"", &s->step_time_decode);
    metrics_histogram(out, name, "phase=\"prefill\"", &s->step_time_prefill);
    metrics_histogram(out, name, "phase=\"mixed\"", &s->step_time_mixed);
}

static void write_finished(struct bytes *out, const struct engine_stats *s, const char *model_label) {
    const struct {
        const char *own, *vllm; /* vllm NULL: part of abort */
        uint64_t count;
    } reasons[] = {{"stop", "stop", s->finished_stop},
                   {"length", "length", s->finished_length},
                   {"cancelled", NULL, s->finished_cancelled},
                   {"timeout", NULL, s->finished_timeout},
                   {"failed", NULL, s->finished_failed}};
    uint64_t aborted = 0;
    metrics_head(out, "counter", "prenorm_sequences_finished_total", "Sequences that have ended, by reason.");
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        bytes_format(out, "prenorm_sequences_finished_total{reason=\"%s\"} %llu\n", reasons[i].own,
                     (unsigned long long)reasons[i].count);
    metrics_head(out, "counter", "vllm:request_success_total", "Sequences that have ended, by reason.");
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (reasons[i].vllm)
            bytes_format(out, "vllm:request_success_total{%s,finished_reason=\"%s\"} %llu\n", model_label,
                         reasons[i].vllm, (unsigned long long)reasons[i].count);
        else
            aborted += reasons[i].count;
    }
    bytes_format(out, "vllm:request_success_total{%s,finished_reason=\"abort\"} %llu\n", model_label,
                 (unsigned long long)aborted);
}

static void write_engine(struct bytes *out, const struct service *service) {
    struct engine_stats s;
    struct bytes label = {0};
    engine_stats(service->engine, &s);
    metrics_label(&label, "model_name", service->model);
    bytes_append(&label, "", 1);
    if (label.failed) {
        bytes_deinit(&label);
        out->failed = true;
        return;
    }
    const char *OWN = "", *VLLM = label.data;
#define VALUE(names, kind, name, help, expression)                                                           \
    metrics_head(out, kind, name, help);                                                                     \
    metrics_sample(out, name, names, expression);
#define HISTOGRAM(names, name, help, field)                                                                  \
    metrics_head(out, "histogram", name, help);                                                              \
    metrics_histogram(out, name, names, &s.field);
#include "server/metrics/engine_stats.def"
#undef VALUE
#undef HISTOGRAM
    write_step_times(out, &s);
    write_finished(out, &s, label.data);
    write_model_info(out, service, label.data);
    bytes_deinit(&label);
}

void metrics_write(struct bytes *out, struct service *s) {
    write_server(out, s);
    if (s->engine) write_engine(out, s);
    metrics_write_process(out);
}
