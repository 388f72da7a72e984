#include "engine/text/sources/vocab_merges.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/json_file.h"
#include "engine/files/regular_file.h"
#include "engine/text/containers/text_buffer.h"
#include "engine/text/pretokenize/byte_level.h"
#include "engine/text/sources/file_names.h"
#include "engine/text/sources/tokenizer_class.h"
#include "engine/text/sources/vocab_merges_parts.h"
#include "engine/text/token_model/vocabulary.h"
#include "engine/text/unicode/unicode.h"

static void deinit_sources(struct vocab_merges *s) {
    json_decref(s->vocab);
    json_decref(s->merges);
    json_decref(s->tokens);
}

enum status vocab_merges_no_memory(struct error *e) {
    return error_set(e, STATUS_NO_MEMORY, FILE_NAME_VOCABULARY " and " FILE_NAME_MERGES,
                     "no memory for the tokenizer");
}

/* One merge a line; lines that begin with "#version" say nothing. */
static enum status split_lines(const char *text, size_t length, json_t *lines, struct error *e) {
    for (size_t start = 0, line = 1; start < length; line++) {
        const char *newline = memchr(text + start, '\n', length - start);
        size_t end = newline ? (size_t)(newline - text) : length, stop = end;
        if (stop > start && text[stop - 1] == '\r') stop--;
        bool skipped = stop == start || (stop - start >= 8 && memcmp(text + start, "#version", 8) == 0);
        if (!skipped && utf8_valid_prefix(text + start, stop - start) != stop - start)
            return error_set(e, STATUS_MALFORMED, FILE_NAME_MERGES, "line %zu is not UTF-8", line);
        json_t *item = skipped ? NULL : json_stringn(text + start, stop - start);
        if (!skipped && json_array_append_new(lines, item) != 0) return vocab_merges_no_memory(e);
        start = end + 1;
    }
    return STATUS_OK;
}

/* Where a word ends: at a blank as Python's split() has them. */
static bool is_blank(const char *text, size_t length, size_t at, size_t *next) {
    *next = at;
    int32_t point = utf8_next(text, length, next);
    return unicode_is_whitespace(point) || (point >= 0x1C && point <= 0x1F);
}

static enum status add_pair(const char *line, size_t length, bool may_go_on, json_t *pairs, struct error *e) {
    size_t starts[2], ends[2], words = 0;
    if (utf8_valid_prefix(line, length) != length)
        return error_set(e, STATUS_MALFORMED, FILE_NAME_MERGES, "a line is not UTF-8");
    for (size_t at = 0, next; at < length;) {
        while (at < length && is_blank(line, length, at, &next)) at = next;
        size_t start = at;
        while (at < length && !is_blank(line, length, at, &next)) at = next;
        if (at == start) break;
        if (words == 2 && may_go_on) break;
        if (words == 2) return STATUS_OK;
        starts[words] = start;
        ends[words++] = at;
    }
    if (words < 2) return STATUS_OK;
    json_t *left = json_stringn(line + starts[0], ends[0] - starts[0]);
    json_t *right = json_stringn(line + starts[1], ends[1] - starts[1]);
    json_t *pair = left && right ? json_pack("[O, O]", left, right) : NULL;
    bool added = pair && json_array_append(pairs, pair) == 0;
    json_decref(left);
    json_decref(right);
    json_decref(pair);
    return added ? STATUS_OK : vocab_merges_no_memory(e);
}

/* What stands behind the last line end says nothing. CTRL's tokenizer does not read the first line, and one that is not
 * two words never matches; BioGPT's takes the first two words of each. */
static enum status split_pairs(const char *text, size_t length, enum vocab_merges_scheme scheme,
                               json_t *pairs, struct error *e) {
    bool skipped = scheme == SCHEME_CTRL;
    for (size_t start = 0, at = 0; at < length; at++) {
        if (text[at] != '\n' && text[at] != '\r') continue;
        if (text[at] == '\r' && at + 1 < length && text[at + 1] == '\n')
            continue; /* the line end is the next byte */
        if (!skipped && add_pair(text + start, at - start, scheme == SCHEME_MOSES, pairs, e) != STATUS_OK)
            return e->code;
        skipped = false;
        start = at + 1;
    }
    return STATUS_OK;
}

static enum status load_merges(const char *folder, size_t bytes_max, enum vocab_merges_scheme scheme,
                               json_t **out, struct error *e) {
    char path[PATH_MAX], *text = NULL;
    size_t length;
    enum status status = regular_file_path(folder, FILE_NAME_MERGES, path, e);
    if (status == STATUS_OK) status = regular_file_read(path, bytes_max, &text, &length, e);
    if (status == STATUS_OK && !(*out = json_array())) status = vocab_merges_no_memory(e);
    if (status == STATUS_OK)
        status = scheme == SCHEME_BYTES ? split_lines(text, length, *out, e)
                                        : split_pairs(text, length, scheme, *out, e);
    free(text);
    return status;
}

static enum status load_sources(const char *folder, size_t bytes_max, struct vocab_merges *s,
                                struct error *e) {
    enum status status =
        json_file_load_as(folder, FILE_NAME_VOCABULARY, bytes_max, JSON_FILE_AS_PYTHON, &s->vocab, e);
    if (status == STATUS_OK) status = load_merges(folder, bytes_max, s->scheme, &s->merges, e);
    if (status == STATUS_NOT_FOUND)
        return error_set(e, STATUS_NOT_FOUND, folder,
                         "no tokenizer.json, no tokenizer.model, and no vocab.json with a merges.txt");
    if (status == STATUS_OK && !json_is_object(s->vocab))
        return error_set(e, STATUS_MALFORMED, FILE_NAME_VOCABULARY, "expected an object");
    return status == STATUS_OK && !(s->tokens = json_object()) ? vocab_merges_no_memory(e) : status;
}

/* The scheme goes by the class that the files name, else by the type of the model. */
static enum status find_scheme(struct vocab_merges *s, struct error *e) {
    static const struct {
        const char *class, *type;
        enum vocab_merges_scheme scheme;
    } schemes[] = {
        {"CTRLTokenizer", "ctrl", SCHEME_CTRL},   {"BioGptTokenizer", "biogpt", SCHEME_MOSES},
        {"GPT2Tokenizer", NULL, SCHEME_BYTES},    {"GPT2TokenizerFast", NULL, SCHEME_BYTES},
        {"CodeGenTokenizer", NULL, SCHEME_BYTES}, {"CodeGenTokenizerFast", NULL, SCHEME_BYTES},
        {"GPTNeoXTokenizer", NULL, SCHEME_BYTES}, {"GPTNeoXTokenizerFast", NULL, SCHEME_BYTES},
    };
    const char *class = json_string_value(json_object_get(s->side->config, "tokenizer_class"));
    const char *type = json_string_value(json_object_get(s->side->model_config, "model_type"));
    if (!class) class = json_string_value(json_object_get(s->side->model_config, "tokenizer_class"));
    s->scheme = SCHEME_BYTES;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        bool by_type = !class && type && schemes[i].type && strcmp(type, schemes[i].type) == 0;
        if (!by_type && !(class && strcmp(class, schemes[i].class) == 0)) continue;
        s->scheme = schemes[i].scheme;
        return STATUS_OK;
    }
    if (!class) return STATUS_OK;
    return error_set(e, STATUS_UNSUPPORTED, FILE_NAME_TOKENIZER_CONFIG,
                     "tokenizer_class: '%s' is not supported without a tokenizer.json", class);
}

/* A byte-level vocabulary has each printing character of ASCII, and the blank as a letter of its own. */
static enum status check_vocabulary(const struct vocab_merges *s, struct error *e) {
    for (int byte = ' '; byte <= '~'; byte++) {
        char name[5] = {0};
        struct text_buffer content = {0};
        char ascii = (char)byte;
        byte_level_append(&content, &ascii, 1);
        bool failed = content.failed;
        if (!failed) memcpy(name, content.bytes, content.length);
        text_buffer_deinit(&content);
        if (failed) return vocab_merges_no_memory(e);
        if (!json_object_get(s->vocab, name))
            return error_set(
                e, STATUS_UNSUPPORTED, FILE_NAME_VOCABULARY,
                "no token for the byte 0x%02X: this is not a byte-level vocabulary as GPT-2 has it (CTRL, "
                "BioGPT and others use files of the same names, and name their tokenizer_class)",
                byte);
    }
    return STATUS_OK;
}

enum status vocab_merges_add_token(struct vocab_merges *s, const char *file, const char *key,
                                   const json_t *entry, bool special, struct error *e) {
    const char *name = side_files_content(entry);
    if (!entry || json_is_null(entry)) return STATUS_OK;
    if (!name) return error_set(e, STATUS_MALFORMED, file, "%s: expected the content of a token", key);
    json_t *token = json_object_get(s->tokens, name);
    if (!token) {
        token = json_is_object(entry) ? json_copy((json_t *)entry) : json_pack("{s:s}", "content", name);
        if (!token || json_object_set_new(s->tokens, name, token) != 0) return vocab_merges_no_memory(e);
    }
    if (special && json_object_set_new(token, "special", json_true()) != 0) return vocab_merges_no_memory(e);
    return STATUS_OK;
}

/* added_tokens.json: {content: id}. The ids go on where the vocabulary ends, as they are given when it is
 * extended. */
static enum status add_extensions(struct vocab_merges *s, struct error *e) {
    size_t first = json_object_size(s->vocab), count = json_object_size(s->side->added);
    const char **names = calloc(count + 1, sizeof *names);
    enum status status = names ? STATUS_OK : vocab_merges_no_memory(e);
    const char *name;
    json_t *value;
    json_object_foreach(s->side->added, name, value) {
        if (status != STATUS_OK || json_object_get(s->vocab, name)) continue;
        json_int_t id = json_integer_value(value);
        bool fits = json_is_integer(value) && id >= (json_int_t)first && id < (json_int_t)(first + count);
        if (!fits || names[id - (json_int_t)first])
            status = error_set(e, STATUS_UNSUPPORTED, FILE_NAME_ADDED_TOKENS,
                               "'%s': its id does not go on from vocab.json", name);
        else
            names[id - (json_int_t)first] = name;
    }
    for (size_t i = 0; status == STATUS_OK && i < count && names[i]; i++) {
        json_t *content = json_string(names[i]);
        status = content ? vocab_merges_add_token(s, FILE_NAME_ADDED_TOKENS, names[i], content, false, e)
                         : vocab_merges_no_memory(e);
        json_decref(content);
    }
    free(names);
    return status;
}

/* The special tokens that a file names. */
static enum status add_specials(struct vocab_merges *s, const char *file, const json_t *from,
                                struct error *e) {
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < CLASS_TOKENS; i++)
        status = vocab_merges_add_token(s, file, tokenizer_class_keys[i],
                                        json_object_get(from, tokenizer_class_keys[i]), true, e);
    const json_t *more = json_object_get(from, "additional_special_tokens");
    for (size_t i = 0; status == STATUS_OK && i < json_array_size(more); i++)
        status =
            vocab_merges_add_token(s, file, "additional_special_tokens", json_array_get(more, i), true, e);
    return status;
}

/* Flags of tokenizer_config.json's "added_tokens_decoder" first, as they are the fullest; then ids, then
 * names. */
static enum status collect_tokens(struct vocab_merges *s, struct error *e) {
    const json_t *decoder = json_object_get(s->side->config, "added_tokens_decoder");
    const char *id;
    json_t *entry;
    enum status status = STATUS_OK;
    json_object_foreach((json_t *)decoder, id, entry) {
        const char *content = json_string_value(json_object_get(entry, "content"));
        bool known =
            content && (json_object_get(s->vocab, content) || json_object_get(s->side->added, content));
        if (!known)
            return error_set(e, STATUS_UNSUPPORTED, FILE_NAME_TOKENIZER_CONFIG,
                             "added_tokens_decoder.%s: neither in vocab.json nor in added_tokens.json", id);
    }
    status = add_extensions(s, e);
    json_object_foreach((json_t *)decoder, id, entry) {
        const char *content = json_string_value(json_object_get(entry, "content"));
        json_t *token = json_object_get(s->tokens, content);
        if (status == STATUS_OK && token && json_object_update(token, entry) != 0)
            status = vocab_merges_no_memory(e);
        if (status == STATUS_OK)
            status = vocab_merges_add_token(s, FILE_NAME_TOKENIZER_CONFIG, id, entry, false, e);
    }
    if (status == STATUS_OK) status = add_specials(s, FILE_NAME_TOKENIZER_CONFIG, s->side->config, e);
    if (status == STATUS_OK) status = add_specials(s, FILE_NAME_SPECIAL_TOKENS, s->side->special_map, e);
    if (status == STATUS_OK && json_object_size(s->tokens) == 0 &&
        json_object_get(s->vocab, "<|endoftext|>")) {
        json_t *end = json_pack("{s:s}", "bos_token", "<|endoftext|>");
        status = end ? add_specials(s, FILE_NAME_VOCABULARY, end, e) : vocab_merges_no_memory(e);
        json_decref(end);
    }
    return status;
}

enum status vocab_merges_number_tokens(const struct vocab_merges *s, json_t *list, struct error *e) {
    json_int_t next = (json_int_t)json_object_size(s->vocab);
    const char *content;
    json_t *token;
    json_object_foreach(s->tokens, content, token) {
        const json_t *known = json_object_get(s->vocab, content);
        json_int_t id = known ? json_integer_value(known) : next++;
        if (json_object_set_new(token, "id", json_integer(id)) != 0 || json_array_append(list, token) != 0)
            return vocab_merges_no_memory(e);
    }
    return STATUS_OK;
}

static const char *beginning_token(const struct vocab_merges *s) {
    const json_t *entry = json_object_get(s->side->config, "bos_token");
    if (!entry || json_is_null(entry)) entry = json_object_get(s->side->special_map, "bos_token");
    const char *content = side_files_content(entry);
    return content ? content : "<|endoftext|>";
}

/* add_bos_token puts the beginning token in front of a text. *out is NULL where nothing is added. */
static enum status make_post_processor(const struct vocab_merges *s, json_t **out, struct error *e) {
    *out = NULL;
    if (!json_is_true(json_object_get(s->side->config, "add_bos_token"))) return STATUS_OK;
    const char *content = beginning_token(s);
    const json_t *id = json_object_get(json_object_get(s->tokens, content), "id");
    if (!id)
        return error_set(e, STATUS_MALFORMED, FILE_NAME_TOKENIZER_CONFIG,
                         "add_bos_token, but bos_token '%s' is not a token", content);
    *out = side_files_template(content, json_integer_value(id), NULL, 0);
    return *out ? STATUS_OK : vocab_merges_no_memory(e);
}

static enum status build(struct vocab_merges *s, json_t **out, struct error *e) {
    json_t *added = json_array(), *post = NULL;
    bool prefix = json_is_true(json_object_get(s->side->config, "add_prefix_space"));
    enum status status = added ? vocab_merges_number_tokens(s, added, e) : vocab_merges_no_memory(e);
    if (status == STATUS_OK) status = make_post_processor(s, &post, e);
    if (status == STATUS_OK) {
        *out = json_pack("{s:O, s:{s:s, s:b}, s:O?, s:{s:s}, s:{s:s, s:O, s:O}}", "added_tokens", added,
                         "pre_tokenizer", "type", "ByteLevel", "add_prefix_space", prefix, "post_processor",
                         post, "decoder", "type", "ByteLevel", "model", "type", "BPE", "vocab", s->vocab,
                         "merges", s->merges);
        if (!*out) status = vocab_merges_no_memory(e);
    }
    json_decref(added);
    json_decref(post);
    return status;
}

/* ---- all ------------------------------------------------------------------------------------------------- */

static enum status build_scheme(struct vocab_merges *s, json_t **out, struct error *e) {
    switch (s->scheme) {
    case SCHEME_CTRL:
        return vocab_merges_build_ctrl(s, out, e);
    case SCHEME_MOSES:
        return vocab_merges_build_moses(s, out, e);
    case SCHEME_BYTES:
        break;
    }
    return build(s, out, e);
}

enum status vocab_merges_load(const char *folder, const struct side_files *side, size_t bytes_max,
                              json_t **out, struct error *e) {
    struct vocab_merges s = {.side = side};
    struct error scheme_error = {0};
    enum status scheme_status = find_scheme(&s, &scheme_error);
    enum status status = load_sources(folder, bytes_max, &s, e);
    if (status == STATUS_OK && scheme_status != STATUS_OK) {
        status = scheme_status;
        if (e) *e = scheme_error;
    }
    if (status == STATUS_OK && s.scheme == SCHEME_BYTES) status = check_vocabulary(&s, e);
    if (status == STATUS_OK) status = collect_tokens(&s, e);
    if (status == STATUS_OK) status = build_scheme(&s, out, e);
    deinit_sources(&s);
    return status;
}
