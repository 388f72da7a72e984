#include "engine/grammar/sources/json_decimal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct json_decimal json_decimal_zero = {.whole = "0"};
const struct json_decimal json_decimal_huge = {.whole = "100000000000000000000"};

/* "d.ddde+xx" with as few digits as give the same double back. */
static void shortest(double value, char *out, size_t size) {
    for (int digits = 0; digits < 17; digits++) {
        snprintf(out, size, "%.*e", digits, value);
        if (strtod(out, NULL) == value) return;
    }
}

size_t json_decimal_text(const json_t *number, char out[JSON_DECIMAL_TEXT_MAX]) {
    if (json_is_integer(number))
        return (size_t)snprintf(out, JSON_DECIMAL_TEXT_MAX, "%lld", (long long)json_integer_value(number));
    double value = json_real_value(number);
    int digits = 1;
    size_t length;
    do length = (size_t)snprintf(out, JSON_DECIMAL_TEXT_MAX, "%.*g", digits, value);
    while (strtod(out, NULL) != value && digits++ < 17);
    if (!strpbrk(out, ".e")) length += (size_t)snprintf(out + length, JSON_DECIMAL_TEXT_MAX - length, ".0");
    return length;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static char digit_at(const char *digits, int count, int i) {
    if (i < 0 || i >= count) return '0';
    return digits[i];
}

/* Digits without a point, which stands behind `point` of them (it may be outside). */
static bool place_point(const char *digits, int point, struct json_decimal *out) {
    int count = (int)strlen(digits), whole = 0, fraction = 0;
    while (count > 0 && digits[count - 1] == '0') count--;
    if (count > 0 && point > JSON_DECIMAL_WHOLE_MAX - 1) {
        memcpy(out->whole, json_decimal_huge.whole, sizeof out->whole);
        out->fraction[0] = '\0';
        return true;
    }
    if (count - point > JSON_DECIMAL_FRACTION_MAX) return false;
    for (int i = 0; count > 0 && i < point; i++) out->whole[whole++] = digit_at(digits, count, i);
    if (whole == 0) out->whole[whole++] = '0';
    for (int i = point; i < count; i++) out->fraction[fraction++] = digit_at(digits, count, i);
    out->whole[whole] = out->fraction[fraction] = '\0';
    return true;
}

bool json_decimal_read(const json_t *number, struct json_decimal *out) {
    char text[JSON_DECIMAL_TEXT_MAX], digits[JSON_DECIMAL_TEXT_MAX];
    size_t count = 0;
    int exponent = 0;
    bool is_integer = json_is_integer(number);
    if (is_integer)
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(number));
    else
        shortest(json_real_value(number), text, sizeof text);
    const char *at = text + (text[0] == '-');
    for (; *at && *at != 'e'; at++)
        if (*at != '.') digits[count++] = *at;
    digits[count] = '\0';
    if (*at == 'e') exponent = (int)strtol(at + 1, NULL, 10);
    out->negative = text[0] == '-' && strspn(digits, "0") < count;
    return place_point(digits, is_integer ? (int)count : exponent + 1, out);
}

/* ---- comparing and counting ----------------------------------------------------------------------------------------- */

int json_decimal_compare_digits(const char *a, const char *b) {
    size_t x = strlen(a), y = strlen(b);
    return x != y ? (x > y) - (x < y) : strcmp(a, b);
}

int json_decimal_compare(const struct json_decimal *a, const struct json_decimal *b) {
    if (a->negative != b->negative) return a->negative ? -1 : 1;
    int order = json_decimal_compare_digits(a->whole, b->whole);
    if (order == 0) order = strcmp(a->fraction, b->fraction); /* a longer one has a digit that is not 0 */
    return a->negative ? -order : order;
}

void json_decimal_whole_up(char whole[JSON_DECIMAL_WHOLE_MAX + 1]) {
    size_t length = strlen(whole), i = length;
    while (i > 0 && whole[i - 1] == '9') whole[--i] = '0';
    if (i > 0) {
        whole[i - 1]++;
    } else if (length < JSON_DECIMAL_WHOLE_MAX) {
        memmove(whole + 1, whole, length + 1);
        whole[0] = '1';
    }
}

void json_decimal_whole_down(char whole[JSON_DECIMAL_WHOLE_MAX + 1]) {
    size_t length = strlen(whole), i = length;
    while (i > 0 && whole[i - 1] == '0') whole[--i] = '9';
    if (i > 0) whole[i - 1]--;
    if (whole[0] == '0' && length > 1) memmove(whole, whole + 1, length);
}

bool json_decimal_scale(const struct json_decimal *d, size_t places, __int128 *out) {
    size_t fraction = strlen(d->fraction);
    __int128 value = 0;
    if (fraction > places || strlen(d->whole) + places > JSON_DECIMAL_SCALED_MAX) return false;
    for (const char *digit = d->whole; *digit; digit++) value = value * 10 + (*digit - '0');
    for (size_t i = 0; i < places; i++) value = value * 10 + (i < fraction ? d->fraction[i] - '0' : 0);
    *out = d->negative ? -value : value;
    return true;
}
