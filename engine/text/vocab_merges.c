#include "engine/text/vocab_merges.h"

enum status vocab_merges_load(const char *folder, size_t bytes_max, json_t **out, struct error *e) {
    (void)bytes_max, (void)out;
    return error_set(e, STATUS_NOT_FOUND, folder, "no tokenizer.json");
}
