/* The fields of the endpoints that run the model, but for the prompt: numbers by the table params.def, and the few that
 * are none by hand. Reads a parsed body into a struct; knows no connection and no engine. Pure: any thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/api/engine.h"
#include "engine/types/limits.h"
#include "server/api/api_error.h"
#include "server/api/endpoint.h"
#include "server/memory/serving_memory.h"

struct unknown_fields;

/* What a request may ask for here; from the configuration and the model. */
struct api_limits {
    struct serving_memory *memory; /* that the request takes from; NULL: nothing is counted */
    size_t context, vocabulary, embedding_width;
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

/* Of the field request_id, and of the header X-Request-Id; a longer header is not taken over. */
#define API_REQUEST_ID_BYTES_MAX 128

#define API_PARAM_INTEGER int64_t
#define API_PARAM_REAL    double
#define API_PARAM_BOOL    bool

struct api_params {
#define NUMBER(type, field, ...) API_PARAM_##type field;
#include "server/api/params.def"
#undef NUMBER
    bool include_usage;    /* stream_options: in a last chunk, */
    bool continuous_usage; /* and in every chunk what its choice has used so far */
    bool keeps_start;      /* truncation_side "right": a prompt that is cut keeps its first tokens */
    bool has_seed;
    int64_t seed;
    enum engine_pooling pooling;                   /* not NONE: of embeddings */
    bool is_base64;                                /* encoding_format of embeddings */
    char request_id[API_REQUEST_ID_BYTES_MAX + 1]; /* "": none */
    /* owned: */
    struct engine_string *stops; /* their texts too */
    size_t stop_count;
    int32_t *stop_tokens;
    size_t stop_token_count, stop_token_said; /* the first of them are those that the request names */
    int32_t *allowed;                         /* NULL: every token */
    size_t allowed_count;
    struct engine_bias *biases; /* in the order of ids, each once */
    size_t bias_count;
    struct engine_string *bad_words; /* their texts too */
    size_t bad_word_count;
};

/* Reads and checks all fields of an endpoint that runs the model, and refuses those that are not known there. On failure
 * *e names the field; api_params_deinit is needed either way. What an endpoint does not know has its default. In a chat
 * `logprobs` is what the two fields there say together, and max_tokens what its several names say. */
enum api_error_kind api_params_read(struct api_params *p, enum api_endpoint endpoint, const json_t *body,
                                    const struct api_limits *limits, struct api_error *e);
void api_params_deinit(struct api_params *p);

/* `model`, which may be absent. */
enum api_error_kind api_params_check_model(const json_t *body, const struct api_limits *limits,
                                           struct api_error *e);

/* continue_final_message goes with add_generation_prompt only where that is not said. */
enum api_error_kind api_params_check_opening(struct api_params *p, const json_t *body, struct api_error *e);

/* The names that params.def has for an endpoint, for api_fields_check. */
enum api_error_kind api_params_check_names(enum api_endpoint endpoint, const json_t *body,
                                           const struct api_limits *limits, struct api_error *e);

/* Adds tokens that end the text to those that the request names. */
enum api_error_kind api_params_add_stop_tokens(struct api_params *p, const int32_t *ids, size_t count,
                                               size_t vocabulary, struct api_error *e);

/* The fields that are lists, objects of numbers or texts of a list (param_lists.c). */
enum api_error_kind api_param_lists_read(struct api_params *p, const json_t *body,
                                         const struct api_limits *limits, struct api_error *e);
void api_param_lists_deinit(struct api_params *p);

/* An array of token ids below limits->vocabulary. *ids is malloc'ed, and not NULL even where the array is
 * empty. name is the field for messages; count_max bounds the array. */
enum api_error_kind api_params_token_ids(const json_t *array, const char *name, size_t count_max,
                                         size_t vocabulary, int32_t **ids, size_t *count,
                                         struct api_error *e);
