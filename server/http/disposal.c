#include "server/http/disposal.h"

#include <stdlib.h>

/* Freeing less than this takes less than handing it over. */
enum { LIGHT_BYTES = 1 << 18 };

/* A completion on its last way. */
struct disposal {
    struct work work;
    struct completion *completion;
};

static void run_disposal(void *context) {
    struct disposal *d = context;
    completion_destroy(d->completion);
}

void disposal_start(struct completion *c, struct work_lanes *lanes) {
    completion_release(c);
    struct disposal *d = c->ticket || completion_weight(c) >= LIGHT_BYTES ? calloc(1, sizeof *d) : NULL;
    if (d) {
        *d = (struct disposal){.work = {.run = run_disposal, .done = free, .context = d}, .completion = c};
        if (work_start(lanes, &d->work, false)) return;
        free(d);
    }
    completion_destroy(c);
}
