#include "engine/text/decode/decoder.h"

#include <stdlib.h>
#include <string.h>

#include "engine/text/decode/decoder_step.h"
#include "engine/text/regex/pattern.h"
#include "engine/text/pretokenize/pre_tokenizer.h"
#include "engine/text/unicode/unicode.h"

static enum status read_text(struct decoder_step *step, const struct json_path *path, const char *key,
                             const char *fallback, struct error *e) {
    const char *text;
    size_t length;
    enum status status = json_path_string(path, key, fallback, &text, &length, e);
    if (status != STATUS_OK) return status;
    text_buffer_append(&step->text, text, length);
    return text_buffer_status(&step->text, e);
}

static enum status read_nothing(struct decoder_step *step, const struct json_path *path, struct error *e) {
    (void)step, (void)path, (void)e;
    return STATUS_OK;
}

static enum status read_metaspace(struct decoder_step *step, const struct json_path *path, struct error *e) {
    return metaspace_read(&step->metaspace, path, e);
}

static enum status read_strip(struct decoder_step *step, const struct json_path *path, struct error *e) {
    const char *text;
    size_t length, at = 0;
    enum status status = json_path_string(path, "content", NULL, &text, &length, e);
    if (status != STATUS_OK) return status;
    if (length > 0) step->strip_point = utf8_next(text, length, &at);
    if (length == 0 || at != length)
        return json_path_error(path, STATUS_MALFORMED, e, "content: expected one character");
    status = json_path_count(path, "start", 0, INT32_MAX, &step->strip_start, e);
    return status == STATUS_OK ? json_path_count(path, "stop", 0, INT32_MAX, &step->strip_stop, e) : status;
}

static enum status read_replace(struct decoder_step *step, const struct json_path *path, struct error *e) {
    enum status status = read_text(step, path, "content", NULL, e);
    return status == STATUS_OK ? pattern_read(path, &step->regex, e) : status;
}

static enum status read_word_piece(struct decoder_step *step, const struct json_path *path, struct error *e) {
    enum status status = read_text(step, path, "prefix", "##", e);
    return status == STATUS_OK ? json_path_bool(path, "cleanup", true, &step->cleanup, e) : status;
}

static enum status read_bpe(struct decoder_step *step, const struct json_path *path, struct error *e) {
    enum status status = read_text(step, path, "suffix", "</w>", e);
    if (status == STATUS_OK && step->text.length == 0)
        return json_path_error(path, STATUS_UNSUPPORTED, e, "an empty suffix is not supported");
    return status;
}

static enum status read_sentence_piece(struct decoder_step *step, const struct json_path *path,
                                       struct error *e) {
    enum status status = json_path_bool(path, "byte_fallback", false, &step->byte_fallback, e);
    if (status == STATUS_OK) status = json_path_bool(path, "strip_start", true, &step->strips_first, e);
    return status == STATUS_OK ? json_path_bool(path, "strip_all", true, &step->strips_all, e) : status;
}

static enum status read_map(struct decoder_step *step, const struct json_path *path, struct error *e) {
    return character_map_init(&step->map, path, e);
}

static void deinit_step(struct decoder_step *step) {
    regex_destroy(step->regex);
    character_map_deinit(&step->map);
    text_buffer_deinit(&step->text);
}

static enum status add_step(struct decoder *d, const struct json_path *path, enum decoder_kind kind,
                            enum status (*read)(struct decoder_step *, const struct json_path *,
                                                struct error *),
                            struct error *e) {
    struct decoder_step step = {.kind = kind};
    if (d->count >= TEXT_STEPS_MAX)
        return json_path_error(path, STATUS_LIMIT, e, "more than %d decoders", TEXT_STEPS_MAX);
    enum status status = read(&step, path, e);
    if (status == STATUS_OK && !array_reserve(&d->steps, &d->capacity, d->count + 1))
        status = text_no_memory(e);
    if (status != STATUS_OK) {
        deinit_step(&step);
        return status;
    }
    d->has_regex = d->has_regex || (step.regex && !regex_is_literal(step.regex));
    d->steps[d->count++] = step;
    return STATUS_OK;
}

static enum status read_any(struct decoder *d, const struct json_path *path, struct error *e);

static enum status read_sequence(struct decoder *d, const struct json_path *path, struct error *e) {
    struct json_path list = json_path_member(path, "decoders");
    size_t count;
    enum status status = json_path_array(&list, &count, e);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        struct json_path element = json_path_element(&list, i);
        status = read_any(d, &element, e);
    }
    return status;
}

/* SentencePiece, and behind it its denormalizer if it has one. */
static enum status add_sentence_piece(struct decoder *d, const struct json_path *path, struct error *e) {
    bool has_map = json_path_member(path, "precompiled_charsmap").value != NULL;
    enum status status = add_step(d, path, DECODER_SENTENCE_PIECE, read_sentence_piece, e);
    return status == STATUS_OK && has_map ? add_step(d, path, DECODER_CHARACTER_MAP, read_map, e) : status;
}

static enum status read_any(struct decoder *d, const struct json_path *path, struct error *e) {
    static const struct {
        const char *type;
        enum decoder_kind kind;
        enum status (*read)(struct decoder_step *, const struct json_path *, struct error *);
    } readers[] = {
        {"ByteLevel", DECODER_BYTE_LEVEL, read_nothing},
        {"Metaspace", DECODER_METASPACE, read_metaspace},
        {"ByteFallback", DECODER_BYTE_FALLBACK, read_nothing},
        {"Fuse", DECODER_FUSE, read_nothing},
        {"Strip", DECODER_STRIP, read_strip},
        {"Replace", DECODER_REPLACE, read_replace},
        {"WordPiece", DECODER_WORD_PIECE, read_word_piece},
        {"BPEDecoder", DECODER_BPE, read_bpe},
        {"CTRL", DECODER_CTRL, read_nothing},
        {"Moses", DECODER_MOSES, read_nothing},
    };
    const char *type;
    enum status status = json_path_type(path, &type, e);
    if (status != STATUS_OK) return status;
    if (strcmp(type, "Sequence") == 0) return read_sequence(d, path, e);
    if (strcmp(type, "SentencePiece") == 0) return add_sentence_piece(d, path, e);
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++)
        if (strcmp(type, readers[i].type) == 0) return add_step(d, path, readers[i].kind, readers[i].read, e);
    struct json_path at = json_path_member(path, "type");
    return json_path_error(&at, STATUS_UNSUPPORTED, e, "'%s' is not supported", type);
}

enum status decoder_init(struct decoder *d, const struct json_path *path, struct error *e) {
    *d = (struct decoder){0};
    return path->value ? read_any(d, path, e) : add_step(d, path, DECODER_JOIN, read_nothing, e);
}

void decoder_deinit(struct decoder *d) {
    for (size_t i = 0; i < d->count; i++) deinit_step(&d->steps[i]);
    free(d->steps);
    *d = (struct decoder){0};
}
