/* What classes of the transformers library do with a model of SentencePiece beyond what the sentencepiece library does:
 * XGLMTokenizer, T5Tokenizer, GPTSw3Tokenizer. The other classes read it as it stands. */
#pragma once

#include <jansson.h>

#include "engine/text/sources/sentence_piece_file.h"
#include "engine/text/sources/side_files.h"
#include "engine/text/sources/tokenizer_class.h"

/* Of T5Tokenizer's extra_ids. */
#define EXTRA_IDS_MAX 10000

/* Puts the pieces in the order of the class's ids. XGLMTokenizer has those of fairseq: <s>, <pad>, </s>, <unk>, then the
 * pieces from the third on, then its made-up words; STATUS_UNSUPPORTED where the model does not begin with <unk>, <s>,
 * </s> or has one of the others itself. */
enum status sentence_piece_class_order(const struct tokenizer_class *class, struct sentence_piece_file *f,
                                       struct error *e);

/* T5Tokenizer's "<extra_id_0>", ...: how many there are, and whether they stand in no list, so that they come right behind
 * the pieces, the last of them first. What the library refuses is refused. */
enum status sentence_piece_class_extra_ids(const struct side_files *side, int *count, bool *unlisted,
                                           struct error *e);

/* Adds those that stand in no list to the "added_tokens" of a model. */
enum status sentence_piece_class_add_tokens(const struct tokenizer_class *class,
                                            const struct side_files *side, json_t *added, struct error *e);

/* What stands in place of the model's normalizer, which is taken; GPTSw3Tokenizer cleans a text first. NULL: no memory. */
json_t *sentence_piece_class_normalizer(const struct tokenizer_class *class, json_t *normalizer);
