#include "engine/text/sources/protobuf.h"

#include <string.h>

/* Bytes of a number of 64 bits, 7 in each. */
enum { VARINT_BYTES_MAX = 10 };

struct protobuf protobuf_message(const char *where, const char *start, const char *bytes, size_t length) {
    const unsigned char *first = (const unsigned char *)bytes;
    return (struct protobuf){
        .where = where, .start = (const unsigned char *)start, .at = first, .end = first + length};
}

static enum status malformed(const struct protobuf *p, const char *what, struct error *e) {
    return error_set(e, STATUS_MALFORMED, p->where, "byte %zu: %s", (size_t)(p->at - p->start), what);
}

static enum status read_varint(struct protobuf *p, uint64_t *out, struct error *e) {
    *out = 0;
    for (unsigned i = 0; i < VARINT_BYTES_MAX; i++) {
        if (p->at == p->end) return malformed(p, "ends within a number", e);
        unsigned char byte = *p->at++;
        if (i == VARINT_BYTES_MAX - 1 && byte > 1) break;
        *out |= (uint64_t)(byte & 0x7F) << (7 * i);
        if (!(byte & 0x80)) return STATUS_OK;
    }
    return malformed(p, "a number of more than 64 bits", e);
}

static enum status read_fixed(struct protobuf *p, size_t bytes, uint64_t *out, struct error *e) {
    if ((size_t)(p->end - p->at) < bytes) return malformed(p, "ends within a number", e);
    *out = 0;
    for (size_t i = 0; i < bytes; i++) *out |= (uint64_t)p->at[i] << (8 * i);
    p->at += bytes;
    return STATUS_OK;
}

static enum status read_bytes(struct protobuf *p, struct protobuf_field *field, struct error *e) {
    uint64_t length;
    enum status status = read_varint(p, &length, e);
    if (status != STATUS_OK) return status;
    if (length > (uint64_t)(p->end - p->at)) return malformed(p, "a length that goes beyond its end", e);
    field->bytes = (const char *)p->at;
    field->length = (size_t)length;
    p->at += length;
    return STATUS_OK;
}

enum status protobuf_next(struct protobuf *p, struct protobuf_field *field, bool *found, struct error *e) {
    uint64_t tag;
    *field = (struct protobuf_field){0};
    *found = p->at < p->end;
    if (!*found) return STATUS_OK;
    enum status status = read_varint(p, &tag, e);
    if (status != STATUS_OK) return status;
    if (tag >> 3 == 0 || tag >> 3 > (1u << 29) - 1) return malformed(p, "not the number of a field", e);
    field->number = (uint32_t)(tag >> 3);
    field->kind = (enum protobuf_kind)(tag & 7);
    switch (tag & 7) {
    case PROTOBUF_VARINT:
        return read_varint(p, &field->value, e);
    case PROTOBUF_FIXED64:
        return read_fixed(p, 8, &field->value, e);
    case PROTOBUF_BYTES:
        return read_bytes(p, field, e);
    case PROTOBUF_FIXED32:
        return read_fixed(p, 4, &field->value, e);
    default:
        return malformed(p, "not a kind of field", e);
    }
}

enum status protobuf_expect(const struct protobuf *p, const struct protobuf_field *field,
                            enum protobuf_kind kind, struct error *e) {
    if (field->kind == kind) return STATUS_OK;
    return error_set(e, STATUS_MALFORMED, p->where, "byte %zu: field %u is of kind %d, expected %d",
                     (size_t)(p->at - p->start), field->number, (int)field->kind, (int)kind);
}

float protobuf_float(const struct protobuf_field *field) {
    uint32_t bits = (uint32_t)field->value;
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
}
