/* The fields of POST /v1/completions but for the prompt: a table of {name, type, range}, and the few that are
 * no plain numbers. Reads a parsed body into a struct; knows no connection and no engine. Pure: any thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/api/engine.h"
#include "engine/types/limits.h"
#include "server/api/api_error.h"
#include "server/memory/serving_memory.h"

struct unknown_fields;

/* What a request may ask for here; from the configuration and the model. */
struct api_limits {
    struct serving_memory *memory; /* that the request takes from; NULL: nothing is counted */
    size_t context, vocabulary;
    size_t logprobs_max, n_max, choices_max, stops_max;
    size_t stop_bytes_max; /* of all stop strings together; 0: no limit of their own */
    const char *model;     /* the served name */
    bool any_model;        /* another name is served too */
    bool refuse_unknown;   /* unknown fields are an error */
    uint32_t timeout_ms;   /* of every request; 0: none */
    /* Of a text that is cut or measured instead of being generated from: its bytes, and ids. */
    size_t tokenize_bytes_max, tokenize_ids_max;
    struct unknown_fields *unknown; /* where names are noted; NULL: nowhere */
    const struct generation_defaults
        *generation; /* of fields that a request does not name; NULL: those below */
};

/* type, field, JSON name, default, least, most (inclusive; as doubles that are exact). Bounds are those that
 * hold here, so that a message names them: `limits` is the struct api_limits of the server. */
#define API_PARAMS(X)                                                                                        \
    X(INTEGER, max_tokens, "max_tokens", 16, 0, 2147483647)                                                  \
    X(INTEGER, min_tokens, "min_tokens", 0, 0, 2147483647)                                                   \
    X(REAL, temperature, "temperature", 1, 0, TEMPERATURE_MAX)                                               \
    X(REAL, top_p, "top_p", 1, 0, 1)                                                                         \
    X(INTEGER, top_k, "top_k", 0, -1, 2147483647)                                                            \
    X(REAL, min_p, "min_p", 0, 0, 1)                                                                         \
    X(REAL, typical_p, "typical_p", 1, 0, 1)                                                                 \
    X(REAL, presence_penalty, "presence_penalty", 0, -2, 2)                                                  \
    X(REAL, frequency_penalty, "frequency_penalty", 0, -2, 2)                                                \
    X(REAL, repetition_penalty, "repetition_penalty", 1, REPETITION_PENALTY_MIN, REPETITION_PENALTY_MAX)     \
    X(INTEGER, n, "n", 1, 1, (double)limits->n_max)                                                          \
    X(INTEGER, best_of, "best_of", 0, 1, (double)limits->n_max)                                              \
    X(INTEGER, logprobs, "logprobs", -1, 0, (double)limits->logprobs_max)                                    \
    X(INTEGER, prompt_logprobs, "prompt_logprobs", -1, 0, (double)limits->logprobs_max)                      \
    X(INTEGER, truncate_prompt_tokens, "truncate_prompt_tokens", 0, -1, 2147483647)                          \
    X(INTEGER, priority, "priority", 0, -2147483648.0, 2147483647)                                           \
    X(INTEGER, timeout_ms, "timeout_ms", 0, 0, 2147483647)                                                   \
    X(BOOL, stream, "stream", 0, 0, 1)                                                                       \
    X(BOOL, echo, "echo", 0, 0, 1)                                                                           \
    X(BOOL, ignore_eos, "ignore_eos", 0, 0, 1)                                                               \
    X(BOOL, include_stop_str_in_output, "include_stop_str_in_output", 0, 0, 1)                               \
    X(BOOL, skip_special_tokens, "skip_special_tokens", 1, 0, 1)                                             \
    X(BOOL, return_token_ids, "return_token_ids", 0, 0, 1)                                                   \
    X(BOOL, return_tokens_as_token_ids, "return_tokens_as_token_ids", 0, 0, 1)                               \
    X(BOOL, add_special_tokens, "add_special_tokens", 1, 0, 1)

/* Of the field request_id, and of the header X-Request-Id; a longer header is not taken over. */
#define API_REQUEST_ID_BYTES_MAX 128

#define API_PARAM_INTEGER int64_t
#define API_PARAM_REAL    double
#define API_PARAM_BOOL    bool

struct api_params {
#define X(type, field, ...) API_PARAM_##type field;
    API_PARAMS(X)
#undef X
    bool include_usage;    /* stream_options: in a last chunk, */
    bool continuous_usage; /* and in every chunk what its choice has used so far */
    bool keeps_start;      /* truncation_side "right": a prompt that is cut keeps its first tokens */
    bool has_seed;
    int64_t seed;
    char request_id[API_REQUEST_ID_BYTES_MAX + 1]; /* "": none */
    /* owned: */
    struct engine_string *stops; /* their texts too */
    size_t stop_count;
    int32_t *stop_tokens;
    size_t stop_token_count;
    int32_t *allowed; /* NULL: every token */
    size_t allowed_count;
    struct engine_bias *biases; /* in the order of ids, each once */
    size_t bias_count;
    struct engine_string *bad_words; /* their texts too */
    size_t bad_word_count;
};

/* Reads and checks all fields. On failure *e names the field; api_params_deinit is needed either way. */
enum api_error_kind api_params_read(struct api_params *p, const json_t *body, const struct api_limits *limits,
                                    struct api_error *e);
void api_params_deinit(struct api_params *p);

/* The fields that are lists, objects of numbers or texts of a list (param_lists.c). */
enum api_error_kind api_param_lists_read(struct api_params *p, const json_t *body,
                                         const struct api_limits *limits, struct api_error *e);
void api_param_lists_deinit(struct api_params *p);

/* An array of token ids below limits->vocabulary. *ids is malloc'ed, and not NULL even where the array is
 * empty. name is the field for messages; count_max bounds the array. */
enum api_error_kind api_params_token_ids(const json_t *array, const char *name, size_t count_max,
                                         size_t vocabulary, int32_t **ids, size_t *count,
                                         struct api_error *e);
