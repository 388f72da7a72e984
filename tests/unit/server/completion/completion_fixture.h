/* A completion over the fake engine, and events for it by hand. */
#pragma once

#include "tests/support/test_support.h"

#include <jansson.h>

#include "server/completion/completion.h"
#include "tests/support/fake_engine.h"

static struct engine *engine;

static const struct api_limits standard_limits = {.context = FAKE_CONTEXT,
                                                  .vocabulary = FAKE_VOCABULARY,
                                                  .logprobs_max = 20,
                                                  .n_max = 16,
                                                  .choices_max = 128,
                                                  .stops_max = 16,
                                                  .stop_bytes_max = 4500,
                                                  .tokenize_ids_max = 8192,
                                                  .model = "m"};

static inline int setup(void **state) {
    (void)state;
    const struct engine_options options = fake_engine_options();
    struct error e;
    return engine_open(&options, &engine, &e) != STATUS_OK;
}

static inline int teardown(void **state) {
    (void)state;
    engine_close(engine);
    return 0;
}

static inline struct completion *prepare_within(const char *body, struct serving_memory *memory,
                                                struct api_error *e) {
    struct api_limits limits = standard_limits;
    struct completion *c = completion_create(engine, API_COMPLETIONS, "m", "f", NULL);
    assert_non_null(c);
    limits.memory = memory;
    *e = (struct api_error){0};
    completion_prepare(c, body, strlen(body), &limits, e);
    return c;
}

static inline struct completion *prepare(const char *body) {
    struct api_error e;
    struct completion *c = prepare_within(body, NULL, &e);
    if (e.kind != API_OK) fail_msg("%s", e.message);
    return c;
}

static inline json_t *written(struct completion *c) {
    struct bytes out = {0};
    completion_write(&out, c);
    assert_false(out.failed);
    json_t *json = json_loadb(out.data, out.length, 0, NULL);
    assert_non_null(json);
    bytes_deinit(&out);
    return json;
}

static inline json_t *choice_field(const json_t *answer, size_t index, const char *name) {
    return json_object_get(json_array_get(json_object_get(answer, "choices"), index), name);
}

static inline void token(struct prompt *p, uint32_t choice, int32_t id, const char *text, float logprob) {
    struct engine_event event = {.kind = ENGINE_EVENT_TOKEN,
                                 .choice = choice,
                                 .id = id,
                                 .text = text,
                                 .text_length = strlen(text),
                                 .has_logprob = true,
                                 .logprob = logprob};
    completion_event(p, &event);
}

static inline void finish(struct prompt *p, uint32_t choice, const char *text, enum engine_finish how) {
    struct engine_event event = {.kind = ENGINE_EVENT_FINISHED,
                                 .choice = choice,
                                 .finish = how,
                                 .text = text,
                                 .text_length = strlen(text),
                                 .stop_string = -1,
                                 .stop_token = -1,
                                 .completion_tokens = 2,
                                 .cached_tokens = 1};
    completion_event(p, &event);
}

static inline void score(struct prompt *p, int32_t id, bool has_logprob) {
    struct engine_event event = {.kind = ENGINE_EVENT_PROMPT,
                                 .id = id,
                                 .has_logprob = has_logprob,
                                 .logprob = -1,
                                 .text = "",
                                 .rank = 5};
    completion_event(p, &event);
}

static inline enum api_error_kind prepare_refused(const char *body, struct api_error *e) {
    struct completion *c = completion_create(engine, API_COMPLETIONS, "m", "f", NULL);
    assert_non_null(c);
    enum api_error_kind kind = completion_prepare(c, body, strlen(body), &standard_limits, e);
    assert_null(c->ticket);
    completion_destroy(c);
    return kind;
}

static inline void expect_field(const json_t *answer, const char *name, const char *expected) {
    json_t *json = json_loads(expected, JSON_DECODE_ANY, NULL);
    const json_t *found = choice_field(answer, 0, name);
    assert_non_null(json);
    if (!json_equal(found, json)) {
        char *text = json_dumps(found, JSON_ENCODE_ANY);
        fail_msg("%s is %s, not %s", name, text ? text : "absent", expected);
    }
    json_decref(json);
}

static inline struct serving_memory *make_memory(size_t answers_max) {
    struct serving_memory *m = calloc(1, sizeof *m);
    m->values_max = 1000;
    gate_init(&m->reading, 1 << 20);
    m->answers.max = answers_max;
    return m;
}

static inline void free_memory(struct serving_memory *m) {
    assert_int_equal(budget_used(&m->answers), 0);
    serving_memory_deinit(m);
    free(m);
}
