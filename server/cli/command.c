#include "server/cli/command.h"

#include "engine/base/log.h"

enum exit_code command_fail(enum exit_code code, const struct error *e) {
    char text[sizeof e->where + sizeof e->text + 4];
    error_format(e, text, sizeof text);
    log_say("prenormd: %s", text);
    return code;
}
