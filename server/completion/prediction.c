/* `prediction` in ids, as a text behind the prompt. Runs in the uv pool. */
#include "server/completion/prediction.h"

#include <stdlib.h>
#include <string.h>

#include "server/api/prediction.h"

static enum api_error_kind refuse(const struct error *cause, size_t context, struct api_error *e) {
    if (cause->code == STATUS_NO_MEMORY)
        return api_error_set(e, API_INTERNAL, NULL, "There is not enough memory for this request.");
    if (cause->code == STATUS_LIMIT)
        return api_error_set(e, API_INVALID, "prediction",
                             "'prediction' is longer than this model's context of %zu tokens.", context);
    return api_error_set(e, API_INVALID, "prediction", "'prediction' cannot be encoded: %s.", cause->text);
}

/* Appends the ids of a part. Each is encoded alone: the memory to encode was taken for the longest string. */
static enum status add_part(struct completion *c, const char *text, size_t length, size_t context,
                            struct error *cause) {
    int32_t *ids;
    size_t count, room = context - c->prediction_count;
    if (length == 0) return STATUS_OK;
    if (length > c->text_bytes_max || room == 0)
        return error_set(cause, STATUS_LIMIT, "tokens", "%zu bytes", length);
    enum status status = engine_encode(c->engine, text, length, false, room, &ids, &count, cause);
    if (status != STATUS_OK) return status;
    int32_t *all = realloc(c->prediction, (c->prediction_count + count + 1) * sizeof *all);
    if (all) {
        c->prediction = all;
        memcpy(all + c->prediction_count, ids, count * sizeof *ids);
        c->prediction_count += count;
    }
    free(ids);
    return all ? STATUS_OK : error_set(cause, STATUS_NO_MEMORY, "prediction", "%zu tokens", count);
}

enum api_error_kind prediction_read(struct completion *c, const json_t *body, const struct api_limits *limits,
                                    struct api_error *e) {
    struct api_prediction prediction;
    if (api_prediction_read(&prediction, body, limits, e) != API_OK) return e->kind;
    for (size_t i = 0; i < api_prediction_parts(&prediction); i++) {
        struct error cause;
        size_t length;
        const char *text = api_prediction_part(&prediction, i, &length);
        if (add_part(c, text, length, limits->context, &cause) != STATUS_OK)
            return refuse(&cause, limits->context, e);
    }
    return API_OK;
}
