/* What the models share: the token for what they do not know, and the 256 tokens "<0x00>".."<0xFF>" that
 * spell a text byte by byte. */
#pragma once

#include "engine/base/error.h"
#include "engine/files/json_path.h"
#include "engine/text/containers/token_list.h"
#include "engine/text/token_model/vocabulary.h"

struct unknown {
    char *content; /* as the file has it; NULL: none is named */
    int32_t id;    /* -1: it is not in the vocabulary, which matters only once it is needed */
};

/* Reads "unk_token" of the model; otherwise: what it is where the file has none (may be NULL). */
enum status unknown_read(struct unknown *u, const struct json_path *model, const char *fallback,
                         const struct vocabulary *v, struct error *e);
void unknown_deinit(struct unknown *u);
/* Why a text cannot be encoded: it needs the unknown token, and there is none. */
enum status unknown_error(const struct unknown *u, struct error *e);

/* ids[byte], -1 where the vocabulary has no such token. */
void byte_tokens_find(const struct vocabulary *v, int32_t ids[256]);
/* Appends the tokens of all bytes if each has one. *spelled: whether that was so. */
enum status byte_tokens_spell(const int32_t ids[256], const char *text, size_t length, struct token_list *out,
                              bool *spelled, struct error *e);
