/* GET /v1/models and /v1/models/{id}: the one model that is served. */
#include <string.h>

#include "server/endpoints/endpoints.h"
#include "server/http/http_request.h"
#include "server/json/write.h"

/* What generation_config.json says of the sampling, and whether requests that say nothing are given it. */
static void write_generation(struct bytes *out, const struct service *s) {
    const struct generation_defaults *d = &s->info.generation;
    bytes_format(out, ",\"generation_config\":{\"applied\":%s", service_generation(s) ? "true" : "false");
#define X(field, key, ...)                                                                                   \
    if (d->field.is_said) bytes_format(out, ",\"" key "\":%.15g", d->field.value);
    GENERATION_DEFAULT_LIST(X)
#undef X
    bytes_text(out, "}");
}

static void write_model(struct bytes *out, const struct service *s) {
    bytes_text(out, "{\"id\":");
    json_write_text(out, s->model);
    bytes_format(out, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"prenorm\",\"max_model_len\":%zu",
                 (long long)s->started, s->info.context);
    bytes_text(out, ",\"family\":");
    json_write_text(out, s->info.family);
    bytes_text(out, ",\"norm_placement\":");
    json_write_text(out, s->info.norm_placement);
    bytes_text(out, ",\"norm_form\":");
    json_write_text(out, norm_form_name(s->info.norm_form));
    bytes_text(out, ",\"weights\":");
    json_write_text(out, weight_type_name(s->info.weights));
    write_generation(out, s);
    size_t infill_ends;
    engine_infill_ends(s->engine, &infill_ends);
    bytes_text(out, engine_no_chat_template(s->engine) ? ",\"chat\":false" : ",\"chat\":true");
    bytes_text(out, infill_ends ? ",\"infill\":true" : ",\"infill\":false");
    bytes_format(out, ",\"parameters\":%llu,\"vocabulary\":%zu}", (unsigned long long)s->info.parameters,
                 s->info.vocabulary);
}

void endpoint_models(struct http_request *r) {
    bytes_text(&r->answer, "{\"object\":\"list\",\"data\":[");
    write_model(&r->answer, r->service);
    bytes_text(&r->answer, "]}");
    http_request_answer(r, 200, "application/json");
}

void endpoint_model(struct http_request *r) {
    const struct service *s = r->service;
    if (strcmp(r->tail, s->model) != 0) {
        api_error_set(&r->error, API_MODEL_NOT_FOUND, "model",
                      "The model '%.200s' does not exist; this server has '%.200s'.", r->tail, s->model);
        http_request_fail(r);
        return;
    }
    write_model(&r->answer, s);
    http_request_answer(r, 200, "application/json");
}
