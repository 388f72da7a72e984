/* Every kernel of every instruction set that runs here, beside the machine's bounds. */
#pragma once

#include "config/config.h"
#include "engine/base/error.h"

/* Prints the table (or JSON). --isa: of that set alone. */
enum status bench_kernels_print(const struct config *config, struct error *e);
