/* bench: what the model reaches on this machine beside what the machine could give, as a table or as JSON.
 * The figures of a line are medians over runs; forms that are compared run in turn, A B A B. */
#include <stdio.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/base/log.h"
#include "engine/tools/tools.h"
#include "server/bench/scratch_folder.h"
#include "server/bench/tables.h"
#include "server/bench/works.h"
#include "server/cli/command.h"
#include "server/cli/engine_setup.h"
#include "server/json/print.h"

#define REPETITIONS 5

static enum status write_random(struct scratch_folder *scratch, const char *shape, struct error *e) {
    enum status status = scratch_folder_make(scratch, e);
    if (status != STATUS_OK) return status;
    log_say("writing random weights of %s to %s", shape, scratch->path);
    return bench_write_random(shape, scratch->path, e);
}

/* ---- measuring ---- */

struct line {
    double tokens_per_s, bytes_per_s, flop_per_s, share;
    bool ran;
};

static double item_tokens(const struct bench_item *item) {
    return (double)item->tokens * (item->work == BENCH_DECODE ? (double)item->batch : 1);
}

static enum status measure(struct bench_model *model, const struct bench_item *item,
                           const struct bench_bounds *bounds, struct line *line, struct error *e) {
    double seconds[REPETITIONS];
    struct bench_cost cost;
    for (size_t i = 0; i < REPETITIONS; i++) {
        enum status status = bench_run(model, item, &seconds[i], &cost, e);
        if (status != STATUS_OK) return status;
    }
    double middle = bench_median(seconds, REPETITIONS);
    *line = (struct line){
        .tokens_per_s = item_tokens(item) / middle,
        .bytes_per_s = cost.bytes / middle,
        .flop_per_s = bench_flops_sum(cost.flops) / middle,
        .share = bench_bound_seconds(bounds, cost.bytes, cost.flops) / middle,
        .ran = true,
    };
    return STATUS_OK;
}

static void print_line(const struct bench_item *item, const char *weights, const struct line *line) {
    char work[48];
    if (item->work == BENCH_PREFILL)
        snprintf(work, sizeof work, "prefill %zu", item->tokens);
    else
        snprintf(work, sizeof work, "decode batch %zu at %zu%s", item->batch, item->context,
                 item->shared ? " shared" : "");
    printf("%-7s %-27s %10.1f %8.2f %8.1f %7.0f %%\n", weights, work, line->tokens_per_s,
           line->bytes_per_s * 1e-9, line->flop_per_s * 1e-9, 100 * line->share);
    fflush(stdout);
}

static void add_line(json_t *results, const struct bench_item *item, const char *weights,
                     const struct line *line) {
    bool decode = item->work == BENCH_DECODE;
    json_t *object =
        json_pack("{s:s, s:s, s:f, s:f, s:f, s:f}", "weights", weights, "work", decode ? "decode" : "prefill",
                  "tokens_per_s", line->tokens_per_s, "gb_per_s", line->bytes_per_s * 1e-9, "gflop_per_s",
                  line->flop_per_s * 1e-9, "share_of_bound", line->share);
    if (decode)
        json_object_update_new(object,
                               json_pack("{s:I, s:I, s:b}", "batch", (json_int_t)item->batch, "context",
                                         (json_int_t)item->context, "shared", item->shared));
    else
        json_object_set_new(object, "tokens", json_integer((json_int_t)item->tokens));
    json_array_append_new(results, object);
}

static void show_progress(size_t done) {
    char text[48];
    snprintf(text, sizeof text, "%zu of %d", done, BENCH_WORKS);
    if (isatty(STDERR_FILENO)) log_status(text);
}

/* A model whose context is shorter than an item needs passes it over. */
static enum status run_items(struct bench_model *model, const struct bench_choice *choice,
                             const struct bench_bounds *bounds, json_t *results, struct error *e) {
    const char *weights = bench_weights(model);
    for (size_t i = 0; i < BENCH_WORKS; i++) {
        const struct bench_item *item = &bench_works[i].item;
        struct line line;
        if (!choice->works[i]) continue;
        show_progress(i);
        enum status status = measure(model, item, bounds, &line, e);
        if (isatty(STDERR_FILENO)) log_status("");
        if (status == STATUS_LIMIT) continue;
        if (status != STATUS_OK) return status;
        if (results)
            add_line(results, item, weights, &line);
        else
            print_line(item, weights, &line);
    }
    return STATUS_OK;
}

/* A converted file has its own. */
static enum weight_type packed_type(const struct bench_model *model) {
    enum weight_type type = WEIGHT_TYPE_F32;
    weight_type_from_name(bench_weights(model), &type);
    return type;
}

static struct bench_options options_of(const struct config *config, const char *folder) {
    return (struct bench_options){
        .model = folder,
        .lora = config->lora,
        .ignore_adapter = config->ignore_adapter,
        .norm_form = config->norm_form,
        .weights = config->weights,
        .head = config->head_weights,
        .kv_type = config->kv_type,
        .any_form = !config_is_set(config, OPTION_norm_form),
        .any_weights = !config_is_set(config, OPTION_weights),
        .allow_unknown_config_keys = config->allow_unknown_config_keys,
        .matmul = config->matmul,
        .isa = config->isa,
        .threads = config->threads,
        .pin_threads = config->pin_threads,
    };
}

static void print_heading(const struct bench_model *model, const struct bench_bounds *bounds,
                          double seconds) {
    printf("%zu threads, %s; weights %.0f MB, cache in %s, loaded in %.2f s; norms %s\n", bounds->threads,
           bench_isa(model), (double)bench_weight_bytes(model) * 1e-6, bench_kv_type(model), seconds,
           bench_norm_form(model));
    bench_bounds_print(bounds);
    bench_cache_print(bounds, bench_weight_bytes(model), packed_type(model));
    printf("%-7s %-27s %10s %8s %8s %9s\n", "weights", "work", "tokens/s", "GB/s", "GFLOP/s", "of bound");
}

static enum status print_json(const struct bench_model *model, const struct bench_bounds *bounds,
                              double seconds, json_t *results, json_t *sampling, struct error *e) {
    json_t *root =
        json_pack("{s:{s:I, s:s}, s:o, s:o, s:s, s:s, s:f, s:O, s:O}", "machine", "threads",
                  (json_int_t)bounds->threads, "isa", bench_isa(model), "bounds", bench_bounds_json(bounds),
                  "cache", bench_cache_json(bounds, bench_weight_bytes(model), packed_type(model)),
                  "norm_form", bench_norm_form(model), "kv_type", bench_kv_type(model), "load_seconds",
                  seconds, "results", results, "sampling", sampling);
    return json_print(root, JSON_INDENT(1) | JSON_REAL_PRECISION(BENCH_JSON_DIGITS), e);
}

/* Loaded with the threads that there are; simulated alone. */
static enum status simulate_threads(const struct config *config, const struct bench_choice *choice,
                                    const char *folder, struct error *e) {
    struct bench_options options = options_of(config, folder);
    struct bench_model *model;
    double seconds;
    enum status status = bench_open(&options, &model, &seconds, e);
    if (status != STATUS_OK) return status;
    status = bench_threads_print(config, choice, model, e);
    bench_close(model);
    return status;
}

static enum status run_model(const struct config *config, const struct bench_choice *choice,
                             const char *folder, struct error *e) {
    struct bench_bounds bounds;
    struct bench_options options = options_of(config, folder);
    struct bench_model *model;
    double seconds;
    /* The model first: what is wrong with it is said before the seconds that the machine is measured. */
    enum status status = bench_open(&options, &model, &seconds, e);
    if (status != STATUS_OK) return status;
    status = bench_measure_bounds(config->threads, config->isa, &bounds, e);
    if (status != STATUS_OK) {
        bench_close(model);
        return status;
    }
    json_t *results = config->json ? json_array() : NULL, *sampling = config->json ? json_array() : NULL;
    if (!config->json) print_heading(model, &bounds, seconds);
    status = run_items(model, choice, &bounds, results, e);
    if (status == STATUS_OK && choice->sampling) status = bench_sampling(model, sampling, e);
    if (status == STATUS_OK && config->json)
        status = print_json(model, &bounds, seconds, results, sampling, e);
    json_decref(results);
    json_decref(sampling);
    bench_close(model);
    return status;
}

enum exit_code cmd_bench(const struct config *config) {
    static struct engine_setup setup;
    struct scratch_folder scratch = {0};
    struct bench_choice choice;
    struct error e;
    const char *folder = scratch.path;
    enum status status = engine_isa_check(config->isa, &e);
    if (status == STATUS_OK) status = bench_choose(config->works, &choice, &e);
    if (status != STATUS_OK) return command_fail_run(config, &e);
    if (config->kernels) {
        status = bench_kernels_print(config, &e);
        return status == STATUS_OK ? EXIT_CODE_OK : command_fail_run(config, &e);
    }
    if (config->model) {
        if (engine_setup_init(&setup, config, &e) != STATUS_OK) return command_fail(EXIT_CODE_USAGE, &e);
        folder = setup.model;
    } else {
        status = write_random(&scratch, config->shape, &e);
    }
    if (status == STATUS_OK && config->norms)
        status = bench_norms(config, folder, config->model ? folder : config->shape, &e);
    else if (status == STATUS_OK && config->threads_model)
        status = simulate_threads(config, &choice, folder, &e);
    else if (status == STATUS_OK)
        status = run_model(config, &choice, folder, &e);
    scratch_folder_remove(&scratch);
    return status == STATUS_OK ? EXIT_CODE_OK : command_fail_run(config, &e);
}
