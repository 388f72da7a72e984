#include "server/api/api_memory.h"

enum api_error_kind api_memory_refuse(const struct budget *budget, size_t needed, const char *advice,
                                      struct api_error *e) {
    if (needed > budget->max)
        return api_error_set(
            e, API_BODY_TOO_LARGE, NULL,
            "The request needs at least %zu KiB of the memory for requests and answers, of which this "
            "server has %zu KiB (answer-memory-mib). %s",
            (needed + 1023) >> 10, budget->max >> 10, advice);
    return api_error_set(
        e, API_QUEUE_FULL, NULL,
        "The server is busy: its memory for requests and answers is taken. Try again later.");
}

enum api_error_kind api_memory_take(struct budget *budget, size_t held, size_t more, const char *advice,
                                    struct api_error *e) {
    return budget_take(budget, more) ? API_OK : api_memory_refuse(budget, held + more, advice, e);
}
