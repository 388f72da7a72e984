#include "engine/text/sources/sentence_piece_source.h"

#include <stdlib.h>
#include <string.h>

#include "engine/files/regular_file.h"
#include "engine/text/containers/text_buffer.h"
#include "engine/text/sources/file_names.h"
#include "engine/text/sources/sentence_piece_class.h"
#include "engine/text/sources/sentence_piece_file.h"
#include "engine/text/sources/tokenizer_config.h"

/* ---- parts ----------------------------------------------------------------------------------------------- */

/* jansson takes ownership, or nothing is left. */
static bool set(json_t *object, const char *key, json_t *value) {
    return value && json_object_set_new(object, key, value) == 0; /* object may be NULL too */
}

static json_t *encode_base64(const char *bytes, size_t length) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct text_buffer out = {0};
    for (size_t i = 0; i < length; i += 3) {
        size_t left = length - i < 3 ? length - i : 3;
        uint32_t bits = 0;
        for (size_t j = 0; j < 3; j++) bits = bits << 8 | (j < left ? (unsigned char)bytes[i + j] : 0);
        for (size_t j = 0; j < 4; j++)
            text_buffer_append_byte(&out, (char)(j <= left ? digits[bits >> (18 - 6 * j) & 63] : '='));
    }
    json_t *text = out.failed ? NULL : json_stringn(out.bytes, out.length);
    text_buffer_deinit(&out);
    return text;
}

/* "vocab": texts by id; "scores"; "types": a letter a piece. */
static bool add_pieces(json_t *model, const struct sentence_piece_file *f) {
    json_t *texts = json_array(), *scores = json_array();
    struct text_buffer types = {0};
    bool whole = texts && scores;
    for (size_t i = 0; whole && i < f->count; i++) {
        const struct sentence_piece_entry *piece = &f->pieces[i];
        text_buffer_append_byte(&types, sentence_piece_type_letter(piece->type));
        json_t *text = json_stringn(piece->text, piece->length), *score = json_real((double)piece->score);
        whole = text && json_array_append(texts, text) == 0 && score && json_array_append(scores, score) == 0;
        json_decref(text);
        json_decref(score);
    }
    whole = whole && !types.failed && set(model, "types", json_stringn(types.bytes, types.length));
    whole =
        whole && json_object_set(model, "vocab", texts) == 0 && json_object_set(model, "scores", scores) == 0;
    text_buffer_deinit(&types);
    json_decref(texts);
    json_decref(scores);
    return whole;
}

static json_t *make_model(const struct sentence_piece_file *f) {
    json_t *model =
        json_pack("{s:s, s:s, s:b}", "type", "SentencePiece", "algorithm",
                  f->algorithm == SENTENCE_PIECE_BPE ? "BPE" : "Unigram", "byte_fallback", f->byte_fallback);
    if (model && add_pieces(model, f)) return model;
    json_decref(model);
    return NULL;
}

static bool add_map(json_t *object, const struct sentence_piece_rules *rules) {
    return rules->map_length == 0 ||
           set(object, "precompiled_charsmap", encode_base64(rules->map, rules->map_length));
}

/* Texts of a type. */
static json_t *list_texts(const struct sentence_piece_file *f, enum sentence_piece_type type) {
    json_t *list = json_array();
    bool whole = list != NULL;
    for (size_t i = 0; whole && i < f->count; i++)
        if (f->pieces[i].type == type)
            whole = json_array_append_new(list, json_stringn(f->pieces[i].text, f->pieces[i].length)) == 0;
    if (whole) return list;
    json_decref(list);
    return NULL;
}

static json_t *make_normalizer(const struct sentence_piece_file *f, bool prefix, bool legacy) {
    const struct sentence_piece_rules *rules = &f->normalizer;
    json_t *out = json_pack("{s:s, s:b, s:b, s:b, s:b, s:b}", "type", "SentencePiece", "add_dummy_prefix",
                            prefix, "remove_extra_whitespaces", rules->remove_extra_whitespaces,
                            "escape_whitespaces", rules->escape_whitespaces, "whitespace_as_suffix",
                            f->whitespace_as_suffix, "legacy", legacy);
    if (out && set(out, "user_defined", list_texts(f, SENTENCE_PIECE_USER_DEFINED)) && add_map(out, rules))
        return out;
    json_decref(out);
    return NULL;
}

/* The blank at the start of a text is left out where it may have been put there. */
static json_t *make_decoder(const struct sentence_piece_file *f, bool prefix) {
    bool extra = f->normalizer.remove_extra_whitespaces;
    json_t *out = json_pack("{s:s, s:b, s:b, s:b}", "type", "SentencePiece", "byte_fallback",
                            f->byte_fallback, "strip_start", prefix || extra, "strip_all", extra);
    if (out && add_map(out, &f->denormalizer)) return out;
    json_decref(out);
    return NULL;
}

/* ---- special tokens -------------------------------------------------------------------------------------- */

static json_t *make_added(const struct sentence_piece_file *f) {
    json_t *list = json_array();
    bool whole = list != NULL;
    for (size_t i = 0; whole && i < f->count; i++) {
        const struct sentence_piece_entry *piece = &f->pieces[i];
        if (piece->type != SENTENCE_PIECE_CONTROL && piece->type != SENTENCE_PIECE_UNKNOWN) continue;
        json_t *text = json_stringn(piece->text, piece->length);
        whole = text && json_array_append_new(list, json_pack("{s:i, s:O, s:b, s:b}", "id", (int)i, "content",
                                                              text, "special", 1, "normalized", 0)) == 0;
        json_decref(text);
    }
    if (whole) return list;
    json_decref(list);
    return NULL;
}

/* What the files say of special tokens, and where they name no class the model's own: those of its ids. */
static enum status own_specials(const struct sentence_piece_file *f, const json_t *config, json_t **out,
                                struct error *e) {
    const struct {
        const char *key;
        int64_t id;
    } own[] = {{"bos_token", f->bos_id}, {"eos_token", f->eos_id}, {"pad_token", f->pad_id}};
    *out = config ? json_copy((json_t *)config) : json_object();
    if (!*out) return text_no_memory(e);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        bool is_there = own[i].id >= 0 && (uint64_t)own[i].id < f->count &&
                        f->pieces[own[i].id].type == SENTENCE_PIECE_CONTROL;
        if (!is_there || json_object_get(*out, own[i].key)) continue;
        const struct sentence_piece_entry *piece = &f->pieces[own[i].id];
        if (!set(*out, own[i].key, json_stringn(piece->text, piece->length))) return text_no_memory(e);
    }
    return STATUS_OK;
}

static enum status apply_config(const struct sentence_piece_file *f, const struct side_files *side,
                                bool is_generic, json_t *file, struct error *e) {
    struct side_files own = *side;
    json_t *config = NULL;
    enum status status = is_generic ? own_specials(f, side->config, &config, e) : STATUS_OK;
    if (is_generic) own.config = config;
    if (status == STATUS_OK) status = tokenizer_config_apply(file, &own, e);
    json_decref(config);
    return status;
}

/* ---- all ------------------------------------------------------------------------------------------------- */

/* What the files name, and what is done with a model that they name no class for: what the model itself says counts. */
struct reading {
    const char *name;
    const struct side_files *side;
    const struct tokenizer_class *class;
    bool is_generic;
};

static enum status find_class(struct reading *r, struct error *e) {
    bool named;
    enum status status = tokenizer_class_find(r->side->config, r->side->model_config, &r->class, &named, e);
    if (status != STATUS_OK) return status;
    r->is_generic = !r->class->model_file;
    const char *expected = r->is_generic ? FILE_NAME_SENTENCE_PIECE : r->class->model_file;
    if (r->is_generic && named)
        return error_set(e, STATUS_UNSUPPORTED, FILE_NAME_TOKENIZER_CONFIG,
                         "tokenizer_class: '%s' does not read a %s", r->class->name, r->name);
    if (strcmp(expected, r->name) == 0) return STATUS_OK;
    return error_set(e, STATUS_UNSUPPORTED, FILE_NAME_TOKENIZER_CONFIG,
                     "tokenizer_class: %s reads a %s, and there is a %s",
                     r->is_generic ? "none is named, which" : r->class->name, expected, r->name);
}

static enum status build(const struct reading *r, const struct sentence_piece_file *f, json_t **out,
                         struct error *e) {
    bool has_options = r->is_generic || r->class->model_has_options;
    bool legacy = !has_options || !json_is_false(json_object_get(r->side->config, "legacy"));
    bool unwanted = has_options && json_is_false(json_object_get(r->side->config, "add_prefix_space"));
    bool has_prefix = f->normalizer.add_dummy_prefix && !unwanted;
    json_t *added = make_added(f), *normalizer = make_normalizer(f, has_prefix, legacy);
    enum status status =
        added ? sentence_piece_class_add_tokens(r->class, r->side, added, e) : text_no_memory(e);
    *out = json_object();
    bool whole = set(*out, "added_tokens", added);
    whole = set(*out, "normalizer", sentence_piece_class_normalizer(r->class, normalizer)) && whole;
    whole = whole && set(*out, "decoder", make_decoder(f, has_prefix)) && set(*out, "model", make_model(f));
    if (status == STATUS_OK && !whole) status = text_no_memory(e);
    return status == STATUS_OK ? apply_config(f, r->side, r->is_generic, *out, e) : status;
}

enum status sentence_piece_source_parse(const char *name, const char *bytes, size_t length,
                                        const struct side_files *side, json_t **out, struct error *e) {
    struct sentence_piece_file f = {0};
    struct reading r = {.name = name, .side = side};
    *out = NULL;
    enum status status = find_class(&r, e);
    if (status == STATUS_OK) status = sentence_piece_file_read(name, bytes, length, &f, e);
    if (status == STATUS_OK) status = sentence_piece_class_order(r.class, &f, e);
    if (status == STATUS_OK) status = build(&r, &f, out, e);
    sentence_piece_file_deinit(&f);
    if (status == STATUS_OK) return STATUS_OK;
    json_decref(*out);
    *out = NULL;
    return status;
}

/* ---- in a folder ----------------------------------------------------------------------------------------- */

const char *sentence_piece_source_find(const char *folder, const struct side_files *side) {
    const struct tokenizer_class *class;
    struct error unused;
    bool named;
    enum status status = tokenizer_class_find(side->config, side->model_config, &class, &named, &unused);
    const char *own = status == STATUS_OK ? class->model_file : NULL;
    if (own && regular_file_is_in(folder, own)) return own;
    return regular_file_is_in(folder, FILE_NAME_SENTENCE_PIECE) ? FILE_NAME_SENTENCE_PIECE : NULL;
}

const char *sentence_piece_source_find_any(const char *folder) {
    static const char *const names[] = {FILE_NAME_SENTENCE_PIECE, FILE_NAME_SENTENCE_PIECE_BPE,
                                        FILE_NAME_SPIECE};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (regular_file_is_in(folder, names[i])) return names[i];
    return NULL;
}

enum status sentence_piece_source_load(const char *folder, const char *name, const struct side_files *side,
                                       size_t bytes_max, json_t **out, struct error *e) {
    char path[PATH_MAX], *bytes = NULL;
    size_t length;
    *out = NULL;
    enum status status = regular_file_path(folder, name, path, e);
    if (status == STATUS_OK) status = regular_file_read(path, bytes_max, &bytes, &length, e);
    if (status == STATUS_OK) status = sentence_piece_source_parse(name, bytes, length, side, out, e);
    free(bytes);
    return status;
}
