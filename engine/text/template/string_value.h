/* Strings of a template: UTF-8 of which each byte remembers whether a client wrote it. Mostly all bytes of a string are
 * alike; only a mixed one has marks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct render;
struct room;

struct string {
    const char *bytes;
    const unsigned char *marks; /* [length], 1: a client's; NULL: all are as `client` says */
    size_t length;
    size_t characters; /* SIZE_MAX: not counted yet */
    struct room *room; /* where bytes begins, and another string may be appended in place; NULL: none */
    bool client;
    bool safe; /* markupsafe.Markup: what is added to it is escaped */
};

/* A string of the template's own with static or long-lived bytes. */
#define STRING_LITERAL(text)                                                                                 \
    ((struct string){.bytes = (text), .length = sizeof(text) - 1, .characters = sizeof(text) - 1})

/* ---- making: NULL is a failure that r knows ------------------------------------------------------------ */

/* Borrows the bytes. */
const struct string *string_create(struct render *r, const char *bytes, size_t length, bool client);
/* Of an ASCII text, copied. */
const struct string *string_copy(struct render *r, const char *text);
const struct string *string_concat(struct render *r, const struct string *a, const struct string *b);
/* Bytes [start, end), borrowed; the string itself where that is all of it. */
const struct string *string_part(struct render *r, const struct string *s, size_t start, size_t end);
const struct string *string_escape(struct render *r, const struct string *s); /* HTML; the result is safe */
const struct string *string_with_safety(struct render *r, const struct string *s, bool safe);

/* ---- asking -------------------------------------------------------------------------------------------- */

size_t string_characters(const struct string *s);
/* Byte at which a character begins; counts from the start. */
size_t string_offset(const struct string *s, size_t character);
bool string_equal(const struct string *a, const struct string *b);
bool string_is(const struct string *s, const char *text);
int string_compare(const struct string *a, const struct string *b); /* by code points */
/* The first place of `needle` in [start, end) of s; SIZE_MAX: none. */
size_t string_find(const struct string *s, size_t start, size_t end, const struct string *needle);
/* Backwards, which may take as many steps as s has bytes for each byte of needle: they are counted, and SIZE_MAX is given
 * where there were too many (r knows). */
size_t string_find_last(struct render *r, const struct string *s, size_t start, size_t end,
                        const struct string *needle);
bool string_mark(const struct string *s, size_t at);
bool string_has_marks(const struct string *s); /* a client wrote some of it */

/* ---- building ------------------------------------------------------------------------------------------ */

/* What is being written. Appending fails when memory is at an end; who builds may ask once, at the end. */
struct builder {
    struct render *r;
    char *bytes;
    unsigned char *marks; /* NULL: all are as `client` says */
    size_t length, capacity;
    bool client, failed;
};

void builder_add(struct builder *b, const char *bytes, size_t length, bool client);
void builder_part(struct builder *b, const struct string *s, size_t start, size_t end);
void builder_string(struct builder *b, const struct string *s);
void builder_text(struct builder *b, const char *text); /* the template's own */
void builder_point(struct builder *b, int32_t point, bool client);
/* NULL: it failed. The builder's bytes are the string's from now on. */
const struct string *builder_take(struct builder *b);
