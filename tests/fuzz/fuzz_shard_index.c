/* The input is a model.safetensors.index.json; beside it lie shards a and b with a tensor each, c with a copy of
 * that of a and the name of one that shares its memory, and d with another of that name. */
#include <string.h>

#include "engine/base/log.h"
#include "engine/checkpoint/checkpoint.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_file.h"

#define HEADER_BYTES 128

/* metadata: with a comma at its end, or "". The values of the tensor are `byte` over and over. */
static void write_shard(const char *folder, const char *name, const char *tensor, const char *metadata,
                        int byte, char *path) {
    struct {
        uint64_t length;
        char header[HEADER_BYTES + 8];
    } shard = {.length = HEADER_BYTES};
    int length = snprintf(shard.header, sizeof shard.header,
                          "{%s\"tensor.%s\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
                          metadata, tensor);
    memset(shard.header + length, ' ', HEADER_BYTES - (size_t)length);
    memset(shard.header + HEADER_BYTES, byte, 8);
    fuzz_write(folder, name, &shard, sizeof shard, path);
}

/* An error must come with a text; what is opened has the tensors that it counts. */
static void open_folder(const char *folder) {
    struct checkpoint *checkpoint;
    struct error e = {0};
    enum status status = checkpoint_open(folder, &checkpoint, &e);
    if (status != STATUS_OK) {
        if (e.code != status || !e.text[0]) abort();
        return;
    }
    for (size_t i = 0; i < checkpoint_count(checkpoint); i++) {
        const struct tensor *t = checkpoint_at(checkpoint, i);
        double values[2];
        if (strncmp(t->name, "tensor.", 7) != 0 || t->shape[0] != 2) abort();
        dtype_read(t->dtype, t->data, 1, 2, values);
    }
    checkpoint_close(checkpoint);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char shared[] = "\"__metadata__\":{\"tensor.tied\":\"tensor.a\"},";
    char folder[] = FUZZ_FOLDER, index[64], a[64], b[64], c[64], d[64];
    log_set_level(LOG_LEVEL_ERROR);
    if (!mkdtemp(folder)) abort();
    fuzz_write(folder, "model.safetensors.index.json", data, size, index);
    write_shard(folder, "a", "a", "", 0, a);
    write_shard(folder, "b", "b", "", 0, b);
    write_shard(folder, "c", "a", shared, 0, c);
    write_shard(folder, "d", "a", "", 1, d);
    open_folder(folder);
    unlink(index);
    unlink(a);
    unlink(b);
    unlink(c);
    unlink(d);
    rmdir(folder);
    return 0;
}
