/* What an operator may choose between: enums that go from the table of options through the door down to the
 * kernels. Names become values in config/ (and where a converted file is read), values become names here, for
 * logs, JSON and metrics; nothing in between compares texts.
 *
 * A value at or behind COUNT is one that only an option has: it never gets to the model. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"

/* How the norms of a model run (engine/fold/folded_model.h). */
enum norm_form {
    NORM_FORM_LAYERNORM,
    NORM_FORM_RMSNORM,
    NORM_FORM_CRMSNORM, /* the paper's basis */
    /* CRMSNorm in another basis: y = Qz, where the rows of Q are the first d-1 rows of the Householder
     * reflection that maps the ones vector to the last unit vector. For a centred z that is y_i = z_i + z_d /
     * (sqrt(d) - 1). y has the length of z, and no column of a weight is added to all others, so the error of
     * low-precision weights is much smaller. */
    NORM_FORM_ORTHONORMAL,
    /* Forms that a model alone decides on, whatever was asked for: no option has them. */
    NORM_FORM_OUTPUT,          /* of models whose norms stand behind each sub-layer: nothing can be centred */
    NORM_FORM_CRMSNORM_NATIVE, /* of models that were trained in the compressed form */
    NORM_FORM_COUNT,
    NORM_FORM_NONE = NORM_FORM_COUNT, /* of bench alone: norms left out, to see what they cost */
};

/* Of the packed weights. */
enum weight_type { WEIGHT_TYPE_F32, WEIGHT_TYPE_BF16, WEIGHT_TYPE_INT8, WEIGHT_TYPE_INT4, WEIGHT_TYPE_COUNT };

/* Of the head of a model with int4 weights. */
enum head_weights {
    HEAD_WEIGHTS_AUTO, /* int8, or what a converted file has */
    HEAD_WEIGHTS_INT8,
    HEAD_WEIGHTS_INT4,
    HEAD_WEIGHTS_COUNT
};

/* Of the cached keys and values. */
enum kv_type {
    KV_TYPE_F32,
    KV_TYPE_F16,
    KV_TYPE_BF16,
    KV_TYPE_INT8,
    KV_TYPE_COUNT,
    KV_TYPE_AUTO = KV_TYPE_COUNT, /* by the weights: kv_type_choose */
};

enum matmul_kind {
    MATMUL_OWN,      /* panels: the same bits for any number of rows */
    MATMUL_OPENBLAS, /* plain [out, in] rows for sgemm: bits depend on the batch */
    MATMUL_COUNT
};

/* Where drafts come from (engine/sched/drafts.h). */
enum speculate_mode {
    SPECULATE_OFF,
    SPECULATE_NGRAM, /* from what was said, or predicted by the request */
    SPECULATE_INT4,  /* from those, and from the model itself in int4 */
    SPECULATE_COUNT,
    SPECULATE_AUTO = SPECULATE_COUNT, /* what pays everywhere: speculate_choose */
};

/* Instruction sets of the kernels, those of other architectures too: the rows of engine/kernel/kernels.def, the
 * only list of them. */
enum kernel_isa {
    KERNEL_ISA_AUTO, /* the best that runs here */
#define KERNEL_ISA(architecture, name, ...) KERNEL_ISA_##name,
#include "engine/kernel/kernels.def"
    KERNEL_ISA_COUNT
};

/* The values of an enum with their names, in the order in which help shows them. */
struct named_value {
    const char *name; /* NULL ends a list */
    int value;
};
extern const struct named_value norm_form_choices[], weight_type_choices[], kv_type_choices[],
    matmul_choices[], kernel_isa_choices[], speculate_choices[], head_weights_choices[],
    pin_threads_choices[];

/* False when the list has no such name. */
bool choice_find(const struct named_value *list, const char *name, int *value);

/* Static; "unknown" for a value that is not in the list. */
const char *choice_name(const struct named_value *list, int value);

/* Also of the forms that no option has. */
const char *norm_form_name(enum norm_form form);
static inline const char *weight_type_name(enum weight_type type) {
    return choice_name(weight_type_choices, (int)type);
}
static inline const char *head_weights_name(enum head_weights head) {
    return choice_name(head_weights_choices, (int)head);
}
static inline const char *kv_type_name(enum kv_type type) {
    return choice_name(kv_type_choices, (int)type);
}
static inline const char *matmul_name(enum matmul_kind kind) {
    return choice_name(matmul_choices, (int)kind);
}
static inline const char *speculate_name(enum speculate_mode mode) {
    return choice_name(speculate_choices, (int)mode);
}
static inline const char *kernel_isa_name(enum kernel_isa isa) {
    return choice_name(kernel_isa_choices, (int)isa);
}

/* For names in files: only what a model can have. False when the name is another. */
bool norm_form_from_name(const char *name, enum norm_form *out);
bool weight_type_from_name(const char *name, enum weight_type *out);

/* ---- what does not go together: STATUS_OPTION, the same for the table of options and for the engine ---- */

/* NONE is for bench alone. */
enum status norm_form_check(enum norm_form form, struct error *e);
enum status matmul_check(enum matmul_kind kind, enum weight_type weights, struct error *e);
/* A head of its own type beside other weights than int4. */
enum status head_weights_check(enum head_weights head, enum weight_type weights, struct error *e);
enum status kv_page_tokens_check(size_t page_tokens, struct error *e);

/* Drafts beside matrix products whose bits depend on the rows. */
enum status speculate_check(enum speculate_mode mode, enum matmul_kind matmul, struct error *e);

/* What AUTO stands for with these products: ngram, or off where bits depend on the rows. Another is itself. */
enum speculate_mode speculate_choose(enum speculate_mode asked, enum matmul_kind matmul);

/* What AUTO stands for beside weights of this type: f32 beside f32 weights, else f16. Another type is itself. */
enum kv_type kv_type_choose(enum kv_type asked, enum weight_type weights);
