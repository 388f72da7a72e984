#include "engine/text/normalizer.h"

enum status normalizer_init(struct normalizer *n, const struct json_place *place, struct error *e) {
    *n = (struct normalizer){0};
    if (!place->value) return STATUS_OK;
    return json_place_error(place, STATUS_UNSUPPORTED, e, "normalizers are not supported");
}

void normalizer_deinit(struct normalizer *n) {
    *n = (struct normalizer){0};
}

enum status normalizer_run(const struct normalizer *n, struct regex_run *run, struct text_buffer *text,
                           bool *starts_there, struct error *e) {
    (void)n, (void)run, (void)starts_there;
    return text_buffer_status(text, e);
}
