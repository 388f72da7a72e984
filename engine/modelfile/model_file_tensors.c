#include "engine/modelfile/model_file_tensors.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/base/memory.h"

#define LAYER_MATRICES 7
#define OTHER_MATRICES 2

static int compare_pointers(const void *left, const void *right) {
    const struct tensor *a = *(const struct tensor *const *)left, *b = *(const struct tensor *const *)right;
    return (a > b) - (a < b);
}

static void add(struct model_file_tensors *t, const struct linear_view *linear) {
    if (linear->weight.tensor) t->packed[t->packed_count++] = linear->weight.tensor;
}

enum status model_file_tensors_init(struct model_file_tensors *t, const struct tensor_views *views,
                                    struct error *e) {
    size_t layers = views->description->layers;
    *t = (struct model_file_tensors){.views = views};
    t->packed =
        memory_aligned(layers * LAYER_MATRICES + OTHER_MATRICES, sizeof *t->packed, "tensors to pack", e);
    if (!t->packed) return STATUS_NO_MEMORY;
    for (size_t i = 0; i < layers; i++) {
        const struct layer_views *layer = &views->layers[i];
        const struct linear_view *const all[LAYER_MATRICES] = {
            &layer->query, &layer->key, &layer->value,      &layer->attention.output,
            &layer->gate,  &layer->up,  &layer->mlp.output,
        };
        for (size_t k = 0; k < LAYER_MATRICES; k++) add(t, all[k]);
    }
    add(t, &views->project_out);
    add(t, &views->head);
    qsort(t->packed, t->packed_count, sizeof *t->packed, compare_pointers);
    return STATUS_OK;
}

void model_file_tensors_deinit(struct model_file_tensors *t) {
    free(t->packed);
    *t = (struct model_file_tensors){0};
}

/* A norm of heads may be a matrix. */
static bool is_head_norm(const struct tensor_views *views, const struct tensor *tensor) {
    for (size_t i = 0; i < views->description->layers; i++) {
        const struct head_norm_view *norms[] = {&views->layers[i].query_norm, &views->layers[i].key_norm};
        for (size_t k = 0; k < 2; k++) {
            if (norms[k]->gain && norms[k]->gain[0].tensor == tensor) return true;
            if (norms[k]->bias && norms[k]->bias[0].tensor == tensor) return true;
        }
    }
    return false;
}

const struct low_rank *model_file_tensors_low_rank(const struct model_file_tensors *t,
                                                   const struct tensor *tensor) {
    const struct tensor_views *v = t->views;
    const struct matrix_view *const tables[] = {&v->embedding, &v->position, &v->project_in.weight};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if (tables[i]->tensor != tensor || !tables[i]->low_rank) continue;
        assert(!tables[i]->transposed); /* no family has such a projection */
        return tables[i]->low_rank;
    }
    return NULL;
}

enum model_file_part model_file_tensors_part(const struct model_file_tensors *t,
                                             const struct tensor *tensor) {
    const struct tensor_views *views = t->views;
    if (tensor->dtype == DTYPE_OTHER) return MODEL_FILE_PART_NONE;
    if (tensor->rank < 2) return MODEL_FILE_PART_VALUE; /* a gate may be a scalar */
    /* A tied embedding is packed as the head, and its values are read for the embedding. */
    if (tensor == views->embedding.tensor || tensor == views->position.tensor) return MODEL_FILE_PART_VALUE;
    if (tensor == views->project_in.weight.tensor || is_head_norm(views, tensor))
        return MODEL_FILE_PART_VALUE;
    if (bsearch(&tensor, t->packed, t->packed_count, sizeof *t->packed, compare_pointers))
        return MODEL_FILE_PART_SHAPE;
    return MODEL_FILE_PART_NONE;
}
