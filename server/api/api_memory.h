/* Memory for requests and answers (answer-memory-mib), taken or refused. Any thread. */
#pragma once

#include "server/api/api_error.h"
#include "server/memory/budget.h"

/* What there is no room for. Who alone needs more than there is gets 413, with both figures and what to do about it
 * (`advice`, a sentence): no later time would mend that. Everybody else gets 429. needed: all that the request has taken and
 * would have to take. */
enum api_error_kind api_memory_refuse(const struct budget *budget, size_t needed, const char *advice,
                                      struct api_error *e);

/* Takes so much beside what the request holds already, or refuses it. */
enum api_error_kind api_memory_take(struct budget *budget, size_t held, size_t more, const char *advice,
                                    struct api_error *e);
