/* Refuses: files of torch before 1.6 (a bare pickle, or a tar), TorchScript archives, big-endian files, and
 * pickles that hold anything but tensors by name (optimizers, configurations, code). */
#include "engine/checkpoint/torch_bin.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/checkpoint/pickle.h"
#include "engine/checkpoint/zip_reader.h"

#define ADVICE "; load it with torch and save its weights with safetensors"

#define ENTRY_NAME_SIZE 512

enum { REBUILD_TENSOR, REBUILD_PARAMETER, STORAGES };

/* All that a state dict names besides OrderedDict: two functions, then the types of storages. */
static const char *const globals[] = {
    [REBUILD_TENSOR] = "torch._utils _rebuild_tensor_v2",
    [REBUILD_PARAMETER] = "torch._utils _rebuild_parameter",
    [STORAGES] = "torch FloatStorage",
    "torch HalfStorage",
    "torch BFloat16Storage",
    "torch DoubleStorage",
    "torch LongStorage",
    "torch IntStorage",
    "torch ShortStorage",
    "torch CharStorage",
    "torch ByteStorage",
    "torch BoolStorage",
    "torch ComplexFloatStorage",
    "torch ComplexDoubleStorage",
};

#define GLOBAL_COUNT (sizeof globals / sizeof *globals)

static const struct {
    enum dtype dtype;
    size_t size;
} storage_types[] = {
    {DTYPE_F32, 4},   {DTYPE_F16, 2},   {DTYPE_BF16, 2},  {DTYPE_F64, 8},
    {DTYPE_OTHER, 8}, {DTYPE_OTHER, 4}, {DTYPE_OTHER, 2}, {DTYPE_OTHER, 1},
    {DTYPE_OTHER, 1}, {DTYPE_OTHER, 1}, {DTYPE_OTHER, 8}, {DTYPE_OTHER, 16},
};

_Static_assert(sizeof storage_types / sizeof *storage_types == GLOBAL_COUNT - STORAGES, "one row a storage");

struct reader {
    const struct mapped_file *file;
    struct zip_reader zip;
    struct pickle pickle;
    char root[ENTRY_NAME_SIZE]; /* the folder that everything in the archive lies in */
    struct tensor_list *list;
    char name[256]; /* of the tensor at hand, cut, for messages */
    struct error *e;
};

struct storage {
    const unsigned char *data;
    size_t count; /* elements */
    size_t element_size;
    enum dtype dtype;
};

#define FAIL(r, code, format, ...)                                                                           \
    error_set((r)->e, code, (r)->file->path, "tensor '%.200s': " format, (r)->name, ##__VA_ARGS__)

static enum status read_integer(struct reader *r, const struct pickle_node *node, const char *what,
                                size_t *out) {
    if (node->kind != PICKLE_INTEGER || node->integer < 0)
        return FAIL(r, STATUS_MALFORMED, "the %s is not a natural number", what);
    *out = (size_t)node->integer;
    return STATUS_OK;
}

/* Finds root/folder/name in the archive. */
static const struct zip_entry *find_entry(const struct reader *r, const char *name, size_t name_length) {
    char path[ENTRY_NAME_SIZE];
    if (name_length >= sizeof path) return NULL;
    int length = snprintf(path, sizeof path, "%s/%.*s", r->root, (int)name_length, name);
    return length > 0 && (size_t)length < sizeof path ? zip_reader_find(&r->zip, path) : NULL;
}

static enum status find_storage(struct reader *r, const struct pickle_node *key, struct storage *s) {
    char path[ENTRY_NAME_SIZE];
    size_t key_length, size;
    const char *text = pickle_text(&r->pickle, key, &key_length);
    int length = snprintf(path, sizeof path, "data/%.*s", (int)(key_length < 64 ? key_length : 64), text);
    bool is_whole = (size_t)length == strlen("data/") + key_length; /* not cut, not at a zero byte either */
    const struct zip_entry *entry = is_whole ? find_entry(r, path, (size_t)length) : NULL;
    if (!entry) return FAIL(r, STATUS_MALFORMED, "its storage '%s' is not in the archive", path);
    if (!memory_multiply(s->count, s->element_size, &size) || size != entry->size)
        return FAIL(r, STATUS_MALFORMED, "its storage '%s' has %zu bytes; expected %zu elements of %zu bytes",
                    path, entry->size, s->count, s->element_size);
    s->data = entry->data;
    return STATUS_OK;
}

/* A storage is an object outside of the pickle, whose id is ("storage", its type, its key, its device, its
 * elements). */
static enum status read_storage(struct reader *r, const struct pickle_node *node, struct storage *s) {
    const struct pickle_node *id[5];
    bool is_storage = node->kind == PICKLE_PERSISTENT &&
                      pickle_items(&r->pickle, pickle_arguments(&r->pickle, node), id, 5) == 5 &&
                      pickle_text_is(&r->pickle, id[0], "storage") && id[1]->kind == PICKLE_GLOBAL &&
                      id[1]->global >= STORAGES && id[1]->global < GLOBAL_COUNT && id[2]->kind == PICKLE_TEXT;
    if (!is_storage) return FAIL(r, STATUS_MALFORMED, "the reference to its storage is malformed");
    s->dtype = storage_types[id[1]->global - STORAGES].dtype;
    s->element_size = storage_types[id[1]->global - STORAGES].size;
    enum status status = read_integer(r, id[4], "number of elements of its storage", &s->count);
    return status == STATUS_OK ? find_storage(r, id[2], s) : status;
}

static enum status read_extents(struct reader *r, const struct pickle_node *shape,
                                const struct pickle_node *stride, struct tensor *t) {
    const struct pickle_node *extents[TENSOR_RANK_MAX], *steps[TENSOR_RANK_MAX];
    t->rank = pickle_items(&r->pickle, shape, extents, TENSOR_RANK_MAX);
    if (shape->kind != PICKLE_TUPLE || stride->kind != PICKLE_TUPLE ||
        pickle_items(&r->pickle, stride, steps, TENSOR_RANK_MAX) != t->rank)
        return FAIL(r, STATUS_MALFORMED, "shape and strides are not two tuples of one length");
    if (t->rank > TENSOR_RANK_MAX)
        return FAIL(r, STATUS_LIMIT, "its shape has more than %d dimensions", TENSOR_RANK_MAX);
    for (size_t axis = 0; axis < t->rank; axis++) {
        enum status status = read_integer(r, extents[axis], "shape", &t->shape[axis]);
        if (status == STATUS_OK) status = read_integer(r, steps[axis], "stride", &t->stride[axis]);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

/* Elements that the view spans from its first to its last, both included; 0 if it is empty. False on
 * overflow, which includes that of the number of its elements (with strides of 0 they may be more than they
 * span). */
static bool view_span(const struct tensor *t, size_t *span) {
    size_t last = 0, elements = 1, step;
    bool is_empty = false;
    for (size_t axis = 0; axis < t->rank; axis++) {
        if (t->shape[axis] == 0)
            is_empty = true;
        else if (!memory_multiply(elements, t->shape[axis], &elements) ||
                 !memory_multiply(t->shape[axis] - 1, t->stride[axis], &step) ||
                 __builtin_add_overflow(last, step, &last))
            return false;
    }
    *span = is_empty ? 0 : last + 1;
    return (is_empty || last < SIZE_MAX) && elements <= SIZE_MAX / sizeof(double);
}

static enum status check_view(struct reader *r, const struct storage *s, size_t offset,
                              const struct tensor *t) {
    size_t span;
    if (!view_span(t, &span)) return FAIL(r, STATUS_MALFORMED, "shape and strides overflow");
    if (offset <= s->count && span <= s->count - offset) return STATUS_OK;
    return FAIL(r, STATUS_MALFORMED, "it spans %zu elements from %zu on; its storage has %zu", span, offset,
                s->count);
}

/* Arguments of _rebuild_tensor_v2: storage, offset, shape, strides, requires_grad, hooks, and maybe
 * metadata. */
static enum status read_view(struct reader *r, const struct pickle_node *arguments, struct tensor *t) {
    const struct pickle_node *items[7];
    struct storage s = {0};
    size_t offset = 0, count = pickle_items(&r->pickle, arguments, items, 7);
    if (count != 6 && count != 7)
        return FAIL(r, STATUS_MALFORMED, "it is made of %zu arguments; expected 6 or 7", count);
    enum status status = read_storage(r, items[0], &s);
    if (status == STATUS_OK) status = read_integer(r, items[1], "offset", &offset);
    if (status == STATUS_OK) status = read_extents(r, items[2], items[3], t);
    if (status == STATUS_OK) status = check_view(r, &s, offset, t);
    if (status != STATUS_OK) return status;
    t->dtype = s.dtype;
    t->data = s.data + offset * s.element_size;
    return STATUS_OK;
}

static bool is_call_of(const struct reader *r, const struct pickle_node *node, uint32_t global) {
    return node->kind == PICKLE_CALL && pickle_callee(&r->pickle, node)->global == global;
}

static enum status read_tensor(struct reader *r, const struct pickle_node *value, struct tensor *t) {
    const struct pickle_node *items[3];
    /* A parameter is a tensor with requires_grad and hooks. */
    if (is_call_of(r, value, REBUILD_PARAMETER) &&
        pickle_items(&r->pickle, pickle_arguments(&r->pickle, value), items, 3) == 3)
        value = items[0];
    if (is_call_of(r, value, REBUILD_TENSOR)) return read_view(r, pickle_arguments(&r->pickle, value), t);
    return error_set(r->e, STATUS_UNSUPPORTED, r->file->path,
                     "'%.200s' is not a tensor, so the file is not a plain state dict", r->name);
}

static enum status read_item(struct reader *r, const struct pickle_node *key,
                             const struct pickle_node *value) {
    struct tensor t = {.file = r->file->name};
    size_t length;
    if (key->kind != PICKLE_TEXT)
        return error_set(r->e, STATUS_UNSUPPORTED, r->file->path,
                         "a key that is not text: the file is not a plain state dict");
    const char *name = pickle_text(&r->pickle, key, &length);
    if (memchr(name, '\0', length))
        return error_set(r->e, STATUS_MALFORMED, r->file->path, "the name of a tensor contains a zero byte");
    snprintf(r->name, sizeof r->name, "%.*s", (int)(length < sizeof r->name ? length : sizeof r->name - 1),
             name);
    enum status status = read_tensor(r, value, &t);
    return status == STATUS_OK ? tensor_list_add(r->list, &t, name, length, r->e) : status;
}

static enum status read_state_dict(struct reader *r) {
    const struct pickle_item *cursor = NULL;
    const struct pickle_node *key, *value;
    if (r->pickle.root->kind != PICKLE_DICT)
        return error_set(r->e, STATUS_UNSUPPORTED, r->file->path,
                         "the file holds no dictionary, so it is not a state dict");
    while (pickle_next(&r->pickle, r->pickle.root, &cursor, &key, &value)) {
        enum status status = read_item(r, key, value);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

/* The archive has one folder at its top, named as its author liked; data.pkl shows which. */
static enum status find_root(struct reader *r) {
    static const char suffix[] = "/data.pkl";
    size_t suffix_length = sizeof suffix - 1;
    for (size_t i = 0; i < r->zip.count; i++) {
        const struct zip_entry *entry = &r->zip.entries[i];
        if (entry->name_length <= suffix_length || entry->name_length >= sizeof r->root) continue;
        size_t length = entry->name_length - suffix_length;
        bool is_pickle = memcmp(entry->name + length, suffix, suffix_length) == 0;
        if (!is_pickle || memchr(entry->name, '/', length) || memchr(entry->name, '\0', length)) continue;
        memcpy(r->root, entry->name, length);
        return STATUS_OK;
    }
    return error_set(r->e, STATUS_UNSUPPORTED, r->file->path,
                     "the ZIP archive has no data.pkl, so it is not a state dict");
}

/* Files without the entry are older than it, and little-endian. */
static enum status check_byte_order(const struct reader *r) {
    const struct zip_entry *entry = find_entry(r, "byteorder", strlen("byteorder"));
    if (!entry || (entry->size == 6 && memcmp(entry->data, "little", 6) == 0)) return STATUS_OK;
    return error_set(r->e, STATUS_UNSUPPORTED, r->file->path,
                     "the byteorder of the file is '%.*s'; expected 'little'",
                     (int)(entry->size < 16 ? entry->size : 16), (const char *)entry->data);
}

static enum status read_pickle(struct reader *r) {
    const struct zip_entry *entry = find_entry(r, "data.pkl", strlen("data.pkl"));
    assert(entry); /* find_root saw it */
    enum status status =
        pickle_open(entry->data, entry->size, r->file->path, globals, GLOBAL_COUNT, &r->pickle, r->e);
    if (status != STATUS_OK) return status;
    status = read_state_dict(r);
    pickle_close(&r->pickle);
    return status;
}

static enum status read_archive(struct reader *r) {
    enum status status = find_root(r);
    if (status != STATUS_OK) return status;
    if (find_entry(r, "constants.pkl", strlen("constants.pkl")))
        return error_set(r->e, STATUS_UNSUPPORTED, r->file->path,
                         "this is a TorchScript archive, not a state dict");
    status = check_byte_order(r);
    return status == STATUS_OK ? read_pickle(r) : status;
}

/* What torch wrote before 1.6: a pickle of the number 0x1950a86a20f9469cfc6c, then more; and before 0.1.10 a
 * tar. */
static bool is_legacy(const struct mapped_file *file) {
    static const unsigned char magic[] = {0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                          0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    bool is_pickle = file->size > 2 + sizeof magic && file->data[0] == 0x80 &&
                     memcmp(file->data + 2, magic, sizeof magic) == 0;
    bool is_tar = file->size > 257 + 5 && memcmp(file->data + 257, "ustar", 5) == 0;
    return is_pickle || is_tar;
}

static enum status read_file(struct reader *r) {
    if (is_legacy(r->file))
        return error_set(r->e, STATUS_UNSUPPORTED, r->file->path,
                         "the file is in the format of versions before torch 1.6");
    enum status status = zip_reader_open(r->file, &r->zip, r->e);
    if (status != STATUS_OK) return status;
    status = read_archive(r);
    zip_reader_close(&r->zip);
    return status;
}

enum status torch_bin_read(const struct mapped_file *file, struct tensor_list *list, struct error *e) {
    struct reader r = {.file = file, .list = list, .e = e};
    enum status status = read_file(&r);
    if (status == STATUS_UNSUPPORTED && e) {
        size_t length = strlen(e->text);
        snprintf(e->text + length, sizeof e->text - length, "%s", ADVICE);
    }
    return status;
}
