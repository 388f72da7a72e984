/* The input is a config.json (and generation_config.json), a zero byte, and the header of a safetensors file, which gets the right length
 * in front and as much data (zeros) as the largest number in it says. The folder of the two is described and
 * bound, and the ends of the first block's matrices are read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "engine/model/tensor_views.h"
#include "engine/model/describe.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_file.h"

static void remove_folder(const char *folder) {
    char path[64];
    snprintf(path, sizeof path, "%s/config.json", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/generation_config.json", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    unlink(path);
    rmdir(folder);
}

static void touch_matrix(const struct matrix_view *m) {
    double *row = malloc(m->in * sizeof *row);
    if (!row) return;
    matrix_read(m, 0, 1, row);
    matrix_read(m, m->out - 1, 1, row);
    free(row);
}

static void touch_vector(const struct vector_view *v) {
    double end;
    if (v->tensor) vector_read_part(v, v->count - 1, 1, &end);
}

static void touch_model(const struct tensor_views *b) {
    const struct layer_views *layer = &b->layers[0];
    touch_matrix(&b->embedding);
    touch_matrix(&b->head.weight);
    touch_matrix(&layer->query.weight);
    touch_matrix(&layer->key.weight);
    touch_matrix(&layer->value.weight);
    touch_matrix(&layer->up.weight);
    if (layer->gate.weight.tensor) touch_matrix(&layer->gate.weight);
    const struct sublayer_views *s = &layer->attention;
    const struct vector_view *vectors[] = {&layer->value.bias,  &layer->gpas_gate,         &layer->head_scale,
                                           &s->norm.gain,       &s->inner_norm.gain,       &s->post_norm.gain,
                                           &s->outer_norm.gain, &layer->mlp.residual_scale};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) touch_vector(vectors[i]);
}

/* An error must come with a text. */
static bool passed(enum status status, const struct error *e) {
    if (status != STATUS_OK && (e->code != status || !e->text[0])) abort();
    return status == STATUS_OK;
}

/* Strictly as well: what passes has no unknown keys, and passes with the option too. */
static void describe_and_bind(const char *folder) {
    struct error e = {0};
    struct model_description d;
    const struct family *family = NULL;
    struct checkpoint *checkpoint;
    struct tensor_views views;
    bool strictly = passed(describe_model(folder, &d, &family, &e), &e);
    if (strictly && d.unknown_keys[0]) abort();
    description_deinit(&d);
    const struct describe_options options = {.allow_unknown_config_keys = true};
    bool allowed = passed(describe_model_with(folder, &options, &d, &family, &e), &e);
    if (strictly && (!allowed || d.unknown_keys[0])) abort();
    if (allowed && passed(checkpoint_open(folder, &checkpoint, &e), &e)) {
        if (passed(tensor_views_init(&views, &d, family, checkpoint, &e), &e)) touch_model(&views);
        tensor_views_deinit(&views);
        checkpoint_close(checkpoint);
    }
    description_deinit(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t config_size = zero ? (size_t)(zero - data) : size;
    const uint8_t *header = zero ? zero + 1 : data;
    size_t header_size = zero ? size - config_size - 1 : 0;
    char folder[] = FUZZ_FOLDER, path[64];
    log_set_level(LOG_LEVEL_ERROR);
    if (!mkdtemp(folder)) abort();
    fuzz_write(folder, "config.json", data, config_size, path);
    fuzz_write(folder, "generation_config.json", data, config_size, path);
    if (zero) fuzz_write_tensors(folder, "model.safetensors", header, header_size, path);
    describe_and_bind(folder);
    remove_folder(folder);
    return 0;
}
