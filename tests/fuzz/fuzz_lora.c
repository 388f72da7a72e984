/* The input is an adapter_config.json, a zero byte, and the header of its adapter_model.safetensors, which gets as
 * much data (zeros) as the largest number in it says. The adapter is bound to a GPT-2 of one layer, and rows of
 * what it was merged into are read. */
#include <string.h>

#include "engine/base/log.h"
#include "engine/lora/lora.h"
#include "engine/model/describe.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_file.h"

static const char base_config[] =
    "{\"model_type\":\"gpt2\",\"n_embd\":4,\"n_head\":2,\"n_layer\":1,\"n_positions\":3,\"vocab_size\":5,"
    "\"n_inner\":6}";

#define V(name, size, begin, end)                                                                            \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[" size "],\"data_offsets\":[" begin "," end "]}"

static const char base_header[] =
    "{" V("wte.weight", "5,4", "0", "80") "," V("wpe.weight", "3,4", "80", "128") "," V("ln_f.weight", "4", "128", "144") "," V(
        "ln_f.bias", "4", "144",
        "160") "," V("h.0.ln_1.weight", "4", "160",
                     "176") "," V("h.0.ln_1.bias", "4", "176",
                                  "192") "," V("h.0.ln_2.weight", "4", "192",
                                               "208") "," V("h.0.ln_2.bias", "4", "208",
                                                            "224") "," V("h.0.attn.c_attn.weight", "4,12",
                                                                         "224",
                                                                         "416") "," V("h.0.attn.c_attn.bias",
                                                                                      "12", "416",
                                                                                      "464") "," V("h.0.attn."
                                                                                                   "c_proj."
                                                                                                   "weight",
                                                                                                   "4,4",
                                                                                                   "464",
                                                                                                   "528") "," V("h.0.attn.c_proj.bias",
                                                                                                                "4",
                                                                                                                "528",
                                                                                                                "544") "," V("h.0.mlp.c_fc.weight",
                                                                                                                             "4,6",
                                                                                                                             "544",
                                                                                                                             "640") "," V("h.0.mlp.c_fc.bias",
                                                                                                                                          "6",
                                                                                                                                          "640",
                                                                                                                                          "664") "," V("h.0.mlp.c_proj.weight",
                                                                                                                                                       "6,4",
                                                                                                                                                       "664",
                                                                                                                                                       "760") "," V("h.0.mlp.c_proj.bias",
                                                                                                                                                                    "4",
                                                                                                                                                                    "760",
                                                                                                                                                                    "776") "}";

/* An error must come with a text. */
static bool passed(enum status status, const struct error *e) {
    if (status != STATUS_OK && (e->code != status || !e->text[0])) abort();
    return status == STATUS_OK;
}

static void touch_matrix(void *context, struct matrix_view *m) {
    (void)context;
    double *row = malloc(m->in * sizeof *row);
    if (!row) return;
    matrix_read(m, 0, 1, row);
    matrix_read(m, m->out - 1, 1, row);
    free(row);
}

static void merge(const char *base, const char *adapter) {
    struct error e = {0};
    struct model_description d;
    const struct family *family = NULL;
    struct checkpoint *checkpoint;
    struct tensor_views views = {0};
    struct lora *lora = NULL;
    if (!passed(describe_model(base, &d, &family, &e), &e) ||
        !passed(checkpoint_open(base, &checkpoint, &e), &e))
        abort();
    if (passed(lora_open(adapter, &lora, &e), &e) &&
        passed(lora_bind(lora, &d, family, checkpoint, &views, &e), &e))
        tensor_views_each_matrix(&views, touch_matrix, NULL);
    tensor_views_deinit(&views);
    lora_close(lora);
    checkpoint_close(checkpoint);
    description_deinit(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t config_size = zero ? (size_t)(zero - data) : size;
    const uint8_t *header = zero ? zero + 1 : data;
    char base[] = FUZZ_FOLDER, adapter[] = FUZZ_FOLDER, paths[4][64];
    log_set_level(LOG_LEVEL_ERROR);
    if (!mkdtemp(base) || !mkdtemp(adapter)) abort();
    fuzz_write(base, "config.json", base_config, sizeof base_config - 1, paths[0]);
    fuzz_write_tensors(base, "model.safetensors", (const uint8_t *)base_header, sizeof base_header - 1,
                       paths[1]);
    fuzz_write(adapter, "adapter_config.json", data, config_size, paths[2]);
    fuzz_write_tensors(adapter, "adapter_model.safetensors", header, zero ? size - config_size - 1 : 0,
                       paths[3]);
    merge(base, adapter);
    for (size_t i = 0; i < 4; i++) unlink(paths[i]);
    rmdir(base);
    rmdir(adapter);
    return 0;
}
