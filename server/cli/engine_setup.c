#include "server/cli/engine_setup.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "install_paths.h"
#include "server/service/hub_cache.h"

/* The folder of the running program, with a '/' at its end; false where /proc does not tell. */
static bool program_folder(char *out, size_t size) {
    ssize_t length = readlink("/proc/self/exe", out, size - 1);
    if (length <= 0) return false;
    out[length] = '\0';
    char *slash = strrchr(out, '/');
    if (slash) slash[1] = '\0';
    return slash != NULL;
}

/* A path, or where there is none of that name, a model of the hub. */
static enum status find_named(const struct config *config, char out[PATH_MAX], struct error *e) {
    struct stat info;
    if (stat(config->model, &info) != 0 && hub_cache_is_name(config->model)) {
        enum status status = hub_cache_find(config->model, out, PATH_MAX, e);
        if (status != STATUS_OK) config_explain(config, e);
        return status;
    }
    if (strstr(config->model, "://") && stat(config->model, &info) != 0) {
        error_set(
            e, STATUS_OPTION, "model",
            "nothing is fetched here: 'hf download ORG/NAME' fetches a model, --model ORG/NAME serves it");
        config_explain(config, e);
        return e->code;
    }
    if (snprintf(out, PATH_MAX, "%s", config->model) < PATH_MAX) return STATUS_OK;
    return error_set(e, STATUS_LIMIT, "model", "the path is longer than %d bytes", PATH_MAX - 1);
}

static enum status find_model(const struct config *config, char out[PATH_MAX], struct error *e) {
    char folder[PATH_MAX], installed[2 * PATH_MAX];
    if (config->model) return find_named(config, out, e);
    if (program_folder(folder, sizeof folder)) {
        snprintf(installed, sizeof installed, "%s" PRENORM_MODEL_FROM_PROGRAM, folder);
        if (realpath(installed, out)) return STATUS_OK;
    }
    return error_set(
        e, STATUS_NOT_FOUND, "model",
        "none given and none installed beside the program: name a folder in Hugging Face format with "
        "--model DIR (the source tree has one, deploy/models/tales)");
}

/* The bound that --verify holds weights of this type to. */
static double bound_of(const struct config *config) {
    const double bounds[WEIGHT_TYPE_COUNT] = {config->verify_bound, config->verify_rise_bf16,
                                              config->verify_rise_int8, config->verify_rise_int4};
    return bounds[config->weights];
}

enum status engine_setup_init(struct engine_setup *s, const struct config *config, struct error *e) {
    *s = (struct engine_setup){0};
    enum status status = find_model(config, s->model, e);
    if (status != STATUS_OK) return status;
    progress_init(&s->progress);
    s->options = (struct engine_options){
        .model = s->model,
        .lora = config->lora,
        .ignore_adapter = config->ignore_adapter,
        .chat_template = config->chat_template,
        .chat_control_tokens = config->chat_control_tokens_in_content,
        .norm_form = config->norm_form,
        .weights = config->weights,
        .head = config->head_weights,
        .any_form = !config_is_set(config, OPTION_norm_form),
        .any_weights = !config_is_set(config, OPTION_weights),
        .allow_unknown_config_keys = config->allow_unknown_config_keys,
        .kv_type = config->kv_type,
        .matmul = config->matmul,
        .isa = config->isa,
        .speculate = config->speculate,
        .threads = config->threads,
        .pin_threads = config->pin_threads,
        .context = config->context,
        .extend_context = config->extend_context,
        .kv_cache_mib = config->kv_cache_mib,
        .kv_page_tokens = config->kv_page_tokens,
        .prefix_cache = config->prefix_cache,
        .sequences_max = config->max_sequences,
        .queue_max = config->max_queue,
        .queue_tokens_max = config->queue_tokens_max,
        .suspended_max = config->max_suspended,
        .fair_share = strcmp(config->fair_share, "off") != 0,
        .step_tokens = config->step_tokens,
        .max_pending_events = config->max_pending_events,
        .structured_outputs_mib = config->structured_outputs_mib,
        .logprobs_max = config->max_logprobs,
        .verify = config->verify,
        .verify_bound = bound_of(config),
        .progress = progress_report,
        .progress_context = &s->progress,
    };
    return STATUS_OK;
}
