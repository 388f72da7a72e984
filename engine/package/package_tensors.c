#include "engine/package/package_tensors.h"

#include <stdlib.h>

#include "engine/base/memory.h"

#define LAYER_MATRICES 7
#define OTHER_MATRICES 2

static int compare_pointers(const void *left, const void *right) {
    const struct tensor *a = *(const struct tensor *const *)left, *b = *(const struct tensor *const *)right;
    return (a > b) - (a < b);
}

static void add(struct package_tensors *t, const struct bound_linear *linear) {
    if (linear->weight.tensor) t->packed[t->packed_count++] = linear->weight.tensor;
}

enum status package_tensors_init(struct package_tensors *t, const struct bound_model *bound,
                                 struct error *e) {
    size_t layers = bound->description->layers;
    *t = (struct package_tensors){.bound = bound};
    t->packed =
        memory_aligned(layers * LAYER_MATRICES + OTHER_MATRICES, sizeof *t->packed, "tensors to pack", e);
    if (!t->packed) return STATUS_NO_MEMORY;
    for (size_t i = 0; i < layers; i++) {
        const struct bound_layer *layer = &bound->layers[i];
        const struct bound_linear *const all[LAYER_MATRICES] = {
            &layer->query, &layer->key, &layer->value,    &layer->attention.exit,
            &layer->gate,  &layer->up,  &layer->mlp.exit,
        };
        for (size_t k = 0; k < LAYER_MATRICES; k++) add(t, all[k]);
    }
    add(t, &bound->project_out);
    add(t, &bound->head);
    qsort(t->packed, t->packed_count, sizeof *t->packed, compare_pointers);
    return STATUS_OK;
}

void package_tensors_deinit(struct package_tensors *t) {
    free(t->packed);
    *t = (struct package_tensors){0};
}

/* A norm of heads may be a matrix. */
static bool is_head_norm(const struct bound_model *bound, const struct tensor *tensor) {
    for (size_t i = 0; i < bound->description->layers; i++) {
        const struct bound_head_norm *norms[] = {&bound->layers[i].query_norm, &bound->layers[i].key_norm};
        for (size_t k = 0; k < 2; k++) {
            if (norms[k]->gain && norms[k]->gain[0].tensor == tensor) return true;
            if (norms[k]->bias && norms[k]->bias[0].tensor == tensor) return true;
        }
    }
    return false;
}

enum package_part package_tensors_part(const struct package_tensors *t, const struct tensor *tensor) {
    const struct bound_model *bound = t->bound;
    if (tensor->dtype == DTYPE_OTHER) return PACKAGE_PART_NONE;
    if (tensor->rank == 1) return PACKAGE_PART_VALUE;
    /* A tied embedding is packed as the head, and read at the entry. */
    if (tensor == bound->embedding.tensor || tensor == bound->position.tensor) return PACKAGE_PART_VALUE;
    if (tensor == bound->project_in.weight.tensor || is_head_norm(bound, tensor)) return PACKAGE_PART_VALUE;
    if (bsearch(&tensor, t->packed, t->packed_count, sizeof *t->packed, compare_pointers))
        return PACKAGE_PART_SHAPE;
    return PACKAGE_PART_NONE;
}
