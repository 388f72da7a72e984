/* Drafts where a grammar leaves one way on: the text is certain then, and the tokens that the tokenizer makes of it are
 * what a model most often says. Whether it does is for the model to decide, as with any draft: so what is said is the
 * same with and without. Scheduler thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/sched/draft_plan.h"

struct scheduler;
struct sequence;

/* The tokens of the text that must come behind what the sequence has said, into tokens[most], and their odds. */
void forced_drafts_offer(const struct scheduler *s, struct sequence *q, size_t most, int32_t *tokens,
                         struct draft_offer *offer);

/* A draft of it was right, or not. */
void forced_drafts_count(struct sequence *q, bool is_right);
