/* Methods of str. */
#include <limits.h>
#include <string.h>
#include <utf8proc.h>

#include "engine/text/template/eval.h"
#include "engine/text/template/lexer_words.h"
#include "engine/text/template/methods.h"
#include "engine/text/template/print.h"
#include "engine/text/unicode/unicode.h"

/* ---- arguments ----------------------------------------------------------------------------------------- */

static bool text_argument(struct render *r, const struct value *v, const struct string **out) {
    *out = v->string;
    if (v->kind == VALUE_STRING) return true;
    if (v->kind == VALUE_UNDEFINED) return render_error(r, "%s", v->undefined);
    return render_error(r, "a string is expected, not %s", value_type(v));
}

/* NULL where it is absent or None. */
static bool optional_text(struct render *r, const struct value *v, const struct string **out) {
    *out = NULL;
    return v->kind == VALUE_MISSING || v->kind == VALUE_NONE || text_argument(r, v, out);
}

static bool integer_argument(struct render *r, const struct value *v, int64_t absent, int64_t *out) {
    *out = absent;
    if (v->kind == VALUE_MISSING) return true;
    if (v->kind != VALUE_INT && v->kind != VALUE_BOOL)
        return render_error(r, "'%s' object cannot be interpreted as an integer", value_type(v));
    *out = value_integer(v);
    return true;
}

static bool give(const struct string *s, struct value *out) {
    *out = STRING(s);
    return s != NULL;
}

static bool give_list(struct list *list, struct value *out) {
    *out = list_value(list);
    return list != NULL;
}

/* Bounds in characters, as a slice has them, to bytes. false without a failure: they are beyond the text. */
static bool bounds(struct render *r, const struct string *s, const struct value *p, size_t *start,
                   size_t *end) {
    int64_t count = (int64_t)string_characters(s), from, to;
    struct value first = p[0].kind == VALUE_NONE ? (struct value){0} : p[0];
    struct value last = p[1].kind == VALUE_NONE ? (struct value){0} : p[1];
    if (!render_bytes(r, s->length) || !integer_argument(r, &first, 0, &from) ||
        !integer_argument(r, &last, count, &to))
        return false;
    if (from < 0) from = from + count < 0 ? 0 : from + count;
    if (to < 0) to = to + count < 0 ? 0 : to + count;
    if (to > count) to = count;
    if (from > count || from > to) return false;
    *start = string_offset(s, (size_t)from);
    *end = string_offset(s, (size_t)to);
    return true;
}

/* ---- methods that give strings ------------------------------------------------------------------------- */

static bool strip_side(struct render *r, const struct value *self, const struct value *p, int side,
                       struct value *out) {
    const struct string *characters;
    return optional_text(r, &p[0], &characters) && give(text_strip(r, self->string, characters, side), out);
}

static bool strip(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    return strip_side(r, self, p, 0, out);
}

static bool lstrip(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    return strip_side(r, self, p, -1, out);
}

static bool rstrip(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    return strip_side(r, self, p, 1, out);
}

static bool replace(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    const struct string *old, *new;
    int64_t most;
    if (!text_argument(r, &p[0], &old) || !text_argument(r, &p[1], &new) ||
        !integer_argument(r, &p[2], -1, &most))
        return false;
    if (self->string->safe)
        return render_fail(r, STATUS_UNSUPPORTED, "replace() of a string that is marked safe");
    return give(text_replace(r, self->string, old, new, most), out);
}

static bool pad(struct render *r, const struct value *self, const struct value *p, int side,
                struct value *out) {
    static const struct string blank = STRING_LITERAL(" ");
    const struct string *fill;
    int64_t width;
    if (!integer_argument(r, &p[0], 0, &width) || !optional_text(r, &p[1], &fill)) return false;
    if (!fill) fill = &blank;
    if (string_characters(fill) != 1)
        return render_error(r, "The fill character must be exactly one character long");
    return give(text_pad(r, self->string, width, fill, side), out);
}

static bool center(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    return pad(r, self, p, 0, out);
}

static bool ljust(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    return pad(r, self, p, 1, out);
}

static bool rjust(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    return pad(r, self, p, -1, out);
}

static bool zfill(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    static const struct string zero = STRING_LITERAL("0");
    const struct string *s = self->string;
    int64_t width;
    size_t sign = s->length > 0 && (*s->bytes == '-' || *s->bytes == '+');
    if (!integer_argument(r, &p[0], 0, &width)) return false;
    const struct string *head = string_part(r, s, 0, sign), *rest = string_part(r, s, sign, s->length);
    width = width > INT_MAX ? INT_MAX : width > 0 ? width - (int64_t)sign : 0;
    const struct string *padded = head && rest ? text_pad(r, rest, width, &zero, -1) : NULL;
    return padded && give(string_concat(r, head, padded), out);
}

static bool removeprefix(struct render *r, const struct value *self, const struct value *p,
                         struct value *out) {
    const struct string *s = self->string, *prefix;
    if (!text_argument(r, &p[0], &prefix) || !render_bytes(r, prefix->length)) return false;
    bool there = string_find(s, 0, s->length < prefix->length ? s->length : prefix->length, prefix) == 0;
    return give(string_part(r, s, there ? prefix->length : 0, s->length), out);
}

static bool removesuffix(struct render *r, const struct value *self, const struct value *p,
                         struct value *out) {
    const struct string *s = self->string, *suffix;
    if (!text_argument(r, &p[0], &suffix) || !render_bytes(r, suffix->length)) return false;
    size_t from = s->length < suffix->length ? s->length : s->length - suffix->length;
    bool there = suffix->length > 0 && string_find(s, from, s->length, suffix) == from;
    return give(string_part(r, s, 0, there ? from : s->length), out);
}

static bool join(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    struct builder b = {.r = r};
    struct list *list;
    if (p[0].kind == VALUE_UNDEFINED || value_is_iterable(&p[0])) {
        if (!value_elements(r, &p[0], &list)) return false;
    } else {
        return render_error(r, "can only join an iterable");
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct value *v = &list->items[i];
        if (v->kind != VALUE_STRING)
            return render_error(r, "sequence item %zu: expected str instance, %s found", i, value_type(v));
        if (i > 0) builder_string(&b, self->string);
        builder_string(&b, v->string);
        if (b.failed || !render_steps(r, 1)) return false;
    }
    return give(builder_take(&b), out);
}

static bool expandtabs(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    struct builder b = {.r = r};
    const struct string *s = self->string;
    int64_t size, column = 0;
    if (!integer_argument(r, &p[0], 8, &size) || !render_bytes(r, s->length)) return false;
    if (size > 1000) return render_fail(r, STATUS_LIMIT, "tabs of more than 1000 columns");
    for (size_t at = 0; at < s->length && !b.failed;) {
        size_t start = at;
        int32_t point = utf8_next(s->bytes, s->length, &at);
        int64_t blanks = point == '\t' && size > 0 ? size - column % size : 0;
        for (int64_t i = 0; i < blanks; i++) builder_add(&b, " ", 1, string_mark(s, start));
        if (point != '\t') builder_part(&b, s, start, at);
        column = point == '\n' || point == '\r' ? 0 : column + (point == '\t' ? blanks : 1);
    }
    return give(builder_take(&b), out);
}

/* ---- methods that give lists --------------------------------------------------------------------------- */

static bool split_from(struct render *r, const struct value *self, const struct value *p, bool right,
                       struct value *out) {
    const struct string *separator;
    int64_t most;
    return optional_text(r, &p[0], &separator) && integer_argument(r, &p[1], -1, &most) &&
           give_list(text_split(r, self->string, separator, most, right), out);
}

static bool split(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    return split_from(r, self, p, false, out);
}

static bool rsplit(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    return split_from(r, self, p, true, out);
}

static bool splitlines(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    return give_list(text_lines(r, self->string, value_truth(&p[0])), out);
}

static bool partition_at(struct render *r, const struct string *s, const struct string *separator,
                         size_t found, bool right, struct value *out) {
    size_t start = found == SIZE_MAX ? (right ? 0 : s->length) : found;
    size_t end = found == SIZE_MAX ? start : found + separator->length;
    struct list *list = list_create(r, LIST_TUPLE, 3);
    const struct string *parts[] = {string_part(r, s, 0, start), string_part(r, s, start, end),
                                    string_part(r, s, end, s->length)};
    for (size_t i = 0; list && i < 3; i++) {
        if (!parts[i]) return false;
        list->items[list->count++] = STRING(parts[i]);
    }
    return give_list(list, out);
}

static bool partition(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    const struct string *s = self->string, *separator;
    if (!text_argument(r, &p[0], &separator) || !render_bytes(r, s->length)) return false;
    if (separator->length == 0) return render_error(r, "empty separator");
    return partition_at(r, s, separator, string_find(s, 0, s->length, separator), false, out);
}

static bool rpartition(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    const struct string *s = self->string, *separator;
    if (!text_argument(r, &p[0], &separator) || !render_bytes(r, s->length)) return false;
    if (separator->length == 0) return render_error(r, "empty separator");
    size_t found = string_find_last(r, s, 0, s->length, separator);
    return !r->failed && partition_at(r, s, separator, found, true, out);
}

/* ---- methods that look ---------------------------------------------------------------------------------- */

static bool at_end(const struct string *s, size_t start, size_t end, const struct string *affix,
                   bool suffix) {
    if (end - start < affix->length) return false;
    size_t from = suffix ? end - affix->length : start;
    return affix->length == 0 || memcmp(s->bytes + from, affix->bytes, affix->length) == 0;
}

static bool has_affix(struct render *r, const struct value *self, const struct value *p, bool suffix,
                      struct value *out) {
    size_t start, end;
    const struct string *affix;
    bool several = value_is_list(&p[0], LIST_TUPLE), found = false;
    bool within = bounds(r, self->string, p + 1, &start, &end);
    if (r->failed) return false;
    if (!several && p[0].kind != VALUE_STRING) {
        if (p[0].kind == VALUE_UNDEFINED)
            return render_error(r, "%s first arg must be str or a tuple of str, not Undefined",
                                suffix ? "endswith" : "startswith");
        return text_argument(r, &p[0], &affix);
    }
    size_t count = several ? p[0].list->count : 1;
    for (size_t i = 0; i < count && !found; i++) {
        if (!text_argument(r, several ? &p[0].list->items[i] : &p[0], &affix) ||
            !render_bytes(r, affix->length))
            return false;
        found = within && at_end(self->string, start, end, affix, suffix);
    }
    *out = BOOLEAN(found);
    return true;
}

static bool startswith(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    return has_affix(r, self, p, false, out);
}

static bool endswith(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    return has_affix(r, self, p, true, out);
}

/* Place of the first or last occurrence in characters; -1: none. */
static bool place(struct render *r, const struct value *self, const struct value *p, bool last,
                  int64_t *out) {
    const struct string *s = self->string, *needle;
    size_t start, end, found = SIZE_MAX;
    if (!text_argument(r, &p[0], &needle)) return false;
    if (bounds(r, s, p + 1, &start, &end))
        found = last ? string_find_last(r, s, start, end, needle) : string_find(s, start, end, needle);
    *out = found == SIZE_MAX ? -1 : (int64_t)(found ? utf8_count(s->bytes, found) : 0);
    return !r->failed;
}

static bool find(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    *out = INTEGER(0);
    return place(r, self, p, false, &out->integer);
}

static bool rfind(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    *out = INTEGER(0);
    return place(r, self, p, true, &out->integer);
}

static bool text_index(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    if (!find(r, self, p, out)) return false;
    return out->integer >= 0 || render_error(r, "substring not found");
}

static bool rindex_of(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    if (!rfind(r, self, p, out)) return false;
    return out->integer >= 0 || render_error(r, "substring not found");
}

static bool count(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    const struct string *s = self->string, *needle;
    size_t start, end;
    *out = INTEGER(0);
    if (!text_argument(r, &p[0], &needle)) return false;
    if (!bounds(r, s, p + 1, &start, &end)) return !r->failed;
    if (needle->length == 0)
        out->integer = (int64_t)(end > start ? utf8_count(s->bytes + start, end - start) : 0) + 1;
    while (needle->length > 0 && (start = string_find(s, start, end, needle)) != SIZE_MAX) {
        out->integer++;
        start += needle->length;
    }
    return true;
}

const struct method string_methods[] = {
    {"strip", strip, "chars", 0, false},
    {"lstrip", lstrip, "chars", 0, false},
    {"rstrip", rstrip, "chars", 0, false},
    {"split", split, "sep maxsplit", 0, true},
    {"rsplit", rsplit, "sep maxsplit", 0, true},
    {"splitlines", splitlines, "keepends", 0, true},
    {"startswith", startswith, "prefix start end", 1, false},
    {"endswith", endswith, "suffix start end", 1, false},
    {"replace", replace, "old new count", 2, false},
    {"find", find, "sub start end", 1, false},
    {"rfind", rfind, "sub start end", 1, false},
    {"index", text_index, "sub start end", 1, false},
    {"rindex", rindex_of, "sub start end", 1, false},
    {"count", count, "sub start end", 1, false},
    {"join", join, "iterable", 1, false},
    {"partition", partition, "sep", 1, false},
    {"rpartition", rpartition, "sep", 1, false},
    {"removeprefix", removeprefix, "prefix", 1, false},
    {"removesuffix", removesuffix, "suffix", 1, false},
    {"center", center, "width fillchar", 1, false},
    {"ljust", ljust, "width fillchar", 1, false},
    {"rjust", rjust, "width fillchar", 1, false},
    {"zfill", zfill, "width", 1, false},
    {"expandtabs", expandtabs, "tabsize", 0, true},
    {"encode", NULL, "", 0, false},
    {"format_map", NULL, "", 0, false},
    {"maketrans", NULL, "", 0, false},
    {"translate", NULL, "", 0, false},
    {0},
};
