#include "engine/text/regex/regex_class.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "engine/base/hex.h"
#include "engine/text/unicode/unicode.h"
#include "engine/text/unicode/unicode_tables.h"

/* \w within sets; outside of them Oniguruma has some more of Latin-1. */
#define WORD_ITEMS       "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define WORD_ITEMS_ALONE WORD_ITEMS "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"

/* White_Space; PCRE2's own has U+180E too. */
#define SPACE_ITEMS                                                                                          \
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{" \
    "3000}"

/* All others: so that "[^\\S\\n]" stays one set. */
#define NOT_SPACE_ITEMS                                                                                      \
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}"          \
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{10ffff}"

/* Names of \p{...} and [:...:] that mean no category or script, or mean it by another name than PCRE2's. */
static const struct {
    const char *name, *items;
} named_sets[] = {
    {"alpha", "\\p{Alphabetic}"},
    {"alphabetic", "\\p{Alphabetic}"},
    {"alnum", "\\p{Alphabetic}\\p{Nd}"},
    {"digit", "\\p{Nd}"},
    {"lower", "\\p{Lowercase}"},
    {"lowercase", "\\p{Lowercase}"},
    {"upper", "\\p{Uppercase}"},
    {"uppercase", "\\p{Uppercase}"},
    {"punct", "\\p{P}\\p{S}"},
    {"space", SPACE_ITEMS},
    {"whitespace", SPACE_ITEMS},
    {"word", WORD_ITEMS},
    {"xdigit", "0-9A-Fa-f"},
    {"ascii", "\\x{0}-\\x{7f}"},
    {"any", "\\x{0}-\\x{10ffff}"},
    {"letter", "\\p{L}"},
    {"mark", "\\p{M}"},
    {"number", "\\p{N}"},
    {"punctuation", "\\p{P}"},
    {"symbol", "\\p{S}"},
    {"separator", "\\p{Z}"},
    {"other", "\\p{C}"},
    {"uppercaseletter", "\\p{Lu}"},
    {"lowercaseletter", "\\p{Ll}"},
    {"decimalnumber", "\\p{Nd}"},
};

static const char categories[] =
    " c cc cf cn co cs l ll lm lo lt lu m mc me mn n nd nl no p pc pd pe pf pi po ps s sc sk"
    " sm so z zl zp zs ";

/* A class that an escape or a name stands for. */
struct named_class {
    char items[256];
    bool negated;
};

/* Folds a name as Unicode's loose matching does: case, blanks, '-' and '_' do not count. */
static bool fold_name(const char *name, size_t length, char *out, size_t size) {
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        if (c == ' ' || c == '-' || c == '_') continue;
        if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
        bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!fits || used + 1 >= size) return false;
        out[used++] = c;
    }
    out[used] = '\0';
    return used > 0;
}

/* The items of a property: a set above, a category, or else a script, which PCRE2 knows or refuses. */
static bool find_property(const char *name, size_t length, struct named_class *out) {
    char folded[64], spaced[68];
    if (!fold_name(name, length, folded, sizeof folded)) return false;
    for (size_t i = 0; i < sizeof named_sets / sizeof named_sets[0]; i++)
        if (strcmp(folded, named_sets[i].name) == 0) {
            snprintf(out->items, sizeof out->items, "%s", named_sets[i].items);
            return true;
        }
    snprintf(spaced, sizeof spaced, " %s ", folded);
    if (strstr(categories, spaced)) {
        if (folded[0] >= 'a') folded[0] = (char)(folded[0] - 'a' + 'A');
        snprintf(out->items, sizeof out->items, "\\p{%s}", folded);
    } else {
        snprintf(out->items, sizeof out->items, "\\p{sc:%s}", folded);
    }
    return true;
}

/* \p{Name}, \P{Name}, \p{^Name} */
static void read_property(struct regex_parser *p, struct named_class *out) {
    out->negated = regex_peek(p, 1) == 'P';
    p->at += 2;
    regex_expect(p, '{');
    if (regex_peek(p, 0) == '^') {
        out->negated = !out->negated;
        p->at++;
    }
    size_t start = p->at;
    while (p->at < p->length && p->pattern[p->at] != '}') p->at++;
    if (p->status == STATUS_OK && !find_property(p->pattern + start, p->at - start, out))
        regex_refuse(p, "this property is not supported");
    regex_expect(p, '}');
}

/* An escape that stands for a class; false (and nothing taken) if the one at hand does not. */
static bool read_class_escape(struct regex_parser *p, struct named_class *out) {
    const char *items;
    int c = regex_peek(p, 1);
    *out = (struct named_class){0};
    switch (c) {
    case 'p':
    case 'P':
        read_property(p, out);
        return true;
    case 's':
    case 'S':
        items = SPACE_ITEMS;
        break;
    case 'w':
    case 'W':
        items = WORD_ITEMS;
        break;
    case 'd':
    case 'D':
        items = "\\p{Nd}";
        break;
    case 'h':
    case 'H':
        items = "0-9A-Fa-f";
        break;
    default:
        return false;
    }
    snprintf(out->items, sizeof out->items, "%s", items);
    out->negated = c < 'a';
    p->at += 2;
    return true;
}

/* Up to digits_max hexadecimal digits. */
static int32_t read_hex(struct regex_parser *p, unsigned digits_max) {
    int32_t point = 0;
    unsigned digits = 0;
    for (; digits < digits_max && hex_value(regex_peek(p, 0)) >= 0; digits++, p->at++)
        point = point * 16 + hex_value(regex_peek(p, 0));
    if (digits == 0 || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
        regex_refuse(p, "this is not a character");
    return point;
}

/* \xHH, \x{H...}, \uHHHH */
static int32_t read_code(struct regex_parser *p) {
    bool is_x = regex_peek(p, 1) == 'x', braced = is_x && regex_peek(p, 2) == '{';
    p->at += braced ? 3 : 2;
    int32_t point = read_hex(p, braced ? 6 : is_x ? 2 : 4);
    if (braced) regex_expect(p, '}');
    if (is_x && !braced && point > 0x7F) regex_refuse(p, "a byte that is not a character");
    return point;
}

/* An escape that stands for one character. */
static int32_t read_character_escape(struct regex_parser *p) {
    static const char letters[] = "tnrfvae";
    static const char meanings[] = "\t\n\r\f\v\a\x1B";
    int c = regex_peek(p, 1);
    if (c == 'x' || c == 'u') return read_code(p);
    const char *letter = c > 0 ? strchr(letters, c) : NULL;
    if (letter) {
        p->at += 2;
        return meanings[letter - letters];
    }
    bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (c < 0 || alphanumeric) {
        regex_refuse(p, "this escape is not supported");
        return 0;
    }
    p->at++;
    return utf8_next(p->pattern, p->length, &p->at);
}

/* Whether a set ("L", "Alphabetic", or "sc:han") holds what the table has under another name ("Lo",
 * "Han"). */
static bool set_holds(const char *set, size_t length, const char *name) {
    if (length > 3 && memcmp(set, "sc:", 3) == 0)
        return strlen(name) == length - 3 && strncasecmp(set + 3, name, length - 3) == 0;
    bool whole = strlen(name) == length || (length == 1 && strlen(name) == 2);
    return whole && strncmp(set, name, length) == 0;
}

/* Items, and behind them what the library has in their \p{...} and PCRE2 may not have. */
static void append_items(struct text_buffer *out, const char *items) {
    text_buffer_append(out, items, strlen(items));
    for (const char *at = items; (at = strstr(at, "\\p{"));) {
        const char *set = at += 3;
        size_t length = strcspn(set, "}");
        for (size_t i = 0; i < unicode_additions_count; i++) {
            const struct unicode_addition *added = &unicode_additions[i];
            char range[40];
            if (!set_holds(set, length, added->set)) continue;
            int size = snprintf(range, sizeof range, "\\x{%x}-\\x{%x}", (unsigned)added->range.first,
                                (unsigned)added->range.last);
            text_buffer_append(out, range, (size_t)size);
        }
    }
}

static void emit_items(struct regex_parser *p, const char *items, bool negated) {
    regex_emit(p, negated ? "[^" : "[");
    append_items(p->out, items);
    regex_emit(p, "]");
}

void regex_class_emit_word(struct regex_parser *p, bool negated) {
    emit_items(p, WORD_ITEMS_ALONE, negated);
}

void regex_class_escape(struct regex_parser *p) {
    struct named_class class;
    if (!read_class_escape(p, &class))
        regex_emit_point(p, read_character_escape(p));
    else if (strcmp(class.items, WORD_ITEMS) == 0)
        regex_class_emit_word(p, class.negated);
    else
        emit_items(p, class.items, class.negated);
}

/* One side of "&&": plain items, and patterns of one character each for what cannot stand in a PCRE2 set. */
struct operand {
    struct text_buffer items;
    struct text_buffer others; /* joined by '|' */
};

static void add_other(struct operand *o, const struct text_buffer *pattern) {
    if (o->others.length > 0) text_buffer_append_byte(&o->others, '|');
    text_buffer_append(&o->others, pattern->bytes, pattern->length);
}

static void add_class(struct operand *o, const struct named_class *class) {
    struct text_buffer pattern = {0};
    if (class->negated && strcmp(class->items, SPACE_ITEMS) == 0) {
        text_buffer_append(&o->items, NOT_SPACE_ITEMS, sizeof NOT_SPACE_ITEMS - 1);
        return;
    }
    if (!class->negated) {
        append_items(&o->items, class->items);
        return;
    }
    text_buffer_append(&pattern, "[^", 2);
    append_items(&pattern, class->items);
    text_buffer_append_byte(&pattern, ']');
    add_other(o, &pattern);
    text_buffer_deinit(&pattern);
}

/* [:name:] and [:^name:]; false (and nothing taken) if the place has none. */
static bool read_bracket(struct regex_parser *p, struct named_class *out) {
    const char *end = memmem(p->pattern + p->at, p->length - p->at, ":]", 2);
    if (!regex_starts_with(p, "[:") || !end) return false;
    size_t start = p->at + 2, stop = (size_t)(end - p->pattern);
    out->negated = start < stop && p->pattern[start] == '^';
    start += out->negated;
    if (start > stop || !find_property(p->pattern + start, stop - start, out)) return false;
    p->at = stop + 2;
    return true;
}

/* What a set says: !negated means one character that all of `before` (look-aheads) and `last` hold. */
struct set {
    struct text_buffer before;
    struct operand last;
    bool negated;
};

static void read_set(struct regex_parser *p, struct set *set);
static void emit_set(struct regex_parser *p, const struct set *set);
static void deinit_set(struct set *set);

/* A set within a set. One that only adds characters melts into the other: PCRE2 is far faster with one
 * set. */
static void read_nested_set(struct regex_parser *p, struct operand *o) {
    struct set set = {0};
    struct text_buffer nested = {0}, *outer = p->out;
    p->at++;
    read_set(p, &set);
    if (!set.negated && set.before.length == 0) {
        text_buffer_append(&o->items, set.last.items.bytes, set.last.items.length);
        if (set.last.others.length > 0) add_other(o, &set.last.others);
    } else {
        p->out = &nested;
        emit_set(p, &set);
        p->out = outer;
        add_other(o, &nested);
    }
    if (nested.failed) p->out->failed = true;
    text_buffer_deinit(&nested);
    deinit_set(&set);
}

static int32_t read_set_character(struct regex_parser *p) {
    if (regex_peek(p, 0) == '\\') {
        if (regex_peek(p, 1) != 'b') return read_character_escape(p);
        p->at += 2;
        return '\b';
    }
    return utf8_next(p->pattern, p->length, &p->at);
}

/* A character, or a range of them. */
static void read_range(struct regex_parser *p, struct operand *o) {
    struct text_buffer *outer = p->out;
    int32_t low = read_set_character(p), high = low;
    int behind = regex_peek(p, 1);
    if (regex_peek(p, 0) == '-' && behind >= 0 && behind != ']') {
        struct named_class unused;
        p->at++;
        size_t at = p->at;
        if (behind == '[' || (behind == '\\' && read_class_escape(p, &unused))) {
            p->at = at;
            regex_refuse(p, "a range that ends with a set");
            return;
        }
        high = read_set_character(p);
        if (high < low) regex_refuse(p, "a range from high to low");
    }
    p->out = &o->items;
    regex_emit_point(p, low);
    if (high != low) {
        regex_emit(p, "-");
        regex_emit_point(p, high);
    }
    p->out = outer;
}

static void read_operand(struct regex_parser *p, struct operand *o) {
    struct named_class class;
    while (p->status == STATUS_OK && regex_peek(p, 0) >= 0 && regex_peek(p, 0) != ']' &&
           !regex_starts_with(p, "&&")) {
        bool opens = regex_peek(p, 0) == '[';
        if (opens ? read_bracket(p, &class) : regex_peek(p, 0) == '\\' && read_class_escape(p, &class))
            add_class(o, &class);
        else if (opens)
            read_nested_set(p, o);
        else
            read_range(p, o);
    }
    if (p->status != STATUS_OK) return;
    if (o->items.failed || o->others.failed)
        p->status = text_no_memory(p->error);
    else if (o->items.length + o->others.length == 0)
        regex_refuse(p, "an empty set");
}

static void emit_bytes(struct regex_parser *p, const struct text_buffer *b) {
    text_buffer_append(p->out, b->bytes, b->length);
}

static void emit_operand(struct regex_parser *p, const struct operand *o) {
    regex_emit(p, "(?:");
    if (o->items.length > 0) {
        regex_emit(p, "[");
        emit_bytes(p, &o->items);
        regex_emit(p, o->others.length > 0 ? "]|" : "]");
    }
    emit_bytes(p, &o->others);
    regex_emit(p, ")");
}

static void deinit_operand(struct operand *o) {
    text_buffer_deinit(&o->items);
    text_buffer_deinit(&o->others);
}

/* "(?=right)left" for each further operand; the last one is what takes the character. */
static void read_operands(struct regex_parser *p, struct operand *o) {
    read_operand(p, o);
    while (p->status == STATUS_OK && regex_starts_with(p, "&&")) {
        regex_emit(p, "(?=");
        emit_operand(p, o);
        regex_emit(p, ")");
        deinit_operand(o);
        *o = (struct operand){0};
        p->at += 2;
        read_operand(p, o);
    }
    regex_expect(p, ']');
}

/* Behind the '['. */
static void read_set(struct regex_parser *p, struct set *set) {
    struct text_buffer *outer = p->out;
    set->negated = regex_peek(p, 0) == '^';
    p->at += set->negated;
    if (++p->depth > REGEX_DEPTH_MAX) regex_refuse(p, "nested too deep");
    p->out = &set->before;
    read_operands(p, &set->last);
    p->out = outer;
    if (set->before.failed) outer->failed = true;
    p->depth--;
}

static void emit_set(struct regex_parser *p, const struct set *set) {
    if (set->before.length == 0 && set->last.others.length == 0) {
        regex_emit(p, set->negated ? "[^" : "[");
        emit_bytes(p, &set->last.items);
        regex_emit(p, "]");
        return;
    }
    regex_emit(p, set->negated ? "(?:(?!" : "(?:");
    emit_bytes(p, &set->before);
    emit_operand(p, &set->last);
    regex_emit(p, set->negated ? ")(?s:.))" : ")");
}

static void deinit_set(struct set *set) {
    text_buffer_deinit(&set->before);
    deinit_operand(&set->last);
}

void regex_class_set(struct regex_parser *p) {
    struct set set = {0};
    read_set(p, &set);
    emit_set(p, &set);
    deinit_set(&set);
}
