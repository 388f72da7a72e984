/* The short check at start-up (--verify): the packed model against the untouched one in double precision, on
 * the first tokens of a text of our own, before anything is served. It is about the conversion and the
 * weights: the cache is f32, whatever serves. */
#include "engine/api/state.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/log.h"
#include "engine/verify/verify.h"

#define VERIFY_TOKENS 96

static enum status compare(struct engine *engine, const struct token_list *tokens, struct verify_figures *out,
                           struct error *e) {
    struct verify_reference reference;
    enum status status =
        verify_reference_init(&reference, &engine->model.views, tokens->ids, tokens->count, tokens->count, e);
    if (status == STATUS_OK)
        status = verify_packed(&reference, &engine->model.packed, KV_TYPE_F32, engine->kernels,
                               engine->workers, out, e);
    verify_reference_deinit(&reference);
    return status;
}

static enum status read_tokens(struct engine *engine, struct token_list *tokens, struct error *e) {
    const struct model_description *d = &engine->model.description;
    enum status status = STATUS_OK;
    if (engine->tokenizer)
        status = tokenizer_encode(engine->tokenizer, verify_sample_text, strlen(verify_sample_text), true, 0,
                                  tokens, e);
    for (size_t i = 0; !engine->tokenizer && i < VERIFY_TOKENS; i++)
        if (!token_list_add(tokens, verify_sample_id(i, d->vocabulary))) return text_no_memory(e);
    if (tokens->count > VERIFY_TOKENS) tokens->count = VERIFY_TOKENS;
    if (tokens->count > d->context) tokens->count = d->context;
    for (size_t i = 0; i < tokens->count; i++)
        if ((size_t)tokens->ids[i] >= d->vocabulary) tokens->count = i; /* the rest can't be run */
    if (status == STATUS_OK && tokens->count == 0)
        return error_set(e, STATUS_UNSUPPORTED, "verify", "the tokenizer gives no token that the model has");
    return status;
}

enum status engine_verify(struct engine *engine, double bound, struct error *e) {
    struct token_list tokens = {0};
    struct verify_figures figures = {0};
    enum status status = read_tokens(engine, &tokens, e);
    if (status == STATUS_OK) status = compare(engine, &tokens, &figures, e);
    size_t count = tokens.count;
    free(tokens.ids);
    if (status != STATUS_OK) return status;
    log_info("verify: %zu tokens, %s %s against the untouched model: largest difference %.2e, mean %.2e, KL "
             "%.2e, greedy agreement %.2f %%, perplexity %+.3f %% +- %.3f %%; the bound of %s is %.1e",
             count, norm_form_name(engine->info.norm_form), weight_type_name(engine->info.weights),
             figures.largest, figures.mean, figures.kl, 100 * figures.agreement, 100 * figures.rise,
             100 * figures.rise_error,
             engine->model.packed.weights == WEIGHT_TYPE_F32 ? "the largest difference"
                                                             : "the perplexity's rise",
             bound);
    engine->info.verify = (struct engine_verify_figures){
        .tokens = count,
        .largest = figures.largest,
        .mean = figures.mean,
        .kl = figures.kl,
        .agreement = figures.agreement,
        .bound = bound,
    };
    enum weight_type type = engine->model.packed.weights;
    if (verify_is_within(type, &figures, bound)) return STATUS_OK;
    if (type != WEIGHT_TYPE_F32)
        return error_set(
            e, STATUS_MISMATCH, "verify",
            "the perplexity rises by %.2e +- %.2e of the untouched model's, the bound is %.1e: not served",
            figures.rise, figures.rise_error, bound);
    return error_set(
        e, STATUS_MISMATCH, "verify",
        "a logit differs from the untouched model by %.2e of the deviation, the bound is %.1e: not served",
        figures.largest, bound);
}
