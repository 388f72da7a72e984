/* The names of the types that kernels know, and how many bytes their weights and activations take. */
#include <string.h>

#include "engine/kernel/kernel.h"

/* ---- activations ---- */

/* The names of the ACT2FN table of the transformers library, and two that it accepts elsewhere. Each
 * activation is printed by the first of its names. Names of clipped or otherwise different functions
 * (gelu_10, relu6, ...) are left out on purpose. */
static const struct {
    const char *name;
    enum activation activation;
} activation_names[] = {
    {"linear", ACTIVATION_NONE},
    {"relu", ACTIVATION_RELU},
    {"relu2", ACTIVATION_RELU_SQUARED},
    {"relu_squared", ACTIVATION_RELU_SQUARED},
    {"gelu", ACTIVATION_GELU},
    {"gelu_python", ACTIVATION_GELU},
    {"gelu_new", ACTIVATION_GELU_TANH},
    {"gelu_pytorch_tanh", ACTIVATION_GELU_TANH},
    {"gelu_python_tanh", ACTIVATION_GELU_TANH},
    {"gelu_tanh", ACTIVATION_GELU_TANH},
    {"gelu_fast", ACTIVATION_GELU_TANH},
    {"gelu_accurate", ACTIVATION_GELU_TANH},
    {"quick_gelu", ACTIVATION_GELU_QUICK},
    {"silu", ACTIVATION_SILU},
    {"swish", ACTIVATION_SILU},
};

bool activation_from_name(const char *name, enum activation *out) {
    for (size_t i = 0; i < sizeof activation_names / sizeof activation_names[0]; i++)
        if (strcmp(name, activation_names[i].name) == 0) {
            *out = activation_names[i].activation;
            return true;
        }
    return false;
}

const char *activation_name(enum activation activation) {
    for (size_t i = 0; i < sizeof activation_names / sizeof activation_names[0]; i++)
        if (activation_names[i].activation == activation) return activation_names[i].name;
    return "unknown";
}

/* ---- weights ---- */

static const char *const weight_type_names[WEIGHT_TYPE_COUNT] = {
    [WEIGHT_TYPE_F32] = "f32",
    [WEIGHT_TYPE_BF16] = "bf16",
    [WEIGHT_TYPE_INT8] = "int8",
    [WEIGHT_TYPE_INT4] = "int4",
};

bool weight_type_from_name(const char *name, enum weight_type *out) {
    for (unsigned i = 0; i < WEIGHT_TYPE_COUNT; i++)
        if (strcmp(weight_type_names[i], name) == 0) {
            *out = (enum weight_type)i;
            return true;
        }
    return false;
}

const char *weight_type_name(enum weight_type type) {
    return (unsigned)type < WEIGHT_TYPE_COUNT ? weight_type_names[type] : "unknown";
}

size_t kernel_panel_bytes(enum weight_type type, size_t k) {
    const size_t padded = kernel_padded_k(k);
    switch (type) {
    case WEIGHT_TYPE_BF16:
        return padded * KERNEL_PANEL * sizeof(uint16_t);
    case WEIGHT_TYPE_INT8:
        return padded * KERNEL_PANEL + KERNEL_PANEL * sizeof(float);
    case WEIGHT_TYPE_INT4:
        return padded / 2 * KERNEL_PANEL + padded / KERNEL_INT4_GROUP * KERNEL_PANEL * 2 +
               KERNEL_PANEL * sizeof(float);
    case WEIGHT_TYPE_F32:
    case WEIGHT_TYPE_COUNT:
        break;
    }
    return k * KERNEL_PANEL * sizeof(float);
}

size_t kernel_row_bytes(enum weight_type type, size_t k) {
    const size_t padded = kernel_padded_k(k);
    size_t bytes = 0;
    /* One line more than the numbers need: rows a power of two apart would share their places in the cache.
     */
    if (type == WEIGHT_TYPE_BF16) bytes = padded * sizeof(float) + KERNEL_ALIGN;
    if (type == WEIGHT_TYPE_INT8 || type == WEIGHT_TYPE_INT4)
        bytes = padded + sizeof(float) + sizeof(int32_t) * (1 + padded / KERNEL_INT4_GROUP);
    return (bytes + KERNEL_ALIGN - 1) / KERNEL_ALIGN * KERNEL_ALIGN;
}

/* ---- keys and values ---- */

static const char *const kv_type_names[KV_TYPE_COUNT] = {
    [KV_TYPE_F32] = "f32",
    [KV_TYPE_F16] = "f16",
    [KV_TYPE_INT8] = "int8",
};

bool kv_type_choose(const char *name, enum weight_type weights, enum kv_type *out) {
    *out = weights == WEIGHT_TYPE_F32 ? KV_TYPE_F32 : KV_TYPE_F16;
    if (strcmp(name, "auto") == 0) return true;
    for (unsigned i = 0; i < KV_TYPE_COUNT; i++)
        if (strcmp(kv_type_names[i], name) == 0) {
            *out = (enum kv_type)i;
            return true;
        }
    return false;
}

const char *kv_type_name(enum kv_type type) {
    return (unsigned)type < KV_TYPE_COUNT ? kv_type_names[type] : "unknown";
}
