/* JSON texts to trees. Any thread. */
#pragma once

#include <jansson.h>

/* As json_loadb; also where memory ends in the middle of a string, which that does not notice (engine/base/json_memory.h): then
 * NULL, and json_error_out_of_memory is the code of *at. at may be NULL. The caller's (json_decref). */
json_t *json_read(const char *text, size_t length, size_t flags, json_error_t *at);
