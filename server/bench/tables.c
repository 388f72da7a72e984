#include "server/bench/tables.h"

#include <stdio.h>
#include <stdlib.h>

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare_doubles);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

enum status bench_print_json(json_t *root, size_t digits, struct error *e) {
    bool ok = root && json_dumpf(root, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(digits)) == 0 &&
              putchar('\n') != EOF;
    json_decref(root);
    return ok ? STATUS_OK : error_set(e, STATUS_IO, "standard output", "the JSON can't be written");
}
