#include "engine/text/token_texts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/text/pretokenize/byte_level.h"
#include "engine/text/decode/decoder_step.h"
#include "engine/text/detokenizer.h"
#include "engine/text/tokenizer_parts.h"
#include "engine/text/containers/text_buffer.h"
#include "engine/text/unicode/unicode.h"

/* ---- one token ----------------------------------------------------------------------------------------- */

/* Appends to the text that begins at `begin` what fits, never half a character; whether that is all. */
static bool append_text(struct text_buffer *out, size_t begin, const char *text, size_t length) {
    size_t most = TOKEN_TEXT_BYTES_MAX - (out->length - begin);
    size_t fits = utf8_valid_prefix(text, length < most ? length : most);
    text_buffer_append(out, text, fits);
    return fits == length;
}

/* The text of a token behind itself; U+FFFD is in it where it does not end with a whole character. *whole: whether that is
 * all of it. */
static enum status append_in_context(struct text_buffer *out, const struct tokenizer *tokenizer, int32_t id,
                                     bool *whole, struct error *e) {
    struct detokenizer *d;
    const char *text;
    size_t length, begin = out->length;
    enum status status = detokenizer_create(tokenizer, &id, 1, false, &d, e);
    if (status != STATUS_OK) return status;
    status = detokenizer_push(d, id, &text, &length, e);
    *whole = status == STATUS_OK && append_text(out, begin, text, length);
    if (*whole) status = detokenizer_finish(d, &text, &length, e);
    *whole = *whole && status == STATUS_OK && append_text(out, begin, text, length);
    detokenizer_destroy(d);
    return status;
}

/* The one byte of an entry like "<0xE2>"; -1 when it is none. */
static int escaped_byte(const char *content) {
    char *end;
    if (strlen(content) != 6 || strncmp(content, "<0x", 3) != 0) return -1;
    unsigned long value = strtoul(content + 3, &end, 16);
    return end == content + 5 && *end == '>' ? (int)value : -1;
}

/* The bytes that a vocabulary entry stands for: one that is escaped, or characters of the byte-level
 * alphabet. 0: neither. */
static size_t bytes_of(const char *content, unsigned char *bytes, size_t size) {
    size_t length = strlen(content), count = 0;
    int escaped = escaped_byte(content);
    if (escaped >= 0) {
        bytes[0] = (unsigned char)escaped;
        return 1;
    }
    for (size_t at = 0; at < length;) {
        int byte = byte_level_byte(utf8_next(content, length, &at));
        if (byte < 0 || count == size) return 0;
        bytes[count++] = (unsigned char)byte;
    }
    return count;
}

static void append_bytes(struct text_buffer *out, const unsigned char *bytes, size_t count) {
    char escape[8];
    text_buffer_append(out, "bytes:", 6);
    for (size_t i = 0; i < count; i++)
        text_buffer_append(out, escape, (size_t)snprintf(escape, sizeof escape, "\\x%02x", bytes[i]));
}

static bool has_replacement(const char *text, size_t length) {
    return memmem(text, length, "\uFFFD", 3) != NULL;
}

static enum status append_token(struct text_buffer *out, const struct tokenizer *tokenizer, int32_t id,
                                unsigned char *kind, struct error *e) {
    unsigned char bytes[TOKEN_TEXT_BYTES_MAX / 4 - 2]; /* of which each takes four when it is written out */
    const char *content = tokenizer_content(tokenizer, id);
    size_t before = out->length;
    bool whole;
    *kind = TOKEN_TEXT_NAME;
    if (!content) return STATUS_OK;
    enum status status = append_in_context(out, tokenizer, id, &whole, e);
    if (status == STATUS_OK) status = text_buffer_status(out, e);
    if (status != STATUS_OK) return status;
    size_t length = out->length - before;
    if (length > 0 && !has_replacement(out->bytes + before, length)) {
        if (whole) *kind = TOKEN_TEXT_WHOLE;
        return STATUS_OK;
    }
    size_t count = bytes_of(content, bytes, sizeof bytes);
    if (count > 0 && utf8_valid_prefix((const char *)bytes, count) < count) {
        out->length = before;
        append_bytes(out, bytes, count);
        *kind = TOKEN_TEXT_BYTES;
        return STATUS_OK;
    }
    if (length == 0) append_text(out, before, content, strlen(content));
    if (count > 0 && length > 0 && whole) *kind = TOKEN_TEXT_WHOLE;
    return STATUS_OK;
}

/* ---- all ----------------------------------------------------------------------------------------------- */

/* Ids that a worker does at a time. */
enum { TILE_IDS = 512 };

struct tile {
    struct text_buffer text;
    enum status status; /* of the first token that failed, */
    struct error error; /* and its words */
};

struct build {
    const struct tokenizer *tokenizer;
    struct token_texts *texts;
    struct tile *tiles;
};

static void build_tile(void *context, size_t tile, size_t worker) {
    struct build *build = context;
    struct tile *t = &build->tiles[tile];
    size_t end = (tile + 1) * TILE_IDS < build->texts->count ? (tile + 1) * TILE_IDS : build->texts->count;
    (void)worker;
    for (size_t id = tile * TILE_IDS; id < end && t->status == STATUS_OK; id++) {
        struct error cause;
        t->status = append_token(&t->text, build->tokenizer, (int32_t)id, &build->texts->kinds[id], &cause);
        if (t->status != STATUS_OK)
            error_set(&t->error, t->status, "tokenizer", "token %zu: %s", id, cause.text);
        text_buffer_append_byte(&t->text, '\0');
        build->texts->ends[id] = t->text.length; /* within the tile, until all are there */
    }
}

/* Puts the tiles behind each other. */
static enum status join(struct build *build, size_t tiles, struct error *e) {
    struct token_texts *texts = build->texts;
    size_t total = 0;
    for (size_t i = 0; i < tiles; i++) {
        struct tile *t = &build->tiles[i];
        if (t->status == STATUS_OK) t->status = text_buffer_status(&t->text, &t->error);
        if (t->status != STATUS_OK) {
            if (e) *e = t->error;
            return t->status;
        }
        total += t->text.length;
    }
    texts->bytes = malloc(total + 1);
    if (!texts->bytes) return text_no_memory(e);
    for (size_t i = 0, at = 0; i < tiles; at += build->tiles[i++].text.length) {
        memcpy(texts->bytes + at, build->tiles[i].text.bytes, build->tiles[i].text.length);
        for (size_t id = i * TILE_IDS; id < texts->count && id < (i + 1) * TILE_IDS; id++)
            texts->ends[id] += at;
    }
    return STATUS_OK;
}

size_t token_texts_bytes(const struct token_texts *texts) {
    size_t length = texts->count > 0 ? texts->ends[texts->count - 1] : 0;
    return length + texts->count * (sizeof *texts->ends + sizeof *texts->kinds);
}

size_t token_texts_longest(const struct token_texts *texts) {
    size_t longest = 0;
    for (size_t i = 0, start = 0; i < texts->count; start = texts->ends[i++])
        if (texts->ends[i] - start > longest + 1) longest = texts->ends[i] - start - 1;
    return longest;
}

enum status token_texts_init(struct token_texts *texts, const struct tokenizer *tokenizer,
                             struct workers *workers, struct error *e) {
    size_t count = tokenizer_vocabulary(tokenizer), tiles = (count + TILE_IDS - 1) / TILE_IDS;
    *texts = (struct token_texts){.count = count,
                                  .ends = calloc(count + 1, sizeof *texts->ends),
                                  .kinds = calloc(count + 1, sizeof *texts->kinds)};
    struct build build = {
        .tokenizer = tokenizer, .texts = texts, .tiles = calloc(tiles + 1, sizeof *build.tiles)};
    enum status status = texts->ends && texts->kinds && build.tiles ? STATUS_OK : text_no_memory(e);
    if (status == STATUS_OK) {
        workers_run(workers, build_tile, &build, tiles);
        status = join(&build, tiles, e);
    }
    for (size_t i = 0; build.tiles && i < tiles; i++) text_buffer_deinit(&build.tiles[i].text);
    free(build.tiles);
    if (status != STATUS_OK) token_texts_deinit(texts);
    return status;
}

void token_texts_deinit(struct token_texts *texts) {
    free(texts->bytes);
    free(texts->ends);
    free(texts->kinds);
    *texts = (struct token_texts){0};
}

const char *token_texts_get(const struct token_texts *texts, int32_t id, size_t *length) {
    bool known = id >= 0 && (size_t)id < texts->count;
    size_t begin = known && id > 0 ? texts->ends[id - 1] : 0;
    if (length) *length = known ? texts->ends[id] - 1 - begin : 0;
    return known ? texts->bytes + begin : "";
}

/* ---- bytes --------------------------------------------------------------------------------------------- */

size_t token_texts_raw(const struct token_texts *texts, const struct tokenizer *tokenizer, int32_t id,
                       unsigned char out[TOKEN_TEXT_BYTES_MAX]) {
    size_t length;
    const char *text = token_texts_get(texts, id, &length);
    if (length == 0 || texts->kinds[id] == TOKEN_TEXT_NAME) return 0;
    if (texts->kinds[id] == TOKEN_TEXT_BYTES)
        return bytes_of(tokenizer_content(tokenizer, id), out, TOKEN_TEXT_BYTES_MAX);
    memcpy(out, text, length);
    return length;
}

static bool step_keeps_tokens_apart(const struct decoder_step *step) {
    switch (step->kind) {
    case DECODER_BYTE_LEVEL:
    case DECODER_METASPACE:
    case DECODER_BYTE_FALLBACK:
    case DECODER_FUSE:
        return true;
    case DECODER_STRIP:
        return step->strip_stop == 0;
    case DECODER_REPLACE:
        return regex_is_literal(step->regex);
    case DECODER_SENTENCE_PIECE:
        return !step->strips_all;
    default:
        return false;
    }
}

bool token_texts_follow_each_other(const struct tokenizer *tokenizer) {
    const struct decoder *d = tokenizer_decoder(tokenizer);
    for (size_t i = 0; i < d->count; i++)
        if (!step_keeps_tokens_apart(&d->steps[i])) return false;
    return d->count > 0;
}
