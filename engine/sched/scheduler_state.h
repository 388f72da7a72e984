/* Inside of the scheduler: for the files of this folder that are parts of a turn, and for ticket.c. Scheduler thread, but
 * for submission queue, ready list and stats, which have their own rules, and what constraint.h and step.h give to workers. */
#pragma once

#include <pthread.h>

#include "engine/sched/drafts.h"
#include "engine/sched/submit_queue.h"
#include "engine/sched/prefill_budget.h"
#include "engine/sched/queue.h"
#include "engine/sched/self_drafts.h"
#include "engine/sched/scheduler.h"
#include "engine/sched/step.h"
#include "engine/sched/fair_share.h"

/* Where a sequence is that is neither in the batch nor ended. Those behind WAITING are set aside: they have
 * had a slot. */
enum scheduler_queue {
    QUEUE_WAITING,       /* has never had a slot */
    QUEUE_PREEMPTED,     /* waits for one again, without pages */
    QUEUE_RESUMED,       /* waits for one again, with pages */
    QUEUE_BACKPRESSURED, /* its reader does not read; with pages */
    QUEUE_STRIPPED,      /* the same, but its pages were taken */
    SCHEDULER_QUEUES,
};

struct scheduler {
    struct scheduler_options options;
    struct submit_queue submit_queue;
    struct ready_list ready_list;
    struct stats stats;
    _Atomic uint64_t turn_count; /* since the start */
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
    struct prefill_budget budget;
    struct drafting drafting;
    struct self_drafting self_drafting;
    pthread_t thread;
    bool started;
};
