/* JSON values into a struct bytes. Text is written as valid UTF-8 whatever it is: each byte that is not part
 * of a well-formed sequence becomes U+FFFD. Text may contain NUL. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "server/json/bytes.h"

/* With quotes. */
void json_write_string(struct bytes *out, const char *text, size_t length);

/* Bytes that it writes. */
size_t json_string_bytes(const char *text, size_t length);

/* As json_write_string, of a C string; NULL is null. */
void json_write_text(struct bytes *out, const char *text);

/* The shortest of the usual forms that gives the same float back; of a finite value. */
void json_write_float(struct bytes *out, float value);

/* A log-probability: the shortest of the usual forms that gives the same float back; JSON has no infinities,
 * so anything below -9999 and NaN is -9999.0, as the OpenAI API has it. */
void json_write_logprob(struct bytes *out, float value);

/* A whole value, without white space; members in their order, real numbers with all of their digits. As deep as the value is.
 * In place of json_dumps, which looks for circles by a table of printed addresses: the dearest part of reading a large schema. */
void json_write_value(struct bytes *out, const json_t *value);

/* A comma unless the value is the first after the '[' or '{' that stands last in out. */
void json_write_separator(struct bytes *out);

/* Length of the well-formed UTF-8 sequence at text (1..4), 0 where there is none. */
size_t utf8_sequence_length(const char *text, size_t length);

/* Characters in a text, counted as json_write_string writes them. */
size_t json_text_characters(const char *text, size_t length);
