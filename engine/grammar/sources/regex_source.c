#include "engine/grammar/sources/regex_source.h"

#include <stdlib.h>
#include <string.h>

#include "engine/grammar/sources/json_spelling.h"
#include "engine/grammar/sources/regex_fragment.h"
#include "engine/grammar/sources/regex_reader.h"
#include "engine/text/unicode/unicode.h"

static struct regex_fragment read_choice(struct regex_reader *p);
static struct regex_fragment quoted(struct regex_reader *p, size_t start);

static struct regex_fragment nothing_left(struct regex_reader *p) {
    return regex_fragment_plain(rules_text(p->rules, "", 0), true);
}

/* ---- one character ----------------------------------------------------------------------------------------------- */

static bool keep_whitespace(struct regex_reader *p, struct point_set *set) {
    struct point_set space = {0};
    point_set_add(&space, '\t', '\n');
    point_set_add(&space, '\r', '\r');
    point_set_add(&space, ' ', ' ');
    point_set_intersect(set, &space);
    set->failed |= space.failed;
    point_set_deinit(&space);
    return set->count > 0 || set->failed || p->style->spelling != REGEX_JSON_WHITESPACE;
}

static rules_expression spell(struct regex_reader *p, struct point_set *set) {
    point_set_sort(set);
    if (p->style->spelling == REGEX_IN_JSON_STRING)
        return json_spelling_points(p->rules, set->ranges, set->count);
    return rules_points(p->rules, set->ranges, set->count);
}

/* Takes the set. */
static struct regex_fragment one_of(struct regex_reader *p, size_t start, struct point_set *set) {
    rules_expression language = RULES_NONE;
    if (p->style->spelling == REGEX_JSON_WHITESPACE && !keep_whitespace(p, set))
        regex_reader_refuse(p, start,
                            "only white space may stand between the elements of JSON: space, \\t, \\n, \\r");
    if (set->failed)
        regex_reader_no_memory(p);
    else if (!rules_failed(p->rules))
        language = spell(p, set);
    point_set_deinit(set);
    p->last_character = language;
    return regex_fragment_plain(language, false);
}

static struct regex_fragment any_character(struct regex_reader *p, size_t start) {
    struct point_set set = {0};
    if (!p->dot_is_all) {
        point_set_add(&set, '\n', '\n');
        if (p->style->is_ecma && !p->style->is_wide) {
            point_set_add(&set, '\r', '\r');
            point_set_add(&set, 0x2028, 0x2029);
        }
    }
    point_set_invert(&set);
    return one_of(p, start, &set);
}

static struct regex_fragment character(struct regex_reader *p, size_t start, uint32_t point) {
    struct point_set set = {0};
    point_set_add(&set, point, point);
    regex_sets_fold(p, &set, false);
    return one_of(p, start, &set);
}

static struct regex_fragment escape(struct regex_reader *p, size_t start) {
    static const struct {
        const char *letter, *what;
    } refused[] = {
        {"b", "\\b is not supported"},
        {"B", "\\B is not supported"},
        {"C", "\\C is not supported: a match is of whole characters"},
        {"k", "back-references are not supported"},
        {"Z", "\\Z is not supported, for dialects differ in what it means: say \\z"},
        {"G", "\\G is not supported"},
        {"K", "\\K is not supported"},
    };
    struct point_set set = {0};
    if (regex_reader_take(p, "A")) return regex_fragment_anchor(p->rules, REGEX_AT_BEGIN);
    if (regex_reader_take(p, "z")) return regex_fragment_anchor(p->rules, REGEX_AT_END);
    if (regex_reader_take(p, "Q")) return quoted(p, start);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (regex_reader_take(p, refused[i].letter)) regex_reader_refuse(p, start, refused[i].what);
    if (p->at >= p->length && !rules_failed(p->rules)) regex_reader_refuse(p, start, "a \\ at the end");
    if (!rules_failed(p->rules)) regex_sets_escape(p, &set);
    return one_of(p, start, &set);
}

/* ---- groups ------------------------------------------------------------------------------------------------------ */

/* One flag at the place; *value: what those behind a '-' become. */
static void read_flag(struct regex_reader *p, bool *value) {
    size_t start = p->at;
    if (regex_reader_take(p, "-"))
        *value = false;
    else if (regex_reader_take(p, "i"))
        p->ignores_case = *value;
    else if (regex_reader_take(p, "s"))
        p->dot_is_all = *value;
    else if (regex_reader_take(p, "m") && *value)
        regex_reader_refuse(p, start, "the flag m is not supported: ^ and $ are the ends of the whole text");
    else if (p->at == start &&
             !regex_reader_take(p, "U")) /* U: greedy and lazy change places: the same texts */
        regex_reader_refuse(p, start, "a flag that is not understood");
}

/* "i", "-i", "s-i" up to ':' or ')'. */
static void read_flags(struct regex_reader *p) {
    bool value = true;
    while (!regex_reader_ended(p) && regex_reader_peek(p, 0) != ':' && regex_reader_peek(p, 0) != ')')
        read_flag(p, &value);
}

static void skip_name(struct regex_reader *p, size_t start) {
    size_t length = 0;
    for (int c; (c = regex_reader_peek(p, length)) == '_' || (c >= '0' && c <= '9') ||
                ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');)
        length++;
    if (length == 0 || regex_reader_peek(p, length) != '>')
        regex_reader_refuse(p, start, "expected a name and > after (?<");
    else
        p->at += length + 1;
}

/* Behind "(?". True: a group follows; false: what stood there was flags for the rest. */
static bool read_group_kind(struct regex_reader *p, size_t start) {
    static const char *const looks[] = {"=", "!", "<=", "<!"};
    for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++)
        if (regex_reader_take(p, looks[i])) regex_reader_refuse(p, start, "look-around is not supported");
    if (regex_reader_take(p, "P<") || regex_reader_take(p, "<")) {
        skip_name(p, start);
        return true;
    }
    if (regex_reader_peek(p, 0) == 'P') regex_reader_refuse(p, start, "back-references are not supported");
    if (regex_reader_peek(p, 0) == '>') regex_reader_refuse(p, start, "atomic groups are not supported");
    read_flags(p);
    if (regex_reader_take(p, ")")) return false;
    if (!regex_reader_take(p, ":") && !rules_failed(p->rules))
        regex_reader_refuse(p, start, "a ( without its )");
    return true;
}

/* Behind a '('. Flags that are set within a group end with it. */
static struct regex_fragment group(struct regex_reader *p, size_t start) {
    bool ignores_case = p->ignores_case, dot_is_all = p->dot_is_all;
    if (++p->depth > REGEX_SOURCE_DEPTH_MAX) {
        rules_fail(p->rules, STATUS_LIMIT, p->style->where,
                   "regular expression, offset %zu: groups within each other more than %d deep", start,
                   REGEX_SOURCE_DEPTH_MAX);
        return nothing_left(p);
    }
    if (regex_reader_take(p, "?") && !read_group_kind(p, start)) {
        p->depth--;
        return nothing_left(p);
    }
    struct regex_fragment inner = read_choice(p);
    if (!regex_reader_take(p, ")")) regex_reader_refuse(p, start, "a ( without its )");
    p->ignores_case = ignores_case;
    p->dot_is_all = dot_is_all;
    p->depth--;
    return inner;
}

static struct regex_fragment read_atom(struct regex_reader *p) {
    struct point_set set = {0};
    size_t start = p->at;
    uint32_t point = regex_reader_point(p);
    switch (point) {
    case '(':
        return group(p, start);
    case '[':
        regex_sets_bracket(p, &set);
        return one_of(p, start, &set);
    case '\\':
        return escape(p, start);
    case '.':
        return any_character(p, start);
    case '^':
        return regex_fragment_anchor(p->rules, REGEX_AT_BEGIN);
    case '$':
        return regex_fragment_anchor(p->rules, REGEX_AT_END);
    case '*':
    case '+':
    case '?':
        regex_reader_refuse(p, start, "nothing to repeat");
        return nothing_left(p);
    default:
        return character(p, start, point);
    }
}

/* ---- repeats ----------------------------------------------------------------------------------------------------- */

/* "{n}", "{n,}", "{n,m}" at the place; anything else is characters. */
static bool read_counts(struct regex_reader *p, uint32_t *least, uint32_t *most) {
    size_t start = p->at;
    if (regex_reader_peek(p, 1) == ',' && regex_reader_peek(p, 2) >= '0' && regex_reader_peek(p, 2) <= '9') {
        regex_reader_refuse(p, start,
                            "{,n} is not supported, for dialects differ in what it means: say {0,n}");
        return false;
    }
    p->at++;
    bool counts = regex_reader_number(p, least);
    *most = *least;
    if (counts && regex_reader_take(p, ",") && !regex_reader_number(p, most)) *most = RULES_UNLIMITED;
    if (counts && regex_reader_take(p, "}")) {
        if (*least > REGEX_SOURCE_REPEAT_MAX || (*most != RULES_UNLIMITED && *most > REGEX_SOURCE_REPEAT_MAX))
            rules_fail(p->rules, STATUS_LIMIT, p->style->where,
                       "regular expression, offset %zu: a count above %d", start, REGEX_SOURCE_REPEAT_MAX);
        else if (*least > *most)
            regex_reader_refuse(p, start, "a count whose end is below its beginning");
        return true;
    }
    p->at = start;
    return false;
}

static bool read_repeat(struct regex_reader *p, uint32_t *least, uint32_t *most) {
    *least = 0;
    *most = RULES_UNLIMITED;
    if (regex_reader_ended(p)) return false;
    if (regex_reader_peek(p, 0) == '{') return read_counts(p, least, most);
    if (regex_reader_take(p, "*")) return true;
    if (regex_reader_take(p, "+")) {
        *least = 1;
        return true;
    }
    *most = 1;
    return regex_reader_take(p, "?");
}

static struct regex_fragment repeated(struct regex_reader *p, const struct regex_fragment *f, size_t start,
                                      uint32_t least, uint32_t most) {
    if (most == 0) return nothing_left(p);
    if (least == 1 && most == 1) return *f;
    if (least == 0 && most == 1 && !regex_fragment_is_plain(f)) return regex_fragment_optional(p->rules, f);
    if (!regex_fragment_is_plain(f)) {
        regex_reader_refuse(p, start, "^ or $ within what is repeated is not supported");
        return *f;
    }
    return regex_fragment_plain(rules_repeat(p->rules, f->language[0], least, most),
                                f->empty[0] || least == 0);
}

static struct regex_fragment read_item(struct regex_reader *p) {
    size_t start = p->at;
    uint32_t least, most;
    struct regex_fragment f = read_atom(p);
    if (!read_repeat(p, &least, &most)) return f;
    f = repeated(p, &f, start, least, most);
    regex_reader_take(p, "?"); /* lazy */
    start = p->at;
    if (regex_reader_take(p, "+")) regex_reader_refuse(p, start, "possessive repeats are not supported");
    if (read_repeat(p, &least, &most))
        regex_reader_refuse(p, start, "a repeat of a repeat: put it into a group");
    return f;
}

/* ---- sequences and alternatives ------------------------------------------------------------------------------------ */

static void push(struct regex_reader *p, struct regex_expressions *list, rules_expression item) {
    if (!array_reserve(&list->items, &list->capacity, list->count + 1))
        regex_reader_no_memory(p);
    else
        list->items[list->count++] = item;
}

/* The parts that were read since there were `base` of them, as one. */
static struct regex_fragment take_parts(struct regex_reader *p, size_t base, bool has_empty) {
    size_t count = p->parts.count - base;
    p->parts.count = base;
    if (count == 1) return regex_fragment_plain(p->parts.items[base], has_empty);
    if (count == 0) return nothing_left(p);
    return regex_fragment_plain(rules_sequence(p->rules, p->parts.items + base, count), has_empty);
}

/* Behind "\Q": each character up to "\E" means itself. */
static struct regex_fragment quoted(struct regex_reader *p, size_t start) {
    size_t base = p->parts.count;
    while (!regex_reader_ended(p) && !regex_reader_take(p, "\\E"))
        push(p, &p->parts, character(p, start, regex_reader_point(p)).language[0]);
    int next = regex_reader_peek(p, 0);
    if (next > 0 && strchr("*+?{", next))
        regex_reader_refuse(p, start, "a repeat of \\Q...\\E is not supported: put it into a group");
    return take_parts(p, base, p->parts.count == base);
}

static struct regex_fragment read_sequence(struct regex_reader *p) {
    size_t base = p->parts.count;
    struct regex_fragment whole = nothing_left(p);
    bool has_empty = true, is_first = true;
    while (!regex_reader_ended(p) && regex_reader_peek(p, 0) != '|' && regex_reader_peek(p, 0) != ')') {
        struct regex_fragment item = read_item(p);
        if (regex_fragment_is_plain(&item)) {
            push(p, &p->parts, item.language[0]);
            has_empty &= item.empty[0];
            continue;
        }
        struct regex_fragment before = take_parts(p, base, has_empty);
        whole = is_first ? before : regex_fragment_join(p->rules, &whole, &before);
        whole = regex_fragment_join(p->rules, &whole, &item);
        has_empty = true;
        is_first = false;
    }
    struct regex_fragment last = take_parts(p, base, has_empty);
    return is_first ? last : regex_fragment_join(p->rules, &whole, &last);
}

static void add_choice(struct regex_reader *p, const struct regex_fragment *f, struct regex_fragment *all) {
    for (size_t i = 0; i < REGEX_LANGUAGES; i++) {
        if (!f->present[i]) continue;
        push(p, &p->choices[i], f->language[i]);
        all->present[i] = true;
        all->empty[i] |= f->empty[i];
    }
}

static struct regex_fragment read_choice(struct regex_reader *p) {
    size_t base[REGEX_LANGUAGES];
    struct regex_fragment all = {0};
    for (size_t i = 0; i < REGEX_LANGUAGES; i++) base[i] = p->choices[i].count;
    do {
        struct regex_fragment next = read_sequence(p);
        add_choice(p, &next, &all);
    } while (regex_reader_take(p, "|"));
    for (size_t i = 0; i < REGEX_LANGUAGES; i++) {
        size_t count = p->choices[i].count - base[i];
        if (count == 1)
            all.language[i] = p->choices[i].items[base[i]];
        else if (count > 1)
            all.language[i] = rules_choice(p->rules, p->choices[i].items + base[i], count);
        p->choices[i].count = base[i];
    }
    return all;
}

/* ---- the whole ----------------------------------------------------------------------------------------------------- */

static rules_expression any_text(struct regex_reader *p, rules_expression character) {
    return rules_repeat(p->rules, character, 0, RULES_UNLIMITED);
}

/* Texts a part of which matches. Of a pattern that one character matches these are all texts but those without such a character:
 * so there are not many ways to divide them. */
static rules_expression around(struct regex_reader *p, const struct regex_fragment *f) {
    struct rules *r = p->rules;
    rules_expression any =
        p->style->spelling == REGEX_IN_JSON_STRING ? json_spelling_any(r) : rules_other_points(r, NULL, 0);
    rules_expression texts = any_text(p, any);
    if (regex_fragment_is_plain(f) &&
        rules_trim_begin(r, rules_trim_end(r, f->language[0])) == p->last_character)
        return rules_difference(r, texts, any_text(p, rules_difference(r, any, p->last_character)));
    return regex_fragment_texts(r, f, &texts);
}

static rules_expression read_whole(struct regex_reader *p) {
    struct regex_fragment f = read_choice(p);
    if (p->at < p->length && !rules_failed(p->rules)) regex_reader_refuse(p, p->at, "a ) without its (");
    if (rules_failed(p->rules)) return RULES_NONE;
    return p->style->is_part ? around(p, &f) : regex_fragment_texts(p->rules, &f, NULL);
}

rules_expression regex_write_as(struct rules *r, struct engine_string source,
                                const struct regex_style *style) {
    struct regex_reader p = {.rules = r,
                             .style = style,
                             .text = source.text,
                             .length = source.length,
                             .last_character = RULES_NONE};
    if (rules_failed(r)) return RULES_NONE;
    if (source.length > REGEX_SOURCE_BYTES_MAX)
        return rules_fail(r, STATUS_LIMIT, style->where,
                          "a regular expression of %zu bytes: at most %d are taken", source.length,
                          REGEX_SOURCE_BYTES_MAX);
    if (utf8_valid_prefix(source.text, source.length) < source.length)
        return rules_fail(r, STATUS_INVALID_ARGUMENT, style->where, "a regular expression that is not UTF-8");
    rules_expression whole = read_whole(&p);
    free(p.parts.items);
    for (size_t i = 0; i < REGEX_LANGUAGES; i++) free(p.choices[i].items);
    return whole;
}

enum status regex_write(struct rules *r, struct engine_string source, const char *where,
                        rules_expression *out, struct error *e) {
    const struct regex_style style = {.where = where, .spelling = REGEX_PLAIN};
    *out = regex_write_as(r, source, &style);
    return rules_failed(r) ? rules_finish(r, RULES_NONE, e) : STATUS_OK;
}
