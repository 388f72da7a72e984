/* prenormd-fake: the command serve over the fake engine, with the settings of fake_engine.h as --model. */
#include <stdio.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "server/cli/command.h"
#include "server/daemon/server.h"

int main(int argc, char **argv) {
    static struct config config;
    struct error e;
    enum status status = config_init(&config, &e);
    if (status == STATUS_OK)
        status = config_load(&config, COMMAND_SERVE, argv + 1, (size_t)argc - 1, environ, &e);
    if (status != STATUS_OK) return (int)command_fail(EXIT_CODE_USAGE, &e);
    int code = (int)cmd_serve(&config);
    config_deinit(&config);
    return code;
}
