#include <string.h>

#include "engine/kernel/kernel.h"

/* The names of the ACT2FN table of the transformers library, and two that it accepts elsewhere. Each
 * activation is printed by the first of its names. Names of clipped or otherwise different functions
 * (gelu_10, relu6, ...) are left out on purpose. */
static const struct {
    const char *name;
    enum activation activation;
} names[] = {
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
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i].name) == 0) {
            *out = names[i].activation;
            return true;
        }
    return false;
}

const char *activation_name(enum activation activation) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].activation == activation) return names[i].name;
    return "unknown";
}
