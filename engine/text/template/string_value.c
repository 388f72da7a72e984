#include "engine/text/template/string_value.h"

#include <string.h>

#include "engine/text/template/render.h"
#include "engine/text/unicode/unicode.h"

/* From so many bytes on a sum has room for more: texts that are put together piece by piece. */
enum { ROOM_BYTES_MIN = 128 };

/* Bytes that strings of growing length begin in. */
struct room {
    char *bytes;
    unsigned char *marks; /* NULL: all are alike, as those strings say */
    size_t used, capacity;
};

/* ---- making -------------------------------------------------------------------------------------------- */

static struct string *create(struct render *r, const char *bytes, size_t length) {
    struct string *s = render_take(r, 1, sizeof *s);
    if (!s) return NULL;
    *s = (struct string){.bytes = bytes, .length = length, .characters = SIZE_MAX};
    return s;
}

const struct string *string_create(struct render *r, const char *bytes, size_t length, bool client) {
    struct string *s = create(r, bytes, length);
    if (s) s->client = client;
    return s;
}

const struct string *string_copy(struct render *r, const char *text) {
    size_t length = strlen(text);
    char *bytes = render_take_bytes(r, length + 1);
    if (!bytes) return NULL;
    memcpy(bytes, text, length + 1);
    return string_create(r, bytes, length, false);
}

const struct string *string_part(struct render *r, const struct string *s, size_t start, size_t end) {
    if (start == 0 && end == s->length) return s;
    struct string *part = create(r, s->bytes + start, end - start);
    if (!part) return NULL;
    part->marks = s->marks ? s->marks + start : NULL;
    part->client = s->client;
    part->safe = s->safe;
    if (s->characters == s->length) part->characters = part->length;
    return part;
}

const struct string *string_with_safety(struct render *r, const struct string *s, bool safe) {
    if (s->safe == safe) return s;
    struct string *copy = create(r, s->bytes, s->length);
    if (!copy) return NULL;
    *copy = *s;
    copy->room = NULL;
    copy->safe = safe;
    return copy;
}

static bool mixed(const struct string *a, const struct string *b) {
    return a->marks || b->marks || a->client != b->client;
}

static void copy_marks(unsigned char *out, const struct string *s) {
    if (s->marks)
        memcpy(out, s->marks, s->length);
    else
        memset(out, s->client, s->length);
}

static bool give_marks(struct render *r, struct room *room, const struct string *a) {
    room->marks = (unsigned char *)render_take_bytes(r, room->capacity);
    if (room->marks) copy_marks(room->marks, a);
    return room->marks != NULL;
}

/* A room that begins with a, and has place for so many bytes. */
static struct room *room_for(struct render *r, const struct string *a, size_t length) {
    if (a->room && a->room->used == a->length && a->room->capacity >= length) return a->room;
    struct room *room = render_take(r, 1, sizeof *room);
    if (!room) return NULL;
    room->capacity = length < ROOM_BYTES_MIN ? length : 2 * length;
    room->bytes = render_take_bytes(r, room->capacity);
    if (!room->bytes || !render_bytes(r, length)) return NULL;
    memcpy(room->bytes, a->bytes, a->length);
    return room;
}

static const struct string *append(struct render *r, const struct string *a, const struct string *b) {
    size_t length = a->length + b->length;
    struct room *room = room_for(r, a, length);
    struct string *sum = room ? create(r, room->bytes, length) : NULL;
    if (!sum || !render_bytes(r, b->length)) return NULL;
    if (mixed(a, b) && !room->marks && !give_marks(r, room, a)) return NULL;
    memcpy(room->bytes + a->length, b->bytes, b->length);
    if (room->marks) copy_marks(room->marks + a->length, b);
    room->used = length;
    sum->marks = room->marks;
    sum->client = a->client;
    sum->room = length < ROOM_BYTES_MIN ? NULL : room;
    sum->safe = a->safe;
    if (a->characters != SIZE_MAX && b->characters != SIZE_MAX)
        sum->characters = a->characters + b->characters;
    return sum;
}

const struct string *string_concat(struct render *r, const struct string *a, const struct string *b) {
    if (a->safe && !b->safe) b = string_escape(r, b);
    if (b && b->safe && !a->safe) a = string_escape(r, a);
    if (!a || !b) return NULL;
    if (b->length == 0) return a;
    if (a->length == 0) return b;
    return append(r, a, b);
}

static const char *entity(char byte) {
    switch (byte) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '\'':
        return "&#39;";
    case '"':
        return "&#34;";
    default:
        return NULL;
    }
}

const struct string *string_escape(struct render *r, const struct string *s) {
    struct builder b = {.r = r};
    if (s->safe) return s;
    if (!render_bytes(r, s->length)) return NULL;
    for (size_t i = 0; i < s->length; i++) {
        const char *text = entity(s->bytes[i]);
        if (text)
            builder_add(&b, text, strlen(text), string_mark(s, i));
        else
            builder_part(&b, s, i, i + 1);
    }
    const struct string *escaped = builder_take(&b);
    return escaped ? string_with_safety(r, escaped, true) : NULL;
}

/* ---- asking -------------------------------------------------------------------------------------------- */

size_t string_characters(const struct string *s) {
    if (s->characters == SIZE_MAX)
        ((struct string *)(uintptr_t)s)->characters = s->length ? utf8_count(s->bytes, s->length) : 0;
    return s->characters;
}

size_t string_offset(const struct string *s, size_t character) {
    if (string_characters(s) == s->length) return character;
    size_t at = 0;
    for (size_t i = 0; i < character && at < s->length; i++) utf8_next(s->bytes, s->length, &at);
    return at;
}

bool string_equal(const struct string *a, const struct string *b) {
    return a->length == b->length && (a->length == 0 || memcmp(a->bytes, b->bytes, a->length) == 0);
}

bool string_is(const struct string *s, const char *text) {
    size_t length = strlen(text);
    return s->length == length && memcmp(s->bytes, text, length) == 0;
}

int string_compare(const struct string *a, const struct string *b) {
    size_t shorter = a->length < b->length ? a->length : b->length;
    int order = shorter ? memcmp(a->bytes, b->bytes, shorter) : 0;
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

size_t string_find(const struct string *s, size_t start, size_t end, const struct string *needle) {
    if (start > end || end - start < needle->length) return SIZE_MAX;
    if (needle->length == 0) return start;
    const char *found = memmem(s->bytes + start, end - start, needle->bytes, needle->length);
    return found ? (size_t)(found - s->bytes) : SIZE_MAX;
}

size_t string_find_last(struct render *r, const struct string *s, size_t start, size_t end,
                        const struct string *needle) {
    if (start > end || end - start < needle->length) return SIZE_MAX;
    for (size_t at = end - needle->length + 1; at-- > start;) {
        if (needle->length == 0) return at;
        if (s->bytes[at] != needle->bytes[0]) continue;
        if (memcmp(s->bytes + at, needle->bytes, needle->length) == 0) return at;
        if (!render_bytes(r, needle->length)) return SIZE_MAX;
    }
    return SIZE_MAX;
}

bool string_mark(const struct string *s, size_t at) {
    return s->marks ? s->marks[at] != 0 : s->client;
}

bool string_has_marks(const struct string *s) {
    if (!s->marks) return s->client;
    return s->length > 0 && memchr(s->marks, 1, s->length);
}

/* ---- building ------------------------------------------------------------------------------------------ */

static char *grow(struct builder *b, char *old, size_t capacity) {
    char *grown = arena_grow_bytes(&b->r->arena, old, b->length, old ? b->capacity : 0, capacity);
    if (!grown) {
        b->failed = true;
        (void)render_take(b->r, SIZE_MAX, 1); /* tells which limit it was */
    }
    return grown;
}

static bool reserve(struct builder *b, size_t more) {
    if (b->failed) return false;
    if (b->capacity - b->length >= more) return true;
    size_t capacity = b->capacity < 32 ? 64 : 2 * b->capacity;
    if (capacity < b->length + more) capacity = b->length + more;
    char *bytes = grow(b, b->bytes, capacity);
    if (!bytes) return false;
    b->bytes = bytes;
    if (b->marks) {
        char *marks = grow(b, (char *)b->marks, capacity);
        if (!marks) return false;
        b->marks = (unsigned char *)marks;
    }
    b->capacity = capacity;
    return true;
}

/* From here on the bytes differ. */
static bool split_marks(struct builder *b) {
    b->marks = (unsigned char *)render_take_bytes(b->r, b->capacity);
    b->failed = !b->marks;
    if (b->marks) memset(b->marks, b->client, b->length);
    return b->marks != NULL;
}

void builder_add(struct builder *b, const char *bytes, size_t length, bool client) {
    if (length == 0 || !reserve(b, length)) return;
    if (b->length == 0 && !b->marks) b->client = client;
    if (client != b->client && !b->marks && !split_marks(b)) return;
    memcpy(b->bytes + b->length, bytes, length);
    if (b->marks) memset(b->marks + b->length, client, length);
    b->length += length;
}

void builder_part(struct builder *b, const struct string *s, size_t start, size_t end) {
    if (!s->marks) {
        builder_add(b, s->bytes + start, end - start, s->client);
        return;
    }
    while (start < end) {
        size_t next = start + 1;
        while (next < end && s->marks[next] == s->marks[start]) next++;
        builder_add(b, s->bytes + start, next - start, s->marks[start] != 0);
        start = next;
    }
}

void builder_string(struct builder *b, const struct string *s) {
    builder_part(b, s, 0, s->length);
}

void builder_text(struct builder *b, const char *text) {
    builder_add(b, text, strlen(text), false);
}

void builder_point(struct builder *b, int32_t point, bool client) {
    char bytes[UTF8_BYTES_MAX];
    builder_add(b, bytes, utf8_encode(point, bytes), client);
}

const struct string *builder_take(struct builder *b) {
    if (b->failed || !render_bytes(b->r, b->length)) return NULL;
    struct string *s = create(b->r, b->bytes ? b->bytes : "", b->length);
    if (!s) return NULL;
    s->marks = b->marks;
    s->client = b->client;
    return s;
}
