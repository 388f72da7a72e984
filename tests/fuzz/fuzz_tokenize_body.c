/* Bodies of POST /tokenize, /detokenize and /apply-template, each read as all three: what is written must be JSON, whatever
 * came in, and the ids of a text must give it back. */
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "server/api/chat.h"
#include "server/api/tokenize.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/fake_engine.h"

static void on_wake(void *context) {
    (void)context;
}

/* Never changed once it is there, so inputs do not depend on each other. */
static const struct engine *shared_engine(void) {
    static struct engine *engine;
    const struct engine_options options = {.model = "fake", .wake = on_wake, .max_pending_events = 64};
    struct error e;
    if (!engine && engine_open(&options, &engine, &e) != STATUS_OK) abort();
    return engine;
}

static json_t *parse(const struct bytes *out) {
    assert(!out->failed);
    json_t *json = json_loadb(out->data, out->length, JSON_ALLOW_NUL, NULL);
    assert(json_is_object(json));
    return json;
}

static void check_error(const struct api_error *e) {
    struct bytes out = {0};
    api_error_write(&out, e);
    json_decref(parse(&out));
    bytes_deinit(&out);
}

/* The fake engine's ids are the bytes of the text; the control tokens of a chat have no text. */
static void check_tokens(const struct bytes *out, const struct api_limits *limits) {
    json_t *json = parse(out), *tokens = json_object_get(json, "tokens");
    struct bytes body = {0}, text = {0};
    struct api_error e = {0};
    size_t bytes = 0;
    for (size_t i = 0; i < json_array_size(tokens); i++)
        bytes += json_integer_value(json_array_get(tokens, i)) < FAKE_END;
    assert(json_array_size(tokens) == (size_t)json_integer_value(json_object_get(json, "count")));
    assert(json_array_size(tokens) <= limits->tokenize_ids_max);
    char *ids = json_dumps(tokens, JSON_COMPACT);
    assert(ids);
    bytes_format(&body, "{\"tokens\":%s}", ids);
    assert(api_detokenize_body(shared_engine(), limits, body.data, body.length, &text, &e) == API_OK);
    json_t *back = parse(&text);
    assert(json_string_length(json_object_get(back, "prompt")) == bytes);
    json_decref(back);
    free(ids);
    bytes_deinit(&body);
    bytes_deinit(&text);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct api_limits limits = {.context = FAKE_CONTEXT,
                                      .vocabulary = FAKE_VOCABULARY,
                                      .model = "m",
                                      .tokenize_bytes_max = 64,
                                      .tokenize_ids_max = 48,
                                      .refuse_unknown = size % 2};
    struct bytes out = {0};
    struct api_error e = {0};
    if (api_tokenize_body(shared_engine(), &limits, (const char *)data, size, &out, &e) == API_OK)
        check_tokens(&out, &limits);
    else
        check_error(&e);
    bytes_clear(&out);
    if (api_detokenize_body(shared_engine(), &limits, (const char *)data, size, &out, &e) == API_OK)
        json_decref(parse(&out));
    else
        check_error(&e);
    bytes_clear(&out);
    if (api_apply_template_body(shared_engine(), &limits, (const char *)data, size, &out, &e) == API_OK)
        json_decref(parse(&out));
    else
        check_error(&e);
    bytes_deinit(&out);
    return 0;
}
