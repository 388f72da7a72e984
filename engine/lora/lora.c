/* Opening and closing an adapter, and whether one lies where it was not asked for. */
#include "engine/lora/lora.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/log.h"
#include "engine/base/printable.h"
#include "engine/files/mapped_file.h"
#include "engine/files/regular_file.h"
#include "engine/lora/lora_parts.h"
#include "engine/modelfile/checksum.h"
#include "engine/text/sources/tokenizer_source.h"

/* In the order of PEFT's preference. */
static const char *const weight_files[] = {"adapter_model.safetensors", "adapter_model.bin"};
#define WEIGHT_FILES (sizeof weight_files / sizeof *weight_files)

/* ---- who it is ----------------------------------------------------------------------------------------- */

static void set_hash(char out[ADAPTER_HASH_BYTES], const void *data, size_t size) {
    snprintf(out, ADAPTER_HASH_BYTES, "%016llx", (unsigned long long)checksum_of(data, size));
}

/* The last part of the folder's path; of "." and the like that of the place itself. */
static void set_name(struct adapter_identity *identity, const char *folder) {
    char *path = realpath(folder, NULL);
    const char *slash = path ? strrchr(path, '/') : NULL;
    const char *name = slash && slash[1] ? slash + 1 : folder;
    size_t length = strnlen(name, ADAPTER_NAME_BYTES - 1);
    memcpy(identity->name, name, length);
    identity->name[printable_cut(identity->name, length)] = '\0';
    if (!identity->name[0]) snprintf(identity->name, sizeof identity->name, "?");
    free(path);
}

const struct adapter_identity *lora_identity(const struct lora *l) {
    return &l->identity;
}

/* ---- open, close --------------------------------------------------------------------------------------- */

static enum status open_config(struct lora *l, const char *folder, struct error *e) {
    char path[PATH_MAX], *text = NULL;
    size_t length = 0;
    enum status status = regular_file_path(folder, LORA_CONFIG_NAME, path, e);
    if (status == STATUS_OK) status = regular_file_read(path, LORA_CONFIG_BYTES_MAX, &text, &length, e);
    if (status == STATUS_OK) {
        set_hash(l->identity.config_xxh64, text, length);
        status = lora_config_init(&l->config, text, length, e);
    }
    free(text);
    return status;
}

static enum status open_weights(struct lora *l, const char *folder, struct error *e) {
    struct mapped_file file;
    enum status status = STATUS_NOT_FOUND;
    size_t i = 0;
    for (; i < WEIGHT_FILES && status == STATUS_NOT_FOUND; i++)
        status = checkpoint_open_file(folder, weight_files[i], &l->file, e);
    if (status == STATUS_NOT_FOUND)
        return error_set(e, status, folder, "the adapter has no weights: looked for %s and %s",
                         weight_files[0], weight_files[1]);
    if (status == STATUS_OK) status = mapped_file_open(folder, weight_files[i - 1], &file, e);
    if (status != STATUS_OK) return status;
    set_hash(l->identity.weights_xxh64, file.data, file.size);
    mapped_file_close(&file);
    return STATUS_OK;
}

enum status lora_open(const char *folder, struct lora **out, struct error *e) {
    struct lora *l = calloc(1, sizeof *l);
    if (!l) return error_set(e, STATUS_NO_MEMORY, folder, "no memory for the adapter");
    set_name(&l->identity, folder);
    enum status status = open_config(l, folder, e);
    if (status == STATUS_OK) status = open_weights(l, folder, e);
    if (status == STATUS_OK) status = lora_parts_init(l, e);
    if (status == STATUS_OK && tokenizer_source_has_file(folder) && !checkpoint_is_in(folder))
        log_info("adapter %s: its folder has a tokenizer.json too; the tokenizer of the model is used",
                 l->identity.name);
    if (status != STATUS_OK) {
        lora_close(l);
        return status;
    }
    *out = l;
    return STATUS_OK;
}

void lora_close(struct lora *l) {
    if (!l) return;
    lora_parts_deinit(l);
    checkpoint_close(l->overlay);
    checkpoint_close(l->file);
    lora_config_deinit(&l->config);
    free(l);
}

/* ---- beside the model ---------------------------------------------------------------------------------- */

/* The file that tells of an adapter in the folder; NULL: there is none. */
static const char *adapter_file_in(const char *folder) {
    if (regular_file_is_in(folder, LORA_CONFIG_NAME)) return LORA_CONFIG_NAME;
    for (size_t i = 0; i < WEIGHT_FILES; i++)
        if (regular_file_is_in(folder, weight_files[i])) return weight_files[i];
    return NULL;
}

static bool is_same_folder(const char *a, const char *b) {
    struct stat left, right;
    return stat(a, &left) == 0 && stat(b, &right) == 0 && left.st_dev == right.st_dev &&
           left.st_ino == right.st_ino;
}

enum status lora_check_folder(const char *model, const char *lora, bool ignore, struct error *e) {
    const char *file = adapter_file_in(model);
    if (!file) return STATUS_OK;
    if (!checkpoint_is_in(model))
        return error_set(
            e, STATUS_OPTION, "model",
            "has %s and no weights of a model: this is an adapter, which needs its base. Name the "
            "base's folder with --model, and this one with --lora",
            file);
    if (ignore || (lora && is_same_folder(model, lora))) return STATUS_OK;
    return error_set(
        e, STATUS_OPTION, lora ? "lora" : "model",
        "%s has %s beside the weights of the model: merge that adapter with --lora %s, or leave it "
        "alone with --ignore-adapter",
        model, file, model);
}
