/* Drafts by the model itself: a second backend, how often it is right, and how far it is asked. */
#include "drafting_fixture.h"

static void self_drafting(struct scheduler_options *o) {
    o->self_drafts = fake_drafter(&model);
}

/* The model never says the same again, so that nothing but its drafter knows anything; that is right three times of
 * four. */
static void a_drafter_is_asked_and_corrected(void **state) {
    (void)state;
    start_drafting(40, 300, self_drafting);
    model.memory = 0;
    int32_t *ids = ids_of(5, 3);
    struct engine_prompt prompt = endless(ids, 5, 200);
    collect_start(scheduler, &got, &prompt);
    const struct sequence *q = &got.request->sequences[0];
    while (got.choices[0].count < 190) {
        scheduler_turn(scheduler);
        assert_true(q->table.count <= kv_pages_for(q->count, FAKE_PAGE_TOKENS));
        collect_ready(scheduler);
    }
    double right = (double)q->self_hits / q->self_trials;
    assert_true(right > 0.6 && right < 0.9);
    collect_until_end(scheduler, &got);
    expect_text(&got.choices[0], ids, 5, 200);
    struct engine_stats stats = figures();
    assert_int_equal(stats.steps + stats.spec_accepted_tokens, 200);
    assert_true(stats.steps < 120 && model.draft_steps > 100);
    collect_release(&got);
    stop();
}

/* What was said before costs nothing to guess, and here is always right. */
static void texts_go_before_the_drafter_where_they_say_more(void **state) {
    (void)state;
    start_drafting(40, 300, self_drafting);
    int32_t *ids = ids_of(5, 3);
    struct engine_prompt prompt = endless(ids, 5, 200);
    collect_start(scheduler, &got, &prompt);
    while (got.choices[0].count < 100) {
        scheduler_turn(scheduler);
        collect_ready(scheduler);
    }
    uint64_t steps = model.draft_steps;
    collect_until_end(scheduler, &got);
    expect_text(&got.choices[0], ids, 5, 200);
    assert_true(model.draft_steps <= steps + 1);
    collect_release(&got);
    stop();
}

/* Every token of it becomes another: it is asked ever more seldom. */
static void wrong_step(void *context, const struct step_entry *entries, size_t count) {
    struct fake_model *m = context;
    fake_draft_step(context, entries, count);
    for (size_t i = 0; i < count; i++) fake_logits(i + m->draft_steps, m->logits + i * FAKE_ROWS);
}

static void wrong_drafter(struct scheduler_options *o) {
    self_drafting(o);
    o->self_drafts.step = wrong_step;
}

static void a_drafter_that_is_wrong_is_left_alone(void **state) {
    (void)state;
    start_drafting(80, 600, wrong_drafter);
    model.memory = 0;
    int32_t *ids = ids_of(5, 3);
    struct engine_prompt prompt = endless(ids, 5, 550);
    collect_start(scheduler, &got, &prompt);
    while (got.choices[0].count < 200) {
        scheduler_turn(scheduler);
        collect_ready(scheduler);
    }
    uint64_t steps = model.draft_steps;
    collect_until_end(scheduler, &got);
    expect_text(&got.choices[0], ids, 5, 550);
    assert_true(model.draft_steps - steps <= 6 && model.draft_steps > steps); /* one in 64 or so, to see */
    collect_release(&got);
    stop();
}

/* It is sure where it is right, and doubts where it is not. */
static void honest_step(void *context, const struct step_entry *entries, size_t count) {
    struct fake_model *m = context;
    fake_draft_step(context, entries, count);
    for (size_t i = 0; i < count; i++) {
        const struct step_entry *entry = &entries[i];
        float *logits = m->logits + i * FAKE_ROWS;
        int32_t right =
            fake_next_of(m->memory, entry->tokens - entry->first_position, entry->first_position + 1);
        float factor = fake_best(logits) == right ? 20 : 0.1f;
        for (size_t k = 0; k < FAKE_ROWS; k++) logits[k] *= k < FAKE_VOCABULARY ? factor : 0;
    }
}

static void honest_drafter(struct scheduler_options *o) {
    self_drafting(o);
    o->self_drafts.step = honest_step;
    o->draft_row_cost = 0.1;
}

/* Of the drafts of a step: whether one comes behind a doubtful one. */
static bool goes_on_behind_doubts(const struct sequence *q, size_t drafts) {
    for (size_t i = 0; q->draft_source == DRAFT_SOURCE_SELF && i + 1 < drafts; i++)
        if (q->self_classes[i] == 0) return true;
    return false;
}

/* So it goes on for as long as the drafter is sure, and a step ends with the token that it did not know. */
static void nothing_is_drafted_behind_doubts(void **state) {
    (void)state;
    start_drafting(80, 600, honest_drafter);
    model.memory = 0;
    int32_t *ids = ids_of(5, 3);
    struct engine_prompt prompt = endless(ids, 5, 550);
    collect_start(scheduler, &got, &prompt);
    const struct sequence *q = &got.request->sequences[0];
    size_t longest = 0, behind_doubts = 0;
    while (got.choices[0].count < 540) {
        uint64_t before = figures().spec_draft_tokens;
        scheduler_turn(scheduler);
        size_t drafts = (size_t)(figures().spec_draft_tokens - before);
        if (got.choices[0].count > 200 && goes_on_behind_doubts(q, drafts)) behind_doubts++;
        longest = drafts > longest ? drafts : longest;
        collect_ready(scheduler);
    }
    assert_true(longest > 5 && behind_doubts == 0);
    const struct self_drafting *d = &scheduler->self_drafting;
    assert_true(d->class_hits[0] == 0 && d->class_trials[0] > 20);
    assert_true(d->class_hits[SELF_DRAFT_CLASSES - 1] == d->class_trials[SELF_DRAFT_CLASSES - 1]);
    collect_until_end(scheduler, &got);
    expect_text(&got.choices[0], ids, 5, 550);
    collect_release(&got);
    stop();
}

static void nan_step(void *context, const struct step_entry *entries, size_t count) {
    struct fake_model *m = context;
    fake_draft_step(context, entries, count);
    for (size_t i = 0; i < count; i++) m->logits[i * FAKE_ROWS] = NAN;
}

static void nan_drafter(struct scheduler_options *o) {
    self_drafting(o);
    o->self_drafts.step = nan_step;
}

static void a_drafter_of_no_numbers_drafts_nothing(void **state) {
    (void)state;
    start_drafting(40, 300, nan_drafter);
    model.memory = 0;
    int32_t *ids = ids_of(5, 3);
    struct engine_prompt prompt = endless(ids, 5, 100);
    collect_start(scheduler, &got, &prompt);
    collect_until_end(scheduler, &got);
    expect_text(&got.choices[0], ids, 5, 100);
    assert_int_equal(figures().spec_draft_tokens, 0);
    collect_release(&got);
    stop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_drafter_is_asked_and_corrected),
        cmocka_unit_test(texts_go_before_the_drafter_where_they_say_more),
        cmocka_unit_test(a_drafter_that_is_wrong_is_left_alone),
        cmocka_unit_test(nothing_is_drafted_behind_doubts),
        cmocka_unit_test(a_drafter_of_no_numbers_drafts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
