#include "engine/text/pretokenize/pre_tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "engine/text/pretokenize/byte_level.h"
#include "engine/text/pretokenize/metaspace.h"
#include "engine/text/regex/pattern.h"
#include "engine/text/pretokenize/splitter.h"
#include "engine/text/unicode/unicode.h"

/* GPT-2's words: contractions, letters, numbers, other signs, each with a blank before it, and runs of
 * blanks. */
static const char byte_level_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

enum step_kind {
    STEP_BYTE_LEVEL,
    STEP_SPLIT,
    STEP_DIGITS,
    STEP_PUNCTUATION,
    STEP_WHITESPACE,
    STEP_WHITESPACE_SPLIT,
    STEP_METASPACE,
};

struct pre_tokenizer_step {
    enum step_kind kind;
    enum split_behavior behavior;
    bool invert;
    bool prefix_space;   /* ByteLevel */
    struct regex *regex; /* Split, Whitespace, ByteLevel with a regex: else NULL */
    struct metaspace metaspace;
};

struct workspace {
    struct regex_run *run;
    struct span_list spans;
};

static enum status add_step(struct pre_tokenizer *p, const struct json_path *path,
                            struct pre_tokenizer_step step, struct error *e) {
    if (p->count >= TEXT_STEPS_MAX)
        return json_path_error(path, STATUS_LIMIT, e, "more than %d pre-tokenizers", TEXT_STEPS_MAX);
    if (!array_reserve(&p->steps, &p->capacity, p->count + 1)) return text_no_memory(e);
    p->steps[p->count++] = step;
    return STATUS_OK;
}

/* The step owns the regex from here on, even if it cannot be added. */
static enum status add_regex_step(struct pre_tokenizer *p, const struct json_path *path,
                                  struct pre_tokenizer_step step, struct error *e) {
    enum status status = add_step(p, path, step, e);
    if (status != STATUS_OK) regex_destroy(step.regex);
    return status;
}

static enum status read_byte_level(struct pre_tokenizer *p, const struct json_path *path, struct error *e) {
    struct pre_tokenizer_step step = {.kind = STEP_BYTE_LEVEL, .behavior = SPLIT_ISOLATED};
    bool use_regex;
    enum status status = json_path_bool(path, "add_prefix_space", true, &step.prefix_space, e);
    if (status == STATUS_OK) status = json_path_bool(path, "use_regex", true, &use_regex, e);
    if (status == STATUS_OK && use_regex)
        status = regex_create(byte_level_pattern, sizeof byte_level_pattern - 1, &step.regex, e);
    return status == STATUS_OK ? add_regex_step(p, path, step, e) : status;
}

static enum status read_behavior(const struct json_path *parent, const char *fallback,
                                 enum split_behavior *out, struct error *e) {
    static const char *const names[] = {
        [SPLIT_REMOVED] = "Removed",
        [SPLIT_ISOLATED] = "Isolated",
        [SPLIT_MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
        [SPLIT_MERGED_WITH_NEXT] = "MergedWithNext",
        [SPLIT_CONTIGUOUS] = "Contiguous",
    };
    const char *name;
    enum status status = json_path_string(parent, "behavior", fallback, &name, NULL, e);
    if (status != STATUS_OK) return status;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (enum split_behavior)i;
            return STATUS_OK;
        }
    struct json_path path = json_path_member(parent, "behavior");
    return json_path_error(&path, STATUS_UNSUPPORTED, e, "'%s' is not supported", name);
}

static enum status read_split(struct pre_tokenizer *p, const struct json_path *path, struct error *e) {
    struct pre_tokenizer_step step = {.kind = STEP_SPLIT};
    enum status status = read_behavior(path, NULL, &step.behavior, e);
    if (status == STATUS_OK) status = json_path_bool(path, "invert", false, &step.invert, e);
    if (status == STATUS_OK) status = pattern_read(path, &step.regex, e);
    return status == STATUS_OK ? add_regex_step(p, path, step, e) : status;
}

static enum status read_digits(struct pre_tokenizer *p, const struct json_path *path, struct error *e) {
    bool individual;
    enum status status = json_path_bool(path, "individual_digits", false, &individual, e);
    if (status != STATUS_OK) return status;
    struct pre_tokenizer_step step = {.kind = STEP_DIGITS,
                                      .behavior = individual ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS};
    return add_step(p, path, step, e);
}

static enum status read_punctuation(struct pre_tokenizer *p, const struct json_path *path, struct error *e) {
    struct pre_tokenizer_step step = {.kind = STEP_PUNCTUATION};
    enum status status = read_behavior(path, "Isolated", &step.behavior, e);
    return status == STATUS_OK ? add_step(p, path, step, e) : status;
}

static enum status read_whitespace_split(struct pre_tokenizer *p, const struct json_path *path,
                                         struct error *e) {
    return add_step(p, path,
                    (struct pre_tokenizer_step){.kind = STEP_WHITESPACE_SPLIT, .behavior = SPLIT_REMOVED}, e);
}

static enum status read_whitespace(struct pre_tokenizer *p, const struct json_path *path, struct error *e) {
    return add_step(p, path, (struct pre_tokenizer_step){.kind = STEP_WHITESPACE}, e);
}

static enum status read_bert(struct pre_tokenizer *p, const struct json_path *path, struct error *e) {
    struct pre_tokenizer_step blanks = {.kind = STEP_WHITESPACE_SPLIT, .behavior = SPLIT_REMOVED};
    struct pre_tokenizer_step signs = {.kind = STEP_PUNCTUATION, .behavior = SPLIT_ISOLATED};
    enum status status = add_step(p, path, blanks, e);
    return status == STATUS_OK ? add_step(p, path, signs, e) : status;
}

static enum status read_metaspace(struct pre_tokenizer *p, const struct json_path *path, struct error *e) {
    struct pre_tokenizer_step step = {.kind = STEP_METASPACE, .behavior = SPLIT_MERGED_WITH_NEXT};
    enum status status = metaspace_read(&step.metaspace, path, e);
    return status == STATUS_OK ? add_step(p, path, step, e) : status;
}

static enum status read_any(struct pre_tokenizer *p, const struct json_path *path, struct error *e);

static enum status read_sequence(struct pre_tokenizer *p, const struct json_path *path, struct error *e) {
    struct json_path list = json_path_member(path, "pretokenizers");
    size_t count;
    enum status status = json_path_array(&list, &count, e);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        struct json_path element = json_path_element(&list, i);
        status = read_any(p, &element, e);
    }
    return status;
}

static enum status read_any(struct pre_tokenizer *p, const struct json_path *path, struct error *e) {
    static const struct {
        const char *type;
        enum status (*read)(struct pre_tokenizer *, const struct json_path *, struct error *);
    } readers[] = {
        {"ByteLevel", read_byte_level},  {"Split", read_split},
        {"Digits", read_digits},         {"Punctuation", read_punctuation},
        {"Whitespace", read_whitespace}, {"WhitespaceSplit", read_whitespace_split},
        {"BertPreTokenizer", read_bert}, {"Metaspace", read_metaspace},
        {"Sequence", read_sequence},
    };
    const char *type;
    enum status status = json_path_type(path, &type, e);
    if (status != STATUS_OK) return status;
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++)
        if (strcmp(type, readers[i].type) == 0) return readers[i].read(p, path, e);
    struct json_path at = json_path_member(path, "type");
    return json_path_error(&at, STATUS_UNSUPPORTED, e, "'%s' is not supported", type);
}

enum status pre_tokenizer_init(struct pre_tokenizer *p, const struct json_path *path, struct error *e) {
    *p = (struct pre_tokenizer){0};
    return path->value ? read_any(p, path, e) : STATUS_OK;
}

void pre_tokenizer_deinit(struct pre_tokenizer *p) {
    for (size_t i = 0; i < p->count; i++) regex_destroy(p->steps[i].regex);
    free(p->steps);
    *p = (struct pre_tokenizer){0};
}

static bool step_keeps_all(const struct pre_tokenizer_step *step) {
    switch (step->kind) {
    case STEP_BYTE_LEVEL:
    case STEP_DIGITS:
    case STEP_METASPACE:
        return true;
    case STEP_SPLIT:
    case STEP_PUNCTUATION:
        return step->behavior != SPLIT_REMOVED;
    case STEP_WHITESPACE:
    case STEP_WHITESPACE_SPLIT:
        break;
    }
    return false;
}

bool pre_tokenizer_keeps_all(const struct pre_tokenizer *p) {
    for (size_t i = 0; i < p->count; i++)
        if (!step_keeps_all(&p->steps[i])) return false;
    return true;
}

bool pre_tokenizer_is_byte_level(const struct pre_tokenizer *p) {
    for (size_t i = 0; i < p->count; i++)
        if (p->steps[i].kind == STEP_BYTE_LEVEL) return true;
    return false;
}

static bool is_whitespace(int32_t point, int32_t unused) {
    (void)unused;
    return unicode_is_whitespace(point);
}

static bool is_numeric(int32_t point, int32_t unused) {
    (void)unused;
    return unicode_is_numeric(point);
}

static bool is_punctuation(int32_t point, int32_t unused) {
    (void)unused;
    return unicode_is_punctuation(point);
}

static bool is_point(int32_t point, int32_t wanted) {
    return point == wanted;
}

static enum status cut_at_class(const struct pre_tokenizer_step *step, character_class *is, int32_t argument,
                                struct workspace *w, const char *text, size_t length, bool first,
                                struct piece_list *out, struct error *e) {
    enum status status = splitter_find_class(&w->spans, is, argument, text, length, e);
    if (status == STATUS_OK) splitter_cut(&w->spans, step->behavior, text, first, out);
    return status;
}

/* Words, and runs of what is neither word nor blank. */
static void cut_words(const char *text, size_t length, bool first, struct piece_list *out) {
    enum { BLANK, WORD, SIGN } kind, before = BLANK;
    size_t start = 0;
    for (size_t at = 0, here = 0; at < length; here = at, before = kind) {
        int32_t point = utf8_next(text, length, &at);
        kind = unicode_is_word(point) ? WORD : unicode_is_whitespace(point) ? BLANK : SIGN;
        if (kind == before) continue;
        if (before != BLANK) piece_list_add(out, text + start, here - start, -1, first && start == 0);
        start = here;
    }
    if (before != BLANK) piece_list_add(out, text + start, length - start, -1, first && start == 0);
}

static void add_byte_level(const char *text, size_t length, bool first, struct piece_list *out) {
    size_t start = out->text.length;
    byte_level_append(&out->text, text, length);
    piece_list_close(out, start, first);
}

static enum status run_byte_level(const struct pre_tokenizer_step *step, struct workspace *w,
                                  const char *text, size_t length, bool first, struct piece_list *out,
                                  struct error *e) {
    struct text_buffer prefixed = {0};
    if (step->prefix_space && text[0] != ' ') {
        text_buffer_append_byte(&prefixed, ' ');
        text_buffer_append(&prefixed, text, length);
        text = prefixed.bytes;
        length = prefixed.length;
    }
    enum status status = text_buffer_status(&prefixed, e);
    if (status == STATUS_OK && !step->regex) add_byte_level(text, length, first, out);
    if (status == STATUS_OK && step->regex) {
        status = splitter_find_regex(&w->spans, step->regex, w->run, text, length, e);
        for (size_t i = 0; status == STATUS_OK && i < w->spans.count; i++) {
            const struct span *span = &w->spans.items[i];
            add_byte_level(text + span->start, span->end - span->start, first && span->start == 0, out);
        }
    }
    text_buffer_deinit(&prefixed);
    return status;
}

static enum status run_split(const struct pre_tokenizer_step *step, struct workspace *w, const char *text,
                             size_t length, bool first, struct piece_list *out, struct error *e) {
    enum status status = splitter_find_regex(&w->spans, step->regex, w->run, text, length, e);
    if (status != STATUS_OK) return status;
    if (step->invert) splitter_invert(&w->spans);
    splitter_cut(&w->spans, step->behavior, text, first, out);
    return STATUS_OK;
}

static enum status run_metaspace(const struct pre_tokenizer_step *step, struct workspace *w, const char *text,
                                 size_t length, bool first, struct piece_list *out, struct error *e) {
    const struct metaspace *m = &step->metaspace;
    struct text_buffer replaced = {0};
    metaspace_replace(m, text, length, first, &replaced);
    enum status status = text_buffer_status(&replaced, e);
    if (status == STATUS_OK && m->split)
        status =
            cut_at_class(step, is_point, m->replacement, w, replaced.bytes, replaced.length, first, out, e);
    else if (status == STATUS_OK)
        piece_list_add(out, replaced.bytes, replaced.length, -1, first);
    text_buffer_deinit(&replaced);
    return status;
}

static enum status run_on_piece(const struct pre_tokenizer_step *step, struct workspace *w, const char *text,
                                size_t length, bool first, struct piece_list *out, struct error *e) {
    switch (step->kind) {
    case STEP_BYTE_LEVEL:
        return run_byte_level(step, w, text, length, first, out, e);
    case STEP_SPLIT:
        return run_split(step, w, text, length, first, out, e);
    case STEP_METASPACE:
        return run_metaspace(step, w, text, length, first, out, e);
    case STEP_DIGITS:
        return cut_at_class(step, is_numeric, 0, w, text, length, first, out, e);
    case STEP_PUNCTUATION:
        return cut_at_class(step, is_punctuation, 0, w, text, length, first, out, e);
    case STEP_WHITESPACE_SPLIT:
        return cut_at_class(step, is_whitespace, 0, w, text, length, first, out, e);
    case STEP_WHITESPACE:
        cut_words(text, length, first, out);
        break;
    }
    return STATUS_OK;
}

static enum status run_step(const struct pre_tokenizer_step *step, struct workspace *w,
                            const struct piece_list *in, struct piece_list *out, struct error *e) {
    enum status status = STATUS_OK;
    piece_list_clear(out);
    for (size_t i = 0; status == STATUS_OK && i < in->count; i++) {
        const struct piece *piece = &in->items[i];
        if (piece->id >= 0)
            piece_list_add(out, piece_text(in, piece), piece->length, piece->id, piece->first);
        else
            status = run_on_piece(step, w, piece_text(in, piece), piece->length, piece->first, out, e);
    }
    return status == STATUS_OK ? piece_list_status(out, e) : status;
}

enum status pre_tokenizer_run(const struct pre_tokenizer *p, struct regex_run *run, struct piece_list *list,
                              struct piece_list *other, struct error *e) {
    struct workspace w = {.run = run};
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < p->count; i++) {
        status = run_step(&p->steps[i], &w, list, other, e);
        struct piece_list swapped = *list;
        *list = *other;
        *other = swapped;
    }
    span_list_deinit(&w.spans);
    return status;
}
