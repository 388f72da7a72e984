#include "engine/text/normalize/moses_words.h"

#include <stdbool.h>
#include <string.h>

#include "engine/text/unicode/moses_classes.h"
#include "engine/text/unicode/unicode.h"

/* Each rule of the package is a regular expression that runs over the whole text; here it is a pass from one buffer to
 * the next, in the package's order. */
struct words {
    struct text_buffer text, next;
};

static void swap(struct words *w) {
    struct text_buffer done = w->text;
    w->text = w->next;
    w->next = done;
    text_buffer_clear(&w->next);
}

/* The character at a place, and where the next one is; -1 at the end. */
static int32_t peek(const struct text_buffer *t, size_t at, size_t *next) {
    *next = at;
    return at < t->length ? utf8_next(t->bytes, t->length, next) : -1;
}

static void append_range(struct text_buffer *out, const struct text_buffer *from, size_t start, size_t end) {
    text_buffer_append(out, from->bytes + start, end - start);
}

static void append_text(struct text_buffer *out, const char *text) {
    text_buffer_append(out, text, strlen(text));
}

/* ---- blanks, and characters that are words of their own --------------------------------------------------- */

/* Python's \s. */
static bool is_blank(int32_t point) {
    return unicode_is_whitespace(point) || (point >= 0x1C && point <= 0x1F);
}

/* Several blanks become one; then control characters go, and blanks at the ends. */
static void tidy(struct words *w) {
    const struct text_buffer *t = &w->text;
    bool after_blank = false;
    for (size_t at = 0, next; at < t->length; at = next) {
        int32_t point = peek(t, at, &next);
        bool blank = is_blank(point);
        if (blank && !after_blank) text_buffer_append_byte(&w->next, ' ');
        if (!blank && point >= ' ') append_range(&w->next, t, at, next);
        after_blank = blank;
    }
    while (w->next.length > 0 && w->next.bytes[w->next.length - 1] == ' ') w->next.length--;
    size_t start = 0;
    while (start < w->next.length && w->next.bytes[start] == ' ') start++;
    text_buffer_drop_front(&w->next, start);
    swap(w);
}

static void pad_others(struct words *w) {
    for (size_t at = 0, next; at < w->text.length; at = next) {
        int32_t point = peek(&w->text, at, &next);
        bool stays =
            moses_is(point, MOSES_ALNUM) || is_blank(point) || (point < 128 && strchr(".'`,-", point));
        if (!stays) text_buffer_append_byte(&w->next, ' ');
        append_range(&w->next, &w->text, at, next);
        if (!stays) text_buffer_append_byte(&w->next, ' ');
    }
    swap(w);
}

static void split_hyphens(struct words *w) {
    bool after_alnum = false;
    for (size_t at = 0, next, unused; at < w->text.length; at = next) {
        int32_t point = peek(&w->text, at, &next);
        if (point == '-' && after_alnum && moses_is(peek(&w->text, next, &unused), MOSES_ALNUM))
            append_text(&w->next, " @-@ ");
        else
            append_range(&w->next, &w->text, at, next);
        after_alnum = moses_is(point, MOSES_ALNUM);
    }
    swap(w);
}

/* ---- dots and commas --------------------------------------------------------------------------------------- */

static size_t run_of(const struct text_buffer *t, size_t at, const char *text, size_t size) {
    size_t count = 0;
    for (; t->length - at >= size && memcmp(t->bytes + at, text, size) == 0; at += size) count++;
    return count;
}

/* Several dots stay together behind a word that stands for them, which is taken for letters meanwhile. */
static void hide_dots(struct words *w) {
    for (size_t at = 0; at < w->text.length;) {
        size_t dots = run_of(&w->text, at, ".", 1);
        if (dots < 2) {
            text_buffer_append_byte(&w->next, w->text.bytes[at++]);
            continue;
        }
        text_buffer_append_byte(&w->next, ' ');
        for (size_t i = 0; i < dots && !w->next.failed; i++) append_text(&w->next, "DOT");
        append_text(&w->next, "MULTI");
        at += dots;
        if (at < w->text.length) text_buffer_append_byte(&w->next, ' ');
    }
    swap(w);
}

static void show_dots(struct words *w) {
    for (size_t at = 0; at < w->text.length;) {
        size_t dots = run_of(&w->text, at, "DOT", 3);
        bool hidden = dots > 0 && run_of(&w->text, at + 3 * dots, "MULTI", 5) > 0;
        size_t taken = hidden ? 3 * dots + 5 : dots > 0 ? 3 * dots : 1;
        if (!hidden) append_range(&w->next, &w->text, at, at + taken);
        for (size_t i = 0; hidden && i < dots; i++) text_buffer_append_byte(&w->next, '.');
        at += taken;
    }
    swap(w);
}

/* "a," where a is no number. */
static void split_commas_behind(struct words *w) {
    for (size_t at = 0, next; at < w->text.length; at = next) {
        int32_t point = peek(&w->text, at, &next);
        append_range(&w->next, &w->text, at, next);
        if (moses_is(point, MOSES_NUMBER) || next >= w->text.length || w->text.bytes[next] != ',') continue;
        append_text(&w->next, " , ");
        next++;
    }
    swap(w);
}

/* ",a" where a is no number. */
static void split_commas_before(struct words *w) {
    for (size_t at = 0, next; at < w->text.length; at = next) {
        int32_t point = peek(&w->text, at, &next);
        size_t behind;
        int32_t other = peek(&w->text, next, &behind);
        if (point == ',' && other >= 0 && !moses_is(other, MOSES_NUMBER)) {
            append_text(&w->next, " , ");
            append_range(&w->next, &w->text, next, behind);
            next = behind;
        } else {
            append_range(&w->next, &w->text, at, next);
        }
    }
    swap(w);
}

/* "5," at the end. */
static void split_last_comma(struct words *w) {
    struct text_buffer *t = &w->text;
    size_t unused;
    if (t->length < 2 || t->bytes[t->length - 1] != ',') return;
    if (!moses_is(peek(t, utf8_previous(t->bytes, t->length - 1), &unused), MOSES_NUMBER)) return;
    t->length--;
    append_text(t, " , ");
}

/* ---- apostrophes ------------------------------------------------------------------------------------------- */

struct apostrophe {
    int32_t before; /* classes of the character before it; negative: it has none of them */
    int32_t behind;
    const char *becomes;
};

static bool fits(int32_t point, int32_t classes) {
    return classes < 0 ? !moses_is(point, -classes) : moses_is(point, classes);
}

static void split_apostrophes(struct words *w, const struct apostrophe *rule) {
    for (size_t at = 0, next; at < w->text.length; at = next) {
        size_t second, end;
        int32_t first = peek(&w->text, at, &next);
        bool found = peek(&w->text, next, &second) == '\'' && fits(first, rule->before);
        int32_t last = found ? peek(&w->text, second, &end) : -1;
        append_range(&w->next, &w->text, at, next);
        if (last < 0 || !(rule->behind ? fits(last, rule->behind) : last == 's')) continue;
        append_text(&w->next, rule->becomes);
        append_range(&w->next, &w->text, second, end);
        next = end;
    }
    swap(w);
}

static const struct apostrophe apostrophes[] = {
    {-MOSES_ALPHA, -MOSES_ALPHA, " ' "},
    {-(MOSES_ALPHA | MOSES_NUMBER), MOSES_ALPHA, " ' "},
    {MOSES_ALPHA, -MOSES_ALPHA, " ' "},
    {MOSES_ALPHA, MOSES_ALPHA, " '"},
    {MOSES_NUMBER, 0, " '"}, /* the 1990's */
};

/* ---- full stops -------------------------------------------------------------------------------------------- */

static bool is_listed(const char *const *words, const char *word, size_t length) {
    for (; *words; words++)
        if (strlen(*words) == length && memcmp(*words, word, length) == 0) return true;
    return false;
}

static bool has_letter(const char *word, size_t length) {
    for (size_t at = 0; at < length;)
        if (moses_is(utf8_next(word, length, &at), MOSES_ALPHA)) return true;
    return false;
}

/* Whether the stop behind a word belongs to it. next: the word that follows, -1 where there is none: its first
 * character. */
static bool keeps_stop(const char *word, size_t length, int32_t next) {
    if (memchr(word, '.', length) && has_letter(word, length)) return true;
    if (is_listed(moses_prefixes, word, length)) return true;
    if (next >= 0 && moses_is(next, MOSES_LOWER)) return true;
    return is_listed(moses_numeric_prefixes, word, length) && next >= '0' && next <= '9';
}

static size_t skip_blanks(const struct text_buffer *t, size_t at) {
    while (at < t->length && t->bytes[at] == ' ') at++;
    return at;
}

/* Also makes one blank of several. */
static void split_stops(struct words *w) {
    const struct text_buffer *t = &w->text;
    for (size_t at = skip_blanks(t, 0), next; at < t->length; at = next) {
        const char *blank = memchr(t->bytes + at, ' ', t->length - at);
        size_t end = blank ? (size_t)(blank - t->bytes) : t->length, unused;
        next = skip_blanks(t, end);
        bool ends = end - at > 1 && t->bytes[end - 1] == '.';
        bool splits = ends && !keeps_stop(t->bytes + at, end - at - 1, peek(t, next, &unused));
        if (w->next.length > 0) text_buffer_append_byte(&w->next, ' ');
        append_range(&w->next, t, at, splits ? end - 1 : end);
        if (splits) append_text(&w->next, " .");
    }
    swap(w);
}

/* A full stop within quotes, at the end. */
static void split_quoted_stop(struct words *w) {
    struct text_buffer *t = &w->text;
    if (t->length < 2 || memcmp(t->bytes + t->length - 2, ".'", 2) != 0) return;
    t->length -= 2;
    append_text(t, " . ' ");
}

/* ---- all --------------------------------------------------------------------------------------------------- */

/* One blank between words, none at the ends. */
static void append_escaped(const struct text_buffer *t, struct text_buffer *out) {
    static const struct {
        char character;
        const char *entity;
    } entities[] = {{'&', "&amp;"},   {'|', "&#124;"}, {'<', "&lt;"},  {'>', "&gt;"},
                    {'\'', "&apos;"}, {'"', "&quot;"}, {'[', "&#91;"}, {']', "&#93;"}};
    bool begun = false;
    for (size_t at = 0; at < t->length; at++) {
        char byte = t->bytes[at];
        const char *entity = NULL;
        if (byte == ' ') continue;
        if (begun && t->bytes[at - 1] == ' ') text_buffer_append_byte(out, ' ');
        begun = true;
        for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++)
            if (byte == entities[i].character) entity = entities[i].entity;
        if (entity)
            append_text(out, entity);
        else
            text_buffer_append_byte(out, byte);
    }
}

enum status moses_words_append(const char *text, size_t length, struct text_buffer *out, struct error *e) {
    static void (*const passes[])(struct words *) = {tidy,
                                                     pad_others,
                                                     split_hyphens,
                                                     hide_dots,
                                                     split_commas_behind,
                                                     split_commas_before,
                                                     split_last_comma};
    static void (*const last_passes[])(struct words *) = {split_stops, split_quoted_stop, show_dots};
    struct words w = {0};
    text_buffer_append(&w.text, text, length);
    for (size_t i = 0; i < sizeof passes / sizeof passes[0] && !w.text.failed; i++) passes[i](&w);
    for (size_t i = 0; i < sizeof apostrophes / sizeof apostrophes[0] && !w.text.failed; i++)
        split_apostrophes(&w, &apostrophes[i]);
    for (size_t i = 0; i < sizeof last_passes / sizeof last_passes[0] && !w.text.failed; i++)
        last_passes[i](&w);
    if (w.text.failed) out->failed = true;
    if (!w.text.failed) append_escaped(&w.text, out);
    text_buffer_deinit(&w.text);
    text_buffer_deinit(&w.next);
    return text_buffer_status(out, e);
}
