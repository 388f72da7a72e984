/* `bad_words` in ids, as vLLM has it: each word as it stands at the start of a text and, where that gives as
 * many ids of which the first is another, behind a blank. Runs in the uv pool. */
#include "server/completion/bad_words.h"

#include <stdlib.h>
#include <string.h>

static enum api_error_kind out_of_memory(struct api_error *e) {
    return api_error_set(e, API_INTERNAL, NULL, "There is not enough memory for this request.");
}

static enum api_error_kind encode(const struct completion *c, const char *text, size_t length,
                                  struct engine_ban *ban, struct api_error *e) {
    struct error cause;
    int32_t *ids;
    enum status status = engine_encode(c->engine, text, length, false, 0, &ids, &ban->count, &cause);
    ban->ids = ids;
    if (status == STATUS_OK && ban->count) return API_OK;
    if (status == STATUS_NO_MEMORY) return out_of_memory(e);
    return api_error_set(e, API_INVALID, "bad_words", "'bad_words' has '%.60s': %s.", text,
                         status == STATUS_OK ? "the tokenizer has no token of it" : cause.text);
}

static bool is_another(const struct engine_ban *with_blank, const struct engine_ban *plain) {
    return with_blank->count == plain->count && with_blank->ids[0] != plain->ids[0];
}

/* text: a blank, then the word. Adds one ban or two; what was made is in c->bans even after an error. */
static enum api_error_kind add_word(struct completion *c, const char *text, size_t length,
                                    struct api_error *e) {
    struct engine_ban *plain = &c->bans[c->ban_count], *with_blank = plain + 1;
    enum api_error_kind kind = encode(c, text + 1, length - 1, plain, e);
    if (!plain->ids) return kind;
    c->ban_count++;
    if (kind != API_OK) return kind;
    kind = encode(c, text, length, with_blank, e);
    if (kind == API_OK && is_another(with_blank, plain)) {
        c->ban_count++;
        return API_OK;
    }
    free((void *)with_blank->ids);
    *with_blank = (struct engine_ban){0};
    return kind;
}

enum api_error_kind bad_words_read(struct completion *c, struct api_error *e) {
    size_t count = c->params.bad_word_count;
    if (!count) return API_OK;
    c->bans = calloc(2 * count, sizeof *c->bans);
    if (!c->bans) return out_of_memory(e);
    for (size_t i = 0; i < count; i++) {
        const char *word = c->params.bad_words[i].text, *end = word + c->params.bad_words[i].length;
        while (word < end && *word == ' ') word++;
        if (word == end)
            return api_error_set(e, API_INVALID, "bad_words", "'bad_words' has a string of blanks alone.");
        char *text = malloc((size_t)(end - word) + 2);
        if (!text) return out_of_memory(e);
        text[0] = ' ';
        memcpy(text + 1, word, (size_t)(end - word));
        text[1 + (end - word)] = '\0';
        enum api_error_kind kind = add_word(c, text, (size_t)(end - word) + 1, e);
        free(text);
        if (kind != API_OK) return kind;
    }
    return API_OK;
}
