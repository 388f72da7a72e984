/* Which kernels run here: the rows of kernels.def that this CPU has the features for. */
#include <stdio.h>
#include <string.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/kernel/variant.h"

static const struct row {
    struct kernel_table table;
    unsigned needed, preferred; /* bits of enum cpu_feature */
} rows[] = {
#define KERNEL_ISA(architecture, set, vectors, own_attention, bf16, int8, int4, features, wanted)            \
    KERNEL_ON_##architecture(                                                                                \
        {                                                                                                    \
            .table =                                                                                         \
                {                                                                                            \
                    .isa = KERNEL_ISA_##set,                                                                 \
                    .name = #set,                                                                            \
                    .gemm_f32 = gemm_f32_##vectors,                                                          \
                    .convert_activations = {NULL, convert_bf16_##bf16, convert_int8_##vectors,               \
                                            convert_int4_##vectors},                                         \
                    .gemm_lowp = {NULL, gemm_bf16_##bf16, gemm_int8_##int8, gemm_int4_##int4},               \
                    .gemm_int8_groups = gemm_int8_groups_##int8,                                             \
                    .join_int8_groups = join_int8_groups_##vectors,                                          \
                    .epilogue_rows = epilogue_rows_##vectors,                                                \
                    .row_scales = row_scales_##vectors,                                                      \
                    .scale_directions = scale_directions_##vectors,                                          \
                    .normalize_rows = normalize_rows_##vectors,                                              \
                    .gate_rows = gate_rows_##vectors,                                                        \
                    .hadamard_rows = hadamard_rows_##vectors,                                                \
                    .soft_cap = soft_cap_##vectors,                                                          \
                    .rotate = rotate_##vectors,                                                              \
                    .store_kv = store_kv_##vectors,                                                          \
                    .attention = attention_##own_attention,                                                  \
                    .attention_chunk = attention_chunk_##own_attention,                                      \
                    .attention_merge = attention_merge_##vectors,                                            \
                    .argmax = argmax_##vectors,                                                              \
                    .exp_sum = exp_sum_##vectors,                                                            \
                    .tile_rows = {KERNEL_ROWS_f32_##vectors, KERNEL_ROWS_bf16_##bf16,                        \
                                  KERNEL_ROWS_int8_##int8, KERNEL_ROWS_int4_##int4},                         \
                    .strip_rows = {KERNEL_MANY_ROWS, KERNEL_STRIP_ROWS_bf16_##bf16,                          \
                                   KERNEL_STRIP_ROWS_int8_##int8, KERNEL_STRIP_ROWS_int4_##int4},            \
                    .peak = {peak_f32_##vectors, peak_bf16_##bf16, peak_int8_##int8, peak_int4_##int4},      \
                },                                                                                           \
            .needed = features,                                                                              \
            .preferred = wanted,                                                                             \
        }, )
#include "engine/kernel/kernels.def"
};

#define ROW_COUNT (sizeof rows / sizeof *rows)

const struct kernel_table *kernel_scalar(void) {
    return &rows[0].table;
}

/* Rows that run here, the scalar one apart. */
static size_t add_rows(unsigned features, bool preferred, const struct kernel_table **tables) {
    size_t count = 0;
    for (const struct row *row = rows + 1; row < rows + ROW_COUNT; row++)
        if ((features & row->needed) == row->needed &&
            ((features & row->preferred) == row->preferred) == preferred)
            tables[count++] = &row->table;
    return count;
}

size_t kernel_available(const struct kernel_table *tables[KERNEL_ISA_COUNT]) {
    const unsigned features = cpu_features();
    size_t count = 0;
    tables[count++] = kernel_scalar();
    count += add_rows(features, false, tables + count);
    count += add_rows(features, true, tables + count);
    return count;
}

enum status kernel_select(enum kernel_isa asked, const struct kernel_table **out, struct error *e) {
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    char available[128] = "auto";
    *out = NULL;
    for (size_t i = 0; i < count; i++) {
        if (asked == tables[i]->isa || (asked == KERNEL_ISA_AUTO && i == count - 1)) {
            *out = tables[i];
            return STATUS_OK;
        }
        size_t length = strlen(available);
        snprintf(available + length, sizeof available - length, ", %s", tables[i]->name);
    }
    return error_set(e, STATUS_OPTION, "isa", "this machine has no %s, expected one of: %s",
                     kernel_isa_name(asked), available);
}

void kernel_features(char *out, size_t size) {
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    const struct kernel_table *best = tables[kernel_available(tables) - 1];
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (&rows[i].table == best) cpu_feature_names(rows[i].needed, out, size);
}
