#include "server/cli/token_options.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define BIAS_MAX 100

static enum status refuse(const char *option, const char *value, const char *expected, struct error *e) {
    return error_set(e, STATUS_OPTION, option, "'%s' is not %s", value, expected);
}

/* *end: what stands behind the id. */
static bool read_id(const char *text, int32_t *id, char **end) {
    if (*text < '0' || *text > '9') return false;
    errno = 0;
    long value = strtol(text, end, 10);
    *id = (int32_t)value;
    return errno == 0 && value <= INT32_MAX;
}

static enum status read_ids(const char *option, const struct config_list *list, int32_t **ids, size_t *count,
                            struct error *e) {
    char *end;
    if (!list->count) return STATUS_OK;
    *ids = calloc(list->count, sizeof **ids);
    if (!*ids) return error_set(e, STATUS_NO_MEMORY, option, "no memory for its ids");
    for (; *count < list->count; ++*count)
        if (!read_id(list->items[*count], &(*ids)[*count], &end) || *end)
            return refuse(option, list->items[*count], "a token id", e);
    return STATUS_OK;
}

static int by_token(const void *a, const void *b) {
    const struct engine_bias *x = a, *y = b;
    return (x->token > y->token) - (x->token < y->token);
}

static enum status read_bias(const char *text, struct engine_bias *out, struct error *e) {
    static const char expected[] = "ID=BIAS, a token id and a number from -100 to 100";
    char *end;
    if (!read_id(text, &out->token, &end) || *end != '=') return refuse("logit-bias", text, expected, e);
    const char *number = end + 1;
    double bias = strtod(number, &end);
    if (end == number || *end || !(bias >= -BIAS_MAX && bias <= BIAS_MAX))
        return refuse("logit-bias", text, expected, e);
    out->bias = (float)bias;
    return STATUS_OK;
}

static enum status read_biases(struct token_options *t, const struct config_list *list, struct error *e) {
    if (!list->count) return STATUS_OK;
    t->biases = calloc(list->count, sizeof *t->biases);
    if (!t->biases) return error_set(e, STATUS_NO_MEMORY, "logit-bias", "no memory for it");
    for (; t->bias_count < list->count; t->bias_count++)
        if (read_bias(list->items[t->bias_count], &t->biases[t->bias_count], e) != STATUS_OK) return e->code;
    qsort(t->biases, t->bias_count, sizeof *t->biases, by_token);
    for (size_t i = 1; i < t->bias_count; i++)
        if (t->biases[i].token == t->biases[i - 1].token)
            return error_set(e, STATUS_OPTION, "logit-bias", "token %d is there twice",
                             (int)t->biases[i].token);
    return STATUS_OK;
}

/* The texts of a list, borrowed. */
static enum status borrow_texts(const char *option, const struct config_list *list,
                                struct engine_string **texts, struct error *e) {
    *texts = NULL;
    if (!list->count) return STATUS_OK;
    *texts = calloc(list->count, sizeof **texts);
    if (!*texts) return error_set(e, STATUS_NO_MEMORY, option, "no memory for its texts");
    for (size_t i = 0; i < list->count; i++)
        (*texts)[i] = (struct engine_string){list->items[i], strlen(list->items[i])};
    return STATUS_OK;
}

enum status token_options_init(struct token_options *t, const struct config *config, struct error *e) {
    *t = (struct token_options){.stop_string_count = config->stop.count};
    enum status status = read_ids("stop-token-ids", &config->stop_token_ids, &t->stop, &t->stop_count, e);
    if (status == STATUS_OK)
        status = read_ids("allowed-token-ids", &config->allowed_token_ids, &t->allowed, &t->allowed_count, e);
    if (status == STATUS_OK) status = borrow_texts("stop", &config->stop, &t->stops, e);
    return status == STATUS_OK ? read_biases(t, &config->logit_bias, e) : status;
}

static enum status check_id(const char *option, int32_t id, size_t vocabulary, struct error *e) {
    if ((size_t)id < vocabulary) return STATUS_OK;
    return error_set(e, STATUS_OPTION, option, "token id %d is not in the vocabulary of %zu", (int)id,
                     vocabulary);
}

static enum status check_ids(const struct token_options *t, const struct engine *engine, struct error *e) {
    struct engine_info info;
    enum status status = STATUS_OK;
    engine_info(engine, &info);
    for (size_t i = 0; i < t->stop_count && status == STATUS_OK; i++)
        status = check_id("stop-token-ids", t->stop[i], info.vocabulary, e);
    for (size_t i = 0; i < t->allowed_count && status == STATUS_OK; i++)
        status = check_id("allowed-token-ids", t->allowed[i], info.vocabulary, e);
    for (size_t i = 0; i < t->bias_count && status == STATUS_OK; i++)
        status = check_id("logit-bias", t->biases[i].token, info.vocabulary, e);
    return status;
}

enum status token_options_encode(struct token_options *t, const struct config *config,
                                 const struct engine *engine, struct error *e) {
    struct engine_string *words;
    struct error cause;
    enum status status = check_ids(t, engine, e);
    if (status == STATUS_OK) status = borrow_texts("bad-words", &config->bad_words, &words, e);
    if (status != STATUS_OK) return status;
    status = engine_bans_create(engine, words, config->bad_words.count, &t->bans, &t->ban_count, &cause);
    free(words);
    if (status == STATUS_OK) return STATUS_OK;
    return error_set(e, status == STATUS_NO_MEMORY ? status : STATUS_OPTION, "bad-words", "%s", cause.text);
}

void token_options_deinit(struct token_options *t) {
    free(t->stop);
    free(t->allowed);
    free(t->biases);
    free(t->stops);
    engine_bans_destroy(t->bans, t->ban_count);
}
