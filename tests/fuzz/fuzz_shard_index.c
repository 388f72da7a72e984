/* The input is a model.safetensors.index.json; beside it lie two shards, a and b, with a tensor each. */
#include <string.h>

#include "engine/base/log.h"
#include "engine/checkpoint/checkpoint.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_file.h"

static void write_shard(const char *folder, const char *name, char *path) {
    struct {
        uint64_t length;
        char header[96];
    } shard = {.length = 88};
    snprintf(shard.header, sizeof shard.header, "%-88s", "");
    int length = snprintf(shard.header, sizeof shard.header,
                          "{\"tensor.%s\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", name);
    memset(shard.header + length, ' ', 88 - (size_t)length);
    fuzz_write(folder, name, &shard, 8 + 88 + 8, path);
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
    char folder[] = FUZZ_FOLDER, index[64], a[64], b[64];
    log_set_level(LOG_LEVEL_ERROR);
    if (!mkdtemp(folder)) abort();
    fuzz_write(folder, "model.safetensors.index.json", data, size, index);
    write_shard(folder, "a", a);
    write_shard(folder, "b", b);
    open_folder(folder);
    unlink(index);
    unlink(a);
    unlink(b);
    rmdir(folder);
    return 0;
}
