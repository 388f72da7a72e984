#include "engine/tools/calibrate_text.h"

#include <stdlib.h>

#include "engine/base/memory.h"
#include "engine/calibrate/calibrate.h"

static enum status check_memory(size_t length, struct error *e) {
    const size_t needed = length * TOKENIZER_MEMORY_PER_BYTE, left = memory_available_bytes();
    if (!left || needed <= left) return STATUS_OK;
    return error_set(e, STATUS_OPTION, "calibrate",
                     "takes up to %zu MiB to be turned into tokens, %zu MiB are left: use a shorter text",
                     needed >> 20, left >> 20);
}

static enum status encode(const struct convert_options *o, const struct tokenizer *tokenizer,
                          struct token_list *tokens, struct error *e) {
    struct error cause = {0};
    enum status status =
        tokenizer_encode(tokenizer, o->calibrate_text, o->calibrate_length, true, 0, tokens, &cause);
    if (status == STATUS_INVALID_ARGUMENT || status == STATUS_LIMIT)
        return error_set(e, STATUS_OPTION, "calibrate", "cannot be turned into tokens: %s", cause.text);
    if (status != STATUS_OK) {
        if (e) *e = cause;
        return status;
    }
    if (tokens->count < CALIBRATE_TOKENS_MIN)
        return error_set(e, STATUS_OPTION, "calibrate", "has %zu tokens, at least %d are needed",
                         tokens->count, CALIBRATE_TOKENS_MIN);
    return STATUS_OK;
}

enum status calibrate_text_read(const struct convert_options *o, struct token_list *tokens, struct error *e) {
    struct tokenizer *tokenizer;
    struct error cause = {0};
    *tokens = (struct token_list){0};
    if (!o->calibrate_length) return error_set(e, STATUS_OPTION, "calibrate", "is empty");
    enum status status = check_memory(o->calibrate_length, e);
    if (status != STATUS_OK) return status;
    status = tokenizer_open(o->model, &tokenizer, &cause);
    if (tokenizer_is_missing(o->model, status))
        return error_set(e, STATUS_OPTION, "calibrate", "the model has no tokenizer to read a text with");
    if (status != STATUS_OK) {
        if (e) *e = cause;
        return status;
    }
    status = encode(o, tokenizer, tokens, e);
    tokenizer_close(tokenizer);
    if (status == STATUS_OK) return status;
    free(tokens->ids);
    *tokens = (struct token_list){0};
    return status;
}

static enum status check_ids(const struct loaded_model *m, const struct token_list *tokens, struct error *e) {
    for (size_t i = 0; i < tokens->count; i++)
        if (tokens->ids[i] < 0 || (size_t)tokens->ids[i] >= m->description.vocabulary)
            return error_set(e, STATUS_MALFORMED, "tokenizer", "gives the id %d, the model has %zu",
                             tokens->ids[i], m->description.vocabulary);
    return STATUS_OK;
}

static void report(void *context, double share) {
    const struct convert_options *o = context;
    if (o->progress) o->progress(o->progress_context, "calibrating", share);
}

enum status calibrate_text_apply(const struct convert_options *o, struct loaded_model *m,
                                 struct token_list *tokens, struct workers *workers, struct error *e) {
    const struct kernel_table *kernels;
    struct calibrate_text text;
    enum status status = check_ids(m, tokens, e);
    if (status == STATUS_OK) status = kernel_select(KERNEL_ISA_AUTO, &kernels, e);
    if (status == STATUS_OK)
        status = calibrate_choose(&m->description, tokens->ids, tokens->count, o->calibrate_tokens, &text, e);
    if (status != STATUS_OK) return status;
    report((void *)(uintptr_t)o, 0);
    status =
        calibrate_model(&m->packed, &m->folded, &text, kernels, workers, report, (void *)(uintptr_t)o, e);
    m->calibration.tokens = text.count;
    memcpy(m->calibration.text_sha256, o->calibrate_sha256, sizeof m->calibration.text_sha256);
    return status;
}
