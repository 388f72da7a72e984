/* The chat template of a model's folder, and the variables that its files give to it, as the transformers library finds
 * them: chat_template.jinja, else "chat_template" of tokenizer_config.json (a text, or a list of named ones of which
 * "default" counts), else chat_template.json. */
#pragma once

#include <jansson.h>

#include "engine/base/error.h"

/* Bytes of a file with a template. */
#define CHAT_SOURCE_BYTES_MAX ((size_t)4 << 20)

/* *out is the caller's: {"name": the file's name, "template": the text (absent: there is none), "variables":
 * {"bos_token": ..., ...}}. STATUS_UNSUPPORTED: there are several templates, and no default among them;
 * STATUS_MALFORMED: a file that cannot be read as what it is. */
enum status chat_source_load(const char *folder, json_t **out, struct error *e);

/* Such an object from its text, as a converted file keeps it. */
enum status chat_source_parse(const char *text, size_t length, json_t **out, struct error *e);

/* Its template is that of a file from now on. */
enum status chat_source_set_file(json_t *source, const char *path, struct error *e);
