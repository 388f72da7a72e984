/* Texts and ids: a byte is a token. */
#include "tests/support/fake_engine_state.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_size_t texts_encoded;

/* "hold" and what follows waits until "let go" is encoded. */
static void wait_if_held(struct engine *engine, const char *text) {
    if (!engine->holds) return;
    pthread_mutex_lock(&engine->lock);
    if (strncmp(text, "let go", 6) == 0) {
        engine->let_all_go = true;
        pthread_cond_broadcast(&engine->let_go);
    }
    while (strncmp(text, "hold", 4) == 0 && !engine->let_all_go)
        pthread_cond_wait(&engine->let_go, &engine->lock);
    pthread_mutex_unlock(&engine->lock);
}

enum status engine_encode(const struct engine *engine, const char *text, size_t length, bool special,
                          size_t tokens_max, int32_t **ids, size_t *count, struct error *e) {
    (void)special;
    atomic_fetch_add(&texts_encoded, 1);
    wait_if_held((struct engine *)engine, text);
    if (tokens_max && length > tokens_max)
        return error_set(e, STATUS_LIMIT, "tokens", "the text has more than %zu tokens", tokens_max);
    *ids = malloc((length + 1) * sizeof **ids);
    for (size_t i = 0; i < length; i++) (*ids)[i] = (unsigned char)text[i];
    *count = length;
    return STATUS_OK;
}

/* At the end of a text, of a character that is not whole. */
static size_t unfinished_bytes(const char *text, size_t length) {
    for (size_t i = 1; i <= length && i < 4; i++) {
        unsigned char byte = (unsigned char)text[length - i];
        if ((byte & 0xc0) == 0x80) continue;
        size_t whole = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
        return whole > i ? i : 0;
    }
    return 0;
}

size_t engine_text_bytes_max(const struct engine *engine, size_t tokens) {
    (void)engine, (void)tokens;
    return SIZE_MAX;
}

size_t engine_encode_bytes(size_t length) {
    return length * sizeof(int32_t);
}

enum status engine_decode(const struct engine *engine, const int32_t *ids, size_t count, bool skip_special,
                          char **text, size_t *length, size_t *certain, struct error *e) {
    (void)engine, (void)skip_special, (void)e;
    *text = malloc(count + 1);
    *length = 0;
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 256) (*text)[(*length)++] = (char)ids[i];
    (*text)[*length] = '\0';
    if (certain) *certain = *length - unfinished_bytes(*text, *length);
    return STATUS_OK;
}

const int32_t *engine_infill_ends(const struct engine *engine, size_t *count) {
    static const int32_t ends[] = {FAKE_FIM_END};
    *count = engine->no_infill ? 0 : 1;
    return ends;
}

static void append_bytes(int32_t *ids, size_t *count, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) ids[(*count)++] = (unsigned char)text[i];
}

enum status engine_encode_infill(const struct engine *engine, const struct engine_gap *gap, size_t tokens_max,
                                 int32_t **ids, size_t *count, struct error *e) {
    (void)engine;
    size_t bytes = gap->prefix_length + gap->suffix_length + 3;
    for (size_t i = 0; i < gap->file_count; i++) bytes += gap->files[i].text.length;
    *count = 0;
    if (tokens_max && bytes > tokens_max)
        return error_set(e, STATUS_LIMIT, "tokens", "the texts have more than %zu tokens", tokens_max);
    if (gap->file_count)
        return error_set(e, STATUS_UNSUPPORTED, "input_extra", "this tokenizer has no token for files");
    if (gap->suffix_length && gap->suffix[0] == '\t')
        return error_set(e, STATUS_UNSUPPORTED, "suffix", "this tokenizer joins tabs with what is before");
    *ids = malloc((gap->prefix_length + gap->suffix_length + 4) * sizeof **ids);
    if (gap->special) (*ids)[(*count)++] = FAKE_END;
    (*ids)[(*count)++] = FAKE_FIM_PREFIX;
    if (!gap->suffix_first) append_bytes(*ids, count, gap->prefix, gap->prefix_length);
    (*ids)[(*count)++] = FAKE_FIM_SUFFIX;
    append_bytes(*ids, count, gap->suffix, gap->suffix_length);
    (*ids)[(*count)++] = FAKE_FIM_MIDDLE;
    if (gap->suffix_first) append_bytes(*ids, count, gap->prefix, gap->prefix_length);
    return STATUS_OK;
}

/* What a grammar means is not known here; which one was asked for last, is. */
static _Thread_local char grammar_asked[256];

enum status engine_grammar_get(struct engine *engine, const struct grammar_source *source,
                               struct grammar **out, struct error *e) {
    (void)engine;
    snprintf(grammar_asked, sizeof grammar_asked, "%d:%.*s:%.*s", (int)source->kind, (int)source->text.length,
             source->text.length ? source->text.text : "", (int)source->whitespace.length,
             source->whitespace.length ? source->whitespace.text : "");
    *out = NULL;
    if (strstr(grammar_asked, "malformed"))
        return error_set(e, STATUS_INVALID_ARGUMENT, "#/a", "it is not understood");
    if (strstr(grammar_asked, "busy"))
        return error_set(e, STATUS_BUSY, "grammars", "16 different ones are in use");
    if (strstr(grammar_asked, "unsupported"))
        return error_set(e, STATUS_UNSUPPORTED, "", "there are none here");
    *out = malloc(1);
    return *out ? STATUS_OK : error_set(e, STATUS_NO_MEMORY, "grammars", "1 byte");
}

void engine_grammar_release(struct grammar *grammar) {
    free(grammar);
}

const char *fake_engine_grammar_asked(void) {
    return grammar_asked;
}

size_t fake_engine_texts_encoded(void) {
    return atomic_load(&texts_encoded);
}

const char *engine_no_tokenizer(const struct engine *engine) {
    (void)engine;
    return NULL;
}

const char *engine_token_text(const struct engine *engine, int32_t id, size_t *length) {
    static _Thread_local char texts[64][16]; /* borrowed for long enough */
    static _Thread_local size_t next;
    char *out = texts[next++ % 64];
    (void)engine;
    *length = (size_t)(id < 128   ? snprintf(out, sizeof *texts, "%c", (char)id)
                       : id < 256 ? snprintf(out, sizeof *texts, "bytes:\\x%02x", (unsigned)id)
                                  : snprintf(out, sizeof *texts, "<%d>", (int)id));
    return out;
}

bool engine_token_is_special(const struct engine *engine, int32_t id) {
    (void)engine;
    return id >= FAKE_END;
}
