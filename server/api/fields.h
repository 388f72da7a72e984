/* Which fields a body may have: those that an endpoint knows, those that promise what this server does not do
 * (refused by name, always), and the rest (ignored and logged, or refused with --strict). Any thread. */
#pragma once

#include <jansson.h>

#include "server/api/api_error.h"
#include "server/api/params.h"

/* One row of foreign_fields.def, which says what its columns mean. */
struct api_foreign_field {
    const char *name, *neutral, *instead;
};
const struct api_foreign_field *api_foreign_fields(size_t *count);

/* known[count]: the names that the object may have; NULL among them stands for none. prefix stands before the names in messages ("stream_options."), ""
 * for the body itself. Fields that are null are absent. */
enum api_error_kind api_fields_check(const json_t *object, const char *prefix, const char *const *known,
                                     size_t count, const struct api_limits *limits, struct api_error *e);

/* 400: "'name' must be EXPECTED, not a string." */
enum api_error_kind api_field_wrong_type(struct api_error *e, const char *name, const char *expected,
                                         const json_t *found);

/* True, false or absent, which leaves *out as it is. */
enum api_error_kind api_field_bool(const json_t *object, const char *key, const char *name, bool *out,
                                   struct api_error *e);
