/* Embeddings through the door, of a small model: the same bits alone, in company, in chunks, with other threads, and found
 * in the cache or not; near each other in every form. */
#include <math.h>
#include <sched.h>

#include "engine/base/log.h"
#include "tests/unit/engine/api/fixture.h"

enum { WIDTH_MAX = 64, IDS = 40, COMPANY = 5 };

static const char *const models[] = {"tests/golden/families/gpt_neox", "tests/golden/families/llama-llama3",
                                     "tests/golden/families/opt-proj",
                                     "tests/golden/placements/residual-dual"};

static struct engine_options small(const char *model) {
    struct engine_options o = fixture_options(model);
    o.kv_cache_mib = 1;
    o.queue_max = 16;
    o.any_form = true; /* Llama's is another */
    return o;
}

static const int32_t *ids(size_t shift) {
    static int32_t all[COMPANY + 1][IDS];
    for (size_t i = 0; i < IDS; i++) all[shift][i] = 1 + (int32_t)((7 * i + 31 * shift + i * i) % 250);
    return all[shift];
}

static struct engine_prompt prompt_of(const int32_t *from, size_t count, enum engine_pooling pooling) {
    return (struct engine_prompt){.ids = from,
                                  .count = count,
                                  .choices = 1,
                                  .pooling = pooling,
                                  .logprobs = -1,
                                  .sampling = {.top_p = 1, .typical_p = 1, .repetition_penalty = 1}};
}

static struct engine_event wait_for_end(struct engine *engine, struct engine_request *request) {
    struct engine_event event = {0};
    while (event.kind != ENGINE_EVENT_FINISHED) {
        while (engine_next_ready(engine)) {
        }
        while (event.kind != ENGINE_EVENT_FINISHED && engine_request_next_event(request, &event)) {
        }
        sched_yield();
    }
    return event;
}

/* Takes it out of a request, which is released. */
static void take(struct engine *engine, struct engine_request *request, float *out) {
    struct engine_info info;
    engine_info(engine, &info);
    const struct engine_event event = wait_for_end(engine, request);
    assert_int_equal(event.finish, ENGINE_FINISH_STOP);
    assert_non_null(event.embedding);
    assert_true(info.embedding_width <= WIDTH_MAX);
    memset(out, 0, WIDTH_MAX * sizeof *out);
    memcpy(out, event.embedding, info.embedding_width * sizeof *out);
    engine_request_release(request);
}

static void embed(struct engine *engine, const int32_t *from, size_t count, enum engine_pooling pooling,
                  float *out) {
    const struct engine_prompt prompt = prompt_of(from, count, pooling);
    struct engine_request *request;
    struct error e;
    assert_ok(engine_submit(engine, &prompt, 1, &request, &e));
    take(engine, request, out);
}

/* The first of a crowd of embeddings and texts. */
static void embed_in_company(struct engine *engine, enum engine_pooling pooling, float *out) {
    struct engine_prompt prompts[COMPANY + 1];
    struct engine_request *requests[COMPANY + 1];
    struct error e;
    for (size_t i = 0; i <= COMPANY; i++) {
        prompts[i] = prompt_of(ids(i), IDS - 3 * i, i % 2 ? ENGINE_POOLING_NONE : pooling);
        prompts[i].max_tokens = i % 2 ? 12 : 0;
    }
    assert_ok(engine_submit(engine, prompts, COMPANY + 1, requests, &e));
    for (size_t i = 1; i <= COMPANY; i++) {
        wait_for_end(engine, requests[i]);
        engine_request_release(requests[i]);
    }
    take(engine, requests[0], out);
}

static struct engine *opened(const struct engine_options *o) {
    struct engine *engine;
    struct error e;
    assert_ok(engine_open(o, &engine, &e));
    return engine;
}

static void the_same_bits_at_any_load(void **state) {
    (void)state;
    for (size_t m = 0; m < sizeof models / sizeof *models; m++)
        for (enum engine_pooling pooling = ENGINE_POOLING_LAST; pooling <= ENGINE_POOLING_MEAN; pooling++) {
            float alone[WIDTH_MAX], again[WIDTH_MAX];
            struct engine_options o = small(models[m]);
            o.threads = 1;
            struct engine *engine = opened(&o);
            embed(engine, ids(0), IDS, pooling, alone);
            embed(engine, ids(0), IDS, pooling, again); /* of the last, what the cache has is used */
            assert_memory_equal(alone, again, sizeof alone);
            engine_close(engine);
            o.threads = 3, o.step_tokens = 7;
            engine = opened(&o);
            embed_in_company(engine, pooling, again);
            assert_memory_equal(alone, again, sizeof alone);
            engine_close(engine);
        }
}

/* The mean is that of what each token is the last of. */
static void the_mean_is_of_all_tokens(void **state) {
    (void)state;
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        const struct engine_options o = small(models[m]);
        struct engine *engine = opened(&o);
        float mean[WIDTH_MAX], last[WIDTH_MAX];
        double sum[WIDTH_MAX] = {0}, largest = 0;
        for (size_t count = 1; count <= IDS; count++) {
            embed(engine, ids(0), count, ENGINE_POOLING_LAST, last);
            for (size_t k = 0; k < WIDTH_MAX; k++) sum[k] += (double)last[k];
        }
        embed(engine, ids(0), IDS, ENGINE_POOLING_MEAN, mean);
        for (size_t k = 0; k < WIDTH_MAX; k++) largest = fmax(largest, fabs(sum[k] / IDS - (double)mean[k]));
        assert_true(largest < 1e-6);
        engine_close(engine);
    }
}

/* As converted and as published, near each other: f32 rounds differently. */
static void every_form_gives_the_models_own(void **state) {
    (void)state;
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        if (strstr(models[m], "llama")) continue; /* it has one alone */
        float found[2][WIDTH_MAX];
        for (int i = 0; i < 2; i++) {
            struct engine_options o = small(models[m]);
            o.any_form = false;
            o.norm_form = i ? NORM_FORM_CRMSNORM : NORM_FORM_LAYERNORM;
            struct engine *engine = opened(&o);
            embed(engine, ids(0), IDS, ENGINE_POOLING_MEAN, found[i]);
            engine_close(engine);
        }
        double largest = 0, size = 0;
        for (size_t k = 0; k < WIDTH_MAX; k++) {
            largest = fmax(largest, fabs((double)found[0][k] - (double)found[1][k]));
            size = fmax(size, fabs((double)found[0][k]));
        }
        assert_true(size > 0.01 && largest < 1e-5 * fmax(1, size));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_bits_at_any_load),
        cmocka_unit_test(the_mean_is_of_all_tokens),
        cmocka_unit_test(every_form_gives_the_models_own),
    };
    engine_process_init();
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
