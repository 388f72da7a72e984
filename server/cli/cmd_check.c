/* check: what serve would say of its configuration, files, memory and address, each in a line on standard output, or all
 * as JSON. The first thing that is wrong ends it. */
#include <jansson.h>
#include <stdio.h>

#include "engine/tools/tools.h"
#include "server/cli/command.h"
#include "server/cli/engine_setup.h"
#include "server/daemon/server.h"
#include "server/json/print.h"
#include "server/service/tls.h"

enum { URL_BYTES = 512 };

static size_t mib(size_t bytes) {
    return (bytes + ((size_t)1 << 20) - 1) >> 20;
}

/* "f32 23, bf16 12, ...": MiB of each type that the model could be packed in. */
static void print_types(const struct check_result *r) {
    const char *separator = "";
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++) {
        if (!r->weight_bytes[type]) continue;
        printf("%s%s %zu MiB", separator, weight_type_name(type), mib(r->weight_bytes[type]));
        separator = ", ";
    }
}

static void print_result(const struct config *config, const char *model, const struct check_result *r,
                         const char *url) {
    printf("configuration  %s\n", config->file ? config->file : "no file");
    printf("model          %s: %s, %zu layers of %zu, %.1f M parameters, %s form\n", model, r->family,
           r->layers, r->width, (double)r->parameters / 1e6, norm_form_name(r->norm_form));
    printf("tokenizer      %s\n", r->has_tokenizer ? "read" : r->no_tokenizer);
    printf("chat template  %s%s\n", r->has_chat_template ? "" : "none: ",
           r->has_chat_template ? r->chat_template : r->no_chat_template);
    printf("weights        %s%s (", weight_type_name(r->weights), r->is_file ? ", mapped" : "");
    print_types(r);
    printf(")\ncache          %s, %zu MiB for one sequence of %zu tokens\n", kv_type_name(r->kv_type),
           mib(r->context_bytes), r->context);
    printf("memory         %zu MiB for both, %zu MiB for requests, %zu MiB are left\n",
           mib(r->weight_bytes[r->weights] + r->context_bytes), mib(r->reserved_bytes),
           r->available_bytes >> 20);
    printf("address        %s: free\n", url);
}

static enum status print_json(const char *model, const struct check_result *r, const char *url,
                              struct error *e) {
    json_t *types = json_object();
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++)
        if (r->weight_bytes[type])
            json_object_set_new(types, weight_type_name(type),
                                json_integer((json_int_t)r->weight_bytes[type]));
    json_t *root =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:b, s:b, s:o, s:I, s:I, s:I, s:s}", "model",
                  model, "family", r->family, "norm_form", norm_form_name(r->norm_form), "weights",
                  weight_type_name(r->weights), "kv_type", kv_type_name(r->kv_type), "parameters",
                  (json_int_t)r->parameters, "layers", (json_int_t)r->layers, "vocabulary",
                  (json_int_t)r->vocabulary, "context", (json_int_t)r->context, "tokenizer", r->has_tokenizer,
                  "chat_template", r->has_chat_template, "weight_bytes", types, "context_bytes",
                  (json_int_t)r->context_bytes, "reserved_bytes", (json_int_t)r->reserved_bytes,
                  "available_bytes", (json_int_t)r->available_bytes, "address", url);
    return json_print(root, JSON_INDENT(1), e);
}

static enum status refuse_what_does_not_fit(const struct check_result *r, struct error *e) {
    if (r->no_room.code == STATUS_OPTION) {
        *e = r->no_room;
        return e->code;
    }
    if (r->no_room.code == STATUS_OK) return STATUS_OK;
    return error_set(
        e, STATUS_LIMIT, "memory",
        "the weights take %zu MiB, the cache for one sequence %zu MiB and requests %zu MiB, and "
        "%zu MiB are left: see --weights, --context, --kv-type and what is reserved for requests",
        mib(r->weight_bytes[r->weights]), mib(r->context_bytes), mib(r->reserved_bytes),
        r->available_bytes >> 20);
}

enum exit_code cmd_check(const struct config *config) {
    static struct engine_setup setup;
    struct check_result result;
    struct error e;
    char url[URL_BYTES];
    if (tls_check_priorities(config->tls_priorities, &e) != STATUS_OK)
        return command_fail(EXIT_CODE_USAGE, &e);
    if (engine_setup_init(&setup, config, &e) != STATUS_OK) return command_fail(EXIT_CODE_USAGE, &e);
    enum status status = engine_options_check(&setup.options, &e);
    if (status == STATUS_OK) status = server_check(config, &setup.options, url, sizeof url, &e);
    if (status == STATUS_OK) status = check_model(&setup.options, &result, &e);
    if (status == STATUS_OK && config->json) status = print_json(setup.model, &result, url, &e);
    if (status == STATUS_OK && !config->json) print_result(config, setup.model, &result, url);
    if (status == STATUS_OK) status = refuse_what_does_not_fit(&result, &e);
    if (status != STATUS_OK) return command_fail_run(config, &e);
    if (fflush(stdout) == 0 && !ferror(stdout)) return EXIT_CODE_OK;
    error_set(&e, STATUS_IO, "standard output", "cannot be written");
    return command_fail(EXIT_CODE_FAILURE, &e);
}
