/* Text of the door: the tokenizer's, with the engine's limits. Any thread. */
#include "engine/api/state.h"

#include <stdlib.h>

#include "engine/base/memory.h"

const char *engine_no_tokenizer(const struct engine *engine) {
    return engine->tokenizer ? NULL : engine->no_tokenizer.text;
}

static enum status refuse_text(const struct engine *engine, struct error *e) {
    return error_set(
        e, STATUS_UNSUPPORTED, "tokenizer",
        "this model has no tokenizer that is read (%s), so token ids are needed in place of texts",
        engine_no_tokenizer(engine));
}

size_t engine_text_bytes_max(const struct engine *engine, size_t tokens) {
    if (!engine->tokenizer) return SIZE_MAX;
    size_t most, per_token = tokenizer_bytes_per_token_max(engine->tokenizer);
    return per_token > 0 && memory_multiply(tokens, per_token, &most) ? most : SIZE_MAX;
}

size_t engine_encode_bytes(size_t length) {
    size_t bytes;
    return memory_multiply(length, TOKENIZER_MEMORY_PER_BYTE, &bytes) ? bytes : SIZE_MAX;
}

/* What of a text is guarded; NULL: nothing. */
static enum status encode(const struct engine *engine, const char *text, size_t length, bool special,
                          const struct engine_chat_text *guarded, size_t tokens_max, int32_t **ids,
                          size_t *count, struct error *e) {
    struct token_list list = {0};
    *ids = NULL;
    *count = 0;
    if (!engine->tokenizer) return refuse_text(engine, e);
    if (tokens_max > 0 && length > engine_text_bytes_max(engine, tokens_max))
        return error_set(e, STATUS_LIMIT, "tokens",
                         "a text of %zu bytes has more than %zu tokens, which have %zu at most", length,
                         tokens_max, engine_text_bytes_max(engine, tokens_max));
    enum status status =
        tokenizer_encode_guarded(engine->tokenizer, text, length, special, guarded ? guarded->client : NULL,
                                 guarded ? guarded->client_count : 0, tokens_max, &list, e);
    if (status == STATUS_OK && !list.ids) {
        list.ids = malloc(sizeof *list.ids); /* an empty text: no ids, but something to free */
        if (!list.ids) status = error_set(e, STATUS_NO_MEMORY, "prompt", "of no tokens");
    }
    if (status != STATUS_OK) {
        free(list.ids);
        return status;
    }
    *ids = list.ids;
    *count = list.count;
    return STATUS_OK;
}

enum status engine_encode(const struct engine *engine, const char *text, size_t length, bool special,
                          size_t tokens_max, int32_t **ids, size_t *count, struct error *e) {
    return encode(engine, text, length, special, NULL, tokens_max, ids, count, e);
}

enum status engine_encode_chat(const struct engine *engine, const struct engine_chat_text *text,
                               size_t tokens_max, int32_t **ids, size_t *count, struct error *e) {
    return encode(engine, text->text, text->length, false, engine->chat_control_tokens ? NULL : text,
                  tokens_max, ids, count, e);
}

const int32_t *engine_infill_ends(const struct engine *engine, size_t *count) {
    *count = engine->fim.end_count;
    return engine->fim.ends;
}

static struct fim_file file_of(const struct engine_gap_file *file) {
    return (struct fim_file){file->name.text, file->text.text, file->name.length, file->text.length};
}

enum status engine_encode_infill(const struct engine *engine, const struct engine_gap *gap, size_t tokens_max,
                                 int32_t **ids, size_t *count, struct error *e) {
    struct fim_file *files = calloc(gap->file_count + 1, sizeof *files);
    const struct fim_gap of_text = {.prefix = gap->prefix,
                                    .prefix_length = gap->prefix_length,
                                    .suffix = gap->suffix,
                                    .suffix_length = gap->suffix_length,
                                    .special = gap->special,
                                    .suffix_first = gap->suffix_first,
                                    .files = files,
                                    .file_count = gap->file_count};
    struct token_list list = {0};
    enum status status;
    *ids = NULL;
    *count = 0;
    for (size_t i = 0; files && i < gap->file_count; i++) files[i] = file_of(&gap->files[i]);
    if (!engine->tokenizer)
        status = refuse_text(engine, e);
    else if (!files)
        status = error_set(e, STATUS_NO_MEMORY, "input_extra", "%zu files", gap->file_count);
    else
        status = fim_encode(&engine->fim, engine->tokenizer, &of_text, tokens_max, &list, e);
    free(files);
    if (status != STATUS_OK) {
        free(list.ids);
        return status;
    }
    *ids = list.ids;
    *count = list.count;
    return STATUS_OK;
}

enum status engine_decode(const struct engine *engine, const int32_t *ids, size_t count, bool skip_special,
                          char **text, size_t *length, size_t *certain, struct error *e) {
    if (!engine->tokenizer) return refuse_text(engine, e);
    return tokenizer_decode_certain(engine->tokenizer, ids, count, skip_special, text, length, certain, e);
}

const char *engine_token_text(const struct engine *engine, int32_t id, size_t *length) {
    return token_texts_get(&engine->texts, id, length);
}

bool engine_token_is_special(const struct engine *engine, int32_t id) {
    return engine->tokenizer && tokenizer_is_special(engine->tokenizer, id);
}
