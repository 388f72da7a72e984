/* Words that must not come, in ids: each word as it stands at the start of a text and, where that gives as many ids of
 * which the first is another, behind a blank, as vLLM has it. Asks the door alone, so that it holds for any engine
 * behind it. */
#include <stdlib.h>
#include <string.h>

#include "engine/api/engine.h"

static enum status encode(const struct engine *engine, const char *text, size_t length,
                          struct engine_ban *ban, struct error *e) {
    struct error cause;
    int32_t *ids = NULL;
    size_t count = 0;
    enum status status = engine_encode(engine, text, length, false, 0, &ids, &count, &cause);
    if (status == STATUS_OK && !count) {
        free(ids);
        ids = NULL;
        status = error_set(&cause, STATUS_INVALID_ARGUMENT, "", "the tokenizer has no token of it");
    }
    *ban = (struct engine_ban){ids, count};
    if (status == STATUS_OK) return STATUS_OK;
    return error_set(e, status == STATUS_NO_MEMORY ? status : STATUS_INVALID_ARGUMENT, "bad_words",
                     "has '%.60s': %s", text, cause.text);
}

static bool is_another(const struct engine_ban *with_blank, const struct engine_ban *plain) {
    return with_blank->count == plain->count && with_blank->ids[0] != plain->ids[0];
}

/* text: a blank, then the word, NUL-terminated. Adds one ban or two. */
static enum status add_word(const struct engine *engine, const char *text, size_t length,
                            struct engine_ban *bans, size_t *count, struct error *e) {
    struct engine_ban *plain = &bans[*count], *with_blank = plain + 1;
    enum status status = encode(engine, text + 1, length - 1, plain, e);
    if (status != STATUS_OK) return status;
    ++*count;
    status = encode(engine, text, length, with_blank, e);
    if (status == STATUS_OK && is_another(with_blank, plain)) {
        ++*count;
        return STATUS_OK;
    }
    free((void *)with_blank->ids);
    return status;
}

/* However many blanks stand in front of the word. */
static enum status add(const struct engine *engine, const struct engine_string *string,
                       struct engine_ban *bans, size_t *count, struct error *e) {
    const char *word = string->text, *end = word + string->length;
    while (word < end && *word == ' ') word++;
    if (word == end)
        return error_set(e, STATUS_INVALID_ARGUMENT, "bad_words", "has a string of blanks alone");
    size_t length = (size_t)(end - word);
    char *text = malloc(length + 2);
    if (!text) return error_set(e, STATUS_NO_MEMORY, "bad_words", "a word of %zu bytes", length);
    text[0] = ' ';
    memcpy(text + 1, word, length);
    text[length + 1] = '\0';
    enum status status = add_word(engine, text, length + 1, bans, count, e);
    free(text);
    return status;
}

enum status engine_bans_create(const struct engine *engine, const struct engine_string *words,
                               size_t word_count, struct engine_ban **bans, size_t *count, struct error *e) {
    enum status status = STATUS_OK;
    *bans = NULL;
    *count = 0;
    if (!word_count) return STATUS_OK;
    *bans = calloc(2 * word_count, sizeof **bans);
    if (!*bans) return error_set(e, STATUS_NO_MEMORY, "bad_words", "%zu words", word_count);
    for (size_t i = 0; i < word_count && status == STATUS_OK; i++)
        status = add(engine, &words[i], *bans, count, e);
    if (status == STATUS_OK) return STATUS_OK;
    engine_bans_destroy(*bans, *count);
    *bans = NULL;
    *count = 0;
    return status;
}

void engine_bans_destroy(struct engine_ban *bans, size_t count) {
    for (size_t i = 0; i < count; i++) free((void *)bans[i].ids);
    free(bans);
}
