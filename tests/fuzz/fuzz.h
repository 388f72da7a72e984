/* What libFuzzer calls with each input. Any number of times in one process: a target keeps no state. */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
