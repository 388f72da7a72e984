/* The scheduler with its thread: several threads submit, cancel and give back at random while one takes the
 * events. Every request ends once, no text is wrong, no wake-up is lost (the taker would hang), all pages are
 * free at the end. */
#include "collector.h"
#include "fake_model.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SUBMITTERS = 3, PER_SUBMITTER = 150 };

struct changed {
    pthread_mutex_t mutex;
    pthread_cond_t rings;
    bool notified;
};

static struct changed changed = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
static struct fake_model model;
static struct scheduler *scheduler;

/* One request, shared by its submitter and the taker. */
struct job {
    struct collected got;
    int32_t prompt[40];
    size_t prompt_count;
    bool slow;
    _Atomic bool published; /* got.request is set */
};

static struct job jobs[SUBMITTERS][PER_SUBMITTER];
static atomic_size_t ended, refused;

static void ring(void *context) {
    (void)context;
    pthread_mutex_lock(&changed.mutex);
    changed.notified = true;
    pthread_cond_signal(&changed.rings);
    pthread_mutex_unlock(&changed.mutex);
}

static void wait_for_ring(void) {
    pthread_mutex_lock(&changed.mutex);
    while (!changed.notified) pthread_cond_wait(&changed.rings, &changed.mutex);
    changed.notified = false;
    pthread_mutex_unlock(&changed.mutex);
}

static struct engine_prompt random_prompt(struct job *job, unsigned *seed) {
    job->prompt_count = 1 + (size_t)rand_r(seed) % 40;
    for (size_t i = 0; i < job->prompt_count; i++) job->prompt[i] = 1 + rand_r(seed) % (FAKE_VOCABULARY - 1);
    struct engine_prompt prompt =
        fake_prompt(job->prompt, job->prompt_count, 1 + (uint32_t)rand_r(seed) % 40);
    prompt.choices = 1 + (uint32_t)rand_r(seed) % 3;
    prompt.logprobs = rand_r(seed) % 3 - 1;
    prompt.prompt_logprobs = rand_r(seed) % 4 == 0;
    prompt.ignore_end = true;
    prompt.priority = rand_r(seed) % 3 - 1;
    prompt.timeout_ms = rand_r(seed) % 8 == 0 ? 1 + (uint32_t)rand_r(seed) % 20 : 0;
    prompt.user = job;
    return prompt;
}

static void *submit_jobs(void *context) {
    size_t number = (size_t)(uintptr_t)context;
    unsigned seed = (unsigned)number + 1;
    struct error e;
    for (size_t i = 0; i < PER_SUBMITTER; i++) {
        struct job *job = &jobs[number][i];
        struct engine_prompt prompt = random_prompt(job, &seed);
        struct engine_request *request;
        enum status status;
        while ((status = scheduler_submit(scheduler, &prompt, 1, &request, &e)) == STATUS_LIMIT) {
            atomic_fetch_add(&refused, 1);
            sched_yield();
        }
        if (status != STATUS_OK) abort();
        /* The handle is the taker's from now on, but a cancel may come from anywhere while it is held: it is,
         * for the taker gives nothing back before the end of all. */
        job->got.request = request;
        atomic_store(&job->published, true);
        if (rand_r(&seed) % 5 == 0) scheduler_cancel(request);
    }
    return NULL;
}

static void check_text(const struct job *job, const struct collected_choice *choice) {
    int32_t tokens[100];
    memcpy(tokens, job->prompt, job->prompt_count * sizeof *tokens);
    for (size_t i = 0; i < choice->count; i++) {
        tokens[job->prompt_count + i] = fake_next_of(model.memory, tokens, job->prompt_count + i);
        assert_int_equal(choice->ids[i], tokens[job->prompt_count + i]);
    }
}

static void take(struct engine_request *request) {
    struct job *job = request->user;
    while (!atomic_load(&job->published)) sched_yield();
    size_t before = job->got.ended;
    collect_some(&job->got, SIZE_MAX);
    if (job->got.ended > before && job->got.ended == request->choices) {
        for (uint32_t i = 0; i < request->choices; i++) check_text(job, &job->got.choices[i]);
        atomic_fetch_add(&ended, 1);
    }
}

static void start(void) {
    struct error e;
    struct scheduler_options options = fake_model_init(&model, 14, 90);
    options.wake = ring;
    options.queue_max = 40;
    model.memory = 2;
    options.speculate = true; /* by measured costs, as in earnest */
    options.self_drafts = fake_drafter(&model);
    assert_ok(scheduler_create(&options, &scheduler, &e));
    assert_ok(scheduler_start(scheduler, &e));
}

static void every_request_ends_once_and_nothing_is_lost(void **state) {
    (void)state;
    pthread_t threads[SUBMITTERS];
    start();
    for (size_t i = 0; i < SUBMITTERS; i++)
        pthread_create(&threads[i], NULL, submit_jobs, (void *)(uintptr_t)i);
    while (atomic_load(&ended) < SUBMITTERS * PER_SUBMITTER) {
        wait_for_ring();
        for (struct engine_request *r; (r = scheduler_next_ready(scheduler));) take(r);
    }
    for (size_t i = 0; i < SUBMITTERS; i++) pthread_join(threads[i], NULL);
    for (size_t i = 0; i < SUBMITTERS; i++)
        for (size_t k = 0; k < PER_SUBMITTER; k++) collect_release(&jobs[i][k].got);
    struct engine_stats stats;
    scheduler_stats(scheduler, &stats);
    assert_int_equal(stats.refused_queue, atomic_load(&refused));
    assert_true(stats.preemptions > 0);
    scheduler_destroy(scheduler);
    fake_model_deinit(&model);
}

static void *submit_and_leave(void *context) {
    unsigned seed = (unsigned)(uintptr_t)context + 77;
    struct error e;
    static _Thread_local struct job job;
    for (int i = 0; i < 300; i++) {
        struct engine_prompt prompt = random_prompt(&job, &seed);
        struct engine_request *request;
        prompt.user = NULL;
        if (scheduler_submit(scheduler, &prompt, 1, &request, &e) != STATUS_OK) continue;
        if (rand_r(&seed) % 3 == 0) sched_yield();
        scheduler_release(request);
    }
    return NULL;
}

/* Clients that are gone before their first event, then an end in the middle of things. */
static void released_requests_leave_nothing_behind(void **state) {
    (void)state;
    pthread_t threads[SUBMITTERS];
    start();
    for (size_t i = 0; i < SUBMITTERS; i++)
        pthread_create(&threads[i], NULL, submit_and_leave, (void *)(uintptr_t)i);
    for (size_t i = 0; i < SUBMITTERS; i++) pthread_join(threads[i], NULL);
    scheduler_destroy(scheduler);
    fake_model_deinit(&model);
}

static void destroying_a_busy_scheduler_ends_all(void **state) {
    (void)state;
    static struct job job;
    struct error e;
    unsigned seed = 5;
    for (int round = 0; round < 20; round++) {
        start();
        for (int i = 0; i < 10; i++) {
            struct engine_prompt prompt = random_prompt(&job, &seed);
            struct engine_request *request;
            prompt.user = NULL;
            assert_ok(scheduler_submit(scheduler, &prompt, 1, &request, &e));
            scheduler_release(request);
        }
        scheduler_destroy(scheduler);
        fake_model_deinit(&model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_ends_once_and_nothing_is_lost),
        cmocka_unit_test(released_requests_leave_nothing_behind),
        cmocka_unit_test(destroying_a_busy_scheduler_ends_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
