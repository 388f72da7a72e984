/* Checkpoints of published shapes with random weights: as good as real ones where only speed matters. They go
 * through the same files, adapters and conversion as any other model. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/base/memory.h"
#include "engine/base/name_list.h"
#include "engine/model/describe.h"
#include "engine/tools/tools.h"

/* Llama's block, with Qwen2's biases where that is the type. */
#define LLAMA(name, type, vocabulary, layers, width, heads, kv, mlp, context, tied)                          \
    {                                                                                                        \
        name, "{\"model_type\": \"" type "\", \"vocab_size\": " #vocabulary ", \"hidden_size\": " #width     \
              ", \"intermediate_size\": " #mlp ", \"num_attention_heads\": " #heads                          \
              ", \"num_key_value_heads\": " #kv ", \"num_hidden_layers\": " #layers                          \
              ", \"max_position_embeddings\": " #context ", \"tie_word_embeddings\": " #tied                 \
              ", \"torch_dtype\": \"bfloat16\"}"                                                             \
    }

struct shape {
    const char *name, *config;
};

#define GPT3(name, layers, width, heads, dim, mlp)                                                           \
    {                                                                                                        \
        name, "{\"model_type\": \"prenorm\", \"vocab_size\": 50257, \"hidden_size\": " #width                \
              ", \"intermediate_size\": " #mlp ", \"num_attention_heads\": " #heads ", \"head_dim\": " #dim  \
              ", \"num_hidden_layers\": " #layers ", \"max_position_embeddings\": 2048}"                     \
    }

static const struct shape shapes[] = {
    {"gpt2-124m", "{\"model_type\": \"gpt2\"}"},
    {"gpt2-1.5b", "{\"model_type\": \"gpt2\", \"n_embd\": 1600, \"n_layer\": 48, \"n_head\": 25, "
                  "\"torch_dtype\": \"bfloat16\"}"},
    /* SmolLM2, Qwen2 and Qwen2.5, Llama 3.2, Llama 2 */
    LLAMA("smollm2-135m", "llama", 49152, 30, 576, 9, 3, 1536, 8192, true),
    LLAMA("qwen2-0.5b", "qwen2", 151936, 24, 896, 14, 2, 4864, 32768, true),
    LLAMA("llama-1b", "llama", 128256, 16, 2048, 32, 8, 8192, 131072, true),
    LLAMA("llama-7b", "llama", 32000, 32, 4096, 32, 32, 11008, 4096, false),
    {"pythia-410m", "{\"model_type\": \"gpt_neox\", \"vocab_size\": 50304, \"hidden_size\": 1024, "
                    "\"intermediate_size\": 4096, \"num_attention_heads\": 16, \"num_hidden_layers\": 24, "
                    "\"max_position_embeddings\": 2048}"},
    {"opt-1.3b",
     "{\"model_type\": \"opt\", \"vocab_size\": 50272, \"hidden_size\": 2048, \"ffn_dim\": 8192, "
     "\"num_attention_heads\": 32, \"num_hidden_layers\": 24, \"max_position_embeddings\": 2048}"},
    /* StarCoderBase: one key/value head for all */
    {"starcoder-1b",
     "{\"model_type\": \"gpt_bigcode\", \"vocab_size\": 49152, \"n_embd\": 2048, \"n_inner\": 8192, "
     "\"n_layer\": 24, \"n_head\": 16, \"n_positions\": 8192, \"torch_dtype\": \"bfloat16\"}"},
    /* Brown et al. 2020, table 2.1, to the letter (heads times their dimension need not be the width): the
     * shapes that Jiang et al. 2023 time. */
    GPT3("gpt3-small", 12, 768, 12, 64, 3072),
    GPT3("gpt3-medium", 24, 1024, 16, 64, 4096),
    GPT3("gpt3-large", 24, 1536, 16, 96, 6144),
    GPT3("gpt3-xl", 24, 2048, 24, 128, 8192),
    GPT3("gpt3-2.7b", 32, 2560, 32, 80, 10240),
    GPT3("gpt3-6.7b", 32, 4096, 32, 128, 16384),
    GPT3("gpt3-13b", 40, 5140, 40, 128, 20560),
};

#define SHAPE_COUNT (sizeof shapes / sizeof *shapes)

const char *const *bench_shapes(void) {
    static const char *names[SHAPE_COUNT + 1];
    for (size_t i = 0; i < SHAPE_COUNT; i++) names[i] = shapes[i].name;
    return names;
}

/* ---- which tensors ---- */

struct tensor_shape {
    size_t rank, dims[2];
    bool gain; /* values around 1 */
};

static struct tensor_shape matrix(const struct model_description *d, size_t out, size_t in) {
    return (struct tensor_shape){.rank = 2, .dims = {d->transposed ? in : out, d->transposed ? out : in}};
}

/* Shape of a weight in the plain blocks of the shapes above; rank 0 for what they do not have. */
static struct tensor_shape weight_shape(const struct model_description *d, enum weight weight) {
    size_t heads = d->heads * d->head_dim, kv = d->kv_heads * d->head_dim;
    bool separate = d->qkv_packing == QKV_SEPARATE;
    switch (weight) {
    case WEIGHT_EMBEDDING:
        return (struct tensor_shape){.rank = 2, .dims = {d->vocabulary, d->width}};
    case WEIGHT_HEAD:
        return (struct tensor_shape){.rank = d->tied ? 0 : 2, .dims = {d->vocabulary, d->width}};
    case WEIGHT_POSITION:
        if (d->position != POSITION_LEARNED) return (struct tensor_shape){0};
        return (struct tensor_shape){.rank = 2, .dims = {d->context + d->position_offset, d->width}};
    case WEIGHT_FINAL_NORM:
    case WEIGHT_ATTENTION_NORM:
        return (struct tensor_shape){.rank = 1, .dims = {d->width}, .gain = true};
    case WEIGHT_MLP_NORM:
        if (d->residual == RESIDUAL_PARALLEL_ONE_NORM) return (struct tensor_shape){0};
        return (struct tensor_shape){.rank = 1, .dims = {d->width}, .gain = true};
    case WEIGHT_QKV:
        return separate ? (struct tensor_shape){0} : matrix(d, heads + 2 * kv, d->width);
    case WEIGHT_QUERY:
        return separate ? matrix(d, heads, d->width) : (struct tensor_shape){0};
    case WEIGHT_KEY:
    case WEIGHT_VALUE:
        return separate ? matrix(d, kv, d->width) : (struct tensor_shape){0};
    case WEIGHT_ATTENTION_OUT:
        return matrix(d, d->width, heads);
    case WEIGHT_MLP_GATE:
        return d->gated ? matrix(d, d->mlp_width, d->width) : (struct tensor_shape){0};
    case WEIGHT_MLP_UP:
        return matrix(d, d->mlp_width, d->width);
    case WEIGHT_MLP_DOWN:
        return matrix(d, d->width, d->mlp_width);
    default:
        return (struct tensor_shape){0};
    }
}

static size_t bias_count(const struct model_description *d, enum weight weight) {
    struct tensor_shape s = weight_shape(d, weight);
    if (s.rank == 0 || d->bias[weight] == BIAS_NONE) return 0;
    return s.rank == 1 || !d->transposed ? s.dims[0] : s.dims[1];
}

static bool is_per_layer(enum weight weight) {
    static const bool per_layer[WEIGHT_COUNT] = {
#define X(name, in_layers) [WEIGHT_##name] = in_layers,
        WEIGHT_LIST(X)
#undef X
    };
    return per_layer[weight];
}

/* ---- the file ---- */

struct writer {
    json_t *header;
    size_t offset;
    FILE *file;
    uint64_t state; /* of the generator */
    bool half;      /* BF16, else F32 */
};

static uint64_t next_random(struct writer *w) {
    uint64_t x = w->state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return w->state = x;
}

#define BLOCK_VALUES 4096

/* As BF16 the upper halves. */
static bool write_block(struct writer *w, const float *block, size_t count) {
    uint16_t halves[BLOCK_VALUES];
    if (!w->half) return fwrite(block, sizeof *block, count, w->file) == count;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, block + i, sizeof bits);
        halves[i] = (uint16_t)(bits >> 16);
    }
    return fwrite(halves, sizeof *halves, count, w->file) == count;
}

/* Uniform with the deviation that GPT-2 was initialised with; gains lie around 1. */
static bool write_values(struct writer *w, size_t count, bool gain) {
    float block[BLOCK_VALUES];
    for (size_t done = 0; done < count;) {
        size_t values = count - done < BLOCK_VALUES ? count - done : BLOCK_VALUES;
        for (size_t i = 0; i < values; i++)
            block[i] = (gain ? 1.0f : 0.0f) + 0.0693f * ((float)(next_random(w) >> 40) * 0x1p-24f - 0.5f);
        if (!write_block(w, block, values)) return false;
        done += values;
    }
    return true;
}

static bool add_tensor(struct writer *w, const char *name, struct tensor_shape s) {
    size_t count = s.rank == 2 ? s.dims[0] * s.dims[1] : s.dims[0];
    if (w->file) return write_values(w, count, s.gain);
    json_t *dims = json_array();
    for (size_t i = 0; i < s.rank; i++) json_array_append_new(dims, json_integer((json_int_t)s.dims[i]));
    size_t bytes = count * (w->half ? sizeof(uint16_t) : sizeof(float));
    json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", w->half ? "BF16" : "F32", "shape", dims,
                              "data_offsets", (json_int_t)w->offset, (json_int_t)(w->offset + bytes));
    w->offset += bytes;
    return json_object_set_new(w->header, name, entry) == 0;
}

static bool add_weight(struct writer *w, const struct model_description *d, const struct weight_name *n,
                       size_t layer) {
    char name[256], stem[200];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(stem, sizeof stem, n->name, layer);
#pragma GCC diagnostic pop
    struct tensor_shape s = weight_shape(d, n->weight);
    if (s.rank == 0) return true;
    snprintf(name, sizeof name, "%s.weight", stem);
    if (!add_tensor(w, name, s)) return false;
    size_t count = bias_count(d, n->weight);
    if (count == 0) return true;
    snprintf(name, sizeof name, "%s.bias", stem);
    return add_tensor(w, name, (struct tensor_shape){.rank = 1, .dims = {count}});
}

/* Twice: without a file it fills the header, then it writes the values in the same order. */
static bool add_weights(struct writer *w, const struct model_description *d) {
    for (unsigned i = 0; i < WEIGHT_COUNT; i++) {
        const struct weight_name *n = weight_name_find(d->names, (enum weight)i);
        for (size_t layer = 0; n && layer < (is_per_layer(n->weight) ? d->layers : 1); layer++)
            if (!add_weight(w, d, n, layer)) return false;
    }
    return true;
}

static bool write_header(struct writer *w) {
    char *text = json_dumps(w->header, JSON_COMPACT);
    if (!text) return false;
    uint64_t length = (strlen(text) + 7) / 8 * 8; /* the data are aligned */
    bool ok = fwrite(&length, sizeof length, 1, w->file) == 1 &&
              fprintf(w->file, "%-*s", (int)length, text) == (int)length;
    free(text);
    return ok;
}

static enum status write_file(struct writer *w, const char *path, const struct model_description *d,
                              struct error *e) {
    w->header = json_object();
    bool ok = w->header && add_weights(w, d);
    w->file = ok ? fopen(path, "wb") : NULL;
    ok = w->file && write_header(w) && add_weights(w, d);
    if (w->file && fclose(w->file) != 0) ok = false;
    json_decref(w->header);
    return ok ? STATUS_OK
              : error_set(e, STATUS_IO, path, "can't write the random weights: %s", strerror(errno));
}

static enum status write_config(const char *path, const char *config, struct error *e) {
    FILE *file = fopen(path, "wb");
    bool ok = file && fputs(config, file) >= 0;
    if (file && fclose(file) != 0) ok = false;
    return ok ? STATUS_OK : error_set(e, STATUS_IO, path, "can't write: %s", strerror(errno));
}

static const struct shape *find_shape(const char *name, struct error *e) {
    char known[512] = "";
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        if (strcmp(shapes[i].name, name) == 0) return &shapes[i];
        name_list_add(known, sizeof known, shapes[i].name);
    }
    error_set(e, STATUS_NOT_FOUND, "shape", "there is no shape '%.40s'; known: %s", name, known);
    return NULL;
}

enum status bench_write_config(const char *config, const char *folder, struct error *e) {
    char path[4096];
    snprintf(path, sizeof path, "%s/config.json", folder);
    enum status status = write_config(path, config, e);
    if (status != STATUS_OK) return status;
    struct model_description d;
    const struct family *family = NULL;
    status = describe_model(folder, &d, &family, e);
    struct writer w = {.state = 0x9e3779b97f4a7c15u, .half = strstr(config, "\"bfloat16\"") != NULL};
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    if (status == STATUS_OK) status = write_file(&w, path, &d, e);
    description_deinit(&d);
    return status;
}

const char *bench_shape_config(const char *shape_name) {
    struct error e;
    const struct shape *shape = find_shape(shape_name, &e);
    return shape ? shape->config : NULL;
}

enum status bench_write_random(const char *shape_name, const char *folder, struct error *e) {
    const struct shape *shape = find_shape(shape_name, e);
    return shape ? bench_write_config(shape->config, folder, e) : STATUS_NOT_FOUND;
}

/* ---- how large ---- */

static size_t matrix_weights(const struct model_description *d, enum weight weight) {
    struct tensor_shape s = weight_shape(d, weight);
    bool is_head = weight == (d->tied ? WEIGHT_EMBEDDING : WEIGHT_HEAD);
    if (s.rank != 2 || !(is_head || is_per_layer(weight)) || !weight_name_find(d->names, weight)) return 0;
    return s.dims[0] * s.dims[1] * (is_per_layer(weight) ? d->layers : 1);
}

enum status bench_shape_weights(const char *shape_name, size_t *weights, struct error *e) {
    const struct shape *shape = find_shape(shape_name, e);
    if (!shape) return STATUS_NOT_FOUND;
    struct model_description d;
    const struct family *family = NULL;
    const struct describe_texts texts = {.config = shape->config, .config_length = strlen(shape->config)};
    enum status status = describe_model_texts(&texts, &d, &family, e);
    *weights = 0;
    for (unsigned i = 0; i < WEIGHT_COUNT && status == STATUS_OK; i++)
        *weights += matrix_weights(&d, (enum weight)i);
    description_deinit(&d);
    return status;
}
