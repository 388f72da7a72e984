/* One request that runs the model, POST /v1/completions, /v1/chat/completions or /infill, which generate text,
 * /v1/embeddings or /score: its parameters, its prompts,
 * and what has been generated for each choice and not yet been written out. Made on the loop thread; completion_prepare runs in the uv pool, and so may
 * completion_write, while nothing else touches the completion. Knows the engine's door and JSON, not
 * libmicrohttpd. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "engine/api/engine.h"
#include "server/api/chat.h"
#include "server/api/params.h"
#include "server/json/bytes.h"
#include "server/logprobs/text_place.h"

/* "chatcmpl-", and the request's own or 32 hexadecimal digits. */
#define COMPLETION_ID_SIZE (API_REQUEST_ID_BYTES_MAX + 12)

/* One continuation. The buffers hold what the next write gives out: everything for a plain answer, what is
 * new for a stream. Those of logprobs and ids are elements of JSON arrays. */
struct choice {
    struct bytes text;
    struct bytes tokens, token_logprobs, top_logprobs, text_offsets;
    struct bytes token_ids;
    struct bytes embedding;  /* floats, as the engine has them; taken for at admission */
    size_t charged;          /* of the buffers: what the completion has taken for them */
    size_t characters;       /* of text given out so far */
    struct text_place place; /* behind the last token */
    double logprob_sum;      /* for best_of */
    uint32_t generated;
    bool begun, finished;
    bool written, ended; /* a chunk of it has been, the one that says how it ended */
    enum engine_finish finish;
    int stop_string;
    int32_t stop_token;
    int64_t seed;
};

struct prompt {
    struct completion *completion;
    const char *field; /* of the request: what is wrong with the prompt is wrong with it */
    size_t index;
    int32_t *ids;
    size_t count;
    char *echo; /* with echo: the text of the prompt, as far as what is generated does not begin with it */
    size_t echo_length, echo_characters;
    /* with echo and logprobs: of the prompt's tokens, the same for every choice */
    struct bytes tokens, token_logprobs, top_logprobs, text_offsets;
    struct bytes prompt_logprobs;           /* elements of that field, the same for every choice */
    size_t charged;                         /* as in struct choice */
    size_t scored;                          /* prompt tokens of which the log-probability is there */
    size_t scored_bytes, scored_characters; /* of the echo: where the next scored token starts */
    struct engine_request *handle;          /* NULL before admission and after the end */
    struct choice *choices;                 /* params.best_of of them */
    size_t scored_from;                     /* of a score: the first id of the continuation */
    double score;                           /* sum of the log probabilities, as they are told */
    bool is_not_greedy;                     /* another token would have been likelier somewhere */
    size_t finished;
    uint32_t cached_tokens, completion_tokens;
    uint32_t predicted_tokens; /* of these, that `prediction` had in their place */
};

struct answer_shape;
/* Seconds: of its choices each the longest, as they run beside each other. */
struct completion_times {
    double queue;   /* until the first step */
    double prefill; /* from there to the first token */
    double decode;  /* from there to the last */
};

struct completion {
    enum api_endpoint endpoint;       /* which of them it is; */
    const struct answer_shape *shape; /* how that one answers (answer_shape.h) */
    struct api_params params;
    struct api_chat chat; /* between rendering and encoding */
    struct prompt *prompts;
    size_t prompt_count, finished; /* prompts */
    struct engine_ban *bans;       /* of params.bad_words; their ids too */
    size_t ban_count;
    int32_t *prediction; /* ids of that field */
    size_t prediction_count;
    struct grammar *grammar;   /* that the texts match; NULL: any will do */
    const char *grammar_field; /* the field that says it; static */
    char id[COMPLETION_ID_SIZE];
    time_t created;
    const char *model, *fingerprint; /* borrowed from the service */
    struct bytes head;               /* of every chunk, once one has been written */
    struct engine *engine;
    struct engine_ticket *ticket; /* from its preparation to its admission */
    uint64_t client;              /* whose it is, for fair shares */
    struct completion_times times;
    bool timed_out;           /* a choice was ended by the time limit */
    bool stalled;             /* events were left untaken for want of room in the reply */
    struct api_error failure; /* kind API_OK: none */
    struct budget *budget;    /* of requests and answers; NULL: nothing is counted */
    size_t embedding_width;   /* numbers of an embedding of the engine */
    size_t text_bytes_max;    /* of a prompt: memory to encode more was not taken */
    size_t taken; /* of the budget: what the engine keeps for it, ids, and what the buffers hold */
    void *owner;  /* the request, for delivery */
};

struct completion *completion_create(struct engine *engine, enum api_endpoint endpoint, const char *model,
                                     const char *fingerprint, void *owner);
/* Releases the engine's handles: what runs is cancelled. */
void completion_destroy(struct completion *c);

/* Frees what has been generated for a prompt, and gives back what was taken for it. */
void completion_drop_texts(struct prompt *p);

/* Bytes that it holds in its buffers, about: what writing or freeing it costs. */
size_t completion_weight(const struct completion *c);

/* Reads the body, takes places in the engine's queue, turns every prompt into ids, takes memory for what they
 * will need and makes what the engine needs for them. What is refused gives back everything. Long, and may
 * wait: not on the loop. */
enum api_error_kind completion_prepare(struct completion *c, const char *body, size_t length,
                                       const struct api_limits *limits, struct api_error *e);

/* ---- admission (submit.c) ------------------------------------------------------------------------------ */

/* Places in the queue for all choices, as soon as their number is known: what finds none costs no
 * more. */
enum api_error_kind completion_reserve(struct completion *c, struct api_error *e);
/* Memory that the completion and the engine keep for it while it runs, answers aside. false: there is none to
 * count it. */
bool completion_admitted_bytes(struct completion *c, size_t *bytes);
/* What the engine needs for the prompts. Long. */
enum api_error_kind completion_build(struct completion *c, struct api_error *e);
/* Admission of all prompts or none, in constant time a prompt. Loop thread. */
enum api_error_kind completion_submit(struct completion *c, struct api_error *e);
/* Whether the queue has a place at all. Loop thread. */
enum api_error_kind completion_check_room(struct engine *engine, struct api_error *e);

/* Gives the engine's handles back, so that nothing more is generated. The completion stays as it is. */
void completion_release(struct completion *c);

/* ---- events (event.c) ---------------------------------------------------------------------------------- */

/* Adds an event to its choice. Of the last event of the last choice c->finished becomes
 * c->prompt_count. A choice that the time limit ended keeps what it has; the completion fails by it only
 * where no choice has anything. Where the buffers find no room in the budget the completion fails. */
void completion_event(struct prompt *p, const struct engine_event *event);

/* What makes an answer take less memory (api_memory_refuse). */
#define COMPLETION_MEMORY_ADVICE "Ask for fewer tokens, choices or log probabilities, or for a stream."

/* ---- JSON of the answer (write.c) ---------------------------------------------------------------------- */

/* The whole answer, after the last event: what it was made of is freed, and what was taken for that given
 * back. Any one thread. About how long it will be. */
void completion_write(struct bytes *out, struct completion *c);
size_t completion_answer_bytes(const struct completion *c);

/* What is new of one choice, as a chunk of a stream; whether there is anything to say yet. The choice's
 * buffers are empty afterwards. */
bool completion_has_chunk(const struct prompt *p, const struct choice *choice);
void completion_write_chunk(struct bytes *out, struct prompt *p, struct choice *choice);

/* The last chunk when usage is asked for. */
void completion_write_usage_chunk(struct bytes *out, struct completion *c);

/* ---- times (timings.c) --------------------------------------------------------------------------------- */

/* Of the end of a choice. */
void completion_count_times(struct completion *c, const struct engine_event *event);

/* ,"timings":{...} with the names of llama-server: prompt_n are the tokens that were computed, cache_n those that were
 * not; of several prompts and choices counts are sums and times the longest. */
void completion_write_timings(struct bytes *out, const struct completion *c);

/* The value of Server-Timing, in milliseconds. */
#define COMPLETION_SERVER_TIMING_SIZE 160
void completion_server_timing(const struct completion *c, double total_seconds,
                              char out[COMPLETION_SERVER_TIMING_SIZE]);
