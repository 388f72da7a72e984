/* "pre_tokenizer" of tokenizer.json: cuts text into the words that the model sees one by one. Immutable once
 * read. Understood: ByteLevel, Split, Digits, Punctuation, Whitespace, WhitespaceSplit, BertPreTokenizer,
 * Metaspace, Sequence. */
#pragma once

#include <stddef.h>

#include "engine/base/error.h"
#include "engine/files/json_path.h"
#include "engine/text/containers/piece_list.h"
#include "engine/text/regex/regex.h"

/* Components of one kind in a file, those in Sequences counted one by one. */
enum { TEXT_STEPS_MAX = 256 };

struct pre_tokenizer_step;

/* What a file's Sequences come to when laid flat. */
struct pre_tokenizer {
    struct pre_tokenizer_step *steps;
    size_t count, capacity;
};

/* place: "pre_tokenizer", whose value may be NULL (no step then). deinit also after an error. */
enum status pre_tokenizer_init(struct pre_tokenizer *p, const struct json_path *path, struct error *e);
void pre_tokenizer_deinit(struct pre_tokenizer *p);

/* Whether every byte of a text is in a piece, or stands for one that is: no step takes anything away. */
bool pre_tokenizer_keeps_all(const struct pre_tokenizer *p);
/* Whether what comes out is written in the alphabet of byte_level.h. */
bool pre_tokenizer_is_byte_level(const struct pre_tokenizer *p);

/* Cuts the pieces of *list; added tokens pass. *other is working memory, its content is lost. */
enum status pre_tokenizer_run(const struct pre_tokenizer *p, struct regex_run *run, struct piece_list *list,
                              struct piece_list *other, struct error *e);
