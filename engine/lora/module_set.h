/* Which modules a setting of adapter_config.json means, and numbers that are given module by module, as the PEFT
 * library reads both. A module has the name that it has in the model that was trained:
 * "transformer.h.0.attn.c_attn". */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/text/regex/regex.h"

/* The file that all of this stands in. */
#define LORA_CONFIG_NAME "adapter_config.json"

/* Patterns of one rank_pattern or alpha_pattern: some hundred modules have one each. */
#define MODULE_PATTERNS_MAX 16384

/* A list of names ("c_attn": the module of that name, or any whose last parts are that), or one regular
 * expression for the whole name. With neither it means no module. */
struct module_set {
    const json_t *names; /* borrowed; NULL: none */
    struct regex *regex;
};

/* value: an array of strings, a string, or NULL. key is for messages. On failure *s holds nothing. */
enum status module_set_init(struct module_set *s, const json_t *value, const char *key, struct error *e);
void module_set_deinit(struct module_set *s);

/* Whether the setting means this module. STATUS_LIMIT: the expression takes too long. */
enum status module_set_has(const struct module_set *s, struct regex_run *run, const char *module, bool *has,
                           struct error *e);

/* Whether a name of a list means this module or, with inner, one that it lies in. */
bool module_name_has(const char *name, const char *module, bool inner);

/* An object of regular expressions, each for the end of a name, with a number; the first that matches counts. */
struct module_numbers {
    struct module_number *items;
    size_t count;
};

struct module_number {
    struct regex *regex;
    double value;
};

/* value: an object or NULL; numbers from least to most. On failure *n holds nothing. */
enum status module_numbers_init(struct module_numbers *n, const json_t *value, const char *key, double least,
                                double most, struct error *e);
void module_numbers_deinit(struct module_numbers *n);

/* *out stays as it is where no pattern matches. */
enum status module_numbers_find(const struct module_numbers *n, struct regex_run *run, const char *module,
                                double *out, struct error *e);
