/* The configuration: one struct, filled from config/options.def in the order default < file < environment <
 * flag.
 *
 * Everything here runs on the main thread before any other thread exists; afterwards a struct config is only
 * read. This stage opens the configuration file and nothing else: whether a model, key or certificate exists
 * is for whoever uses it to find out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/error.h"
#include "engine/base/workers.h"
#include "engine/types/choices.h"

/* id, name on the command line, the one argument that it may have besides options ("": none), help */
#define COMMAND_LIST(X)                                                                                      \
    X(SERVE, "serve", "", "Serve completions and chats over HTTP")                                           \
    X(GENERATE, "generate", "[PROMPT]", "Continue one prompt (or standard input) on standard output")        \
    X(VERIFY, "verify", "", "Compare every form of the model with the untouched one, on the same tokens")    \
    X(CONVERT, "convert", "", "Write the converted model in one file, which --model can name from then on")  \
    X(BENCH, "bench", "",                                                                                    \
      "Time the model, or random weights of a published shape, beside the machine's bounds")                 \
    X(CHECK, "check", "", "Say whether serve would start with these options; loads nothing")

enum command {
#define X(id, name, argument, help) COMMAND_##id,
    COMMAND_LIST(X)
#undef X
        COMMAND_COUNT
};

/* Repeated option; items are NUL-terminated. */
struct config_list {
    char **items;
    size_t count;
};

/* C types of the option types of options.def. Texts are owned by the struct; NULL where not set. */
#define CONFIG_STRING       char *
#define CONFIG_PATH         char *
#define CONFIG_CHOICE       char *
#define CONFIG_SIZE         size_t
#define CONFIG_INTEGER      int64_t
#define CONFIG_REAL         double
#define CONFIG_BOOL         bool
#define CONFIG_LIST         struct config_list
#define CONFIG_NORM_FORM    enum norm_form
#define CONFIG_WEIGHT_TYPE  enum weight_type
#define CONFIG_KV_TYPE      enum kv_type
#define CONFIG_MATMUL       enum matmul_kind
#define CONFIG_KERNEL_ISA   enum kernel_isa
#define CONFIG_SPECULATE    enum speculate_mode
#define CONFIG_HEAD_WEIGHTS enum head_weights
#define CONFIG_PIN_THREADS  enum pin_threads

enum option_id {
#define OPTION(type, field, ...) OPTION_##field,
#include "config/options.def"
#undef OPTION
    OPTION_COUNT
};

enum option_source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_ENVIRONMENT, SOURCE_FLAG };

/* What the command line asks for. */
enum config_action {
    CONFIG_RUN,
    CONFIG_HELP,  /* --help: config_print_help */
    CONFIG_PRINT, /* --print-config: config_print */
};

struct config {
#define OPTION(type, field, ...) CONFIG_##type field;
#include "config/options.def"
#undef OPTION
    enum option_source source[OPTION_COUNT]; /* where each value came from */
    enum config_action action;
    char *argument; /* what is not an option, borrowed from the flags; NULL when there is none */
    char *file;     /* the configuration file, NULL when there is none */
};

/* The defaults. After a failure config_deinit is allowed too. */
enum status config_init(struct config *c, struct error *e);
void config_deinit(struct config *c);

/* Fills an initialised *c for a command. flags: what follows the command's name on the command line, borrowed
 * as long as *c lives. environment: as environ. The file is that of --config, else of PRENORM_CONFIG, else
 * there is none. An error names the option, where its value came from, the value and what is allowed;
 * INVALID_ARGUMENT and MALFORMED, OPTION (explained already), NOT_FOUND and IO (the file) are mistakes of the
 * user. A variable PRENORM_*
 * that is not an option is a warning in the log. With --help nothing is read but the flags. */
enum status config_load(struct config *c, enum command command, char **flags, size_t flag_count,
                        char **environment, struct error *e);

/* Sets a number or boolean of the group "Generation" as its flag would, for who changes it while the program runs.
 * STATUS_INVALID_ARGUMENT: there is none of that name, or the value is out of its range. */
enum status config_set(struct config *c, const char *key, const char *value, struct error *e);

/* Calls each for those options, with their values as text. */
void config_each_setting(const struct config *c,
                         void (*each)(void *context, const char *key, const char *value), void *context);

/* Whether something other than the default gave its value. */
static inline bool config_is_set(const struct config *c, enum option_id id) {
    return c->source[id] != SOURCE_DEFAULT;
}

/* Of an error with STATUS_OPTION, whose place is an option's key: makes it say what the option is and who set it,
 * "--weights int8 (set by PRENORM_WEIGHTS)". Returns whether anybody did: then the configuration is wrong, else
 * what the default met. Other errors stay as they are; false. */
bool config_explain(const struct config *c, struct error *e);

/* The options of a command as a JSON object that --config accepts again; null is "not set". */
enum status config_print(const struct config *c, enum command command, FILE *out, struct error *e);

/* The options of a command, by groups, with defaults and ranges. */
void config_print_help(enum command command, FILE *out);

/* The commands of the program. */
void config_print_usage(FILE *out);

/* "serve"; the command of a name, COMMAND_COUNT when there is none of that name. */
const char *command_name(enum command command);
enum command command_from_name(const char *name);
