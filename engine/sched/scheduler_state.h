/* Inside of the scheduler: for scheduler.c, roster.c and step.c alone. Scheduler thread, but for inbox,
 * outbox and stats, which have their own rules. */
#pragma once

#include <pthread.h>

#include "engine/sched/inbox.h"
#include "engine/sched/pace.h"
#include "engine/sched/queue.h"
#include "engine/sched/scheduler.h"
#include "engine/sched/step.h"

struct scheduler {
    struct scheduler_options options;
    struct inbox inbox;
    struct outbox outbox;
    struct stats stats;
    struct queue waiting;
    struct sequence **running; /* in order of rank, [limits.sequences] */
    size_t running_count;
    uint64_t next_order;
    uint64_t last_finish_ns;
    struct batch_sequence *needs; /* of running, for the plan */
    struct batch_share *shares;
    bool *victims;
    uint32_t *matched; /* pages of a prefix that was looked up, [pages of a context] */
    struct step step;
    struct pace pace;
    pthread_t thread;
    bool started;
};
