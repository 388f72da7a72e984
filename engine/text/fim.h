/* Fill-in-the-middle: the tokens with which a tokenizer tells a model to write what stands between two texts, and how
 * a prompt is made of them. In the order prefix, suffix, middle (PSM) of Bavarian et al., "Efficient Training of
 * Language Models to Fill in the Middle" (2022), as the models of the table in fim.c were trained. */
#pragma once

#include "engine/text/tokenizer.h"

/* Tokens that end the middle. */
enum { FIM_ENDS_MAX = 12 };

/* Of one tokenizer. */
struct fim {
    int32_t prefix, suffix, middle;
    int32_t ends[FIM_ENDS_MAX];
    size_t end_count; /* 0: the tokenizer has no such tokens, and nothing above is set */
    bool is_joined;   /* the suffix gets no blank that the tokenizer would put before a text */
};

/* By the tokens that the tokenizer has. */
void fim_init(struct fim *fim, const struct tokenizer *t);

struct fim_gap {
    const char *prefix, *suffix;
    size_t prefix_length, suffix_length;
    bool special; /* begin with what the tokenizer puts before a text */
};

/* Appends the ids of a prompt whose answer is what stands in the gap. The texts are encoded each by itself, and no
 * control token is found in them. Errors are those of tokenizer_encode, and STATUS_UNSUPPORTED where fim has no
 * tokens. */
enum status fim_encode(const struct fim *fim, const struct tokenizer *t, const struct fim_gap *gap,
                       size_t tokens_max, struct token_list *out, struct error *e);
