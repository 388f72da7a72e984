/* convert: the model's folder to one file that serving maps. What was written is one line on standard output. */
#include <signal.h>
#include <stdio.h>

#include "engine/base/clock.h"
#include "engine/tools/tools.h"
#include "server/cli/command.h"
#include "server/cli/engine_setup.h"

static void print_result(const struct config *config, const struct convert_result *result, double seconds) {
    printf("%s: %zu bytes, %s, %s, %s; %.1f s\n", config->out, result->bytes,
           norm_form_name(result->norm_form), weight_type_name(config->weights),
           result->has_tokenizer ? "with its tokenizer"
                                 : "without a tokenizer, so it serves prompts of token ids alone",
           seconds);
}

enum exit_code cmd_convert(const struct config *config) {
    static struct engine_setup setup;
    struct convert_result result;
    struct error e;
    if (!config->out) {
        error_set(&e, STATUS_INVALID_ARGUMENT, "--out", "is missing: name the file to write");
        return command_fail(EXIT_CODE_USAGE, &e);
    }
    if (engine_setup_init(&setup, config, &e) != STATUS_OK) return command_fail(EXIT_CODE_USAGE, &e);
    signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is an error of writing as any other */
    const struct convert_options options = {
        .model = setup.model,
        .lora = config->lora,
        .ignore_adapter = config->ignore_adapter,
        .out = config->out,
        .allow_unknown_config_keys = config->allow_unknown_config_keys,
        .norm_form = config->norm_form,
        .any_form = !config_is_set(config, OPTION_norm_form),
        .weights = config->weights,
        .threads = config->threads,
        .progress = progress_report,
        .progress_context = &setup.progress,
    };
    double start = clock_seconds();
    enum status status = convert_model(&options, &result, &e);
    progress_end(&setup.progress);
    if (status != STATUS_OK) return command_fail_run(config, &e);
    print_result(config, &result, clock_seconds() - start);
    if (fflush(stdout) == 0 && !ferror(stdout)) return EXIT_CODE_OK;
    error_set(&e, STATUS_IO, "standard output", "cannot be written");
    return command_fail(EXIT_CODE_FAILURE, &e);
}
