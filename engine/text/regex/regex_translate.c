/* Oniguruma's dialect, as its default syntax and UTF-8 have it, rewritten for PCRE2. What both read alike
 * passes; what PCRE2 reads otherwise is spelled out (\s, \w, \h, \v, \b, {,n}, {n,m}+, plain and named
 * groups); what it lacks is built from look-ahead (sets within sets, intersections). What is not known here
 * is refused: back-references, \G, \K, \R, \X, (?x), absent operators, conditions, calls, callouts.
 * Case-insensitive matching is character by character. */
#include <stdlib.h>
#include <string.h>

#include "engine/text/regex/regex.h"
#include "engine/text/regex/regex_callouts.h"
#include "engine/text/regex/regex_class.h"
#include "engine/text/regex/regex_parser.h"
#include "engine/text/unicode/unicode.h"

static void parse_alternatives(struct regex_parser *p, bool is_whole, struct regex_paths *paths);

/* What was written to the output from `start` on. */
struct atom {
    size_t start;
    bool is_group; /* of the pattern: sets that are written as one are not */
    struct regex_paths paths;
};

static bool is_quantifier(const struct regex_parser *p) {
    int c = regex_peek(p, 0);
    return c == '*' || c == '+' || c == '?';
}

/* Reads digits into *value; false if there are none or too many. */
static bool read_number(struct regex_parser *p, size_t *at, unsigned *value) {
    size_t start = *at;
    *value = 0;
    while (*at < p->length && p->pattern[*at] >= '0' && p->pattern[*at] <= '9' && *at - start < 6)
        *value = *value * 10 + (unsigned)(p->pattern[(*at)++] - '0');
    return *at > start;
}

struct interval {
    unsigned low, high;
    bool has_low, has_comma, has_high;
};

/* "{n}", "{n,}", "{n,m}", "{,m}" at the parser's place; else it is not an interval but text, and nothing is
 * taken. */
static bool read_interval(struct regex_parser *p, struct interval *i) {
    size_t at = p->at + 1;
    i->has_low = read_number(p, &at, &i->low);
    i->has_comma = at < p->length && p->pattern[at] == ',';
    at += i->has_comma;
    i->has_high = i->has_comma && read_number(p, &at, &i->high);
    if ((!i->has_low && !i->has_high) || at >= p->length || p->pattern[at] != '}') return false;
    p->at = at + 1;
    return true;
}

static void repeat(struct regex_parser *p, struct atom *atom, uint32_t least, uint32_t most) {
    regex_paths_repeat(&atom->paths, p, atom->start, atom->is_group, least, most);
}

/* A '+' behind an interval repeats it (for PCRE2 it would be possessive), so the whole goes into a group. */
static void parse_interval(struct regex_parser *p, struct atom *atom, const struct interval *i) {
    bool repeated = regex_peek(p, 0) == '+';
    unsigned least = i->has_low ? i->low : 0, most = i->has_comma ? UINT32_MAX : least;
    repeat(p, atom, least, i->has_high ? i->high : most);
    if (repeated) regex_insert(p, atom->start, "(?:");
    regex_emit(p, "{%u", least);
    if (i->has_comma) regex_emit(p, ",");
    if (i->has_high) regex_emit(p, "%u", i->high);
    regex_emit(p, "}");
    if (repeated) {
        regex_emit(p, ")");
        atom->is_group = true;
        repeat(p, atom, 1, UINT32_MAX);
        regex_emit(p, "+");
        p->at++;
    } else if (regex_peek(p, 0) == '?') {
        if (!i->has_comma) regex_refuse(p, "'{n}?' is not supported");
        regex_emit(p, "?");
        p->at++;
    }
}

/* What may follow an atom. */
static void parse_quantifier(struct regex_parser *p, struct atom *atom) {
    struct interval interval;
    if (is_quantifier(p)) {
        int sign = regex_peek(p, 0);
        repeat(p, atom, sign == '+', sign == '?' ? 1 : UINT32_MAX);
        regex_emit(p, "%c", p->pattern[p->at++]);
        int mode = regex_peek(p, 0);
        if (mode == '?' || mode == '+') regex_emit(p, "%c", p->pattern[p->at++]);
    } else if (regex_peek(p, 0) == '{' && read_interval(p, &interval)) {
        parse_interval(p, atom, &interval);
    } else {
        if (!atom->is_group) regex_paths_announce(&atom->paths, p, atom->start);
        return;
    }
    size_t at = p->at;
    if (is_quantifier(p) || (regex_peek(p, 0) == '{' && read_interval(p, &interval))) {
        p->at = at;
        regex_refuse(p, "a quantifier of a quantifier is not supported");
    }
}

/* "(?imx-imx)" and "(?imx-imx:": what Oniguruma calls m is PCRE2's s. */
static void parse_options(struct regex_parser *p, bool at_start, struct regex_paths *paths) {
    regex_emit(p, "(?");
    for (int c; (c = regex_peek(p, 0)) == 'i' || c == 'm' || c == '-'; p->at++)
        regex_emit(p, "%c", c == 'm' ? 's' : c);
    if (regex_peek(p, 0) == ')') { /* for Oniguruma the rest of the group is then a group of its own */
        if (!at_start) regex_refuse(p, "options are supported at the start of a group only");
        regex_emit(p, ")");
        p->at++;
        return;
    }
    if (regex_peek(p, 0) != ':') {
        regex_refuse(p, "this group is not supported");
        return;
    }
    p->at++;
    regex_emit(p, ":");
    parse_alternatives(p, false, paths);
    regex_emit(p, ")");
    regex_expect(p, ')');
}

static void parse_name(struct regex_parser *p) {
    while (p->at < p->length && p->pattern[p->at] != '>' && p->pattern[p->at] != ')') p->at++;
    regex_expect(p, '>');
}

/* Behind a '('. Groups do not capture: nothing asks for what they hold. */
static void parse_group(struct regex_parser *p, bool at_start, struct regex_paths *paths) {
    static const char *const kept[] = {"?:", "?=", "?!", "?>", "?<=", "?<!"};
    const char *open = "?:";
    size_t skip = 0;
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        if (regex_starts_with(p, kept[i])) {
            open = kept[i];
            skip = strlen(open);
        }
    bool named = skip == 0 && regex_starts_with(p, "?<");
    if (skip == 0 && !named && regex_peek(p, 0) == '?') {
        p->at++;
        parse_options(p, at_start, paths);
        return;
    }
    p->at += skip;
    if (named) parse_name(p);
    regex_emit(p, "(%s", open);
    parse_alternatives(p, false, paths);
    regex_emit(p, ")");
    regex_expect(p, ')');
}

/* A place with a word on one side alone; or, if not one_side, on both or none. */
static void parse_boundary(struct regex_parser *p, bool one_side) {
    p->at += 2;
    regex_emit(p, "(?:(?<=");
    regex_class_emit_word(p, false);
    regex_emit(p, one_side ? ")(?!" : ")(?=");
    regex_class_emit_word(p, false);
    regex_emit(p, ")|(?<!");
    regex_class_emit_word(p, false);
    regex_emit(p, one_side ? ")(?=" : ")(?!");
    regex_class_emit_word(p, false);
    regex_emit(p, "))");
}

static void parse_escape(struct regex_parser *p, struct atom *atom) {
    int c = regex_peek(p, 1);
    switch (c) {
    case 'A':
    case 'z':
    case 'Z':
        regex_emit(p, "\\%c", c);
        p->at += 2;
        return;
    case 'b':
    case 'B':
        parse_boundary(p, c == 'b');
        return;
    default:
        regex_class_escape(p);
        regex_paths_weigh(&atom->paths, p, atom->start);
    }
}

/* One thing that a quantifier could follow. */
static void parse_atom(struct regex_parser *p, bool at_start, struct atom *atom) {
    int c = regex_peek(p, 0);
    if (c == '(') {
        p->at++;
        atom->is_group = true;
        parse_group(p, at_start, &atom->paths);
    } else if (c == '[') {
        p->at++;
        regex_class_set(p);
        regex_paths_weigh(&atom->paths, p, atom->start);
    } else if (c == '\\') {
        parse_escape(p, atom);
    } else if (c == '.' || c == '^' || c == '$') {
        regex_emit(p, "%c", c);
        p->at++;
    } else if (is_quantifier(p)) {
        regex_refuse(p, "a quantifier of nothing");
    } else {
        regex_emit_point(p, utf8_next(p->pattern, p->length, &p->at));
    }
}

static void parse_item(struct regex_parser *p, bool at_start, struct regex_sequence *sequence) {
    regex_sequence_go_on(sequence, p);
    struct atom atom = {.start = p->out->length, .paths = {.ways = 1, .walk = 1, .tried = 1}};
    parse_atom(p, at_start, &atom);
    if (p->status == STATUS_OK) parse_quantifier(p, &atom);
    regex_sequence_add(sequence, &atom.paths);
}

/* Up to the ')' that ends the group, or the end. is_whole: they are those of the whole pattern. */
static void parse_alternatives(struct regex_parser *p, bool is_whole, struct regex_paths *paths) {
    struct regex_sequence sequence;
    bool at_start = true;
    *paths = (struct regex_paths){0};
    regex_sequence_init(&sequence);
    if (++p->depth > REGEX_DEPTH_MAX) regex_refuse(p, "nested too deep");
    while (p->status == STATUS_OK && p->at < p->length && p->pattern[p->at] != ')') {
        if (p->pattern[p->at] == '|') {
            if (!is_whole) regex_sequence_go_on(&sequence, p);
            regex_paths_add(paths, &sequence);
            regex_sequence_init(&sequence);
            regex_emit(p, "|");
            regex_paths_go_on(paths, p);
            p->at++;
        } else {
            parse_item(p, at_start, &sequence);
        }
        at_start = false;
    }
    if (!is_whole) regex_sequence_go_on(&sequence, p);
    regex_paths_add(paths, &sequence);
    p->depth--;
}

enum status regex_translate(const char *pattern, size_t length, struct text_buffer *out, struct error *e) {
    struct regex_parser p = {.pattern = pattern, .length = length, .out = out, .error = e};
    struct regex_paths paths;
    parse_alternatives(&p, true, &paths);
    if (p.status == STATUS_OK && p.at < length) regex_refuse(&p, "a ')' too many");
    return p.status == STATUS_OK ? text_buffer_status(out, e) : p.status;
}
