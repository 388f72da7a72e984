#include "engine/text/normalize/normal_form.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "engine/text/unicode/unicode.h"

/* More than the longest decomposition of one code point (18, U+FDFA). */
enum { DECOMPOSITION_MAX = 32, CLASS_COUNT = 256 };

struct point_list {
    int32_t *items, *spare; /* spare: as long as the longest run that had to be ordered */
    size_t count, capacity, spare_capacity;
};

static bool is_ascii(const char *text, size_t length) {
    unsigned char all = 0;
    for (size_t i = 0; i < length; i++) all |= (unsigned char)text[i];
    return all < 0x80;
}

static unsigned char combining_class(int32_t point) {
    unsigned char class = (unsigned char)utf8proc_get_property(point)->combining_class;
    return class && unicode_is_inert(point) ? 0 : class;
}

static enum status decompose(struct point_list *list, const char *text, size_t length,
                             utf8proc_option_t options, struct error *e) {
    int unused = 0;
    for (size_t at = 0; at < length;) {
        if (!array_reserve(&list->items, &list->capacity, list->count + DECOMPOSITION_MAX))
            return text_no_memory(e);
        int32_t point = utf8_next(text, length, &at);
        if (point < 0x80 || unicode_is_inert(point)) {
            list->items[list->count++] = point;
            continue;
        }
        utf8proc_ssize_t wrote =
            utf8proc_decompose_char(point, list->items + list->count, DECOMPOSITION_MAX, options, &unused);
        if (wrote < 0 || wrote > DECOMPOSITION_MAX)
            return error_set(e, STATUS_UNSUPPORTED, "tokenizer", "U+%04X cannot be decomposed",
                             (unsigned)point);
        list->count += (size_t)wrote;
    }
    return STATUS_OK;
}

/* Stable order by combining class. */
static void sort_run(int32_t *points, size_t count, int32_t *spare) {
    size_t starts[CLASS_COUNT + 1] = {0};
    for (size_t i = 0; i < count; i++) starts[combining_class(points[i]) + 1]++;
    for (size_t i = 0; i < CLASS_COUNT; i++) starts[i + 1] += starts[i];
    memcpy(spare, points, count * sizeof *spare);
    for (size_t i = 0; i < count; i++) points[starts[combining_class(spare[i])]++] = spare[i];
}

/* Each run of combining marks between two starters is put in canonical order. */
static enum status order_marks(struct point_list *list, struct error *e) {
    for (size_t at = 0, start; at < list->count; at++) {
        bool ordered = true;
        unsigned char before = 0;
        for (start = at; at < list->count; at++) {
            unsigned char class = combining_class(list->items[at]);
            if (class == 0) break;
            ordered = ordered && class >= before;
            before = class;
        }
        if (ordered) continue;
        if (!array_reserve(&list->spare, &list->spare_capacity, at - start)) return text_no_memory(e);
        sort_run(list->items + start, at - start, list->spare);
    }
    return STATUS_OK;
}

/* Composes in place what is between inert characters, which compose with nothing. */
static enum status compose(struct point_list *list, struct error *e) {
    size_t kept = 0;
    for (size_t start = 0, end; start < list->count; start = end) {
        bool inert = unicode_is_inert(list->items[start]);
        for (end = start + 1; !inert && end < list->count && !unicode_is_inert(list->items[end]);) end++;
        utf8proc_ssize_t count =
            inert ? 1
                  : utf8proc_normalize_utf32(list->items + start, (utf8proc_ssize_t)(end - start),
                                             UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        if (count < 0) return error_set(e, STATUS_UNSUPPORTED, "tokenizer", "the text cannot be composed");
        memmove(list->items + kept, list->items + start, (size_t)count * sizeof *list->items);
        kept += (size_t)count;
    }
    list->count = kept;
    return STATUS_OK;
}

static enum status normalize(enum normal_form form, const char *text, size_t length, struct point_list *list,
                             struct error *e) {
    bool composed = form == NORMAL_FORM_C || form == NORMAL_FORM_KC;
    bool compatible = form == NORMAL_FORM_KC || form == NORMAL_FORM_KD;
    utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0);
    enum status status = decompose(list, text, length, options, e);
    if (status == STATUS_OK) status = order_marks(list, e);
    return status == STATUS_OK && composed ? compose(list, e) : status;
}

enum status normal_form_append(enum normal_form form, const char *text, size_t length,
                               struct text_buffer *out, struct error *e) {
    struct point_list list = {0};
    if (is_ascii(text, length)) { /* its own form, whichever */
        text_buffer_append(out, text, length);
        return text_buffer_status(out, e);
    }
    enum status status = normalize(form, text, length, &list, e);
    for (size_t i = 0; status == STATUS_OK && i < list.count; i++)
        text_buffer_append_point(out, list.items[i]);
    free(list.items);
    free(list.spare);
    return status == STATUS_OK ? text_buffer_status(out, e) : status;
}
