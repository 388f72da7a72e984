/* The experiment of Jiang et al. 2023 on this engine: the same model with LayerNorm, RMSNorm, CRMSNorm and no norm. */
#pragma once

#include "config/config.h"
#include "engine/base/error.h"

/* Prints the table (or JSON) for the model in folder. shape: its name, for the heading. */
enum status bench_norms(const struct config *config, const char *folder, const char *shape, struct error *e);
