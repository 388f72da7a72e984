#include "engine/calibrate/head_uses.h"

#include <stdlib.h>

#include "engine/base/memory.h"

size_t head_uses_bytes(size_t positions, size_t rows) {
    return positions * HEAD_USES_MOST * sizeof(struct head_use) + rows * sizeof(uint32_t);
}

enum status head_uses_init(struct head_uses *u, size_t positions, size_t rows, struct error *e) {
    *u = (struct head_uses){0};
    u->uses = memory_aligned_unset(positions * HEAD_USES_MOST, sizeof *u->uses, "uses of the head", e);
    u->last = memory_aligned(rows, sizeof *u->last, "uses of the head", e);
    if (!u->uses || !u->last) {
        head_uses_deinit(u);
        return STATUS_NO_MEMORY;
    }
    for (size_t n = 0; n < rows; n++) u->last[n] = HEAD_USES_END;
    return STATUS_OK;
}

void head_uses_deinit(struct head_uses *u) {
    free(u->uses);
    free(u->last);
    *u = (struct head_uses){0};
}

void head_uses_add(struct head_uses *u, const struct kernel_table *kernels, size_t position,
                   const float *logits, size_t rows) {
    const float max = logits[kernels->argmax(logits, rows)];
    const float sum = kernels->exp_sum(logits, rows, max, 1);
    for (size_t n = 0; n < rows; n++) {
        /* The sum is 1 at least, so no other is HEAD_USE_LEAST; few are left whose power is taken. */
        if (!(logits[n] - max > -7)) continue;
        const float p = kernels->exp_sum(logits + n, 1, max, 1) / sum, weight = p * (1 - p);
        if (!(weight >= HEAD_USE_LEAST)) continue;
        u->uses[u->count] =
            (struct head_use){.position = (uint32_t)position, .next = u->last[n], .weight = weight};
        u->last[n] = (uint32_t)u->count++;
    }
}
