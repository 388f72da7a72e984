/* Structured output of the door: grammars by what requests say, for this model's tokens. */
#include "engine/grammar/grammar_cache.h"

#include <stdlib.h>

#include "engine/api/state.h"

/* ---- opening ------------------------------------------------------------------------------------------- */

/* The bytes of all tokens, one behind the other, by which texts[rows] says where each is. Added tokens are left empty:
 * they are none of the text. */
static enum status gather(const struct engine *engine, struct text_buffer *bytes, struct engine_string *texts,
                          size_t rows, struct error *e) {
    unsigned char raw[TOKEN_TEXT_BYTES_MAX];
    for (size_t id = 0; id < rows; id++) {
        size_t length = tokenizer_is_added(engine->tokenizer, (int32_t)id)
                            ? 0
                            : token_texts_raw(&engine->texts, engine->tokenizer, (int32_t)id, raw);
        texts[id].length = length;
        text_buffer_append(bytes, (const char *)raw, length);
    }
    if (bytes->failed) return text_no_memory(e);
    for (size_t id = 0, at = 0; id < rows; at += texts[id++].length) texts[id].text = bytes->bytes + at;
    return STATUS_OK;
}

static enum status make_vocabulary(struct engine *engine, struct error *e) {
    size_t rows = engine->model.description.vocabulary;
    struct engine_string *texts = calloc(rows, sizeof *texts);
    struct text_buffer bytes = {0};
    if (!texts) return text_no_memory(e);
    enum status status = gather(engine, &bytes, texts, rows, e);
    if (status == STATUS_OK) status = grammar_vocabulary_create(texts, rows, &engine->grammar_vocabulary, e);
    text_buffer_deinit(&bytes);
    free(texts);
    return status;
}

/* Why there are none; NULL: there are. */
static const char *obstacle(const struct engine *engine, const struct engine_options *o) {
    if (o->structured_outputs_mib == 0) return "it is switched off here (structured-outputs-mib is 0)";
    if (!engine->tokenizer) return "this model has no tokenizer that is read, so texts are not known";
    if (!token_texts_follow_each_other(engine->tokenizer))
        return "the tokens of this model's tokenizer change each other's texts";
    return NULL;
}

enum status engine_open_grammars(struct engine *engine, const struct engine_options *o, struct error *e) {
    engine->no_grammars = obstacle(engine, o);
    if (engine->no_grammars) return STATUS_OK;
    enum status status = make_vocabulary(engine, e);
    if (status != STATUS_OK) return status;
    return grammar_cache_create(engine->grammar_vocabulary, o->structured_outputs_mib << 20,
                                &engine->grammars, e);
}

void engine_close_grammars(struct engine *engine) {
    grammar_cache_destroy(engine->grammars);
    if (engine->grammar_vocabulary) grammar_vocabulary_destroy(engine->grammar_vocabulary);
}

/* ---- requests ------------------------------------------------------------------------------------------ */

enum status engine_grammar_get(struct engine *engine, const struct grammar_source *source,
                               struct grammar **out, struct error *e) {
    *out = NULL;
    if (engine->grammars) return grammar_cache_get(engine->grammars, source, out, e);
    return error_set(e, STATUS_UNSUPPORTED, "structured_outputs", "%s", engine->no_grammars);
}

void engine_grammar_release(struct grammar *grammar) {
    if (grammar) grammar_release(grammar);
}
