/* JSON as Python's library writes and reads it, made into JSON that jansson takes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"

/* What stands for U+0000 in a key, which jansson has no place for: U+FDD0, which Unicode promises never to make a
 * character. A key that has one itself is refused. */
#define JSON_REPAIR_NUL "\xEF\xB7\x90"

/* Rewrites the text in place; its length stays. Whole numbers beyond 64 bits lose their last three digits to an
 * exponent and so become reals, which do not have those digits either. with_nuls: U+0000 in a key becomes
 * JSON_REPAIR_NUL; STATUS_UNSUPPORTED where a key has that already. What is not JSON stays none. */
enum status json_repair(char *text, size_t length, bool with_nuls, const char *where, struct error *e);

/* A key of a text that was repaired with_nuls, as it was: in place. Returns its length. */
size_t json_repair_restore(char *key);

/* A text that jansson wrote of a tree that was repaired with_nuls, as it was: U+0000 in keys is \u0000 again. The caller
 * frees it; NULL when there is no memory. */
char *json_repair_undo(const char *text, size_t *length);
