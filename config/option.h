/* The rows of options.def as data, and how one value gets from text into its field. Used by the files of
 * config/ and their tests; the rest of the program reads struct config. */
#pragma once

#include "config/config.h"

enum option_type {
    OPTION_TYPE_STRING,
    OPTION_TYPE_PATH,
    OPTION_TYPE_SIZE,
    OPTION_TYPE_INTEGER,
    OPTION_TYPE_REAL,
    OPTION_TYPE_BOOL,
    OPTION_TYPE_CHOICE,
    OPTION_TYPE_LIST,
    /* Enums, of engine/types/choices.h. */
    OPTION_TYPE_NORM_FORM,
    OPTION_TYPE_WEIGHT_TYPE,
    OPTION_TYPE_KV_TYPE,
    OPTION_TYPE_MATMUL,
    OPTION_TYPE_KERNEL_ISA,
    OPTION_TYPE_SPECULATE,
    OPTION_TYPE_HEAD_WEIGHTS,
    OPTION_TYPE_PIN_THREADS,
    OPTION_TYPE_COUNT
};

struct option_row {
    enum option_type type;
    size_t offset; /* of the field in struct config */
    const char *key, *initial, *least, *most;
    const char *choices; /* of a CHOICE; an enum's are option_values */
    unsigned commands;   /* bit 1 << enum command */
    const char *group, *help;
};

extern const struct option_row option_rows[OPTION_COUNT];

/* A text that is long enough for the name of any option, its origin and its range. */
#define OPTION_TEXT_MAX 512

static inline bool option_belongs(const struct option_row *row, enum command command) {
    return (row->commands >> command & 1u) != 0;
}

/* OPTION_COUNT when there is none. The key's length counts, so that it may be part of a longer text. */
enum option_id option_find(const char *key, size_t length);

/* The key of all options that resembles a mistyped one, or NULL. */
const char *option_nearest(const char *key);

/* What there is instead of another server's option (foreign_options.def), or NULL. '_' counts as '-'. */
const char *option_instead_of(const char *key);

/* Sets the field from text. A LIST that a lower source had filled is emptied first. c->file must be set when
 * the source is the file. */
enum status option_set(struct config *c, enum option_id id, enum option_source source, const char *text,
                       struct error *e);

/* Frees what the field owns. */
void option_deinit(struct config *c, enum option_id id);

/* STATUS_INVALID_ARGUMENT that names the option, its origin, what was found and what may stand there. */
enum status option_refuse(const struct config *c, enum option_id id, enum option_source source,
                          const char *found, struct error *e);

/* How the user named it: "--port", "PRENORM_PORT", "port in FILE". Returns out [OPTION_TEXT_MAX]. */
const char *option_origin(const struct config *c, enum option_id id, enum option_source source, char *out);

/* "PRENORM_SOME_KEY". Returns out [OPTION_TEXT_MAX]. */
const char *option_variable(enum option_id id, char *out);

/* The names of the values of an enum's type; NULL for other types. */
const struct named_value *option_values(enum option_type type);

/* Whether only certain words may stand there: a CHOICE, or an enum. */
static inline bool option_has_choices(const struct option_row *row) {
    return row->choices || option_values(row->type);
}

/* The value as the user would write it, cut; "" where it is not set. A list: its items with commas. Returns out
 * [OPTION_TEXT_MAX]. */
const char *option_value(const struct config *c, enum option_id id, char *out);

/* The values of a CHOICE or an enum with a separator between them, cut to size. */
void option_choices(enum option_id id, const char *separator, char *out, size_t size);

/* What may stand there: "a whole number from 0 to 65535". Returns out [OPTION_TEXT_MAX]. */
const char *option_expected(enum option_id id, char *out);

/* The stages of config_load; each in the file of its name. The file is c->file. */
enum status config_file_read(struct config *c, struct error *e);
/* The value of PRENORM_CONFIG, borrowed; NULL when there is none. */
const char *config_env_file(char **environment);
enum status config_env_read(struct config *c, char **environment, struct error *e);
/* First pass: what is not an option of the table: action, argument; *file, borrowed, stays when no flag names
 * one. */
enum status config_flags_scan(struct config *c, enum command command, char **flags, size_t count,
                              const char **file, struct error *e);
/* Second pass: the options. */
enum status config_flags_read(struct config *c, enum command command, char **flags, size_t count,
                              struct error *e);
