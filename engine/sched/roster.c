#include "engine/sched/roster.h"

#include <assert.h>
#include <string.h>

#include "engine/base/clock.h"

#define FINISH_INTERVAL_WEIGHT 0.1 /* of the newest interval in the smoothed one */

/* ---- ends ---------------------------------------------------------------------------------------------- */

static double seconds_between(uint64_t from_ns, uint64_t to_ns) {
    return to_ns > from_ns ? (double)(to_ns - from_ns) * 1e-9 : 0;
}

/* It waits no longer, as the inbox counts. */
static void leave_inbox(struct scheduler *s, struct sequence *q) {
    if (q->admitted) return;
    q->admitted = true;
    inbox_left(&s->inbox, 1, q->request->prompt_count);
}

static void remove_running(struct scheduler *s, const struct sequence *q) {
    size_t i = 0;
    while (s->running[i] != q) i++;
    s->running_count--;
    memmove(s->running + i, s->running + i + 1, (s->running_count - i) * sizeof *s->running);
}

static void give_up_lead(struct sequence *q) {
    if (q->request->leader == q) q->request->leader = NULL;
}

static void remove_from_lists(struct scheduler *s, struct sequence *q) {
    if (q->state == SEQUENCE_WAITING || q->state == SEQUENCE_PREEMPTED)
        queue_remove(&s->waiting, q);
    else
        remove_running(s, q);
}

static void count_times(struct scheduler *s, const struct sequence *q, uint64_t now_ns) {
    struct stats *stats = &s->stats;
    histogram_observe(&stats->end_to_end, seconds_between(q->request->arrival_ns, now_ns));
    if (q->first_token_ns) {
        histogram_observe(&stats->prefill_time, seconds_between(q->first_run_ns, q->first_token_ns));
        histogram_observe(&stats->decode_time, seconds_between(q->first_token_ns, now_ns));
    }
    histogram_observe(&stats->request_prompt_tokens, (double)q->request->prompt_count);
    histogram_observe(&stats->request_generated_tokens, (double)sequence_generated(q));
}

static void count_finish(struct scheduler *s, const struct sequence *q, enum engine_finish finish,
                         uint64_t now_ns) {
    _Atomic uint64_t *counters[] = {[ENGINE_FINISH_STOP] = &s->stats.finished_stop,
                                    [ENGINE_FINISH_LENGTH] = &s->stats.finished_length,
                                    [ENGINE_FINISH_CANCELLED] = &s->stats.finished_cancelled,
                                    [ENGINE_FINISH_TIMEOUT] = &s->stats.finished_timeout,
                                    [ENGINE_FINISH_FAILED] = &s->stats.finished_failed};
    stats_add(counters[finish], 1);
    if (finish == ENGINE_FINISH_STOP || finish == ENGINE_FINISH_LENGTH) count_times(s, q, now_ns);
    if (s->last_finish_ns) {
        double interval = seconds_between(s->last_finish_ns, now_ns);
        double smoothed = atomic_load_explicit(&s->stats.finish_interval, memory_order_relaxed);
        smoothed = smoothed > 0 ? smoothed + FINISH_INTERVAL_WEIGHT * (interval - smoothed) : interval;
        atomic_store_explicit(&s->stats.finish_interval, smoothed, memory_order_relaxed);
    }
    s->last_finish_ns = now_ns;
}

static void post_finished(struct scheduler *s, const struct sequence *q,
                          const struct sequence_progress *progress, const struct error *failure) {
    struct engine_event event = {.kind = ENGINE_EVENT_FINISHED,
                                 .choice = q->choice,
                                 .text = q->ending.bytes ? q->ending.bytes : "",
                                 .text_length = q->ending.length,
                                 .finish = progress->finish,
                                 .stop_string = progress->stop_string,
                                 .stop_token = progress->stop_token,
                                 .seed = q->request->seed,
                                 .prompt_tokens = (uint32_t)q->request->prompt_count,
                                 .cached_tokens = (uint32_t)q->cached_tokens,
                                 .completion_tokens = (uint32_t)sequence_generated(q)};
    if (q->first_token_ns) {
        event.prefill_seconds = seconds_between(q->first_run_ns, q->first_token_ns);
        event.decode_seconds = seconds_between(q->first_token_ns, q->last_token_ns);
    }
    if (failure) event.error = *failure;
    enum status status = mailbox_post(&s->outbox, &q->request->mailbox, &event);
    assert(status == STATUS_OK);
    (void)status;
}

void roster_finish(struct scheduler *s, struct sequence *q, struct sequence_progress progress,
                   const struct error *failure, uint64_t now_ns) {
    struct error flush_error;
    remove_from_lists(s, q);
    leave_inbox(s, q);
    give_up_lead(q);
    kv_table_shrink(&q->table, s->options.pool, 0);
    sequence_move(q, SEQUENCE_DONE);
    if (progress.finish != ENGINE_FINISH_FAILED && sequence_end(q, &progress, &flush_error) != STATUS_OK) {
        progress.finish = ENGINE_FINISH_FAILED;
        failure = &flush_error;
    }
    count_finish(s, q, progress.finish, now_ns);
    post_finished(s, q, &progress, failure);
    struct engine_request *request = q->request;
    if (--request->unfinished == 0) sched_request_release(request);
}

static void finish_plainly(struct scheduler *s, struct sequence *q, enum engine_finish finish,
                           uint64_t now_ns) {
    struct sequence_progress progress = {
        .finished = true, .finish = finish, .stop_string = -1, .stop_token = -1};
    roster_finish(s, q, progress, NULL, now_ns);
}

static bool is_over(const struct sequence *q, uint64_t now_ns, enum engine_finish *finish) {
    bool cancelled = atomic_load_explicit(&q->request->cancelled, memory_order_acquire);
    *finish = cancelled ? ENGINE_FINISH_CANCELLED : ENGINE_FINISH_TIMEOUT;
    return cancelled || now_ns >= q->request->deadline_ns;
}

void roster_sweep(struct scheduler *s, uint64_t now_ns) {
    enum engine_finish finish;
    for (size_t i = s->running_count; i-- > 0;)
        if (is_over(s->running[i], now_ns, &finish)) finish_plainly(s, s->running[i], finish, now_ns);
    for (struct sequence *q = s->waiting.first, *next; q; q = next) {
        next = q->next;
        if (is_over(q, now_ns, &finish)) finish_plainly(s, q, finish, now_ns);
    }
}

void roster_finish_all(struct scheduler *s) {
    uint64_t now_ns = clock_ns();
    while (s->running_count > 0) finish_plainly(s, s->running[0], ENGINE_FINISH_CANCELLED, now_ns);
    while (s->waiting.first) finish_plainly(s, s->waiting.first, ENGINE_FINISH_CANCELLED, now_ns);
}

uint64_t roster_next_deadline(const struct scheduler *s) {
    uint64_t deadline = UINT64_MAX;
    for (size_t i = 0; i < s->running_count; i++)
        if (s->running[i]->request->deadline_ns < deadline) deadline = s->running[i]->request->deadline_ns;
    for (const struct sequence *q = s->waiting.first; q; q = q->next)
        if (q->request->deadline_ns < deadline) deadline = q->request->deadline_ns;
    return deadline;
}

/* ---- arrivals ------------------------------------------------------------------------------------------ */

/* The first prompt token has no log probability: its event needs no row. A mailbox that is new has room. */
static void post_first_prompt_token(struct scheduler *s, struct sequence *q) {
    struct engine_event event = {
        .kind = ENGINE_EVENT_PROMPT, .choice = q->choice, .text = "", .id = q->tokens[0]};
    enum status status = mailbox_post(&s->outbox, &q->request->mailbox, &event);
    assert(status == STATUS_OK);
    (void)status;
    q->prompt_scored = 1;
}

static void enqueue(struct scheduler *s, struct sequence *q, uint64_t now_ns) {
    q->order = s->next_order++;
    queue_insert(&s->waiting, q);
    if (q->choice == 0 && q->request->prompt_logprobs) post_first_prompt_token(s, q);
    if (sequence_target(q) == 0) finish_plainly(s, q, ENGINE_FINISH_LENGTH, now_ns);
}

void roster_take_arrivals(struct scheduler *s, struct engine_request *arrivals) {
    uint64_t now_ns = clock_ns();
    for (struct engine_request *r = arrivals, *next; r; r = next) {
        next = r->next_arrival;
        uint32_t choices = r->choices; /* r is gone when its last choice ends at once */
        struct sequence *sequences = r->sequences;
        for (uint32_t i = 0; i < choices; i++) enqueue(s, &sequences[i], now_ns);
    }
}

/* ---- pages --------------------------------------------------------------------------------------------- */

static size_t pages_for(const struct scheduler *s, size_t positions) {
    return kv_pages_for(positions, s->options.rules.page_tokens);
}

static size_t exclusive_pages(const struct scheduler *s, const struct sequence *q) {
    size_t count = 0;
    for (size_t i = 0; i < q->table.count; i++) count += s->options.pool->references[q->table.pages[i]] == 1;
    return count;
}

static void describe(struct scheduler *s, struct sequence *q, struct batch_sequence *out) {
    size_t target = sequence_target(q);
    assert(target > q->computed);
    *out = (struct batch_sequence){.decoding = q->state == SEQUENCE_DECODE,
                                   .pending = target - q->computed,
                                   .plain = sequence_plain_rows(q),
                                   .room = mailbox_room(&s->outbox, &q->request->mailbox, q->choice),
                                   .held = exclusive_pages(s, q),
                                   .needs_page = pages_for(s, target) > q->table.count};
    q->starved = !batch_can_run(out);
}

void roster_describe(struct scheduler *s) {
    for (size_t i = 0; i < s->running_count; i++) describe(s, s->running[i], &s->needs[i]);
}

/* Pages back; it waits at the place of its rank, and will be computed again. */
static void preempt(struct scheduler *s, struct sequence *q) {
    remove_running(s, q);
    give_up_lead(q);
    kv_table_shrink(&q->table, s->options.pool, 0);
    q->computed = 0;
    sequence_move(q, SEQUENCE_PREEMPTED);
    queue_insert(&s->waiting, q);
    stats_add(&s->stats.preemptions, 1);
}

static void preempt_victims(struct scheduler *s) {
    roster_describe(s);
    if (batch_preempt(s->needs, s->running_count, kv_pool_available(s->options.pool), s->victims) == 0)
        return;
    for (size_t i = s->running_count; i-- > 0;)
        if (s->victims[i]) preempt(s, s->running[i]);
}

/* Only those that decode can lack a page: the others got all of theirs when they were let in. */
static void reserve_next_pages(struct scheduler *s) {
    for (size_t i = 0; i < s->running_count; i++) {
        struct sequence *q = s->running[i];
        if (q->starved) continue;
        enum status status = kv_table_reserve(&q->table, s->options.pool, sequence_target(q));
        assert(status == STATUS_OK);
        (void)status;
    }
}

static void insert_running(struct scheduler *s, struct sequence *q) {
    size_t i = s->running_count++;
    for (; i > 0 && queue_before(q, s->running[i - 1]); i--) s->running[i] = s->running[i - 1];
    s->running[i] = q;
}

/* What the cache already has of a waiting sequence. */
struct prefix_match {
    struct kv_place place;
    size_t pages; /* in s->matched */
    size_t idle;  /* of which nobody holds: taking them takes what is available */
};

/* The last row is always computed: its logits are needed. Rows of a prompt that is scored are all needed. */
static struct prefix_match match_prefix(struct scheduler *s, const struct sequence *q) {
    const struct kv_pool *pool = s->options.pool;
    struct prefix_match match = {0};
    memcpy(&match.place.salt, &q->rope_theta, sizeof q->rope_theta);
    if (!pool->prefix || sequence_scores_prompt(q)) return match;
    size_t most = (sequence_target(q) - 1) / s->options.rules.page_tokens;
    match.pages = kv_prefix_match(pool->prefix, q->tokens, most, &match.place, s->matched);
    for (size_t i = 0; i < match.pages; i++) match.idle += pool->references[s->matched[i]] == 0;
    return match;
}

static void count_first_run(struct scheduler *s, struct sequence *q, uint64_t now_ns) {
    q->first_run_ns = now_ns;
    q->cached_tokens = q->computed;
    histogram_observe(&s->stats.queue_time, seconds_between(q->request->arrival_ns, now_ns));
    bool is_fork = q->request->leader && q->request->leader != q; /* looks nothing up */
    if (!s->options.pool->prefix || sequence_scores_prompt(q) || is_fork) return;
    stats_add(&s->stats.prefix_queries_tokens, q->request->prompt_count);
    stats_add(&s->stats.prefix_hit_tokens, q->cached_tokens);
}

/* From the queue to the running ones; its pages and what they hold are set. */
static void enter(struct scheduler *s, struct sequence *q, uint64_t now_ns) {
    queue_remove(&s->waiting, q);
    leave_inbox(s, q);
    if (!q->first_run_ns) count_first_run(s, q, now_ns);
    sequence_move(q, SEQUENCE_PREFILL);
    insert_running(s, q);
}

static void run(struct scheduler *s, struct sequence *q, const struct prefix_match *match, uint64_t now_ns) {
    struct engine_request *r = q->request;
    kv_table_adopt(&q->table, s->options.pool, s->matched, match->pages);
    enum status status = kv_table_reserve(&q->table, s->options.pool, sequence_target(q));
    assert(status == STATUS_OK);
    (void)status;
    q->place = match->place;
    q->indexed_pages = match->pages;
    q->computed = match->pages * s->options.rules.page_tokens;
    if (r->choices > 1 && !r->leader && sequence_generated(q) == 0) r->leader = q;
    enter(s, q, now_ns);
}

/* ---- forks --------------------------------------------------------------------------------------------- */

static bool can_be_forked(const struct sequence *q) {
    return q->state == SEQUENCE_WAITING && !sequence_scores_prompt(q);
}

static struct sequence *waiting_sibling(const struct sequence *leader) {
    for (uint32_t i = 0; i < leader->request->choices; i++)
        if (can_be_forked(&leader->request->sequences[i])) return &leader->request->sequences[i];
    return NULL;
}

/* Whole pages are shared; of one that both would write to, a copy is made. */
static void share_pages(struct scheduler *s, struct sequence *q, const struct sequence *leader) {
    struct kv_pool *pool = s->options.pool;
    size_t whole = q->count / s->options.rules.page_tokens;
    kv_table_adopt(&q->table, pool, leader->table.pages, whole);
    enum status status = kv_table_reserve(&q->table, pool, q->count);
    assert(status == STATUS_OK);
    (void)status;
    if (q->table.count > whole) kv_pool_copy_page(pool, q->table.pages[whole], leader->table.pages[whole]);
    q->computed = leader->computed;
    q->place = leader->place;
    q->indexed_pages = leader->indexed_pages;
}

struct sequence *roster_fork(struct scheduler *s, const struct sequence *leader, uint64_t now_ns) {
    struct sequence *q = waiting_sibling(leader);
    size_t copies = leader->count % s->options.rules.page_tokens != 0;
    if (!q || !batch_admits(&s->options.limits, s->running_count, kv_pool_available(s->options.pool), copies))
        return NULL;
    share_pages(s, q, leader);
    enter(s, q, now_ns);
    q->cached_tokens = leader->cached_tokens; /* of the same prompt */
    return q;
}

/* ---- places -------------------------------------------------------------------------------------------- */

/* One whose reader is slow leaves its place to one that can go on. */
static bool displace_starved(struct scheduler *s) {
    for (size_t i = s->running_count; i-- > 0;)
        if (s->running[i]->starved) {
            preempt(s, s->running[i]);
            return true;
        }
    return false;
}

static bool fits(const struct scheduler *s, const struct sequence *q, const struct prefix_match *match) {
    size_t needed = pages_for(s, sequence_target(q)) - match->pages + match->idle;
    return batch_admits(&s->options.limits, s->running_count, kv_pool_available(s->options.pool), needed);
}

/* Its prompt is being computed already. */
static bool waits_for_leader(const struct sequence *q) {
    return q->state == SEQUENCE_WAITING && q->request->leader;
}

/* In order of rank; the first that does not fit ends it, so that a long prompt is not overtaken for ever. One
 * that could not use its place (no room in its mailbox, or a sibling computes its prompt) is passed over. */
static void admit_waiting(struct scheduler *s, uint64_t now_ns) {
    for (struct sequence *q = s->waiting.first, *next; q; q = next) {
        next = q->next;
        struct batch_sequence needs;
        describe(s, q, &needs);
        if (q->starved || waits_for_leader(q)) continue;
        struct prefix_match match = match_prefix(s, q);
        while (!fits(s, q, &match)) {
            if (!displace_starved(s)) return;
            match = match_prefix(s, q); /* pages that were held may be idle now */
        }
        next = q->next; /* a displaced one may have come behind it */
        run(s, q, &match, now_ns);
    }
}

void roster_make_room(struct scheduler *s, uint64_t now_ns) {
    preempt_victims(s);
    reserve_next_pages(s);
    admit_waiting(s, now_ns);
}

/* ---- figures ------------------------------------------------------------------------------------------- */

void roster_publish(struct scheduler *s) {
    size_t paused = 0, choices, tokens;
    for (size_t i = 0; i < s->running_count; i++) paused += s->running[i]->starved;
    inbox_waiting(&s->inbox, &choices, &tokens);
    stats_set(&s->stats.running, s->running_count);
    stats_set(&s->stats.waiting, s->waiting.count);
    stats_set(&s->stats.paused, paused);
    stats_set(&s->stats.queued_tokens, tokens);
    stats_set(&s->stats.kv_pages_used, s->options.pool->page_count - kv_pool_available(s->options.pool));
    stats_set(&s->stats.kv_pages_total, s->options.pool->page_count);
}
