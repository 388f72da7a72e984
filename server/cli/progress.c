#include "server/cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"

#define CELLS           40
#define BAR_INTERVAL_NS 50000000u
#define LOG_INTERVAL_NS 5000000000u

void progress_init(struct progress *p) {
    *p = (struct progress){.terminal = isatty(STDERR_FILENO) == 1 && log_enabled(LOG_LEVEL_INFO)};
}

size_t progress_bar(const char *stage, double share, char *out, size_t size) {
    static const char full[CELLS + 1] = "########################################";
    static const char rest[CELLS + 1] = "----------------------------------------";
    double bounded = share > 0 ? share < 1 ? share : 1 : 0; /* NaN is 0 */
    int cells = (int)(bounded * CELLS);
    int length = snprintf(out, size, "[%.*s%.*s] %3d %% %s", cells, full, CELLS - cells, rest,
                          (int)(bounded * 100), stage);
    return length < 0 ? 0 : (size_t)length < size ? (size_t)length : size - 1;
}

static void draw(const char *stage, double share) {
    char line[LOG_STATUS_BYTES_MAX] = "";
    if (share < 1) progress_bar(stage, share, line, sizeof line);
    log_status(line);
}

void progress_end(struct progress *p) {
    if (p->terminal && p->stage[0]) draw("", 1);
    p->stage[0] = '\0';
}

void progress_report(void *context, const char *stage, double share) {
    struct progress *p = context;
    bool new_stage = strncmp(p->stage, stage, sizeof p->stage - 1) != 0;
    uint64_t now = clock_ns();
    uint64_t interval = p->terminal ? BAR_INTERVAL_NS : LOG_INTERVAL_NS;
    bool finished = p->terminal && share >= 1;
    if (!new_stage && !finished && now - p->shown_ns < interval) return;
    snprintf(p->stage, sizeof p->stage, "%s", stage);
    p->shown_ns = now;
    if (p->terminal)
        draw(stage, share);
    else if (new_stage)
        log_info("model: %s", stage);
    else
        log_info("model: %s, %d %%", stage, (int)(share * 100));
}
