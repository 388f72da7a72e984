/* What drafts gain and lose, by places, odds, prices and plan together, on texts of all kinds and machines of all prices:
 * the clock is a made-up one that runs unevenly, so that the figures are the same everywhere. */
#include "tests/support/test_support.h"

#include <math.h>
#include <stdlib.h>

#include "engine/sched/draft_plan.h"
#include "engine/sched/follower.h"

enum { PROMPT = 40, TOKENS = 1500, VOCABULARY = 3000 };

static int32_t text[PROMPT + TOKENS + DRAFT_TOKENS_MAX + 1]; /* what the sequence says, whatever is guessed */
static int32_t said[PROMPT + TOKENS + DRAFT_TOKENS_MAX + 1];
static unsigned seed;

static double uniform(void) {
    return rand_r(&seed) / (RAND_MAX + 1.0);
}

/* ---- texts --------------------------------------------------------------------------------------------- */

/* As words are: few are frequent. */
static int32_t any_word(void) {
    return (int32_t)(pow((double)VOCABULARY, uniform()) - 1);
}

static void random_words(void) {
    for (size_t i = 0; i < PROMPT + TOKENS; i++) text[i] = any_word();
}

/* Phrases come back now and then, and each time something else follows. */
static void phrases(void) {
    for (size_t i = 0; i < PROMPT + TOKENS; i++) text[i] = any_word();
    for (size_t i = PROMPT; i + 6 < PROMPT + TOKENS; i += 4 + (size_t)(8 * uniform())) {
        size_t length = 2 + (size_t)(3 * uniform()), from = (size_t)(uniform() * (double)(i - length));
        for (size_t k = 0; k < length; k++) text[i + k] = text[from + k];
    }
}

/* Worst for a guesser: what it has seen twice goes on otherwise each time. */
static void traps(void) {
    random_words();
    for (size_t i = 4; i < PROMPT + TOKENS; i += 3) text[i - 1] = 7, text[i] = 8;
}

static void a_paragraph_again_and_again(void) {
    random_words();
    for (size_t i = PROMPT; i < PROMPT + TOKENS; i++)
        text[i] = uniform() < 0.01 ? any_word() : text[i - PROMPT];
}

/* As a log or a table: a line again and again, with other numbers in two places. */
static void lines_with_other_numbers(void) {
    random_words();
    for (size_t i = PROMPT; i < PROMPT + TOKENS; i++)
        if (i % 20 != 7 && i % 20 != 13) text[i] = text[i - 20];
}

/* Half and half: first ordinary, then copied. */
static void ordinary_then_copied(void) {
    phrases();
    for (size_t i = PROMPT + TOKENS / 2; i < PROMPT + TOKENS; i++) text[i] = text[i - TOKENS / 3];
}

/* ---- a machine ----------------------------------------------------------------------------------------- */

/* Of a step of so many rows; others use the machine too. */
static double seconds_of(size_t rows, double row_cost) {
    double noise = uniform() < 0.02 ? 2.5 : 0.95 + 0.1 * uniform();
    return 1e-3 * (1 + row_cost * (double)(rows - 1)) * noise;
}

static size_t guess(const struct follower *f, const struct step_cost *cost, size_t count) {
    const struct follower_text own = {said, count};
    struct draft_offer offer;
    size_t drafts, most = PROMPT + TOKENS - count - 1;
    double rate;
    offer.count = follower_chances(f, &own, most < DRAFT_TOKENS_MAX ? most : DRAFT_TOKENS_MAX, offer.chances);
    draft_plan(cost, &offer, 1, STEP_COST_ROWS_MAX, &drafts, &rate);
    follower_guess(f, &own, drafts, said + count);
    return drafts;
}

/* How much sooner the text is there than a token a step. */
static double gain(double row_cost) {
    struct follower follower;
    struct step_cost cost = {0};
    size_t count = PROMPT;
    double with = 0, without = 0;
    follower_init(&follower, false);
    memcpy(said, text, PROMPT * sizeof *said);
    while (count < PROMPT + TOKENS) {
        size_t drafts = guess(&follower, &cost, count);
        double seconds = seconds_of(1 + drafts, row_cost);
        step_cost_observe(&cost, 1 + drafts, seconds);
        with += seconds;
        for (size_t end = count + drafts;;) {
            bool is_right = count < end && said[count] == text[count];
            said[count] = text[count];
            count++;
            const struct follower_text own = {said, count};
            follower_see(&follower, &own, &own);
            if (!is_right) break;
        }
    }
    for (size_t i = 0; i < TOKENS; i++) without += seconds_of(1, row_cost);
    return without / with;
}

/* ---- what is promised ---------------------------------------------------------------------------------- */

/* From steps that wait for memory to such that compute each row alone. */
static const double row_costs[] = {0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1};

/* The least gain over some texts of the kind, on each machine. */
static void expect(const char *kind, void (*write)(void), const double *least) {
    for (size_t c = 0; c < sizeof row_costs / sizeof *row_costs; c++) {
        double sum = 0;
        for (unsigned round = 1; round <= 5; round++) {
            seed = round;
            write();
            sum += gain(row_costs[c]);
        }
        if (sum / 5 < least[c]) fail_msg("%s, rows at %g: %g", kind, row_costs[c], sum / 5);
    }
}

static void what_is_not_said_twice_costs_next_to_nothing(void **state) {
    (void)state;
    static const double least[] = {0.97, 0.97, 0.97, 0.97, 0.97, 0.97, 0.97};
    expect("random words", random_words, least);
    expect("phrases", phrases, least);
    expect("traps", traps, least);
}

static void repetition_gains(void **state) {
    (void)state;
    static const double all[] = {6, 5.5, 4.5, 3.5, 2.3, 1.3, 0.97},
                        lines[] = {5.2, 4.8, 4, 3.2, 2.2, 1.3, 0.97},
                        half[] = {1.6, 1.6, 1.5, 1.4, 1.2, 1.05, 0.97};
    expect("a paragraph again and again", a_paragraph_again_and_again, all);
    expect("lines with other numbers", lines_with_other_numbers, lines);
    expect("ordinary, then copied", ordinary_then_copied, half);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_said_twice_costs_next_to_nothing),
        cmocka_unit_test(repetition_gains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
