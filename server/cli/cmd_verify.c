/* verify: every form of the model against the untouched one in double precision, as a table or as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "engine/tools/tools.h"
#include "engine/types/limits.h"
#include "server/bench/tables.h"
#include "server/cli/command.h"
#include "server/cli/engine_setup.h"
#include "server/cli/text_file.h"
#include "server/json/print.h"

#define JSON_DIGITS 9 /* bits that differ show */

/* Types of weights that a verdict is about: "double", "f32", "bf16", "int8", "int4". */
#define TYPES_MAX 8

#define FORM_WIDTH "15" /* "crmsnorm-native" */

/* All forms of one type of weights. */
struct type_report {
    const char *weights;
    size_t passed, failed;
    struct verify_row worst; /* nearest to its bound, or furthest above it */
};

struct report {
    bool json, has_head; /* the table's, printed with its first row: not before an error of loading */
    json_t *rows;        /* of the JSON */
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

/* What is special about a row's head, and about the row of a converted file. */
static void print_special(const struct verify_row *row) {
    if (row->has_head4) printf(", head in int4");
    if (!row->is_converted) return;
    printf(", the converted file");
    if (row->calibration.tokens)
        printf(", calibrated with %zu tokens of the text %.12s", row->calibration.tokens,
               row->calibration.text_sha256);
}

/* What a row is judged by, in the unit of its column. A rise may pass its bound by three standard errors. */
static void print_bound(const struct verify_row *row) {
    if (row->bounds_rise)
        printf(" (bound: rise %.4f%% + %.4f%%)", 100 * row->bound, 100 * row->allowance);
    else
        printf(" (bound: largest %.1e)", row->bound);
}

static void print_head(void) {
    printf("%-" FORM_WIDTH "s %-7s %-6s %10s %10s %10s %9s %11s %10s\n", "form", "weights", "cache",
           "largest", "mean", "KL", "greedy", "perplexity", "rise");
}

static void print_row(const struct verify_row *row) {
    if (row->is_reference) {
        printf("%-" FORM_WIDTH "s %-7s %-6s %10s %10s %10s %9s %11.5f %10s   the model as published\n",
               row->form, row->weights, row->cache, "-", "-", "-", "-", row->perplexity, "-");
    } else {
        printf("%-" FORM_WIDTH "s %-7s %-6s %10.2e %10.2e %10.2e %8.3f%% %11.5f %+9.4f%%   %s", row->form,
               row->weights, row->cache, row->largest, row->mean, row->kl, 100 * row->agreement,
               row->perplexity, 100 * row->rise, row->passed ? "ok" : "TOO FAR");
        print_bound(row);
        print_special(row);
        putchar('\n');
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
    if (row->has_head4) json_object_set_new(object, "head_weights", json_string("int4"));
    if (row->is_converted) json_object_set_new(object, "converted", json_true());
    if (row->calibration.tokens)
        json_object_set_new(object, "calibration",
                            json_pack("{s:I, s:s}", "tokens", (json_int_t)row->calibration.tokens,
                                      "text_sha256", row->calibration.text_sha256));
    json_array_append_new(report->rows, object);
}

static void on_row(void *context, const struct verify_row *row) {
    struct report *report = context;
    count_row(report, row);
    if (report->json) {
        add_row(report, row);
        return;
    }
    if (!report->has_head) print_head();
    report->has_head = true;
    print_row(row);
}

static enum status print_json(const struct report *report, const char *model, size_t tokens, bool passed,
                              struct error *e) {
    json_t *root = json_pack("{s:s, s:I, s:b, s:O}", "model", model, "tokens", (json_int_t)tokens, "passed",
                             passed, "forms", report->rows);
    return json_print(root, JSON_INDENT(1) | JSON_REAL_PRECISION(JSON_DIGITS), e);
}

static enum status run(const struct config *config, const char *model, const char *text, size_t length,
                       struct error *e) {
    struct report report = {.json = config->json, .rows = json_array()};
    struct verify_options options = {
        .model = model,
        .converted = config->converted,
        .lora = config->lora,
        .ignore_adapter = config->ignore_adapter,
        .isa = config->isa,
        .allow_unknown_config_keys = config->allow_unknown_config_keys,
        .kv_type = config->kv_type,
        .has_weights = config_is_set(config, OPTION_weights),
        .weights = config->weights,
        .head = config->head_weights,
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
    enum status status = verify_model(&options, on_row, &report, &tokens, e);
    bool judged = status == STATUS_OK || status == STATUS_MISMATCH;
    if (config->json && judged) {
        struct error failure;
        if (print_json(&report, model, tokens, status == STATUS_OK, &failure) != STATUS_OK)
            status = (*e = failure).code;
    } else if (judged) {
        printf("%zu tokens; differences are parts of the standard deviation of the logits; three standard "
               "errors are added to the bound of a rise\n",
               tokens);
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
    enum status status =
        config->text ? text_file_read(config->text, "text", TEXT_BYTES_MAX, &text, &length, &e) : STATUS_OK;
    if (status == STATUS_OK) status = run(config, setup.model, text, length, &e);
    free(text);
    return status == STATUS_OK ? EXIT_CODE_OK : command_fail_run(config, &e);
}
