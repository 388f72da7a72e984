#include "engine/text/sources/sentence_piece_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/text/containers/text_buffer.h"
#include "engine/text/sources/protobuf.h"
#include "engine/text/token_model/vocabulary.h"
#include "engine/text/unicode/unicode.h"

/* Numbers of fields, and of values, in sentencepiece_model.proto. */
enum { MODEL_PIECES = 1, MODEL_TRAINER = 2, MODEL_NORMALIZER = 3, MODEL_DENORMALIZER = 5 };
enum { PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3 };
enum {
    TRAINER_ALGORITHM = 3,
    TRAINER_WHITESPACE_AS_SUFFIX = 24,
    TRAINER_BYTE_FALLBACK = 35,
    TRAINER_BOS = 41,
    TRAINER_EOS = 42,
    TRAINER_PAD = 43
};
enum {
    RULES_NAME = 1,
    RULES_MAP = 2,
    RULES_DUMMY_PREFIX = 3,
    RULES_EXTRA_WHITESPACES = 4,
    RULES_ESCAPE = 5,
    RULES_SOURCE = 6
};
enum { ALGORITHM_WORD = 3, ALGORITHM_CHARACTER = 4 };

/* What is done with each field of a message, and with what. */
typedef enum status field_reader(void *into, const struct protobuf *p, const struct protobuf_field *field,
                                 struct error *e);

static enum status read_message(const char *where, const char *start, const char *bytes, size_t length,
                                field_reader *read, void *into, struct error *e) {
    struct protobuf p = protobuf_message(where, start, bytes, length);
    struct protobuf_field field;
    bool found = true;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && found) {
        status = protobuf_next(&p, &field, &found, e);
        if (status == STATUS_OK && found) status = read(into, &p, &field, e);
    }
    return status;
}

/* ---- the messages within --------------------------------------------------------------------------------- */

static enum status read_piece_field(void *into, const struct protobuf *p, const struct protobuf_field *field,
                                    struct error *e) {
    struct sentence_piece_entry *piece = into;
    enum status status = STATUS_OK;
    switch (field->number) {
    case PIECE_TEXT:
        status = protobuf_expect(p, field, PROTOBUF_BYTES, e);
        piece->text = field->bytes;
        piece->length = field->length;
        break;
    case PIECE_SCORE:
        status = protobuf_expect(p, field, PROTOBUF_FIXED32, e);
        piece->score = protobuf_float(field);
        break;
    case PIECE_TYPE:
        status = protobuf_expect(p, field, PROTOBUF_VARINT, e);
        if (status == STATUS_OK &&
            (field->value < SENTENCE_PIECE_NORMAL || field->value > SENTENCE_PIECE_BYTE))
            return error_set(e, STATUS_UNSUPPORTED, p->where, "a piece of type %llu",
                             (unsigned long long)field->value);
        piece->type = (enum sentence_piece_type)field->value;
        break;
    default:
        break;
    }
    return status;
}

static enum status read_flag(const struct protobuf *p, const struct protobuf_field *field, bool *out,
                             struct error *e) {
    *out = field->value != 0;
    return protobuf_expect(p, field, PROTOBUF_VARINT, e);
}

static enum status read_id(const struct protobuf *p, const struct protobuf_field *field, int64_t *out,
                           struct error *e) {
    *out = (int64_t)field->value;
    return protobuf_expect(p, field, PROTOBUF_VARINT, e);
}

static enum status read_trainer_field(void *into, const struct protobuf *p,
                                      const struct protobuf_field *field, struct error *e) {
    struct sentence_piece_file *f = into;
    switch (field->number) {
    case TRAINER_ALGORITHM:
        f->algorithm = field->value;
        return protobuf_expect(p, field, PROTOBUF_VARINT, e);
    case TRAINER_WHITESPACE_AS_SUFFIX:
        return read_flag(p, field, &f->whitespace_as_suffix, e);
    case TRAINER_BYTE_FALLBACK:
        return read_flag(p, field, &f->byte_fallback, e);
    case TRAINER_BOS:
        return read_id(p, field, &f->bos_id, e);
    case TRAINER_EOS:
        return read_id(p, field, &f->eos_id, e);
    case TRAINER_PAD:
        return read_id(p, field, &f->pad_id, e);
    default:
        return STATUS_OK; /* how it was trained */
    }
}

static enum status read_rules_field(void *into, const struct protobuf *p, const struct protobuf_field *field,
                                    struct error *e) {
    struct sentence_piece_rules *rules = into;
    switch (field->number) {
    case RULES_MAP:
        rules->map = field->bytes;
        rules->map_length = field->length;
        return protobuf_expect(p, field, PROTOBUF_BYTES, e);
    case RULES_DUMMY_PREFIX:
        return read_flag(p, field, &rules->add_dummy_prefix, e);
    case RULES_EXTRA_WHITESPACES:
        return read_flag(p, field, &rules->remove_extra_whitespaces, e);
    case RULES_ESCAPE:
        return read_flag(p, field, &rules->escape_whitespaces, e);
    case RULES_NAME:
    case RULES_SOURCE:
        return STATUS_OK;
    default: /* other makers' rules, such as one for upper case */
        return error_set(e, STATUS_UNSUPPORTED, p->where, "normalizer_spec has a field %u", field->number);
    }
}

/* ---- the file -------------------------------------------------------------------------------------------- */

struct reader {
    struct sentence_piece_file *file;
    const char *start;
};

static enum status add_piece(struct reader *r, const struct protobuf_field *field, struct error *e) {
    struct sentence_piece_file *f = r->file;
    struct sentence_piece_entry piece = {.text = "", .type = SENTENCE_PIECE_NORMAL};
    if (f->count >= VOCABULARY_ID_MAX)
        return error_set(e, STATUS_LIMIT, f->name, "more than %d pieces", VOCABULARY_ID_MAX);
    if (!array_reserve(&f->pieces, &f->capacity, f->count + 1)) return text_no_memory(e);
    enum status status =
        read_message(f->name, r->start, field->bytes, field->length, read_piece_field, &piece, e);
    f->pieces[f->count++] = piece;
    return status;
}

static enum status read_model_field(void *into, const struct protobuf *p, const struct protobuf_field *field,
                                    struct error *e) {
    struct reader *r = into;
    struct sentence_piece_file *f = r->file;
    bool known = field->number == MODEL_PIECES || field->number == MODEL_TRAINER ||
                 field->number == MODEL_NORMALIZER || field->number == MODEL_DENORMALIZER;
    enum status status = known ? protobuf_expect(p, field, PROTOBUF_BYTES, e) : STATUS_OK;
    if (status != STATUS_OK) return status;
    switch (field->number) {
    case MODEL_PIECES:
        return add_piece(r, field, e);
    case MODEL_TRAINER:
        return read_message(f->name, r->start, field->bytes, field->length, read_trainer_field, f, e);
    case MODEL_NORMALIZER:
        return read_message(f->name, r->start, field->bytes, field->length, read_rules_field, &f->normalizer,
                            e);
    case MODEL_DENORMALIZER:
        return read_message(f->name, r->start, field->bytes, field->length, read_rules_field,
                            &f->denormalizer, e);
    default:
        return STATUS_OK;
    }
}

/* ---- checks ---------------------------------------------------------------------------------------------- */

static enum status check_piece(const struct sentence_piece_file *f, size_t id, struct error *e) {
    const struct sentence_piece_entry *piece = &f->pieces[id];
    const char *fault = NULL;
    if (piece->length == 0)
        fault = "is empty";
    else if (piece->length >= SENTENCE_PIECE_BYTES_END)
        fault = "is too long";
    else if (memchr(piece->text, '\0', piece->length))
        fault = "has a NUL";
    else if (utf8_valid_prefix(piece->text, piece->length) != piece->length)
        fault = "is not UTF-8";
    else if (!isfinite(piece->score))
        fault = "has a score that is not a number";
    else if (piece->type == SENTENCE_PIECE_BYTE && !f->byte_fallback)
        fault = "is a byte, although byte_fallback is false";
    return fault ? error_set(e, STATUS_MALFORMED, f->name, "piece %zu %s", id, fault) : STATUS_OK;
}

static int byte_of(const struct sentence_piece_entry *piece) {
    static const char digits[] = "0123456789ABCDEF";
    if (piece->length != 6 || memcmp(piece->text, "<0x", 3) != 0 || piece->text[5] != '>') return -1;
    const char *high = strchr(digits, piece->text[3]), *low = strchr(digits, piece->text[4]);
    return high && low ? (int)((high - digits) * 16 + (low - digits)) : -1;
}

static enum status check_bytes(const struct sentence_piece_file *f, struct error *e) {
    bool found[256] = {false};
    size_t count = 0;
    for (size_t id = 0; id < f->count; id++) {
        if (f->pieces[id].type != SENTENCE_PIECE_BYTE) continue;
        int byte = byte_of(&f->pieces[id]);
        if (byte < 0)
            return error_set(e, STATUS_MALFORMED, f->name, "piece %zu is not a byte, as its type says", id);
        count += !found[byte];
        found[byte] = true;
    }
    if (f->byte_fallback && count < 256)
        return error_set(e, STATUS_MALFORMED, f->name, "byte_fallback, but %zu of 256 bytes have a piece",
                         count);
    return STATUS_OK;
}

static enum status check_texts(const struct sentence_piece_file *f, struct error *e) {
    struct vocabulary seen = {0};
    enum status status = STATUS_OK;
    for (size_t id = 0; status == STATUS_OK && id < f->count; id++) {
        status = check_piece(f, id, e);
        if (status != STATUS_OK) break;
        int32_t twin = vocabulary_find(&seen, f->pieces[id].text, f->pieces[id].length);
        if (twin >= 0)
            status =
                error_set(e, STATUS_MALFORMED, f->name, "pieces %d and %zu are the same text", (int)twin, id);
        else
            status = vocabulary_add(&seen, f->pieces[id].text, f->pieces[id].length, (int32_t)id, e);
    }
    vocabulary_deinit(&seen);
    return status;
}

static enum status find_unknown(struct sentence_piece_file *f, struct error *e) {
    size_t found = 0;
    for (size_t id = 0; id < f->count; id++)
        if (f->pieces[id].type == SENTENCE_PIECE_UNKNOWN) f->unknown_id = id, found++;
    if (found == 1) return STATUS_OK;
    return error_set(e, STATUS_MALFORMED, f->name, "%zu pieces are the unknown one, expected 1", found);
}

static enum status check_algorithm(const struct sentence_piece_file *f, struct error *e) {
    if (f->algorithm == SENTENCE_PIECE_UNIGRAM || f->algorithm == SENTENCE_PIECE_BPE) return STATUS_OK;
    const char *name = f->algorithm == ALGORITHM_WORD        ? "words"
                       : f->algorithm == ALGORITHM_CHARACTER ? "characters"
                                                             : "an unknown type";
    return error_set(e, STATUS_UNSUPPORTED, f->name,
                     "a model of %s (model_type %llu); unigram and bpe are supported", name,
                     (unsigned long long)f->algorithm);
}

enum status sentence_piece_file_read(const char *name, const char *bytes, size_t length,
                                     struct sentence_piece_file *out, struct error *e) {
    const struct sentence_piece_rules rules = {
        .add_dummy_prefix = true, .remove_extra_whitespaces = true, .escape_whitespaces = true};
    *out = (struct sentence_piece_file){.name = name,
                                        .algorithm = SENTENCE_PIECE_UNIGRAM,
                                        .bos_id = 1,
                                        .eos_id = 2,
                                        .pad_id = -1,
                                        .normalizer = rules,
                                        .denormalizer = rules};
    struct reader reader = {.file = out, .start = bytes};
    enum status status = read_message(name, bytes, bytes, length, read_model_field, &reader, e);
    if (status == STATUS_OK && out->count == 0)
        status = error_set(e, STATUS_MALFORMED, name, "no pieces: this is not a model of SentencePiece");
    if (status == STATUS_OK) status = check_algorithm(out, e);
    if (status == STATUS_OK) status = find_unknown(out, e);
    if (status == STATUS_OK) status = check_texts(out, e);
    return status == STATUS_OK ? check_bytes(out, e) : status;
}

void sentence_piece_file_deinit(struct sentence_piece_file *f) {
    free(f->pieces);
    *f = (struct sentence_piece_file){0};
}
