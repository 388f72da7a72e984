#include "engine/loaded/loaded_chat.h"

#include <stdio.h>

#include "engine/text/sources/chat_source.h"

static enum status read_source(const struct loaded_model *model, const char *folder, json_t **out,
                               struct error *e) {
    const struct model_file_texts *texts = &model->file.texts;
    if (!loaded_model_is_file(model)) return chat_source_load(folder, out, e);
    if (texts->chat) return chat_source_parse(texts->chat, texts->chat_length, out, e);
    *out = json_object();
    return *out ? STATUS_OK : error_set(e, STATUS_NO_MEMORY, "chat template", "no memory");
}

/* Only the option may name a file that is not there. */
static enum status take_file(json_t *source, const char *file, struct error *e) {
    struct error cause = {0};
    enum status status = file ? chat_source_set_file(source, file, &cause) : STATUS_OK;
    if (status == STATUS_OK) return STATUS_OK;
    return error_set(e, status == STATUS_NO_MEMORY ? status : STATUS_OPTION, "chat-template", "%s",
                     cause.text);
}

static enum status compile(struct loaded_chat *chat, const json_t *source, struct error *e) {
    const json_t *text = json_object_get(source, "template");
    const char *name = json_string_value(json_object_get(source, "name"));
    if (!text) return error_set(e, STATUS_NOT_FOUND, "", "the model has no chat template");
    if (!json_is_string(text)) return error_set(e, STATUS_MALFORMED, "chat template", "expected a text");
    snprintf(chat->name, sizeof chat->name, "%s", name ? name : "of the converted file");
    return template_create(json_string_value(text), json_string_length(text), &chat->template, e);
}

static enum status take_variables(struct loaded_chat *chat, const json_t *source, struct error *e) {
    const json_t *variables = json_object_get(source, "variables");
    chat->variables = json_is_object(variables) ? json_copy((json_t *)(uintptr_t)variables) : json_object();
    if (json_object_set_new(chat->variables, "tools", json_null()) == 0 &&
        json_object_set_new(chat->variables, "documents", json_null()) == 0)
        return STATUS_OK;
    return error_set(e, STATUS_NO_MEMORY, "chat template", "no memory for its variables");
}

enum status loaded_chat_init(struct loaded_chat *chat, const struct loaded_model *model,
                             const struct loaded_chat_options *o, struct error *e) {
    struct error *why = &chat->why;
    json_t *source = NULL;
    *chat = (struct loaded_chat){0};
    enum status status = read_source(model, o->model, &source, why);
    if (!source && o->file) source = json_object();
    enum status of_file = source ? take_file(source, o->file, e) : STATUS_OK;
    if (of_file != STATUS_OK) {
        json_decref(source);
        return of_file;
    }
    if (status == STATUS_OK || (source && o->file)) status = take_variables(chat, source, why);
    if (status == STATUS_OK) status = compile(chat, source, why);
    if (status != STATUS_OK && status != STATUS_NO_MEMORY && o->file)
        of_file = error_set(e, STATUS_OPTION, "chat-template", "%s: %s", why->where, why->text);
    if (status == STATUS_OK && !o->has_tokenizer)
        status = error_set(why, STATUS_UNSUPPORTED, "", "the model has no tokenizer that is read");
    if (status != STATUS_OK) {
        template_destroy(chat->template);
        chat->template = NULL;
    }
    json_decref(source);
    if (status != STATUS_NO_MEMORY) return of_file;
    if (e) *e = *why;
    return status;
}

void loaded_chat_deinit(struct loaded_chat *chat) {
    template_destroy(chat->template);
    json_decref(chat->variables);
}
