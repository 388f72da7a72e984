/* {"String": "..."} or {"Regex": "..."}, as Split and Replace have them. */
#pragma once

#include "engine/base/error.h"
#include "engine/files/json_path.h"
#include "engine/text/regex/regex.h"

/* Reads parent's "pattern". Errors name the place, and for a regular expression the offset in it. */
enum status pattern_read(const struct json_path *parent, struct regex **out, struct error *e);

/* Bytes that every match of such a pattern has; 0: matches of a regular expression differ. */
size_t pattern_literal_bytes(const struct json_path *parent);
