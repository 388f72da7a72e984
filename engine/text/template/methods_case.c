/* Methods of str about case and kinds of characters. */
#include <utf8proc.h>

#include "engine/text/template/lexer_words.h"
#include "engine/text/template/methods.h"
#include "engine/text/template/print.h"
#include "engine/text/unicode/unicode.h"

static bool change(struct render *r, const struct value *self, enum text_case kind, struct value *out) {
    const struct string *s = text_case(r, self->string, kind);
    *out = STRING(s);
    return s != NULL;
}

static bool upper(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    (void)p;
    return change(r, self, CASE_UPPER, out);
}

static bool lower(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    (void)p;
    return change(r, self, CASE_LOWER, out);
}

static bool title(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    (void)p;
    return change(r, self, CASE_TITLE, out);
}

static bool capitalize(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    (void)p;
    return change(r, self, CASE_CAPITALIZE, out);
}

static bool swapcase(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    (void)p;
    return change(r, self, CASE_SWAP, out);
}

/* A category is looked up for each character. */
static bool count_categories(struct render *r, const struct string *s) {
    return render_bytes(r, 4 * s->length);
}

/* ---- questions ----------------------------------------------------------------------------------------- */

static bool in(int32_t point, utf8proc_category_t least, utf8proc_category_t most) {
    utf8proc_category_t category = utf8proc_category(point);
    return category >= least && category <= most;
}

static bool is_alpha(int32_t point) {
    return in(point, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LO);
}

static bool is_decimal(int32_t point) {
    return in(point, UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_ND);
}

/* Superscripts and digits in circles are digits too. */
static bool is_digit(int32_t point) {
    return is_decimal(point) || point == 0xB2 || point == 0xB3 || point == 0xB9 ||
           (point >= 0x2070 && point <= 0x2089 && in(point, UTF8PROC_CATEGORY_NO, UTF8PROC_CATEGORY_NO)) ||
           (point >= 0x2460 && point <= 0x2468);
}

static bool is_alnum(int32_t point) {
    return is_alpha(point) || unicode_is_numeric(point);
}

/* Whether all characters are such, and there is one. */
static bool all(struct render *r, const struct value *self, bool is(int32_t point), bool empty,
                struct value *out) {
    const struct string *s = self->string;
    bool holds = s->length > 0 || empty;
    if (!count_categories(r, s)) return false;
    for (size_t at = 0; holds && at < s->length;) holds = is(utf8_next(s->bytes, s->length, &at));
    *out = BOOLEAN(holds);
    return true;
}

#define QUESTION(name, is, empty)                                                                            \
    static bool name(struct render *r, const struct value *self, const struct value *p, struct value *out) { \
        (void)p;                                                                                             \
        return all(r, self, is, empty, out);                                                                 \
    }

static bool is_ascii(int32_t point) {
    return point < 0x80;
}

QUESTION(all_alpha, is_alpha, false)
QUESTION(all_alnum, is_alnum, false)
QUESTION(all_decimal, is_decimal, false)
QUESTION(all_digit, is_digit, false)
QUESTION(all_numeric, unicode_is_numeric, false)
QUESTION(all_space, unicode_is_blank, false)
QUESTION(all_printable, unicode_is_printable, true)
QUESTION(all_ascii, is_ascii, true)

/* One of the category, and none of the other or of titles. */
static bool one_case(struct render *r, const struct value *self, utf8proc_category_t wanted,
                     utf8proc_category_t unwanted, struct value *out) {
    const struct string *s = self->string;
    bool found = false, other = false;
    if (!count_categories(r, s)) return false;
    for (size_t at = 0; !other && at < s->length;) {
        utf8proc_category_t category = utf8proc_category(utf8_next(s->bytes, s->length, &at));
        found |= category == wanted;
        other = category == unwanted || category == UTF8PROC_CATEGORY_LT;
    }
    *out = BOOLEAN(found && !other);
    return true;
}

static bool all_upper(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    (void)p;
    return one_case(r, self, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LL, out);
}

static bool all_lower(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    (void)p;
    return one_case(r, self, UTF8PROC_CATEGORY_LL, UTF8PROC_CATEGORY_LU, out);
}

static bool all_title(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    const struct string *s = self->string;
    bool found = false, holds = true, in_word = false;
    (void)p;
    if (!count_categories(r, s)) return false;
    for (size_t at = 0; holds && at < s->length;) {
        utf8proc_category_t category = utf8proc_category(utf8_next(s->bytes, s->length, &at));
        bool large = category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LT;
        bool small = category == UTF8PROC_CATEGORY_LL;
        holds = !(large && in_word) && !(small && !in_word);
        in_word = large || small;
        found |= in_word;
    }
    *out = BOOLEAN(found && holds);
    return true;
}

const struct method string_case_methods[] = {
    {"upper", upper, "", 0, false},
    {"lower", lower, "", 0, false},
    {"title", title, "", 0, false},
    {"capitalize", capitalize, "", 0, false},
    {"swapcase", swapcase, "", 0, false},
    {"isalpha", all_alpha, "", 0, false},
    {"isalnum", all_alnum, "", 0, false},
    {"isdecimal", all_decimal, "", 0, false},
    {"isdigit", all_digit, "", 0, false},
    {"isnumeric", all_numeric, "", 0, false},
    {"isspace", all_space, "", 0, false},
    {"isprintable", all_printable, "", 0, false},
    {"isascii", all_ascii, "", 0, false},
    {"isupper", all_upper, "", 0, false},
    {"islower", all_lower, "", 0, false},
    {"istitle", all_title, "", 0, false},
    {"casefold", NULL, "", 0, false},
    {"isidentifier", NULL, "", 0, false},
    {0},
};
