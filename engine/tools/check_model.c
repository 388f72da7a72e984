/* check: what loading would say, without the weights. */
#include <stdio.h>
#include <string.h>

#include "engine/api/engine.h"
#include "engine/api/loader_options.h"
#include "engine/base/memory.h"
#include "engine/base/workers.h"
#include "engine/kv/kv_plan.h"
#include "engine/loaded/loaded_chat.h"
#include "engine/loaded/loaded_model.h"
#include "engine/tools/tools.h"

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
        r->weight_bytes[type] = packed_model_bytes(&m->folded, o->matmul, packed_types_of(type, o->head));
}

static size_t sum(size_t a, size_t b) {
    size_t both;
    return __builtin_add_overflow(a, b, &both) ? SIZE_MAX : both;
}

/* As serving plans it, but for what steps write, which depends on the packed model. */
static void measure_cache(const struct loaded_model *m, const struct engine_options *o,
                          struct check_result *r) {
    const struct model_description *d = &m->description;
    size_t pages;
    r->kv_type = kv_type_choose(o->kv_type, r->weights);
    r->context = o->context ? o->context : d->context;
    r->available_bytes = memory_available_bytes();
    for (size_t i = 0; i < o->reserve_count; i++)
        r->reserved_bytes = sum(r->reserved_bytes, o->reserves[i].bytes);
    const struct kv_demand demand = {
        .layout = {d->layers, d->kv_heads, d->head_dim, o->kv_page_tokens, r->kv_type},
        .context = r->context,
        .sequences = o->sequences_max,
        .bytes_wanted = o->kv_cache_mib << 20,
        .available_bytes = r->available_bytes,
        .reserved_bytes = sum(r->weight_bytes[r->weights], r->reserved_bytes)};
    r->context_bytes = kv_pages_for(r->context, o->kv_page_tokens) * kv_plan_page_bytes(&demand.layout);
    (void)kv_plan_pages(&demand, &pages, &r->no_room);
}

/* Serving goes on without a template; only a file that was named and cannot be read is refused. */
static enum status read_chat(const struct loaded_model *m, const struct engine_options *o,
                             struct check_result *r, struct error *e) {
    struct loaded_chat chat;
    const struct loaded_chat_options options = {
        .model = o->model, .file = o->chat_template, .has_tokenizer = r->has_tokenizer};
    enum status status = loaded_chat_init(&chat, m, &options, e);
    r->has_chat_template = chat.template != NULL;
    memcpy(r->chat_template, chat.name, sizeof r->chat_template);
    if (!chat.template) error_format(&chat.why, r->no_chat_template, sizeof r->no_chat_template);
    loaded_chat_deinit(&chat);
    return status;
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
    struct loaded_model_options loader = loader_options(o);
    loader.plan_only = true;
    loader.tokenizer = &tokenizer;
    loader.no_tokenizer = &no_tokenizer;
    *result = (struct check_result){0};
    enum status status = workers_create(1, &workers, e);
    if (status == STATUS_OK) status = loaded_model_init(&model, &loader, workers, e);
    if (status == STATUS_OK) {
        fill(&model, o, result);
        result->has_tokenizer = tokenizer != NULL;
        if (!tokenizer) error_format(&no_tokenizer, result->no_tokenizer, sizeof result->no_tokenizer);
        status = read_chat(&model, o, result, e);
        tokenizer_close(tokenizer);
        loaded_model_deinit(&model);
    }
    workers_destroy(workers);
    return status;
}
