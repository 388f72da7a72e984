#include "engine/loader.h"

#include <string.h>

#include "engine/base/log.h"
#include "engine/base/memory.h"
#include "engine/model/describe.h"

static void report(const struct loader_options *o, const char *stage, double share) {
    if (o->progress) o->progress(o->progress_context, stage, share);
}

static void report_packing(void *context, double share) {
    report(context, "converting", share);
}

static enum status set_context(struct model_description *d, size_t context, struct error *e) {
    if (context == 0) return STATUS_OK;
    if (context > d->context)
        return error_set(e, STATUS_INVALID_ARGUMENT, "context",
                         "%zu is more than the model's own context of %zu tokens", context, d->context);
    return STATUS_OK;
}

static enum status check_memory(const struct loaded_model *m, const struct loader_options *o,
                                struct error *e) {
    size_t needed = packed_model_bytes(&m->converted, o->matmul, o->weights), left = memory_available_bytes();
    if (left == 0 || needed <= left) return STATUS_OK;
    return error_set(e, STATUS_NO_MEMORY, "model",
                     "its packed weights take %zu MiB, and %zu MiB of memory are left", needed >> 20,
                     left >> 20);
}

static enum status load(struct loaded_model *m, const struct loader_options *o, struct workers *workers,
                        struct error *e) {
    const struct family *family = NULL;
    enum status status;
    report(o, "reading", 0);
    if ((status = describe_model(o->folder, &m->description, &family, e)) != STATUS_OK) return status;
    if ((status = set_context(&m->description, o->context, e)) != STATUS_OK) return status;
    if ((status = checkpoint_open(o->folder, &m->checkpoint, e)) != STATUS_OK) return status;
    if ((status = bound_model_init(&m->bound, &m->description, family, m->checkpoint, e)) != STATUS_OK)
        return status;
    if ((status = converted_model_init(&m->converted, &m->bound, o->form, e)) != STATUS_OK) return status;
    if ((status = check_memory(m, o, e)) != STATUS_OK) return status;
    report(o, "converting", 0);
    return packed_model_init(&m->packed, &m->converted, o->matmul, o->weights, workers, report_packing,
                             (void *)(uintptr_t)o, e);
}

enum status loaded_model_init(struct loaded_model *m, const struct loader_options *options,
                              struct workers *workers, struct error *e) {
    memset(m, 0, sizeof *m);
    description_init(&m->description);
    enum status status = load(m, options, workers, e);
    if (status != STATUS_OK) loaded_model_deinit(m);
    return status;
}

void loaded_model_deinit(struct loaded_model *m) {
    packed_model_deinit(&m->packed);
    if (m->converted.bound) converted_model_deinit(&m->converted);
    bound_model_deinit(&m->bound);
    checkpoint_close(m->checkpoint);
    description_deinit(&m->description);
    memset(m, 0, sizeof *m);
}
