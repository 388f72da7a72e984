/* A converted file up to the model that would run: the input is the file without its checksums, which are put
 * behind it, so that everything that checksums do not keep away is reached. The size in the header is
 * corrected too where the header begins as it should. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "engine/loaded/loaded_model.h"
#include "engine/modelfile/checksum.h"
#include "engine/modelfile/model_file_format.h"
#include "tests/fuzz/fuzz.h"

#define START (MODEL_FILE_START "1" MODEL_FILE_SIZE)

static void correct_size(uint8_t *bytes, size_t size, size_t length) {
    char digits[MODEL_FILE_SIZE_DIGITS + 1];
    if (size < 8 + sizeof START - 1 + MODEL_FILE_SIZE_DIGITS ||
        memcmp(bytes + 8, START, sizeof START - 1) != 0)
        return;
    snprintf(digits, sizeof digits, "%0*zu", MODEL_FILE_SIZE_DIGITS, length);
    memcpy(bytes + 8 + sizeof START - 1, digits, MODEL_FILE_SIZE_DIGITS);
}

static uint8_t *seal(const uint8_t *data, size_t size, size_t *length) {
    size_t blocks = checksum_blocks(size);
    *length = size + (blocks + 1) * 8;
    uint8_t *bytes = malloc(*length);
    if (!bytes) abort();
    memcpy(bytes, data, size);
    correct_size(bytes, size, *length);
    for (size_t i = 0; i <= blocks; i++) {
        size_t begin = i * CHECKSUM_BLOCK,
               end = begin + CHECKSUM_BLOCK < size ? begin + CHECKSUM_BLOCK : size;
        uint64_t sum =
            i < blocks ? checksum_of(bytes + begin, end - begin) : checksum_of(bytes + size, blocks * 8);
        memcpy(bytes + size + i * 8, &sum, 8);
    }
    return bytes;
}

/* What a step would read of the model's ends; packed weights are only touched, they may hold any bits. */
static void touch_model(const struct loaded_model *m) {
    const struct model_description *d = &m->description;
    double *scratch = calloc(folded_embedding_scratch(&m->folded) + 2 * d->width, sizeof *scratch);
    if (!scratch) abort();
    double *row = scratch + folded_embedding_scratch(&m->folded);
    folded_embedding(&m->folded, 0, 0, row, scratch);
    folded_embedding(&m->folded, d->vocabulary - 1, d->context - 1, row, scratch);
    volatile float sum = m->packed.memory[0] + m->packed.memory[m->packed.memory_floats - 1];
    (void)sum;
    free(scratch);
}

static void load(const char *path) {
    static struct workers *workers;
    struct error e = {0};
    struct loaded_model model;
    struct tokenizer *tokenizer;
    struct loaded_model_options options = {
        .model = path, .any_form = true, .any_weights = true, .tokenizer = &tokenizer};
    if (!workers && workers_create(1, &workers, &e) != STATUS_OK) abort();
    enum status status = loaded_model_init(&model, &options, workers, &e);
    if (status != STATUS_OK) {
        if (e.code != status || !e.text[0]) abort();
        return;
    }
    touch_model(&model);
    loaded_model_deinit(&model);
    tokenizer_close(tokenizer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[] = "/dev/shm/prenorm-fuzz-XXXXXX";
    size_t length;
    uint8_t *bytes = seal(data, size, &length);
    log_set_level(LOG_LEVEL_ERROR);
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, bytes, length) != (ssize_t)length) abort();
    close(fd);
    free(bytes);
    load(path);
    unlink(path);
    return 0;
}
