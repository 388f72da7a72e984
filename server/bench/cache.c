#include "server/bench/tables.h"

#include <stdio.h>

/* Of the packed weights, without scales and padding. */
static double bytes_of(const char *shape, enum weight_type type) {
    static const double bytes_each[WEIGHT_TYPE_COUNT] = {4, 2, 1, 0.5};
    struct error e;
    size_t weights = 0;
    if (bench_shape_weights(shape, &weights, &e) != STATUS_OK) return 0;
    return (double)weights * bytes_each[type];
}

static bool is_beyond(const struct bench_bounds *bounds, double bytes) {
    return bounds->cache_bytes > 0 && bytes > (double)bounds->cache_bytes;
}

void bench_cache_print(const struct bench_bounds *bounds, size_t weight_bytes, enum weight_type weights) {
    double share = (double)weight_bytes / (double)bounds->cache_bytes;
    const char *separator = "";
    if (bounds->cache_bytes == 0) return;
    printf("weights are %.2g times the last-level cache of %.0f MB", share,
           (double)bounds->cache_bytes * 1e-6);
    if (is_beyond(bounds, (double)weight_bytes)) {
        printf("\n");
        return;
    }
    printf(": they may never leave it. Beyond it in %s: ", weight_type_name(weights));
    for (const char *const *shape = bench_shapes(); *shape; shape++) {
        if (!is_beyond(bounds, bytes_of(*shape, weights))) continue;
        printf("%s%s", separator, *shape);
        separator = ", ";
    }
    printf("%s\n", *separator ? "" : "no shape");
}

json_t *bench_cache_json(const struct bench_bounds *bounds, size_t weight_bytes, enum weight_type weights) {
    json_t *beyond = json_array();
    for (const char *const *shape = bench_shapes(); *shape; shape++)
        if (is_beyond(bounds, bytes_of(*shape, weights))) json_array_append_new(beyond, json_string(*shape));
    return json_pack("{s:I, s:I, s:b, s:o}", "weight_bytes", (json_int_t)weight_bytes, "last_level_bytes",
                     (json_int_t)bounds->cache_bytes, "weights_exceed_it",
                     is_beyond(bounds, (double)weight_bytes), "shapes_beyond", beyond);
}
