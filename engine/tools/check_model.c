/* check: what loading would say, without the weights. */
#include <stdio.h>
#include <string.h>

#include "engine/api/engine.h"
#include "engine/base/memory.h"
#include "engine/base/workers.h"
#include "engine/kv/kv_plan.h"
#include "engine/loaded/loaded_model.h"
#include "engine/tools/tools.h"

/* The page that serving has by default: the size matters little for a whole context. */
enum { PAGE_TOKENS = KV_PAGE_TOKENS_STEP };

static void measure_weights(const struct loaded_model *m, const struct engine_options *o,
                            struct check_result *r) {
    r->is_file = loaded_model_is_file(m);
    if (r->is_file) {
        r->weights = m->packed.weights;
        r->weight_bytes[r->weights] = loaded_model_mapped_bytes(m);
        return;
    }
    r->weights = o->weights;
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++)
        r->weight_bytes[type] = packed_model_bytes(&m->folded, o->matmul, type);
}

static void measure_cache(const struct loaded_model *m, const struct engine_options *o,
                          struct check_result *r) {
    const struct model_description *d = &m->description;
    r->kv_type = kv_type_choose(o->kv_type, r->weights);
    const struct kv_layout layout = {d->layers, d->kv_heads, d->head_dim, PAGE_TOKENS, r->kv_type};
    r->context = o->context ? o->context : d->context;
    r->context_bytes = kv_pages_for(r->context, PAGE_TOKENS) * kv_plan_page_bytes(&layout);
    r->available_bytes = memory_available_bytes();
    size_t needed;
    bool addressable = !__builtin_add_overflow(r->weight_bytes[r->weights], r->context_bytes, &needed);
    r->fits = addressable && (r->available_bytes == 0 || needed <= r->available_bytes);
}

static void fill(const struct loaded_model *m, const struct engine_options *o, struct check_result *r) {
    const struct model_description *d = &m->description;
    snprintf(r->family, sizeof r->family, "%s", d->family);
    r->norm_form = m->folded.form;
    r->layers = d->layers;
    r->width = d->width;
    r->vocabulary = d->vocabulary;
    r->own_context = m->own_context;
    r->parameters = m->views.parameters;
    measure_weights(m, o, r);
    measure_cache(m, o, r);
}

enum status check_model(const struct engine_options *o, struct check_result *result, struct error *e) {
    struct loaded_model model;
    struct tokenizer *tokenizer = NULL;
    struct error no_tokenizer = {0};
    struct workers *workers = NULL;
    const struct loaded_model_options loader = {
        .model = o->model,
        .lora = o->lora,
        .ignore_adapter = o->ignore_adapter,
        .form = o->norm_form,
        .matmul = o->matmul,
        .weights = o->weights,
        .any_form = o->any_form,
        .any_weights = o->any_weights,
        .form_asked = !o->any_form,
        .allow_unknown_config_keys = o->allow_unknown_config_keys,
        .context = o->context,
        .extend_context = o->extend_context,
        .plan_only = true,
        .tokenizer = &tokenizer,
        .no_tokenizer = &no_tokenizer,
    };
    *result = (struct check_result){0};
    enum status status = workers_create(1, &workers, e);
    if (status == STATUS_OK) status = loaded_model_init(&model, &loader, workers, e);
    if (status == STATUS_OK) {
        fill(&model, o, result);
        result->has_tokenizer = tokenizer != NULL;
        if (!tokenizer) error_format(&no_tokenizer, result->no_tokenizer, sizeof result->no_tokenizer);
        tokenizer_close(tokenizer);
        loaded_model_deinit(&model);
    }
    workers_destroy(workers);
    return status;
}
