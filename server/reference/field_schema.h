/* The types of fields, as params.def says them in words, as JSON schemas. */
#pragma once

#include <jansson.h>

/* A new schema that allows null too, which counts as absent. NULL: the words are not known. */
json_t *field_schema(const char *type);
