#include "server/json/print.h"

#include <stdbool.h>
#include <stdio.h>

enum status json_print(json_t *root, size_t flags, struct error *e) {
    bool is_written =
        root && json_dumpf(root, stdout, flags) == 0 && putchar('\n') != EOF && fflush(stdout) == 0;
    json_decref(root);
    return is_written ? STATUS_OK : error_set(e, STATUS_IO, "standard output", "the JSON can't be written");
}
