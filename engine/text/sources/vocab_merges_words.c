/* Tokenizers whose words end in "</w>": CTRL's, and BioGPT's. */
#include "engine/text/containers/text_buffer.h"
#include "engine/text/sources/file_names.h"
#include "engine/text/sources/vocab_merges_parts.h"

/* What is between blanks, with one line end behind it: \S+\n? of Python's regex, whose blanks are Unicode's. */
static const char ctrl_words[] =
    "[^\\t\\n\\x0b\\x0c\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}"
    "\\x{3000}]+\\n?";

static const char *unknown_token(const struct vocab_merges *s) {
    const char *content = side_files_content(json_object_get(s->side->special_map, "unk_token"));
    if (!content) content = side_files_content(json_object_get(s->side->config, "unk_token"));
    return content ? content : "<unk>";
}

/* Around a token that is not special its decoder would put blanks. */
static enum status check_special(const struct vocab_merges *s, struct error *e) {
    const char *content;
    json_t *token;
    json_object_foreach(s->tokens, content, token) {
        if (!json_is_true(json_object_get(token, "special")))
            return error_set(e, STATUS_UNSUPPORTED, FILE_NAME_ADDED_TOKENS,
                             "'%s': %s with added tokens that are not special is not supported", content,
                             s->scheme == SCHEME_CTRL ? "CTRLTokenizer" : "BioGptTokenizer");
    }
    return STATUS_OK;
}

/* The model, with the unknown token among those that are added. */
static enum status build_model(struct vocab_merges *s, json_t **out, struct error *e) {
    json_t *unknown = json_string(unknown_token(s));
    enum status status = unknown
                             ? vocab_merges_add_token(s, FILE_NAME_VOCABULARY, "unk_token", unknown, true, e)
                             : vocab_merges_no_memory(e);
    if (status == STATUS_OK) status = check_special(s, e);
    if (status == STATUS_OK)
        *out = json_pack("{s:s, s:O, s:O, s:b, s:{s:s, s:O, s:s, s:s}}", "type", "CTRL", "vocab", s->vocab,
                         "unk_token", unknown, "whole_names", s->scheme == SCHEME_MOSES, "words", "type",
                         "BPE", "merges", s->merges, "unk_token", "</w>", "end_of_word_suffix", "</w>");
    if (status == STATUS_OK && !*out) status = vocab_merges_no_memory(e);
    json_decref(unknown);
    return status;
}

/* ---- CTRL ------------------------------------------------------------------------------------------------ */

enum status vocab_merges_build_ctrl(struct vocab_merges *s, json_t **out, struct error *e) {
    json_t *added = json_array(), *model = NULL;
    enum status status = added ? build_model(s, &model, e) : vocab_merges_no_memory(e);
    if (status == STATUS_OK) status = vocab_merges_number_tokens(s, added, e);
    if (status == STATUS_OK)
        *out = json_pack("{s:O, s:{s:s, s:{s:s}, s:s, s:b}, s:{s:s}, s:O}", "added_tokens", added,
                         "pre_tokenizer", "type", "Split", "pattern", "Regex", ctrl_words, "behavior",
                         "Removed", "invert", 1, "decoder", "type", "CTRL", "model", model);
    if (status == STATUS_OK && !*out) status = vocab_merges_no_memory(e);
    json_decref(added);
    json_decref(model);
    return status;
}

/* ---- BioGPT ---------------------------------------------------------------------------------------------- */

/* Tokens that the class has where the files name none, which are special. */
static enum status add_own_specials(struct vocab_merges *s, struct error *e) {
    static const struct {
        const char *key, *content;
    } own[] = {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"sep_token", "</s>"}, {"pad_token", "<pad>"}};
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < sizeof own / sizeof own[0]; i++) {
        bool named =
            json_object_get(s->side->config, own[i].key) || json_object_get(s->side->special_map, own[i].key);
        json_t *content = named ? NULL : json_string(own[i].content);
        if (!named && !content) return vocab_merges_no_memory(e);
        status = vocab_merges_add_token(s, FILE_NAME_VOCABULARY, own[i].key, content, true, e);
        json_decref(content);
    }
    return status;
}

/* sep_token in front of a text. */
static enum status build_frame(const struct vocab_merges *s, json_t **out, struct error *e) {
    const char *content = side_files_content(json_object_get(s->side->special_map, "sep_token"));
    if (!content) content = side_files_content(json_object_get(s->side->config, "sep_token"));
    if (!content) content = "</s>";
    const json_t *id = json_object_get(json_object_get(s->tokens, content), "id");
    if (!id)
        return error_set(e, STATUS_MALFORMED, FILE_NAME_TOKENIZER_CONFIG, "sep_token '%s' is not a token",
                         content);
    *out = side_files_template(content, json_integer_value(id), NULL, 0);
    return *out ? STATUS_OK : vocab_merges_no_memory(e);
}

enum status vocab_merges_build_moses(struct vocab_merges *s, json_t **out, struct error *e) {
    json_t *added = json_array(), *model = NULL, *frame = NULL;
    enum status status = added ? add_own_specials(s, e) : vocab_merges_no_memory(e);
    if (status == STATUS_OK) status = build_model(s, &model, e);
    if (status == STATUS_OK) status = vocab_merges_number_tokens(s, added, e);
    if (status == STATUS_OK) status = build_frame(s, &frame, e);
    if (status == STATUS_OK)
        *out = json_pack("{s:O, s:{s:s}, s:{s:s, s:{s:s}, s:s, s:b}, s:O, s:{s:s}, s:O}", "added_tokens",
                         added, "normalizer", "type", "Moses", "pre_tokenizer", "type", "Split", "pattern",
                         "String", " ", "behavior", "Removed", "invert", 0, "post_processor", frame,
                         "decoder", "type", "Moses", "model", model);
    if (status == STATUS_OK && !*out) status = vocab_merges_no_memory(e);
    json_decref(added);
    json_decref(model);
    json_decref(frame);
    return status;
}
