/* One choice of a request: its tokens, its pages, its text. Scheduler thread. The choices of a request
 * compute its prompt once where they can: the first to run leads, the others take their slots beside it and
 * are forked from it (slots_fork).
 *
 *   WAITING -> PREFILL -> DECODE -> DONE
 *
 *   JOINING    has its slot in the batch, and no rows: a sibling computes the prompt of both. Goes on with
 *              PREFILL when it is forked.
 *   PREEMPTED  its pages were taken, or its leader is gone: waits again, and is computed again.
 *   BACKPRESSURED  its event ring is full: out of the batch, with its pages as long as nobody else needs them.
 *   RESUMED    its reader reads again: waits for a slot, and goes on where it was.
 *
 * Every state may end in DONE. */
#pragma once

#include "engine/grammar/grammar.h"
#include "engine/kv/kv_prefix.h"
#include "engine/sched/draft_plan.h"
#include "engine/sched/follower.h"
#include "engine/sched/pooling.h"
#include "engine/sched/request.h"
#include "engine/text/detokenizer.h"
#include "engine/text/decode/stop_matcher.h"

enum sequence_state {
    SEQUENCE_WAITING, /* has never had a slot */
    SEQUENCE_JOINING,
    SEQUENCE_PREFILL, /* has rows to compute before its next token can be sampled */
    SEQUENCE_DECODE,
    SEQUENCE_PREEMPTED,
    SEQUENCE_BACKPRESSURED,
    SEQUENCE_RESUMED,
    SEQUENCE_DONE,
};

enum draft_source {
    DRAFT_SOURCE_OWN,        /* what it said before */
    DRAFT_SOURCE_PREDICTION, /* the request's */
    DRAFT_SOURCE_GRAMMAR,    /* what its grammar leaves as the only way on */
    DRAFT_SOURCE_SELF,       /* the model in faster weights */
};

/* Text of the end, which may consist of several pieces. */
struct ending_text {
    char *bytes;
    size_t length, capacity;
};

struct queue;
struct turns_flow;

struct sequence {
    struct engine_request *request;
    uint32_t choice;
    enum sequence_state state;
    int32_t *tokens;      /* [prompt_count + max_tokens]; drafts behind count */
    size_t count;         /* prompt and generated */
    size_t computed;      /* positions whose keys and values are in the cache */
    size_t prompt_scored; /* PROMPT events posted */
    size_t cached_tokens; /* prompt positions found in the cache when it first ran */
    size_t rotary_length; /* as in struct step_entry */
    struct kv_table table;
    struct kv_prefix_cursor cursor;  /* behind the pages that the prefix index knows, */
    size_t indexed_pages;            /* of which the table has so many */
    struct detokenizer *detokenizer; /* NULL without a tokenizer */
    struct stop_matcher matcher;     /* its set is NULL without stop strings */
    /* With a grammar (constraint.h): how far it has read what was generated, and the mask of the next token. */
    struct grammar_place place;
    uint32_t *mask;          /* [words] */
    size_t mask_count;       /* tokens that it comes behind; 0: none */
    enum status mask_status; /* what came of the last try; */
    bool is_complete;        /* nothing can follow */
    bool is_unsettled,
        is_at_length;     /* whether it has ended is not known yet; if not by itself, it has by its length */
    uint64_t waits_since; /* an order; 0: does not sit out */
    uint64_t asked_in;    /* which turn */
    size_t mask_steps, steps_given; /* of this mask until now; of this turn */
    bool is_behind;                 /* another goes before it in its grammar: steps are of no use to it */
    uint64_t mask_ns;               /* that the next mask took */
    struct ending_text ending;
    struct pooling pooling;                               /* of a request that asks for an embedding */
    int64_t rank;                                         /* lower goes first; the request's at first */
    uint64_t order;                                       /* of admission: breaks ties of rank */
    uint64_t first_run_ns, first_token_ns, last_token_ns; /* 0: not yet */
    bool admitted;       /* has run, or ended: no longer counted as waiting by the submission queue */
    struct queue *queue; /* that it is in; NULL: in the batch, or ended */
    struct sequence *previous, *next; /* in the queue */
    /* Drafts of the step at hand, whose they are, and what is known of the odds (drafts.h). */
    size_t drafts;
    enum draft_source draft_source;
    struct follower own, prediction;
    uint32_t self_hits, self_trials;
    unsigned char self_classes[DRAFT_TOKENS_MAX]; /* of the drafts of the model itself (self_drafts.h), */
    size_t self_counted;                          /* of which so many were seen to be right or not */
    uint32_t forced_hits, forced_trials;          /* likewise, of its grammar's drafts */
    struct turns_flow *flow;                      /* waits for the turn of its client there; NULL: does not */
    struct sequence *flow_previous, *flow_next;
};

/* prompt: its ids. first: the first choice of the request, made; NULL for that itself. */
enum status sequence_init(struct sequence *s, struct engine_request *request, uint32_t choice,
                          const int32_t *prompt, const struct sequence *first, struct error *e);
void sequence_deinit(struct sequence *s);

/* Checks that the move is a legal one. */
void sequence_move(struct sequence *s, enum sequence_state state);

/* Positions that it has to compute now: all of its tokens; of a prompt that is only scored, all but the last. */
size_t sequence_target(const struct sequence *s);

/* Of its positions, how many at the front need no row of its own: keys and values that another has computed will do. */
size_t sequence_spare_rows(const struct sequence *s);

/* Of the rows still to be computed, how many at the front need no logits. */
size_t sequence_plain_rows(const struct sequence *s);

static inline bool sequence_scores_prompt(const struct sequence *s) {
    return s->request->prompt_logprobs && s->choice == 0 && s->prompt_scored < s->request->prompt_count;
}
static inline size_t sequence_generated(const struct sequence *s) {
    return s->count - s->request->prompt_count;
}

/* How a token changed a sequence. */
struct sequence_progress {
    const char *text; /* borrowed until the next call: what can be given out */
    size_t text_length;
    bool finished;
    enum engine_finish finish; /* STOP or LENGTH */
    int stop_string;           /* index, or -1 */
    int32_t stop_token;        /* id, or -1 */
};

/* Appends a sampled token. When it finished, sequence_end follows. */
enum status sequence_accept(struct sequence *s, int32_t id, struct sequence_progress *progress,
                            struct error *e);

/* Gathers the rest of the text in s->ending: what was held back, unless a stop string was found (perhaps only
 * now, in the last piece: progress is then changed to say so), and the stop string itself if it is wanted. */
enum status sequence_end(struct sequence *s, struct sequence_progress *progress, struct error *e);

/* Ids that must not be sampled behind the first `count` tokens, because min_tokens is not reached there. */
size_t sequence_banned(const struct sequence *s, size_t count, const int32_t **ids);
