#include "engine/text/sources/sentence_piece_class.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/text/containers/text_buffer.h"
#include "engine/text/sources/file_names.h"
#include "engine/text/token_model/vocabulary.h"

/* ---- XGLMTokenizer: the order of the pieces -------------------------------------------------------------- */

/* Its own pieces, which are in no model. */
static const char *const before_pieces[] = {"<s>", "<pad>", "</s>", "<unk>"};
static const char *const behind_pieces[CLASS_MADE_UP_WORDS] = {
    "<madeupword0>", "<madeupword1>", "<madeupword2>", "<madeupword3>",
    "<madeupword4>", "<madeupword5>", "<madeupword6>"};

enum {
    BEFORE = sizeof before_pieces / sizeof before_pieces[0],
    REPLACED = 3, /* pieces of the model that those in front stand for */
    UNKNOWN_ID = 3
};

static struct sentence_piece_entry control(const char *text) {
    return (struct sentence_piece_entry){
        .text = text, .length = strlen(text), .type = SENTENCE_PIECE_CONTROL};
}

static bool is_text(const struct sentence_piece_entry *piece, const char *text) {
    return piece->length == strlen(text) && memcmp(piece->text, text, piece->length) == 0;
}

static enum status check_order(const struct sentence_piece_file *f, struct error *e) {
    static const char *const first[REPLACED] = {"<unk>", "<s>", "</s>"};
    for (size_t i = 0; i < REPLACED; i++)
        if (f->count < REPLACED || !is_text(&f->pieces[i], first[i]))
            return error_set(e, STATUS_UNSUPPORTED, f->name, "piece %zu is not %s, as XGLMTokenizer expects",
                             i, first[i]);
    if (f->unknown_id != 0)
        return error_set(e, STATUS_UNSUPPORTED, f->name, "<unk> is not the unknown piece");
    for (size_t i = REPLACED; i < f->count; i++) {
        bool is_own = is_text(&f->pieces[i], "<pad>");
        for (size_t j = 0; j < CLASS_MADE_UP_WORDS; j++)
            is_own = is_own || is_text(&f->pieces[i], behind_pieces[j]);
        if (is_own)
            return error_set(e, STATUS_UNSUPPORTED, f->name, "piece %zu is one that XGLMTokenizer adds", i);
    }
    return STATUS_OK;
}

enum status sentence_piece_class_order(const struct tokenizer_class *class, struct sentence_piece_file *f,
                                       struct error *e) {
    if (!class->model_is_fairseq) return STATUS_OK;
    enum status status = check_order(f, e);
    if (status != STATUS_OK) return status;
    size_t rest = f->count - REPLACED, count = BEFORE + rest + CLASS_MADE_UP_WORDS;
    if (count > VOCABULARY_ID_MAX)
        return error_set(e, STATUS_LIMIT, f->name, "more than %d pieces", VOCABULARY_ID_MAX);
    if (!array_reserve(&f->pieces, &f->capacity, count)) return text_no_memory(e);
    memmove(f->pieces + BEFORE, f->pieces + REPLACED, rest * sizeof *f->pieces);
    for (size_t i = 0; i < BEFORE; i++) f->pieces[i] = control(before_pieces[i]);
    f->pieces[UNKNOWN_ID].type = SENTENCE_PIECE_UNKNOWN;
    for (size_t i = 0; i < CLASS_MADE_UP_WORDS; i++) f->pieces[BEFORE + rest + i] = control(behind_pieces[i]);
    f->count = count;
    f->unknown_id = UNKNOWN_ID;
    f->bos_id = 0;
    f->pad_id = 1;
    f->eos_id = 2;
    return STATUS_OK;
}

/* ---- T5Tokenizer: extra tokens --------------------------------------------------------------------------- */

#define EXTRA_IDS_DEFAULT 100

enum status sentence_piece_class_extra_ids(const struct side_files *side, int *count, bool *unlisted,
                                           struct error *e) {
    static const char key[] = "additional_special_tokens";
    const json_t *value = json_object_get(side->config, "extra_ids");
    json_int_t wanted = json_is_integer(value) ? json_integer_value(value) : EXTRA_IDS_DEFAULT, listed = 0;
    bool map_counts = !json_object_get(side->config, "added_tokens_decoder");
    const json_t *list = map_counts ? json_object_get(side->special_map, key) : NULL;
    if (!list) list = json_object_get(side->config, key);
    if ((value && !json_is_integer(value)) || wanted < 0 || wanted > EXTRA_IDS_MAX)
        return error_set(e, STATUS_MALFORMED, FILE_NAME_TOKENIZER_CONFIG,
                         "extra_ids: expected an integer from 0 to %d", EXTRA_IDS_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *content = side_files_content(json_array_get(list, i));
        listed += content && strstr(content, "<extra_id_");
    }
    if (listed > 0 && listed != wanted)
        return error_set(e, STATUS_UNSUPPORTED, FILE_NAME_TOKENIZER_CONFIG,
                         "extra_ids: %lld, but %s has %lld of them", (long long)wanted, key,
                         (long long)listed);
    *count = (int)wanted;
    *unlisted = !json_is_array(list) || listed > 0;
    return STATUS_OK;
}

enum status sentence_piece_class_add_tokens(const struct tokenizer_class *class,
                                            const struct side_files *side, json_t *added, struct error *e) {
    int count = 0;
    bool unlisted = false;
    enum status status =
        class->has_extra_ids ? sentence_piece_class_extra_ids(side, &count, &unlisted, e) : STATUS_OK;
    for (int i = unlisted ? count : 0; status == STATUS_OK && i-- > 0;) {
        char content[32];
        snprintf(content, sizeof content, "<extra_id_%d>", i);
        json_t *entry = json_pack("{s:s, s:b, s:b, s:b, s:b}", "content", content, "special", 1, "normalized",
                                  0, "lstrip", 1, "rstrip", 1);
        if (!entry || json_array_append_new(added, entry) != 0) status = text_no_memory(e);
    }
    return status;
}

/* ---- GPTSw3Tokenizer: clean texts ------------------------------------------------------------------------ */

json_t *sentence_piece_class_normalizer(const struct tokenizer_class *class, json_t *normalizer) {
    static const char dropped[] = "[\\x{0}-\\x{8}\\x{b}-\\x{1f}\\x{7f}-\\x{a0}\\x{ad}\\x{200b}]";
    static const char blanks[] =
        "[\\x{2002}\\x{2003}\\x{2005}\\x{2008}-\\x{200a}\\x{202f}\\x{3000}\\x{fffc}]";
    if (!class->model_cleans || !normalizer) return normalizer;
    json_t *out =
        json_pack("{s:s, s:[{s:s, s:{s:s}, s:s}, {s:s, s:{s:s}, s:s}, {s:s}, O]}", "type", "Sequence",
                  "normalizers", "type", "Replace", "pattern", "Regex", dropped, "content", "", "type",
                  "Replace", "pattern", "Regex", blanks, "content", " ", "type", "NFC", normalizer);
    json_decref(normalizer);
    return out;
}
