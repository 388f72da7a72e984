/* Weights in double precision to the panels that kernels read: each rounded once, to the type that is stored
 * (int4: to float, then to a level). */
#include "engine/pack/panels/panels.h"

#include <assert.h>
#include <float.h>
#include <math.h>

#include "engine/base/widest.h"
#include "engine/pack/panels/int4_group.h"

/* Rows of a part that lie in one panel, `lane` the first. */
struct piece {
    const struct panels_part *part;
    const double *w, *largest;
    size_t lane, rows;
    unsigned char *panel;
};

#define BLOCK 8 /* doubles of a cache line */

/* ---- one panel of each type ---- */

/* Of a float's bits: what is not finite has all of them set. */
#define EXPONENT_F32 0x7f800000u

static inline uint32_t exponent_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits & EXPONENT_F32;
}

/* As much as the widest vectors hold, of one column of floats or two of bf16. */
#define WORDS (KERNEL_PANEL / 3)
typedef uint32_t vector __attribute__((vector_size(4 * WORDS)));

/* Adding `one` to an exponent of ones gives the sign's bit: of each word, or of each half. */
struct exponents {
    uint32_t all, one;
};
static const struct exponents exponents_f32 = {0x7f800000, 0x00800000};
static const struct exponents exponents_bf16 = {0x7f807f80, 0x00800080};

/* Of columns of a panel, whole: rows that are not written yet are 0. A block is looked at while it is in the first-level cache. */
WIDEST static bool are_finite(const void *columns, size_t vectors, struct exponents e) {
    const char *at = columns;
    vector found = {0};
    for (size_t i = 0; i < vectors; i++, at += sizeof found) {
        vector next;
        memcpy(&next, at, sizeof next);
        found |= (next & e.all) + e.one;
    }
    uint32_t any = 0;
    for (size_t i = 0; i < WORDS; i++) any |= found[i];
    return !(any & (e.all + e.one));
}

static bool pack_f32(const struct piece *p) {
    const size_t columns = p->part->columns;
    float *to = (float *)(void *)p->panel + p->part->column * KERNEL_PANEL;
    bool finite = true;
    for (size_t first = 0; first < columns; first += BLOCK) {
        const size_t end = first + BLOCK < columns ? first + BLOCK : columns;
        for (size_t n = 0; n < p->rows; n++)
            for (size_t i = first; i < end; i++)
                to[i * KERNEL_PANEL + p->lane + n] = (float)p->w[n * p->part->stride + i];
        finite = are_finite(to + first * KERNEL_PANEL, (end - first) * KERNEL_PANEL / WORDS, exponents_f32) &&
                 finite;
    }
    return finite;
}

/* Once, from the double: 8 bits of significand, to nearest even. */
static uint16_t bf16_of_double(double value) {
    uint64_t bits;
    if (value != value) return 0x7fc0;
    if (fabs(value) < (double)KERNEL_BF16_MIN) return 0;
    memcpy(&bits, &value, sizeof bits);
    bits = (bits + (((uint64_t)1 << 44) - 1) + (bits >> 45 & 1)) >> 45 << 45;
    memcpy(&value, &bits, sizeof value);
    return kernel_bf16_of((float)value); /* exact, or infinite */
}

static bool pack_bf16(const struct piece *p) {
    uint16_t *to = (uint16_t *)(void *)p->panel + p->part->column * KERNEL_PANEL;
    bool finite = true;
    for (size_t first = 0; first < p->part->columns; first += BLOCK) {
        const size_t end = first + BLOCK < p->part->columns ? first + BLOCK : p->part->columns;
        for (size_t n = 0; n < p->rows; n++)
            for (size_t i = first; i < end; i++)
                to[(i / 2 * KERNEL_PANEL + p->lane + n) * 2 + i % 2] =
                    bf16_of_double(p->w[n * p->part->stride + i]);
        finite = are_finite(to + first * KERNEL_PANEL, (end + 1 - first) / 2 * KERNEL_PANEL / WORDS,
                            exponents_bf16) &&
                 finite;
    }
    return finite;
}

/* The largest magnitude; NaN when one of them is not finite. Magnitudes are in the order of their bits, and what is not
 * finite is beyond all others; and maxima of integers become vectors. */
WIDEST static double largest_of(const double *w, size_t count) {
    int64_t largest = 0;
    double magnitude;
    for (size_t i = 0; i < count; i++) {
        int64_t bits;
        memcpy(&bits, w + i, sizeof bits);
        bits &= INT64_MAX;
        largest = bits > largest ? bits : largest;
    }
    memcpy(&magnitude, &largest, sizeof magnitude);
    return magnitude * 0 == 0 ? magnitude : NAN;
}

/* NaN for weights that are not finite, and q is 0: so are the results. */
static float scale_of(double largest, double levels) {
    return fabs(largest) <= (double)FLT_MAX * levels ? (float)(largest / levels) : NAN;
}

/* What a weight is multiplied by: 0 where the scale is 0 or NaN. */
static double inverse_of(float scale) {
    return fabsf(scale) >= FLT_MIN ? 1 / (double)scale : 0;
}

/* Rounded, and 128 more. None is beyond 127: scales are rounded by less than what would take the largest there. */
WIDEST static void quantize(const double *w, size_t count, double inverse, uint8_t *q) {
    int32_t whole[KERNEL_INT8_GROUP];
    for (size_t i = 0; i < count; i++) whole[i] = (int32_t)(w[i] * inverse + 0x1.8p52 - 0x1.8p52);
    for (size_t i = 0; i < count; i++) q[i] = (uint8_t)(whole[i] + 128);
}

/* Weights of a row to where they lie. */
static void round_to_nearest(const double *w, size_t count, double inverse, uint8_t *packed) {
    uint8_t q[KERNEL_INT8_GROUP];
    quantize(w, count, inverse, q);
    size_t i = 0;
    for (; i + 4 <= count; i += 4) memcpy(packed + i * KERNEL_PANEL, q + i, 4);
    memcpy(packed + i * KERNEL_PANEL, q + i, count - i);
}

/* A group of a row, from its first weight on, but for blocks that are rounded with feedback; returns its scale. feedback: of the
 * group's first block, or NULL. */
static float pack_group_int8(const double *w, size_t count, const struct feedback_block *feedback,
                             uint8_t *packed) {
    const float scale = scale_of(largest_of(w, count), 127);
    const double inverse = inverse_of(scale);
    const size_t step = feedback ? FEEDBACK_COLUMNS : count;
    for (size_t i = 0; inverse != 0 && i < count; i += step) {
        if (feedback && feedback[i / FEEDBACK_COLUMNS].rank) continue;
        round_to_nearest(w + i, count - i < step ? count - i : step, inverse, packed + i * KERNEL_PANEL);
    }
    return scale;
}

/* The first `columns` of a block of rows [row, +count), in units of their scales; zeros are those beyond, and rows that have no
 * scale. */
static void read_block(const struct piece *p, size_t row, size_t count, size_t column, size_t columns,
                       const float *scales, struct feedback_rows *rows) {
    if (count < FEEDBACK_ROWS || columns < FEEDBACK_COLUMNS) memset(rows, 0, sizeof *rows);
    for (size_t n = 0; n < count; n++) {
        const double *w = p->w + (row + n) * p->part->stride + column, inverse = inverse_of(scales[row + n]);
        for (size_t i = 0; i < columns; i++) rows->at[i][n] = inverse != 0 ? (float)(w[i] * inverse) : 0;
    }
}

/* Four columns of a block. */
WIDEST static void pack_four(const struct feedback_rows *rows, size_t first, uint32_t words[FEEDBACK_ROWS]) {
    for (size_t n = 0; n < FEEDBACK_ROWS; n++) words[n] = 0;
    for (size_t b = 0; b < 4; b++)
        for (size_t n = 0; n < FEEDBACK_ROWS; n++)
            words[n] |= (uint32_t)((int32_t)rows->at[first + b][n] + 128) << 8 * b;
}

/* A block of all rows. column: of the part. */
static void pack_block_with_feedback(const struct piece *p, const struct feedback_block *block, size_t column,
                                     const float *scales) {
    const struct panels_part *part = p->part;
    const size_t left = part->columns - column, columns = left < FEEDBACK_COLUMNS ? left : FEEDBACK_COLUMNS;
    uint8_t *packed = p->panel + (part->column + column) * KERNEL_PANEL + p->lane * 4;
    for (size_t row = 0, count; row < p->rows; row += count) {
        struct feedback_rows rows;
        uint32_t words[FEEDBACK_ROWS];
        count = p->rows - row < FEEDBACK_ROWS ? p->rows - row : FEEDBACK_ROWS;
        read_block(p, row, count, column, columns, scales, &rows);
        feedback_round(block, &rows);
        for (size_t i = 0; i < columns; i += 4) {
            pack_four(&rows, i, words);
            memcpy(packed + i * KERNEL_PANEL + row * 4, words, count * sizeof *words);
        }
    }
}

static bool pack_int8(const struct piece *p) {
    uint32_t largest = 0;
    const struct panels_part *part = p->part;
    const size_t group_k = kernel_int8_group_k(part->k);
    float *scales = (float *)(void *)(p->panel + kernel_padded_k(part->k) * KERNEL_PANEL) +
                    part->column / group_k * KERNEL_PANEL + p->lane;
    for (size_t first = 0; first < part->columns; first += group_k, scales += KERNEL_PANEL) {
        const size_t left = part->columns - first, count = left < group_k ? left : group_k;
        const struct feedback_block *feedback =
            part->feedback ? part->feedback + (part->column + first) / FEEDBACK_COLUMNS : NULL;
        for (size_t n = 0; n < p->rows; n++) {
            scales[n] = pack_group_int8(p->w + n * part->stride + first, count, feedback,
                                        p->panel + (part->column + first) * KERNEL_PANEL + (p->lane + n) * 4);
            largest = exponent_of(scales[n]) > largest ? exponent_of(scales[n]) : largest;
        }
        for (size_t i = 0; feedback && i < count; i += FEEDBACK_COLUMNS)
            if (feedback[i / FEEDBACK_COLUMNS].rank)
                pack_block_with_feedback(p, &feedback[i / FEEDBACK_COLUMNS], first + i, scales);
    }
    return largest < EXPONENT_F32;
}

/* ---- int4: groups of weights to 4 bits each ---- */

/* INT4_ROWS rows at most. */
struct int4_rows {
    const double *w[INT4_ROWS];
    double inverse[INT4_ROWS];
    float scale[INT4_ROWS];
};

static void find_rows(const struct piece *p, size_t first, size_t rows, struct int4_rows *out) {
    for (size_t n = 0; n < INT4_ROWS; n++) {
        const size_t row = first + (n < rows ? n : 0);
        out->w[n] = p->w + row * p->part->stride;
        out->scale[n] = scale_of(p->largest[row], 127);
        out->inverse[n] = inverse_of(out->scale[n]);
    }
}

/* `count` weights of each row from `first` on; those beyond, whose activations are 0, repeat them. */
static void read_groups(const struct int4_rows *rows, size_t first, size_t count,
                        struct int4_groups *groups) {
    for (size_t n = 0; n < INT4_ROWS; n++) {
        const double *w = rows->w[n] + first, inverse = rows->inverse[n];
        for (size_t i = 0; i < count; i++) groups->x[i][n] = inverse != 0 ? (float)(w[i] * inverse) : 0;
        for (size_t i = count; i < KERNEL_INT4_GROUP; i++) groups->x[i][n] = groups->x[i - count][n];
    }
}

/* Four levels of the lower half of a group, and those of the upper one beside them. */
WIDEST static void pack_levels(const struct int4_groups *groups, size_t first, uint32_t words[INT4_ROWS]) {
    for (size_t n = 0; n < INT4_ROWS; n++) words[n] = 0;
    for (size_t b = 0; b < 4; b++)
        for (size_t n = 0; n < INT4_ROWS; n++) {
            const int32_t low = (int32_t)groups->q[first + b][n] + 8;
            const int32_t high = (int32_t)groups->q[first + b + KERNEL_INT4_GROUP / 2][n] + 8;
            words[n] |= (uint32_t)(low + high * 16) << 8 * b;
        }
}

/* Rows without a scale keep the zeros that the panel was cleared to. packed, scale_offset: of the first row. */
static void write_groups(const struct int4_groups *groups, const struct int4_rows *rows, size_t count,
                         uint8_t *packed, int8_t *scale_offset) {
    for (size_t s = 0; s < KERNEL_INT4_GROUP / 2; s += 4) {
        uint32_t words[INT4_ROWS];
        pack_levels(groups, s, words);
        for (size_t n = 0; n < count; n++)
            if (rows->inverse[n] != 0) memcpy(packed + s * KERNEL_PANEL + 4 * n, &words[n], sizeof *words);
    }
    for (size_t n = 0; n < count; n++) {
        if (rows->inverse[n] == 0) continue;
        scale_offset[2 * n] = (int8_t)groups->m[n];
        scale_offset[2 * n + 1] = (int8_t)groups->c[n];
    }
}

static bool pack_int4(const struct piece *p) {
    uint32_t largest = 0;
    const size_t padded = kernel_padded_k(p->part->k), columns = p->part->columns;
    unsigned char *groups_at = p->panel + padded / 2 * KERNEL_PANEL;
    float *scales = (float *)(void *)(groups_at + padded / KERNEL_INT4_GROUP * KERNEL_PANEL * 2);
    for (size_t n = 0, count; n < p->rows; n += count) {
        struct int4_rows rows;
        count = p->rows - n < INT4_ROWS ? p->rows - n : INT4_ROWS;
        find_rows(p, n, count, &rows);
        for (size_t i = 0; i < columns; i += KERNEL_INT4_GROUP) {
            struct int4_groups groups;
            const size_t at = p->part->column + i, lane = p->lane + n;
            read_groups(&rows, i, columns - i < KERNEL_INT4_GROUP ? columns - i : KERNEL_INT4_GROUP, &groups);
            int4_groups_fit(&groups);
            write_groups(&groups, &rows, count, p->panel + at / 2 * KERNEL_PANEL + lane * 4,
                         (int8_t *)groups_at + (at / KERNEL_INT4_GROUP * KERNEL_PANEL + lane) * 2);
        }
        memcpy(scales + p->lane + n, rows.scale, count * sizeof *scales);
        for (size_t i = 0; i < count; i++)
            largest = exponent_of(rows.scale[i]) > largest ? exponent_of(rows.scale[i]) : largest;
    }
    return largest < EXPONENT_F32;
}

/* ---- parts ---- */

size_t panels_columns_step(enum weight_type type, size_t k) {
    return type == WEIGHT_TYPE_INT8 ? kernel_int8_group_k(k) : KERNEL_LOWP_K;
}

void panels_measure(const struct panels_part *p, double *largest) {
    for (size_t n = 0; n < p->rows; n++) {
        const double found = largest_of(p->w + n * p->stride, p->columns);
        if (!(found <= largest[n])) largest[n] = largest[n] != largest[n] ? largest[n] : found;
    }
}

/* A panel's columns [column, end): what is there where no weight is. */
static void clear(const struct panels_part *p, unsigned char *panel) {
    const size_t padded = kernel_padded_k(p->k), step = panels_columns_step(p->type, p->k);
    const bool last = p->column + p->columns == p->k;
    const size_t end = last ? padded : p->column + p->columns;
    const size_t groups = (end - p->column + step - 1) / step;
    unsigned char *scales = panel + padded * KERNEL_PANEL, *offsets = panel + padded / 2 * KERNEL_PANEL;
    switch (p->type) {
    case WEIGHT_TYPE_BF16:
        memset(panel + p->column * KERNEL_PANEL * 2, 0, (end - p->column) * KERNEL_PANEL * 2);
        break;
    case WEIGHT_TYPE_INT8:
        memset(panel + p->column * KERNEL_PANEL, 128, (end - p->column) * KERNEL_PANEL);
        memset(scales + p->column / step * KERNEL_PANEL * 4, 0, groups * KERNEL_PANEL * 4);
        break;
    case WEIGHT_TYPE_INT4:
        memset(panel + p->column / 2 * KERNEL_PANEL, 0x88, (end - p->column) / 2 * KERNEL_PANEL);
        memset(offsets + p->column / KERNEL_INT4_GROUP * KERNEL_PANEL * 2, 0,
               (end - p->column) / KERNEL_INT4_GROUP * KERNEL_PANEL * 2);
        memset(offsets + padded / KERNEL_INT4_GROUP * KERNEL_PANEL * 2, 0, KERNEL_PANEL * 4);
        break;
    case WEIGHT_TYPE_F32:
    case WEIGHT_TYPE_COUNT:
        memset(panel + p->column * KERNEL_PANEL * 4, 0, p->columns * KERNEL_PANEL * 4);
        break;
    }
}

static bool pack_piece(const struct piece *p) {
    if (p->lane == 0) clear(p->part, p->panel);
    switch (p->part->type) {
    case WEIGHT_TYPE_BF16:
        return pack_bf16(p);
    case WEIGHT_TYPE_INT8:
        return pack_int8(p);
    case WEIGHT_TYPE_INT4:
        return pack_int4(p);
    case WEIGHT_TYPE_F32:
    case WEIGHT_TYPE_COUNT:
        break;
    }
    return pack_f32(p);
}

bool panels_pack_part(const struct panels_part *part, void *panels) {
    bool finite = true;
    const size_t bytes = kernel_panel_bytes(part->type, part->k), end = part->row + part->rows;
    assert(part->column % panels_columns_step(part->type, part->k) == 0 && end <= part->n);
    for (size_t row = part->row, rows; row < end; row += rows) {
        const size_t lane = row % KERNEL_PANEL;
        rows = end - row < KERNEL_PANEL - lane ? end - row : KERNEL_PANEL - lane;
        const struct piece piece = {
            .part = part,
            .w = part->w + (row - part->row) * part->stride,
            .largest = part->largest ? part->largest + (row - part->row) : NULL,
            .lane = lane,
            .rows = rows,
            .panel = (unsigned char *)panels + row / KERNEL_PANEL * bytes,
        };
        finite = pack_piece(&piece) && finite;
    }
    return finite;
}

void panels_pack(enum weight_type type, const double *w, size_t first, size_t count, size_t k, void *panels) {
    assert(first % KERNEL_PANEL == 0);
    for (size_t row = 0; row < count; row += KERNEL_PANEL) {
        double largest[KERNEL_PANEL] = {0};
        const struct panels_part part = {
            .type = type,
            .n = first + count,
            .k = k,
            .row = first + row,
            .rows = count - row < KERNEL_PANEL ? count - row : KERNEL_PANEL,
            .columns = k,
            .w = w + row * k,
            .stride = k,
            .largest = largest,
        };
        if (type == WEIGHT_TYPE_INT4) panels_measure(&part, largest);
        panels_pack_part(&part, panels);
    }
}
