/* Inside of the engine: for the files of engine/api alone. Written by engine_open, read
 * only after it; what changes is in the scheduler. */
#pragma once

#include "engine/api/engine.h"
#include "engine/forward/forward.h"
#include "engine/kv/kv_prefix.h"
#include "engine/loaded/loaded_chat.h"
#include "engine/loaded/second_weights.h"
#include "engine/sched/scheduler.h"
#include "engine/text/fim.h"
#include "engine/text/token_texts.h"
#include "engine/text/tokenizer.h"

struct engine {
    struct engine_info info;
    const struct kernel_table *kernels;
    struct workers *workers;
    struct tokenizer *tokenizer; /* NULL: none, */
    struct error no_tokenizer;   /* and why */
    struct fim fim;              /* of the tokenizer, if it has such tokens */
    struct token_texts texts;
    struct loaded_chat chat;
    bool chat_control_tokens; /* are found in clients' texts */
    struct loaded_model model;
    struct kv_pool pool;
    struct kv_prefix prefix;
    struct forward *forward;
    struct second_weights drafts; /* --speculate int4, and its pass; else nothing */
    struct forward *draft_forward;
    struct grammar_vocabulary *grammar_vocabulary; /* of structured output, */
    struct grammar_cache *grammars;                /* or both NULL, */
    const char *no_grammars;                       /* and why; static */
    int32_t *unused_ids;                           /* ids that the tokenizer has no token for */
    struct scheduler *scheduler;
};

/* --verify: STATUS_MISMATCH when a logit differs from the original model by more than bound (in standard
 * deviations). Fills info. */
enum status engine_verify(struct engine *engine, double bound, struct error *e);

/* The chat template of the model, or of the file that the options name. That there is none, or none that we run, is no
 * failure (engine->chat.why). STATUS_OPTION: the named file cannot be read. */
enum status engine_open_chat(struct engine *engine, const struct engine_options *options, struct error *e);
void engine_close_chat(struct engine *engine);

/* What structured output needs, where this model and the options have it (else engine->no_grammars). */
enum status engine_open_grammars(struct engine *engine, const struct engine_options *options,
                                 struct error *e);
void engine_close_grammars(struct engine *engine);
