/* Conversations of a body (`messages`, `chat_template_kwargs`) by the model's template: their text, and its ids. Long:
 * not on the loop. What a client writes never becomes a control token (engine_encode_chat). */
#pragma once

#include "server/api/params.h"

/* A conversation as the template writes it. */
struct api_chat {
    struct engine_chat_text text;
    struct serving_memory *memory; /* NULL: nothing is counted */
    size_t taken;                  /* of memory->answers, for the text */
};

/* Memory beside its tree that reading a body takes where it has messages; 0 where it has none. */
size_t api_chat_bytes(const char *body, size_t length);

/* add_generation_prompt and continue_final_message, of endpoints whose parameters are not read otherwise. */
enum api_error_kind api_chat_read_opening(struct api_params *p, const json_t *body, struct api_error *e);

/* *chat is the caller's, to be given to api_chat_deinit, whatever is returned. p: the two fields above. body_bytes: the
 * body's length, by which memory was taken for it. 400 with the template's own words where it refuses the conversation;
 * 429 where there is no memory for the text. */
enum api_error_kind api_chat_render(struct api_chat *chat, const struct engine *engine, const json_t *body,
                                    size_t body_bytes, const struct api_params *p,
                                    const struct api_limits *limits, struct api_error *e);
void api_chat_deinit(struct api_chat *chat);

/* Its ids, malloc'ed; special: with what the tokenizer puts around a text. Waits for memory, so what the body took must
 * have been given back. Errors are those of engine_encode_chat; STATUS_LIMIT with "memory" as its place: it would take
 * more than there is for reading. */
enum status api_chat_encode(const struct api_chat *chat, const struct engine *engine, bool special,
                            size_t tokens_max, int32_t **ids, size_t *count, struct error *e);

/* What POST /apply-template does with its body: {"prompt": TEXT} into *out, or *e. */
enum api_error_kind api_apply_template_body(const struct engine *engine, const struct api_limits *limits,
                                            const char *body, size_t length, struct bytes *out,
                                            struct api_error *e);
