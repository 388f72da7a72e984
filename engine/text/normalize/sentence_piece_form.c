#include "engine/text/normalize/sentence_piece_form.h"

#include <string.h>

#include "engine/text/unicode/unicode.h"

static const char blank_symbol[] = "\xE2\x96\x81"; /* U+2581 */

enum { BLANK_SYMBOL_BYTES = sizeof blank_symbol - 1 };

static enum status read_symbols(struct sentence_piece_form *f, const struct json_path *path,
                                struct error *e) {
    struct json_path list = json_path_member(path, "user_defined");
    size_t count;
    enum status status = list.value ? json_path_array(&list, &count, e) : STATUS_OK;
    for (size_t i = 0; list.value && status == STATUS_OK && i < count; i++) {
        struct json_path item = json_path_element(&list, i);
        if (json_string_length(item.value) == 0)
            return json_path_error(&item, STATUS_MALFORMED, e, "expected the text of a piece");
        status = trie_add(&f->symbols, json_string_value(item.value), json_string_length(item.value), 0, e);
    }
    return status;
}

enum status sentence_piece_form_init(struct sentence_piece_form *f, const struct json_path *path,
                                     struct error *e) {
    *f =
        (struct sentence_piece_form){.has_map = json_path_member(path, "precompiled_charsmap").value != NULL};
    const struct {
        const char *key;
        bool *into;
    } flags[] = {{"add_dummy_prefix", &f->dummy_prefix},
                 {"remove_extra_whitespaces", &f->trims},
                 {"escape_whitespaces", &f->escapes},
                 {"legacy", &f->legacy}};
    enum status status = json_path_bool(path, "whitespace_as_suffix", false, &f->is_suffix, e);
    for (size_t i = 0; status == STATUS_OK && i < sizeof flags / sizeof flags[0]; i++)
        status = json_path_bool(path, flags[i].key, true, flags[i].into, e);
    if (status == STATUS_OK) status = read_symbols(f, path, e);
    return status == STATUS_OK && f->has_map ? character_map_init(&f->map, path, e) : status;
}

void sentence_piece_form_deinit(struct sentence_piece_form *f) {
    character_map_deinit(&f->map);
    trie_deinit(&f->symbols);
    *f = (struct sentence_piece_form){0};
}

size_t sentence_piece_form_shrink_max(const struct sentence_piece_form *f) {
    if (f->has_map || f->trims) return 0;
    return f->legacy ? 1 : BLANK_SYMBOL_BYTES; /* else U+2581 may become a blank first */
}

/* What a text begins with: what becomes of it, and how much of the text it is. */
struct prefix {
    const char *form;
    size_t form_length, length;
};

static struct prefix next_prefix(const struct sentence_piece_form *f, const char *text, size_t length) {
    size_t key, next = 0;
    if (f->symbols.node_count > 0 && trie_longest(&f->symbols, TRIE_ROOT, text, length, &key) >= 0)
        return (struct prefix){text, key, key};
    const char *found = f->has_map ? character_map_longest(&f->map, text, length, &key, NULL) : NULL;
    if (found) return (struct prefix){found, strlen(found), key};
    utf8_next(text, length, &next);
    return (struct prefix){text, next, next};
}

static void append_blank(const struct sentence_piece_form *f, struct text_buffer *out) {
    if (f->escapes)
        text_buffer_append(out, blank_symbol, BLANK_SYMBOL_BYTES);
    else
        text_buffer_append_byte(out, ' ');
}

static void append_form(const struct sentence_piece_form *f, struct prefix prefix, struct text_buffer *out) {
    for (size_t i = 0; i < prefix.form_length; i++)
        if (prefix.form[i] == ' ')
            append_blank(f, out);
        else
            text_buffer_append_byte(out, prefix.form[i]);
}

static void drop_blanks_at_end(const struct sentence_piece_form *f, size_t begin, struct text_buffer *out) {
    const char *blank = f->escapes ? blank_symbol : " ";
    size_t size = strlen(blank);
    while (out->length - begin >= size && memcmp(out->bytes + out->length - size, blank, size) == 0)
        out->length -= size;
}

/* Bytes at the start of a text that are blanks and go. */
static size_t blanks_at_start(const struct sentence_piece_form *f, const char *text, size_t length) {
    size_t at = 0;
    while (at < length) {
        struct prefix prefix = next_prefix(f, text + at, length - at);
        if (prefix.form_length != 1 || prefix.form[0] != ' ') break;
        at += prefix.length;
    }
    return at;
}

/* begin: where the form of the whole text begins in out; behind it goes that of text. */
static void append_rest(const struct sentence_piece_form *f, const char *text, size_t length,
                        bool after_blank, size_t begin, struct text_buffer *out) {
    for (size_t at = 0; at < length && !out->failed;) {
        struct prefix prefix = next_prefix(f, text + at, length - at);
        at += prefix.length;
        while (after_blank && prefix.form_length > 0 && prefix.form[0] == ' ')
            prefix.form++, prefix.form_length--;
        append_form(f, prefix, out);
        if (prefix.form_length > 0) after_blank = f->trims && prefix.form[prefix.form_length - 1] == ' ';
    }
    if (f->trims && !out->failed) drop_blanks_at_end(f, begin, out);
}

static void append_text(const struct sentence_piece_form *f, const char *text, size_t length, bool has_prefix,
                        struct text_buffer *out) {
    size_t start = f->trims ? blanks_at_start(f, text, length) : 0, begin = out->length;
    if (start == length) return;
    if (has_prefix && !f->is_suffix) append_blank(f, out);
    append_rest(f, text + start, length - start, f->trims, begin, out);
    if (has_prefix && f->is_suffix) append_blank(f, out);
}

/* Since transformers 4.31: U+2581 is a blank, one blank is put before the whole text, and a text that begins with a
 * blank is taken for the middle of one, so that it stays. */
static void append_modern(const struct sentence_piece_form *f, const char *text, size_t length, bool first,
                          struct text_buffer *out) {
    struct text_buffer plain = {0};
    size_t begin = out->length;
    for (size_t at = 0; at < length; at++) {
        bool symbol =
            length - at >= BLANK_SYMBOL_BYTES && memcmp(text + at, blank_symbol, BLANK_SYMBOL_BYTES) == 0;
        text_buffer_append_byte(&plain, (char)(symbol ? ' ' : text[at]));
        if (symbol) at += BLANK_SYMBOL_BYTES - 1;
    }
    bool has_prefix = first && f->dummy_prefix;
    if (has_prefix) text_buffer_append(out, blank_symbol, BLANK_SYMBOL_BYTES);
    if (plain.failed)
        out->failed = true;
    else if (has_prefix || plain.bytes[0] == ' ')
        append_rest(f, plain.bytes, plain.length, false, begin, out);
    else
        append_text(f, plain.bytes, plain.length, false, out);
    text_buffer_deinit(&plain);
}

void sentence_piece_form_append(const struct sentence_piece_form *f, const char *text, size_t length,
                                bool first, struct text_buffer *out) {
    if (f->legacy)
        append_text(f, text, length, f->dummy_prefix, out);
    else
        append_modern(f, text, length, first, out);
}
