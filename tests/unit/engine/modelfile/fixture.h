/* Converted files for tests: made from a model's folder, and taken apart and put together again with valid
 * checksums, so that what lies behind the checksums can be tested too. */
#pragma once

#include <jansson.h>

#include "engine/files/regular_file.h"
#include "engine/model/describe.h"
#include "engine/modelfile/checksum.h"
#include "engine/modelfile/file_writer.h"
#include "engine/modelfile/model_file.h"
#include "engine/modelfile/model_file_format.h"
#include "tests/support/test_support.h"

/* ---- making one ---- */

static inline char *fixture_text(const char *folder, const char *name, size_t *length) {
    char path[PATH_MAX], *text = NULL;
    struct error e;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return regular_file_read(path, 1u << 24, &text, length, &e) == STATUS_OK ? text : NULL;
}

static inline void fixture_write(const char *folder, const struct packed_model *packed, const char *path) {
    struct error e = {0};
    struct file_writer file;
    struct model_file_content content = {.packed = packed};
    struct model_file_texts *texts = &content.texts;
    char *config = fixture_text(folder, "config.json", &texts->config_length);
    char *generation = fixture_text(folder, "generation_config.json", &texts->generation_length);
    char *tokenizer = fixture_text(folder, "tokenizer.json", &texts->tokenizer_length);
    texts->config = config;
    texts->generation = generation;
    texts->tokenizer = tokenizer;
    assert_ok(file_writer_open(&file, path, &e));
    assert_ok(model_file_write(&file, &content, NULL, NULL, &e));
    assert_ok(file_writer_commit(&file, &e));
    free(config);
    free(generation);
    free(tokenizer);
}

static inline void fixture_convert(const char *folder, enum norm_form form, enum weight_type weights,
                                   struct workers *workers, const char *path) {
    struct error e = {0};
    struct model_description description;
    const struct family *family;
    struct checkpoint *checkpoint;
    struct tensor_views views;
    struct folded_model folded;
    struct packed_model packed;
    assert_ok(describe_model(folder, &description, &family, &e));
    assert_ok(checkpoint_open(folder, &checkpoint, &e));
    assert_ok(tensor_views_init(&views, &description, family, checkpoint, &e));
    assert_ok(folded_model_init(&folded, &views, form, &e));
    assert_ok(packed_model_init(&packed, &folded, MATMUL_OWN, packed_types_of(weights, HEAD_WEIGHTS_AUTO),
                                workers, NULL, NULL, &e));
    fixture_write(folder, &packed, path);
    packed_model_deinit(&packed);
    folded_model_deinit(&folded);
    tensor_views_deinit(&views);
    checkpoint_close(checkpoint);
    description_deinit(&description);
}

/* ---- changing one ---- */

struct draft {
    json_t *header; /* without the checksums */
    unsigned char *data;
    size_t size;
};

static inline void draft_open(struct draft *d, const char *path) {
    size_t length;
    unsigned char *bytes = (unsigned char *)test_file_read("", path, &length);
    uint64_t header;
    memcpy(&header, bytes, sizeof header);
    d->header = json_loadb((char *)bytes + 8, header, 0, NULL);
    assert_non_null(d->header);
    const json_t *sums = json_object_get(json_object_get(d->header, MODEL_FILE_CHECKSUMS), "data_offsets");
    d->size = (size_t)json_integer_value(json_array_get(sums, 0));
    d->data = malloc(d->size);
    memcpy(d->data, bytes + 8 + header, d->size);
    json_object_del(d->header, MODEL_FILE_CHECKSUMS);
    free(bytes);
}

static inline void draft_deinit(struct draft *d) {
    json_decref(d->header);
    free(d->data);
}

static inline json_t *draft_metadata(const struct draft *d) {
    return json_object_get(d->header, "__metadata__");
}

/* Bytes of a part, by its offsets. */
static inline unsigned char *draft_part(const struct draft *d, const char *name, size_t *size) {
    const json_t *offsets = json_object_get(json_object_get(d->header, name), "data_offsets");
    assert_non_null(offsets);
    size_t begin = (size_t)json_integer_value(json_array_get(offsets, 0));
    *size = (size_t)json_integer_value(json_array_get(offsets, 1)) - begin;
    return d->data + begin;
}

/* A text of the same length or shorter in a part's place, padded with spaces. */
static inline void draft_set_text(const struct draft *d, const char *name, const char *text) {
    size_t size;
    unsigned char *part = draft_part(d, name, &size);
    assert_true(strlen(text) <= size);
    memset(part, ' ', size);
    memcpy(part, text, strlen(text));
}

/* A vector of zeros behind the other parts. */
static inline void draft_append(struct draft *d, const char *name, const char *dtype, size_t count,
                                size_t size) {
    size_t end = d->size + count * size;
    d->data = realloc(d->data, end);
    memset(d->data + d->size, 0, end - d->size);
    json_object_set_new(d->header, name,
                        json_pack("{s:s, s:[I], s:[I, I]}", "dtype", dtype, "shape", (json_int_t)count,
                                  "data_offsets", (json_int_t)d->size, (json_int_t)end));
    d->size = end;
}

/* The header on `pages` pages and the data with valid checksums; the caller frees. */
static inline unsigned char *draft_seal(const struct draft *d, size_t pages, size_t *length) {
    size_t header = pages * MODEL_FILE_PAGE, covered = header + d->size, sums = checksum_blocks(covered) + 1;
    char stated[MODEL_FILE_SIZE_DIGITS + 1];
    uint64_t padded = header - 8;
    *length = covered + sums * 8;
    snprintf(stated, sizeof stated, "%0*zu", MODEL_FILE_SIZE_DIGITS, *length);
    json_object_set_new(draft_metadata(d), "bytes", json_string(stated));
    json_object_set_new(d->header, MODEL_FILE_CHECKSUMS,
                        json_pack("{s:s, s:[I], s:[I, I]}", "dtype", "U64", "shape", (json_int_t)sums,
                                  "data_offsets", (json_int_t)d->size, (json_int_t)(d->size + sums * 8)));
    char *text = json_dumps(d->header, JSON_COMPACT);
    json_object_del(d->header, MODEL_FILE_CHECKSUMS);
    assert_true(strlen(text) <= padded);
    unsigned char *bytes = malloc(*length);
    memset(bytes, ' ', header);
    memcpy(bytes, &padded, 8);
    memcpy(bytes + 8, text, strlen(text));
    memcpy(bytes + header, d->data, d->size);
    free(text);
    for (size_t i = 0; i < sums; i++) {
        size_t begin = i * CHECKSUM_BLOCK,
               end = begin + CHECKSUM_BLOCK < covered ? begin + CHECKSUM_BLOCK : covered;
        uint64_t sum =
            i + 1 < sums ? checksum_of(bytes + begin, end - begin) : checksum_of(bytes + covered, i * 8);
        memcpy(bytes + covered + i * 8, &sum, 8);
    }
    return bytes;
}

static inline void draft_save(const struct draft *d, const char *folder, const char *name) {
    size_t length;
    unsigned char *bytes = draft_seal(d, 16, &length);
    test_file_write(folder, name, bytes, length);
    free(bytes);
}

/* ---- the place of one ---- */

struct place {
    char *folder, path[1200];
    const char *model;  /* the folder that it was made from; borrowed */
    struct draft draft; /* of the file as it was written */
};

static inline struct place *place_create(const char *model, enum norm_form form, enum weight_type weights,
                                         struct workers *workers) {
    struct place *place = calloc(1, sizeof *place);
    place->folder = test_folder_create();
    place->model = model;
    snprintf(place->path, sizeof place->path, "%s/model", place->folder);
    fixture_convert(model, form, weights, workers, place->path);
    draft_open(&place->draft, place->path);
    return place;
}

static inline void place_destroy(struct place *place) {
    draft_deinit(&place->draft);
    test_folder_remove(place->folder);
    free(place);
}

/* The draft as it is now in the place of the file. */
static inline void place_save(const struct place *place) {
    draft_save(&place->draft, place->folder, "model");
}
