/* The chat template of a model, compiled, with the variables that its files give to it. */
#pragma once

#include <jansson.h>

#include "engine/loaded/loaded_model.h"
#include "engine/text/template/template.h"

struct loaded_chat {
    struct template *template; /* NULL: none that we run, */
    struct error why;          /* and why; code STATUS_NOT_FOUND: the model has none */
    json_t *variables;
    char name[256]; /* where the template is from, for people */
};

struct loaded_chat_options {
    const char *model; /* folder, or converted file */
    const char *file;  /* of a template in place of the model's own; NULL: that */
    bool has_tokenizer;
};

/* Whatever is wrong with the model's own template leaves it without one. STATUS_OPTION: the named file cannot be read, or
 * has a template that is not run: whoever named it wants chats. STATUS_NO_MEMORY. The caller ends with
 * loaded_chat_deinit, after an error too. */
enum status loaded_chat_init(struct loaded_chat *chat, const struct loaded_model *model,
                             const struct loaded_chat_options *options, struct error *e);
void loaded_chat_deinit(struct loaded_chat *chat);
