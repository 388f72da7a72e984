/* convert: the model's folder to one file that serving maps. What was written is one line on standard output. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <gnutls/crypto.h>

#include "engine/base/clock.h"
#include "engine/tools/tools.h"
#include "server/cli/command.h"
#include "server/cli/engine_setup.h"
#include "server/cli/text_file.h"

/* Of the text for calibration. More says nothing new, and the tokenizer takes some hundred bytes for each. */
#define CALIBRATE_BYTES_MAX ((size_t)16 << 20)
#define SHA256_BYTES        32
_Static_assert(CALIBRATION_HASH_BYTES == 2 * SHA256_BYTES + 1, "in hexadecimal digits");

static void print_result(const struct config *config, const struct convert_result *result, double seconds) {
    char calibration[48] = "";
    if (result->calibration.tokens)
        snprintf(calibration, sizeof calibration, " calibrated with %zu tokens", result->calibration.tokens);
    printf("%s: %zu bytes, %s, %s%s, %s; %.1f s\n", config->out, result->bytes,
           norm_form_name(result->norm_form), weight_type_name(config->weights), calibration,
           result->has_tokenizer ? "with its tokenizer"
                                 : "without a tokenizer, so it serves prompts of token ids alone",
           seconds);
}

static enum status read_calibration(const struct config *config, struct convert_options *options, char **text,
                                    struct error *e) {
    unsigned char hash[SHA256_BYTES];
    enum status status = text_file_read(config->calibrate, "calibrate", CALIBRATE_BYTES_MAX, text,
                                        &options->calibrate_length, e);
    if (status != STATUS_OK) return status;
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, *text, options->calibrate_length, hash) != 0)
        return error_set(e, STATUS_UNSUPPORTED, "calibrate", "GnuTLS has no SHA-256");
    for (size_t i = 0; i < SHA256_BYTES; i++) snprintf(options->calibrate_sha256 + 2 * i, 3, "%02x", hash[i]);
    options->calibrate_text = *text;
    return STATUS_OK;
}

static enum status convert(const struct config *config, struct engine_setup *setup,
                           struct convert_result *result, struct error *e) {
    char *text = NULL;
    struct convert_options options = {
        .model = setup->model,
        .lora = config->lora,
        .ignore_adapter = config->ignore_adapter,
        .out = config->out,
        .allow_unknown_config_keys = config->allow_unknown_config_keys,
        .norm_form = config->norm_form,
        .any_form = !config_is_set(config, OPTION_norm_form),
        .weights = config->weights,
        .head = config->head_weights,
        .calibrate_tokens = config->calibrate_tokens,
        .threads = config->threads,
        .progress = progress_report,
        .progress_context = &setup->progress,
    };
    enum status status = config->calibrate ? read_calibration(config, &options, &text, e) : STATUS_OK;
    if (status == STATUS_OK) status = convert_model(&options, result, e);
    progress_end(&setup->progress);
    free(text);
    return status;
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
    double start = clock_seconds();
    enum status status = convert(config, &setup, &result, &e);
    if (status != STATUS_OK) return command_fail_run(config, &e);
    print_result(config, &result, clock_seconds() - start);
    if (fflush(stdout) == 0 && !ferror(stdout)) return EXIT_CODE_OK;
    error_set(&e, STATUS_IO, "standard output", "cannot be written");
    return command_fail(EXIT_CODE_FAILURE, &e);
}
