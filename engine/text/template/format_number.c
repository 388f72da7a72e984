#include "engine/text/template/format.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/text/template/print.h"
#include "engine/text/unicode/unicode.h"

/* A number's digits: the largest double has 309, and a precision follows. */
enum { DIGITS_BYTES = 512 };

static void fill(struct builder *b, const struct format_spec *spec, size_t count) {
    for (size_t i = 0; i < count && !b->failed; i++) builder_point(b, spec->fill, spec->client);
}

void format_padded(struct builder *b, const struct format_spec *spec, const struct string *s, char align) {
    size_t characters = string_characters(s);
    size_t missing = spec->width > characters ? spec->width - characters : 0;
    size_t left = align == '>' ? missing : align == '^' ? missing / 2 : 0;
    fill(b, spec, left);
    builder_string(b, s);
    fill(b, spec, missing - left);
}

static bool whole_digits(uint64_t magnitude, char type, char *out) {
    size_t count = 0;
    switch (type) {
    case 'x':
        snprintf(out, DIGITS_BYTES, "%" PRIx64, magnitude);
        return true;
    case 'X':
        snprintf(out, DIGITS_BYTES, "%" PRIX64, magnitude);
        return true;
    case 'o':
        snprintf(out, DIGITS_BYTES, "%" PRIo64, magnitude);
        return true;
    case 'b':
        for (int bit = 63; bit >= 0; bit--)
            if (count > 0 || bit == 0 || (magnitude >> bit & 1))
                out[count++] = (char)('0' + (magnitude >> bit & 1));
        out[count] = '\0';
        return true;
    default:
        snprintf(out, DIGITS_BYTES, "%" PRIu64, magnitude);
        return type == 'd' || type == 'i' || type == 'u' || type == 0;
    }
}

/* Python's %g has two digits in the exponent, as C's has. */
static bool real_digits(const struct format_spec *spec, double magnitude, char *out) {
    int precision = spec->precision < 0 ? 6 : spec->precision;
    const char *alternate = spec->alternate ? "#" : "";
    char format[16];
    if (spec->type == 0) {
        if (spec->precision >= 0) return false;
        print_float(magnitude, out);
        return true;
    }
    if (!strchr("fFeEgG%", spec->type)) return false;
    char type = spec->type;
    if (type == '%') type = 'f';
    snprintf(format, sizeof format, "%%%s.*%c", alternate, type);
    if (isnan(magnitude) || isinf(magnitude))
        snprintf(format, sizeof format, "%%*%c", type == 'F' ? 'F' : 'f');
    if (isnan(magnitude) || isinf(magnitude)) precision = 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(out, DIGITS_BYTES, format, precision, spec->type == '%' ? magnitude * 100 : magnitude);
#pragma GCC diagnostic pop
    if (spec->type == '%') strncat(out, "%", 2);
    return true;
}

/* Separators between groups of digits before the point. */
static void group(char *digits, char separator, size_t size) {
    char grouped[DIGITS_BYTES + DIGITS_BYTES / 3];
    size_t whole = strspn(digits, "0123456789"), count = 0;
    for (size_t at = 0; at < whole; at++) {
        if (at > 0 && (whole - at) % size == 0) grouped[count++] = separator;
        grouped[count++] = digits[at];
    }
    size_t rest = strlen(digits + whole);
    if (count + rest >= DIGITS_BYTES) return;
    memcpy(grouped + count, digits + whole, rest + 1);
    memcpy(digits, grouped, count + rest + 1);
}

static const char *prefix_of(const struct format_spec *spec) {
    if (!spec->alternate) return "";
    return spec->type == 'x'   ? "0x"
           : spec->type == 'X' ? "0X"
           : spec->type == 'o' ? "0o"
           : spec->type == 'b' ? "0b"
                               : "";
}

/* Sign, prefix and digits in their field. */
static void put(struct builder *b, const struct format_spec *spec, bool negative, const char *digits) {
    char head[8];
    const char *sign = negative ? "-" : spec->sign == '+' ? "+" : spec->sign == ' ' ? " " : "";
    snprintf(head, sizeof head, "%s%s", sign, prefix_of(spec));
    size_t length = strlen(head) + strlen(digits);
    size_t missing = spec->width > length ? spec->width - length : 0;
    size_t left = spec->align == '<' ? 0 : spec->align == '^' ? missing / 2 : missing;
    bool inside = spec->align == '=';
    if (!inside) fill(b, spec, left);
    builder_text(b, head);
    if (inside) fill(b, spec, missing);
    builder_text(b, digits);
    if (!inside) fill(b, spec, missing - left);
}

bool format_number(struct builder *b, const struct format_spec *spec, const struct value *v) {
    char digits[DIGITS_BYTES];
    bool negative, known;
    bool real = v->kind == VALUE_FLOAT || (spec->type && strchr("fFeEgG%", spec->type));
    if (real) {
        double d = value_real(v);
        negative = signbit(d) && !isnan(d);
        known = real_digits(spec, fabs(d), digits);
    } else {
        int64_t i = value_integer(v);
        negative = i < 0;
        known = whole_digits(negative ? 0 - (uint64_t)i : (uint64_t)i, spec->type, digits);
    }
    if (!known)
        return render_fail(b->r, STATUS_UNSUPPORTED, "the format '%c' of a %s", spec->type ? spec->type : ' ',
                           value_type(v));
    if (spec->commas) group(digits, ',', 3);
    if (spec->underscores) group(digits, '_', 3);
    put(b, spec, negative, digits);
    return !b->failed;
}
