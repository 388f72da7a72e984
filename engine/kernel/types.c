/* The names of activations, and how many bytes weights and activations take by their types. */
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

size_t kernel_panel_bytes(enum weight_type type, size_t k) {
    const size_t padded = kernel_padded_k(k);
    switch (type) {
    case WEIGHT_TYPE_BF16:
        return padded * KERNEL_PANEL * sizeof(uint16_t);
    case WEIGHT_TYPE_INT8:
        return padded * KERNEL_PANEL + kernel_int8_groups(k) * KERNEL_PANEL * sizeof(float);
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
    /* A thirty-second more than the numbers need, and an odd number of lines: rows a power of two apart, or little
     * more, would share their places in the caches. int4 has its sums of groups for that. */
    if (type == WEIGHT_TYPE_BF16) bytes = padded * sizeof(float) * 33 / 32;
    if (type == WEIGHT_TYPE_INT8)
        bytes = padded * 33 / 32 + kernel_int8_groups(k) * (sizeof(float) + sizeof(int32_t));
    if (type == WEIGHT_TYPE_INT4)
        bytes = padded + sizeof(float) + sizeof(int32_t) * (1 + padded / KERNEL_INT4_GROUP);
    if (bytes == 0) return 0;
    return ((bytes + KERNEL_ALIGN - 1) / KERNEL_ALIGN | 1) * KERNEL_ALIGN;
}
