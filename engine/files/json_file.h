/* JSON files with limits on size, depth and number of values; errors name file, line and column. */
#pragma once

#include <jansson.h>

#include "engine/base/error.h"

/* Nesting of arrays and objects. */
#define JSON_FILE_DEPTH_MAX 64

/* Values of one text, which bound the memory of the tree (up to some 250 bytes a value). The vocabulary and
 * merges of a tokenizer of 262,144 tokens are about 2.3 million. */
#define JSON_FILE_VALUES_MAX (4u << 20)

/* For main, once, before jansson is used: from then on a text that jansson has no memory for is
 * STATUS_NO_MEMORY; without it such a text may be taken for a malformed one, lose a part, or end the process
 * (engine/base/json_memory.h). */
void json_file_process_init(void);

/* How much of what is not strictly JSON is accepted. */
enum json_file_rules {
    JSON_FILE_STRICT,
    /* As Python's library, which most files of a model come from: whole numbers beyond 64 bits, as reals; of equal
     * keys the last counts, with a line in the log. */
    JSON_FILE_AS_PYTHON,
    /* The same, of a file that another reader has told of: without the line. */
    JSON_FILE_AS_PYTHON_AGAIN,
    /* And U+0000 in strings (json_string_length) and keys (json_repair_restore), for vocabularies. */
    JSON_FILE_WITH_NULS,
};

/* Loads folder/name (folder may be NULL: name is the path) by strict rules: duplicate keys are refused. STATUS_NOT_FOUND when
 * the file does not exist. The caller owns *out (json_decref), an object or an array. */
enum status json_file_load(const char *folder, const char *name, size_t bytes_max, json_t **out,
                           struct error *e);

/* The same by other rules. */
enum status json_file_load_as(const char *folder, const char *name, size_t bytes_max,
                              enum json_file_rules rules, json_t **out, struct error *e);

/* The same for text in memory, which need not end in NUL; where names its source for messages. */
enum status json_file_parse(const char *text, size_t length, const char *where, size_t values_max,
                            json_t **out, struct error *e);

/* The same by other rules. */
enum status json_file_parse_as(const char *text, size_t length, const char *where, size_t values_max,
                               enum json_file_rules rules, json_t **out, struct error *e);

/* Whether a text is within the limits of those, which is seen without parsing it. */
enum status json_file_check(const char *text, size_t length, const char *where, size_t values_max,
                            struct error *e);
