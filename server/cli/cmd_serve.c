#include "server/cli/command.h"
#include "server/cli/engine_setup.h"
#include "server/daemon/server.h"
#include "server/service/tls.h"

enum exit_code cmd_serve(const struct config *config) {
    /* A stop while the model loads leaves the loading thread behind, which still reads this. */
    static struct engine_setup setup;
    struct error e;
    if (tls_check_priorities(config->tls_priorities, &e) != STATUS_OK)
        return command_fail(EXIT_CODE_USAGE, &e);
    if (engine_setup_init(&setup, config, &e) != STATUS_OK) return command_fail(EXIT_CODE_USAGE, &e);
    enum status status = engine_options_check(&setup.options, &e);
    if (status == STATUS_OK) status = server_run(config, &setup.options, &e);
    progress_end(&setup.progress);
    return status == STATUS_OK ? EXIT_CODE_OK : command_fail_run(config, &e);
}
