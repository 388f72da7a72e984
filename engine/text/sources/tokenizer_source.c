#include "engine/text/sources/tokenizer_source.h"

#include "engine/files/json_file.h"
#include "engine/files/regular_file.h"
#include "engine/text/sources/file_names.h"
#include "engine/text/sources/sentence_piece_source.h"
#include "engine/text/sources/tokenizer_config.h"
#include "engine/text/sources/vocab_merges.h"

/* Bytes of a tokenizer's file; those of the largest vocabularies have some 30 MB. */
#define FILE_BYTES_MAX ((size_t)256 << 20)

bool tokenizer_source_has_file(const char *folder) {
    return regular_file_is_in(folder, FILE_NAME_TOKENIZER);
}

static enum status load_file(const char *folder, const struct side_files *side, json_t **out,
                             struct error *e) {
    enum status status =
        json_file_load_as(folder, FILE_NAME_TOKENIZER, FILE_BYTES_MAX, JSON_FILE_WITH_NULS, out, e);
    return status == STATUS_OK ? tokenizer_config_apply(*out, side, e) : status;
}

static enum status load(const char *folder, const struct side_files *side, json_t **out, const char **name,
                        struct error *e) {
    const char *model = sentence_piece_source_find(folder, side);
    *name = FILE_NAME_TOKENIZER;
    if (tokenizer_source_has_file(folder) && !(model && tokenizer_config_wants_model(side)))
        return load_file(folder, side, out, e);
    *name = model;
    if (model) return sentence_piece_source_load(folder, model, side, FILE_BYTES_MAX, out, e);
    *name = FILE_NAME_VOCABULARY " and " FILE_NAME_MERGES;
    enum status status = vocab_merges_load(folder, side, FILE_BYTES_MAX, out, e);
    if (status != STATUS_NOT_FOUND || !(model = sentence_piece_source_find_any(folder))) return status;
    *name = model;
    return sentence_piece_source_load(folder, model, side, FILE_BYTES_MAX, out, e);
}

enum status tokenizer_source_load(const char *folder, json_t **out, const char **name, struct error *e) {
    struct side_files side;
    *out = NULL;
    enum status status = side_files_load(folder, FILE_BYTES_MAX, &side, e);
    if (status == STATUS_OK) status = load(folder, &side, out, name, e);
    side_files_deinit(&side);
    if (status == STATUS_OK) return STATUS_OK;
    json_decref(*out);
    *out = NULL;
    return status;
}
