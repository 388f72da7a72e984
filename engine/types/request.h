/* A request as it goes through the door, the scheduler and the sampler: prompts and sampling parameters in,
 * events out. engine/api/engine.h says who may keep what for how long. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

struct engine_bias {
    int32_t token;
    float bias;
};

struct engine_sampling {
    double temperature;                         /* 0: greedy */
    double top_p;                               /* 1: off */
    double min_p;                               /* 0: off */
    double typical_p;                           /* 1: off */
    uint32_t top_k;                             /* 0: off */
    double presence_penalty, frequency_penalty; /* 0: off */
    double repetition_penalty;                  /* 1: off */
    const struct engine_bias *biases;
    size_t bias_count;
    const int32_t *allowed; /* only these may be sampled; NULL: all */
    size_t allowed_count;
    const struct engine_ban *bans;
    size_t ban_count;
    bool has_seed; /* else one is drawn, and reported in FINISHED */
    int64_t seed;  /* choice i of a request uses its own stream of it */
};

struct engine_string {
    const char *text;
    size_t length;
};

struct grammar;

/* What a prompt's hidden states become; of each of its tokens there is one, that the model's head would read. */
enum engine_pooling {
    ENGINE_POOLING_NONE, /* nothing: they are not given out */
    ENGINE_POOLING_LAST, /* that of the last token */
    ENGINE_POOLING_MEAN, /* the mean of all */
};

/* All pointers are borrowed for the call of engine_ticket_prepare or engine_submit only. */
struct engine_prompt {
    const int32_t *ids; /* at least one, each below info.vocabulary */
    size_t count;
    uint32_t choices;    /* n: independent continuations */
    uint32_t max_tokens; /* clamped to the room; 0: score the prompt only */
    uint32_t min_tokens;
    struct engine_sampling sampling;
    const struct engine_string *stops;
    size_t stop_count;
    const int32_t *stop_tokens;
    size_t stop_token_count;
    /* What the answer may be, for the most part: it is the same with it, and sooner where it is so. */
    const int32_t *prediction;
    size_t prediction_count;
    struct grammar *grammar;     /* that the answer matches; NULL: any text. A reference of it is taken */
    bool ignore_end;             /* end tokens of the model do not end it */
    bool include_stop_text;      /* the stop string that ended it is part of the text */
    bool skip_special;           /* special tokens add no text */
    int logprobs;                /* -1: none; else 0 .. logprobs_max alternatives per token */
    bool prompt_logprobs;        /* PROMPT events for every prompt token too, */
    size_t prompt_logprobs_from; /* or only for those from this one on, below count; 0 and 1: for all */
    /* Not NONE: an embedding is made of the prompt, and given out with the FINISHED event; nothing is generated or scored
     * (choices 1, max_tokens 0, no prompt_logprobs). */
    enum engine_pooling pooling;
    int priority;        /* lower first */
    uint64_t client;     /* whose it is, for fair shares: any number that is the same for the same client */
    uint32_t timeout_ms; /* 0: none */
    void *user;          /* engine_request_user gives it back */
};

enum engine_event_kind {
    ENGINE_EVENT_PROMPT,   /* one prompt token scored (prompt_logprobs); choice 0 only */
    ENGINE_EVENT_TOKEN,    /* one generated token, and what text can be given out now */
    ENGINE_EVENT_FINISHED, /* the choice has ended; the rest of its text */
};

enum engine_finish {
    /* End token, stop token or stop string; a text that its grammar lets nothing be added to; an embedding. */
    ENGINE_FINISH_STOP,
    ENGINE_FINISH_LENGTH, /* max_tokens or the context is used up */
    ENGINE_FINISH_CANCELLED,
    ENGINE_FINISH_TIMEOUT,
    ENGINE_FINISH_FAILED, /* error says why */
};

struct engine_top {
    int32_t id;
    float logprob;
};

struct engine_event {
    enum engine_event_kind kind;
    uint32_t choice;
    const char
        *text; /* borrowed until the next event is taken from this request; valid UTF-8; may be empty */
    size_t text_length;
    /* PROMPT, TOKEN */
    int32_t id;
    bool has_logprob; /* false for the first prompt token, and when none were asked for */
    float logprob; /* of the raw model distribution: all rows of the head, before temperature and penalties */
    const struct engine_top *top; /* the `logprobs` best sampleable ids, best first */
    size_t top_count;
    uint32_t rank; /* PROMPT with a logprob: 1 for the most probable sampleable id, ties to the lower one */
    /* FINISHED */
    enum engine_finish finish;
    int stop_string;    /* index of the stop string that ended it, or -1 */
    int32_t stop_token; /* the end or stop token that ended it, or -1 */
    int64_t seed;
    uint32_t prompt_tokens, cached_tokens, completion_tokens;
    uint32_t predicted_tokens; /* of the completion, that were the prediction's; at most its own */
    double queue_seconds;      /* from its admission to its first step; without one, to its end */
    /* From its first step to its first token, or to its end where no token was asked for; 0 without either. */
    double prefill_seconds;
    double decode_seconds; /* from its first token to its last */
    /* [info.embedding_width], not normalised; borrowed until the request is released. NULL: none. */
    const float *embedding;
    const struct error
        *error; /* FAILED: why the first choice of the request that failed did; borrowed until the
                                  request is released. Else NULL */
};

/* Ids of which the last is not sampled where the others are what was generated just before. */
struct engine_ban {
    const int32_t *ids;
    size_t count; /* at least one */
};
