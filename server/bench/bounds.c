#include "server/bench/tables.h"

#include <stdio.h>

void bench_bounds_print(const struct bench_bounds *b) {
    printf("bounds: read %.1f GB/s from memory, %.0f from second-level caches; GFLOP/s by instruction:",
           b->read_bytes_per_s * 1e-9, b->near_bytes_per_s * 1e-9);
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++)
        printf("%s %s %.0f", type ? "," : "", weight_type_name(type), b->flop_per_s[type] * 1e-9);
    printf("\n");
}

json_t *bench_bounds_json(const struct bench_bounds *b) {
    json_t *rates = json_object();
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++)
        json_object_set_new(rates, weight_type_name(type), json_real(b->flop_per_s[type] * 1e-9));
    return json_pack("{s:f, s:f, s:o}", "read_gb_per_s", b->read_bytes_per_s * 1e-9, "near_gb_per_s",
                     b->near_bytes_per_s * 1e-9, "gflop_per_s", rates);
}

double bench_flops_sum(const double flops[WEIGHT_TYPE_COUNT]) {
    double sum = 0;
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++) sum += flops[type];
    return sum;
}
