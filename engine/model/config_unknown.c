#include "engine/model/config_unknown.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/log.h"

/* ---- names of classes ---------------------------------------------------------------------------------- */

/* The rest of the class's name behind the model type's, letters of either case and signs aside: that of
 * "GPTNeoXForCausalLM" behind "gpt_neox" is "ForCausalLM". NULL where it does not begin so. */
static const char *behind_model_type(const char *name, const char *model_type) {
    for (; *model_type; model_type++) {
        if (!isalnum((unsigned char)*model_type)) continue;
        if (strcmp(model_type, "text") == 0) break; /* gemma3_text is served by Gemma3ForCausalLM */
        if (tolower((unsigned char)*name) != *model_type) return NULL;
        name++;
    }
    return name;
}

/* The body alone has the weights of a tied head too; where the head is not tied it is missed by its name. */
static bool is_language_model(const struct family *family, const char *name) {
    static const char *const endings[] = {"ForCausalLM", "LMHeadModel", "Model"};
    for (const char *const *other = family->architectures; other && *other; other++)
        if (strcmp(name, *other) == 0) return true;
    const char *rest = behind_model_type(name, family->model_type);
    for (size_t i = 0; rest && i < sizeof endings / sizeof *endings; i++)
        if (strcmp(rest, endings[i]) == 0) return true;
    return false;
}

static void check_class(struct config_reader *r, const struct family *family, const char *key,
                        const json_t *value) {
    char name[96];
    const char *text = json_string_value(value);
    const char *class = text ? strrchr(text, '.') : NULL; /* "modeling_mpt.MPTForCausalLM" */
    class = class ? class + 1 : text;
    if (class && is_language_model(family, class)) return;
    snprintf(name, sizeof name, "%s=%.64s", key, class ? class : "(no name)");
    config_add_unknown(r, name);
}

static void check_architectures(struct config_reader *r, const struct family *family) {
    const json_t *names = config_value(r, "architectures");
    if (names && !json_is_array(names)) check_class(r, family, "architectures", names);
    for (size_t i = 0; i < json_array_size(names); i++)
        check_class(r, family, "architectures", json_array_get(names, i));
}

/* Code of the checkpoint's own. What it has for other tasks is beside the point. */
static void check_auto_map(struct config_reader *r, const struct family *family) {
    const json_t *map = config_value(r, "auto_map");
    const json_t *model = json_object_get(map, "AutoModelForCausalLM");
    if (!model) model = json_object_get(map, "AutoModel");
    if (map && !json_is_object(map))
        config_add_unknown(r, "auto_map");
    else if (model)
        check_class(r, family, "auto_map", model);
}

/* ---- the verdict --------------------------------------------------------------------------------------- */

void config_check_unknown(struct config_reader *r, const struct family *family, bool allowed) {
    check_architectures(r, family);
    check_auto_map(r, family);
    config_gather_unknown(r);
    if (r->unknown_count == 0) return;
    if (allowed && !family->strict_keys) {
        log_warn("%s: %s does not know %s: passed over (allow-unknown-config-keys); results may not be the "
                 "model's",
                 r->file, r->model_type, r->unknown);
        return;
    }
    config_refuse(r, "does not know %s (unknown: %zu); what that means would not be computed%s", r->unknown,
                  r->unknown_count,
                  family->strict_keys ? ""
                                      : ". With --allow-unknown-config-keys the model runs as if it was not "
                                        "there");
}
