/* The alphabet of byte-level tokenizers: each byte as one printable character, by the table of GPT-2. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/text/containers/text_buffer.h"

/* The code point that stands for a byte: itself where it prints, else 256 and up. */
int32_t byte_level_point(unsigned char byte);
/* The byte that a code point stands for, or -1. */
int byte_level_byte(int32_t point);
/* Appends length bytes as characters. */
void byte_level_append(struct text_buffer *out, const char *bytes, size_t length);
