/* What Python's methods of strings do, for the methods and for the filters that call them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/text/template/lexer_words.h"
#include "engine/text/template/methods.h"
#include "engine/text/unicode/unicode.h"

/* ---- strip --------------------------------------------------------------------------------------------- */

/* Counted as it is looked at: each character is looked for among all that are stripped, as the bytes that it is; several
 * bytes take longer to find than one. */
static bool is_stripped(struct render *r, int32_t point, const struct string *characters) {
    if (!characters) return unicode_is_blank(point);
    char bytes[UTF8_BYTES_MAX];
    size_t length = utf8_encode(point, bytes);
    if (!render_bytes(r, characters->length * (length > 1 ? 4 : 1))) return false;
    return characters->length > 0 && memmem(characters->bytes, characters->length, bytes, length);
}

const struct string *text_strip(struct render *r, const struct string *s, const struct string *characters,
                                int side) {
    size_t start = 0, end = s->length;
    for (size_t next = 0; side <= 0 && start < end; start = next)
        if (!is_stripped(r, utf8_next(s->bytes, s->length, &next), characters)) break;
    while (side >= 0 && end > start) {
        size_t before = utf8_previous(s->bytes, end), next = before;
        if (!is_stripped(r, utf8_next(s->bytes, s->length, &next), characters)) break;
        end = before;
    }
    return render_bytes(r, 4 * (s->length - (end - start))) ? string_part(r, s, start, end) : NULL;
}

/* ---- replace, pad -------------------------------------------------------------------------------------- */

/* An empty text is found before each character and at the end. */
static const struct string *insert_between(struct render *r, const struct string *s, const struct string *new,
                                           int64_t most) {
    struct builder b = {.r = r};
    size_t at = 0;
    for (; most != 0; most -= most > 0) {
        size_t start = at;
        builder_string(&b, new);
        if (at == s->length || b.failed || !render_steps(r, 1)) break;
        utf8_next(s->bytes, s->length, &at);
        builder_part(&b, s, start, at);
    }
    builder_part(&b, s, at, s->length);
    return r->failed ? NULL : builder_take(&b);
}

const struct string *text_replace(struct render *r, const struct string *s, const struct string *old,
                                  const struct string *new, int64_t most) {
    struct builder b = {.r = r};
    size_t at = 0, found;
    if (!render_bytes(r, s->length)) return NULL;
    if (old->length == 0) return insert_between(r, s, new, most);
    for (; most != 0 && (found = string_find(s, at, s->length, old)) != SIZE_MAX; most -= most > 0) {
        builder_part(&b, s, at, found);
        builder_string(&b, new);
        at = found + old->length;
        if (b.failed || !render_steps(r, 1)) return NULL;
    }
    if (at == 0) return s;
    builder_part(&b, s, at, s->length);
    return builder_take(&b);
}

const struct string *text_pad(struct render *r, const struct string *s, int64_t width,
                              const struct string *fill, int side) {
    struct builder b = {.r = r};
    int64_t characters = (int64_t)string_characters(s), missing;
    if (width <= characters) return s;
    missing = width - characters;
    int64_t left = side < 0 ? missing : side > 0 ? 0 : missing / 2 + (missing & width & 1);
    if (!render_bytes(r, (size_t)missing)) return NULL;
    for (int64_t i = 0; i < left && !b.failed; i++) builder_string(&b, fill);
    builder_string(&b, s);
    for (int64_t i = left; i < missing && !b.failed; i++) builder_string(&b, fill);
    return builder_take(&b);
}

/* ---- split --------------------------------------------------------------------------------------------- */

static bool add_part(struct render *r, struct list *list, const struct string *s, size_t start, size_t end) {
    const struct string *part = string_part(r, s, start, end);
    return part && render_steps(r, 1) && list_add(r, list, STRING(part));
}

static void reverse(struct list *list) {
    for (size_t i = 0; i < list->count / 2; i++) {
        struct value v = list->items[i];
        list->items[i] = list->items[list->count - 1 - i];
        list->items[list->count - 1 - i] = v;
    }
}

static bool split_left(struct render *r, const struct string *s, const struct string *separator, int64_t most,
                       struct list *list) {
    size_t at = 0, found;
    for (; most != 0 && (found = string_find(s, at, s->length, separator)) != SIZE_MAX; most -= most > 0) {
        if (!add_part(r, list, s, at, found)) return false;
        at = found + separator->length;
    }
    return add_part(r, list, s, at, s->length);
}

static bool split_right(struct render *r, const struct string *s, const struct string *separator,
                        int64_t most, struct list *list) {
    size_t end = s->length, found;
    for (; most != 0 && (found = string_find_last(r, s, 0, end, separator)) != SIZE_MAX; most -= most > 0) {
        if (!add_part(r, list, s, found + separator->length, end)) return false;
        end = found;
    }
    bool done = !r->failed && add_part(r, list, s, 0, end);
    reverse(list);
    return done;
}

static size_t skip_forward(const struct string *s, size_t at, bool blanks) {
    for (size_t next = at; at < s->length; at = next)
        if (unicode_is_blank(utf8_next(s->bytes, s->length, &next)) != blanks) break;
    return at;
}

static size_t skip_back(const struct string *s, size_t at, bool blanks) {
    while (at > 0) {
        size_t before = utf8_previous(s->bytes, at), next = before;
        if (unicode_is_blank(utf8_next(s->bytes, s->length, &next)) != blanks) break;
        at = before;
    }
    return at;
}

static bool split_blanks_left(struct render *r, const struct string *s, int64_t most, struct list *list) {
    for (size_t at = skip_forward(s, 0, true); at<s->length; most -= most> 0) {
        size_t end = most == 0 ? s->length : skip_forward(s, at, false);
        if (!add_part(r, list, s, at, end)) return false;
        at = skip_forward(s, end, true);
    }
    return true;
}

static bool split_blanks_right(struct render *r, const struct string *s, int64_t most, struct list *list) {
    for (size_t end = skip_back(s, s->length, true); end > 0; most -= most > 0) {
        size_t start = most == 0 ? 0 : skip_back(s, end, false);
        if (!add_part(r, list, s, start, end)) return false;
        end = skip_back(s, start, true);
    }
    reverse(list);
    return true;
}

struct list *text_split(struct render *r, const struct string *s, const struct string *separator,
                        int64_t most, bool from_right) {
    struct list *list = list_create(r, LIST_LIST, 4);
    bool done;
    if (!list || !render_bytes(r, s->length)) return NULL;
    if (separator && separator->length == 0) {
        render_set_error(r, STATUS_INVALID_ARGUMENT, "empty separator");
        return NULL;
    }
    if (separator)
        done =
            from_right ? split_right(r, s, separator, most, list) : split_left(r, s, separator, most, list);
    else
        done = from_right ? split_blanks_right(r, s, most, list) : split_blanks_left(r, s, most, list);
    return done ? list : NULL;
}

static bool ends_line(int32_t point) {
    return (point >= 0x0A && point <= 0x0D) || (point >= 0x1C && point <= 0x1E) || point == 0x85 ||
           point == 0x2028 || point == 0x2029;
}

struct list *text_lines(struct render *r, const struct string *s, bool keep_ends) {
    struct list *list = list_create(r, LIST_LIST, 4);
    size_t start = 0;
    if (!list || !render_bytes(r, s->length)) return NULL;
    for (size_t at = 0; at < s->length;) {
        size_t end = at;
        int32_t point = utf8_next(s->bytes, s->length, &at);
        if (!ends_line(point)) continue;
        if (point == '\r' && at < s->length && s->bytes[at] == '\n') at++;
        if (!add_part(r, list, s, start, keep_ends ? at : end)) return NULL;
        start = at;
    }
    return start == s->length || add_part(r, list, s, start, s->length) ? list : NULL;
}

/* ---- numbers in texts ---------------------------------------------------------------------------------- */

/* Digits without blanks around them and single underscores between them; false: too long, or something else. */
static bool clean_number(struct render *r, const struct string *s, char *out, size_t size) {
    const struct string *plain = text_strip(r, s, NULL, 0);
    size_t length = 0;
    if (!plain || plain->length == 0 || plain->length >= size) return false;
    for (size_t i = 0; i < plain->length; i++) {
        char c = plain->bytes[i];
        bool joins = c == '_' && i > 0 && plain->bytes[i - 1] != '_' && i + 1 < plain->length &&
                     plain->bytes[i + 1] != '_';
        if (c & 0x80 || c == '\0' || (c == '_' && !joins)) return false;
        if (c != '_') out[length++] = c;
    }
    out[length] = '\0';
    return true;
}

static const char *skip_prefix(const char *digits, int64_t *base) {
    int letter = digits[0] == '0' ? digits[1] | 0x20 : 0;
    int64_t named = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (named && (*base == 0 || *base == named)) {
        *base = named;
        return digits + 2;
    }
    if (*base == 0) *base = 10;
    return digits;
}

bool text_parse_integer(struct render *r, const struct string *s, int64_t base, bool *valid, int64_t *out) {
    char text[128], *end;
    *valid = false;
    if (base != 0 && (base < 2 || base > 36))
        return render_error(r, "int() base must be >= 2 and <= 36, or 0");
    if (!clean_number(r, s, text, sizeof text)) return !r->failed;
    char *digits = text + (*text == '-' || *text == '+');
    const char *from = skip_prefix(digits, &base);
    if (!((*from >= '0' && *from <= '9') || ((*from | 0x20) >= 'a' && (*from | 0x20) <= 'z'))) return true;
    char *number = digits;
    memmove(number, from, strlen(from) + 1);
    errno = 0;
    *out = strtoll(text, &end, (int)base);
    if (*end || (base == 16 && strpbrk(number, "xX"))) return true;
    *valid = true;
    return errno != ERANGE || render_fail(r, STATUS_UNSUPPORTED, "a whole number beyond 64 bits");
}

bool text_parse_real(struct render *r, const struct string *s, bool *valid, double *out) {
    static const char *const words[] = {"inf", "infinity", "nan"};
    char text[400], *end;
    *valid = false;
    if (!clean_number(r, s, text, sizeof text)) return !r->failed;
    const char *digits = text + (*text == '-' || *text == '+');
    bool word = false;
    for (size_t i = 0; i < 3; i++) word |= strcasecmp(digits, words[i]) == 0;
    if (!word && digits[strspn(digits, "0123456789.eE+-")] != '\0') return true;
    *out = strtod(text, &end);
    *valid = *end == '\0' && end > text;
    return true;
}
