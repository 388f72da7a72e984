/* Inside of the scheduler: for scheduler.c, roster.c, places.c and step.c alone. Scheduler thread, but for
 * inbox, outbox and stats, which have their own rules. */
#pragma once

#include <pthread.h>

#include "engine/sched/inbox.h"
#include "engine/sched/pace.h"
#include "engine/sched/queue.h"
#include "engine/sched/scheduler.h"
#include "engine/sched/step.h"
#include "engine/sched/turns.h"

/* Where a sequence is that is neither in the batch nor ended. Those behind WAITING are set aside: they have
 * had a place. */
enum scheduler_queue {
    QUEUE_WAITING,   /* has never had a place */
    QUEUE_PREEMPTED, /* waits for one again, without pages */
    QUEUE_RESUMED,   /* waits for one again, with pages */
    QUEUE_PAUSED,    /* its reader does not read; with pages */
    QUEUE_STRIPPED,  /* the same, but its pages were taken */
    SCHEDULER_QUEUES,
};

struct scheduler {
    struct scheduler_options options;
    struct inbox inbox;
    struct outbox outbox;
    struct stats stats;
    struct queue queues[SCHEDULER_QUEUES];
    struct turns turns;        /* of those in QUEUE_WAITING */
    struct sequence **running; /* in order of rank, [limits.sequences] */
    size_t running_count;
    uint64_t next_order;
    uint64_t last_finish_ns;
    uint64_t next_deadline_ns;    /* nothing that is here is past its time before */
    atomic_bool any_cancelled;    /* since the last sweep; any thread sets it */
    struct batch_sequence *needs; /* of running, for the plan */
    struct batch_share *shares;
    bool *victims;
    uint32_t *matched; /* pages of a prefix that was looked up, [pages of a context] */
    struct step step;
    struct pace pace;
    pthread_t thread;
    bool started;
};
