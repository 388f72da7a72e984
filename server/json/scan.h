/* What a JSON text will become in memory, told from its bytes before anything is parsed: jansson bounds
 * neither the memory of a tree (an empty object of 2 bytes takes over 200) nor, to less than 2,048, the depth
 * of its recursion. Pure, iterative, any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Counts are exact for every text that jansson accepts; of any other they are bounds for what jansson makes
 * before it refuses. */
struct json_scan {
    size_t arrays, objects, strings, numbers, literals; /* values; literals: true, false, null */
    size_t keys;
    size_t string_bytes;   /* of all strings and keys, as they stand in the text */
    size_t longest_string; /* bytes of the longest of them */
    size_t longest_scalar; /* bytes of the longest number or word, if that is long */
    size_t depth;          /* of the deepest array or object: 1 for {} */
};

void json_scan(const char *text, size_t length, struct json_scan *out);

size_t json_scan_values(const struct json_scan *s);

/* Memory that jansson takes for such a tree at its peak, at most. */
size_t json_scan_tree_bytes(const struct json_scan *s);

/* A member of the text's outermost object, as it stands there: the key without its quotes, its escapes not read. */
struct json_scan_member {
    const char *key, *value;
    size_t key_length, value_length;
};

/* The one from offset *at on, which is set behind it; 0 is the first. False: there is no more. Of what is no object, or not
 * well-formed, members are whatever looks like them. */
bool json_scan_next(const char *text, size_t length, size_t *at, struct json_scan_member *out);
