/* Embeddings: what is held of them, and their part of an answer (answer_shape_embedding). */
#pragma once

#include "server/completion/completion.h"

/* Bytes of one embedding as the engine gives it; 0 where none is made. */
size_t embedding_bytes(const struct completion *c);

/* Bytes that so many bytes of floats take in an answer, at most; and of all that the completion will have. */
size_t embedding_answer_bytes(size_t bytes);
size_t embedding_answers_bytes(const struct completion *c);
