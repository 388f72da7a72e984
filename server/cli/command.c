#include "server/cli/command.h"

#include "engine/base/log.h"

enum exit_code command_fail(enum exit_code code, const struct error *e) {
    char text[ERROR_LINE_BYTES];
    error_format(e, text, sizeof text);
    log_say("prenormd: %s", text);
    return code;
}

enum exit_code command_fail_run(const struct config *config, struct error *e) {
    return command_fail(config_explain(config, e) ? EXIT_CODE_USAGE : EXIT_CODE_FAILURE, e);
}
