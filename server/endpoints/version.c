/* GET /version: what runs here. Also while the model loads; then `model` is null. */
#include <version.h>

#include "server/endpoints/endpoints.h"
#include "server/http/http_request.h"
#include "server/json/write.h"

static void write_field(struct bytes *out, const char *name, const char *value) {
    bytes_format(out, ",\"%s\":", name);
    json_write_text(out, value);
}

/* null, or which adapter was merged. */
static void write_adapter(struct bytes *out, const struct adapter_identity *adapter) {
    bytes_text(out, ",\"adapter\":");
    if (!adapter->name[0]) {
        bytes_text(out, "null");
        return;
    }
    bytes_text(out, "{\"name\":");
    json_write_text(out, adapter->name);
    write_field(out, "config_xxh64", adapter->config_xxh64);
    write_field(out, "weights_xxh64", adapter->weights_xxh64);
    bytes_text(out, "}");
}

/* null, or with which text the weights were calibrated. */
static void write_calibration(struct bytes *out, const struct calibration_identity *calibration) {
    bytes_text(out, ",\"calibration\":");
    if (!calibration->tokens) {
        bytes_text(out, "null");
        return;
    }
    bytes_format(out, "{\"tokens\":%zu", calibration->tokens);
    write_field(out, "text_sha256", calibration->text_sha256);
    bytes_text(out, "}");
}

static void write_model(struct bytes *out, const struct service *s) {
    const struct engine_info *info = &s->info;
    bytes_text(out, ",\"model\":{\"id\":");
    json_write_text(out, s->model);
    write_field(out, "family", info->family);
    write_field(out, "norm_form", norm_form_name(info->norm_form));
    write_field(out, "weights", weight_type_name(info->weights));
    write_field(out, "head_weights", weight_type_name(info->head));
    bytes_text(out, info->rotated ? ",\"rotation\":true" : ",\"rotation\":false");
    write_field(out, "kv_type", kv_type_name(info->kv_type));
    write_field(out, "matmul", matmul_name(info->matmul));
    write_field(out, "speculate", speculate_name(info->speculate));
    write_adapter(out, &info->adapter);
    write_calibration(out, &info->calibration);
    if (info->unknown_config_keys[0]) write_field(out, "unknown_config_keys", info->unknown_config_keys);
    if (info->context > info->own_context)
        bytes_format(out, ",\"extended_from_context\":%zu", info->own_context);
    bytes_format(out, ",\"parameters\":%llu}", (unsigned long long)info->parameters);
    write_field(out, "isa", kernel_isa_name(info->isa));
    write_field(out, "cpu_features", info->cpu_features);
    bytes_format(
        out,
        ",\"threads\":%zu,\"limits\":{\"context\":%zu,\"sequences\":%zu,\"queue\":%zu,\"step_tokens\":%zu,"
        "\"logprobs\":%zu,\"n\":%zu,\"body_bytes\":%zu,"
        "\"tokenize_bytes\":%zu,\"tokenize_ids\":%zu}",
        info->threads, info->context, info->sequences_max, info->queue_max, info->step_tokens,
        info->logprobs_max, s->limits.n_max, s->config->body_bytes_max, s->limits.tokenize_bytes_max,
        s->limits.tokenize_ids_max);
}

void endpoint_version(struct http_request *r) {
    struct bytes *out = &r->answer;
    bytes_text(out, "{\"version\":\"" PRENORM_VERSION "\",\"build\":{\"compiler\":");
    json_write_text(out, __VERSION__);
    bytes_text(out, "}");
    if (r->service->engine)
        write_model(out, r->service);
    else
        bytes_text(out, ",\"model\":null");
    bytes_text(out, "}");
    http_request_answer(r, 200, "application/json");
}
