#include "engine/sched/batch_slots.h"

#include <assert.h>
#include <string.h>

#include "engine/sched/constraint.h"
#include "engine/sched/sequence_sets.h"

static size_t pages_for(const struct scheduler *s, size_t positions) {
    return kv_pages_for(positions, s->options.rules.page_tokens);
}

static size_t available_pages(const struct scheduler *s) {
    return kv_pool_available(s->options.pool);
}

/* What was found to be available. */
static void reserve(struct scheduler *s, struct sequence *q, size_t positions) {
    enum status status = kv_table_reserve(&q->table, s->options.pool, positions);
    assert(status == STATUS_OK);
    (void)status;
}

/* ---- what the batch needs ------------------------------------------------------------------------------ */

static size_t exclusive_pages(const struct scheduler *s, const struct sequence *q) {
    size_t count = 0;
    for (size_t i = 0; i < q->table.count; i++) count += s->options.pool->references[q->table.pages[i]] == 1;
    return count;
}

static void describe(struct scheduler *s, struct sequence *q, struct batch_sequence *out) {
    *out = (struct batch_sequence){.held = exclusive_pages(s, q),
                                   .joining = q->state == SEQUENCE_JOINING || constraint_waits(q)};
    if (out->joining) return;
    size_t target = sequence_target(q);
    assert(target > q->computed);
    out->decoding = q->state == SEQUENCE_DECODE;
    out->pending = target - q->computed;
    out->plain = sequence_plain_rows(q);
    out->room = event_ring_room(&s->ready_list, &q->request->ring, q->choice);
    out->needs_page = pages_for(s, target) > q->table.count;
}

void slots_describe(struct scheduler *s) {
    for (size_t i = 0; i < s->running_count; i++) describe(s, s->running[i], &s->needs[i]);
}

/* ---- out of the batch ---------------------------------------------------------------------------------- */

static void lose_pages(struct scheduler *s, struct sequence *q) {
    kv_table_shrink(&q->table, s->options.pool, 0);
    q->computed = 0;
}

/* Pages back; it waits at the slot of its rank, and will be computed again. */
static void preempt(struct scheduler *s, struct sequence *q) {
    sets_give_up_lead(q);
    lose_pages(s, q);
    sets_set_aside(s, q, SEQUENCE_PREEMPTED, &s->queues[QUEUE_PREEMPTED]);
}

/* Those whose readers do not read. false: there is none. */
static bool set_aside_backpressured(struct scheduler *s) {
    size_t before = s->running_count;
    for (size_t i = before; i-- > 0;) {
        if (s->needs[i].joining || batch_can_run(&s->needs[i])) continue;
        sets_give_up_lead(s->running[i]);
        sets_set_aside(s, s->running[i], SEQUENCE_BACKPRESSURED, &s->queues[QUEUE_BACKPRESSURED]);
    }
    return s->running_count < before;
}

/* Those whose readers have read again. */
static void resume_fed(struct scheduler *s) {
    struct event_ring *ring;
    uint32_t choice;
    while (ready_list_next_fed(&s->ready_list, &ring, &choice)) {
        struct sequence *q = &sched_request_of(ring)->sequences[choice];
        if (q->state != SEQUENCE_BACKPRESSURED)
            continue; /* it had no room, and rows to compute that need none */
        if (q->table.count > 0)
            sets_set_aside(s, q, SEQUENCE_RESUMED, &s->queues[QUEUE_RESUMED]);
        else
            sets_set_aside(s, q, SEQUENCE_PREEMPTED, &s->queues[QUEUE_PREEMPTED]);
    }
}

/* Takes the pages of one that is not in the batch, but for `except`. false: nobody has any. */
static bool strip_last(struct scheduler *s, const struct sequence *except) {
    struct sequence *backpressured = s->queues[QUEUE_BACKPRESSURED].last,
                    *resumed = s->queues[QUEUE_RESUMED].last;
    if (backpressured) {
        lose_pages(s, backpressured);
        queue_remove(backpressured);
        queue_insert(&s->queues[QUEUE_STRIPPED], backpressured);
    } else if (resumed && resumed != except) {
        preempt(s, resumed);
    } else {
        return false;
    }
    stats_add(&s->stats.preemptions, 1);
    return true;
}

static void preempt_victims(struct scheduler *s) {
    size_t needed = batch_pages_needed(s->needs, s->running_count);
    if (needed <= available_pages(s)) return;
    while (needed > available_pages(s) && strip_last(s, NULL)) {
    }
    slots_describe(s); /* pages that were shared with others may be its own now */
    if (batch_preempt(s->needs, s->running_count, available_pages(s), s->victims) == 0) return;
    for (size_t i = s->running_count; i-- > 0;)
        if (s->victims[i]) {
            preempt(s, s->running[i]);
            stats_add(&s->stats.preemptions, 1);
        }
}

/* Only those that decode can lack a page: the others got all of theirs when they were let in. */
static void reserve_next_pages(struct scheduler *s) {
    for (size_t i = 0; i < s->running_count; i++)
        if (!s->needs[i].joining) reserve(s, s->running[i], sequence_target(s->running[i]));
}

/* Those that wait for a leader that is in the batch no more: they come in again by their rank. */
static void part_from_lost_leaders(struct scheduler *s) {
    for (size_t i = s->running_count; i-- > 0;)
        if (s->running[i]->state == SEQUENCE_JOINING && !s->running[i]->request->leader)
            preempt(s, s->running[i]);
}

/* ---- into the batch ------------------------------------------------------------------------------------ */

/* What the cache already has of a waiting sequence. */
struct prefix_match {
    struct kv_prefix_cursor cursor;
    size_t pages; /* in s->matched */
};

/* Whether it has to compute all rows: those of a prompt that is scored, or whose mean is taken, from its start on. */
static bool looks_nothing_up(const struct sequence *q) {
    return (sequence_scores_prompt(q) || q->request->pooling == ENGINE_POOLING_MEAN) &&
           !sequence_spare_rows(q);
}

static struct prefix_match match_prefix(struct scheduler *s, const struct sequence *q) {
    const struct kv_pool *pool = s->options.pool;
    struct prefix_match match = {0};
    match.cursor.salt = q->rotary_length;
    if (!pool->prefix || looks_nothing_up(q)) return match;
    size_t most = sequence_spare_rows(q) / s->options.rules.page_tokens;
    match.pages = kv_prefix_match(pool->prefix, q->tokens, most, &match.cursor, s->matched);
    return match;
}

static void count_first_run(struct scheduler *s, struct sequence *q, uint64_t now_ns) {
    if (q->first_run_ns) return;
    q->first_run_ns = now_ns;
    q->cached_tokens = q->computed;
    histogram_observe(&s->stats.queue_time, sets_seconds(q->request->arrival_ns, now_ns));
    bool is_fork = q->request->leader && q->request->leader != q; /* looks nothing up */
    if (!s->options.pool->prefix || looks_nothing_up(q) || is_fork) return;
    stats_add(&s->stats.prefix_queries_tokens, q->request->prompt_count);
    stats_add(&s->stats.prefix_hit_tokens, q->cached_tokens);
}

/* Of a request whose prompt nobody computes: its first to run does, for all that come in meanwhile. */
static void lead(struct sequence *q) {
    struct engine_request *r = q->request;
    if (r->choices > 1 && !r->leader && sequence_generated(q) == 0) r->leader = q;
}

/* Pages that one needs beside those of s->matched that it adopts. Of these, those that nobody holds are taken, too. */
static size_t pages_missing(const struct scheduler *s, size_t wanted, size_t matched) {
    size_t idle = 0;
    for (size_t i = 0; i < matched; i++) idle += s->options.pool->references[s->matched[i]] == 0;
    return wanted - matched + idle;
}

static bool fits(const struct scheduler *s, size_t wanted, size_t matched, size_t lent) {
    return batch_admits(&s->options.limits, s->running_count, available_pages(s) + lent,
                        pages_missing(s, wanted, matched));
}

/* As if it had given its pages; returns how many of them nobody else holds. */
static size_t lend_pages(const struct scheduler *s, const struct sequence *q) {
    size_t lent = 0;
    for (size_t i = 0; i < q->table.count; i++) lent += --s->options.pool->references[q->table.pages[i]] == 0;
    return lent;
}

static size_t take_back_pages(const struct scheduler *s, const struct sequence *q) {
    for (size_t i = 0; i < q->table.count; i++) s->options.pool->references[q->table.pages[i]]++;
    return 0;
}

/* Of those that strip_last() may take from. */
static size_t of_others(const struct scheduler *s, const struct sequence *except,
                        size_t (*act)(const struct scheduler *, const struct sequence *)) {
    static const enum scheduler_queue having_pages[] = {QUEUE_BACKPRESSURED, QUEUE_RESUMED};
    size_t sum = 0;
    for (int i = 0; i < 2; i++)
        for (const struct sequence *q = s->queues[having_pages[i]].first; q; q = q->next)
            if (q != except) sum += act(s, q);
    return sum;
}

/* Whether it could be let in if all others outside of the batch gave their pages. */
static bool would_fit(const struct scheduler *s, const struct sequence *q, size_t wanted, size_t matched) {
    size_t lent = of_others(s, q, lend_pages);
    bool found = fits(s, wanted, matched, lent);
    of_others(s, q, take_back_pages);
    return found;
}

/* Whether so many pages are there for it, of which s->matched has the first; others outside of the batch give theirs for it,
 * but none for one that has to wait all the same. */
static bool find_pages(struct scheduler *s, const struct sequence *q, size_t wanted, size_t matched) {
    if (fits(s, wanted, matched, 0)) return true;
    if (!would_fit(s, q, wanted, matched)) return false;
    while (!fits(s, wanted, matched, 0)) {
        bool any = strip_last(s, q);
        assert(any);
        (void)any;
    }
    return true;
}

static bool begin(struct scheduler *s, struct sequence *q, uint64_t now_ns) {
    struct prefix_match match = match_prefix(s, q);
    if (!find_pages(s, q, pages_for(s, sequence_target(q)), match.pages)) return false;
    kv_table_adopt(&q->table, s->options.pool, s->matched, match.pages);
    reserve(s, q, sequence_target(q));
    q->cursor = match.cursor;
    q->indexed_pages = match.pages;
    q->computed = match.pages * s->options.rules.page_tokens;
    lead(q);
    sets_give_slot(s, q, SEQUENCE_PREFILL);
    count_first_run(s, q, now_ns);
    return true;
}

static bool go_on(struct scheduler *s, struct sequence *q) {
    size_t target = sequence_target(q);
    if (!find_pages(s, q, pages_for(s, target) - q->table.count, 0)) return false;
    reserve(s, q, target);
    lead(q);
    bool decodes = sequence_generated(q) > 0 && q->computed + 1 == q->count;
    sets_give_slot(s, q, decodes ? SEQUENCE_DECODE : SEQUENCE_PREFILL);
    return true;
}

/* Its prompt is being computed by a sibling, and all that it has is its prompt. */
static bool can_join(const struct sequence *q) {
    return q->request->leader && sequence_generated(q) == 0 && !sequence_scores_prompt(q) &&
           q->state != SEQUENCE_RESUMED;
}

/* The page for the copy is held in its table meanwhile; whose content it is shows when it is forked. */
static bool join(struct scheduler *s, struct sequence *q) {
    size_t tail = q->count % s->options.rules.page_tokens;
    if (!find_pages(s, q, tail != 0, 0)) return false;
    reserve(s, q, tail);
    sets_give_slot(s, q, SEQUENCE_JOINING);
    return true;
}

static bool let_in(struct scheduler *s, struct sequence *q, uint64_t now_ns) {
    if (can_join(q)) return join(s, q);
    return q->state == SEQUENCE_RESUMED ? go_on(s, q) : begin(s, q, now_ns);
}

static struct sequence *better(struct sequence *a, struct sequence *b) {
    if (!a || !b) return a ? a : b;
    return queue_before(a, b) ? a : b;
}

static struct sequence *next_in_rank(const struct scheduler *s) {
    size_t aside = 0;
    for (int i = QUEUE_WAITING + 1; i < SCHEDULER_QUEUES; i++) aside += s->queues[i].count;
    struct sequence *again = better(s->queues[QUEUE_PREEMPTED].first, s->queues[QUEUE_RESUMED].first);
    if (s->running_count + aside >= s->options.limits.sequences + s->options.aside_max) return again;
    struct sequence *seat = s->queues[QUEUE_WAITING].first;
    if (!seat || better(seat, again) != seat) return again;
    return seat->flow ? turns_next(seat) : seat;
}

static void admit_waiting(struct scheduler *s, uint64_t now_ns) {
    while (s->running_count < s->options.limits.sequences) {
        struct sequence *q = next_in_rank(s);
        if (!q || !let_in(s, q, now_ns)) return;
    }
}

void slots_make_room(struct scheduler *s, uint64_t now_ns) {
    resume_fed(s);
    slots_describe(s);
    if (set_aside_backpressured(s)) slots_describe(s);
    preempt_victims(s);
    reserve_next_pages(s);
    part_from_lost_leaders(s);
    admit_waiting(s, now_ns);
}

/* ---- forks --------------------------------------------------------------------------------------------- */

/* Whole pages are shared; of one that both would write to, a copy is made. */
static void share_pages(struct scheduler *s, struct sequence *q, const struct sequence *leader) {
    struct kv_pool *pool = s->options.pool;
    size_t whole = q->count / s->options.rules.page_tokens;
    kv_table_shrink(&q->table, pool, 0);
    kv_table_adopt(&q->table, pool, leader->table.pages, whole);
    reserve(s, q, q->count);
    if (q->table.count > whole) kv_pool_copy_page(pool, q->table.pages[whole], leader->table.pages[whole]);
    q->computed = leader->computed;
    q->cursor = leader->cursor;
    q->indexed_pages = leader->indexed_pages;
}

struct sequence *slots_fork(struct scheduler *s, const struct sequence *leader, uint32_t *next,
                            uint64_t now_ns) {
    struct engine_request *r = leader->request;
    while (*next < r->choices && r->sequences[*next].state != SEQUENCE_JOINING) ++*next;
    if (*next == r->choices) return NULL;
    struct sequence *q = &r->sequences[*next];
    share_pages(s, q, leader);
    sequence_move(q, SEQUENCE_PREFILL);
    count_first_run(s, q, now_ns);
    q->cached_tokens = leader->cached_tokens; /* of the same prompt */
    return q;
}
