#include <string.h>

#include "engine/kernel/kernel.h"

static const char *const names[KV_TYPE_COUNT] = {
    [KV_TYPE_F32] = "f32",
    [KV_TYPE_F16] = "f16",
    [KV_TYPE_INT8] = "int8",
};

bool kv_type_choose(const char *name, enum weight_type weights, enum kv_type *out) {
    *out = weights == WEIGHT_TYPE_F32 ? KV_TYPE_F32 : KV_TYPE_F16;
    if (strcmp(name, "auto") == 0) return true;
    for (unsigned i = 0; i < KV_TYPE_COUNT; i++)
        if (strcmp(names[i], name) == 0) {
            *out = (enum kv_type)i;
            return true;
        }
    return false;
}

const char *kv_type_name(enum kv_type type) {
    return (unsigned)type < KV_TYPE_COUNT ? names[type] : "unknown";
}
