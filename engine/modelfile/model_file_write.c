/* Lays the parts out, writes the header that says where they are, and then the parts in that order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "engine/base/memory.h"
#include "engine/modelfile/checksum.h"
#include "engine/modelfile/file_writer.h"
#include "engine/modelfile/model_file.h"
#include "engine/modelfile/model_file_format.h"
#include "engine/modelfile/model_file_tensors.h"
#include "version.h"

#define SECTIONS_MAX   6
#define PROGRESS_BYTES ((size_t)4 << 20) /* between two reports */

/* An entry of the header, and where its bytes come from. */
struct item {
    const char *name, *dtype;
    size_t rank, shape[TENSOR_RANK_MAX];
    size_t size;
    const void *bytes;           /* or */
    const struct tensor *tensor; /* its elements in order; or, where an adapter was merged into it: */
    struct matrix_view merged;   /* all of its rows in F64; tensor NULL: none was */
};

struct layout {
    struct item *items;
    size_t count;
    size_t data_bytes; /* of all items, the checksums apart */
    char *header;
    size_t header_bytes; /* a multiple of MODEL_FILE_PAGE with the length before it */
    size_t sums;         /* in the table of checksums */
    size_t file_bytes;
};

struct writing {
    struct file_writer *file;
    size_t total;
    model_file_progress_fn progress;
    void *context;
    struct error *e;
};

/* ---- what lies where ---- */

static void add_section(struct layout *l, const char *name, const void *bytes, size_t size) {
    if (!bytes) return;
    l->items[l->count++] =
        (struct item){.name = name, .dtype = "U8", .rank = 1, .shape = {size}, .size = size, .bytes = bytes};
    l->data_bytes += size;
}

/* An empty shape takes the tensor's place where only its shape is needed. */
static void add_tensor(struct layout *l, const struct tensor *t, enum model_file_part part,
                       const struct low_rank *low_rank) {
    struct item item = {.name = t->name, .dtype = dtype_name(t->dtype), .rank = t->rank, .tensor = t};
    item.size = dtype_size(t->dtype);
    for (size_t axis = 0; axis < t->rank; axis++) {
        item.shape[axis] = t->shape[axis];
        item.size *= t->shape[axis];
    }
    if (part == MODEL_FILE_PART_VALUE && low_rank) {
        item.dtype = dtype_name(DTYPE_F64);
        item.size = item.size / dtype_size(t->dtype) * dtype_size(DTYPE_F64);
        item.merged =
            (struct matrix_view){.tensor = t, .out = t->shape[0], .in = t->shape[1], .low_rank = low_rank};
    }
    if (part == MODEL_FILE_PART_SHAPE) item.shape[item.rank++] = item.size = 0;
    l->items[l->count++] = item;
    l->data_bytes += item.size;
}

/* The packed weights come first, so that they are aligned as the data section is. */
static enum status lay_out(struct layout *l, const struct model_file_content *content, struct error *e) {
    const struct packed_model *packed = content->packed;
    const struct tensor_views *views = packed->folded->views;
    const struct model_file_texts *texts = &content->texts;
    struct model_file_tensors tensors;
    size_t count = checkpoint_count(views->checkpoint);
    l->items = memory_aligned(count + SECTIONS_MAX, sizeof *l->items, "list of tensors", e);
    if (!l->items) return STATUS_NO_MEMORY;
    enum status status = model_file_tensors_init(&tensors, views, e);
    if (status != STATUS_OK) return status;
    add_section(l, MODEL_FILE_PACKED, packed->memory, packed->memory_floats * sizeof *packed->memory);
    for (size_t i = 0; i < count; i++) {
        const struct tensor *t = checkpoint_at(views->checkpoint, i);
        enum model_file_part part = model_file_tensors_part(&tensors, t);
        if (part != MODEL_FILE_PART_NONE) add_tensor(l, t, part, model_file_tensors_low_rank(&tensors, t));
    }
    model_file_tensors_deinit(&tensors);
    add_section(l, MODEL_FILE_CONFIG, texts->config, texts->config_length);
    add_section(l, MODEL_FILE_GENERATION, texts->generation, texts->generation_length);
    add_section(l, MODEL_FILE_TOKENIZER, texts->tokenizer, texts->tokenizer_length);
    add_section(l, MODEL_FILE_CHAT, texts->chat, texts->chat_length);
    return STATUS_OK;
}

/* ---- header ---- */

static json_t *entry_of(const char *dtype, const size_t *shape, size_t rank, size_t begin, size_t end) {
    json_t *extents = json_array();
    for (size_t axis = 0; axis < rank; axis++)
        json_array_append_new(extents, json_integer((json_int_t)shape[axis]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype, "shape", extents, "data_offsets",
                     (json_int_t)begin, (json_int_t)end);
}

static void add_adapter(json_t *metadata, const struct adapter_identity *adapter) {
    if (!adapter || !adapter->name[0]) return;
    json_object_set_new(metadata, "adapter", json_string(adapter->name));
    json_object_set_new(metadata, "adapter_config_xxh64", json_string(adapter->config_xxh64));
    json_object_set_new(metadata, "adapter_weights_xxh64", json_string(adapter->weights_xxh64));
}

static void add_calibration(json_t *metadata, const struct calibration_identity *calibration) {
    char tokens[24];
    if (!calibration || !calibration->tokens) return;
    snprintf(tokens, sizeof tokens, "%zu", calibration->tokens);
    json_object_set_new(metadata, "calibration_text_sha256", json_string(calibration->text_sha256));
    json_object_set_new(metadata, "calibration_tokens", json_string(tokens));
}

/* Which MLPs of a model in int8 have massive activations: "2,11,27". */
static void add_massive(json_t *metadata, const struct packed_model *packed) {
    char list[MODEL_LAYERS_MAX * sizeof "1023"];
    size_t used = 0;
    if (packed->weights != WEIGHT_TYPE_INT8) return;
    for (size_t i = 0; i < packed->description->layers; i++)
        if (packed->folded->layers[i].mlp.massive)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%zu", used ? "," : "", i);
    if (used) json_object_set_new(metadata, "massive_mlps", json_string(list));
}

/* Which channels of its stream are quiet: "507,247". */
static void add_quiet(json_t *metadata, const struct packed_model *packed) {
    const struct folded_model *folded = packed->folded;
    char list[LOUD_CHANNELS_MAX * sizeof "65535"];
    size_t used = 0;
    for (size_t i = 0; i < folded->quiet_count; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%zu", used ? "," : "", folded->quiet[i]);
    if (used) json_object_set_new(metadata, "quiet_channels", json_string(list));
}

/* Entries without bytes have the offset 0, where another entry may begin too. The checksums come last. */
static json_t *make_header(const struct layout *l, const struct model_file_content *content) {
    char bytes[MODEL_FILE_SIZE_DIGITS + 1], version[16];
    snprintf(bytes, sizeof bytes, "%0*zu", MODEL_FILE_SIZE_DIGITS, l->file_bytes);
    snprintf(version, sizeof version, "%d", MODEL_FILE_VERSION);
    const struct folded_model *folded = content->packed->folded;
    const bool head4 = content->packed->head.type == WEIGHT_TYPE_INT4;
    char packed_layout[sizeof PACKED_LAYOUT_ROTATED PACKED_LAYOUT_HEAD4];
    snprintf(packed_layout, sizeof packed_layout, "%s%s",
             folded->rotated ? PACKED_LAYOUT_ROTATED : PACKED_LAYOUT, head4 ? PACKED_LAYOUT_HEAD4 : "");
    json_t *header = json_pack(
        "{s:{s:s, s:s, s:s, s:s, s:s, s:s, s:s}}", "__metadata__", "format", "prenorm", "version", version,
        "bytes", bytes, "layout", packed_layout, "norm_form", norm_form_name(folded->form), "weights",
        weight_type_name(content->packed->weights), "written_by", "prenormd " PRENORM_VERSION);
    add_adapter(json_object_get(header, "__metadata__"), content->adapter);
    add_calibration(json_object_get(header, "__metadata__"), content->calibration);
    add_massive(json_object_get(header, "__metadata__"), content->packed);
    add_quiet(json_object_get(header, "__metadata__"), content->packed);
    size_t offset = 0;
    for (size_t i = 0; i < l->count; i++) {
        const struct item *item = &l->items[i];
        size_t begin = item->size ? offset : 0;
        json_object_set_new(header, item->name,
                            entry_of(item->dtype, item->shape, item->rank, begin, begin + item->size));
        offset += item->size;
    }
    json_object_set_new(header, MODEL_FILE_CHECKSUMS,
                        entry_of("U64", &l->sums, 1, offset, offset + l->sums * sizeof(uint64_t)));
    return header;
}

/* The length, and the text with spaces behind it up to the next page. */
static enum status print_header(struct layout *l, const json_t *json, struct error *e) {
    char *text = json_dumps(json, JSON_COMPACT);
    size_t length = text ? strlen(text) : 0;
    l->header_bytes =
        (MODEL_FILE_LENGTH_BYTES + length + MODEL_FILE_PAGE - 1) / MODEL_FILE_PAGE * MODEL_FILE_PAGE;
    l->header = text ? malloc(l->header_bytes) : NULL;
    if (l->header) {
        uint64_t padded = l->header_bytes - MODEL_FILE_LENGTH_BYTES;
        memset(l->header, ' ', l->header_bytes);
        memcpy(l->header, &padded, MODEL_FILE_LENGTH_BYTES);
        memcpy(l->header + MODEL_FILE_LENGTH_BYTES, text, length);
    }
    free(text);
    return l->header ? STATUS_OK
                     : error_set(e, STATUS_NO_MEMORY, "header", "cannot allocate %zu bytes", l->header_bytes);
}

/* Everything must have got into the header: a name that is not UTF-8, or is one of ours, would not. */
static enum status check_header(const struct layout *l, const json_t *json, struct error *e) {
    if (json_object_size(json) == l->count + 2) return STATUS_OK;
    return error_set(e, STATUS_UNSUPPORTED, "header", "a name of one of the %zu tensors cannot be written",
                     l->count);
}

/* The header states the size of the file, which depends on the header's length: so it is made again until it
 * is right. A greater number never makes the header shorter, so this ends, and mostly in the second round. */
static enum status make_layout(struct layout *l, const struct model_file_content *content, struct error *e) {
    size_t stated = 1; /* unlike the size so far */
    enum status status = lay_out(l, content, e);
    while (status == STATUS_OK && stated != l->file_bytes) {
        stated = l->file_bytes;
        free(l->header);
        l->header = NULL;
        json_t *json = make_header(l, content);
        status = check_header(l, json, e);
        if (status == STATUS_OK) status = print_header(l, json, e);
        json_decref(json);
        size_t covered = l->header_bytes + l->data_bytes;
        l->sums = checksum_blocks(covered) + 1;
        l->file_bytes = covered + l->sums * sizeof(uint64_t);
    }
    return status;
}

static void layout_deinit(struct layout *l) {
    free(l->items);
    free(l->header);
}

/* ---- data ---- */

static enum status append(struct writing *w, const void *bytes, size_t count) {
    const char *from = bytes;
    enum status status = STATUS_OK;
    while (count && status == STATUS_OK) {
        size_t part = count < PROGRESS_BYTES ? count : PROGRESS_BYTES;
        status = file_writer_append(w->file, from, part, w->e);
        if (w->progress && w->total) w->progress(w->context, (double)w->file->bytes / (double)w->total);
        from += part;
        count -= part;
    }
    return status;
}

/* Row by row: in a pytorch_model.bin the elements may lie in any order. */
static enum status append_tensor(struct writing *w, const struct tensor *t) {
    size_t size = dtype_size(t->dtype);
    if (t->rank == 0) return file_writer_append(w->file, t->data, size, w->e);
    size_t last = t->rank - 1, columns = t->shape[last], rows = t->rank == 2 ? t->shape[0] : 1;
    const char *data = t->data;
    enum status status = STATUS_OK;
    for (size_t r = 0; r < rows && status == STATUS_OK; r++) {
        const char *row = data + (t->rank == 2 ? r * t->stride[0] : 0) * size;
        if (t->stride[last] == 1) {
            status = file_writer_append(w->file, row, columns * size, w->e);
            continue;
        }
        for (size_t c = 0; c < columns && status == STATUS_OK; c++)
            status = file_writer_append(w->file, row + c * t->stride[last] * size, size, w->e);
    }
    return status;
}

/* In double precision, as the rows are read that are looked up while serving from the folder. */
static enum status append_merged(struct writing *w, const struct matrix_view *m) {
    double *row = memory_aligned(m->in, sizeof *row, "merged row", w->e);
    enum status status = row ? STATUS_OK : STATUS_NO_MEMORY;
    for (size_t r = 0; r < m->out && status == STATUS_OK; r++) {
        matrix_read(m, r, 1, row);
        status = file_writer_append(w->file, row, m->in * sizeof *row, w->e);
    }
    free(row);
    return status;
}

static enum status write_all(struct writing *w, const struct layout *l) {
    enum status status = file_writer_reserve(w->file, l->file_bytes, w->e);
    if (status == STATUS_OK) status = append(w, l->header, l->header_bytes);
    for (size_t i = 0; i < l->count && status == STATUS_OK; i++) {
        const struct item *item = &l->items[i];
        if (item->bytes)
            status = append(w, item->bytes, item->size);
        else if (item->merged.tensor)
            status = append_merged(w, &item->merged);
        else if (item->size)
            status = append_tensor(w, item->tensor);
    }
    return status == STATUS_OK ? file_writer_append_sums(w->file, w->e) : status;
}

enum status model_file_write(struct file_writer *file, const struct model_file_content *content,
                             model_file_progress_fn progress, void *context, struct error *e) {
    struct layout layout = {0};
    enum status status = make_layout(&layout, content, e);
    struct writing w = {
        .file = file, .total = layout.file_bytes, .progress = progress, .context = context, .e = e};
    if (status == STATUS_OK) status = write_all(&w, &layout);
    layout_deinit(&layout);
    return status;
}
