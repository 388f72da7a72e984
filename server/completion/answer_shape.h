/* What differs between the answers of the endpoints that run the model: names, and how a choice is written. The rest,
 * from reading a body to the end of a stream, is the same for all of them. */
#pragma once

#include "server/completion/completion.h"
#include "server/logprobs/token_name.h"

struct answer_shape {
    const char *id_prefix;
    const char *object, *chunk_object; /* of a whole answer, of a part of a stream */
    const char *list; /* name of the array that has the choices, or what there is in their place */
    bool generates;   /* a choice is a text, which ends somehow and may be told as ids */
    /* One generated token with its log probability, into the choice's buffers. */
    void (*add_logprob)(struct prompt *p, struct choice *choice, const struct engine_event *event);
    /* One scored token of the prompt; NULL: as `logprobs` and `prompt_logprobs` have it. */
    void (*add_score)(struct prompt *p, const struct engine_event *event);
    /* Members of the answer that stand before "choices", each with a comma behind it; of a stream, for this choice. May
     * be NULL. */
    void (*write_members)(struct bytes *out, const struct prompt *p, const struct choice *choice);
    /* From "index" on, up to the members that all shapes have; empties the buffers that it writes. */
    void (*write_choice)(struct bytes *out, struct prompt *p, struct choice *choice);
};

const struct answer_shape *answer_shape_of(enum api_endpoint endpoint);

extern const struct answer_shape answer_shape_text, answer_shape_infill, answer_shape_chat,
    answer_shape_embedding, answer_shape_score;

/* ---- what they share ----------------------------------------------------------------------------------- */

/* How the request wants tokens to be named. */
static inline struct token_names answer_shape_token_names(const struct completion *c) {
    return (struct token_names){c->engine, c->params.return_tokens_as_token_ids,
                                c->params.skip_special_tokens};
}

/* "name":[...] of elements, which are empty afterwards; before them those of the prompt, if it is not NULL. */
void answer_shape_write_array(struct bytes *out, const char *name, const struct bytes *of_prompt,
                              struct bytes *elements);
/* The ids of the prompt, as a member. */
void answer_shape_write_prompt_ids(struct bytes *out, const struct prompt *p);
/* What is known of the prompt's tokens, as a member. */
void answer_shape_write_prompt_logprobs(struct bytes *out, const struct prompt *p);
