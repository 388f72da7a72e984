/* Refuses: big or nested headers (json_file.h), unknown dtypes, ranks above TENSOR_RANK_MAX, and whatever the
 * format forbids. Memory is bounded by the header's length. */
#include "engine/checkpoint/safetensors.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/files/json_file.h"

#define LENGTH_BYTES 8

/* Every dtype of the format has a size that can be checked; those that are not weights are DTYPE_OTHER. */
static const struct {
    const char *name;
    enum dtype dtype;
    unsigned bits;
} dtypes[] = {
    {"F32", DTYPE_F32, 32},          {"F16", DTYPE_F16, 16},      {"BF16", DTYPE_BF16, 16},
    {"F64", DTYPE_F64, 64},          {"BOOL", DTYPE_OTHER, 8},    {"U8", DTYPE_OTHER, 8},
    {"I8", DTYPE_OTHER, 8},          {"I16", DTYPE_OTHER, 16},    {"U16", DTYPE_OTHER, 16},
    {"I32", DTYPE_OTHER, 32},        {"U32", DTYPE_OTHER, 32},    {"I64", DTYPE_OTHER, 64},
    {"U64", DTYPE_OTHER, 64},        {"C64", DTYPE_OTHER, 64},    {"F8_E5M2", DTYPE_OTHER, 8},
    {"F8_E4M3", DTYPE_OTHER, 8},     {"F8_E8M0", DTYPE_OTHER, 8}, {"F8_E4M3FNUZ", DTYPE_OTHER, 8},
    {"F8_E5M2FNUZ", DTYPE_OTHER, 8}, {"F6_E2M3", DTYPE_OTHER, 6}, {"F6_E3M2", DTYPE_OTHER, 6},
    {"F4", DTYPE_OTHER, 4},
};

/* What a tensor covers of the data section, for the check of gaps and overlaps. */
struct span {
    size_t begin, end;
    const char *name;
};

struct reader {
    const struct mapped_file *file;
    const unsigned char *data; /* section of the tensors */
    size_t data_size;
    struct tensor_list *list;
    struct span *spans;
    size_t span_count;
    struct error *e;
};

/* Messages about one tensor. Names are cut so that what follows them stays in the text. */
#define FAIL(r, code, name, format, ...)                                                                     \
    error_set((r)->e, code, (r)->file->path, "tensor '%.200s': " format, name, ##__VA_ARGS__)

static enum status read_dtype(struct reader *r, const char *name, const json_t *json, enum dtype *dtype,
                              unsigned *bits) {
    const char *text = json_string_value(json);
    if (!text)
        return FAIL(r, STATUS_MALFORMED, name, "'dtype' is %s; expected a string",
                    json ? "not a string" : "missing");
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(dtypes[i].name, text) != 0) continue;
        *dtype = dtypes[i].dtype;
        *bits = dtypes[i].bits;
        return STATUS_OK;
    }
    return FAIL(r, STATUS_UNSUPPORTED, name,
                "dtype '%.40s' is unknown; expected F32, F16, BF16, F64 or another of the format", text);
}

static enum status read_size(struct reader *r, const char *name, const char *field, const json_t *json,
                             size_t *out) {
    if (!json_is_integer(json))
        return FAIL(r, STATUS_MALFORMED, name, "'%s' holds something other than integers", field);
    json_int_t value = json_integer_value(json);
    if (value < 0)
        return FAIL(r, STATUS_MALFORMED, name, "'%s' holds %" JSON_INTEGER_FORMAT "; expected no negative",
                    field, value);
    *out = (size_t)value;
    return STATUS_OK;
}

/* Bytes of the tensor by its shape into *size. An extent of 0 counts as 1 for the overflow check, so that
 * strides, which are products of some of the extents, cannot overflow either. */
static enum status read_shape(struct reader *r, const char *name, const json_t *json, unsigned bits,
                              struct tensor *t, size_t *size) {
    if (!json_is_array(json))
        return FAIL(r, STATUS_MALFORMED, name, "'shape' is %s; expected an array",
                    json ? "not an array" : "missing");
    t->rank = json_array_size(json);
    if (t->rank > TENSOR_RANK_MAX)
        return FAIL(r, STATUS_LIMIT, name, "'shape' has %zu dimensions; the limit is %d", t->rank,
                    TENSOR_RANK_MAX);
    size_t bits_total = bits, bound = bits;
    for (size_t axis = 0; axis < t->rank; axis++) {
        enum status status = read_size(r, name, "shape", json_array_get(json, axis), &t->shape[axis]);
        if (status != STATUS_OK) return status;
        size_t extent = t->shape[axis];
        if (!memory_multiply(bound, extent ? extent : 1, &bound))
            return FAIL(r, STATUS_MALFORMED, name, "the product of 'shape' overflows at dimension %zu (%zu)",
                        axis, extent);
        bits_total *= extent;
    }
    if (bits_total % 8)
        return FAIL(r, STATUS_MALFORMED, name, "%zu bits by 'shape' are not whole bytes", bits_total);
    tensor_set_contiguous(t);
    *size = bits_total / 8;
    return STATUS_OK;
}

static enum status read_offsets(struct reader *r, const char *name, const json_t *json, size_t size,
                                struct tensor *t, struct span *out) {
    if (!json_is_array(json) || json_array_size(json) != 2)
        return FAIL(r, STATUS_MALFORMED, name, "'data_offsets' is %s; expected an array of 2",
                    json ? "something else" : "missing");
    struct span span = {.name = name};
    enum status status = read_size(r, name, "data_offsets", json_array_get(json, 0), &span.begin);
    if (status == STATUS_OK) status = read_size(r, name, "data_offsets", json_array_get(json, 1), &span.end);
    if (status != STATUS_OK) return status;
    if (span.begin > span.end || span.end > r->data_size)
        return FAIL(r, STATUS_MALFORMED, name,
                    "'data_offsets' are [%zu, %zu]; the data section has %zu bytes%s", span.begin, span.end,
                    r->data_size, span.begin > span.end ? "" : ", so the file may have been cut short");
    if (span.end - span.begin != size)
        return FAIL(r, STATUS_MALFORMED, name,
                    "'data_offsets' [%zu, %zu] are %zu bytes; dtype and shape make %zu", span.begin, span.end,
                    span.end - span.begin, size);
    t->data = r->data + span.begin;
    *out = span;
    return STATUS_OK;
}

static enum status read_entry(struct reader *r, const char *name, const json_t *entry, struct tensor *t,
                              struct span *span) {
    unsigned bits = 0;
    *t = (struct tensor){.file = r->file->name};
    size_t size = 0;
    if (!json_is_object(entry))
        return FAIL(r, STATUS_MALFORMED, name, "the entry is something else; expected an object");
    enum status status = read_dtype(r, name, json_object_get(entry, "dtype"), &t->dtype, &bits);
    if (status == STATUS_OK) status = read_shape(r, name, json_object_get(entry, "shape"), bits, t, &size);
    if (status == STATUS_OK)
        status = read_offsets(r, name, json_object_get(entry, "data_offsets"), size, t, span);
    return status;
}

static enum status read_tensor(struct reader *r, const char *name, const json_t *entry) {
    struct tensor t;
    struct span span;
    enum status status = read_entry(r, name, entry, &t, &span);
    if (status != STATUS_OK) return status;
    r->spans[r->span_count++] = span;
    return tensor_list_add(r->list, &t, name, strlen(name), r->e);
}

static enum status check_metadata(struct reader *r, const json_t *metadata) {
    const char *key;
    json_t *value;
    bool is_text = json_is_object(metadata);
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value) is_text = is_text && json_is_string(value);
    if (is_text) return STATUS_OK;
    return error_set(r->e, STATUS_MALFORMED, r->file->path, "'__metadata__' is not an object of strings");
}

/* The format's own converter writes tensors that share their memory once, and notes in the metadata which name
 * stands for a name that it left out: {"lm_head.weight": "transformer.wte.weight"}. */
static enum status read_aliases(struct reader *r, const json_t *header) {
    const char *name;
    json_t *kept;
    json_object_foreach(json_object_get(header, "__metadata__"), name, kept) {
        struct tensor t;
        struct span span;
        const char *kept_name = json_string_value(kept);
        const json_t *entry = json_object_get(header, kept_name);
        if (!entry || json_object_get(header, name) || strcmp(kept_name, "__metadata__") == 0) continue;
        enum status status = read_entry(r, kept_name, entry, &t, &span);
        if (status == STATUS_OK) status = tensor_list_add(r->list, &t, name, strlen(name), r->e);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

static int compare_spans(const void *left, const void *right) {
    const struct span *a = left, *b = right;
    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    return a->end < b->end ? -1 : a->end > b->end; /* empty tensors first */
}

/* The format demands that the tensors cover the data section, each byte once. */
static enum status check_coverage(struct reader *r) {
    size_t covered = 0;
    if (r->span_count) qsort(r->spans, r->span_count, sizeof *r->spans, compare_spans);
    for (size_t i = 0; i < r->span_count; i++) {
        const struct span *span = &r->spans[i];
        if (span->begin != covered)
            return FAIL(r, STATUS_MALFORMED, span->name,
                        "'data_offsets' begin at %zu; expected %zu, where the one before ends (%s)",
                        span->begin, covered, span->begin < covered ? "they overlap" : "there is a gap");
        covered = span->end;
    }
    if (covered == r->data_size) return STATUS_OK;
    return error_set(r->e, STATUS_MALFORMED, r->file->path,
                     "the tensors end at byte %zu of the data section, which has %zu", covered, r->data_size);
}

static enum status read_header(struct reader *r, const json_t *header) {
    const char *name;
    json_t *entry;
    json_object_foreach((json_t *)(uintptr_t)header, name, entry) {
        bool is_metadata = strcmp(name, "__metadata__") == 0;
        enum status status = is_metadata ? check_metadata(r, entry) : read_tensor(r, name, entry);
        if (status != STATUS_OK) return status;
    }
    enum status status = check_coverage(r);
    return status == STATUS_OK ? read_aliases(r, header) : status;
}

/* The text of the header, which lies between the length and the data section. */
static enum status find_header(struct reader *r, const char **text, size_t *length) {
    const struct mapped_file *file = r->file;
    if (file->size < LENGTH_BYTES)
        return error_set(r->e, STATUS_MALFORMED, file->path, "the file has %zu bytes; expected at least %d",
                         file->size, LENGTH_BYTES);
    uint64_t claimed;
    memcpy(&claimed, file->data, sizeof claimed);
    if (claimed > SAFETENSORS_HEADER_BYTES_MAX)
        return error_set(r->e, STATUS_LIMIT, file->path, "the header length is %" PRIu64 "; the limit is %d",
                         claimed, SAFETENSORS_HEADER_BYTES_MAX);
    if (claimed > file->size - LENGTH_BYTES)
        return error_set(r->e, STATUS_MALFORMED, file->path,
                         "the header length is %" PRIu64 "; only %zu bytes follow it", claimed,
                         file->size - LENGTH_BYTES);
    *text = (const char *)file->data + LENGTH_BYTES;
    *length = (size_t)claimed;
    if (*length == 0 || **text != '{')
        return error_set(r->e, STATUS_MALFORMED, file->path, "the header does not begin with '{'");
    r->data = file->data + LENGTH_BYTES + *length;
    r->data_size = file->size - LENGTH_BYTES - *length;
    return STATUS_OK;
}

enum status safetensors_read_with_metadata(const struct mapped_file *file, struct tensor_list *list,
                                           json_t **metadata, struct error *e) {
    struct reader r = {.file = file, .list = list, .e = e};
    const char *text = NULL;
    size_t length = 0;
    json_t *header = NULL;
    *metadata = NULL;
    enum status status = find_header(&r, &text, &length);
    if (status == STATUS_OK)
        status = json_file_parse(text, length, file->path, SAFETENSORS_VALUES_MAX, &header, e);
    if (status != STATUS_OK) return status;
    r.spans = calloc(json_object_size(header) + 1, sizeof *r.spans);
    if (r.spans)
        status = read_header(&r, header);
    else
        status = error_set(e, STATUS_NO_MEMORY, file->path, "cannot allocate a list of %zu tensors",
                           json_object_size(header));
    free(r.spans);
    if (status == STATUS_OK) *metadata = json_incref(json_object_get(header, "__metadata__"));
    json_decref(header);
    return status;
}

enum status safetensors_read(const struct mapped_file *file, struct tensor_list *list, struct error *e) {
    json_t *metadata;
    enum status status = safetensors_read_with_metadata(file, list, &metadata, e);
    json_decref(metadata);
    return status;
}
