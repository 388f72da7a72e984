#include "server/loop/work.h"

#include <assert.h>

void work_lanes_init(struct work_lanes *lanes, struct loop *loop, size_t threads, size_t large_held_max) {
    *lanes = (struct work_lanes){
        .loop = loop,
        .large_max = threads > WORK_SPARED_THREADS ? threads - WORK_SPARED_THREADS : 1,
        .large_held_max = large_held_max ? large_held_max : 1,
    };
}

bool work_has_room(const struct work_lanes *lanes) {
    return lanes->large_held < lanes->large_held_max;
}

static void on_run(uv_work_t *uv) {
    struct work *work = uv->data;
    work->run(work->context);
}

static void on_done(uv_work_t *uv, int status);

static bool queue(struct work *work) {
    work->uv.data = work;
    return uv_queue_work(&work->lanes->loop->uv, &work->uv, on_run, on_done) == 0;
}

static struct work *take_first(struct work_lanes *lanes) {
    struct work *work = lanes->first;
    lanes->first = work->next;
    if (!lanes->first) lanes->last = NULL;
    work->is_waiting = false;
    return work;
}

static void start_waiting(struct work_lanes *lanes) {
    while (lanes->first && lanes->large_running < lanes->large_max) {
        /* uv_queue_work fails for a missing function alone, and that has been tried. */
        bool queued = queue(take_first(lanes));
        assert(queued);
        (void)queued;
        lanes->large_running++;
    }
}

static void on_done(uv_work_t *uv, int status) {
    struct work *work = uv->data;
    struct work_lanes *lanes = work->lanes;
    struct loop_moment begin = loop_call_begin();
    (void)status;
    lanes->held--;
    if (work->is_large) {
        lanes->large_running--;
        lanes->large_held--;
        start_waiting(lanes);
    }
    work->done(work->context); /* the work may be gone with what it is part of */
    loop_call_end(lanes->loop, LOOP_CALL_WORK, begin);
}

bool work_start(struct work_lanes *lanes, struct work *work, bool is_large) {
    work->lanes = lanes;
    work->is_large = is_large;
    work->next = NULL;
    if (!is_large && !queue(work)) return false;
    lanes->held++;
    if (!is_large) return true;
    work->is_waiting = true;
    if (lanes->last)
        lanes->last->next = work;
    else
        lanes->first = work;
    lanes->last = work;
    lanes->large_held++;
    start_waiting(lanes);
    return true;
}

bool work_withdraw(struct work *work) {
    struct work_lanes *lanes = work->lanes;
    if (!work->is_waiting) return false;
    struct work *before = NULL;
    for (struct work *w = lanes->first; w != work; w = w->next) before = w;
    if (before)
        before->next = work->next;
    else
        lanes->first = work->next;
    if (lanes->last == work) lanes->last = before;
    work->is_waiting = false;
    lanes->held--;
    lanes->large_held--;
    return true;
}
