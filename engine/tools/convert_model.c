/* convert: a checkpoint's folder to one file that serving can map. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/calibrate/calibrate.h"
#include "engine/files/regular_file.h"
#include "engine/loaded/loaded_model.h"
#include "engine/model/describe.h"
#include "engine/modelfile/file_writer.h"
#include "engine/text/sources/chat_source.h"
#include "engine/tools/calibrate_text.h"
#include "engine/tools/tools.h"

/* Texts of the folder; those that are there are ours to free. */
struct texts {
    char *config, *generation, *tokenizer, *chat;
    size_t config_length, generation_length, tokenizer_length, chat_length;
};

static enum status read_text(const char *folder, const char *name, char **text, size_t *length,
                             struct error *e) {
    char path[PATH_MAX];
    enum status status = regular_file_path(folder, name, path, e);
    return status == STATUS_OK ? regular_file_read(path, CONFIG_BYTES_MAX, text, length, e) : status;
}

/* Where it cannot be read it is passed over, as when a model is described. */
static enum status read_generation(struct texts *t, const char *folder, struct error *e) {
    enum status status =
        read_text(folder, "generation_config.json", &t->generation, &t->generation_length, e);
    return status == STATUS_NO_MEMORY ? status : STATUS_OK;
}

/* A template that cannot be read is passed over, as when a model is opened. */
static enum status read_chat(struct texts *t, const char *folder, struct error *e) {
    json_t *source;
    enum status status = chat_source_load(folder, &source, e);
    if (status != STATUS_OK) return status == STATUS_NO_MEMORY ? status : STATUS_OK;
    if (json_object_get(source, "template")) t->chat = json_dumps(source, JSON_COMPACT);
    bool failed = json_object_get(source, "template") && !t->chat;
    json_decref(source);
    if (failed) return error_set(e, STATUS_NO_MEMORY, folder, "the chat template");
    t->chat_length = t->chat ? strlen(t->chat) : 0;
    return STATUS_OK;
}

static enum status read_texts(struct texts *t, const char *folder, struct error *e) {
    enum status status = read_text(folder, "config.json", &t->config, &t->config_length, e);
    if (status == STATUS_OK) status = read_generation(t, folder, e);
    if (status != STATUS_OK) return status;
    status = tokenizer_read_text(folder, &t->tokenizer, &t->tokenizer_length, e);
    if (status != STATUS_OK) return tokenizer_is_missing(folder, status) ? STATUS_OK : status;
    return read_chat(t, folder, e);
}

static void free_texts(struct texts *t) {
    free(t->config);
    free(t->generation);
    free(t->tokenizer);
    free(t->chat);
}

/* Only what can be made again is replaced. */
static enum status check_target(const char *out, struct error *e) {
    struct stat info;
    if (stat(out, &info) != 0 || model_file_look(out, NULL) == STATUS_OK) return STATUS_OK;
    return error_set(e, STATUS_INVALID_ARGUMENT, out,
                     "is there already and is not a converted model: it is left as it is");
}

static void report_writing(void *context, double share) {
    const struct convert_options *o = context;
    if (o->progress) o->progress(o->progress_context, "writing", share);
}

static enum status write_file(const struct convert_options *o, const struct loaded_model *m,
                              const struct texts *texts, struct file_writer *file, struct error *e) {
    const struct model_file_content content = {
        .packed = &m->packed,
        .adapter = &m->adapter,
        .calibration = &m->calibration,
        .texts = {.config = texts->config,
                  .generation = texts->generation,
                  .tokenizer = texts->tokenizer,
                  .chat = texts->chat,
                  .config_length = texts->config_length,
                  .generation_length = texts->generation_length,
                  .tokenizer_length = texts->tokenizer_length,
                  .chat_length = texts->chat_length},
    };
    return model_file_write(file, &content, report_writing, (void *)(uintptr_t)o, e);
}

/* The tokenizer is opened only to see that it can be: a file must not hold one that serving would refuse. */
static enum status convert(const struct convert_options *o, struct loaded_model_options *loader,
                           struct workers *workers, struct file_writer *file, struct convert_result *result,
                           struct error *e) {
    struct loaded_model model;
    struct tokenizer *tokenizer = NULL;
    struct token_list tokens = {0};
    struct texts texts = {0};
    enum status status = loaded_model_blame(read_texts(&texts, o->model, e), "model", o->model, e);
    if (texts.tokenizer) loader->tokenizer = &tokenizer;
    if (status == STATUS_OK) status = head_weights_check(o->head, o->weights, e);
    if (status == STATUS_OK && o->calibrate_text) status = calibrate_text_read(o, &tokens, e);
    if (status == STATUS_OK) status = loaded_model_init(&model, loader, workers, e);
    if (status == STATUS_OK) {
        tokenizer_close(tokenizer);
        if (o->calibrate_text) status = calibrate_text_apply(o, &model, &tokens, workers, e);
        if (status == STATUS_OK) status = write_file(o, &model, &texts, file, e);
        result->norm_form = model.folded.form;
        result->has_tokenizer = texts.tokenizer != NULL;
        result->calibration = model.calibration;
        result->bytes = file->bytes;
        loaded_model_deinit(&model);
    }
    free(tokens.ids);
    free_texts(&texts);
    return status;
}

static enum status check_options(const struct convert_options *o, struct loaded_model_options *loader,
                                 struct error *e) {
    *loader = (struct loaded_model_options){
        .model = o->model,
        .lora = o->lora,
        .ignore_adapter = o->ignore_adapter,
        .form = o->norm_form,
        .form_asked = !o->any_form,
        .weights = o->weights,
        .head = o->head,
        .rotate = o->calibrate_text != NULL, /* see docs/decisions.md */
        .allow_unknown_config_keys = o->allow_unknown_config_keys,
        .progress = o->progress,
        .progress_context = o->progress_context,
    };
    enum status status = norm_form_check(o->norm_form, e);
    if (status == STATUS_OK) status = head_weights_check(o->head, o->weights, e);
    if (status == STATUS_OK && o->calibrate_text) status = calibrate_weights_check(o->weights, e);
    if (status == STATUS_OK) status = loaded_model_path_check(o->model, e);
    if (status != STATUS_OK) return status;
    if (loaded_model_path_is_file(o->model)) {
        if ((status = loaded_model_file_check(o->model, e)) != STATUS_OK) return status;
        return error_set(e, STATUS_OPTION, "model", "is a file: only a checkpoint's folder can be converted");
    }
    status = lora_check_folder(o->model, o->lora, o->ignore_adapter, e);
    return status == STATUS_OK ? check_target(o->out, e) : status;
}

enum status convert_model(const struct convert_options *options, struct convert_result *result,
                          struct error *e) {
    struct loaded_model_options loader;
    struct file_writer file;
    struct workers *workers = NULL;
    *result = (struct convert_result){0};
    enum status status = check_options(options, &loader, e);
    if (status == STATUS_OK) status = file_writer_open(&file, options->out, e);
    if (status != STATUS_OK) return status;
    status = workers_create(options->threads ? options->threads : workers_default_count(), &workers, e);
    if (status == STATUS_OK) status = convert(options, &loader, workers, &file, result, e);
    workers_destroy(workers);
    if (status == STATUS_OK) return file_writer_commit(&file, e);
    file_writer_abort(&file);
    return status;
}
