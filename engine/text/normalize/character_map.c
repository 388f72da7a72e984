#include "engine/text/normalize/character_map.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "engine/text/unicode/unicode.h"

/* A unit is a node: the byte that leads to it, whether a key ends there, and how far its children are. A
 * value is a unit of its own. */
enum { ROOT = 0, CLUSTER_BYTES_END = 6, BLOCK = 256 };

static uint32_t unit_label(uint32_t unit) {
    return unit & (1u << 31 | 0xFF);
}
static bool unit_has_leaf(uint32_t unit) {
    return unit >> 8 & 1;
}
static uint32_t unit_value(uint32_t unit) {
    return unit & ~(1u << 31);
}
static uint32_t unit_offset(uint32_t unit) {
    return (unit >> 10) << ((unit & 1u << 9) >> 6);
}

static int base64_digit(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c ? strchr(digits, c) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* false: not base64 (with its padding). */
static bool decode_base64(const char *text, size_t length, struct text_buffer *out) {
    uint32_t bits = 0;
    if (length % 4 != 0) return false;
    size_t padding = length > 0 && text[length - 1] == '=' ? 1u + (text[length - 2] == '=') : 0;
    for (size_t i = 0; i < length; i++) {
        int digit = i < length - padding ? base64_digit(text[i]) : 0;
        if (digit < 0) return false;
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 != 3) continue;
        for (size_t byte = 0; byte < 3 - (i + 1 == length ? padding : 0); byte++)
            text_buffer_append_byte(out, (char)(bits >> (16 - 8 * byte)));
        bits = 0;
    }
    return true;
}

static uint32_t read_u32(const char *bytes) {
    const unsigned char *b = (const unsigned char *)bytes;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* 4 bytes: size of the trie; the trie; the replacements. All numbers are little-endian. */
static enum status read_blob(struct character_map *m, const struct json_path *at,
                             const struct text_buffer *blob, struct error *e) {
    uint32_t size = blob->length >= 4 ? read_u32(blob->bytes) : 0;
    if (size == 0 || size % (4 * BLOCK) != 0 || size > blob->length - 4)
        return json_path_error(at, STATUS_MALFORMED, e, "a trie of %u bytes in %zu", size, blob->length);
    m->unit_count = size / 4;
    m->units = calloc(m->unit_count, sizeof *m->units);
    if (!m->units) return text_no_memory(e);
    for (size_t i = 0; i < m->unit_count; i++) m->units[i] = read_u32(blob->bytes + 4 + 4 * i);
    const char *rest = blob->bytes + 4 + size;
    size_t length = blob->length - 4 - size;
    if (utf8_valid_prefix(rest, length) != length)
        return json_path_error(at, STATUS_MALFORMED, e, "the replacements are not UTF-8");
    text_buffer_append(&m->replacements, rest, length);
    text_buffer_append_byte(&m->replacements, '\0');
    return text_buffer_status(&m->replacements, e);
}

struct walk {
    unsigned char *seen; /* [unit_count] */
    uint32_t *stack;     /* [unit_count] nodes whose children are to be looked at */
    size_t depth;
};

/* Where a node's children are, which must be within the array with all bytes that could follow; its value
 * too. */
static bool check_node(const struct character_map *m, uint32_t node, struct walk *w) {
    uint32_t unit = m->units[node], base = node ^ unit_offset(unit);
    if (w->seen[node]) return true;
    w->seen[node] = 1;
    if (base >= m->unit_count) return false; /* blocks are whole, so base ^ byte is within too */
    if (node != ROOT && unit_has_leaf(unit)) {
        size_t value = unit_value(m->units[base]);
        if (value >= m->replacements.length) return false;
        if (value > 0 && ((unsigned char)m->replacements.bytes[value] & 0xC0) == 0x80) return false;
    }
    w->stack[w->depth++] = node;
    return true;
}

static bool check_trie(const struct character_map *m, struct walk *w) {
    if (!check_node(m, ROOT, w)) return false;
    while (w->depth > 0) {
        uint32_t node = w->stack[--w->depth], base = node ^ unit_offset(m->units[node]);
        for (uint32_t byte = 1; byte < 256; byte++)
            if (unit_label(m->units[base ^ byte]) == byte && !check_node(m, base ^ byte, w)) return false;
    }
    return true;
}

static enum status check(const struct character_map *m, const struct json_path *at, struct error *e) {
    struct walk w = {.seen = calloc(m->unit_count, 1), .stack = calloc(m->unit_count, sizeof *w.stack)};
    enum status status = STATUS_OK;
    if (!w.seen || !w.stack)
        status = text_no_memory(e);
    else if (!check_trie(m, &w))
        status = json_path_error(at, STATUS_MALFORMED, e,
                                 "the trie leads outside of itself or of the replacements");
    free(w.seen);
    free(w.stack);
    return status;
}

enum status character_map_init(struct character_map *m, const struct json_path *path, struct error *e) {
    const char *text;
    size_t length;
    struct text_buffer blob = {0};
    struct json_path at = json_path_member(path, "precompiled_charsmap");
    enum status status = json_path_string(path, "precompiled_charsmap", NULL, &text, &length, e);
    if (status == STATUS_OK && !decode_base64(text, length, &blob))
        status = json_path_error(&at, STATUS_MALFORMED, e, "not base64");
    if (status == STATUS_OK) status = text_buffer_status(&blob, e);
    if (status == STATUS_OK) status = read_blob(m, &at, &blob, e);
    text_buffer_deinit(&blob);
    return status == STATUS_OK ? check(m, &at, e) : status;
}

void character_map_deinit(struct character_map *m) {
    free(m->units);
    text_buffer_deinit(&m->replacements);
    *m = (struct character_map){0};
}

/* The replacement of the shortest key that text begins with, which the library takes for the whole; NULL:
 * none. */
static const char *find_replacement(const struct character_map *m, const char *text, size_t length) {
    uint32_t base = unit_offset(m->units[ROOT]);
    for (size_t i = 0; i < length && text[i]; i++) {
        uint32_t byte = (unsigned char)text[i], node = base ^ byte, unit = m->units[node];
        if (unit_label(unit) != byte) return NULL;
        base = node ^ unit_offset(unit);
        if (unit_has_leaf(unit)) return m->replacements.bytes + unit_value(m->units[base]);
    }
    return NULL;
}

/* Keys of one text that SentencePiece looks at; and bytes of a key, far more than the few characters that keys have: a
 * trie may lead back into itself, and would be walked to the end of the text from each of its places. */
enum { KEYS_MAX = 32, KEY_BYTES_MAX = 1024 };

const char *character_map_longest(const struct character_map *m, const char *text, size_t length,
                                  size_t *key_length, bool *open) {
    uint32_t base = unit_offset(m->units[ROOT]);
    const char *found = NULL;
    size_t keys = 0, i = 0;
    for (; i < length && i < KEY_BYTES_MAX && text[i] && keys < KEYS_MAX; i++) {
        uint32_t byte = (unsigned char)text[i], node = base ^ byte, unit = m->units[node];
        if (unit_label(unit) != byte) break;
        base = node ^ unit_offset(unit);
        if (!unit_has_leaf(unit)) continue;
        found = m->replacements.bytes + unit_value(m->units[base]);
        *key_length = i + 1;
        keys++;
    }
    if (open) *open = i == length;
    return found;
}

static bool append_mapped(const struct character_map *m, const char *text, size_t length,
                          struct text_buffer *out) {
    const char *replacement = find_replacement(m, text, length);
    if (replacement) text_buffer_append(out, replacement, strlen(replacement));
    return replacement;
}

static void append_cluster(const struct character_map *m, const char *text, size_t length,
                           struct text_buffer *out) {
    if (length < CLUSTER_BYTES_END && append_mapped(m, text, length, out)) return;
    for (size_t at = 0, start = 0; at < length; start = at) {
        utf8_next(text, length, &at);
        if (!append_mapped(m, text + start, at - start, out))
            text_buffer_append(out, text + start, at - start);
    }
}

void character_map_append(const struct character_map *m, const char *text, size_t length,
                          struct text_buffer *out, bool *dropped) {
    size_t at = 0, start = 0, before = out->length;
    utf8proc_int32_t state = 0;
    *dropped = false;
    while (start < length) {
        int32_t point = utf8_next(text, length, &at);
        for (size_t next = at; next < length; at = next) {
            int32_t following = utf8_next(text, length, &next);
            if (utf8proc_grapheme_break_stateful(point, following, &state)) break;
            point = following;
        }
        append_cluster(m, text + start, at - start, out);
        if (start == 0) *dropped = out->length == before;
        start = at;
    }
}
