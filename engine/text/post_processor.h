/* "post_processor" of tokenizer.json: the ids that are put around a text. Immutable once read. Understood:
 * TemplateProcessing, RobertaProcessing, BertProcessing (of one text), ByteLevel (which only moves offsets),
 * Sequence. */
#pragma once

#include "engine/base/error.h"
#include "engine/files/json_path.h"
#include "engine/text/tokenizer.h"

/* Parts of all templates together. */
enum { POST_PROCESSOR_PARTS_MAX = 256 };

/* What is said of one text: ids, and between them the text itself. */
struct post_processor {
    struct token_list before, after;
    bool divided; /* a template put ids around the text: what follows it would take each for a text */
};

/* place: "post_processor" (its value may be NULL). Ids that t does not have are refused. deinit also after an
 * error. */
enum status post_processor_init(struct post_processor *p, const struct json_path *path,
                                const struct tokenizer *t, struct error *e);
void post_processor_deinit(struct post_processor *p);
