/* The wire format of Protocol Buffers (protobuf.dev/programming-guides/encoding), as far as a tokenizer.model needs
 * it: one field after the other, nothing copied, no recursion, nothing allocated. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

struct protobuf {
    const char *where; /* for messages */
    const unsigned char *start, *at, *end;
};

enum protobuf_kind { PROTOBUF_VARINT = 0, PROTOBUF_FIXED64 = 1, PROTOBUF_BYTES = 2, PROTOBUF_FIXED32 = 5 };

struct protobuf_field {
    uint32_t number;
    enum protobuf_kind kind;
    uint64_t value;    /* VARINT, FIXED32, FIXED64 */
    const char *bytes; /* BYTES: within the message */
    size_t length;
};

/* The fields of a message. start: where its file begins, for the offsets in messages. */
struct protobuf protobuf_message(const char *where, const char *start, const char *bytes, size_t length);

/* The next field; *found false: there is none. STATUS_MALFORMED with the offset for what is cut short or is no
 * field; groups (kinds 3 and 4, which no such file has) too. */
enum status protobuf_next(struct protobuf *p, struct protobuf_field *field, bool *found, struct error *e);

/* STATUS_MALFORMED unless the field is of that kind. */
enum status protobuf_expect(const struct protobuf *p, const struct protobuf_field *field,
                            enum protobuf_kind kind, struct error *e);

/* The number of a FIXED32 field. */
float protobuf_float(const struct protobuf_field *field);
