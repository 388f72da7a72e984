#include "engine/modelfile/model_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/base/memory.h"
#include "engine/base/printable.h"
#include "engine/files/regular_file.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/modelfile/checksum.h"
#include "engine/modelfile/model_file_format.h"
#include "engine/modelfile/model_file_tensors.h"

#define VERSION_DIGITS_MAX 9
#define TOKENS_DIGITS_MAX  18
#define LAYER_DIGITS_MAX   4
#define CHANNEL_DIGITS_MAX 5
#define SUM_BYTES          sizeof(uint64_t)
/* Packed weights have at least 4 bits each. */
#define WEIGHTS_OF_A_BYTE_MAX 2

/* A file that is being opened. */
struct opening {
    struct model_file *file;
    const char *path;
    struct tensor_list list; /* of all its parts */
    json_t *metadata;
    size_t covered; /* bytes in front of the checksums */
    struct error *e;
};

static enum status fail(struct opening *o, enum status status, const char *text) {
    return error_set(o->e, status, o->path, "%s", text);
}

/* ---- the start, which is the same in every version ---- */

static bool has_start(const unsigned char *data, size_t size) {
    size_t length = sizeof MODEL_FILE_START - 1;
    return size >= MODEL_FILE_LENGTH_BYTES + length &&
           memcmp(data + MODEL_FILE_LENGTH_BYTES, MODEL_FILE_START, length) == 0;
}

/* Digits at text[*at], at most `most`; *at moves behind them. False where there are none. */
static bool read_number(const char *text, size_t length, size_t most, size_t *at, uint64_t *value) {
    size_t first = *at;
    for (*value = 0; *at < length && *at - first < most && text[*at] >= '0' && text[*at] <= '9'; ++*at)
        *value = *value * 10 + (uint64_t)(text[*at] - '0');
    return *at > first;
}

static enum status check_version(struct opening *o, const char *text, size_t length, size_t *at) {
    uint64_t version;
    if (!read_number(text, length, VERSION_DIGITS_MAX, at, &version))
        return fail(o, STATUS_MALFORMED, "damaged: the header has no format version");
    if (version == MODEL_FILE_VERSION) return STATUS_OK;
    return error_set(o->e, STATUS_UNSUPPORTED, o->path,
                     "has version %zu of the format, this program reads version %d: convert the model again",
                     (size_t)version, MODEL_FILE_VERSION);
}

/* A size that only 20 digits hold would wrap around, and is then no file's size either. */
static enum status check_size(struct opening *o, const char *text, size_t length, size_t at) {
    size_t found = o->file->file.size, label = sizeof MODEL_FILE_SIZE - 1, first = at + label;
    uint64_t stated;
    at = first;
    bool read = first <= length && memcmp(text + first - label, MODEL_FILE_SIZE, label) == 0 &&
                read_number(text, length, MODEL_FILE_SIZE_DIGITS, &at, &stated) &&
                at == first + MODEL_FILE_SIZE_DIGITS;
    if (!read) return fail(o, STATUS_MALFORMED, "damaged: the header does not state the size of the file");
    if (stated == found) return STATUS_OK;
    return error_set(o->e, STATUS_MALFORMED, o->path, "%s: it has %zu bytes, its header says %zu",
                     found < stated ? "cut short" : "longer than it was written", found, (size_t)stated);
}

/* What helps whoever names a file of another format, by its ending. */
static const struct foreign_format {
    const char *ending, *hint;
    bool is_checkpoint; /* of a format that is read, but not so */
} foreign_formats[] = {
    {".safetensors", "; a checkpoint is named by the folder that it lies in, with its config.json", true},
    {".bin", "; a checkpoint is named by the folder that it lies in, with its config.json", true},
    {".gguf", "; GGUF is llama.cpp's format: name the Hugging Face folder that it was made from", false},
    {".onnx", "; ONNX is not read: name the Hugging Face folder that it was exported from", false},
};

static const struct foreign_format *find_format(const char *path) {
    size_t length = strlen(path);
    for (size_t i = 0; i < sizeof foreign_formats / sizeof *foreign_formats; i++) {
        size_t ending = strlen(foreign_formats[i].ending);
        if (length > ending && strcmp(path + length - ending, foreign_formats[i].ending) == 0)
            return &foreign_formats[i];
    }
    return NULL;
}

/* Of the Hugging Face cache, which has a folder models--ORG--NAME for each model, and in its snapshots one for each of
 * its commits. File systems have folders called snapshots too. */
static const char *cache_hint(const char *folder) {
    char path[PATH_MAX];
    const char *model = realpath(folder, path) ? strstr(path, "/models--") : NULL;
    const char *below = model ? strchr(model + 1, '/') : NULL;
    if (below && strncmp(below, "/snapshots/", strlen("/snapshots/")) == 0)
        return "; 'hf download' with its name completes what it has begun";
    bool is_above = below ? strcmp(below, "/snapshots") == 0 : model && regular_file_is_in(path, "snapshots");
    return is_above ? "; this is a folder of the Hugging Face cache: name a folder of its snapshots, or a "
                      "model as "
                      "ORG/NAME"
                    : "";
}

const char *model_file_folder_hint(const char *folder) {
    const char *hint = "";
    DIR *listing = opendir(folder);
    const struct dirent *entry;
    while (listing && !*hint && (entry = readdir(listing))) {
        const struct foreign_format *format = find_format(entry->d_name);
        if (format && !format->is_checkpoint) hint = format->hint;
    }
    if (listing) closedir(listing);
    return *hint ? hint : cache_hint(folder);
}

static enum status look_at_start(const char *path, const unsigned char *data, size_t size, struct error *e) {
    if (regular_file_is_lfs_pointer(data, size, path, e)) return STATUS_MALFORMED;
    if (has_start(data, size)) return STATUS_OK;
    const struct foreign_format *format = find_format(path);
    return error_set(e, STATUS_MALFORMED, path,
                     "is neither a converted model of prenormd nor a folder with a checkpoint%s",
                     format ? format->hint : "");
}

enum status model_file_look(const char *path, struct error *e) {
    unsigned char start[MODEL_FILE_LENGTH_BYTES + sizeof MODEL_FILE_START - 1];
    size_t size;
    int fd;
    enum status status = regular_file_open(path, &fd, &size, e);
    if (status != STATUS_OK) return status;
    ssize_t got = pread(fd, start, sizeof start, 0);
    int cause = errno;
    close(fd);
    if (got < 0) return error_set(e, STATUS_IO, path, "cannot read: %s", strerror(cause));
    return look_at_start(path, start, (size_t)got, e);
}

static enum status check_start(struct opening *o) {
    const struct mapped_file *file = &o->file->file;
    enum status status = look_at_start(o->path, file->data, file->size, o->e);
    if (status != STATUS_OK) return status;
    const char *text = (const char *)file->data;
    size_t at = MODEL_FILE_LENGTH_BYTES + sizeof MODEL_FILE_START - 1;
    status = check_version(o, text, file->size, &at);
    return status == STATUS_OK ? check_size(o, text, file->size, at) : status;
}

/* ---- checksums ---- */

/* The table at the end has a checksum for each block in front of it and one for itself, so the size of the
 * file tells where it starts. False for a size that no such file has. */
static bool find_table(size_t size, size_t *covered) {
    if (size < 2 * SUM_BYTES) return false;
    size_t blocks = (size - SUM_BYTES - 1) / (CHECKSUM_BLOCK + SUM_BYTES) + 1,
           table = (blocks + 1) * SUM_BYTES;
    if (table >= size) return false;
    *covered = size - table;
    return checksum_blocks(*covered) == blocks;
}

/* The part that a byte lies in: the last that begins at or before it. NULL: none, so it is the header. */
static const char *part_at(const struct opening *o, const unsigned char *byte) {
    const struct tensor *best = NULL;
    for (size_t i = 0; i < o->list.count; i++) {
        const struct tensor *t = &o->list.tensors[i];
        const unsigned char *data = t->data;
        bool is_empty = t->rank && t->shape[t->rank - 1] == 0;
        if (!is_empty && data <= byte && (!best || data > (const unsigned char *)best->data)) best = t;
    }
    return best ? best->name : NULL;
}

/* Where the header itself is sound it names the parts. */
static enum status fail_block(struct opening *o, size_t block) {
    const struct mapped_file *file = &o->file->file;
    size_t begin = block * CHECKSUM_BLOCK,
           end = begin + CHECKSUM_BLOCK < o->covered ? begin + CHECKSUM_BLOCK : o->covered;
    struct error unread;
    const char *first = NULL, *last = NULL;
    if (safetensors_read(file, &o->list, &unread) == STATUS_OK) {
        first = part_at(o, file->data + begin);
        last = part_at(o, file->data + end - 1);
    }
    bool one = first && last && strcmp(first, last) == 0;
    return error_set(o->e, STATUS_MALFORMED, o->path,
                     "damaged: bytes %zu to %zu do not have their checksum (%.200s%s%.200s)", begin, end,
                     first ? first : "the header", one || !last ? "" : " to ", one || !last ? "" : last);
}

static enum status check_sums(struct opening *o, struct workers *workers, model_file_progress_fn progress,
                              void *context) {
    const struct mapped_file *file = &o->file->file;
    if (!find_table(file->size, &o->covered))
        return fail(o, STATUS_MALFORMED, "damaged: no file has this size");
    const unsigned char *table = file->data + o->covered;
    size_t blocks = checksum_blocks(o->covered);
    uint64_t own;
    memcpy(&own, table + blocks * SUM_BYTES, SUM_BYTES);
    if (checksum_of(table, blocks * SUM_BYTES) != own)
        return fail(o, STATUS_MALFORMED,
                    "damaged: the table of checksums at its end does not have its checksum");
    size_t damaged = checksum_first_damaged(file->data, o->covered, table, workers, progress, context);
    return damaged == blocks ? STATUS_OK : fail_block(o, damaged);
}

/* ---- what the header says ---- */

static const char *metadata_text(const struct opening *o, const char *key) {
    const char *text = json_string_value(json_object_get(o->metadata, key));
    return text ? text : "";
}

/* Only for people to read, so a text that is too long is cut. */
static void read_adapter(struct opening *o) {
    struct adapter_identity *adapter = &o->file->adapter;
    snprintf(adapter->name, sizeof adapter->name, "%s", metadata_text(o, "adapter"));
    adapter->name[printable_cut(adapter->name, strlen(adapter->name))] = '\0';
    snprintf(adapter->config_xxh64, ADAPTER_HASH_BYTES, "%s", metadata_text(o, "adapter_config_xxh64"));
    snprintf(adapter->weights_xxh64, ADAPTER_HASH_BYTES, "%s", metadata_text(o, "adapter_weights_xxh64"));
    printable_text(adapter->config_xxh64, strlen(adapter->config_xxh64));
    printable_text(adapter->weights_xxh64, strlen(adapter->weights_xxh64));
}

/* The same: what is no number of tokens, or no hash, is none. */
static void read_calibration(struct opening *o) {
    struct calibration_identity *calibration = &o->file->calibration;
    const char *tokens = metadata_text(o, "calibration_tokens");
    const char *hash = metadata_text(o, "calibration_text_sha256");
    const size_t length = strlen(tokens);
    uint64_t count;
    size_t at = 0;
    if (!read_number(tokens, length, TOKENS_DIGITS_MAX, &at, &count) || at != length) return;
    if (strlen(hash) != CALIBRATION_HASH_BYTES - 1 || strspn(hash, "0123456789abcdef") != strlen(hash))
        return;
    memcpy(calibration->text_sha256, hash, CALIBRATION_HASH_BYTES);
    calibration->tokens = count;
}

/* False for a layout that is not ours. */
static bool read_layout(const char *layout, bool *rotated, bool *head4) {
    *rotated = strncmp(layout, PACKED_LAYOUT_ROTATED, strlen(PACKED_LAYOUT_ROTATED)) == 0;
    const char *base = *rotated ? PACKED_LAYOUT_ROTATED : PACKED_LAYOUT, *rest = layout + strlen(base);
    if (strncmp(layout, base, strlen(base)) != 0) return false;
    *head4 = strcmp(rest, PACKED_LAYOUT_HEAD4) == 0;
    return *head4 || !*rest;
}

/* Numbers with commas between them, `most` of them; absent: none. */
static bool read_numbers(const char *text, size_t digits, size_t most, uint64_t *numbers, size_t *count) {
    const size_t length = strlen(text);
    *count = 0;
    for (size_t at = 0; at < length; at++) {
        if (*count == most || !read_number(text, length, digits, &at, &numbers[*count])) return false;
        if (at < length && (text[at] != ',' || at + 1 == length)) return false;
        ++*count;
    }
    return true;
}

/* Layers, ascending. */
static bool read_massive(const char *text, bool massive[MODEL_LAYERS_MAX]) {
    uint64_t layers[MODEL_LAYERS_MAX];
    size_t count;
    if (!read_numbers(text, LAYER_DIGITS_MAX, MODEL_LAYERS_MAX, layers, &count)) return false;
    for (size_t i = 0; i < count; i++) {
        if (layers[i] >= MODEL_LAYERS_MAX || (i > 0 && layers[i] <= layers[i - 1])) return false;
        massive[layers[i]] = true;
    }
    return true;
}

/* Channels, each once. */
static bool read_quiet(const char *text, struct model_file *p) {
    uint64_t channels[LOUD_CHANNELS_MAX];
    if (!read_numbers(text, CHANNEL_DIGITS_MAX, LOUD_CHANNELS_MAX, channels, &p->quiet_count)) return false;
    for (size_t i = 0; i < p->quiet_count; i++) {
        p->quiet[i] = (size_t)channels[i];
        for (size_t other = 0; other < i; other++)
            if (channels[other] == channels[i]) return false;
    }
    return true;
}

/* What only a model in int8 has. */
static enum status read_int8(struct opening *o) {
    const char *massive = metadata_text(o, "massive_mlps"), *quiet = metadata_text(o, "quiet_channels");
    struct model_file *p = o->file;
    const bool is_int8 = p->weights == WEIGHT_TYPE_INT8;
    if (!read_massive(massive, p->massive) || (*massive && !is_int8))
        return error_set(
            o->e, STATUS_MALFORMED, o->path,
            "its layers with massive activations are '%.40s': they are ascending numbers, beside int8 alone",
            massive);
    if (!read_quiet(quiet, p) || (*quiet && !(is_int8 && p->rotated)))
        return error_set(o->e, STATUS_MALFORMED, o->path,
                         "its quiet channels are '%.40s': they are %d different numbers at most, beside int8 "
                         "that is rotated alone",
                         quiet, LOUD_CHANNELS_MAX);
    return STATUS_OK;
}

static enum status read_metadata(struct opening *o) {
    const char *layout = metadata_text(o, "layout"), *form = metadata_text(o, "norm_form");
    const char *weights = metadata_text(o, "weights");
    struct model_file *p = o->file;
    bool head4 = false;
    if (!read_layout(layout, &p->rotated, &head4))
        return error_set(o->e, STATUS_UNSUPPORTED, o->path,
                         "its weights are in the layout '%.40s', this program reads '%s' and '%s', with '%s' "
                         "behind them or not: convert the model again",
                         layout, PACKED_LAYOUT, PACKED_LAYOUT_ROTATED, PACKED_LAYOUT_HEAD4);
    if (!norm_form_from_name(form, &p->form))
        return error_set(o->e, STATUS_UNSUPPORTED, o->path, "its form of the norms is '%.40s'", form);
    if (!weight_type_from_name(weights, &p->weights))
        return error_set(o->e, STATUS_UNSUPPORTED, o->path, "its type of weights is '%.40s'", weights);
    if (p->rotated && p->weights != WEIGHT_TYPE_INT8 && p->weights != WEIGHT_TYPE_INT4)
        return error_set(o->e, STATUS_MALFORMED, o->path,
                         "rotated weights in %s: only int8 and int4 are rotated", weights);
    if (head4 && p->weights != WEIGHT_TYPE_INT4)
        return error_set(o->e, STATUS_MALFORMED, o->path,
                         "a head in int4 beside weights in %s: only int4 weights have one", weights);
    enum status status = read_int8(o);
    if (status != STATUS_OK) return status;
    p->head = packed_types_of(p->weights, head4 ? HEAD_WEIGHTS_INT4 : HEAD_WEIGHTS_AUTO).head;
    read_adapter(o);
    read_calibration(o);
    return STATUS_OK;
}

/* Bytes of a section by its shape. The reader has checked these in elements of whatever type the file says,
 * which may be smaller than a byte: so again in bytes. */
static enum status section_size(struct opening *o, const struct tensor *t, size_t *size) {
    const unsigned char *begin = t->data, *end = o->file->file.data + o->file->file.size;
    *size = t->rank == 1 ? t->shape[0] : 0;
    if (t->rank == 1 && t->dtype == DTYPE_OTHER && *size <= (size_t)(end - begin)) return STATUS_OK;
    return error_set(o->e, STATUS_MALFORMED, o->path, "'%.200s' is not a list of bytes", t->name);
}

static enum status take_packed(struct opening *o, const struct tensor *t, size_t size) {
    if ((uintptr_t)t->data % KERNEL_ALIGN != 0)
        return error_set(o->e, STATUS_MALFORMED, o->path,
                         "'%s' starts at byte %zu, which is not a multiple of %d", t->name,
                         (size_t)((const unsigned char *)t->data - o->file->file.data), KERNEL_ALIGN);
    o->file->packed = t->data;
    o->file->packed_bytes = size;
    return STATUS_OK;
}

static enum status take_section(struct opening *o, const struct tensor *t) {
    struct model_file_texts *texts = &o->file->texts;
    const struct {
        const char *name, **text;
        size_t *length;
    } all[] = {
        {MODEL_FILE_CONFIG, &texts->config, &texts->config_length},
        {MODEL_FILE_GENERATION, &texts->generation, &texts->generation_length},
        {MODEL_FILE_TOKENIZER, &texts->tokenizer, &texts->tokenizer_length},
        {MODEL_FILE_CHAT, &texts->chat, &texts->chat_length},
    };
    if (strcmp(t->name, MODEL_FILE_CHECKSUMS) == 0) {
        if ((const unsigned char *)t->data == o->file->file.data + o->covered) return STATUS_OK;
        return fail(o, STATUS_MALFORMED, "'" MODEL_FILE_CHECKSUMS "' is not at its end");
    }
    size_t size;
    enum status status = section_size(o, t, &size);
    if (status != STATUS_OK) return status;
    if (strcmp(t->name, MODEL_FILE_PACKED) == 0) return take_packed(o, t, size);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (strcmp(t->name, all[i].name) != 0) continue;
        *all[i].text = t->data;
        *all[i].length = size;
        return STATUS_OK;
    }
    return error_set(o->e, STATUS_MALFORMED, o->path, "'%.200s' is not a part of this version of the format",
                     t->name);
}

/* An empty last dimension stands for "the shape alone". */
static void strip_shape(struct tensor *t) {
    if (t->rank < 2 || t->shape[t->rank - 1] != 0) return;
    t->rank--;
    t->data = NULL;
    tensor_set_contiguous(t);
}

/* Our own sections leave the list; what stays is the checkpoint. */
static enum status take_sections(struct opening *o) {
    struct tensor_list rest = {0};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < o->list.count && status == STATUS_OK; i++) {
        struct tensor *t = &o->list.tensors[i];
        bool is_section = strncmp(t->name, MODEL_FILE_SECTIONS, sizeof MODEL_FILE_SECTIONS - 1) == 0;
        strip_shape(t);
        if (is_section)
            status = t->data ? take_section(o, t) : fail(o, STATUS_MALFORMED, "one of its parts is empty");
        else
            status = tensor_list_add(&rest, t, t->name, strlen(t->name), o->e);
    }
    if (status == STATUS_OK && (!o->file->packed || !o->file->texts.config))
        status = fail(o, STATUS_MALFORMED, "has no '" MODEL_FILE_PACKED "' or no '" MODEL_FILE_CONFIG "'");
    if (status == STATUS_OK) return checkpoint_from_tensors(&rest, o->path, &o->file->checkpoint, o->e);
    tensor_list_deinit(&rest);
    return status;
}

enum status model_file_open(const char *path, struct workers *workers, model_file_progress_fn progress,
                            void *context, struct model_file *p, struct error *e) {
    struct opening o = {.file = p, .path = path, .e = e};
    *p = (struct model_file){0};
    enum status status = mapped_file_open(NULL, path, &p->file, e);
    if (status != STATUS_OK) return status;
    status = check_start(&o);
    if (status == STATUS_OK) status = check_sums(&o, workers, progress, context);
    if (status == STATUS_OK) status = safetensors_read_with_metadata(&p->file, &o.list, &o.metadata, e);
    if (status == STATUS_OK) status = read_metadata(&o);
    if (status == STATUS_OK) status = take_sections(&o);
    tensor_list_deinit(&o.list);
    json_decref(o.metadata);
    if (status != STATUS_OK) model_file_close(p);
    return status;
}

void model_file_close(struct model_file *p) {
    checkpoint_close(p->checkpoint);
    if (p->file.path) mapped_file_close(&p->file);
    *p = (struct model_file){0};
}

/* ---- with the views of its tensors ---- */

static enum status check_tensor(const struct model_file *p, const struct model_file_tensors *tensors,
                                const struct tensor *t, size_t *weights, struct error *e) {
    enum model_file_part part = model_file_tensors_part(tensors, t);
    size_t count = 0;
    if (!t->data && part != MODEL_FILE_PART_SHAPE)
        return error_set(e, STATUS_MALFORMED, p->file.path, "the values of '%.200s' are missing", t->name);
    if (part == MODEL_FILE_PART_SHAPE && !t->data && !memory_multiply(t->shape[0], t->shape[1], &count))
        count = SIZE_MAX;
    if (__builtin_add_overflow(*weights, count, weights)) *weights = SIZE_MAX;
    return STATUS_OK;
}

enum status model_file_check(const struct model_file *p, const struct tensor_views *views, struct error *e) {
    struct model_file_tensors tensors;
    size_t weights = 0;
    enum status status = model_file_tensors_init(&tensors, views, e);
    for (size_t i = 0; i < checkpoint_count(p->checkpoint) && status == STATUS_OK; i++)
        status = check_tensor(p, &tensors, checkpoint_at(p->checkpoint, i), &weights, e);
    model_file_tensors_deinit(&tensors);
    if (status == STATUS_OK && weights / WEIGHTS_OF_A_BYTE_MAX > p->packed_bytes)
        return error_set(e, STATUS_MALFORMED, p->file.path, "%zu weights cannot be packed in %zu bytes",
                         weights, p->packed_bytes);
    return status;
}
