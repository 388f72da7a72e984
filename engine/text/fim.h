/* Fill-in-the-middle: the tokens with which a tokenizer tells a model to write what stands between two texts, and how
 * a prompt is made of them. In the order prefix, suffix, middle (PSM) of Bavarian et al., "Efficient Training of
 * Language Models to Fill in the Middle" (2022), as the models of the table in fim.c were trained; some of them were
 * trained in the order suffix, prefix, middle (SPM, its second variant) too. */
#pragma once

#include "engine/text/tokenizer.h"

/* Tokens that end the middle. */
enum { FIM_ENDS_MAX = 12 };

/* Of one tokenizer. */
struct fim {
    int32_t prefix, suffix, middle;
    int32_t ends[FIM_ENDS_MAX];
    size_t end_count;         /* 0: the tokenizer has no such tokens, and nothing above is set */
    int32_t repository, file; /* what stands before the name of a repository and of a file; -1: none */
    bool is_joined;           /* the suffix gets no blank that the tokenizer would put before a text */
    bool has_suffix_first;    /* the model knows the other order */
};

/* By the tokens that the tokenizer has. */
void fim_init(struct fim *fim, const struct tokenizer *t);

/* Another file that the model is shown. */
struct fim_file {
    const char *name, *text;
    size_t name_length, text_length;
};

struct fim_gap {
    const char *prefix, *suffix;
    size_t prefix_length, suffix_length;
    bool special; /* begin with what the tokenizer puts before a text */
    bool suffix_first;
    const struct fim_file *files;
    size_t file_count;
};

/* Appends the ids of a prompt whose answer is what stands in the gap. The texts are encoded each by itself, and no
 * control token is found in them. Errors are those of tokenizer_encode, and STATUS_UNSUPPORTED where fim has no
 * tokens ("suffix"), none for files ("input_extra"), or no other order ("suffix_first"). */
enum status fim_encode(const struct fim *fim, const struct tokenizer *t, const struct fim_gap *gap,
                       size_t tokens_max, struct token_list *out, struct error *e);
