#include "server/completion/embedding.h"

#include <math.h>
#include <string.h>

#include "server/completion/answer_shape.h"
#include "server/json/base64.h"
#include "server/json/write.h"

/* "-1.23456789e-05," */
enum { NUMBER_BYTES_MAX = 16 };

size_t embedding_bytes(const struct completion *c) {
    return c->params.pooling ? c->embedding_width * sizeof(float) : 0;
}

size_t embedding_answer_bytes(size_t bytes) {
    return bytes / sizeof(float) * NUMBER_BYTES_MAX;
}

size_t embedding_answers_bytes(const struct completion *c) {
    return c->prompt_count * embedding_answer_bytes(embedding_bytes(c));
}

/* Cuts it, and makes it of length 1; a row of zeros has no direction and stays as it is. */
static size_t finish(const struct api_params *params, float *values, size_t count) {
    double squares = 0;
    if (params->dimensions && (uint64_t)params->dimensions < count) count = (size_t)params->dimensions;
    for (size_t i = 0; i < count; i++) squares += (double)values[i] * (double)values[i];
    if (!params->normalize || squares == 0) return count;
    const double scale = 1 / sqrt(squares);
    for (size_t i = 0; i < count; i++) values[i] = (float)((double)values[i] * scale);
    return count;
}

static void write_array(struct bytes *out, const float *values, size_t count) {
    bytes_text(out, "[");
    for (size_t i = 0; i < count; i++) {
        if (i) bytes_append(out, ",", 1);
        json_write_float(out, values[i]);
    }
    bytes_text(out, "]");
}

/* Least significant byte first, on any machine. */
static void write_base64(struct bytes *out, float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        const unsigned char bytes[] = {(unsigned char)bits, (unsigned char)(bits >> 8),
                                       (unsigned char)(bits >> 16), (unsigned char)(bits >> 24)};
        memcpy(&values[i], bytes, sizeof bytes);
    }
    bytes_text(out, "\"");
    base64_write(out, values, count * sizeof *values);
    bytes_text(out, "\"");
}

static void write_choice(struct bytes *out, struct prompt *p, struct choice *choice) {
    const struct api_params *params = &p->completion->params;
    float *values = (float *)(void *)choice->embedding.data;
    const size_t count = finish(params, values, choice->embedding.length / sizeof *values);
    bytes_text(out, ",\"object\":\"embedding\",\"embedding\":");
    if (params->is_base64)
        write_base64(out, values, count);
    else
        write_array(out, values, count);
    bytes_clear(&choice->embedding);
}

const struct answer_shape answer_shape_embedding = {
    .id_prefix = "embd-",
    .object = "list",
    .list = "data",
    .write_choice = write_choice,
};
