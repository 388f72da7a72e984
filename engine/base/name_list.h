/* Names for a message, one behind the other: "a, b, c". */
#pragma once

#include <stddef.h>

/* Appends a name to the list of size bytes, which ends in NUL ("" at first); one that does not fit is left out. */
void name_list_add(char *list, size_t size, const char *name);
