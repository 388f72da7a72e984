/* The end of a completion that may be large. Loop thread. */
#pragma once

#include "server/completion/completion.h"
#include "server/loop/work.h"

/* Destroys it; what takes long to free is freed in the pool. */
void disposal_start(struct completion *c, struct work_lanes *lanes);
