#include <assert.h>

#include "engine/kernel/kernel.h"

void kernel_pack_f32(const double *w, size_t first, size_t count, size_t k, float *panels) {
    assert(first % KERNEL_PANEL == 0);
    for (size_t row = 0; row < count; row += KERNEL_PANEL) {
        float *panel = panels + (first + row) * k;
        size_t rows = count - row < KERNEL_PANEL ? count - row : KERNEL_PANEL;
        for (size_t i = 0; i < k; i++) {
            for (size_t n = 0; n < rows; n++) panel[i * KERNEL_PANEL + n] = (float)w[(row + n) * k + i];
            for (size_t n = rows; n < KERNEL_PANEL; n++) panel[i * KERNEL_PANEL + n] = 0.0f;
        }
    }
}
