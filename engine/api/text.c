/* Text of the door: the tokenizer's, with the engine's limits. Any thread. */
#include "engine/api/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/text/pretokenize/byte_level.h"
#include "engine/text/detokenizer.h"
#include "engine/text/unicode/unicode.h"

size_t engine_text_bytes_max(const struct engine *engine, size_t tokens) {
    size_t most, per_token = tokenizer_bytes_per_token_max(engine->tokenizer);
    return per_token > 0 && memory_multiply(tokens, per_token, &most) ? most : SIZE_MAX;
}

size_t engine_encode_bytes(size_t length) {
    size_t bytes;
    return memory_multiply(length, TOKENIZER_MEMORY_PER_BYTE, &bytes) ? bytes : SIZE_MAX;
}

enum status engine_encode(const struct engine *engine, const char *text, size_t length, bool special,
                          size_t tokens_max, int32_t **ids, size_t *count, struct error *e) {
    struct token_list list = {0};
    *ids = NULL;
    *count = 0;
    if (tokens_max > 0 && length > engine_text_bytes_max(engine, tokens_max))
        return error_set(e, STATUS_LIMIT, "tokens",
                         "a text of %zu bytes has more than %zu tokens, which have %zu at most", length,
                         tokens_max, engine_text_bytes_max(engine, tokens_max));
    enum status status = tokenizer_encode(engine->tokenizer, text, length, special, tokens_max, &list, e);
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
                          char **text, size_t *length, size_t *certain, struct error *e) {
    return tokenizer_decode_certain(engine->tokenizer, ids, count, skip_special, text, length, certain, e);
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
 * text. Empty when it has none; U+FFFD is among it where it is no whole characters. */
static size_t text_in_context(const struct engine *engine, int32_t id, char *out, size_t size) {
    struct detokenizer *d;
    struct error e;
    const char *text = "";
    size_t length = 0;
    out[0] = '\0';
    if (detokenizer_create(engine->tokenizer, &id, 1, false, &d, &e) != STATUS_OK) return 0;
    if (detokenizer_push(d, id, &text, &length, &e) == STATUS_OK) length = copy_text(text, length, out, size);
    size_t rest = 0;
    if (detokenizer_finish(d, &text, &rest, &e) == STATUS_OK)
        length += copy_text(text, rest, out + length, size - length);
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
