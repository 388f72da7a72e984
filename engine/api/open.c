/* Opening and closing: what is made from what, in which order, and how much memory it may take. */
#include "engine/api/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/memory.h"
#include "engine/base/name_list.h"
#include "engine/base/thread.h"
#include "engine/blas/blas.h"
#include "engine/files/json_file.h"
#include "engine/files/mapped_file.h"
#include "engine/grammar/grammar_cache.h"
#include "engine/kv/kv_plan.h"
#include "engine/api/loader_options.h"
#include "engine/api/memory_plan.h"
#include "engine/sched/fair_share.h"
#include "engine/sched/self_drafts.h"
#include "engine/sched/step.h"

#define LOGIT_BYTES_MAX ((size_t)32 << 20) /* of a step, unless every sequence needs its row */

void engine_process_init(void) {
    memory_process_init();
    blas_process_init();
    mapped_file_install_handler();
    json_file_process_init();
}

static enum status check_numbers(const struct engine_options *o, struct error *e) {
    enum status status = kv_page_tokens_check(o->kv_page_tokens, e);
    if (status != STATUS_OK) return status;
    if (o->kv_cache_mib > SIZE_MAX >> 20)
        return error_set(e, STATUS_OPTION, "kv-cache-mib", "is more than can be addressed");
    if (o->structured_outputs_mib > SIZE_MAX >> 20)
        return error_set(e, STATUS_OPTION, "structured-outputs-mib", "is more than can be addressed");
    if (o->sequences_max == 0 || o->step_tokens == 0 || o->queue_max == 0 || o->max_pending_events < 2)
        return error_set(
            e, STATUS_INVALID_ARGUMENT, "options",
            "sequences_max, step_tokens and queue_max must be at least 1, max_pending_events at least 2");
    return STATUS_OK;
}

enum status engine_isa_check(enum kernel_isa isa, struct error *e) {
    const struct kernel_table *unused;
    return kernel_select(isa, &unused, e);
}

/* A library that is not installed does not come by starting again. */
static enum status check_blas(const struct engine_options *o, struct error *e) {
    const struct blas *blas;
    size_t threads = o->threads ? o->threads : workers_default_count();
    struct error cause = {0};
    if (o->matmul != MATMUL_OPENBLAS && !o->verify) return STATUS_OK;
    enum status status = blas_open(threads, &blas, &cause);
    if (status == STATUS_UNSUPPORTED)
        return error_set(e, STATUS_OPTION, o->verify ? "verify" : "matmul", "%s", cause.text);
    if (status != STATUS_OK && e) *e = cause;
    return status;
}

enum status engine_options_check(const struct engine_options *o, struct error *e) {
    enum status status = norm_form_check(o->norm_form, e);
    if (status == STATUS_OK) status = matmul_check(o->matmul, o->weights, e);
    if (status == STATUS_OK) status = speculate_check(o->speculate, o->matmul, e);
    if (status == STATUS_OK) status = check_numbers(o, e);
    if (status == STATUS_OK) status = engine_isa_check(o->isa, e);
    if (status == STATUS_OK) status = check_blas(o, e);
    bool is_file = loaded_model_path_is_file(o->model);
    if (status == STATUS_OK) status = loaded_model_path_check(o->model, e);
    if (status == STATUS_OK && is_file) status = loaded_model_file_check(o->model, e);
    if (status != STATUS_OK) return status;
    if (o->lora && is_file)
        return error_set(e, STATUS_OPTION, "lora",
                         "%s is a converted file: an adapter is merged as the model's folder is converted",
                         o->model);
    if (!is_file) status = head_weights_check(o->head, o->weights, e);
    if (status == STATUS_OK && !is_file) status = lora_check_folder(o->model, o->lora, o->ignore_adapter, e);
    if (status != STATUS_OK) return status;
    if (o->speculate == SPECULATE_INT4 &&
        (status = second_weights_check(is_file, o->weights, e)) != STATUS_OK)
        return status;
    if (o->matmul == MATMUL_OPENBLAS && is_file)
        return error_set(e, STATUS_OPTION, "matmul", "%s has weights in panels, which only 'own' reads",
                         o->model);
    if (o->verify && is_file)
        return error_set(
            e, STATUS_OPTION, "verify",
            "%s is a converted file: only the checkpoint's folder has the untouched model to compare with",
            o->model);
    return STATUS_OK;
}

/* ---- memory -------------------------------------------------------------------------------------------- */

static enum status make_prefix_index(struct engine *engine, struct error *e) {
    enum status status = kv_prefix_init(&engine->prefix, &engine->pool, e);
    if (status == STATUS_OK) engine->pool.prefix = &engine->prefix;
    return status;
}

/* Memory that a step writes, whatever it computes. */
static size_t step_bytes(const struct engine *engine, const struct batch_limits *limits,
                         size_t logprobs_max) {
    const struct forward_limits forward = {
        .rows_max = limits->rows, .logit_rows_max = limits->logit_rows, .entries_max = limits->sequences};
    return forward_memory_bytes(&engine->model.packed, engine->workers, &forward) +
           step_memory_bytes(limits, logprobs_max, workers_count(engine->workers), engine->info.vocabulary,
                             forward_hidden_scratch(&engine->model.packed));
}

static const struct forward_limits draft_limits = {.rows_max = SELF_DRAFT_ROWS_MAX,
                                                   .logit_rows_max = SELF_DRAFT_ROWS_MAX,
                                                   .entries_max = SELF_DRAFT_ROWS_MAX};

/* Everything but the cache. The weights are held already, but for those that are mapped from a file. */
static void plan_memory(struct engine *engine, const struct engine_options *o,
                        const struct batch_limits *limits, struct memory_plan *plan) {
    size_t mapped = loaded_model_mapped_bytes(&engine->model);
    memory_give_back(); /* what loading needed */
    *plan = (struct memory_plan){.available_bytes = memory_plan_round(memory_available_bytes())};
    memory_plan_add(plan, "weights (mapped)", mapped);
    memory_plan_add(plan, "scratch of a step", step_bytes(engine, limits, o->logprobs_max));
    if (engine->drafts.packed.memory)
        memory_plan_add(plan, "scratch of drafts",
                        forward_memory_bytes(&engine->drafts.packed, engine->workers, &draft_limits));
    if (engine->grammars) {
        memory_plan_add(plan, "grammars (structured-outputs-mib)", o->structured_outputs_mib << 20);
        memory_plan_add(plan, "threads of grammars", grammar_cache_threads_bytes(engine->grammars));
    }
    if (o->fair_share) memory_plan_add(plan, "fair shares (max-queue)", turns_memory_bytes(o->queue_max));
    memory_plan_add(plan, "compute threads",
                    (workers_count(engine->workers) + 1) * memory_thread_bytes(THREAD_STACK_COMPUTE));
    for (size_t i = 0; i < o->reserve_count; i++)
        memory_plan_add(plan, o->reserves[i].name, o->reserves[i].bytes);
}

static struct kv_demand cache_demand(const struct engine *engine, const struct engine_options *o,
                                     size_t sequences, const struct memory_plan *plan) {
    const struct model_description *d = &engine->model.description;
    return (struct kv_demand){.layout = {.layers = d->layers,
                                         .kv_heads = d->kv_heads,
                                         .head_dim = d->head_dim,
                                         .page_tokens = o->kv_page_tokens,
                                         .type = engine->info.kv_type},
                              .context = engine->info.context,
                              .sequences = sequences,
                              .available_bytes = plan->available_bytes,
                              .reserved_bytes = memory_plan_total(plan)};
}

static void report_pool(const struct engine *engine, const struct kv_demand *d,
                        const struct memory_plan *plan) {
    const struct kv_pool *pool = &engine->pool;
    const struct model_description *model = &engine->model.description;
    log_info(
        "cache: %u pages of %zu tokens in %s, %zu MiB, %.1f full contexts of %zu tokens; weights %zu MiB; "
        "%zu MiB were left",
        pool->page_count, d->layout.page_tokens, kv_type_name(d->layout.type), pool->mapped_bytes >> 20,
        (double)pool->page_count / (double)kv_pages_for(d->context, d->layout.page_tokens), d->context,
        engine->info.weight_bytes >> 20, plan->available_bytes >> 20);
    /* Not chosen by itself: answers would depend on the machine. */
    if (engine->info.isa == KERNEL_ISA_amx && d->layout.type == KV_TYPE_F16 &&
        kernel_tiles_take(model->head_dim, model->heads / model->kv_heads))
        log_info("cache: with kv-type bf16 attention over prompts runs on AMX here, in a third of the time; "
                 "answers differ a little from those of f16");
}

static enum status make_pool(struct engine *engine, const struct engine_options *o,
                             const struct batch_limits *limits, struct error *e) {
    struct memory_plan plan;
    plan_memory(engine, o, limits, &plan);
    struct kv_demand demand = cache_demand(engine, o, limits->sequences, &plan);
    size_t pages, held = engine->info.weight_bytes;
    if (loaded_model_mapped_bytes(&engine->model) > 0) held = 0;
    if (engine->grammar_vocabulary) held += grammar_vocabulary_bytes(engine->grammar_vocabulary);
    held += token_texts_bytes(&engine->texts) + engine->drafts.packed.memory_floats * sizeof(float);
    demand.bytes_wanted = o->kv_cache_mib << 20; /* check_numbers: it fits */
    enum status status = kv_plan_pages(&demand, &pages, e);
    if (status != STATUS_OK) memory_plan_log(&plan, held);
    if (status == STATUS_OK) status = kv_pool_init(&engine->pool, &demand.layout, pages, e);
    if (status == STATUS_OK && o->prefix_cache) status = make_prefix_index(engine, e);
    if (status != STATUS_OK) return status;
    memory_plan_add(&plan, "cache", pages * kv_plan_page_bytes(&demand.layout));
    memory_plan_log(&plan, held);
    report_pool(engine, &demand, &plan);
    return STATUS_OK;
}

/* Rows with logits of a step: one for each sequence, and more for prompts that are scored, as far as memory
 * goes. */
static size_t logit_rows(size_t sequences, size_t rows, size_t vocabulary) {
    size_t affordable = LOGIT_BYTES_MAX / (vocabulary * sizeof(float));
    size_t most = affordable < rows ? affordable : rows;
    return most > sequences ? most : sequences;
}

/* ---- vocabulary ---------------------------------------------------------------------------------------- */

/* Rows of the head that stand for a token may be sampled: not the padding behind the tokenizer's ids, nor its
 * gaps. */
static enum status find_sampleable(struct engine *engine, struct sampler_vocabulary *vocabulary,
                                   struct error *e) {
    size_t rows = forward_vocabulary(engine->forward);
    if (!engine->tokenizer) {
        *vocabulary = (struct sampler_vocabulary){.rows = rows, .sampleable = rows};
        return STATUS_OK;
    }
    size_t tokens = tokenizer_vocabulary(engine->tokenizer);
    *vocabulary = (struct sampler_vocabulary){.rows = rows, .sampleable = tokens < rows ? tokens : rows};
    if (vocabulary->sampleable == 0)
        return error_set(e, STATUS_OPTION, "model", "its tokenizer has no tokens");
    for (size_t i = 0; i < vocabulary->sampleable; i++)
        vocabulary->unused_id_count += !tokenizer_has(engine->tokenizer, (int32_t)i);
    engine->unused_ids = calloc(vocabulary->unused_id_count + 1, sizeof *engine->unused_ids);
    if (!engine->unused_ids)
        return error_set(e, STATUS_NO_MEMORY, "vocabulary", "%zu gaps", vocabulary->unused_id_count);
    size_t found = 0;
    for (size_t i = 0; i < vocabulary->sampleable; i++)
        if (!tokenizer_has(engine->tokenizer, (int32_t)i)) engine->unused_ids[found++] = (int32_t)i;
    vocabulary->unused_ids = engine->unused_ids;
    if (tokens > rows)
        log_warn("the tokenizer has %zu ids, the model only %zu: prompts with ids beyond are refused", tokens,
                 rows);
    return STATUS_OK;
}

/* ---- scheduler ----------------------------------------------------------------------------------------- */

static enum status make_scheduler(struct engine *engine, const struct engine_options *o,
                                  const struct batch_limits *limits, struct error *e) {
    struct sampler_vocabulary vocabulary;
    enum status status = find_sampleable(engine, &vocabulary, e);
    if (status != STATUS_OK) return status;
    const struct scheduler_options options = {
        .rules = {.context = engine->info.context,
                  .rows = vocabulary.rows,
                  .page_tokens = o->kv_page_tokens,
                  .max_pending_events = o->max_pending_events,
                  .token_bytes_max = token_texts_longest(&engine->texts),
                  .logprobs_max = o->logprobs_max,
                  .choices_max = o->queue_max,
                  .tokenizer = engine->tokenizer,
                  .end_tokens = engine->info.end_tokens,
                  .end_count = engine->info.end_count,
                  .backend = backend_of(engine->forward)},
        .vocabulary = vocabulary,
        .kernels = engine->kernels,
        .workers = engine->workers,
        .pool = &engine->pool,
        .limits = *limits,
        .queue_max = o->queue_max,
        .queue_tokens_max = o->queue_tokens_max,
        .aside_max = o->suspended_max,
        .speculate = engine->info.speculate != SPECULATE_OFF,
        .draft_row_cost = o->draft_row_cost,
        .self_drafts = engine->draft_forward ? backend_of(engine->draft_forward) : (struct backend){0},
        .fair_share = o->fair_share,
        .wake = o->wake,
        .wake_context = o->wake_context,
    };
    status = scheduler_create(&options, &engine->scheduler, e);
    return status == STATUS_OK ? scheduler_start(engine->scheduler, e) : status;
}

/* ---- info ---------------------------------------------------------------------------------------------- */

static void copy_name(char *out, size_t size, const char *name) {
    size_t length = strlen(name) < size ? strlen(name) : size - 1;
    memcpy(out, name, length);
    out[length] = '\0';
}
#define COPY_NAME(field, name) copy_name(field, sizeof(field), name)

static void describe_model_in(struct engine_info *info, const struct loaded_model *m) {
    const struct model_description *d = &m->description;
    COPY_NAME(info->family, d->family);
    COPY_NAME(info->norm_placement, placement_name(d->placement));
    COPY_NAME(info->unknown_config_keys, d->unknown_keys);
    info->generation = d->generation;
    info->own_context = m->own_context;
    info->vocabulary = d->vocabulary;
    info->layers = d->layers;
    info->width = d->width;
    info->embedding_width = forward_hidden_width(&m->packed);
    info->heads = d->heads;
    info->parameters = m->views.parameters;
    info->weight_bytes = m->packed.memory_floats * sizeof(float);
    info->bos = d->bos;
    info->pad = d->pad;
    info->end_count = d->end_count;
    info->start = d->bos >= 0 ? d->bos : d->end_count ? d->end_tokens[0] : -1;
    info->adapter = m->adapter;
    info->calibration = m->calibration;
    memcpy(info->end_tokens, d->end_tokens, sizeof info->end_tokens);
}

/* How many MLPs have massive activations, of those that are not in bf16 as a whole. */
static void name_massive(const struct loaded_model *m, char *names, size_t size) {
    const enum weight_type weights = m->packed.weights;
    size_t count = 0;
    char name[96];
    for (size_t i = 0; i < m->description.layers; i++)
        count += m->folded.layers[i].mlp.massive && packed_mlp_type(&m->description, weights, i) == weights;
    snprintf(name, sizeof name, "the outputs of %zu MLP%s with massive activations", count,
             count == 1 ? "" : "s");
    if (count) name_list_add(names, size, name);
}

/* What of a model in int8 is not. */
static void log_finer(const struct loaded_model *m) {
    const struct model_description *d = &m->description;
    const enum weight_type weights = m->packed.weights;
    char names[256] = "", rows[64];
    if (weights != WEIGHT_TYPE_INT8) return;
    snprintf(rows, sizeof rows, "%zu rows of the head, those of common tokens", m->packed.common.out);
    if (m->packed.common.out) name_list_add(names, sizeof names, rows);
    if (packed_mlp_type(d, weights, d->layers - 1) != weights)
        name_list_add(names, sizeof names, "the last layer's MLP");
    name_massive(m, names, sizeof names);
    if (packed_values_type(d, weights) != weights)
        name_list_add(names, sizeof names, "values that query heads share");
    if (names[0]) log_info("%s weights: in bf16 are %s", weight_type_name(weights), names);
}

/* crmsnorm beside other weights than f32 is in its orthonormal basis. */
static bool is_form(enum norm_form form, enum norm_form asked) {
    return form == asked || (form == NORM_FORM_ORTHONORMAL && asked == NORM_FORM_CRMSNORM);
}

static void describe_options(struct engine_info *info, const struct engine_options *o,
                             const struct loaded_model *m) {
    bool by_file = loaded_model_is_file(m) && o->any_form;
    info->norm_form = m->folded.form;
    bool own =
        o->any_form && (info->norm_form == NORM_FORM_OUTPUT || info->norm_form == NORM_FORM_CRMSNORM_NATIVE ||
                        m->description.norm_type == NORM_TYPE_RMSNORM);
    if (!by_file && !own && !is_form(info->norm_form, o->norm_form))
        log_warn("this model has no %s form: it runs in the %s form, with the same results",
                 norm_form_name(o->norm_form), norm_form_name(info->norm_form));
    if (m->folded.folded_from)
        log_info("layers 0 to %zu run as published, as a norm is applied to the residual stream itself; the "
                 "%s form is that of layers %zu to %zu",
                 m->folded.folded_from - 1, norm_form_name(info->norm_form), m->folded.folded_from,
                 m->description.layers - 1);
    info->weights = m->packed.weights;
    info->head = m->packed.head.type;
    log_info("model: %s, norm placement %s, in the %s form with %s weights%s", m->description.family,
             placement_name(m->description.placement), norm_form_name(info->norm_form),
             weight_type_name(info->weights),
             info->head == WEIGHT_TYPE_INT4 ? ", those of the head too" : "");
    info->rotated = m->folded.rotated;
    if (info->rotated)
        log_info("%s weights: the model is rotated%s", weight_type_name(info->weights),
                 m->folded.stream.order ? "" : ", all but its residual stream");
    log_finer(m);
    if (m->folded.loud_count)
        log_info("%s weights: rounded with error feedback along the loud channels of the residual stream, "
                 "%zu of %zu",
                 weight_type_name(info->weights), m->folded.loud_count, m->description.width);
    if (m->calibration.tokens)
        log_info("%s weights: calibrated with %zu tokens of the text with the SHA-256 %s",
                 weight_type_name(info->weights), m->calibration.tokens, m->calibration.text_sha256);
    info->kv_type = kv_type_choose(o->kv_type, info->weights); /* a converted file may have other weights */
    info->matmul = o->matmul;
    info->speculate = speculate_choose(o->speculate, o->matmul);
    kernel_features(info->cpu_features, sizeof info->cpu_features);
    info->kv_page_tokens = o->kv_page_tokens;
    info->queue_max = o->queue_max;
    info->step_tokens = o->step_tokens;
    info->logprobs_max = o->logprobs_max;
}

void engine_info(const struct engine *engine, struct engine_info *out) {
    *out = engine->info;
}

/* ---- open, close --------------------------------------------------------------------------------------- */

static void report_drafts(void *context, double share) {
    const struct engine_options *o = context;
    if (o->progress) o->progress(o->progress_context, "packing drafts", share);
}

static enum status load_drafts(struct engine *engine, const struct engine_options *o, struct error *e) {
    if (engine->info.speculate != SPECULATE_INT4) return STATUS_OK;
    enum status status = second_weights_init(&engine->drafts, &engine->model, WEIGHT_TYPE_INT4,
                                             engine->workers, report_drafts, (void *)(uintptr_t)o, e);
    if (status == STATUS_OK)
        log_info("drafts: weights in int4, %zu MiB",
                 engine->drafts.packed.memory_floats * sizeof(float) >> 20);
    return status;
}

static struct loaded_model_options loader_of(struct engine *engine, const struct engine_options *o) {
    struct loaded_model_options loader = loader_options(o);
    loader.tokenizer = &engine->tokenizer;
    loader.no_tokenizer = &engine->no_tokenizer;
    loader.progress = o->progress;
    loader.progress_context = o->progress_context;
    return loader;
}

/* What is made of the tokenizer that was loaded, if there is one. */
static enum status prepare_texts(struct engine *engine, const char *model, struct error *e) {
    if (!engine->tokenizer) {
        log_warn("no tokenizer (%s: %s): prompts must be token ids, and answers have ids alone",
                 engine->no_tokenizer.where, engine->no_tokenizer.text);
        return STATUS_OK;
    }
    fim_init(&engine->fim, engine->tokenizer);
    return loaded_model_blame(token_texts_init(&engine->texts, engine->tokenizer, engine->workers, e),
                              "model", model, e);
}

static enum status load(struct engine *engine, const struct engine_options *o, struct error *e) {
    const struct loaded_model_options loader = loader_of(engine, o);
    enum status status;
    if ((status = engine_options_check(o, e)) != STATUS_OK) return status;
    if ((status = kernel_select(o->isa, &engine->kernels, e)) != STATUS_OK) return status;
    size_t threads = o->threads ? o->threads : workers_default_count();
    if ((status = workers_create_pinned(threads, o->pin_threads, "", &engine->workers, e)) != STATUS_OK)
        return status;
    if ((status = loaded_model_init(&engine->model, &loader, engine->workers, e)) != STATUS_OK) return status;
    if ((status = prepare_texts(engine, o->model, e)) != STATUS_OK) return status;
    if ((status = engine_open_chat(engine, o, e)) != STATUS_OK) return status;
    if ((status = engine_open_grammars(engine, o, e)) != STATUS_OK) return status;
    describe_options(&engine->info, o, &engine->model);
    describe_model_in(&engine->info, &engine->model);
    engine->info.isa = engine->kernels->isa;
    engine->info.threads = workers_count(engine->workers);
    engine->info.context = o->context ? o->context : engine->model.description.context;
    if ((status = load_drafts(engine, o, e)) != STATUS_OK) return status;
    return o->verify ? engine_verify(engine, o->verify_bound, e) : STATUS_OK;
}

/* The forward pass, and the one of drafts where they have weights of their own. */
static enum status make_passes(struct engine *engine, const struct forward_limits *limits, struct error *e) {
    enum status status = forward_create(&engine->model.packed, &engine->pool, engine->kernels,
                                        engine->workers, limits, &engine->forward, e);
    if (status != STATUS_OK || !engine->drafts.packed.memory) return status;
    return forward_create(&engine->drafts.packed, &engine->pool, engine->kernels, engine->workers,
                          &draft_limits, &engine->draft_forward, e);
}

static enum status start(struct engine *engine, const struct engine_options *o, struct error *e) {
    size_t sequences = o->sequences_max < o->step_tokens ? o->sequences_max : o->step_tokens;
    const struct batch_limits limits = {.rows = o->step_tokens,
                                        .logit_rows =
                                            logit_rows(sequences, o->step_tokens, engine->info.vocabulary),
                                        .sequences = sequences}; /* prefill beside decode is measured */
    const struct forward_limits forward = {
        .rows_max = limits.rows, .logit_rows_max = limits.logit_rows, .entries_max = limits.sequences};
    enum status status;
    if ((status = make_pool(engine, o, &limits, e)) != STATUS_OK) return status;
    if ((status = make_passes(engine, &forward, e)) != STATUS_OK) return status;
    engine->info.sequences_max = sequences;
    engine->info.kv_pages = engine->pool.page_count;
    engine->info.kv_bytes = engine->pool.mapped_bytes;
    return make_scheduler(engine, o, &limits, e);
}

enum status engine_open(const struct engine_options *options, struct engine **out, struct error *e) {
    double began = clock_seconds();
    *out = NULL;
    struct engine *engine = calloc(1, sizeof *engine);
    if (!engine) return error_set(e, STATUS_NO_MEMORY, "engine", "%zu bytes", sizeof *engine);
    enum status status = load(engine, options, e);
    if (status == STATUS_OK) status = start(engine, options, e);
    if (status != STATUS_OK) {
        engine_close(engine);
        return status;
    }
    engine->info.load_seconds = clock_seconds() - began;
    *out = engine;
    return STATUS_OK;
}

void engine_close(struct engine *engine) {
    if (!engine) return;
    scheduler_destroy(engine->scheduler);
    forward_destroy(engine->draft_forward);
    if (engine->forward) forward_destroy(engine->forward);
    kv_pool_deinit(&engine->pool);
    kv_prefix_deinit(&engine->prefix);
    second_weights_deinit(&engine->drafts);
    loaded_model_deinit(&engine->model);
    if (engine->tokenizer) tokenizer_close(engine->tokenizer);
    token_texts_deinit(&engine->texts);
    engine_close_chat(engine);
    engine_close_grammars(engine);
    if (engine->workers) workers_destroy(engine->workers);
    free(engine->unused_ids);
    free(engine);
}
