/* A run of bytes within a text. */
#pragma once

#include <stddef.h>

/* start < end; lists of them are ascending and do not touch each other. */
struct text_range {
    size_t start, end;
};
