/* Random models go through the whole of loading; what loading may cost in memory. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "config/option.h"
#include "engine/base/memory.h"
#include "engine/base/workers.h"
#include "engine/loaded/loaded_model.h"
#include "engine/model/describe.h"
#include "engine/tools/tools.h"
#include "tests/support/test_support.h"

#define SMALL_MODEL                                                                                          \
    "{\"model_type\": \"gpt2\", \"vocab_size\": 211, \"n_embd\": 48, \"n_layer\": 2, \"n_head\": 4, "        \
    "\"n_positions\": 64}"
/* Gated, with grouped queries and RMSNorm; the file is BF16. */
#define SMALL_LLAMA                                                                                          \
    "{\"model_type\": \"llama\", \"vocab_size\": 211, \"hidden_size\": 48, \"intermediate_size\": 112, "     \
    "\"num_hidden_layers\": 2, \"num_attention_heads\": 4, \"num_key_value_heads\": 2, "                     \
    "\"max_position_embeddings\": 64, \"torch_dtype\": \"bfloat16\"}"
/* 39 million parameters: large beside what a test program has anyway. */
#define LARGE_MODEL                                                                                          \
    "{\"model_type\": \"gpt2\", \"vocab_size\": 20000, \"n_embd\": 640, \"n_layer\": 5, \"n_head\": 10, "    \
    "\"n_positions\": 64}"

static struct bench_options options_of(const char *folder, enum norm_form norm_form, enum kv_type kv_type,
                                       size_t threads) {
    return (struct bench_options){.model = folder,
                                  .norm_form = norm_form,
                                  .weights = WEIGHT_TYPE_F32,
                                  .kv_type = kv_type,
                                  .matmul = MATMUL_OWN,
                                  .isa = KERNEL_ISA_AUTO,
                                  .threads = threads};
}

static void test_steps_of_a_random_model(void **state) {
    (void)state;
    struct error e = {0};
    char *folder = test_folder_create();
    struct bench_model *model;
    double seconds;
    assert_ok(bench_write_config(SMALL_MODEL, folder, &e));
    struct bench_options options = options_of(folder, NORM_FORM_NONE, KV_TYPE_AUTO, 2);
    assert_ok(bench_open(&options, &model, &seconds, &e));
    struct bench_item prefill = {.work = BENCH_PREFILL, .tokens = 64};
    struct bench_item decode = {.work = BENCH_DECODE, .tokens = 2, .batch = 3, .context = 9};
    struct bench_cost cost;
    assert_ok(bench_run(model, &prefill, &seconds, &cost, &e));
    assert_true(seconds > 0 && cost.bytes > 0 && cost.flops[WEIGHT_TYPE_F32] > 0);
    double prefill_flops = cost.flops[WEIGHT_TYPE_F32];
    assert_ok(bench_run(model, &decode, &seconds, &cost, &e));
    assert_true(cost.flops[WEIGHT_TYPE_F32] < prefill_flops);
    assert_string_equal(bench_kv_type(model), "f32");
    /* Of 40 positions two whole pages are common: read once. */
    struct bench_item apart = {.work = BENCH_DECODE, .tokens = 2, .batch = 3, .context = 40}, shared = apart;
    struct bench_cost shared_cost;
    shared.shared = true;
    assert_ok(bench_run(model, &apart, &seconds, &cost, &e));
    assert_ok(bench_run(model, &shared, &seconds, &shared_cost, &e));
    assert_true(seconds > 0 && shared_cost.flops[WEIGHT_TYPE_F32] == cost.flops[WEIGHT_TYPE_F32]);
    assert_true(shared_cost.bytes < cost.bytes && shared_cost.bytes > 0.5 * cost.bytes);
    /* 9 prompts of 58 do not fit into one step. */
    struct bench_generation greedy = {.batch = 9, .prompt = 58, .tokens = 2, .top_p = 1};
    struct bench_generation sampled = {.batch = 3, .prompt = 7, .tokens = 20, .temperature = 1, .top_p = 0.9};
    assert_ok(bench_generate(model, &greedy, &seconds, &e));
    assert_true(seconds > 0);
    assert_ok(bench_generate(model, &sampled, &seconds, &e));
    assert_ok(bench_run(model, &decode, &seconds, &cost, &e)); /* with a pool of its own again */
    sampled.prompt = 44;
    assert_int_equal(bench_generate(model, &sampled, &seconds, &e), STATUS_LIMIT);
    sampled.prompt = 7, sampled.batch = 129;
    assert_int_equal(bench_generate(model, &sampled, &seconds, &e), STATUS_LIMIT);
    struct bench_item too_long = {.work = BENCH_PREFILL, .tokens = 65};
    assert_int_equal(bench_run(model, &too_long, &seconds, &cost, &e), STATUS_LIMIT);
    bench_close(model);
    test_folder_remove(folder);
}

/* Every weight of a safetensors file is so large, whatever its type, that the sums of a layer overflow. */
static void spoil_weights(const char *folder) {
    size_t size;
    uint64_t header;
    char *bytes = test_file_read(folder, "model.safetensors", &size);
    memcpy(&header, bytes, sizeof header);
    assert_true(sizeof header + header < size);
    memset(bytes + sizeof header + header, 0x5a, size - sizeof header - header);
    test_file_write(folder, "model.safetensors", bytes, size);
    free(bytes);
}

static void test_a_model_that_overflows_is_refused(void **state) {
    (void)state;
    struct error e = {0};
    char *folder = test_folder_create();
    struct bench_model *model;
    double seconds;
    assert_ok(bench_write_config(SMALL_MODEL, folder, &e));
    spoil_weights(folder);
    struct bench_options options = options_of(folder, NORM_FORM_NONE, KV_TYPE_AUTO, 1);
    assert_ok(bench_open(&options, &model, &seconds, &e));
    struct bench_generation g = {.batch = 3, .prompt = 7, .tokens = 2, .top_p = 1};
    assert_int_equal(bench_generate(model, &g, &seconds, &e), STATUS_MALFORMED);
    assert_non_null(strstr(e.text, "3 of 3 sequences ended early, 3 of them failed"));
    bench_close(model);
    test_folder_remove(folder);
}

/* A decode step at a long context, in bytes of the cache: f16 and bf16 have half of those of f32. */
static void test_cost_counts_the_type_of_the_cache(void **state) {
    (void)state;
    static const struct {
        enum kv_type type;
        double bytes; /* of a position: 2 layers, 4 heads, keys and values of 12 */
    } types[] = {{KV_TYPE_F32, 2 * 4 * 24 * 4},
                 {KV_TYPE_F16, 2 * 4 * 24 * 2},
                 {KV_TYPE_BF16, 2 * 4 * 24 * 2},
                 {KV_TYPE_INT8, 2 * 4 * (24 + 8)}};
    struct error e = {0};
    char *folder = test_folder_create();
    assert_ok(bench_write_config(SMALL_MODEL, folder, &e));
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct bench_options options = options_of(folder, NORM_FORM_CRMSNORM, types[i].type, 1);
        struct bench_model *model;
        struct bench_cost near, far;
        double seconds;
        assert_ok(bench_open(&options, &model, &seconds, &e));
        assert_string_equal(bench_kv_type(model), kv_type_name(types[i].type));
        struct bench_item item = {.work = BENCH_DECODE, .tokens = 1, .batch = 1, .context = 0};
        assert_ok(bench_run(model, &item, &seconds, &near, &e));
        item.context = 60;
        assert_ok(bench_run(model, &item, &seconds, &far, &e));
        assert_true(far.bytes - near.bytes == 60 * types[i].bytes);
        bench_close(model);
    }
    test_folder_remove(folder);
}

static void test_a_gated_model_in_half_precision(void **state) {
    (void)state;
    struct error e = {0};
    struct workers *workers;
    struct loaded_model model;
    char *folder = test_folder_create();
    assert_ok(bench_write_config(SMALL_LLAMA, folder, &e));
    assert_ok(workers_create(2, &workers, &e));
    struct loaded_model_options loading = {.model = folder, .form = NORM_FORM_RMSNORM};
    assert_ok(loaded_model_init(&model, &loading, workers, &e));
    assert_true(model.description.gated && model.description.kv_heads == 2);
    assert_int_equal(model.views.layers[1].gate.weight.tensor->dtype, DTYPE_BF16);
    loaded_model_deinit(&model);
    workers_destroy(workers);
    struct bench_options options = options_of(folder, NORM_FORM_RMSNORM, KV_TYPE_AUTO, 2);
    struct bench_item decode = {.work = BENCH_DECODE, .tokens = 2, .batch = 3, .context = 9};
    struct bench_model *bench;
    struct bench_cost cost;
    double seconds;
    assert_ok(bench_open(&options, &bench, &seconds, &e));
    assert_ok(bench_run(bench, &decode, &seconds, &cost, &e));
    assert_true(seconds > 0 && cost.flops[WEIGHT_TYPE_F32] > 0);
    bench_close(bench);
    test_folder_remove(folder);
}

/* The published numbers of parameters, less norms, biases and a table that is not a head. */
static void test_shapes_have_their_true_sizes(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t weights;
    } shapes[] = {
        {"gpt2-124m", 124439808 - 25 * 2 * 768 - 12 * 9 * 768 - 1024 * 768},
        {"gpt2-1.5b", 1557611200 - 97 * 2 * 1600 - 48 * 9 * 1600 - 1024 * 1600},
        {"smollm2-135m", 134515008 - 61 * 576},
        {"qwen2-0.5b", 494032768 - 49 * 896 - 24 * (896 + 2 * 128)},
        {"llama-1b", 1235814400 - 33 * 2048},
        {"llama-7b", 6738415616 - 65 * 4096 - (size_t)32000 * 4096},
    };
    struct error e = {0};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        size_t weights;
        assert_ok(bench_shape_weights(shapes[i].name, &weights, &e));
        if (weights != shapes[i].weights)
            fail_msg("%s: %zu weights, expected %zu", shapes[i].name, weights, shapes[i].weights);
    }
    for (const char *const *shape = bench_shapes(); *shape; shape++) {
        size_t weights = 0;
        assert_ok(bench_shape_weights(*shape, &weights, &e));
        assert_true(weights > 50u << 20);
    }
}

/* --shape offers all of them, and nothing else. */
static void test_shapes_of_the_option(void **state) {
    (void)state;
    const char *choices = option_rows[OPTION_shape].choices;
    size_t offered = 1, count = 0;
    for (const char *at = choices; (at = strchr(at, '|')); at++) offered++;
    for (const char *const *shape = bench_shapes(); *shape; shape++, count++) {
        char among[OPTION_TEXT_MAX], word[64];
        snprintf(among, sizeof among, "|%s|", choices);
        snprintf(word, sizeof word, "|%s|", *shape);
        if (!strstr(among, word)) fail_msg("--shape does not offer %s", *shape);
    }
    assert_int_equal(offered, count);
}

static void test_unknown_shape(void **state) {
    (void)state;
    struct error e = {0};
    assert_int_equal(bench_write_random("gpt2-9b", "/nonexistent", &e), STATUS_NOT_FOUND);
    assert_non_null(strstr(e.text, "gpt2-124m"));
    assert_non_null(strstr(e.text, "gpt3-xl")); /* the last of them */
}

/* Brown et al. 2020, table 2.1: heads times their dimension are not the width of XL. */
static void test_shapes_of_gpt3(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t layers, width, heads, head_dim;
    } table[] = {
        {"gpt3-small", 12, 768, 12, 64}, {"gpt3-medium", 24, 1024, 16, 64}, {"gpt3-large", 24, 1536, 16, 96},
        {"gpt3-xl", 24, 2048, 24, 128},  {"gpt3-2.7b", 32, 2560, 32, 80},   {"gpt3-6.7b", 32, 4096, 32, 128},
        {"gpt3-13b", 40, 5140, 40, 128},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct error e = {0};
        struct model_description d;
        const struct family *family;
        const char *config = bench_shape_config(table[i].name);
        assert_non_null(config);
        struct describe_texts texts = {.config = config, .config_length = strlen(config)};
        assert_ok(describe_model_texts(&texts, &d, &family, &e));
        assert_int_equal(d.layers, table[i].layers);
        assert_int_equal(d.width, table[i].width);
        assert_int_equal(d.heads, table[i].heads);
        assert_int_equal(d.head_dim, table[i].head_dim);
        assert_int_equal(d.mlp_width, 4 * d.width);
        description_deinit(&d);
    }
    assert_null(bench_shape_config("gpt3-9b"));
}

/* As in XL: random weights of such a shape load and run. */
static void test_heads_that_are_not_the_width(void **state) {
    (void)state;
    struct error e = {0};
    char *folder = test_folder_create();
    struct bench_model *model;
    double seconds;
    assert_ok(bench_write_config("{\"model_type\": \"prenorm\", \"vocab_size\": 97, \"hidden_size\": 32, "
                                 "\"intermediate_size\": 64, \"num_attention_heads\": 3, \"head_dim\": 16, "
                                 "\"num_hidden_layers\": 2, \"max_position_embeddings\": 64}",
                                 folder, &e));
    struct bench_options options = options_of(folder, NORM_FORM_CRMSNORM, KV_TYPE_AUTO, 1);
    assert_ok(bench_open(&options, &model, &seconds, &e));
    struct bench_item prefill = {.work = BENCH_PREFILL, .tokens = 32};
    struct bench_cost cost;
    assert_ok(bench_run(model, &prefill, &seconds, &cost, &e));
    assert_true(seconds > 0 && cost.bytes > 0);
    bench_close(model);
    test_folder_remove(folder);
}

/* ---- the peak of anonymous memory while a model is loaded ---- */

struct watch {
    atomic_bool stop;
    size_t peak;
};

static void *watch_memory(void *context) {
    struct watch *watch = context;
    while (!atomic_load(&watch->stop)) {
        size_t now = memory_anonymous_bytes();
        if (now > watch->peak) watch->peak = now;
        usleep(500);
    }
    return NULL;
}

/* At most the packed model, a tenth of it and 32 MiB: tensors are folded in blocks of rows, never as a
 * whole. */
static void test_peak_of_memory(void **state) {
    (void)state;
    if (SANITIZED) skip(); /* its shadow is anonymous memory too */
    struct error e = {0};
    char *folder = test_folder_create();
    struct workers *workers;
    struct loaded_model model;
    struct watch watch = {.peak = 0};
    pthread_t thread;
    assert_ok(bench_write_config(LARGE_MODEL, folder, &e));
    assert_ok(workers_create(2, &workers, &e));
    size_t before = memory_anonymous_bytes();
    assert_true(before > 0);
    assert_int_equal(pthread_create(&thread, NULL, watch_memory, &watch), 0);
    struct loaded_model_options options = {.model = folder, .form = NORM_FORM_CRMSNORM};
    assert_ok(loaded_model_init(&model, &options, workers, &e));
    atomic_store(&watch.stop, true);
    pthread_join(thread, NULL);
    size_t packed = model.packed.memory_floats * sizeof(float), peak = watch.peak - before;
    print_message("packed %zu MiB, peak %zu MiB\n", packed >> 20, peak >> 20);
    assert_true(peak >= packed / 2); /* it was seen */
    assert_true(peak <= packed + packed / 10 + ((size_t)32 << 20));
    loaded_model_deinit(&model);
    workers_destroy(workers);
    test_folder_remove(folder);
}

/* Whichever takes longer; how fast this machine is is nobody's business here. */
static void test_the_bound_is_the_longer_of_two(void **state) {
    (void)state;
    const struct bench_bounds bounds = {.read_bytes_per_s = 10, .flop_per_s = {1, 2, 4, 4}};
    assert_true(bench_bound_seconds(&bounds, 100, (const double[WEIGHT_TYPE_COUNT]){1, 2, 4, 4}) == 10);
    assert_true(bench_bound_seconds(&bounds, 100, (const double[WEIGHT_TYPE_COUNT]){5, 10, 20, 40}) == 25);
}

static void test_bounds_are_measured(void **state) {
    (void)state;
    struct error e;
    struct bench_bounds bounds;
    assert_ok(bench_measure_bounds(2, KERNEL_ISA_AUTO, &bounds, &e));
    assert_int_equal(bounds.threads, 2);
    assert_true(bounds.read_bytes_per_s > 0 && bounds.near_bytes_per_s > 0);
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++)
        assert_true(bounds.flop_per_s[type] > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_bound_is_the_longer_of_two),
        cmocka_unit_test(test_bounds_are_measured),
        cmocka_unit_test(test_steps_of_a_random_model),
        cmocka_unit_test(test_a_model_that_overflows_is_refused),
        cmocka_unit_test(test_cost_counts_the_type_of_the_cache),
        cmocka_unit_test(test_a_gated_model_in_half_precision),
        cmocka_unit_test(test_shapes_have_their_true_sizes),
        cmocka_unit_test(test_shapes_of_the_option),
        cmocka_unit_test(test_unknown_shape),
        cmocka_unit_test(test_shapes_of_gpt3),
        cmocka_unit_test(test_heads_that_are_not_the_width),
        cmocka_unit_test(test_peak_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
