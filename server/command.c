#include "server/command.h"

#include <stdio.h>

enum exit_code command_fail(enum exit_code code, const struct error *e) {
    char text[sizeof e->where + sizeof e->text + 4];
    error_format(e, text, sizeof text);
    fprintf(stderr, "prenormd: %s\n", text);
    return code;
}
