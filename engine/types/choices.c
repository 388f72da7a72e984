#include "engine/types/choices.h"

#include <string.h>

#include "engine/base/workers.h"

#include "engine/types/limits.h"

const struct named_value norm_form_choices[] = {
    {"crmsnorm", NORM_FORM_CRMSNORM}, {"orthonormal", NORM_FORM_ORTHONORMAL},
    {"rmsnorm", NORM_FORM_RMSNORM},   {"layernorm", NORM_FORM_LAYERNORM},
    {"none", NORM_FORM_NONE},         {0},
};

const struct named_value weight_type_choices[] = {
    {"f32", WEIGHT_TYPE_F32},
    {"bf16", WEIGHT_TYPE_BF16},
    {"int8", WEIGHT_TYPE_INT8},
    {"int4", WEIGHT_TYPE_INT4},
    {0},
};

const struct named_value head_weights_choices[] = {
    {"auto", HEAD_WEIGHTS_AUTO},
    {"int8", HEAD_WEIGHTS_INT8},
    {"int4", HEAD_WEIGHTS_INT4},
    {0},
};

const struct named_value kv_type_choices[] = {
    {"auto", KV_TYPE_AUTO}, {"f32", KV_TYPE_F32},   {"f16", KV_TYPE_F16},
    {"bf16", KV_TYPE_BF16}, {"int8", KV_TYPE_INT8}, {0},
};

const struct named_value matmul_choices[] = {{"own", MATMUL_OWN}, {"openblas", MATMUL_OPENBLAS}, {0}};

const struct named_value kernel_isa_choices[] = {
    {"auto", KERNEL_ISA_AUTO},
#define KERNEL_ISA(architecture, name, ...) {#name, KERNEL_ISA_##name},
#include "engine/kernel/kernels.def"
    {0},
};

const struct named_value pin_threads_choices[] = {
    {"auto", PIN_THREADS_AUTO},
    {"on", PIN_THREADS_ON},
    {"off", PIN_THREADS_OFF},
    {0},
};

const struct named_value speculate_choices[] = {
    {"auto", SPECULATE_AUTO},
    {"off", SPECULATE_OFF},
    {"ngram", SPECULATE_NGRAM},
    {"int4", SPECULATE_INT4},
    {0},
};

bool choice_find(const struct named_value *list, const char *name, int *value) {
    for (; list->name; list++)
        if (strcmp(list->name, name) == 0) {
            *value = list->value;
            return true;
        }
    return false;
}

const char *choice_name(const struct named_value *list, int value) {
    for (; list->name; list++)
        if (list->value == value) return list->name;
    return "unknown";
}

/* What no option can have. */
static const struct named_value own_norm_forms[] = {
    {"output", NORM_FORM_OUTPUT}, {"crmsnorm-native", NORM_FORM_CRMSNORM_NATIVE}, {0}};

const char *norm_form_name(enum norm_form form) {
    bool own = form == NORM_FORM_OUTPUT || form == NORM_FORM_CRMSNORM_NATIVE;
    return choice_name(own ? own_norm_forms : norm_form_choices, (int)form);
}

bool norm_form_from_name(const char *name, enum norm_form *out) {
    int value;
    if (!choice_find(norm_form_choices, name, &value) && !choice_find(own_norm_forms, name, &value))
        return false;
    if (value >= NORM_FORM_COUNT) return false;
    *out = (enum norm_form)value;
    return true;
}

bool weight_type_from_name(const char *name, enum weight_type *out) {
    int value;
    if (!choice_find(weight_type_choices, name, &value)) return false;
    *out = (enum weight_type)value;
    return true;
}

enum status norm_form_check(enum norm_form form, struct error *e) {
    if (form != NORM_FORM_NONE) return STATUS_OK;
    return error_set(e, STATUS_OPTION, "norm-form", "is only for bench, to see what norms cost");
}

enum status matmul_check(enum matmul_kind kind, enum weight_type weights, struct error *e) {
    if (kind == MATMUL_OWN || weights == WEIGHT_TYPE_F32) return STATUS_OK;
    return error_set(e, STATUS_OPTION, "weights", "needs --matmul own: openblas has f32 alone");
}

enum status head_weights_check(enum head_weights head, enum weight_type weights, struct error *e) {
    if (head == HEAD_WEIGHTS_AUTO || weights == WEIGHT_TYPE_INT4) return STATUS_OK;
    return error_set(e, STATUS_OPTION, "head-weights",
                     "is for weights in int4: beside those in %s the head is of their type",
                     weight_type_name(weights));
}

enum status kv_page_tokens_check(size_t page_tokens, struct error *e) {
    if (page_tokens > 0 && page_tokens % KV_PAGE_TOKENS_STEP == 0) return STATUS_OK;
    return error_set(e, STATUS_OPTION, "kv-page-tokens", "expected a multiple of %d", KV_PAGE_TOKENS_STEP);
}

enum status speculate_check(enum speculate_mode mode, enum matmul_kind matmul, struct error *e) {
    if ((mode == SPECULATE_NGRAM || mode == SPECULATE_INT4) && matmul != MATMUL_OWN)
        return error_set(e, STATUS_OPTION, "speculate",
                         "needs --matmul own: the bits of openblas depend on the rows of a step");
    return STATUS_OK;
}

enum speculate_mode speculate_choose(enum speculate_mode asked, enum matmul_kind matmul) {
    if (asked != SPECULATE_AUTO) return asked;
    return matmul == MATMUL_OWN ? SPECULATE_NGRAM : SPECULATE_OFF;
}

enum kv_type kv_type_choose(enum kv_type asked, enum weight_type weights) {
    if (asked != KV_TYPE_AUTO) return asked;
    return weights == WEIGHT_TYPE_F32 ? KV_TYPE_F32 : KV_TYPE_F16;
}
