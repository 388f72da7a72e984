#include "server/bench/tables.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/json/print.h"

#define ROUNDS 7

/* What the paper times: batch 1 and 16, two lengths. A step has as many rows as the longer one: a large batch of
 * the shorter is four steps like the one that is timed, one of the longer is sixteen, of which the first is timed
 * (attention, which has no norms, grows in the later ones). */
#define SHORT 128
#define LONG  BENCH_ROWS_MAX
#define BATCH 16

static const struct {
    size_t batch, length;   /* of the paper */
    size_t prompts, tokens; /* of each, in the step that is timed */
} items[] = {
    {1, SHORT, 1, SHORT},
    {1, LONG, 1, LONG},
    {BATCH, SHORT, LONG / SHORT, SHORT},
    {BATCH, LONG, BATCH, LONG / BATCH},
};

#define ITEM_COUNT (sizeof items / sizeof *items)

enum variant { LAYERNORM, RMSNORM, CRMSNORM, NONE, VARIANT_COUNT };

static const enum norm_form forms[VARIANT_COUNT] = {NORM_FORM_LAYERNORM, NORM_FORM_RMSNORM,
                                                    NORM_FORM_CRMSNORM, NORM_FORM_NONE};

/* "none" is the CRMSNorm model with its norms left out. */
struct models {
    struct bench_model *model[VARIANT_COUNT];
};

static enum status open_models(struct models *m, const struct config *config, const char *folder,
                               struct error *e) {
    for (enum variant v = LAYERNORM; v < NONE; v++) {
        struct bench_options options = {
            .model = folder,
            .lora = config->lora,
            .ignore_adapter = config->ignore_adapter,
            .norm_form = forms[v],
            .weights = config->weights,
            .head = config->head_weights,
            .allow_unknown_config_keys = config->allow_unknown_config_keys,
            .kv_type = config->kv_type,
            .matmul = config->matmul,
            .isa = config->isa,
            .threads = config->threads,
        };
        double seconds;
        enum status status = bench_open(&options, &m->model[v], &seconds, e);
        if (status != STATUS_OK) return status;
    }
    m->model[NONE] = m->model[CRMSNORM];
    return STATUS_OK;
}

static void close_models(struct models *m) {
    for (enum variant v = LAYERNORM; v < NONE; v++) bench_close(m->model[v]);
}

/* Medians of all variants, run in turn: A B C D A B C D ... */
static enum status time_item(const struct models *m, const struct bench_item *item,
                             double medians[VARIANT_COUNT], struct error *e) {
    double seconds[VARIANT_COUNT][ROUNDS];
    struct bench_cost cost;
    for (size_t round = 0; round < ROUNDS; round++)
        for (enum variant v = 0; v < VARIANT_COUNT; v++) {
            bench_run_norms(m->model[v], v != NONE);
            enum status status = bench_run(m->model[v], item, &seconds[v][round], &cost, e);
            if (status != STATUS_OK) return status;
        }
    for (enum variant v = 0; v < VARIANT_COUNT; v++) medians[v] = bench_median(seconds[v], ROUNDS);
    return STATUS_OK;
}

static double saved(double slower, double faster) {
    return 100 * (slower - faster) / slower;
}

static void print_item(const char *name, const double s[VARIANT_COUNT]) {
    printf("%-22s %10.2f %10.2f %10.2f %10.2f %11.2f %% %11.2f %%\n", name, 1e3 * s[LAYERNORM],
           1e3 * s[RMSNORM], 1e3 * s[CRMSNORM], 1e3 * s[NONE], saved(s[LAYERNORM], s[CRMSNORM]),
           saved(s[CRMSNORM], s[NONE]));
    fflush(stdout);
}

static void add_item(json_t *results, const char *name, const double s[VARIANT_COUNT]) {
    json_array_append_new(results,
                          json_pack("{s:s, s:f, s:f, s:f, s:f}", "work", name, "layernorm_s", s[LAYERNORM],
                                    "rmsnorm_s", s[RMSNORM], "crmsnorm_s", s[CRMSNORM], "none_s", s[NONE]));
}

static enum status run_items(const struct models *m, json_t *results, struct error *e) {
    for (size_t i = 0; i < ITEM_COUNT; i++) {
        double medians[VARIANT_COUNT];
        char name[64];
        struct bench_item item = {BENCH_PREFILL, .batch = items[i].prompts, .tokens = items[i].tokens};
        enum status status = time_item(m, &item, medians, e);
        if (status != STATUS_OK) return status;
        snprintf(name, sizeof name, "batch %zu, length %zu%s", items[i].batch, items[i].length,
                 items[i].batch > 1 ? "*" : "");
        if (results)
            add_item(results, name, medians);
        else
            print_item(name, medians);
    }
    return STATUS_OK;
}

static enum status print_json(json_t *results, const char *shape, struct error *e) {
    json_t *root = json_pack("{s:s, s:O}", "model", shape, "results", results);
    return json_print(root, JSON_INDENT(1) | JSON_REAL_PRECISION(BENCH_JSON_DIGITS), e);
}

enum status bench_norms(const struct config *config, const char *folder, const char *shape, struct error *e) {
    struct models models = {0};
    json_t *results = config->json ? json_array() : NULL;
    enum status status = open_models(&models, config, folder, e);
    if (status == STATUS_OK && !results) {
        printf("%s, %s weights; milliseconds of a prefill step, medians of %d in turn\n", shape,
               weight_type_name(config->weights), ROUNDS);
        printf("%-22s %10s %10s %10s %10s %13s %13s\n", "", "layernorm", "rmsnorm", "crmsnorm", "none",
               "crms saves", "norms cost");
    }
    if (status == STATUS_OK) status = run_items(&models, results, e);
    if (status == STATUS_OK && results) status = print_json(results, shape, e);
    if (status == STATUS_OK && !results)
        printf("* one step of %d rows: %d of the prompts at length %d, the first %d tokens of all %d at "
               "length %d\n"
               "The paper reports 1 to 10 %% of inference time saved by RMSNorm and CRMSNorm (on GPUs, in "
               "PyTorch/JAX, where a norm is a kernel of its own).\n",
               BENCH_ROWS_MAX, LONG / SHORT, SHORT, LONG / BATCH, BATCH, LONG);
    close_models(&models);
    json_decref(results);
    return status;
}
