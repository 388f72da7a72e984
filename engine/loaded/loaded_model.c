#include "engine/loaded/loaded_model.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "engine/base/memory.h"
#include "engine/checkpoint/checkpoint.h"
#include "engine/files/regular_file.h"
#include "engine/fold/loud.h"
#include "engine/fold/massive.h"
#include "engine/fold/quiet.h"
#include "engine/model/describe.h"
#include "engine/model/finite.h"

static void report(const struct loaded_model_options *o, const char *stage, double share) {
    if (o->progress) o->progress(o->progress_context, stage, share);
}

static void report_folding(void *context, double share) {
    report(context, "converting", share);
}

/* Beyond the context of the training positions are computed as before it, where they are computed: a learned table
 * ends. */
static enum status set_context(struct loaded_model *m, const struct loaded_model_options *o,
                               struct error *e) {
    struct model_description *d = &m->description;
    m->own_context = d->context;
    if (o->context <= d->context) return STATUS_OK;
    if (d->position == POSITION_LEARNED)
        return error_set(e, STATUS_OPTION, "context",
                         "%zu is more than the %zu positions of the model's table: there are no others",
                         o->context, d->context);
    if (!o->extend_context)
        return error_set(
            e, STATUS_OPTION, "context",
            "%zu is more than the model's own context of %zu tokens; extend-context allows it, as "
            "the positions of this model can be computed beyond",
            o->context, d->context);
    if (o->context > MODEL_CONTEXT_MAX)
        return error_set(e, STATUS_OPTION, "context", "%zu is more than %d, the most that is supported",
                         o->context, MODEL_CONTEXT_MAX);
    log_warn(
        "context %zu is beyond the %zu tokens that the model was made for: nobody knows how good its text "
        "is there",
        o->context, d->context);
    d->context = o->context;
    return STATUS_OK;
}

/* The default is not meant for models of RMSNorm, and is passed over; what was asked for by name is not. */
static enum status check_form(const struct model_description *d, const struct loaded_model_options *o,
                              struct error *e) {
    bool has_one = norm_form_for(d, NORM_FORM_CRMSNORM) == NORM_FORM_RMSNORM;
    if (!o->form_asked || !has_one || o->form == NORM_FORM_RMSNORM) return STATUS_OK;
    return error_set(
        e, STATUS_OPTION, "norm-form",
        "%s is not a form of this model: it is one of RMSNorm, which subtracts no mean, and runs in the "
        "rmsnorm form",
        norm_form_name(o->form));
}

/* "; in bf16 12 MiB, in int8 6 MiB": the types that take less. */
static void name_smaller_types(const struct loaded_model *m, const struct loaded_model_options *o,
                               size_t needed, char *out, size_t size) {
    size_t used = 0;
    *out = '\0';
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++) {
        size_t bytes = packed_model_bytes(&m->folded, MATMUL_OWN, packed_types_of(type, o->head));
        if (bytes >= needed || used >= size) continue;
        used += (size_t)snprintf(out + used, size - used, "%s%s %zu MiB", used ? ", in " : "; in ",
                                 weight_type_name(type), bytes >> 20);
    }
}

static enum status check_memory(const struct loaded_model *m, const struct loaded_model_options *o,
                                struct error *e) {
    size_t needed = packed_model_bytes(&m->folded, o->matmul, packed_types_of(o->weights, o->head)),
           left = memory_available_bytes();
    char smaller[128];
    if (left == 0 || needed <= left) return STATUS_OK;
    name_smaller_types(m, o, needed, smaller, sizeof smaller);
    return error_set(e, STATUS_NO_MEMORY, "model",
                     "its packed weights take %zu MiB in %s, and %zu MiB of memory are left%s", needed >> 20,
                     weight_type_name(o->weights), left >> 20, smaller);
}

/* The paper's basis subtracts one column from all others, which makes no difference in f32 but increases the
 * error of low-precision weights: on the bundled model the divergence from the original is 1.7 (bf16), 1.5
 * (int8) and 1.6 (int4, with its first packing) times that of the orthonormal basis. */
static enum norm_form form_for(const struct loaded_model_options *o, enum weight_type weights) {
    bool crmsnorm = o->form == NORM_FORM_CRMSNORM && !o->exact_form;
    return crmsnorm && weights != WEIGHT_TYPE_F32 ? NORM_FORM_ORTHONORMAL : o->form;
}

static enum status bind(struct loaded_model *m, const struct loaded_model_options *o,
                        const struct family *family, struct error *e) {
    if (!o->lora) return tensor_views_init(&m->views, &m->description, family, m->checkpoint, e);
    enum status status = lora_open(o->lora, &m->lora, e);
    if (status == STATUS_OK)
        status = lora_bind(m->lora, &m->description, family, m->checkpoint, &m->views, e);
    if (status == STATUS_OK) m->adapter = *lora_identity(m->lora);
    return loaded_model_blame(status, "lora", o->lora, e);
}

/* What opening a tokenizer came to; that there is none may be no failure. */
static enum status accept_tokenizer(const struct loaded_model_options *o, enum status status, bool missing,
                                    const struct error *cause, struct error *e) {
    if (status == STATUS_OK) return STATUS_OK;
    if (missing && o->no_tokenizer)
        *o->no_tokenizer = *cause;
    else if (e)
        *e = *cause;
    return missing && o->no_tokenizer ? STATUS_OK : status;
}

static enum status open_folder_tokenizer(const struct loaded_model_options *o, struct error *e) {
    struct error cause = {0};
    if (!o->tokenizer) return STATUS_OK;
    enum status status = tokenizer_open(o->model, o->tokenizer, &cause);
    return accept_tokenizer(o, status, tokenizer_is_missing(o->model, status), &cause, e);
}

/* What int8 makes of the model, by its weights. */
static enum status prepare_int8(struct folded_model *c, struct workers *workers, struct error *e) {
    folded_model_find_massive(c, workers);
    enum status status = folded_model_find_loud(c, workers, e);
    if (status == STATUS_OK) status = folded_model_find_quiet(c, e);
    return status == STATUS_OK ? folded_model_quieten(c, workers, e) : status;
}

static enum status load_folder(struct loaded_model *m, const struct loaded_model_options *o,
                               struct workers *workers, struct error *e) {
    const struct family *family = NULL;
    enum status status;
    report(o, "reading", 0);
    if ((status = head_weights_check(o->head, o->weights, e)) != STATUS_OK) return status;
    if ((status = lora_check_folder(o->model, o->lora, o->ignore_adapter, e)) != STATUS_OK) return status;
    const struct describe_options describing = {.allow_unknown_config_keys = o->allow_unknown_config_keys};
    status = describe_model_with(o->model, &describing, &m->description, &family, e);
    if (status != STATUS_OK) return status;
    if ((status = check_form(&m->description, o, e)) != STATUS_OK) return status;
    if ((status = set_context(m, o, e)) != STATUS_OK) return status;
    if ((status = open_folder_tokenizer(o, e)) != STATUS_OK) return status;
    if ((status = checkpoint_open(o->model, &m->checkpoint, e)) != STATUS_OK) return status;
    if ((status = bind(m, o, family, e)) != STATUS_OK) return status;
    if ((status = finite_check(&m->views, e)) != STATUS_OK) return status;
    if ((status = folded_model_init(&m->folded, &m->views, form_for(o, o->weights), e)) != STATUS_OK)
        return status;
    if (o->rotate || weight_type_is_rotated(o->weights)) folded_model_rotate(&m->folded);
    if (o->plan_only) {
        folded_model_assume_massive(&m->folded);
        folded_model_assume_quiet(&m->folded);
        return STATUS_OK;
    }
    if (o->weights == WEIGHT_TYPE_INT8 && (status = prepare_int8(&m->folded, workers, e)) != STATUS_OK)
        return status;
    if ((status = check_memory(m, o, e)) != STATUS_OK) return status;
    report(o, "converting", 0);
    return packed_model_init(&m->packed, &m->folded, o->matmul, packed_types_of(o->weights, o->head), workers,
                             report_folding, (void *)(uintptr_t)o, e);
}

/* ---- a converted file ---- */

bool loaded_model_path_is_file(const char *model) {
    struct stat info;
    return stat(model, &info) == 0 && S_ISREG(info.st_mode);
}

enum status loaded_model_path_check(const char *model, struct error *e) {
    if (access(model, R_OK) == 0) return STATUS_OK;
    return error_set(e, STATUS_OPTION, "model", "cannot be read: %s", strerror(errno));
}

enum status loaded_model_file_check(const char *model, struct error *e) {
    return loaded_model_blame(model_file_look(model, e), "model", model, e);
}

/* Options that were fixed when the file was written may not ask for something else. */
static enum status check_choices(const struct loaded_model *m, const struct loaded_model_options *o,
                                 struct error *e) {
    const struct model_file *p = &m->file;
    if (o->lora)
        return error_set(e, STATUS_OPTION, "lora",
                         "%s is a converted file: an adapter is merged as the model's folder is converted",
                         o->model);
    if (o->matmul != MATMUL_OWN)
        return error_set(e, STATUS_OPTION, "matmul", "%s has weights in panels, which only 'own' reads",
                         o->model);
    if (!o->any_weights && p->weights != o->weights)
        return error_set(e, STATUS_OPTION, "weights",
                         "%s was converted to %s; to run with %s convert it again", o->model,
                         weight_type_name(p->weights), weight_type_name(o->weights));
    enum status status = head_weights_check(o->head, p->weights, e);
    if (status != STATUS_OK) return status;
    if (o->head != HEAD_WEIGHTS_AUTO && packed_types_of(p->weights, o->head).head != p->head)
        return error_set(e, STATUS_OPTION, "head-weights",
                         "%s was converted with its head in %s; to run with %s convert it again", o->model,
                         weight_type_name(p->head), head_weights_name(o->head));
    if (norm_form_for(&m->description, p->form) != p->form)
        return error_set(e, STATUS_MALFORMED, o->model, "a model of this configuration has no %s form",
                         norm_form_name(p->form));
    if (o->any_form || norm_form_for(&m->description, form_for(o, p->weights)) == p->form) return STATUS_OK;
    return error_set(e, STATUS_OPTION, "norm-form", "%s was converted to %s; to run as %s convert it again",
                     o->model, norm_form_name(p->form), norm_form_name(o->form));
}

static enum status open_tokenizer(const struct loaded_model *m, const struct loaded_model_options *o,
                                  struct error *e) {
    const struct model_file_texts *texts = &m->file.texts;
    if (!o->tokenizer) return STATUS_OK;
    if (!texts->tokenizer) {
        struct error cause = {0};
        enum status status =
            error_set(&cause, STATUS_NOT_FOUND, o->model, "was converted without a tokenizer");
        return accept_tokenizer(o, status, true, &cause, e);
    }
    return tokenizer_open_text(texts->tokenizer, texts->tokenizer_length, "tokenizer.json", o->tokenizer, e);
}

static enum status describe_file(struct loaded_model *m, const struct loaded_model_options *o,
                                 const struct family **family, struct error *e) {
    const struct model_file_texts *texts = &m->file.texts;
    const struct describe_texts stored = {
        .config = texts->config,
        .config_length = texts->config_length,
        .generation = texts->generation,
        .generation_length = texts->generation_length,
        .options = {.allow_unknown_config_keys = o->allow_unknown_config_keys},
    };
    return describe_model_texts(&stored, &m->description, family, e);
}

static void report_checking(void *context, double share) {
    report(context, "checking", share);
}

static enum status set_massive(struct loaded_model *m, struct error *e) {
    for (size_t i = 0; i < MODEL_LAYERS_MAX; i++) {
        if (!m->file.massive[i]) continue;
        if (i >= m->description.layers)
            return error_set(e, STATUS_MALFORMED, m->file.file.path,
                             "layer %zu has massive activations, of %zu layers", i, m->description.layers);
        m->folded.layers[i].mlp.massive = true;
    }
    return STATUS_OK;
}

static enum status set_quiet(struct loaded_model *m, struct error *e) {
    struct folded_model *c = &m->folded;
    for (size_t i = 0; i < m->file.quiet_count; i++) {
        if (!c->stream.order || m->file.quiet[i] >= c->stream_width)
            return error_set(e, STATUS_MALFORMED, m->file.file.path,
                             "channel %zu is quiet, of a stream of %zu that is %srotated", m->file.quiet[i],
                             c->stream_width, c->stream.order ? "" : "not ");
        c->quiet[c->quiet_count++] = m->file.quiet[i];
    }
    return STATUS_OK;
}

/* Everything but the packed weights is built as from a folder, so that nothing else in the file has to be
 * trusted. */
static enum status load_file(struct loaded_model *m, const struct loaded_model_options *o,
                             struct workers *workers, struct error *e) {
    const struct family *family = NULL;
    struct model_file *p = &m->file;
    void *context = (void *)(uintptr_t)o;
    enum status status;
    report(o, "checking", 0);
    if ((status = model_file_open(o->model, workers, report_checking, context, p, e)) != STATUS_OK)
        return status;
    if ((status = open_tokenizer(m, o, e)) != STATUS_OK) return status;
    if ((status = describe_file(m, o, &family, e)) != STATUS_OK) return status;
    if ((status = check_form(&m->description, o, e)) != STATUS_OK) return status;
    if ((status = set_context(m, o, e)) != STATUS_OK) return status;
    if ((status = check_choices(m, o, e)) != STATUS_OK) return status;
    if ((status = tensor_views_init(&m->views, &m->description, family, p->checkpoint, e)) != STATUS_OK)
        return status;
    if ((status = model_file_check(p, &m->views, e)) != STATUS_OK) return status;
    if ((status = folded_model_init(&m->folded, &m->views, p->form, e)) != STATUS_OK) return status;
    if (p->rotated) folded_model_rotate(&m->folded);
    if ((status = set_massive(m, e)) != STATUS_OK) return status;
    if ((status = set_quiet(m, e)) != STATUS_OK) return status;
    m->adapter = p->adapter;
    m->calibration = p->calibration;
    return packed_model_map(&m->packed, &m->folded, (struct packed_types){p->weights, p->head}, p->packed,
                            p->packed_bytes, e);
}

/* ---- either ---- */

enum status loaded_model_blame(enum status status, const char *option, const char *path, struct error *e) {
    if (status == STATUS_OK || status == STATUS_NO_MEMORY || status == STATUS_OPTION) return status;
    if (!e) return STATUS_OPTION;
    struct error cause = *e;
    bool is_path = strcmp(cause.where, path) == 0 || !cause.where[0];
    /* Folders of GGUF files may have the configuration of what they were made from. */
    bool is_none =
        status == STATUS_NOT_FOUND && (!regular_file_is_in(path, "config.json") || !checkpoint_is_in(path));
    return error_set(e, STATUS_OPTION, option, "%s%s%s%s", is_path ? "" : cause.where, is_path ? "" : ": ",
                     cause.text, is_none ? model_file_folder_hint(path) : "");
}

enum status loaded_model_init(struct loaded_model *m, const struct loaded_model_options *options,
                              struct workers *workers, struct error *e) {
    memset(m, 0, sizeof *m);
    description_init(&m->description);
    if (options->tokenizer) *options->tokenizer = NULL;
    enum status status = loaded_model_path_check(options->model, e);
    if (status == STATUS_OK)
        status = loaded_model_path_is_file(options->model) ? load_file(m, options, workers, e)
                                                           : load_folder(m, options, workers, e);
    if (status == STATUS_OK) return status;
    status = loaded_model_blame(status, options->option ? options->option : "model", options->model, e);
    loaded_model_deinit(m);
    if (options->tokenizer) {
        tokenizer_close(*options->tokenizer);
        *options->tokenizer = NULL;
    }
    return status;
}

void loaded_model_deinit(struct loaded_model *m) {
    packed_model_deinit(&m->packed);
    if (m->folded.views) folded_model_deinit(&m->folded);
    tensor_views_deinit(&m->views);
    lora_close(m->lora);
    checkpoint_close(m->checkpoint);
    description_deinit(&m->description);
    model_file_close(&m->file);
    memset(m, 0, sizeof *m);
}

bool loaded_model_is_file(const struct loaded_model *m) {
    return m->file.file.path != NULL;
}

size_t loaded_model_mapped_bytes(const struct loaded_model *m) {
    return m->file.packed_bytes;
}
