/* Where each row of the head matters. An error d of a token's logit changes the probabilities of a position by a KL of
 * p (1 - p) d^2 / 2, as long as the errors of others are independent of it: so at positions where the token is neither
 * certain nor out of the question. */
#pragma once

#include <stdint.h>

#include "engine/kernel/kernel.h"

/* The least p (1 - p) that counts, and of how many tokens it can be at one position. */
#define HEAD_USE_LEAST 0x1p-9f
#define HEAD_USES_MOST 512

struct head_use {
    uint32_t position;
    uint32_t next; /* index of one of the same row, at an earlier position; HEAD_USES_END behind the last */
    float weight;  /* p (1 - p) */
};

#define HEAD_USES_END UINT32_MAX

struct head_uses {
    size_t count;
    struct head_use *uses;
    uint32_t *last; /* [rows]: index of the last use of each row, or HEAD_USES_END */
};

/* Positions: HEAD_USES_POSITIONS at most, for uses have numbers of 32 bits. */
#define HEAD_USES_POSITIONS ((UINT32_MAX - 1) / HEAD_USES_MOST)
size_t head_uses_bytes(size_t positions, size_t rows);
enum status head_uses_init(struct head_uses *u, size_t positions, size_t rows, struct error *e);
void head_uses_deinit(struct head_uses *u);

/* Those of one position, whose logits [rows] these are. Each position once. */
void head_uses_add(struct head_uses *u, const struct kernel_table *kernels, size_t position,
                   const float *logits, size_t rows);

/* The use at an index; NULL for HEAD_USES_END. */
static inline const struct head_use *head_use_at(const struct head_uses *u, uint32_t index) {
    return index == HEAD_USES_END ? NULL : &u->uses[index];
}
