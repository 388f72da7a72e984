/* What an operation reads and writes, said to the thread sanitizer. Its build (cmake/kernel_flags.cmake) leaves the loops of
 * kernels uninstrumented, where each load of a vector would be looked up many times over; instead every operation announces
 * its operands once, so that races on them are seen as before. Of a panel of weights, and of the keys and values of a
 * position, some bytes stand for all: they are written together. Nothing in other builds. */
#pragma once

#include "engine/kernel/variant.h"

#ifdef KERNEL_ANNOUNCED
enum { ANNOUNCES = true };
void __tsan_read_range(const void *first, unsigned long bytes);
void __tsan_write_range(void *first, unsigned long bytes);
#else
enum { ANNOUNCES = false };
#endif

/* Strides and lengths in bytes. from: NULL for what is not there. */
VECTOR_INLINE void announce_read(const void *from, size_t stride, size_t rows, size_t bytes) {
    (void)from, (void)stride, (void)rows, (void)bytes;
#ifdef KERNEL_ANNOUNCED
    for (size_t r = 0; from && r < rows; r++) __tsan_read_range((const char *)from + r * stride, bytes);
#endif
}

VECTOR_INLINE void announce_write(void *to, size_t stride, size_t rows, size_t bytes) {
    (void)to, (void)stride, (void)rows, (void)bytes;
#ifdef KERNEL_ANNOUNCED
    for (size_t r = 0; r < rows; r++) __tsan_write_range((char *)to + r * stride, bytes);
#endif
}

/* Rows of floats; strides and widths in elements. */
VECTOR_INLINE void announce_read_floats(const float *from, size_t stride, size_t rows, size_t width) {
    announce_read(from, stride * sizeof *from, rows, width * sizeof *from);
}

VECTOR_INLINE void announce_write_floats(float *to, size_t stride, size_t rows, size_t width) {
    announce_write(to, stride * sizeof *to, rows, width * sizeof *to);
}

/* The epilogue of columns [first, end) of some rows. */
VECTOR_INLINE void announce_epilogue(const struct gemm *m, size_t row, size_t rows, size_t first,
                                     size_t end) {
    if (!ANNOUNCES) return;
    const size_t width = (end < m->n ? end : m->n) - first;
    announce_read_floats(m->row_scale ? m->row_scale + row : NULL, 0, 1, rows);
    announce_read_floats(m->bias ? m->bias + first : NULL, 0, 1, width);
    if (m->residual)
        announce_read_floats(m->residual + row * m->residual_stride + first, m->residual_stride, rows, width);
    announce_write_floats(m->out + row * m->out_stride + first, m->out_stride, rows, width);
}

/* The same of the tile's columns of some panels. */
VECTOR_INLINE void announce_epilogue_panels(const struct gemm *m, size_t row, size_t rows, size_t panel,
                                            size_t panels) {
    const struct panel_columns columns = kernel_columns(m);
    if (!ANNOUNCES) return;
    for (size_t first = panel * KERNEL_PANEL; panels-- > 0; first += KERNEL_PANEL)
        if (first + columns.first < m->n)
            announce_epilogue(m, row, rows, first + columns.first, first + columns.end);
}

VECTOR_INLINE void announce_panels(const void *panels, size_t panel_bytes, size_t first, size_t count) {
    announce_read((const char *)panels + first * panel_bytes, panel_bytes, count, sizeof(uint64_t));
}

VECTOR_INLINE void announce_gemm_f32(const struct gemm *m, size_t row, size_t rows, size_t panel,
                                     size_t panels) {
    if (!ANNOUNCES) return;
    announce_read_floats(m->x + row * m->x_stride, m->x_stride, rows, m->k);
    announce_panels(m->panels, kernel_panel_bytes(WEIGHT_TYPE_F32, m->k), panel, panels);
    announce_epilogue_panels(m, row, rows, panel, panels);
}

VECTOR_INLINE void announce_lowp_gemm(const struct lowp_gemm *m, enum weight_type type, size_t row,
                                      size_t rows, size_t panel, size_t panels) {
    if (!ANNOUNCES) return;
    const size_t row_bytes = kernel_row_bytes(type, m->base.k);
    announce_read(m->x + row * row_bytes, row_bytes, rows, row_bytes);
    announce_panels(m->panels, kernel_panel_bytes(type, m->base.k), panel, panels);
    announce_epilogue_panels(&m->base, row, rows, panel, panels);
}

VECTOR_INLINE void announce_int8_groups(const struct lowp_gemm *m, size_t row, size_t panel, size_t groups,
                                        float *products) {
    if (!ANNOUNCES) return;
    const size_t row_bytes = kernel_row_bytes(WEIGHT_TYPE_INT8, m->base.k);
    announce_read(m->x + row * row_bytes, row_bytes, 1, row_bytes);
    announce_panels(m->panels, kernel_panel_bytes(WEIGHT_TYPE_INT8, m->base.k), panel, 1);
    announce_write_floats(products, 0, 1, groups * KERNEL_PANEL);
}

VECTOR_INLINE void announce_int8_join(const struct lowp_gemm *m, size_t row, size_t panel, size_t groups,
                                      const float *products) {
    if (!ANNOUNCES) return;
    announce_read_floats(products, 0, 1, groups * KERNEL_PANEL);
    announce_epilogue_panels(&m->base, row, 1, panel, 1);
}

VECTOR_INLINE void announce_conversion(const struct activation_rows *rows, enum weight_type type, size_t row,
                                       size_t count) {
    if (!ANNOUNCES) return;
    const size_t bytes = kernel_row_bytes(type, rows->k), first = rows->first,
                 width = (rows->end ? rows->end : rows->k) - first,
                 element = type == WEIGHT_TYPE_BF16 ? sizeof(uint16_t) : sizeof(int8_t);
    announce_read_floats(rows->x + row * rows->x_stride + first, rows->x_stride, count, width);
    announce_read_floats(rows->smoothing ? rows->smoothing + first : NULL, 0, 1, width);
    if (rows->end == 0)
        announce_write(rows->out + row * bytes, bytes, count, bytes);
    else /* by what an element has at least; scales and sums stand elsewhere */
        announce_write(rows->out + row * bytes + first * element, bytes, count, width * element);
}
