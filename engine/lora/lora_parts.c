#include "engine/lora/lora_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "base_model.model."

/* What a name ends with, and which tensor that is. */
static const struct ending {
    const char *text;
    bool is_b, of_embedding;
} endings[] = {
    {".lora_A.weight", false, false},
    {".lora_B.weight", true, false},
    {".lora_embedding_A", false, true},
    {".lora_embedding_B", true, true},
};

const char *lora_place(const struct tensor *t, char out[LORA_NAME_MAX]) {
    snprintf(out, LORA_NAME_MAX, "%.120s: %.380s", t->file, t->name);
    return out;
}

static enum status no_memory(struct error *e) {
    return error_set(e, STATUS_NO_MEMORY, "adapter", "no memory for the list of its tensors");
}

static const struct ending *ending_of(const char *name, size_t *stem) {
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t end = strlen(endings[i].text);
        *stem = length - end;
        if (length > end && strcmp(name + *stem, endings[i].text) == 0) return &endings[i];
    }
    return NULL;
}

/* The part of a module: in the order of names its tensors are neighbours. */
static struct lora_part *part_of(struct lora *l, const char *name, size_t stem) {
    struct lora_part *last = l->part_count ? &l->parts[l->part_count - 1] : NULL;
    if (last && strlen(last->module) == stem && memcmp(last->module, name, stem) == 0) return last;
    struct lora_part *part = &l->parts[l->part_count];
    *part = (struct lora_part){.module = strndup(name, stem)};
    if (!part->module) return NULL;
    l->part_count++;
    return part;
}

static enum status add_part(struct lora *l, const struct tensor *t, const char *name, size_t stem,
                            const struct ending *ending, struct error *e) {
    char place[LORA_NAME_MAX];
    struct lora_part *part = part_of(l, name, stem);
    if (!part) return no_memory(e);
    const struct tensor **slot = ending->is_b ? &part->b : &part->a;
    if (*slot || ((part->a || part->b) && part->of_embedding != ending->of_embedding))
        return error_set(e, STATUS_MALFORMED, lora_place(t, place),
                         "the module has an adapter for linears and one for embeddings");
    *slot = t;
    part->of_embedding = ending->of_embedding;
    return STATUS_OK;
}

/* The name without ".base_layer" in it. */
static enum status add_whole(struct lora *l, const struct tensor *t, const char *name, struct error *e) {
    static const char layer[] = ".base_layer.";
    const char *inner = strstr(name, layer);
    struct lora_whole *whole = &l->wholes[l->whole_count];
    *whole = (struct lora_whole){.tensor = t, .of_base_layer = inner != NULL, .name = strdup(name)};
    if (!whole->name) return no_memory(e);
    l->whole_count++;
    if (inner) {
        char *at = whole->name + (inner - name);
        const char *rest = inner + sizeof layer - 2; /* from its last '.' on */
        memmove(at, rest, strlen(rest) + 1);
    }
    return STATUS_OK;
}

/* With "bias": "all" PEFT saves the bias of a module that is saved whole three times: under its own name, which is the one
 * that it reads again, and under those of its wrapper, as what was trained and as what the base has. */
static bool is_spare(const struct lora *l, const struct tensor *t, const char *name) {
    static const char *const wrapped[] = {".modules_to_save.", ".original_module."};
    char module[LORA_NAME_MAX], own[2 * LORA_NAME_MAX];
    for (size_t i = 0; i < sizeof wrapped / sizeof *wrapped; i++) {
        const char *at = strstr(name, wrapped[i]);
        if (!at) continue;
        snprintf(module, sizeof module, "%.*s", (int)(at - name), name);
        snprintf(own, sizeof own, "%.*s%s.%s", (int)(name - t->name), t->name, module,
                 at + strlen(wrapped[i]));
        if (lora_config_saves(&l->config, module) && checkpoint_find(l->file, own)) return true;
    }
    return false;
}

static enum status add_tensor(struct lora *l, const struct tensor *t, struct error *e) {
    char place[LORA_NAME_MAX];
    const char *name = t->name;
    size_t stem;
    if (strncmp(name, PREFIX, sizeof PREFIX - 1) == 0) name += sizeof PREFIX - 1;
    if (strlen(name) >= LORA_NAME_MAX)
        return error_set(e, STATUS_LIMIT, lora_place(t, place), "the name has more than %d bytes",
                         LORA_NAME_MAX - 1);
    if (t->dtype == DTYPE_OTHER)
        return error_set(e, STATUS_UNSUPPORTED, lora_place(t, place),
                         "has an element type that weights can't have; expected F32, F16, BF16 or F64");
    const struct ending *ending = ending_of(name, &stem);
    if (ending) return add_part(l, t, name, stem, ending, e);
    if (strstr(name, "lora_magnitude_vector"))
        return error_set(e, STATUS_UNSUPPORTED, lora_place(t, place),
                         "belongs to DoRA, which is not supported");
    if (strstr(name, ".lora_"))
        return error_set(e, STATUS_UNSUPPORTED, lora_place(t, place),
                         "is not a known part of an adapter: expected lora_A.weight, lora_B.weight, "
                         "lora_embedding_A, lora_embedding_B, or a tensor of the base");
    return is_spare(l, t, name) ? STATUS_OK : add_whole(l, t, name, e);
}

static enum status check_pairs(const struct lora *l, struct error *e) {
    char place[LORA_NAME_MAX];
    for (size_t i = 0; i < l->part_count; i++) {
        const struct lora_part *part = &l->parts[i];
        if (!part->a || !part->b)
            return error_set(e, STATUS_MALFORMED, lora_place(part->a ? part->a : part->b, place),
                             "the other tensor of this adapter is missing");
    }
    if (l->part_count || l->whole_count) return STATUS_OK;
    return error_set(e, STATUS_MALFORMED, "adapter", "its file has no tensors");
}

enum status lora_parts_init(struct lora *l, struct error *e) {
    size_t count = checkpoint_count(l->file);
    if (count > LORA_PARTS_MAX)
        return error_set(e, STATUS_LIMIT, "adapter", "its file has %zu tensors, at most %d can be", count,
                         LORA_PARTS_MAX);
    l->parts = calloc(count + 1, sizeof *l->parts);
    l->wholes = calloc(count + 1, sizeof *l->wholes);
    if (!l->parts || !l->wholes) return no_memory(e);
    for (size_t i = 0; i < count; i++) {
        enum status status = add_tensor(l, checkpoint_at(l->file, i), e);
        if (status != STATUS_OK) return status;
    }
    return check_pairs(l, e);
}

void lora_parts_deinit(struct lora *l) {
    for (size_t i = 0; i < l->part_count; i++) free(l->parts[i].module);
    for (size_t i = 0; i < l->whole_count; i++) free(l->wholes[i].name);
    free(l->parts);
    free(l->wholes);
}
