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
