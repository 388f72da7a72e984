#include "server/api/api_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/json/write.h"

struct kind {
    unsigned status;
    const char *type, *code, *reason;
};

static const struct kind kinds[API_ERROR_COUNT] = {[API_OK] = {200, "", NULL, "none"},
#define X(kind, status, type, code, reason) [API_##kind] = {status, type, code, reason},
                                                   API_ERROR_LIST(X)
#undef X
};

static const char *const meanings[API_ERROR_COUNT] = {
    [API_OK] = "The request was answered.",
    [API_INVALID] =
        "The body is no JSON object, or a field has a value that it must not have; param names the field.",
    [API_MALFORMED] = "The line or the header of the request is not what HTTP allows.",
    [API_CONTEXT_LENGTH] = "The prompt has more tokens than the context, or leaves no room for one.",
    [API_UNAUTHORIZED] = "No key, or one that is not known.",
    [API_NOT_FOUND] =
        "There is no such path; the message says what there is instead of those that other servers have.",
    [API_MODEL_NOT_FOUND] = "Another model is served.",
    [API_METHOD] = "The path has other methods; the header Allow names them.",
    [API_TIMEOUT] =
        "The request's time was over before anything was generated, or its body did not come in time.",
    [API_BODY_TOO_LARGE] =
        "The body, its values or the memory that the request or its answer takes are more than is allowed.",
    [API_TARGET_TOO_LONG] = "The path is longer than any that there is.",
    [API_CONTENT_TYPE] = "The body is said to be something else than JSON, or to be compressed.",
    [API_QUEUE_FULL] = "As much as can wait is waiting; the header Retry-After says when to come again.",
    [API_CLIENT_LIMIT] = "This client has as many requests under way as it may have.",
    [API_HEADER_TOO_LARGE] = "The header has more bytes or lines than are allowed.",
    [API_INTERNAL] = "The fault is the server's; its log has the reason under the request's id.",
    [API_CODING] = "The body is sent in a way that is not known.",
    [API_LOADING] = "The model is being loaded; the header Retry-After says when to come again.",
    [API_DRAINING] = "The server is shutting down.",
    [API_STUCK] = "The engine makes no progress though requests wait. Only /health and /ready say it.",
};

/* What was cut inside a character goes, wherever in the text it was cut ("%.40s" does): a client's error must
 * not make the text ill-formed. */
static void drop_broken_characters(char *text) {
    size_t length = strlen(text), kept = 0;
    for (size_t i = 0; i < length;) {
        size_t step = utf8_sequence_length(text + i, length - i);
        memmove(text + kept, text + i, step);
        kept += step;
        i += step ? step : 1;
    }
    text[kept] = '\0';
}

enum api_error_kind api_error_set(struct api_error *e, enum api_error_kind kind, const char *param,
                                  const char *format, ...) {
    va_list args;
    va_start(args, format);
    e->kind = kind;
    snprintf(e->param, sizeof e->param, "%s", param ? param : "");
    vsnprintf(e->message, sizeof e->message, format, args);
    va_end(args);
    drop_broken_characters(e->param);
    drop_broken_characters(e->message);
    return kind;
}

unsigned api_error_status(enum api_error_kind kind) {
    return kinds[kind].status;
}

bool api_error_is_final(unsigned status) {
    return status == 408 || status == 500;
}

const char *api_error_reason(enum api_error_kind kind) {
    return kinds[kind].reason;
}

const char *api_error_meaning(enum api_error_kind kind) {
    return meanings[kind];
}

void api_error_write_member(struct bytes *out, const struct api_error *e) {
    bytes_text(out, "\"error\":{\"message\":");
    json_write_text(out, e->message);
    bytes_text(out, ",\"type\":");
    json_write_text(out, kinds[e->kind].type);
    bytes_text(out, ",\"param\":");
    json_write_text(out, e->param[0] ? e->param : NULL);
    bytes_text(out, ",\"code\":");
    json_write_text(out, kinds[e->kind].code);
    bytes_text(out, "}");
}

void api_error_write(struct bytes *out, const struct api_error *e) {
    bytes_text(out, "{");
    api_error_write_member(out, e);
    bytes_text(out, "}");
}
