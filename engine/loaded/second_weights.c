#include "engine/loaded/second_weights.h"

#include <assert.h>
#include <string.h>

#include "engine/base/memory.h"

enum status second_weights_check(bool is_file, enum weight_type weights, struct error *e) {
    if (is_file)
        return error_set(e, STATUS_OPTION, "speculate",
                         "int4 needs the model's folder: a converted file has its weights in one type alone");
    if (weights == WEIGHT_TYPE_F32 || weights == WEIGHT_TYPE_BF16) return STATUS_OK;
    return error_set(e, STATUS_OPTION, "speculate",
                     "int4 is for weights in f32 or bf16; those in %s are read about as fast as drafts",
                     weight_type_name(weights));
}

/* The paper's basis makes the error of low-precision weights larger (loaded_model.c). */
static enum norm_form form_of(const struct loaded_model *m) {
    return m->folded.form == NORM_FORM_CRMSNORM ? NORM_FORM_ORTHONORMAL : m->folded.form;
}

static enum status check_memory(const struct second_weights *s, enum weight_type weights, struct error *e) {
    size_t needed = packed_model_bytes(&s->folded, MATMUL_OWN, packed_types_of(weights, HEAD_WEIGHTS_AUTO)),
           left = memory_available_bytes();
    if (left == 0 || needed <= left) return STATUS_OK;
    return error_set(e, STATUS_NO_MEMORY, "speculate",
                     "its weights in %s take %zu MiB, and %zu MiB of memory are left",
                     weight_type_name(weights), needed >> 20, left >> 20);
}

enum status second_weights_init(struct second_weights *s, const struct loaded_model *m,
                                enum weight_type weights, struct workers *workers, pack_progress_fn progress,
                                void *context, struct error *e) {
    assert(!loaded_model_is_file(m) && !m->folded.rotated);
    memset(s, 0, sizeof *s);
    enum status status = folded_model_init(&s->folded, &m->views, form_of(m), e);
    if (status == STATUS_OK) status = check_memory(s, weights, e);
    if (status == STATUS_OK)
        status =
            packed_model_init(&s->packed, &s->folded, MATMUL_OWN, packed_types_of(weights, HEAD_WEIGHTS_AUTO),
                              workers, progress, context, e);
    if (status != STATUS_OK) second_weights_deinit(s);
    return status;
}

void second_weights_deinit(struct second_weights *s) {
    packed_model_deinit(&s->packed);
    if (s->folded.views) folded_model_deinit(&s->folded);
    memset(s, 0, sizeof *s);
}
