/* Which weight of the model each tensor of the adapter belongs to. Names are compared without the prefix of the
 * family ("transformer."), which a checkpoint may have or not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/log.h"
#include "engine/checkpoint/tensor_list.h"
#include "engine/lora/lora_parts.h"
#include "engine/model/spare_tensors.h"

struct binding {
    struct lora *lora;
    const struct model_description *description;
    const struct family *family;
    const struct checkpoint *base; /* with what is whole in place */
    struct tensor_views *views;
    struct lora_part *part;         /* the one that is being bound */
    const struct tensor *target;    /* the matrix that it is added to */
    const struct matrix_view *only; /* the one view of that matrix that gets it; NULL: all of them do */
    bool is_second;                 /* one of these views has an adapter already */
    bool prefixed;                  /* the adapter's modules have the family's prefix */
    const struct tensor *last;      /* check_view: the tensor of the view before */
    size_t missing;                 /* modules that the configuration selects and that have no adapter */
    char first_missing[LORA_NAME_MAX];
    struct error error;
};

/* ---- names --------------------------------------------------------------------------------------------- */

static const char *without_prefix(const struct family *family, const char *name) {
    size_t length = strlen(family->prefix);
    return strncmp(name, family->prefix, length) == 0 ? name + length : name;
}

/* The base's tensor of that name; ending is appended. All its names may lie behind a wrapper. NULL: it has none. */
static const struct tensor *find(const struct family *family, const struct checkpoint *base, const char *name,
                                 const char *ending) {
    char full[3 * LORA_NAME_MAX];
    int wrapper = (int)tensors_wrapper(base);
    const char *first = wrapper ? checkpoint_at(base, 0)->name : "", *stem = without_prefix(family, name);
    if (wrapper > LORA_NAME_MAX) return NULL;
    snprintf(full, sizeof full, "%.*s%s%s%s", wrapper, first, family->prefix, stem, ending);
    const struct tensor *t = checkpoint_find(base, full);
    if (t) return t;
    snprintf(full, sizeof full, "%.*s%s%s", wrapper, first, stem, ending);
    return checkpoint_find(base, full);
}

/* The table of a tied model, which may be stored under the head's name alone. */
static const struct tensor *find_tied_table(const struct model_description *d, const struct family *family,
                                            const struct checkpoint *base) {
    const struct weight_name *table = weight_name_find(d->names, WEIGHT_EMBEDDING);
    const struct weight_name *head = weight_name_find(d->names, WEIGHT_HEAD);
    const struct tensor *t = find(family, base, table->name, ".weight");
    return t || !head ? t : find(family, base, head->name, ".weight");
}

/* Whether a module is that of a weight outside of the layers. */
static bool is_module_of(const struct model_description *d, const struct family *family, const char *module,
                         enum weight weight) {
    const struct weight_name *n = weight_name_find(d->names, weight);
    return n && strcmp(without_prefix(family, module), n->name) == 0;
}

static bool is_same_shape(const struct tensor *a, const struct tensor *b) {
    return a->rank == b->rank && memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) == 0;
}

/* ---- whole tensors ------------------------------------------------------------------------------------- */

/* "h.0.attn.c_attn" of its weight or bias. */
static void module_of(const char *tensor, char out[LORA_NAME_MAX]) {
    snprintf(out, LORA_NAME_MAX, "%s", tensor);
    char *dot = strrchr(out, '.');
    if (dot) *dot = '\0';
}

static enum status check_whole(const struct lora_whole *whole, struct error *e) {
    char place[LORA_NAME_MAX];
    if (!whole->replaces)
        return error_set(e, STATUS_UNSUPPORTED, lora_place(whole->tensor, place),
                         "matches no weight of the model");
    if (is_same_shape(whole->tensor, whole->replaces)) return STATUS_OK;
    return error_set(e, STATUS_MALFORMED, lora_place(whole->tensor, place),
                     "has another shape than '%.200s' of the model (first extents %zu and %zu)",
                     whole->replaces->name, whole->tensor->rank ? whole->tensor->shape[0] : 0,
                     whole->replaces->rank ? whole->replaces->shape[0] : 0);
}

/* Bytes from the first element to the last, where they lie in one piece; else 0. */
static size_t contiguous_bytes(const struct tensor *t) {
    size_t count = 1;
    for (size_t axis = t->rank; axis-- > 0; count *= t->shape[axis])
        if (t->stride[axis] != count) return 0;
    return count * dtype_size(t->dtype);
}

/* PEFT saves what lies under adapters of a tied table and head twice: then both are the same. */
static enum status check_only_one(const struct lora *l, const struct lora_whole *whole, struct error *e) {
    char place[LORA_NAME_MAX];
    for (const struct lora_whole *other = l->wholes; other < whole; other++) {
        if (other->replaces != whole->replaces) continue;
        size_t bytes = contiguous_bytes(whole->tensor);
        if (bytes && whole->tensor->dtype == other->tensor->dtype &&
            contiguous_bytes(other->tensor) == bytes &&
            memcmp(whole->tensor->data, other->tensor->data, bytes) == 0)
            continue;
        return error_set(e, STATUS_MALFORMED, lora_place(whole->tensor, place),
                         "is of the same weight as '%.200s', and is not the same", other->tensor->name);
    }
    return STATUS_OK;
}

/* A tied model whose head or table was saved whole has two of them from then on, unless it is the copy that lies
 * under an adapter. */
static enum status place_whole(struct lora *l, struct lora_whole *whole, const struct model_description *d,
                               const struct family *family, const struct checkpoint *base, struct error *e) {
    char module[LORA_NAME_MAX];
    module_of(whole->name, module);
    bool saved = !whole->of_base_layer && lora_config_saves(&l->config, module);
    bool is_tied_head = d->tied && is_module_of(d, family, module, WEIGHT_HEAD) &&
                        strcmp(whole->name + strlen(module), ".weight") == 0;
    bool is_table = d->tied && is_module_of(d, family, module, WEIGHT_EMBEDDING);
    if (is_tied_head && saved) {
        l->head = whole->tensor;
        return STATUS_OK;
    }
    whole->replaces =
        is_tied_head || is_table ? find_tied_table(d, family, base) : find(family, base, whole->name, "");
    enum status status = check_whole(whole, e);
    if (status == STATUS_OK) status = check_only_one(l, whole, e);
    if (status == STATUS_OK && is_table && saved && !l->head) l->head = whole->replaces;
    return status;
}

static const struct tensor *in_place_of(const struct lora *l, const struct tensor *t) {
    for (size_t i = 0; i < l->whole_count; i++)
        if (l->wholes[i].replaces == t) return l->wholes[i].tensor;
    return t;
}

static enum status make_overlay(struct lora *l, const struct checkpoint *base, struct error *e) {
    struct tensor_list list = {0};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < checkpoint_count(base) && status == STATUS_OK; i++) {
        const struct tensor *t = checkpoint_at(base, i);
        status = tensor_list_add(&list, in_place_of(l, t), t->name, strlen(t->name), e);
    }
    if (status == STATUS_OK) return checkpoint_from_tensors(&list, l->identity.name, &l->overlay, e);
    tensor_list_deinit(&list);
    return status;
}

/* Every name of modules_to_save has a tensor. */
static enum status check_saved(const struct lora *l, struct error *e) {
    const json_t *names = l->config.saved.names;
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        bool found = false;
        for (size_t k = 0; k < l->whole_count && !found; k++) {
            char module[LORA_NAME_MAX];
            module_of(l->wholes[k].name, module);
            found = module_name_has(name, module, true);
        }
        if (!found)
            return error_set(e, STATUS_MALFORMED, LORA_CONFIG_NAME ": modules_to_save",
                             "names '%.100s', of which the adapter has no tensor", name);
    }
    return STATUS_OK;
}

static enum status place_wholes(struct lora *l, const struct model_description *d,
                                const struct family *family, const struct checkpoint *base, struct error *e) {
    enum status status = check_saved(l, e);
    for (size_t i = 0; i < l->whole_count && status == STATUS_OK; i++)
        status = place_whole(l, &l->wholes[i], d, family, base, e);
    if (status == STATUS_OK && l->whole_count) status = make_overlay(l, base, e);
    return status;
}

static enum status bind_tied_head(const struct lora *l, struct tensor_views *views, struct error *e) {
    struct matrix_view *head = &views->head.weight;
    char place[LORA_NAME_MAX];
    if (!l->head) return STATUS_OK;
    if (!is_same_shape(l->head, head->tensor))
        return error_set(e, STATUS_MALFORMED, lora_place(l->head, place),
                         "has another shape than the embedding, to which the head was tied");
    head->tensor = l->head;
    return STATUS_OK;
}

/* ---- adapters of modules ------------------------------------------------------------------------------- */

static enum status refuse(const struct lora_part *part, struct error *e, const char *text) {
    char place[LORA_NAME_MAX];
    return error_set(e, STATUS_UNSUPPORTED, lora_place(part->a, place), "%s", text);
}

static struct tensor transposed(const struct tensor *t) {
    struct tensor swapped = *t;
    swapped.shape[0] = t->shape[1];
    swapped.shape[1] = t->shape[0];
    swapped.stride[0] = t->stride[1];
    swapped.stride[1] = t->stride[0];
    return swapped;
}

/* Its tensors as what is added to a matrix of `out` rows. */
static enum status make_low_rank(struct lora_part *part, size_t rank, double scale, size_t out, size_t in,
                                 struct error *e) {
    char place[LORA_NAME_MAX];
    const struct tensor *a = part->a, *b = part->b;
    size_t columns = part->of_embedding ? out : in, rows = part->of_embedding ? in : out;
    bool good = a->rank == 2 && b->rank == 2 && a->shape[0] == rank && a->shape[1] == columns &&
                b->shape[0] == rows && b->shape[1] == rank;
    if (!good)
        return error_set(e, STATUS_MALFORMED, lora_place(a, place),
                         "A and B of this module have other shapes than [%zu, %zu] and [%zu, %zu], which its "
                         "rank and the model ask for",
                         rank, columns, rows, rank);
    part->low_rank = (struct low_rank){.left = part->of_embedding ? transposed(a) : *b,
                                       .right = part->of_embedding ? transposed(b) : *a,
                                       .scale = scale};
    return STATUS_OK;
}

/* The matrix of a module. A tied table and head are one tensor, but each module is one of the two. */
static void find_target(struct binding *b) {
    const char *module = b->part->module;
    struct tensor_views *views = b->views;
    b->only = NULL;
    if (is_module_of(b->description, b->family, module, WEIGHT_HEAD))
        b->only = &views->head.weight;
    else if (is_module_of(b->description, b->family, module, WEIGHT_EMBEDDING))
        b->only = &views->embedding;
    b->target = b->only ? b->only->tensor : find(b->family, b->base, module, ".weight");
}

static void attach(void *context, struct matrix_view *view) {
    struct binding *b = context;
    if (view->tensor != b->target || (b->only && b->only != view)) return;
    if (view->low_rank) b->is_second = true;
    view->low_rank = &b->part->low_rank;
    b->part->views++;
}

static bool is_table(const struct binding *b) {
    return b->target == b->views->position.tensor ||
           (b->target == b->views->embedding.tensor && b->only != &b->views->head.weight);
}

static enum status bind_part(struct binding *b, struct error *e) {
    struct lora_part *part = b->part;
    bool selected;
    size_t rank;
    double scale;
    find_target(b);
    if (!b->target || b->target->rank != 2) return refuse(part, e, "matches no weight of the model");
    if (is_table(b) != part->of_embedding)
        return refuse(part, e,
                      part->of_embedding ? "is an adapter of an embedding, and the module is none"
                                         : "is an adapter of a linear, and the module is an embedding");
    enum status status = lora_config_selects(&b->lora->config, part->module, !b->only, &selected, e);
    if (status == STATUS_OK) status = lora_config_scale(&b->lora->config, part->module, &rank, &scale, e);
    if (status != STATUS_OK) return status;
    if (b->lora->config.has_targets && !selected)
        return refuse(part, e, LORA_CONFIG_NAME " does not select this module");
    bool swapped = b->description->transposed && !b->only && !is_table(b);
    const size_t *shape = b->target->shape;
    status = make_low_rank(part, rank, scale, shape[swapped ? 1 : 0], shape[swapped ? 0 : 1], e);
    if (status != STATUS_OK) return status;
    tensor_views_each_matrix(b->views, attach, b);
    if (b->is_second) return refuse(part, e, "the module has an adapter already, under another name");
    return part->views ? STATUS_OK : refuse(part, e, "matches no weight that the model multiplies with");
}

/* ---- modules without an adapter ------------------------------------------------------------------------ */

/* The name of a view's module in the model that was trained. False: it has none. */
static bool name_module(const struct binding *b, const struct matrix_view *view, char out[LORA_NAME_MAX]) {
    char module[LORA_NAME_MAX];
    bool is_head = view == &b->views->head.weight;
    if (is_head || view == &b->views->embedding) {
        enum weight weight = is_head ? WEIGHT_HEAD : WEIGHT_EMBEDDING;
        const struct weight_name *n = weight_name_find(b->description->names, weight);
        if (!n) return false;
        snprintf(module, sizeof module, "%s", n->name);
    } else {
        module_of(view->tensor->name + tensors_wrapper(b->base), module);
    }
    snprintf(out, LORA_NAME_MAX, "%s%.400s", b->prefixed && !is_head ? b->family->prefix : "",
             without_prefix(b->family, module));
    return true;
}

/* Counts what the configuration selects and no part was attached to. */
static void check_view(void *context, struct matrix_view *view) {
    struct binding *b = context;
    char module[LORA_NAME_MAX];
    bool selected = false;
    bool is_head = view == &b->views->head.weight, is_seen = view->tensor == b->last && !is_head;
    b->last = view->tensor;
    if (view->low_rank || is_seen || b->error.code != STATUS_OK || !name_module(b, view, module)) return;
    bool inner = !is_head && view != &b->views->embedding && view != &b->views->position;
    enum status status = lora_config_selects(&b->lora->config, module, inner, &selected, &b->error);
    if (status == STATUS_OK && selected && b->missing++ == 0)
        snprintf(b->first_missing, sizeof b->first_missing, "%s", module);
}

/* PEFT warns of such modules too, and leaves them as the base has them. */
static enum status check_others(struct binding *b, struct error *e) {
    size_t length = strlen(b->family->prefix);
    for (size_t i = 0; i < b->lora->part_count; i++)
        if (strncmp(b->lora->parts[i].module, b->family->prefix, length) == 0) b->prefixed = true;
    tensor_views_each_matrix(b->views, check_view, b);
    if (b->missing)
        log_warn("adapter %s: its configuration selects %zu modules that its file has nothing for, '%s' "
                 "first: they stay as the base has them",
                 b->lora->identity.name, b->missing, b->first_missing);
    if (b->error.code != STATUS_OK && e) *e = b->error;
    return b->error.code;
}

/* ---- all ----------------------------------------------------------------------------------------------- */

static void report(const struct lora *l) {
    const struct lora_config *c = &l->config;
    log_info(
        "adapter %s (xxh64 %s): LoRA of rank %zu for %zu modules and %zu whole tensors are merged; it says "
        "that its base is '%.200s'",
        l->identity.name, l->identity.weights_xxh64, c->rank, l->part_count, l->whole_count, c->base_name);
    if (c->biases && l->whole_count == 0)
        log_warn("adapter %s: its biases were trained, but its file has none: those of the base stay",
                 l->identity.name);
}

enum status lora_bind(struct lora *l, const struct model_description *description,
                      const struct family *family, const struct checkpoint *base, struct tensor_views *views,
                      struct error *e) {
    enum status status = place_wholes(l, description, family, base, e);
    if (status != STATUS_OK) return status;
    struct binding b = {.lora = l, .description = description, .family = family, .views = views};
    b.base = l->overlay ? l->overlay : base;
    status = tensor_views_init(views, description, family, b.base, e);
    if (status == STATUS_OK) status = bind_tied_head(l, views, e);
    for (size_t i = 0; i < l->part_count && status == STATUS_OK; i++) {
        b.part = &l->parts[i];
        status = bind_part(&b, e);
    }
    if (status == STATUS_OK) status = check_others(&b, e);
    if (status == STATUS_OK) report(l);
    return status;
}
