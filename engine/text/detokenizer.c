#include "engine/text/detokenizer.h"

#include <stdlib.h>

#include "engine/text/decode/decoder.h"
#include "engine/text/tokenizer_parts.h"

struct detokenizer {
    const struct tokenizer *tokenizer;
    struct decoder_run *run;
    bool skip_special;
    /* Text of the prompt that its last ids still hold back, and how much of it has come: it is not the
     * answer's. */
    struct text_buffer prompt_end;
    size_t come;
};

static enum status push(struct detokenizer *d, int32_t id, struct error *e) {
    size_t length;
    const char *content = tokenizer_decoded_content(d->tokenizer, id, d->skip_special, &length);
    return content ? decoder_run_push(d->run, content, length, e) : STATUS_OK;
}

/* What the end of the prompt would say if nothing followed. Bytes of a character that is not whole are none
 * of it: they come with the first generated tokens. */
static enum status find_prompt_end(struct detokenizer *d, struct error *e) {
    struct text_buffer *end = &d->prompt_end;
    enum status status = decoder_run_peek(d->run, end, e);
    if (status == STATUS_OK && end->length > 0) end->length = decoder_whole_length(end->bytes, end->length);
    return status;
}

/* The prompt runs through the decoder and what it says is dropped. */
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
    if (status == STATUS_OK && prompt_count > 0) status = find_prompt_end(d, e);
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
    d->prompt_end = (struct text_buffer){0};
    text_buffer_append(&d->prompt_end, other->prompt_end.bytes, other->prompt_end.length);
    enum status status = text_buffer_status(&d->prompt_end, e);
    if (status == STATUS_OK) status = decoder_run_copy(other->run, &d->run, e);
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
    text_buffer_deinit(&d->prompt_end);
    free(d);
}

/* Takes the prompt's end off what has been said, as far as it is that; where it is not, what was taken off
 * before is put back. */
static enum status drop_prompt_end(struct detokenizer *d, struct error *e) {
    struct text_buffer *said = decoder_run_output(d->run), *end = &d->prompt_end;
    size_t same = 0, left = end->length - d->come;
    if (left == 0 || said->length == 0) return STATUS_OK;
    while (same < left && same < said->length && said->bytes[same] == end->bytes[d->come + same]) same++;
    if (same == left || same == said->length) {
        text_buffer_drop_front(said, same);
        d->come += same;
        return STATUS_OK;
    }
    end->length = d->come; /* no more of it comes */
    text_buffer_append(end, said->bytes, said->length);
    struct text_buffer whole = *end;
    *end = *said;
    *said = whole;
    end->length = d->come = 0;
    return text_buffer_status(said, e);
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
    if (status == STATUS_OK) status = drop_prompt_end(d, e);
    lend(d, text, length);
    return status;
}

enum status detokenizer_finish(struct detokenizer *d, const char **text, size_t *length, struct error *e) {
    text_buffer_clear(decoder_run_output(d->run));
    enum status status = decoder_run_finish(d->run, e);
    if (status == STATUS_OK) status = drop_prompt_end(d, e);
    lend(d, text, length);
    return status;
}
