/* verify: every form of the model against the untouched one in double precision, as a table or as JSON. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "engine/tools/tools.h"
#include "server/cli/command.h"
#include "server/cli/engine_setup.h"
#include "server/json/print.h"

#define TEXT_BYTES_MAX ((size_t)64 << 20)

/* Types of weights that a verdict is about: "double", "f32", "bf16", "int8", "int4". */
#define TYPES_MAX 8

/* All forms of one type of weights. */
struct type_report {
    const char *weights;
    size_t passed, failed;
    struct verify_row worst; /* nearest to its bound, or furthest above it */
};

struct report {
    bool json;
    json_t *rows; /* of the JSON */
    struct type_report types[TYPES_MAX];
    size_t type_count;
};

/* What of the figures the bound is compared with. */
static double judged(const struct verify_row *row) {
    return row->bounds_rise ? row->rise - row->allowance : row->largest;
}

/* A form that fails comes before all that pass: the divergence may be what it fails by. */
static bool is_worse(const struct verify_row *row, const struct verify_row *than) {
    if (row->passed != than->passed) return !row->passed;
    return !(judged(row) <= judged(than));
}

static void count_row(struct report *report, const struct verify_row *row) {
    size_t i = 0;
    while (i < report->type_count && strcmp(report->types[i].weights, row->weights) != 0) i++;
    if (row->is_reference || i == TYPES_MAX) return;
    struct type_report *type = &report->types[i];
    if (i == report->type_count) {
        report->type_count++;
        *type = (struct type_report){.weights = row->weights, .worst = *row};
    }
    type->passed += row->passed;
    type->failed += !row->passed;
    if (is_worse(row, &type->worst)) type->worst = *row;
}

static void print_type(const struct type_report *type) {
    const struct verify_row *worst = &type->worst;
    printf("%-7s %zu of %zu forms pass; the %s: %s, ", type->weights, type->passed,
           type->passed + type->failed, type->failed ? "furthest off" : "nearest to the bound", worst->form);
    if (worst->bounds_rise)
        printf("rise %+.4f%% less %.4f%% (three standard errors) = %+.4f%%, bound %.4f%%; KL %.2e, bound "
               "%.2e\n",
               100 * worst->rise, 100 * worst->allowance, 100 * judged(worst), 100 * worst->bound, worst->kl,
               worst->kl_bound);
    else
        printf("largest difference %.2e, bound %.1e\n", worst->largest, worst->bound);
}

static void print_names(const struct report *report, bool failed) {
    const char *separator = "";
    for (size_t i = 0; i < report->type_count; i++) {
        if ((report->types[i].failed > 0) != failed) continue;
        printf("%s%s", separator, report->types[i].weights);
        separator = ", ";
    }
}

static void print_verdict(const struct report *report) {
    size_t failed = 0;
    for (size_t i = 0; i < report->type_count; i++) {
        print_type(&report->types[i]);
        failed += report->types[i].failed > 0;
    }
    printf("verdict: ");
    if (failed < report->type_count) printf("within the bounds: ");
    print_names(report, false);
    if (failed) printf("%snot within: ", failed < report->type_count ? "; " : "");
    print_names(report, true);
    putchar('\n');
}

/* The file's text; the caller frees. Its place in errors is its option. */
static enum status read_text(const char *path, char **text, size_t *length, struct error *e) {
    FILE *file = fopen(path, "rb");
    if (!file) return error_set(e, STATUS_OPTION, "text", "cannot be read: %s", strerror(errno));
    *text = malloc(TEXT_BYTES_MAX + 1);
    *length = *text ? fread(*text, 1, TEXT_BYTES_MAX + 1, file) : 0;
    bool failed = ferror(file) != 0;
    fclose(file);
    if (!*text) return error_set(e, STATUS_NO_MEMORY, path, "no memory for the text");
    if (failed) return error_set(e, STATUS_OPTION, "text", "cannot be read");
    if (*length > TEXT_BYTES_MAX)
        return error_set(e, STATUS_OPTION, "text", "has more than %zu bytes", TEXT_BYTES_MAX);
    return STATUS_OK;
}

static void print_row(const struct verify_row *row) {
    if (row->is_reference) {
        printf("%-10s %-7s %-6s %10s %10s %10s %9s %11.5f %10s   the model as published\n", row->form,
               row->weights, row->cache, "-", "-", "-", "-", row->perplexity, "-");
    } else {
        printf("%-10s %-7s %-6s %10.2e %10.2e %10.2e %8.3f%% %11.5f %+9.4f%%   %s (%s %.1e)\n", row->form,
               row->weights, row->cache, row->largest, row->mean, row->kl, 100 * row->agreement,
               row->perplexity, 100 * row->rise, row->passed ? "ok" : "TOO FAR",
               row->bounds_rise ? "rise" : "largest", row->bound);
    }
    fflush(stdout);
}

/* JSON has no infinities: below two tokens the standard error is one. */
static double json_finite(double value) {
    return value < 1e9 ? value : 1e9;
}

static void add_row(struct report *report, const struct verify_row *row) {
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:f, s:b}", "norm_form", row->form, "weights", row->weights, "kv_type",
                  row->cache, "perplexity", row->perplexity, "reference", row->is_reference);
    if (!row->is_reference)
        json_object_update_new(object,
                               json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:s, s:f, s:b}",
                                         "largest_difference", row->largest, "mean_difference", row->mean,
                                         "kl_divergence", row->kl, "greedy_agreement", row->agreement,
                                         "perplexity_rise", row->rise, "perplexity_rise_allowance",
                                         json_finite(row->allowance), "kl_bound", row->kl_bound, "bound_of",
                                         row->bounds_rise ? "perplexity_rise" : "largest_difference", "bound",
                                         row->bound, "passed", row->passed));
    json_array_append_new(report->rows, object);
}

static void on_row(void *context, const struct verify_row *row) {
    struct report *report = context;
    count_row(report, row);
    if (report->json)
        add_row(report, row);
    else
        print_row(row);
}

static enum status print_json(const struct report *report, const char *model, size_t tokens, bool passed,
                              struct error *e) {
    json_t *root = json_pack("{s:s, s:I, s:b, s:O}", "model", model, "tokens", (json_int_t)tokens, "passed",
                             passed, "forms", report->rows);
    return json_print(root, JSON_INDENT(1) | JSON_REAL_PRECISION(9), e);
}

static enum status run(const struct config *config, const char *model, const char *text, size_t length,
                       struct error *e) {
    struct report report = {.json = config->json, .rows = json_array()};
    struct verify_options options = {
        .model = model,
        .lora = config->lora,
        .ignore_adapter = config->ignore_adapter,
        .isa = config->isa,
        .allow_unknown_config_keys = config->allow_unknown_config_keys,
        .kv_type = config->kv_type,
        .has_weights = config_is_set(config, OPTION_weights),
        .weights = config->weights,
        .threads = config->threads,
        .text = text,
        .text_length = length,
        .tokens_max = config->verify_tokens,
        .bound_f32 = config->verify_bound,
        .rise_bf16 = config->verify_rise_bf16,
        .rise_int8 = config->verify_rise_int8,
        .rise_int4 = config->verify_rise_int4,
    };
    size_t tokens = 0;
    if (!config->json)
        printf("%-10s %-7s %-6s %10s %10s %10s %9s %11s %10s\n", "form", "weights", "cache", "largest",
               "mean", "KL", "greedy", "perplexity", "rise");
    enum status status = verify_model(&options, on_row, &report, &tokens, e);
    bool judged = status == STATUS_OK || status == STATUS_MISMATCH;
    if (config->json && judged) {
        struct error failure;
        if (print_json(&report, model, tokens, status == STATUS_OK, &failure) != STATUS_OK)
            status = (*e = failure).code;
    } else if (judged) {
        printf("%zu tokens; differences are parts of the standard deviation of the logits\n", tokens);
        print_verdict(&report);
    }
    json_decref(report.rows);
    return status;
}

enum exit_code cmd_verify(const struct config *config) {
    static struct engine_setup setup;
    struct error e;
    char *text = NULL;
    size_t length = 0;
    if (engine_setup_init(&setup, config, &e) != STATUS_OK) return command_fail(EXIT_CODE_USAGE, &e);
    enum status status = config->text ? read_text(config->text, &text, &length, &e) : STATUS_OK;
    if (status == STATUS_OK) status = run(config, setup.model, text, length, &e);
    free(text);
    return status == STATUS_OK ? EXIT_CODE_OK : command_fail_run(config, &e);
}
