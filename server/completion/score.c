#include "server/completion/score.h"

#include <stdlib.h>
#include <string.h>

#include "server/api/json_body.h"
#include "server/completion/answer_shape.h"
#include "server/completion/prompt.h"
#include "server/json/write.h"

/* ---- pairs --------------------------------------------------------------------------------------------- */

static enum api_error_kind out_of_memory(struct api_error *e) {
    return api_error_set(e, API_INTERNAL, NULL, "There is not enough memory for this request.");
}

/* One of the two fields. */
struct side {
    const char *field;
    const json_t *value;
    bool is_one;
    size_t count;
};

static enum api_error_kind open_side(struct side *side, const json_t *body, const char *field,
                                     struct api_error *e) {
    const json_t *value = json_body_field(body, field);
    if (prompt_check_type(field, value, e) != API_OK) return e->kind;
    *side = (struct side){.field = field, .value = value, .is_one = prompt_is_one(value), .count = 1};
    if (!side->is_one) side->count = json_array_size(value);
    return API_OK;
}

/* One alone stands in each pair. */
static const json_t *element(const struct side *side, size_t index) {
    return side->is_one ? side->value : json_array_get(side->value, side->count == 1 ? 0 : index);
}

static size_t common_prefix(const int32_t *a, size_t a_count, const int32_t *b, size_t b_count) {
    size_t i = 0;
    while (i < a_count && i < b_count && a[i] == b[i]) i++;
    return i;
}

/* malloc'ed. */
static char *join(const json_t *a, const json_t *b, size_t *length) {
    const size_t first = json_string_length(a);
    *length = first + json_string_length(b);
    char *joined = malloc(*length + 1);
    if (!joined) return NULL;
    memcpy(joined, json_string_value(a), first);
    memcpy(joined + first, json_string_value(b), *length - first);
    joined[*length] = '\0';
    return joined;
}

/* Two texts are one for the model: what is scored begins where its ids part from those of the first by itself. */
static enum api_error_kind read_texts(struct prompt *p, const json_t *prompt, const json_t *continuation,
                                      const struct api_limits *limits, struct api_error *e) {
    struct prompt alone = {.completion = p->completion, .field = "prompt", .index = p->index};
    const bool special = p->completion->params.add_special_tokens;
    size_t length;
    char *joined = join(prompt, continuation, &length);
    if (!joined) return out_of_memory(e);
    if (json_string_length(prompt) < length / 2) p->field = "continuation";
    enum api_error_kind kind = prompt_encode(p, joined, length, special, limits, e);
    free(joined);
    if (kind == API_OK)
        kind =
            prompt_encode(&alone, json_string_value(prompt), json_string_length(prompt), special, limits, e);
    if (kind == API_OK) p->scored_from = common_prefix(p->ids, p->count, alone.ids, alone.count);
    free(alone.ids);
    return kind;
}

/* Ids of one side alone. A continuation begins no text. */
static enum api_error_kind read_part(struct prompt *part, const struct side *side, const json_t *value,
                                     bool special, const struct api_limits *limits, struct api_error *e) {
    if (json_is_array(value))
        return api_params_token_ids(value, side->field, limits->context, limits->vocabulary, &part->ids,
                                    &part->count, e);
    if (!json_is_string(value)) return prompt_wrong_type(side->field, part->index, value, e);
    return prompt_encode(part, json_string_value(value), json_string_length(value), special, limits, e);
}

/* Puts ids behind those of the prompt. */
static enum api_error_kind append(struct prompt *p, const int32_t *ids, size_t count, struct api_error *e) {
    int32_t *grown = realloc(p->ids, (p->count + count + 1) * sizeof *grown);
    if (!grown) return out_of_memory(e);
    memcpy(grown + p->count, ids, count * sizeof *ids);
    p->ids = grown;
    p->count += count;
    return API_OK;
}

static enum api_error_kind read_parts(struct prompt *p, const struct side *prompts,
                                      const struct side *continuations, const struct api_limits *limits,
                                      struct api_error *e) {
    struct prompt rest = {.completion = p->completion, .field = continuations->field, .index = p->index};
    const bool special = p->completion->params.add_special_tokens;
    enum api_error_kind kind = read_part(p, prompts, element(prompts, p->index), special, limits, e);
    p->scored_from = p->count;
    if (kind == API_OK)
        kind = read_part(&rest, continuations, element(continuations, p->index), false, limits, e);
    if (kind == API_OK) kind = append(p, rest.ids, rest.count, e);
    free(rest.ids);
    return kind;
}

/* The first token of a text has no log probability but behind the token that begins one. */
static enum api_error_kind begin_with_start(struct prompt *p, struct api_error *e) {
    struct prompt start = {.completion = p->completion, .field = "prompt", .index = p->index};
    if (prompt_start_empty(&start, e) != API_OK) return e->kind;
    enum api_error_kind kind = append(&start, p->ids, p->count, e);
    if (kind != API_OK) {
        free(start.ids);
        return kind;
    }
    free(p->ids);
    p->ids = start.ids;
    p->count = start.count;
    p->scored_from = 1;
    return API_OK;
}

static enum api_error_kind refuse_empty(const struct prompt *p, struct api_error *e) {
    if (p->completion->prompt_count == 1)
        return api_error_set(e, API_INVALID, "continuation", "'continuation' adds no token to the prompt.");
    return api_error_set(e, API_INVALID, "continuation",
                         "'continuation': element %zu adds no token to its prompt.", p->index);
}

static enum api_error_kind read_pair(struct prompt *p, const struct side *prompts,
                                     const struct side *continuations, const struct api_limits *limits,
                                     struct api_error *e) {
    const json_t *prompt = element(prompts, p->index), *continuation = element(continuations, p->index);
    const bool are_texts = json_is_string(prompt) && json_is_string(continuation);
    p->field = prompts->field;
    enum api_error_kind kind = are_texts ? read_texts(p, prompt, continuation, limits, e)
                                         : read_parts(p, prompts, continuations, limits, e);
    if (kind != API_OK) return kind;
    if (p->scored_from >= p->count) return refuse_empty(p, e);
    if (p->scored_from < p->count / 2) p->field = "continuation";
    if (p->scored_from == 0 && begin_with_start(p, e) != API_OK) return e->kind;
    return prompt_check_count(p, limits, e);
}

enum api_error_kind score_read(struct completion *c, const json_t *body, const struct api_limits *limits,
                               struct api_error *e) {
    struct side prompts = {0}, continuations = {0};
    if (open_side(&prompts, body, "prompt", e) != API_OK ||
        open_side(&continuations, body, "continuation", e) != API_OK)
        return e->kind;
    const size_t pairs = prompts.count > continuations.count ? prompts.count : continuations.count;
    if ((prompts.count != pairs && prompts.count != 1) ||
        (continuations.count != pairs && continuations.count != 1))
        return api_error_set(e, API_INVALID, "continuation",
                             "There are %zu prompts and %zu continuations; there must be as many of both, or "
                             "one of either.",
                             prompts.count, continuations.count);
    const struct side *most = prompts.count == pairs ? &prompts : &continuations;
    if (prompt_allocate(c, most->field, pairs, limits, e) != API_OK) return e->kind;
    for (size_t i = 0; i < pairs; i++)
        if (read_pair(&c->prompts[i], &prompts, &continuations, limits, e) != API_OK) return e->kind;
    return API_OK;
}

/* ---- the answer ---------------------------------------------------------------------------------------- */

/* Adds up what is told: -inf is told as -9999. */
static void add_score(struct prompt *p, const struct engine_event *event) {
    if (!event->has_logprob) return;
    const float told = event->logprob >= -9999 ? event->logprob : -9999;
    p->score += (double)told;
    p->is_not_greedy |= event->rank != 1;
    json_write_separator(&p->token_logprobs);
    json_write_logprob(&p->token_logprobs, told);
}

static void write_choice(struct bytes *out, struct prompt *p, struct choice *choice) {
    (void)choice;
    bytes_format(out, ",\"object\":\"score\",\"score\":%.10g,\"is_greedy\":%s,\"token_logprobs\":[", p->score,
                 p->is_not_greedy ? "false" : "true");
    bytes_append_bytes(out, &p->token_logprobs);
    bytes_text(out, "]");
}

const struct answer_shape answer_shape_score = {
    .id_prefix = "score-",
    .object = "list",
    .list = "data",
    .add_score = add_score,
    .write_choice = write_choice,
};
