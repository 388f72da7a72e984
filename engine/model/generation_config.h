/* Defaults of the sampling in generation_config.json. */
#pragma once

#include <jansson.h>

#include "engine/types/generation.h"

/* root: the file's object; anything else says nothing. */
void generation_defaults_read(struct generation_defaults *d, const json_t *root);
