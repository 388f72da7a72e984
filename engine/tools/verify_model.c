/* verify: every form of a model against the untouched one, on the same tokens. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/base/name_list.h"
#include "engine/blas/blas.h"
#include "engine/loaded/loaded_model.h"
#include "engine/lora/lora.h"
#include "engine/model/describe.h"
#include "engine/text/tokenizer.h"
#include "engine/tools/tools.h"
#include "engine/verify/verify.h"

/* What all rows have in common. */
struct session {
    const struct verify_options *options;
    struct workers *workers;
    const struct kernel_table *kernels;
    struct loaded_model *model; /* of the form at work */
    struct token_list tokens;
    struct verify_reference reference;
    verify_row_fn each;
    void *context;
    char failed[128]; /* "crmsnorm int4, ..."; "": none */
};

static void add_failed(struct session *s, const struct verify_row *row) {
    char name[64];
    snprintf(name, sizeof name, "%s %s%s", row->form, row->weights, row->is_converted ? " (converted)" : "");
    name_list_add(s->failed, sizeof s->failed, name);
}

static bool is_asked(const struct session *s, enum weight_type type) {
    return !s->options->has_weights || s->options->weights == type;
}

static void report(struct session *s, struct verify_row row, const struct verify_figures *f) {
    row.largest = f->largest;
    row.mean = f->mean;
    row.kl = f->kl;
    row.agreement = f->agreement;
    row.perplexity = f->perplexity;
    row.rise = f->rise;
    row.rise_error = f->rise_error;
    if (row.bounds_rise) {
        row.allowance = VERIFY_ERRORS_ALLOWED * f->rise_error;
        row.kl_bound = VERIFY_KL_SHARE * row.bound;
    }
    if (!row.passed) add_failed(s, &row);
    s->each(s->context, &row);
}

/* Where there is no tokenizer. */
static enum status add_sample_ids(struct session *s, const struct model_description *d, struct error *e) {
    size_t most = s->options->tokens_max < d->context ? s->options->tokens_max : d->context;
    for (size_t i = 0; i < most; i++)
        if (!token_list_add(&s->tokens, verify_sample_id(i, d->vocabulary))) return text_no_memory(e);
    return STATUS_OK;
}

static enum status read_tokens(struct session *s, const struct model_description *d, struct error *e) {
    const struct verify_options *o = s->options;
    struct tokenizer *tokenizer;
    const char *text = o->text ? o->text : verify_sample_text;
    size_t length = o->text ? o->text_length : strlen(verify_sample_text);
    struct error cause = {0};
    enum status status = tokenizer_open(o->model, &tokenizer, &cause);
    if (status == STATUS_OK) {
        status = tokenizer_encode(tokenizer, text, length, true, 0, &s->tokens, e);
        tokenizer_close(tokenizer);
    } else if (!o->text && tokenizer_is_missing(o->model, status)) {
        status = add_sample_ids(s, d, e);
    } else {
        status = loaded_model_blame(status, "model", o->model, &cause);
        if (e) *e = cause;
    }
    if (status != STATUS_OK) return status;
    if (s->tokens.count > o->tokens_max) s->tokens.count = o->tokens_max;
    for (size_t i = 0; i < s->tokens.count; i++)
        if ((size_t)s->tokens.ids[i] >= d->vocabulary)
            return error_set(e, STATUS_OPTION, "model", "its tokenizer gives the id %d, the model has %zu",
                             s->tokens.ids[i], d->vocabulary);
    if (s->tokens.count < 2) return error_set(e, STATUS_OPTION, "text", "has fewer than 2 tokens");
    return STATUS_OK;
}

static enum status make_reference(struct session *s, struct error *e) {
    const struct model_description *d = &s->model->description;
    enum status status = read_tokens(s, d, e);
    if (status != STATUS_OK) return status;
    size_t needed = verify_reference_bytes(d, s->tokens.count), left = memory_available_bytes();
    if (left && needed > left)
        return error_set(e, STATUS_OPTION, "verify-tokens",
                         "the logits of %zu tokens take %zu MiB, %zu MiB are left: use fewer",
                         s->tokens.count, needed >> 20, left >> 20);
    size_t window = s->options->window ? s->options->window : VERIFY_WINDOW_MAX;
    if (window > d->context) window = d->context;
    status =
        verify_reference_init(&s->reference, &s->model->views, s->tokens.ids, s->tokens.count, window, e);
    if (status != STATUS_OK) return status;
    struct verify_figures figures = {.agreement = 1, .perplexity = s->reference.perplexity};
    struct verify_row row = {.form = norm_form_name(NORM_FORM_LAYERNORM),
                             .weights = "double",
                             .cache = "double",
                             .is_reference = true,
                             .passed = true};
    report(s, row, &figures);
    return STATUS_OK;
}

static double bound_of(const struct verify_options *o, enum weight_type type) {
    const double given[WEIGHT_TYPE_COUNT] = {o->bound_f32, o->rise_bf16, o->rise_int8, o->rise_int4};
    return given[type] > 0 ? given[type] : verify_default_bound(type);
}

static enum status check_double(struct session *s, enum norm_form form, struct error *e) {
    struct verify_figures figures;
    enum status status = verify_folded(&s->reference, &s->model->views, form, &figures, e);
    if (status != STATUS_OK) return status;
    struct verify_row row = {
        .form = norm_form_name(form), .weights = "double", .cache = "double", .bound = VERIFY_BOUND_DOUBLE};
    row.passed = figures.largest <= row.bound;
    report(s, row, &figures);
    return STATUS_OK;
}

static enum status check_packed(struct session *s, enum norm_form form, enum weight_type type,
                                struct error *e) {
    struct verify_figures figures;
    enum kv_type cache = kv_type_choose(s->options->kv_type, type);
    enum weight_type judged_as = verify_judged_as(type, cache);
    enum status status =
        verify_packed(&s->reference, &s->model->packed, cache, s->kernels, s->workers, &figures, e);
    if (status != STATUS_OK) return status;
    struct verify_row row = {
        .form = norm_form_name(form),
        .weights = weight_type_name(type),
        .has_head4 = s->model->packed.head.type == WEIGHT_TYPE_INT4,
        .cache = kv_type_name(cache),
        .is_converted = loaded_model_is_file(s->model),
        .calibration = s->model->calibration,
        .bounds_rise = judged_as != WEIGHT_TYPE_F32,
        .bound = bound_of(s->options, judged_as),
    };
    row.passed = verify_is_within(judged_as, &figures, row.bound);
    report(s, row, &figures);
    return STATUS_OK;
}

/* A form with one type of weights; with f32 in double too (but for the untouched form, which is the
 * reference). */
static enum status check_form(struct session *s, enum norm_form form, enum weight_type type,
                              struct error *e) {
    struct loaded_model model;
    struct loaded_model_options loader = {.model = s->options->model,
                                          .lora = s->options->lora,
                                          .ignore_adapter = s->options->ignore_adapter,
                                          .form = form,
                                          .exact_form = true,
                                          .weights = type,
                                          .head =
                                              type == WEIGHT_TYPE_INT4 ? s->options->head : HEAD_WEIGHTS_AUTO,
                                          .allow_unknown_config_keys = s->options->allow_unknown_config_keys};
    enum status status = loaded_model_init(&model, &loader, s->workers, e);
    if (status != STATUS_OK) return status;
    s->model = &model;
    if (!s->reference.logits) status = make_reference(s, e);
    if (status == STATUS_OK && form != NORM_FORM_LAYERNORM && type == WEIGHT_TYPE_F32)
        status = check_double(s, form, e);
    if (status == STATUS_OK) status = check_packed(s, form, type, e);
    loaded_model_deinit(&model);
    return status;
}

/* Every type that runs in this form: low-precision weights use the orthonormal basis where there is one. */
static enum status check_types(struct session *s, enum norm_form form, bool orthonormal, struct error *e) {
    enum status status = STATUS_OK;
    bool whole = form == NORM_FORM_CRMSNORM && orthonormal;
    for (enum weight_type type = 0;
         type < (whole ? WEIGHT_TYPE_BF16 : WEIGHT_TYPE_COUNT) && status == STATUS_OK; type++)
        if (is_asked(s, type)) status = check_form(s, form, type, e);
    return status;
}

/* Forms in which the model is served, by default or when asked: one of RMSNorm has a single one, not its untouched
 * layers. */
static bool is_served_in(const struct model_description *d, enum norm_form form) {
    if (norm_form_for(d, NORM_FORM_CRMSNORM) == NORM_FORM_RMSNORM) return form == NORM_FORM_RMSNORM;
    return norm_form_for(d, form) == form;
}

/* As loading does first. */
static enum status describe(const struct verify_options *o, struct model_description *d, struct error *e) {
    const struct family *family;
    const struct describe_options describing = {o->allow_unknown_config_keys};
    enum status status = lora_check_folder(o->model, o->lora, o->ignore_adapter, e);
    if (status == STATUS_OK) status = describe_model_with(o->model, &describing, d, &family, e);
    return loaded_model_blame(status, "model", o->model, e);
}

static enum status check_forms(struct session *s, struct error *e) {
    struct model_description d;
    description_init(&d);
    enum status status = describe(s->options, &d, e);
    bool orthonormal = norm_form_for(&d, NORM_FORM_ORTHONORMAL) == NORM_FORM_ORTHONORMAL;
    for (enum norm_form form = 0; form < NORM_FORM_COUNT && status == STATUS_OK; form++)
        if (is_served_in(&d, form)) status = check_types(s, form, orthonormal, e);
    description_deinit(&d);
    return status;
}

/* That it is of the same model nobody can tell, as it has its own numbers: only that it could be. */
static enum status check_shape(const struct session *s, const struct model_description *d, struct error *e) {
    if (d->vocabulary == s->reference.vocabulary && d->context >= s->reference.window) return STATUS_OK;
    return error_set(
        e, STATUS_OPTION, "converted",
        "is of another model: it has %zu tokens and a context of %zu, the folder's has %zu and %zu "
        "or more",
        d->vocabulary, d->context, s->reference.vocabulary, s->reference.window);
}

static enum status check_converted(struct session *s, struct error *e) {
    struct loaded_model model;
    const struct loaded_model_options loader = {.model = s->options->converted,
                                                .option = "converted",
                                                .any_form = true,
                                                .any_weights = true,
                                                .allow_unknown_config_keys =
                                                    s->options->allow_unknown_config_keys};
    enum status status = loaded_model_init(&model, &loader, s->workers, e);
    if (status != STATUS_OK) return status;
    s->model = &model;
    status = check_shape(s, &model.description, e);
    if (status == STATUS_OK) status = check_packed(s, model.folded.form, model.packed.weights, e);
    loaded_model_deinit(&model);
    return status;
}

static enum status check_paths(const struct verify_options *o, struct error *e) {
    if (loaded_model_path_is_file(o->model)) {
        enum status status = loaded_model_file_check(o->model, e);
        if (status != STATUS_OK) return status;
        return error_set(
            e, STATUS_OPTION, "model",
            "is a converted file: name the checkpoint's folder, which alone has the untouched model");
    }
    if (o->converted && !loaded_model_path_is_file(o->converted))
        return error_set(e, STATUS_OPTION, "converted", "is no file that convert has written");
    return loaded_model_path_check(o->model, e);
}

enum status verify_model(const struct verify_options *options, verify_row_fn each, void *context,
                         size_t *tokens, struct error *e) {
    struct session s = {.options = options, .each = each, .context = context};
    const struct blas *blas;
    enum status status = check_paths(options, e);
    if (status == STATUS_OK) status = kernel_select(options->isa, &s.kernels, e);
    if (status == STATUS_OK)
        status = blas_open(1, &blas, e); /* of the reference: before anything is loaded */
    if (status == STATUS_OK)
        status = workers_create(options->threads ? options->threads : workers_default_count(), &s.workers, e);
    if (status != STATUS_OK) return status;
    status = check_forms(&s, e);
    if (status == STATUS_OK && options->converted) status = check_converted(&s, e);
    *tokens = s.tokens.count;
    verify_reference_deinit(&s.reference);
    free(s.tokens.ids);
    workers_destroy(s.workers);
    if (status == STATUS_OK && s.failed[0])
        return error_set(e, STATUS_MISMATCH, "verify", "more than its bound from the untouched model: %s",
                         s.failed);
    return status;
}
