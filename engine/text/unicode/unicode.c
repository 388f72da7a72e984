#include "engine/text/unicode/unicode.h"

#include <utf8proc.h>

#include "engine/text/unicode/moses_classes.h"
#include "engine/text/unicode/unicode_tables.h"

size_t utf8_valid_prefix(const char *text, size_t length) {
    size_t at = 0, used;
    while (at < length) {
        if ((unsigned char)text[at] < 0x80) {
            at++;
            continue;
        }
        if (utf8_classify((const unsigned char *)text + at, length - at, &used) != UTF8_WHOLE) break;
        at += used;
    }
    return at;
}

int32_t utf8_next(const char *text, size_t length, size_t *at) {
    const unsigned char *bytes = (const unsigned char *)text + *at;
    (void)length;
    if (bytes[0] < 0x80) {
        *at += 1;
        return bytes[0];
    }
    if (bytes[0] < 0xE0) {
        *at += 2;
        return (bytes[0] & 0x1F) << 6 | (bytes[1] & 0x3F);
    }
    if (bytes[0] < 0xF0) {
        *at += 3;
        return (bytes[0] & 0x0F) << 12 | (bytes[1] & 0x3F) << 6 | (bytes[2] & 0x3F);
    }
    *at += 4;
    return (bytes[0] & 0x07) << 18 | (bytes[1] & 0x3F) << 12 | (bytes[2] & 0x3F) << 6 | (bytes[3] & 0x3F);
}

size_t utf8_previous(const char *text, size_t at) {
    do at--;
    while (at > 0 && ((unsigned char)text[at] & 0xC0) == 0x80);
    return at;
}

size_t utf8_count(const char *text, size_t length) {
    size_t count = 0;
    for (size_t i = 0; i < length; i++) count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

size_t utf8_encode(int32_t point, char out[UTF8_BYTES_MAX]) {
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xC0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3F));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xE0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3F));
        out[2] = (char)(0x80 | (point & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3F));
    out[2] = (char)(0x80 | (point >> 6 & 0x3F));
    out[3] = (char)(0x80 | (point & 0x3F));
    return 4;
}

bool unicode_is_whitespace(int32_t point) {
    return (point >= 0x09 && point <= 0x0D) || point == 0x20 || point == 0x85 || point == 0xA0 ||
           point == 0x1680 || (point >= 0x2000 && point <= 0x200A) || point == 0x2028 || point == 0x2029 ||
           point == 0x202F || point == 0x205F || point == 0x3000;
}

static bool is_in(int32_t point, const struct unicode_range *ranges, size_t count) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (point > ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && point >= ranges[low].first;
}

bool unicode_is_word(int32_t point) {
    return is_in(point, unicode_word, unicode_word_count);
}

bool unicode_is_numeric(int32_t point) {
    return is_in(point, unicode_numeric, unicode_numeric_count);
}

bool unicode_is_punctuation(int32_t point) {
    return is_in(point, unicode_punctuation, unicode_punctuation_count);
}

bool unicode_is_mark(int32_t point) {
    return is_in(point, unicode_mark, unicode_mark_count);
}

bool unicode_is_nonspacing_mark(int32_t point) {
    return is_in(point, unicode_nonspacing, unicode_nonspacing_count);
}

bool unicode_is_other(int32_t point) {
    return is_in(point, unicode_other, unicode_other_count);
}

bool unicode_is_inert(int32_t point) {
    return is_in(point, unicode_inert, unicode_inert_count);
}

bool moses_is(int32_t point, int32_t classes) {
    size_t low = 0, high = moses_range_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (point > moses_ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < moses_range_count && point >= moses_ranges[low].first &&
           (moses_ranges[low].classes & classes) != 0;
}

size_t unicode_lower(int32_t point, int32_t out[2]) {
    out[0] = utf8proc_tolower(point);
    if (point == 0x130) { /* the only code point whose lower case is longer than one */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    for (size_t i = 0;
         out[0] == point && point >= unicode_lower_pairs[0].from && i < unicode_lower_pairs_count; i++)
        if (unicode_lower_pairs[i].from == point) out[0] = unicode_lower_pairs[i].to;
    return 1;
}
