#include "engine/model/family.h"

#include <string.h>

#include "engine/base/name_list.h"

static const struct weight_name *find_in(const struct weight_name *n, enum weight weight) {
    for (; n && n->name; n++)
        if (n->weight == weight) return n;
    return NULL;
}

const struct weight_name *weight_name_find(const struct weight_names *names, enum weight weight) {
    const struct weight_name *own = find_in(names->own, weight);
    return own ? own : find_in(names->common, weight);
}

const struct family *family_find(const char *model_type, struct error *e) {
    for (size_t i = 0; family_list[i]; i++)
        if (strcmp(family_list[i]->model_type, model_type) == 0) return family_list[i];
    for (const struct refused_family *r = refused_families; r->model_type; r++)
        if (strcmp(r->model_type, model_type) == 0) {
            error_set(e, STATUS_UNSUPPORTED, "config.json: model_type", "%s %s", model_type, r->reason);
            return NULL;
        }
    char known[512] = "";
    for (size_t i = 0; family_list[i]; i++) name_list_add(known, sizeof known, family_list[i]->model_type);
    error_set(e, STATUS_UNSUPPORTED, "config.json: model_type", "unknown model type \"%.60s\"; supported: %s",
              model_type, known);
    return NULL;
}
