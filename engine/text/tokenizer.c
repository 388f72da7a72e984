/* Opens the parts of a tokenizer and runs them in order:
 * added tokens of the text as it stands -> normalizer -> added tokens of the normal form -> pre-tokenizer ->
 * model -> post-processor. "truncation" and "padding" of the file are a default of batch use and not
 * followed. */
#include "engine/text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/files/json_file.h"
#include "engine/files/json_repair.h"
#include "engine/text/added_tokens.h"
#include "engine/text/token_model/token_model.h"
#include "engine/text/normalize/normalizer.h"
#include "engine/text/post_processor.h"
#include "engine/text/pretokenize/pre_tokenizer.h"
#include "engine/text/sources/tokenizer_source.h"
#include "engine/text/tokenizer_parts.h"
#include "engine/types/limits.h"
#include "engine/text/unicode/unicode.h"

/* Bytes of one text, far above any context length; places in it fit 32 bits. */

/* Characters that a normal form may have beyond the number of bytes of the text. */
#define GROWTH_CHARACTERS_MAX ((size_t)64 << 10)

enum { TOKEN_IS_THERE = 1, TOKEN_IS_SPECIAL = 2 };

struct tokenizer {
    struct token_model model;
    struct normalizer normalizer;
    struct added_tokens added;
    struct pre_tokenizer pre_tokenizer;
    struct post_processor post_processor;
    struct decoder decoder;
    unsigned char *flags; /* [id_end] */
    size_t id_end;
    size_t model_bytes_max; /* per token, of what the model gets; 0: no bound */
    size_t text_bytes_max;  /* per token, of the text as it stands; 0: no bound */
};

static enum status set_flags(struct tokenizer *t, struct error *e) {
    size_t model_end = t->model.vocabulary.id_end, added_end = t->added.id_end;
    t->id_end = model_end > added_end ? model_end : added_end;
    t->flags = calloc(t->id_end + 1, 1);
    if (!t->flags) return text_no_memory(e);
    for (size_t id = 0; id < t->id_end; id++)
        if (tokenizer_content(t, (int32_t)id)) t->flags[id] = TOKEN_IS_THERE;
    for (size_t i = 0; i < t->added.count; i++)
        if (t->added.items[i].special) t->flags[t->added.items[i].id] |= TOKEN_IS_SPECIAL;
    return STATUS_OK;
}

/* A token is an added one that was found in the text or its normal form, or one of the model. */
static void set_bounds(struct tokenizer *t) {
    size_t shrink = normalizer_shrink_max(&t->normalizer);
    t->model_bytes_max = model_bytes_per_token_max(&t->model, pre_tokenizer_is_byte_level(&t->pre_tokenizer));
    if (t->model_bytes_max == 0 || !pre_tokenizer_keeps_all(&t->pre_tokenizer) || t->added.takes_blanks)
        return;
    size_t longest = t->model_bytes_max > t->added.longest ? t->model_bytes_max : t->added.longest;
    if (!memory_multiply(longest, shrink, &t->text_bytes_max)) t->text_bytes_max = 0;
}

static enum status read_parts(struct tokenizer *t, const struct json_path *top, struct error *e) {
    struct json_path model = json_path_member(top, "model"), normalizer = json_path_member(top, "normalizer");
    struct json_path added = json_path_member(top, "added_tokens");
    struct json_path pre_tokenizer = json_path_member(top, "pre_tokenizer");
    struct json_path post_processor = json_path_member(top, "post_processor");
    struct json_path decoder = json_path_member(top, "decoder");
    enum status status = token_model_init(&t->model, &model, e);
    if (status == STATUS_OK) status = normalizer_init(&t->normalizer, &normalizer, e);
    if (status == STATUS_OK)
        status = added_tokens_init(&t->added, &added, &t->model.vocabulary, &t->normalizer, e);
    if (status == STATUS_OK) status = pre_tokenizer_init(&t->pre_tokenizer, &pre_tokenizer, e);
    if (status == STATUS_OK) status = decoder_init(&t->decoder, &decoder, e);
    if (status == STATUS_OK) status = set_flags(t, e);
    if (status == STATUS_OK) set_bounds(t);
    return status == STATUS_OK ? post_processor_init(&t->post_processor, &post_processor, t, e) : status;
}

enum status tokenizer_create(const json_t *file, const char *name, struct tokenizer **out, struct error *e) {
    struct tokenizer *t = calloc(1, sizeof *t);
    if (!t) return text_no_memory(e);
    struct json_path top = json_path_top(name, file);
    enum status status = read_parts(t, &top, e);
    if (status != STATUS_OK) {
        tokenizer_close(t);
        return status;
    }
    *out = t;
    return STATUS_OK;
}

enum status tokenizer_open(const char *folder, struct tokenizer **out, struct error *e) {
    json_t *file = NULL;
    const char *name;
    enum status status = tokenizer_source_load(folder, &file, &name, e);
    if (status == STATUS_OK) status = tokenizer_create(file, name, out, e);
    json_decref(file);
    return status;
}

enum status tokenizer_open_text(const char *text, size_t length, const char *name, struct tokenizer **out,
                                struct error *e) {
    json_t *file = NULL;
    enum status status =
        json_file_parse_as(text, length, name, JSON_FILE_VALUES_MAX, JSON_FILE_WITH_NULS, &file, e);
    if (status == STATUS_OK) status = tokenizer_create(file, name, out, e);
    json_decref(file);
    return status;
}

enum status tokenizer_read_text(const char *folder, char **text, size_t *length, struct error *e) {
    json_t *file = NULL;
    const char *name;
    enum status status = tokenizer_source_load(folder, &file, &name, e);
    if (status != STATUS_OK) return status;
    char *written = json_dumps(file, JSON_COMPACT);
    json_decref(file);
    *text = written ? json_repair_undo(written, length) : NULL;
    free(written);
    return *text ? STATUS_OK : text_no_memory(e);
}

bool tokenizer_is_missing(const char *folder, enum status status) {
    return status == STATUS_NOT_FOUND || (status == STATUS_UNSUPPORTED && !tokenizer_source_has_file(folder));
}

void tokenizer_close(struct tokenizer *t) {
    if (!t) return;
    token_model_deinit(&t->model);
    normalizer_deinit(&t->normalizer);
    added_tokens_deinit(&t->added);
    pre_tokenizer_deinit(&t->pre_tokenizer);
    post_processor_deinit(&t->post_processor);
    decoder_deinit(&t->decoder);
    free(t->flags);
    free(t);
}

/* Working memory of one encoding. */
struct encoding {
    const struct tokenizer *tokenizer;
    size_t tokens_max;
    struct guard guard;
    size_t characters_max, characters; /* of the normal form */
    struct regex_run *run;
    struct piece_list pieces, other;
    struct text_buffer text;
    struct token_model_scratch scratch;
    struct token_list ids;
};

/* The later stages take memory for each character, so a normal form must not have many times as many as there
 * are bytes: all but a few characters become no more of them than they have bytes. */
static enum status check_growth(struct encoding *c, struct error *e) {
    c->characters += c->text.length ? utf8_count(c->text.bytes, c->text.length) : 0;
    if (c->characters <= c->characters_max) return STATUS_OK;
    return error_set(e, STATUS_INVALID_ARGUMENT, "tokenizer",
                     "the normal form of the text has more than %zu characters", c->characters_max);
}

/* Cuts c->text, the normal form of a piece, where parts of that are guarded. */
static enum status cut_form(struct encoding *c, const struct piece *piece, bool first, struct error *e) {
    const struct added_tokens *added = &c->tokenizer->added;
    struct guard whole = {.ranges = c->guard.ranges, .count = c->guard.count, .offset = piece->start},
                 form = {0};
    struct text_range *ranges = NULL;
    enum status status = STATUS_OK;
    if (whole.count > 0 && added->normalized.node_count > 0)
        status = guard_normalized(&whole, &c->tokenizer->normalizer, c->run, piece_text(&c->other, piece),
                                  piece->length, piece->first, &c->text, &ranges, &form.count, e);
    form.ranges = ranges;
    if (status == STATUS_OK)
        added_tokens_cut(added, true, c->text.bytes ? c->text.bytes : "", c->text.length, first, &form,
                         &c->pieces);
    free(ranges);
    return status;
}

/* The text between two added tokens, normalized and cut at the added tokens of its normal form. */
static enum status normalize_piece(struct encoding *c, const struct piece *piece, struct error *e) {
    const struct tokenizer *t = c->tokenizer;
    bool first = piece->first;
    text_buffer_clear(&c->text);
    text_buffer_append(&c->text, piece_text(&c->other, piece), piece->length);
    enum status status = normalizer_run(&t->normalizer, c->run, &c->text, &first, e);
    if (status == STATUS_OK) status = check_growth(c, e);
    return status == STATUS_OK ? cut_form(c, piece, first, e) : status;
}

static enum status cut_text(struct encoding *c, const char *text, size_t length, struct error *e) {
    const struct tokenizer *t = c->tokenizer;
    added_tokens_cut(&t->added, false, text, length, true, &c->guard, &c->other);
    enum status status = piece_list_status(&c->other, e);
    for (size_t i = 0; status == STATUS_OK && i < c->other.count; i++) {
        const struct piece *piece = &c->other.items[i];
        if (piece->id >= 0)
            piece_list_add(&c->pieces, piece_text(&c->other, piece), piece->length, piece->id, piece->first);
        else
            status = normalize_piece(c, piece, e);
    }
    if (status == STATUS_OK) status = piece_list_status(&c->pieces, e);
    return status == STATUS_OK ? pre_tokenizer_run(&t->pre_tokenizer, c->run, &c->pieces, &c->other, e)
                               : status;
}

static enum status check_count(const struct encoding *c, size_t count, struct error *e) {
    if (c->tokens_max == 0 || count <= c->tokens_max) return STATUS_OK;
    return error_set(e, STATUS_LIMIT, "tokens", "the text has more than %zu tokens", c->tokens_max);
}

static enum status add_ids(struct encoding *c, const struct token_list *from, struct error *e) {
    for (size_t i = 0; i < from->count; i++)
        if (!token_list_add(&c->ids, from->ids[i])) return text_no_memory(e);
    return check_count(c, c->ids.count, e);
}

/* Before any memory is taken for it: words that cannot be so few tokens whatever they are. */
static enum status check_words(const struct encoding *c, struct error *e) {
    size_t bytes = 0, most, per_token = c->tokenizer->model_bytes_max;
    if (c->tokens_max == 0 || !memory_multiply(c->tokens_max, per_token, &most) || most == 0)
        return STATUS_OK;
    for (size_t i = 0; i < c->pieces.count; i++)
        if (c->pieces.items[i].id < 0) bytes += c->pieces.items[i].length;
    return bytes <= most ? STATUS_OK : check_count(c, bytes / per_token + 1, e);
}

/* Different control tokens that one word may have in it, as the model's own vocabulary finds them. */
enum { CONTROLS_IN_WORD_MAX = 64 };

/* The content of the first control token of a word that the model has found since `from`; NULL: none. One whose content
 * the word has not stands for what the vocabulary lacks. */
static const char *found_control(const struct encoding *c, size_t from, const char *word, size_t word_length,
                                 size_t *length) {
    const struct added_tokens *added = &c->tokenizer->added;
    for (size_t i = from; i < c->ids.count; i++) {
        if (!added_tokens_controls(added, c->ids.ids[i])) continue;
        const char *content = added_tokens_content(added, c->ids.ids[i], length);
        if (memmem(word, word_length, content, *length)) return content;
    }
    return NULL;
}

/* The ids of a word, of which a guarded text may have a part. Where the model finds a control token in its own
 * vocabulary, the word is cut behind the first character of each place that looks like it. Each level of the
 * recursion is rid of one token more. */
static enum status encode_word(struct encoding *c, const char *word, size_t length, size_t level,
                               struct error *e) {
    size_t from = c->ids.count, size;
    enum status status = token_model_encode(&c->tokenizer->model, &c->scratch, word, length, &c->ids, e);
    if (status != STATUS_OK || c->guard.count == 0) return status;
    const char *content = found_control(c, from, word, length, &size);
    if (!content) return STATUS_OK;
    c->ids.count = from;
    const char *end = word + length, *found = memmem(word, length, content, size);
    if (level == CONTROLS_IN_WORD_MAX || utf8_count(content, size) < 2)
        return error_set(e, STATUS_UNSUPPORTED, "tokenizer",
                         "what a client wrote cannot be encoded without the control token '%.*s'",
                         (int)(size & 255), content);
    for (size_t first = 0; status == STATUS_OK && found;
         found = memmem(word, (size_t)(end - word), content, size), first = 0) {
        utf8_next(found, size, &first);
        status = encode_word(c, word, (size_t)(found - word) + first, level + 1, e);
        word = found + first;
    }
    return status == STATUS_OK && word < end ? encode_word(c, word, (size_t)(end - word), level + 1, e)
                                             : status;
}

static enum status encode_pieces(struct encoding *c, struct error *e) {
    enum status status = check_words(c, e);
    for (size_t i = 0; status == STATUS_OK && i < c->pieces.count; i++) {
        const struct piece *piece = &c->pieces.items[i];
        if (piece->id < 0)
            status = encode_word(c, piece_text(&c->pieces, piece), piece->length, 0, e);
        else if (!token_list_add(&c->ids, piece->id))
            status = text_no_memory(e);
        if (status == STATUS_OK) status = check_count(c, c->ids.count, e);
    }
    return status;
}

static enum status encode(struct encoding *c, const char *text, size_t length, bool special,
                          struct error *e) {
    const struct post_processor *post = &c->tokenizer->post_processor;
    enum status status = regex_run_create(REGEX_STEPS_ENCODING, &c->run, e);
    if (status == STATUS_OK) status = cut_text(c, text, length, e);
    if (status == STATUS_OK && special) status = add_ids(c, &post->before, e);
    if (status == STATUS_OK) status = encode_pieces(c, e);
    if (status == STATUS_OK && special) status = add_ids(c, &post->after, e);
    return status;
}

static enum status append_ids(struct token_list *out, const struct token_list *ids, struct error *e) {
    if (ids->count == 0) return STATUS_OK;
    if (!array_reserve(&out->ids, &out->capacity, out->count + ids->count)) return text_no_memory(e);
    memcpy(out->ids + out->count, ids->ids, ids->count * sizeof *out->ids);
    out->count += ids->count;
    return STATUS_OK;
}

enum status tokenizer_encode(const struct tokenizer *t, const char *text, size_t length, bool special,
                             size_t tokens_max, struct token_list *out, struct error *e) {
    return tokenizer_encode_guarded(t, text, length, special, NULL, 0, tokens_max, out, e);
}

enum status tokenizer_encode_guarded(const struct tokenizer *t, const char *text, size_t length, bool special,
                                     const struct text_range *guarded, size_t guarded_count,
                                     size_t tokens_max, struct token_list *out, struct error *e) {
    struct encoding c = {.tokenizer = t,
                         .tokens_max = tokens_max,
                         .guard = {.ranges = guarded, .count = guarded_count},
                         .characters_max = length + GROWTH_CHARACTERS_MAX};
    if (length > TEXT_BYTES_MAX)
        return error_set(e, STATUS_LIMIT, "tokenizer", "the text is longer than %zu bytes", TEXT_BYTES_MAX);
    size_t valid = utf8_valid_prefix(text, length);
    if (valid != length)
        return error_set(e, STATUS_INVALID_ARGUMENT, "tokenizer", "the text is not UTF-8 at byte %zu", valid);
    enum status status = encode(&c, text, length, special, e);
    if (status == STATUS_OK) status = append_ids(out, &c.ids, e);
    regex_run_destroy(c.run);
    piece_list_deinit(&c.pieces);
    piece_list_deinit(&c.other);
    text_buffer_deinit(&c.text);
    token_model_scratch_deinit(&c.scratch);
    free(c.ids.ids);
    return status;
}

static enum status decode(const struct tokenizer *t, struct decoder_run *run, const int32_t *ids,
                          size_t count, bool skip_special, size_t *certain, struct error *e) {
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        size_t length;
        const char *content = tokenizer_decoded_content(t, ids[i], skip_special, &length);
        if (content) status = decoder_run_push(run, content, length, e);
    }
    size_t said = decoder_run_output(run)->length;
    if (status == STATUS_OK) status = decoder_run_finish(run, e);
    const struct text_buffer *text = decoder_run_output(run);
    if (certain && text->length > said)
        *certain = said + decoder_whole_length(text->bytes + said, text->length - said);
    else if (certain)
        *certain = said;
    return status;
}

enum status tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t count, bool skip_special,
                             char **out, size_t *length, struct error *e) {
    return tokenizer_decode_certain(t, ids, count, skip_special, out, length, NULL, e);
}

enum status tokenizer_decode_certain(const struct tokenizer *t, const int32_t *ids, size_t count,
                                     bool skip_special, char **out, size_t *length, size_t *certain,
                                     struct error *e) {
    struct decoder_run *run;
    enum status status = decoder_run_create(&t->decoder, &run, e);
    if (status != STATUS_OK) return status;
    status = decode(t, run, ids, count, skip_special, certain, e);
    struct text_buffer *text = decoder_run_output(run);
    if (status == STATUS_OK) text_buffer_append_byte(text, '\0');
    if (status == STATUS_OK) status = text_buffer_status(text, e);
    if (status == STATUS_OK) {
        *out = text->bytes;
        *length = text->length - 1;
        *text = (struct text_buffer){0}; /* the bytes are the caller's now */
    }
    decoder_run_destroy(run);
    return status;
}

size_t tokenizer_vocabulary(const struct tokenizer *t) {
    return t->id_end;
}

static bool has_flag(const struct tokenizer *t, int32_t id, unsigned char flag) {
    return id >= 0 && (size_t)id < t->id_end && (t->flags[id] & flag);
}

size_t tokenizer_bytes_per_token_max(const struct tokenizer *t) {
    return t->text_bytes_max;
}

bool tokenizer_has(const struct tokenizer *t, int32_t id) {
    return has_flag(t, id, TOKEN_IS_THERE);
}

bool tokenizer_is_special(const struct tokenizer *t, int32_t id) {
    return has_flag(t, id, TOKEN_IS_SPECIAL);
}

bool tokenizer_is_added(const struct tokenizer *t, int32_t id) {
    size_t length;
    return added_tokens_content(&t->added, id, &length) != NULL;
}

bool tokenizer_is_control(const struct tokenizer *t, int32_t id) {
    return added_tokens_controls(&t->added, id);
}

int32_t tokenizer_find(const struct tokenizer *t, const char *content) {
    int32_t id = added_tokens_find(&t->added, content, strlen(content));
    return id >= 0 ? id : vocabulary_find(&t->model.vocabulary, content, strlen(content));
}

static const char *find_content(const struct tokenizer *t, int32_t id, size_t *length) {
    const char *content = added_tokens_content(&t->added, id, length);
    return content ? content : vocabulary_content(&t->model.vocabulary, id, length);
}

const char *tokenizer_content(const struct tokenizer *t, int32_t id) {
    return find_content(t, id, NULL);
}

const struct token_list *tokenizer_ids_before(const struct tokenizer *t) {
    return &t->post_processor.before;
}

const struct decoder *tokenizer_decoder(const struct tokenizer *t) {
    return &t->decoder;
}

const char *tokenizer_decoded_content(const struct tokenizer *t, int32_t id, bool skip_special,
                                      size_t *length) {
    return skip_special && tokenizer_is_special(t, id) ? NULL : find_content(t, id, length);
}
