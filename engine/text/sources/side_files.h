/* The small files beside a tokenizer. */
#pragma once

#include <jansson.h>

#include "engine/base/error.h"

/* Each NULL where the folder has no such file. */
struct side_files {
    json_t *config;       /* tokenizer_config.json */
    json_t *special_map;  /* special_tokens_map.json */
    json_t *added;        /* added_tokens.json: {content: id} */
    json_t *model_config; /* config.json */
};

/* All of them must be objects. deinit also after an error. */
enum status side_files_load(const char *folder, size_t bytes_max, struct side_files *out, struct error *e);
void side_files_deinit(struct side_files *s);

/* The content of a token that is written as a string, or as an object with "content" and flags; NULL: neither. */
const char *side_files_content(const json_t *entry);

/* The "TemplateProcessing" that puts these tokens around a text; either content may be NULL. NULL: no memory. */
json_t *side_files_template(const char *before, json_int_t before_id, const char *after, json_int_t after_id);
