#include "engine/sched/forced_drafts.h"

#include <stdlib.h>
#include <string.h>

#include "engine/sched/constraint.h"
#include "engine/sched/scheduler_state.h"

#define FORCED_BYTES_MAX 96 /* of text that is looked ahead */
/* How often such drafts are taken to hold at first, and how many trials that weighs as. */
#define PRIOR        0.8
#define PRIOR_TRIALS 4
#define TRIALS_MAX   128 /* then both counts are halved, so that the latest weigh most */

/* That a draft holds, when all before it do. */
static double chance(const struct sequence *q) {
    return (q->forced_hits + PRIOR_TRIALS * PRIOR) / (q->forced_trials + PRIOR_TRIALS);
}

void forced_drafts_offer(const struct scheduler *s, struct sequence *q, size_t most, int32_t *tokens,
                         struct draft_offer *offer) {
    char text[FORCED_BYTES_MAX];
    struct token_list ids = {0};
    struct grammar_steps steps = {.left = CONSTRAINT_ROW_STEPS};
    double all = 1, one = chance(q);
    offer->count = 0;
    if (!q->request->terms->grammar || !s->options.rules.tokenizer) return;
    size_t length = grammar_place_forced(&q->place, &steps, text, sizeof text);
    if (length == 0 ||
        tokenizer_encode(s->options.rules.tokenizer, text, length, false, 0, &ids, NULL) != STATUS_OK)
        return;
    for (size_t i = 0; i < ids.count && i < most; i++) {
        tokens[i] = ids.ids[i];
        offer->chances[offer->count++] = all *= one;
    }
    free(ids.ids);
}

void forced_drafts_count(struct sequence *q, bool is_right) {
    q->forced_hits += is_right;
    if (++q->forced_trials < TRIALS_MAX) return;
    q->forced_trials /= 2;
    q->forced_hits /= 2;
}
