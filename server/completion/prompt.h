/* The field `prompt` of a completion, `input` of embeddings. Any thread that may wait: encoding is long. */
#pragma once

#include "server/completion/completion.h"

/* Prompts, with their choices and places in the engine's queue, for their ids to be filled in. field: that of the request that
 * says how many there are. */
enum api_error_kind prompt_allocate(struct completion *c, const char *field, size_t count,
                                    const struct api_limits *limits, struct api_error *e);

/* The field of a request that has its prompts. */
const char *prompt_field(const struct completion *c);

/* Keeps of its ids those that truncate_prompt_tokens leaves. */
void prompt_truncate(struct prompt *p, const struct api_limits *limits);
/* For a prompt without ids: the token that begins a text. */
enum api_error_kind prompt_start_empty(struct prompt *p, struct api_error *e);

/* The most ids that a text is turned into which may turn out to be too long: it is counted to its end, so that the error
 * can name both lengths, but nobody may keep a thread busy with a text that is refused anyway. */
size_t prompt_ids_max(const struct completion *c, const struct api_limits *limits);

/* What the engine says of such a text, as an answer. */
enum api_error_kind prompt_encode_failure(const struct prompt *p, const struct api_limits *limits,
                                          const struct error *cause, size_t ids_max, struct api_error *e);
/* Whether it has ids for so many. */
enum api_error_kind prompt_check_count(const struct prompt *p, const struct api_limits *limits,
                                       struct api_error *e);
/* Before it is turned into ids: its bytes. */
enum api_error_kind prompt_check_bytes(const struct prompt *p, size_t length, const struct api_limits *limits,
                                       struct api_error *e);

/* Ids of a text; special: with what the tokenizer adds. */
enum api_error_kind prompt_encode(struct prompt *p, const char *text, size_t length, bool special,
                                  const struct api_limits *limits, struct api_error *e);

/* A field in the form of prompts: whether it is there and a string or an array; whether it is one prompt or an array of
 * them; and that an element is neither a text nor ids. */
enum api_error_kind prompt_check_type(const char *field, const json_t *value, struct api_error *e);
bool prompt_is_one(const json_t *value);
enum api_error_kind prompt_wrong_type(const char *field, size_t index, const json_t *value,
                                      struct api_error *e);

/* All forms of it: a string, an array of ids, or an array that mixes both. Fills c->prompts; uses c->params.
 */
enum api_error_kind prompt_read(struct completion *c, const json_t *value, const struct api_limits *limits,
                                struct api_error *e);
