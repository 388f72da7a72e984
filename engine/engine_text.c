/* Text of the door: the tokenizer's, with the engine's limits. Any thread. */
#include "engine/engine_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/text/byte_level.h"
#include "engine/text/detokenizer.h"
#include "engine/text/unicode.h"

/* A text that is too long is counted to its end, so that the error can name both lengths, but only up to so
 * many contexts: nobody may keep a thread busy with a text that is refused anyway. */
#define ENCODE_CONTEXTS_MAX 8

static enum status too_long(const struct engine *engine, const char *at_least, size_t count,
                            struct error *e) {
    return error_set(
        e, STATUS_LIMIT, "prompt",
        "This model's maximum context length is %zu tokens, however your prompt has %s%zu tokens. Please "
        "reduce your prompt.",
        engine->info.context, at_least, count);
}

/* Bytes that no text of a whole context has more of; SIZE_MAX: texts may be of any length. */
static size_t text_bytes_max(const struct engine *engine) {
    size_t most, per_token = tokenizer_bytes_per_token_max(engine->tokenizer);
    if (per_token == 0 || !memory_multiply(engine->info.context, per_token, &most)) return SIZE_MAX;
    return most;
}

static enum status longer_than_tokens(const struct engine *engine, size_t length, struct error *e) {
    return error_set(
        e, STATUS_LIMIT, "prompt",
        "This model's maximum context length is %zu tokens, however your prompt has %zu bytes, and so many "
        "tokens have at most %zu. Please reduce your prompt.",
        engine->info.context, length, text_bytes_max(engine));
}

size_t engine_encode_bytes(const struct engine *engine, size_t length) {
    size_t most = text_bytes_max(engine), bytes;
    if (!memory_multiply(length < most ? length : most, TOKENIZER_MEMORY_PER_BYTE, &bytes)) return SIZE_MAX;
    return bytes;
}

enum status engine_encode(const struct engine *engine, const char *text, size_t length, bool special,
                          int32_t **ids, size_t *count, struct error *e) {
    struct token_list list = {0};
    size_t most = engine->info.context * ENCODE_CONTEXTS_MAX;
    *ids = NULL;
    *count = 0;
    if (length > text_bytes_max(engine)) return longer_than_tokens(engine, length, e);
    enum status status = tokenizer_encode(engine->tokenizer, text, length, special, most, &list, e);
    if (status == STATUS_LIMIT) status = too_long(engine, "more than ", most, e);
    if (status == STATUS_OK && list.count > engine->info.context)
        status = too_long(engine, "", list.count, e);
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

enum status engine_decode(const struct engine *engine, const int32_t *ids, size_t count, bool skip_special,
                          char **text, size_t *length, struct error *e) {
    return tokenizer_decode(engine->tokenizer, ids, count, skip_special, text, length, e);
}

/* ---- one token ----------------------------------------------------------------------------------------- */

/* Copies what fits, never half a character. */
static size_t copy_text(const char *text, size_t length, char *out, size_t size) {
    size_t kept = utf8_valid_prefix(text, length < size ? length : size - 1);
    memcpy(out, text, kept);
    out[kept] = '\0';
    return kept;
}

/* The text of a token behind itself: there it keeps the blank before it that decoders strip at the start of a
 * text. Empty when it adds no whole characters. */
static size_t text_in_context(const struct engine *engine, int32_t id, char *out, size_t size) {
    struct detokenizer *d;
    struct error e;
    const char *text = "";
    size_t length = 0;
    out[0] = '\0';
    if (detokenizer_create(engine->tokenizer, &id, 1, false, &d, &e) != STATUS_OK) return 0;
    if (detokenizer_push(d, id, &text, &length, &e) == STATUS_OK) length = copy_text(text, length, out, size);
    detokenizer_destroy(d);
    return length;
}

/* The bytes that a vocabulary entry stands for: characters of the byte-level alphabet, or one "<0xE2>". 0:
 * neither. */
static size_t bytes_of(const char *content, unsigned char *bytes, size_t size) {
    size_t length = strlen(content), count = 0;
    unsigned value;
    char rest;
    if (sscanf(content, "<0x%2x%c%c", &value, &rest, &rest) == 2 && rest == '>' && length == 6) {
        bytes[0] = (unsigned char)value;
        return 1;
    }
    for (size_t at = 0; at < length;) {
        int byte = byte_level_byte(utf8_next(content, length, &at));
        if (byte < 0 || count == size) return 0;
        bytes[count++] = (unsigned char)byte;
    }
    return count;
}

static size_t write_bytes(const unsigned char *bytes, size_t count, char *out, size_t size) {
    static const char prefix[] = "bytes:";
    size_t length = copy_text(prefix, sizeof prefix - 1, out, size);
    for (size_t i = 0; i < count && length + 4 < size; i++)
        length += (size_t)snprintf(out + length, size - length, "\\x%02x", bytes[i]);
    return length;
}

size_t engine_token_text(const struct engine *engine, int32_t id, char *out, size_t size) {
    unsigned char bytes[256];
    const char *content = tokenizer_content(engine->tokenizer, id);
    if (size == 0) return 0;
    out[0] = '\0';
    if (!content) return 0;
    size_t length = text_in_context(engine, id, out, size);
    if (length > 0 && !strstr(out, "\uFFFD")) return length;
    size_t count = bytes_of(content, bytes, sizeof bytes);
    if (count > 0 && utf8_valid_prefix((const char *)bytes, count) < count)
        return write_bytes(bytes, count, out, size);
    return length > 0 ? length : copy_text(content, strlen(content), out, size);
}
