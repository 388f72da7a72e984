#include "engine/text/detokenizer.h"

#include <stdlib.h>

#include "engine/text/decoder.h"
#include "engine/text/tokenizer_parts.h"

struct detokenizer {
    const struct tokenizer *tokenizer;
    struct decoder_run *run;
    bool skip_special;
};

static enum status push(struct detokenizer *d, int32_t id, struct error *e) {
    size_t length;
    const char *content = tokenizer_decoded_content(d->tokenizer, id, d->skip_special, &length);
    return content ? decoder_run_push(d->run, content, length, e) : STATUS_OK;
}

/* The prompt runs through the decoder and what it says is dropped: what it holds back at its end (bytes of a
 * character that is not whole yet) comes with the first generated tokens. */
enum status detokenizer_create(const struct tokenizer *t, const int32_t *prompt, size_t prompt_count,
                               bool skip_special, struct detokenizer **out, struct error *e) {
    struct detokenizer *d = calloc(1, sizeof *d);
    if (!d) return text_no_memory(e);
    d->tokenizer = t;
    d->skip_special = skip_special;
    enum status status = decoder_run_create(tokenizer_decoder(t), &d->run, e);
    for (size_t i = 0; status == STATUS_OK && i < prompt_count; i++) {
        status = push(d, prompt[i], e);
        text_buffer_clear(decoder_run_output(d->run));
    }
    if (status != STATUS_OK) {
        detokenizer_destroy(d);
        return status;
    }
    *out = d;
    return STATUS_OK;
}

enum status detokenizer_copy(const struct detokenizer *other, struct detokenizer **out, struct error *e) {
    struct detokenizer *d = calloc(1, sizeof *d);
    if (!d) return text_no_memory(e);
    *d = *other;
    d->run = NULL;
    enum status status = decoder_run_copy(other->run, &d->run, e);
    if (status != STATUS_OK) {
        detokenizer_destroy(d);
        return status;
    }
    *out = d;
    return STATUS_OK;
}

void detokenizer_destroy(struct detokenizer *d) {
    if (!d) return;
    decoder_run_destroy(d->run);
    free(d);
}

static void lend(struct detokenizer *d, const char **text, size_t *length) {
    const struct text_buffer *said = decoder_run_output(d->run);
    *text = said->bytes ? said->bytes : "";
    *length = said->length;
}

enum status detokenizer_push(struct detokenizer *d, int32_t id, const char **text, size_t *length,
                             struct error *e) {
    text_buffer_clear(decoder_run_output(d->run));
    enum status status = push(d, id, e);
    lend(d, text, length);
    return status;
}

enum status detokenizer_finish(struct detokenizer *d, const char **text, size_t *length, struct error *e) {
    text_buffer_clear(decoder_run_output(d->run));
    enum status status = decoder_run_finish(d->run, e);
    lend(d, text, length);
    return status;
}
