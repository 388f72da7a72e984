/* What the options of an engine say of loading its model, for all that load one: a daemon, and a check that reads the plan alone. */
#pragma once

#include "engine/api/engine.h"
#include "engine/loaded/loaded_model.h"

/* The result borrows what o borrows. Where the tokenizer goes, progress and plan_only are the caller's to set. */
struct loaded_model_options loader_options(const struct engine_options *o);
