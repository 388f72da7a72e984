#include <string.h>

#include "engine/kernel/kernel.h"

static const char *const names[WEIGHT_TYPE_COUNT] = {
    [WEIGHT_TYPE_F32] = "f32",
    [WEIGHT_TYPE_BF16] = "bf16",
    [WEIGHT_TYPE_INT8] = "int8",
    [WEIGHT_TYPE_INT4] = "int4",
};

bool weight_type_from_name(const char *name, enum weight_type *out) {
    for (unsigned i = 0; i < WEIGHT_TYPE_COUNT; i++)
        if (strcmp(names[i], name) == 0) {
            *out = (enum weight_type)i;
            return true;
        }
    return false;
}

const char *weight_type_name(enum weight_type type) {
    return (unsigned)type < WEIGHT_TYPE_COUNT ? names[type] : "unknown";
}
