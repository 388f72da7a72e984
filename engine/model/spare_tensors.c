#include "engine/model/spare_tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/log.h"
#include "engine/base/name_list.h"

/* Names that are written out in the line of the log. */
#define SHOWN_BYTES_MAX 200

static const char *const wrappers[] = {"module.", "_orig_mod.", "base_model.model."};

#define WRAPPER_COUNT (sizeof wrappers / sizeof *wrappers)

static bool begins_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

/* ---- wrappers ------------------------------------------------------------------------------------------ */

/* Names are sorted: what the first and the last begin with, all do. */
static bool all_begin_with(const struct checkpoint *c, size_t from, const char *start) {
    size_t count = checkpoint_count(c);
    return count > 0 && begins_with(checkpoint_at(c, 0)->name + from, start) &&
           begins_with(checkpoint_at(c, count - 1)->name + from, start);
}

size_t tensors_wrapper(const struct checkpoint *checkpoint) {
    size_t length = 0;
    for (size_t i = 0; i < WRAPPER_COUNT;) {
        if (all_begin_with(checkpoint, length, wrappers[i])) {
            length += strlen(wrappers[i]);
            i = 0;
        } else {
            i++;
        }
    }
    return length;
}

const char *tensors_missing_hint(const struct checkpoint *checkpoint) {
    bool wrapped = false;
    for (size_t i = 0; i < checkpoint_count(checkpoint); i++) {
        const char *name = checkpoint_at(checkpoint, i)->name;
        if (strstr(name, ".lora_A.") || strstr(name, ".base_layer."))
            return "; the file holds a PEFT adapter among the weights: save the adapter in a folder of its "
                   "own (save_pretrained) for --lora, or merge it into them (merge_and_unload) and save the "
                   "result";
        for (size_t k = 0; k < WRAPPER_COUNT; k++) wrapped = wrapped || begins_with(name, wrappers[k]);
    }
    return wrapped ? "; some names begin with 'module.', '_orig_mod.' or 'base_model.model.', which torch "
                     "and PEFT put around a model: save the model inside of it"
                   : "";
}

/* ---- tensors that no weight is read from --------------------------------------------------------------- */

static bool is_buffer(const struct family *family, const char *name) {
    size_t length = strlen(name);
    for (const char *const *buffer = family->buffers; buffer && *buffer; buffer++) {
        size_t end = strlen(*buffer);
        if (length >= end && strcmp(name + length - end, *buffer) == 0) return true;
    }
    return false;
}

/* What the trainers of TRL and the classifiers of the library put beside a language model. */
static bool is_other_head(const char *name) {
    static const char *const heads[] = {"v_head.",     "value_head.", "reward_head.",         "score.",
                                        "classifier.", "qa_outputs.", "multiple_choice_head."};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        if (begins_with(name, heads[i])) return true;
    return false;
}

struct skipped {
    char names[SHOWN_BYTES_MAX];
    size_t count;
};

static void add_skipped(struct skipped *s, const char *name) {
    s->count++;
    name_list_add(s->names, sizeof s->names, name);
}

static int compare_pointers(const void *a, const void *b) {
    const struct tensor *x = *(const struct tensor *const *)a, *y = *(const struct tensor *const *)b;
    return (x > y) - (x < y);
}

static enum status refuse(const struct checkpoint *checkpoint, const struct tensor *t,
                          const struct family *family, struct error *e) {
    char where[400];
    snprintf(where, sizeof where, "%s: %s", t->file, t->name);
    return error_set(e, STATUS_UNSUPPORTED, where, "is not a tensor of %s with this configuration%s",
                     family->model_type, tensors_missing_hint(checkpoint));
}

enum status tensors_check_spare(const struct checkpoint *checkpoint, const struct family *family,
                                const struct tensor *const *used, size_t used_count, struct error *e) {
    size_t wrapper = tensors_wrapper(checkpoint);
    struct skipped skipped = {0};
    for (size_t i = 0; i < checkpoint_count(checkpoint); i++) {
        const struct tensor *t = checkpoint_at(checkpoint, i);
        if (bsearch(&t, used, used_count, sizeof *used, compare_pointers)) continue;
        if (is_buffer(family, t->name)) continue;
        if (!is_other_head(t->name + wrapper)) return refuse(checkpoint, t, family, e);
        add_skipped(&skipped, t->name);
    }
    if (skipped.count)
        log_info("weights: %s: no part of a causal language model, passed over (tensors: %zu)", skipped.names,
                 skipped.count);
    return STATUS_OK;
}
