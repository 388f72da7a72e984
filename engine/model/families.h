/* The adapters, one file each; only family.c lists them. */
#pragma once

#include "engine/model/family.h"

extern const struct family family_gpt2;
extern const struct family family_prenorm;
