#include "engine/text/normalize/normalizer.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/text/normalize/character_map.h"
#include "engine/text/normalize/moses_words.h"
#include "engine/text/normalize/normal_form.h"
#include "engine/text/normalize/sentence_piece_form.h"
#include "engine/text/regex/pattern.h"
#include "engine/text/pretokenize/pre_tokenizer.h"
#include "engine/text/unicode/unicode.h"

enum step_kind {
    STEP_NORMAL_FORM,
    STEP_CLEAN, /* BertNormalizer is up to four steps; this one, and the next */
    STEP_SPACE_IDEOGRAPHS,
    STEP_DROP_NONSPACING,
    STEP_DROP_MARKS,
    STEP_LOWERCASE,
    STEP_REPLACE,
    STEP_PREPEND,
    STEP_STRIP,
    STEP_CHARACTER_MAP,
    STEP_SENTENCE_PIECE,
    STEP_MOSES,
};

struct normalizer_step {
    enum step_kind kind;
    enum normal_form form;
    bool strip_left, strip_right;
    struct regex *regex;     /* Replace: what is replaced, */
    struct text_buffer text; /* by this; Prepend: what is put in front */
    size_t literal_bytes;    /* Replace: of what is replaced; 0: matches differ */
    struct character_map map;
    struct sentence_piece_form form_of_pieces;
};

static void deinit_step(struct normalizer_step *step) {
    regex_destroy(step->regex);
    text_buffer_deinit(&step->text);
    character_map_deinit(&step->map);
    sentence_piece_form_deinit(&step->form_of_pieces);
}

/* The normalizer owns what the step holds from here on, even if it cannot be added. */
static enum status add_step(struct normalizer *n, const struct json_path *path, struct normalizer_step step,
                            struct error *e) {
    enum status status = STATUS_OK;
    if (n->count >= TEXT_STEPS_MAX)
        status = json_path_error(path, STATUS_LIMIT, e, "more than %d normalizers", TEXT_STEPS_MAX);
    else if (!array_reserve(&n->steps, &n->capacity, n->count + 1))
        status = text_no_memory(e);
    if (status == STATUS_OK)
        n->steps[n->count++] = step;
    else
        deinit_step(&step);
    return status;
}

static enum status add_kind(struct normalizer *n, const struct json_path *path, enum step_kind kind,
                            struct error *e) {
    return add_step(n, path, (struct normalizer_step){.kind = kind}, e);
}

static enum status add_form(struct normalizer *n, const struct json_path *path, enum normal_form form,
                            struct error *e) {
    return add_step(n, path, (struct normalizer_step){.kind = STEP_NORMAL_FORM, .form = form}, e);
}

/* strip_accents: null means as "lowercase". */
static enum status read_bert(struct normalizer *n, const struct json_path *path, struct error *e) {
    bool clean, ideographs, accents, lowercase;
    enum status status = json_path_bool(path, "clean_text", true, &clean, e);
    if (status == STATUS_OK) status = json_path_bool(path, "handle_chinese_chars", true, &ideographs, e);
    if (status == STATUS_OK) status = json_path_bool(path, "lowercase", true, &lowercase, e);
    if (status == STATUS_OK) status = json_path_bool(path, "strip_accents", lowercase, &accents, e);
    if (status == STATUS_OK && clean) status = add_kind(n, path, STEP_CLEAN, e);
    if (status == STATUS_OK && ideographs) status = add_kind(n, path, STEP_SPACE_IDEOGRAPHS, e);
    if (status == STATUS_OK && accents) status = add_form(n, path, NORMAL_FORM_D, e);
    if (status == STATUS_OK && accents) status = add_kind(n, path, STEP_DROP_NONSPACING, e);
    if (status == STATUS_OK && lowercase) status = add_kind(n, path, STEP_LOWERCASE, e);
    return status;
}

static enum status read_text(struct normalizer_step *step, const struct json_path *path, const char *key,
                             struct error *e) {
    const char *text;
    size_t length;
    enum status status = json_path_string(path, key, NULL, &text, &length, e);
    if (status != STATUS_OK) return status;
    text_buffer_append(&step->text, text, length);
    return text_buffer_status(&step->text, e);
}

/* Adds a step that was read, or gives up what it holds. */
static enum status add_read(struct normalizer *n, const struct json_path *path, struct normalizer_step step,
                            enum status status, struct error *e) {
    if (status == STATUS_OK) return add_step(n, path, step, e);
    deinit_step(&step);
    return status;
}

static enum status read_replace(struct normalizer *n, const struct json_path *path, struct error *e) {
    struct normalizer_step step = {.kind = STEP_REPLACE};
    enum status status = read_text(&step, path, "content", e);
    if (status == STATUS_OK) status = pattern_read(path, &step.regex, e);
    step.literal_bytes = pattern_literal_bytes(path);
    return add_read(n, path, step, status, e);
}

static enum status read_prepend(struct normalizer *n, const struct json_path *path, struct error *e) {
    struct normalizer_step step = {.kind = STEP_PREPEND};
    return add_read(n, path, step, read_text(&step, path, "prepend", e), e);
}

static enum status read_strip(struct normalizer *n, const struct json_path *path, struct error *e) {
    struct normalizer_step step = {.kind = STEP_STRIP};
    enum status status = json_path_bool(path, "strip_left", true, &step.strip_left, e);
    if (status == STATUS_OK) status = json_path_bool(path, "strip_right", true, &step.strip_right, e);
    return add_read(n, path, step, status, e);
}

static enum status read_precompiled(struct normalizer *n, const struct json_path *path, struct error *e) {
    struct normalizer_step step = {.kind = STEP_CHARACTER_MAP};
    return add_read(n, path, step, character_map_init(&step.map, path, e), e);
}

static enum status read_sentence_piece(struct normalizer *n, const struct json_path *path, struct error *e) {
    struct normalizer_step step = {.kind = STEP_SENTENCE_PIECE};
    return add_read(n, path, step, sentence_piece_form_init(&step.form_of_pieces, path, e), e);
}

static enum status read_any(struct normalizer *n, const struct json_path *path, struct error *e);

static enum status read_sequence(struct normalizer *n, const struct json_path *path, struct error *e) {
    struct json_path list = json_path_member(path, "normalizers");
    size_t count;
    enum status status = json_path_array(&list, &count, e);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        struct json_path element = json_path_element(&list, i);
        status = read_any(n, &element, e);
    }
    return status;
}

static enum status read_any(struct normalizer *n, const struct json_path *path, struct error *e) {
    static const struct {
        const char *type;
        enum status (*read)(struct normalizer *, const struct json_path *, struct error *);
    } readers[] = {
        {"BertNormalizer", read_bert},
        {"Replace", read_replace},
        {"Prepend", read_prepend},
        {"Strip", read_strip},
        {"Precompiled", read_precompiled},
        {"Sequence", read_sequence},
        {"SentencePiece", read_sentence_piece},
    };
    static const char *const forms[] = {[NORMAL_FORM_C] = "NFC",
                                        [NORMAL_FORM_D] = "NFD",
                                        [NORMAL_FORM_KC] = "NFKC",
                                        [NORMAL_FORM_KD] = "NFKD"};
    const char *type;
    enum status status = json_path_type(path, &type, e);
    if (status != STATUS_OK) return status;
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++)
        if (strcmp(type, readers[i].type) == 0) return readers[i].read(n, path, e);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (strcmp(type, forms[i]) == 0) return add_form(n, path, (enum normal_form)i, e);
    if (strcmp(type, "Moses") == 0) return add_kind(n, path, STEP_MOSES, e);
    if (strcmp(type, "Lowercase") == 0) return add_kind(n, path, STEP_LOWERCASE, e);
    if (strcmp(type, "StripAccents") == 0) return add_kind(n, path, STEP_DROP_MARKS, e);
    struct json_path at = json_path_member(path, "type");
    return json_path_error(&at, STATUS_UNSUPPORTED, e, "'%s' is not supported", type);
}

enum status normalizer_init(struct normalizer *n, const struct json_path *path, struct error *e) {
    *n = (struct normalizer){0};
    return path->value ? read_any(n, path, e) : STATUS_OK;
}

void normalizer_deinit(struct normalizer *n) {
    for (size_t i = 0; i < n->count; i++) deinit_step(&n->steps[i]);
    free(n->steps);
    *n = (struct normalizer){0};
}

/* No canonical decomposition has more than 4 code points (annex 15 of the Unicode standard), so at most 4
 * code points, of at most 4 bytes each, are composed into one of at least 1 byte. */
#define NORMAL_FORM_SHRINK_MAX 16

static size_t step_shrink_max(const struct normalizer_step *step) {
    switch (step->kind) {
    case STEP_NORMAL_FORM:
        return NORMAL_FORM_SHRINK_MAX;
    case STEP_LOWERCASE:
        return UTF8_BYTES_MAX; /* of one code point at least one is made */
    case STEP_SPACE_IDEOGRAPHS:
    case STEP_PREPEND:
        return 1;
    case STEP_REPLACE:
        if (step->literal_bytes == 0 || step->text.length == 0) return 0;
        return (step->literal_bytes + step->text.length - 1) / step->text.length;
    case STEP_SENTENCE_PIECE:
        return sentence_piece_form_shrink_max(&step->form_of_pieces);
    case STEP_CLEAN:
    case STEP_DROP_NONSPACING:
    case STEP_DROP_MARKS:
    case STEP_STRIP:
    case STEP_CHARACTER_MAP:
    case STEP_MOSES:
        break;
    }
    return 0;
}

size_t normalizer_shrink_max(const struct normalizer *n) {
    size_t shrink = 1;
    for (size_t i = 0; i < n->count; i++)
        if (!memory_multiply(shrink, step_shrink_max(&n->steps[i]), &shrink)) return 0;
    return shrink;
}

/* Blocks of Chinese characters as BERT's code has them (its 0x2B920 included). */
static bool is_ideograph(int32_t point) {
    return (point >= 0x4E00 && point <= 0x9FFF) || (point >= 0x3400 && point <= 0x4DBF) ||
           (point >= 0x20000 && point <= 0x2A6DF) || (point >= 0x2A700 && point <= 0x2B73F) ||
           (point >= 0x2B740 && point <= 0x2B81F) || (point >= 0x2B920 && point <= 0x2CEAF) ||
           (point >= 0xF900 && point <= 0xFAFF) || (point >= 0x2F800 && point <= 0x2FA1F);
}

/* Control characters that BERT's cleaning takes for blanks; vertical tab, form feed and NEL it drops. */
static bool is_line_blank(int32_t point) {
    return point == '\t' || point == '\n' || point == '\r';
}

/* Appends what becomes of one code point, which may be nothing. */
static void append_changed(enum step_kind kind, int32_t point, struct text_buffer *out) {
    int32_t lower[2];
    switch (kind) {
    case STEP_CLEAN:
        if (point == UNICODE_REPLACEMENT || (unicode_is_other(point) && !is_line_blank(point))) break;
        text_buffer_append_point(out, unicode_is_whitespace(point) ? ' ' : point);
        break;
    case STEP_SPACE_IDEOGRAPHS:
        if (is_ideograph(point)) text_buffer_append_byte(out, ' ');
        text_buffer_append_point(out, point);
        if (is_ideograph(point)) text_buffer_append_byte(out, ' ');
        break;
    case STEP_DROP_NONSPACING:
        if (!unicode_is_nonspacing_mark(point)) text_buffer_append_point(out, point);
        break;
    case STEP_DROP_MARKS:
        if (!unicode_is_mark(point)) text_buffer_append_point(out, point);
        break;
    default: /* STEP_LOWERCASE */
        for (size_t i = 0, count = unicode_lower(point, lower); i < count; i++)
            text_buffer_append_point(out, lower[i]);
    }
}

static void change_characters(enum step_kind kind, const struct text_buffer *text, struct text_buffer *out,
                              bool *starts_there) {
    for (size_t at = 0, start = 0; at < text->length; start = at) {
        append_changed(kind, utf8_next(text->bytes, text->length, &at), out);
        if (start == 0 && out->length == 0) *starts_there = false;
    }
}

/* Whether a text begins elsewhere once its first `end` bytes are replaced: the library counts the replacement
 * with the last character that goes. */
static bool loses_start(const struct normalizer_step *step, const struct text_buffer *text, size_t end) {
    size_t first = 0;
    if (end == 0) return false;
    utf8_next(text->bytes, text->length, &first);
    return end > first || step->text.length == 0;
}

/* Bytes that a text may have between two steps: none of the forms that are in use makes it as much longer, but a file may
 * say that each letter becomes two, again and again. */
static size_t form_bytes_max(size_t length) {
    enum { TIMES = 32, BESIDE = 256 << 10 };
    return length * TIMES + BESIDE;
}

static enum status check_form(const struct text_buffer *form, size_t bytes_max, struct error *e) {
    if (form->failed || form->length <= bytes_max) return text_buffer_status(form, e);
    return error_set(e, STATUS_INVALID_ARGUMENT, "tokenizer",
                     "the normal form of the text has more than %zu bytes", bytes_max);
}

static enum status replace(const struct normalizer_step *step, struct regex_run *run,
                           const struct text_buffer *text, struct text_buffer *out, size_t bytes_max,
                           bool *starts_there, struct error *e) {
    struct regex_scan scan;
    size_t done = 0;
    bool found = true;
    regex_scan_init(&scan, step->regex, run, text->bytes, text->length);
    for (;;) {
        enum status status = check_form(out, bytes_max, e);
        if (status == STATUS_OK) status = regex_scan_next(&scan, &found, e);
        if (status != STATUS_OK) return status;
        if (!found) break;
        text_buffer_append(out, text->bytes + done, scan.start - done);
        text_buffer_append(out, step->text.bytes, step->text.length);
        done = scan.end;
        if (scan.start == 0 && loses_start(step, text, scan.end)) *starts_there = false;
    }
    text_buffer_append(out, text->bytes + done, text->length - done);
    return STATUS_OK;
}

static void strip(const struct normalizer_step *step, const struct text_buffer *text, struct text_buffer *out,
                  bool *starts_there) {
    size_t start = 0, end = text->length;
    for (size_t next = 0; step->strip_left && next < end;) {
        if (!unicode_is_whitespace(utf8_next(text->bytes, end, &next))) break;
        start = next;
    }
    while (step->strip_right && end > start) {
        size_t last = utf8_previous(text->bytes, end), at = last;
        if (!unicode_is_whitespace(utf8_next(text->bytes, end, &at))) break;
        end = last;
    }
    if (start > 0) *starts_there = false;
    text_buffer_append(out, text->bytes + start, end - start);
}

static enum status run_step(const struct normalizer_step *step, struct regex_run *run,
                            const struct text_buffer *text, struct text_buffer *out, size_t bytes_max,
                            bool *starts_there, struct error *e) {
    bool dropped = false;
    switch (step->kind) {
    case STEP_NORMAL_FORM:
        return normal_form_append(step->form, text->bytes, text->length, out, e);
    case STEP_REPLACE:
        return replace(step, run, text, out, bytes_max, starts_there, e);
    case STEP_MOSES:
        return moses_words_append(text->bytes, text->length, out, e);
    case STEP_STRIP:
        strip(step, text, out, starts_there);
        break;
    case STEP_PREPEND:
        text_buffer_append(out, step->text.bytes, step->text.length);
        text_buffer_append(out, text->bytes, text->length);
        break;
    case STEP_CHARACTER_MAP:
        character_map_append(&step->map, text->bytes, text->length, out, &dropped);
        if (dropped) *starts_there = false;
        break;
    case STEP_SENTENCE_PIECE:
        sentence_piece_form_append(&step->form_of_pieces, text->bytes, text->length, *starts_there, out);
        break;
    default:
        change_characters(step->kind, text, out, starts_there);
    }
    return STATUS_OK;
}

enum status normalizer_run(const struct normalizer *n, struct regex_run *run, struct text_buffer *text,
                           bool *starts_there, struct error *e) {
    struct text_buffer other = {0};
    const size_t bytes_max = form_bytes_max(text->length);
    enum status status = text_buffer_status(text, e);
    for (size_t i = 0; status == STATUS_OK && i < n->count && text->length > 0; i++) {
        text_buffer_clear(&other);
        status = run_step(&n->steps[i], run, text, &other, bytes_max, starts_there, e);
        if (status == STATUS_OK) status = check_form(&other, bytes_max, e);
        struct text_buffer swapped = *text;
        *text = other;
        other = swapped;
    }
    text_buffer_deinit(&other);
    return status;
}
