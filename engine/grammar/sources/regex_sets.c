/* Characters and classes: "[...]", and the escapes that stand for one character. */
#include <string.h>

#include "engine/grammar/sources/point_classes.h"
#include "engine/grammar/sources/regex_reader.h"

/* Of a set of one range; each other costs one more. */
#define FOLD_STEPS 64

static enum point_class_size size_of(const struct regex_reader *p, bool is_kept_out) {
    return is_kept_out ^ p->style->is_wide ? POINT_CLASS_WIDE : POINT_CLASS_NARROW;
}

void regex_sets_fold(struct regex_reader *p, struct point_set *set, bool is_kept_out) {
    if (!p->ignores_case || !rules_spend(p->rules, FOLD_STEPS + set->count)) return;
    point_class_fold(set, size_of(p, is_kept_out));
}

/* ---- characters by number ---------------------------------------------------------------------------------------- */

static int hex_value(int byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    int lower = byte | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Exactly `digits` of them; false where they are not there. */
static bool read_hex(struct regex_reader *p, size_t digits, uint32_t *out) {
    uint32_t value = 0;
    for (size_t i = 0; i < digits; i++) {
        int digit = hex_value(regex_reader_peek(p, i));
        if (digit < 0) return false;
        value = value * 16 + (uint32_t)digit;
    }
    p->at += digits;
    *out = value;
    return true;
}

/* "{10FFFF}" */
static bool read_braced_hex(struct regex_reader *p, uint32_t *out) {
    size_t digits = 0;
    while (hex_value(regex_reader_peek(p, 1 + digits)) >= 0) digits++;
    if (digits == 0 || digits > 8 || regex_reader_peek(p, 1 + digits) != '}') return false;
    p->at++;
    read_hex(p, digits, out);
    p->at++;
    return true;
}

static uint32_t hex_point(struct regex_reader *p, size_t digits) {
    size_t start = p->at - 2;
    uint32_t point = 0, low = 0;
    bool found = regex_reader_peek(p, 0) == '{' ? read_braced_hex(p, &point) : read_hex(p, digits, &point);
    if (found && point >= 0xD800 && point < 0xDC00 && regex_reader_take(p, "\\u")) {
        found = read_hex(p, 4, &low) && low >= 0xDC00 && low < 0xE000;
        if (found) point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
    }
    if (found && point <= RULES_POINT_MAX && (point < 0xD800 || point > 0xDFFF)) return point;
    regex_reader_refuse(p, start, "expected the number of a character in hexadecimal digits");
    return 0;
}

/* "\012": a zero and up to two digits. */
static uint32_t octal_point(struct regex_reader *p) {
    uint32_t value = 0;
    for (size_t i = 0; i < 2; i++) {
        int digit = regex_reader_peek(p, 0);
        if (digit < '0' || digit > '7') break;
        value = value * 8 + (uint32_t)(digit - '0');
        p->at++;
    }
    return value;
}

static uint32_t control_point(struct regex_reader *p) {
    int letter = regex_reader_peek(p, 0);
    if ((letter | 0x20) < 'a' || (letter | 0x20) > 'z') {
        regex_reader_refuse(p, p->at - 2, "expected a letter after \\c");
        return 0;
    }
    p->at++;
    return (uint32_t)letter & 0x1F;
}

static bool is_letter_or_digit(int byte) {
    return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
}

/* Behind a '\': a single character. */
static uint32_t escaped_point(struct regex_reader *p) {
    static const char letters[] = "afnrtv", points[] = "\a\f\n\r\t\v";
    size_t start = p->at - 1;
    uint32_t point = regex_reader_point(p);
    const char *found = point && point < 0x80 ? strchr(letters, (int)point) : NULL;
    if (found) return (uint32_t)points[found - letters];
    if (point == 'x') return hex_point(p, 2);
    if (point == 'u') return hex_point(p, 4);
    if (point == 'c') return control_point(p);
    if (point == '0') return octal_point(p);
    if (point >= '1' && point <= '9')
        regex_reader_refuse(p, start, "back-references are not supported");
    else if (point < 0x80 && is_letter_or_digit((int)point))
        regex_reader_refuse(p, start, "an escape that is not understood");
    return point;
}

/* ---- classes --------------------------------------------------------------------------------------------------------- */

/* Adds a class, or all that is not in it. What differs from it in case alone is in it: so a class comes before its opposite. */
static void add_class(struct regex_reader *p, struct point_set *set, struct point_set *class, bool negated,
                      bool is_kept_out) {
    rules_spend(p->rules, class->count);
    regex_sets_fold(p, class, negated ^ is_kept_out);
    if (negated) point_set_invert(class);
    point_set_add_all(set, class);
    point_set_deinit(class);
}

/* Behind "\p" or "\P". */
static void add_property(struct regex_reader *p, struct point_set *set, bool negated, bool is_kept_out) {
    size_t start = p->at - 2, length = 1;
    const char *name = p->text + p->at;
    if (regex_reader_take(p, "{")) {
        negated ^= regex_reader_take(p, "^");
        name = p->text + p->at;
        const char *end = memchr(name, '}', p->length - p->at);
        length = end ? (size_t)(end - name) : 0;
        p->at += length + 1;
    } else {
        p->at++;
    }
    struct point_set found = {0};
    if (p->at > p->length || !point_class_add_category(&found, name, length))
        regex_reader_refuse(p, start,
                            "expected a general category, as \\p{Lu} or \\p{L}: scripts and other "
                            "properties are not supported");
    add_class(p, set, &found, negated, is_kept_out);
}

/* A class at `p->at`, behind a '\'; false: there is none. is_kept_out: the set will be inverted. */
static bool take_class(struct regex_reader *p, struct point_set *set, bool is_kept_out) {
    int letter = regex_reader_peek(p, 0), lower = letter | 0x20;
    if (letter < 0 || !strchr("dswp", lower) || letter == '\0') return false;
    bool negated = letter != lower;
    p->at++;
    if (lower == 'p') {
        add_property(p, set, negated, is_kept_out);
        return true;
    }
    struct point_set found = {0};
    point_class_add_perl(&found, (char)lower, size_of(p, negated ^ is_kept_out));
    rules_spend(p->rules, found.count);
    if (negated) point_set_invert(&found);
    point_set_add_all(set, &found);
    point_set_deinit(&found);
    return true;
}

void regex_sets_escape(struct regex_reader *p, struct point_set *set) {
    if (take_class(p, set, false)) return;
    uint32_t point = escaped_point(p);
    point_set_add(set, point, point);
    regex_sets_fold(p, set, false);
}

/* "[:alpha:]" and "[:^alpha:]"; false: none stands here. */
static bool take_posix(struct regex_reader *p, struct point_set *set, bool is_kept_out) {
    const char *name = p->text + p->at + 2;
    if (regex_reader_peek(p, 0) != '[' || regex_reader_peek(p, 1) != ':') return false;
    const char *end = memmem(name, p->length - p->at - 2, ":]", 2);
    if (!end) return false;
    bool negated = *name == '^';
    name += negated;
    struct point_set found = {0};
    if (!point_class_add_posix(&found, name, (size_t)(end - name)))
        regex_reader_refuse(p, p->at, "no POSIX class has this name");
    else
        p->at = (size_t)(end + 2 - p->text);
    add_class(p, set, &found, negated, is_kept_out);
    return true;
}

/* A character in a set, which may be one end of a range. */
static uint32_t set_point(struct regex_reader *p) {
    if (!regex_reader_take(p, "\\")) return regex_reader_point(p);
    if (regex_reader_take(p, "b")) return '\b';
    if (regex_reader_ended(p)) {
        regex_reader_refuse(p, p->at - 1, "a \\ at the end");
        return 0;
    }
    return escaped_point(p);
}

static bool at_class(const struct regex_reader *p) {
    int letter = regex_reader_peek(p, 1);
    return regex_reader_peek(p, 0) == '\\' && letter > 0 && strchr("dDsSwWpP", letter);
}

/* "a" or "a-z". */
static void add_range(struct regex_reader *p, struct point_set *set) {
    size_t start = p->at;
    uint32_t first = set_point(p), last = first;
    if (regex_reader_peek(p, 0) == '-' && regex_reader_peek(p, 1) >= 0 && regex_reader_peek(p, 1) != ']') {
        p->at++;
        if (at_class(p)) {
            regex_reader_refuse(p, start, "a range that ends with a class");
            return;
        }
        last = set_point(p);
        if (first > last) regex_reader_refuse(p, start, "a range whose end comes before its beginning");
    }
    point_set_add(set, first, last);
}

/* One element. Characters are folded once for all. */
static void add_element(struct regex_reader *p, struct point_set *folding, struct point_set *set,
                        bool negated) {
    if (at_class(p)) {
        p->at++;
        take_class(p, set, negated);
    } else if (!take_posix(p, set, negated)) {
        add_range(p, folding);
    }
}

void regex_sets_bracket(struct regex_reader *p, struct point_set *set) {
    size_t start = p->at - 1;
    struct point_set folding = {0};
    bool negated = regex_reader_take(p, "^");
    if (p->style->is_ecma && regex_reader_peek(p, 0) == ']')
        regex_reader_refuse(p, start, "an empty set, which other dialects read as one that holds a ']'");
    for (bool first = true; !regex_reader_ended(p) && (first || regex_reader_peek(p, 0) != ']');
         first = false)
        add_element(p, &folding, set, negated);
    if (!regex_reader_take(p, "]")) regex_reader_refuse(p, start, "a [ without its ]");
    regex_sets_fold(p, &folding, negated);
    point_set_add_all(set, &folding);
    point_set_deinit(&folding);
    if (negated) point_set_invert(set);
}
