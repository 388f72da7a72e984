/* How far the loading of a model is: a bar when stderr is a terminal, now and then a log line otherwise. Used
 * by one thread at a time, the one that opens the engine. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    bool terminal;
    char stage[32];    /* the last one seen */
    uint64_t shown_ns; /* when something was last shown */
};

void progress_init(struct progress *p);

/* The `progress` of struct engine_options; context is a struct progress. */
void progress_report(void *context, const char *stage, double share);

/* Wipes what is left of a bar, where loading ended before it was full. */
void progress_end(struct progress *p);

/* The bar as text, without line end: "[#####---------------]  25 % converting". Returns its length. */
size_t progress_bar(const char *stage, double share, char *out, size_t size);
