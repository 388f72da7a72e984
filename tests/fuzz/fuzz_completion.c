/* Bodies of POST /v1/completions, /v1/chat/completions and /infill, by the field that only one of them has: parsed,
 * checked, turned into ids, and answered by the fake engine's first events. What is written must be JSON, whatever came in. */
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "server/completion/completion.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/fake_engine.h"

static void on_wake(void *context) {
    (void)context;
}

/* Never changed once it is there, so inputs do not depend on each other. */
static struct engine *shared_engine(void) {
    static struct engine *engine;
    const struct engine_options options = {
        .model = "fake", .wake = on_wake, .max_pending_events = 64, .queue_max = 32};
    struct error e;
    if (!engine && engine_open(&options, &engine, &e) != STATUS_OK) abort();
    return engine;
}

static void score(struct prompt *p) {
    const struct engine_top top[] = {{'a', -0.5f}, {'"', -1}};
    for (size_t i = 0; i < p->count; i++) {
        struct engine_event event = {.kind = ENGINE_EVENT_PROMPT,
                                     .id = p->ids[i],
                                     .text = "",
                                     .has_logprob = i > 0,
                                     .logprob = -2,
                                     .rank = 3,
                                     .top = top,
                                     .top_count = 2};
        completion_event(p, &event);
    }
}

static bool is_scored(const struct api_params *params) {
    return params->prompt_logprobs >= 0 || (params->echo && params->logprobs >= 0);
}

/* What the answer would be if every choice ended after one token. */
static void check_answer(struct completion *c) {
    for (size_t i = 0; i < c->prompt_count && is_scored(&c->params); i++) score(&c->prompts[i]);
    for (size_t i = 0; i < c->prompt_count; i++)
        for (uint32_t j = 0; j < (uint32_t)c->params.best_of; j++) {
            struct engine_event event = {
                .kind = ENGINE_EVENT_TOKEN, .choice = j, .id = 'a', .text = "\xff\"", .text_length = 2};
            completion_event(&c->prompts[i], &event);
            event = (struct engine_event){.kind = ENGINE_EVENT_FINISHED,
                                          .choice = j,
                                          .finish = ENGINE_FINISH_STOP,
                                          .text = "",
                                          .stop_string = c->params.stop_count ? 0 : -1,
                                          .stop_token = 'a'};
            completion_event(&c->prompts[i], &event);
        }
    struct bytes out = {0};
    completion_write(&out, c);
    json_t *json = json_loadb(out.data, out.length, JSON_ALLOW_NUL, NULL);
    assert(json);
    json_decref(json);
    bytes_deinit(&out);
}

static enum api_endpoint endpoint_of(const uint8_t *data, size_t size) {
    if (size && memmem(data, size, "\"messages\"", 10)) return API_CHAT;
    return size && memmem(data, size, "\"input_suffix\"", 14) ? API_INFILL : API_COMPLETIONS;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct api_limits limits = {.context = FAKE_CONTEXT,
                                      .vocabulary = FAKE_VOCABULARY,
                                      .logprobs_max = 20,
                                      .n_max = 16,
                                      .choices_max = 32,
                                      .stops_max = 16,
                                      .tokenize_bytes_max = 4096,
                                      .tokenize_ids_max = 4096,
                                      .stop_bytes_max = 4096,
                                      .model = "m",
                                      .refuse_unknown = size % 2};
    struct api_error e = {0};
    struct completion *c = completion_create(shared_engine(), endpoint_of(data, size), "m", "f", NULL);
    assert(c);
    if (completion_prepare(c, (const char *)data, size, &limits, &e) == API_OK)
        check_answer(c);
    else {
        struct bytes out = {0};
        api_error_write(&out, &e);
        json_t *json = json_loadb(out.data, out.length, JSON_ALLOW_NUL, NULL);
        assert(json);
        json_decref(json);
        bytes_deinit(&out);
    }
    completion_destroy(c);
    return 0;
}
