#include "server/completion/chat_prompt.h"

#include <string.h>

#include "server/api/json_body.h"
#include "server/completion/prompt.h"

enum api_error_kind chat_prompt_render(struct completion *c, const json_t *body, size_t body_bytes,
                                       const struct api_limits *limits, struct api_error *e) {
    const json_t *messages = json_body_field(body, "messages");
    if (json_is_array(messages) && !json_array_size(messages))
        return api_error_set(e, API_INVALID, "messages", "'messages' is empty; at least one is needed.");
    if (prompt_allocate(c, "messages", 1, limits, e) != API_OK ||
        api_chat_render(&c->chat, c->engine, body, body_bytes, &c->params, limits, e) != API_OK)
        return e->kind;
    return prompt_check_bytes(&c->prompts[0], c->chat.text.length, limits, e);
}

static enum api_error_kind encode(struct completion *c, const struct api_limits *limits,
                                  struct api_error *e) {
    struct prompt *p = &c->prompts[0];
    struct error cause;
    size_t most = prompt_ids_max(c, limits);
    enum status status =
        api_chat_encode(&c->chat, c->engine, c->params.add_special_tokens, most, &p->ids, &p->count, &cause);
    if (status == STATUS_LIMIT && strcmp(cause.where, "memory") == 0)
        return api_error_set(e, API_BODY_TOO_LARGE, "messages", "%s. Send shorter messages.", cause.text);
    if (status != STATUS_OK) return prompt_encode_failure(p, limits, &cause, most, e);
    prompt_truncate(p, limits);
    if (prompt_check_count(p, limits, e) != API_OK) return e->kind;
    return p->count ? API_OK : prompt_start_empty(p, e);
}

enum api_error_kind chat_prompt_encode(struct completion *c, const struct api_limits *limits,
                                       struct api_error *e) {
    enum api_error_kind kind = encode(c, limits, e);
    api_chat_deinit(&c->chat);
    return kind;
}
