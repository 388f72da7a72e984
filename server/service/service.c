#include "server/service/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <version.h>

#include "engine/base/clock.h"
#include "server/service/hub_cache.h"

enum { RETRY_AFTER_SECONDS = 5 };

/* From where draining begins: whose connection has been accepted is about to send its request, or has, and would find it
 * closed without an answer. Others are silent for ever. */
static const uint64_t newcomer_ns = 1000000000;

unsigned service_retry_after(const struct service *s, enum api_error_kind kind) {
    bool is_full = kind == API_QUEUE_FULL || kind == API_CLIENT_LIMIT;
    return is_full && s->engine ? engine_retry_after(s->engine) : RETRY_AFTER_SECONDS;
}

void service_tell_ready(struct service *s) {
    notify_send(&s->notify, "READY=1\nSTATUS=Serving %s on %s", s->model, s->listener.url);
}

void service_set_phase(struct service *s, enum service_phase phase) {
    s->phase = phase;
    s->phase_ns = clock_ns();
}

static bool awaits_newcomers(const struct service *s) {
    return s->phase == SERVICE_DRAINING && s->newcomers && clock_ns() - s->phase_ns < newcomer_ns;
}

void service_end_drain(struct service *s) {
    if (s->phase >= SERVICE_DRAINING && !s->requests && !awaits_newcomers(s)) loop_stop(&s->loop);
}

enum api_error_kind service_check_alive(const struct service *s, struct api_error *e) {
    if (!liveness_is_stuck(&s->liveness, s->config->stuck_seconds)) return API_OK;
    return api_error_set(e, API_STUCK, NULL,
                         "The engine has computed nothing for %.0f seconds although work waits.",
                         liveness_seconds(&s->liveness));
}

enum api_error_kind service_check_ready(struct service *s, struct api_error *e) {
    char stage[64];
    double share;
    switch (s->phase) {
    case SERVICE_LOADING:
        share = opener_progress(s->opener, stage, sizeof stage);
        return api_error_set(e, API_LOADING, NULL, "The model is loading: %s, %.0f %%.", stage, share * 100);
    case SERVICE_DRAINING:
    case SERVICE_STOPPING:
        return api_error_set(e, API_DRAINING, NULL, "The server is shutting down.");
    case SERVICE_SERVING:
        break;
    }
    if (s->leave_ns) return api_error_set(e, API_DRAINING, NULL, "The server is about to shut down.");
    return service_check_alive(s, e);
}

const struct generation_defaults *service_generation(const struct service *s) {
    return strcmp(s->config->generation_defaults, "model") == 0 ? &s->info.generation : NULL;
}

void service_set_limits(struct service *s) {
    const struct config *config = s->config;
    uint64_t timeout_ms = (uint64_t)config->request_timeout_seconds * 1000;
    s->limits = (struct api_limits){
        .memory = &s->memory,
        .context = s->info.context,
        .vocabulary = s->info.vocabulary,
        .embedding_width = s->info.embedding_width,
        .logprobs_max = s->info.logprobs_max,
        .n_max = config->max_n,
        .choices_max = config->max_choices,
        .stops_max = config->max_stops,
        .stop_bytes_max = config->stop_bytes_max,
        .model = s->model,
        .any_model = config->any_model,
        .refuse_unknown = config->strict,
        .tokenize_bytes_max = config->tokenize_bytes_max,
        .tokenize_ids_max = config->tokenize_ids_max,
        .unknown = &s->unknown_fields,
        .generation = service_generation(s),
        .timeout_ms = timeout_ms > INT32_MAX ? INT32_MAX : (uint32_t)timeout_ms,
    };
}

void service_model_name(const struct config *config, const char *folder, char *out, size_t size) {
    char *path = config->model_name ? NULL : realpath(folder, NULL);
    const char *slash = path ? strrchr(path, '/') : NULL;
    const char *name = config->model_name ? config->model_name : slash && slash[1] ? slash + 1 : "model";
    if (!path || !hub_cache_name_of(path, out, size)) snprintf(out, size, "%s", name);
    free(path);
}

void service_fingerprint(const struct engine_info *info, char *out, size_t size) {
    snprintf(out, size, "prenorm-%s-%s-%s%s%s", PRENORM_VERSION, norm_form_name(info->norm_form),
             weight_type_name(info->weights), info->head == WEIGHT_TYPE_INT4 ? "-head4" : "",
             info->rotated ? "-rotated" : "");
}
