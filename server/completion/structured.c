#include "server/completion/structured.h"

#include "engine/base/clock.h"
#include "server/api/structured.h"

static enum api_error_kind refuse(const struct api_structured *s, const struct error *cause,
                                  struct api_error *e) {
    switch (cause->code) {
    case STATUS_INVALID_ARGUMENT:
    case STATUS_UNSUPPORTED:
    case STATUS_LIMIT:
    case STATUS_MALFORMED:
        return api_error_set(e, API_INVALID, s->field, "'%s': %s%s%s.", s->field, cause->where,
                             cause->where[0] ? ": " : "", cause->text);
    case STATUS_BUSY:
        return api_error_set(e, API_QUEUE_FULL, NULL,
                             "The server is busy: of schemas and grammars, %s. Try again later.",
                             cause->text);
    case STATUS_NO_MEMORY:
        return api_error_set(e, API_INTERNAL, NULL, "There is not enough memory for this request.");
    default:
        return api_error_set(e, API_INTERNAL, NULL, "'%s' could not be compiled: %s.", s->field,
                             status_name(cause->code));
    }
}

enum api_error_kind structured_read(struct completion *c, const struct json_body *body,
                                    const struct api_limits *limits, struct api_error *e) {
    struct api_structured s = {0};
    struct error cause;
    uint64_t start = clock_thread_ns();
    enum api_error_kind kind = api_structured_read(&s, body->root, limits, e);
    s.source.seconds_spent = body->seconds + (double)(clock_thread_ns() - start) * 1e-9;
    if (kind == API_OK && s.field &&
        engine_grammar_get(c->engine, &s.source, &c->grammar, &cause) != STATUS_OK)
        kind = refuse(&s, &cause, e);
    c->grammar_field = s.field;
    api_structured_deinit(&s);
    return kind;
}
