#include "engine/text/token_model/unknown.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum status unknown_read(struct unknown *u, const struct json_path *model, const char *fallback,
                         const struct vocabulary *v, struct error *e) {
    const char *content;
    size_t length;
    *u = (struct unknown){.id = -1};
    if (!fallback && !json_path_member(model, "unk_token").value) return STATUS_OK;
    enum status status = json_path_string(model, "unk_token", fallback, &content, &length, e);
    if (status != STATUS_OK) return status;
    u->content = strdup(content);
    u->id = vocabulary_find(v, content, length);
    return u->content ? STATUS_OK : text_no_memory(e);
}

void unknown_deinit(struct unknown *u) {
    free(u->content);
    *u = (struct unknown){.id = -1};
}

enum status unknown_error(const struct unknown *u, struct error *e) {
    if (!u->content)
        return error_set(e, STATUS_INVALID_ARGUMENT, "tokenizer",
                         "the text has something that the vocabulary lacks, and no unknown token is named");
    return error_set(e, STATUS_INVALID_ARGUMENT, "tokenizer",
                     "the text has something that the vocabulary lacks, and so is its unk_token '%s'",
                     u->content);
}

void byte_tokens_find(const struct vocabulary *v, int32_t ids[256]) {
    for (unsigned byte = 0; byte < 256; byte++) {
        char name[8];
        int length = snprintf(name, sizeof name, "<0x%02X>", byte);
        ids[byte] = vocabulary_find(v, name, (size_t)length);
    }
}

enum status byte_tokens_spell(const int32_t ids[256], const char *text, size_t length, struct token_list *out,
                              bool *spelled, struct error *e) {
    *spelled = false;
    for (size_t i = 0; i < length; i++)
        if (ids[(unsigned char)text[i]] < 0) return STATUS_OK;
    for (size_t i = 0; i < length; i++)
        if (!token_list_add(out, ids[(unsigned char)text[i]])) return text_no_memory(e);
    *spelled = true;
    return STATUS_OK;
}
