/* Texts read in a grammar that others read in: what comes of one depends on nothing but itself, not on what the others
 * have taken of memory and time. */
#include "engine/grammar/grammar_parts.h"
#include "tests/support/failing_malloc.h"
#include "tests/unit/engine/grammar/grammar_fixture.h"

/* Under a sanitizer it takes ten times as long, and shows the same. */
enum {
    STEP_BOUNDS = TEST_SHARE ? 1 : 2,
    FAILURES_A_DOUBLING = TEST_SHARE ? 1 : 4,
    TOKENS_MAX = TEST_SHARE ? 20 : 30,
    EVERY = TEST_SHARE ? 3 : 1 /* of the bounds of memory */
};

enum { TEXTS = 3, TURNS_MAX = 2000000 };

static struct grammar_vocabulary *vocabulary;

struct text {
    struct grammar_place place;
    int32_t tokens[TOKENS_MAX];
    size_t count;
    uint64_t seed;
    enum status status; /* how it ended */
    struct error error;
    uint32_t bits[FIXTURE_WORDS];
    uint32_t hash; /* of its masks */
    bool is_over;
};

static uint64_t next_random(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static enum status try_compile(enum grammar_kind kind, const char *source, size_t bytes_max,
                               struct grammar_budget *budget, struct grammar **out, struct error *e) {
    const struct grammar_options options = {.bytes_max = bytes_max, .seconds_max = 100, .budget = budget};
    return grammar_compile(kind, (struct engine_string){source, strlen(source)}, &options, vocabulary, out,
                           e);
}

static struct grammar *compile(enum grammar_kind kind, const char *source, size_t bytes_max,
                               struct grammar_budget *budget) {
    struct grammar *g;
    struct error e;
    assert_ok(try_compile(kind, source, bytes_max, budget, &g, &e));
    return g;
}

static void begin(struct text *t, struct grammar *g, uint64_t seed) {
    *t = (struct text){.seed = seed};
    grammar_place_init(&t->place, g);
}

/* Any of the tokens that may come. */
static int32_t pick(const uint32_t *bits, uint64_t number) {
    int32_t allowed[FIXTURE_TOKENS];
    size_t count = 0;
    for (size_t i = 0; i < FIXTURE_TOKENS; i++)
        if (bits[i / 32] >> i % 32 & 1) allowed[count++] = (int32_t)i;
    return count > 0 ? allowed[number % count] : -1;
}

static void note(struct text *t, const uint32_t *bits, const struct grammar_outlook *outlook) {
    for (size_t i = 0; i < FIXTURE_WORDS; i++) t->hash = (t->hash ^ bits[i]) * 0x01000193u;
    t->hash = (t->hash ^ outlook->may_end) * 0x01000193u;
}

/* Goes on by one token, if there are steps enough. */
static void go_on(struct text *t, struct grammar_steps *steps) {
    uint32_t *bits = t->bits;
    struct grammar_outlook outlook;
    enum status status = grammar_place_read(&t->place, t->tokens, t->count, steps, bits, &outlook, &t->error);
    if (status == STATUS_BUSY) return;
    t->is_over = status != STATUS_OK || t->count == TOKENS_MAX;
    t->status = status;
    if (status != STATUS_OK) return;
    assert_false(outlook.is_dead);
    note(t, bits, &outlook);
    int32_t token = pick(bits, next_random(&t->seed));
    assert_true(token >= 0 || outlook.may_end);
    t->is_over |= token < 0;
    if (!t->is_over) t->tokens[t->count++] = token;
}

static void run_alone(struct text *t, struct grammar *g, uint64_t seed) {
    begin(t, g, seed);
    while (!t->is_over) go_on(t, NULL);
    grammar_place_deinit(&t->place);
}

/* All of them, in turns that come by chance, each with a few steps; now and then one leaves what it waits for. */
static void run_together(struct text *texts, struct grammar *g, size_t steps_max, uint64_t seed) {
    for (size_t i = 0; i < TEXTS; i++) begin(&texts[i], g, 100 + i);
    size_t left = TEXTS;
    for (size_t turn = 0; left > 0; turn++) {
        assert_true(turn < TURNS_MAX);
        struct text *t = &texts[next_random(&seed) % TEXTS];
        struct grammar_steps steps = {.left = next_random(&seed) % steps_max};
        if (t->is_over) continue;
        if (turn < 5000 && turn % 97 == 0) grammar_place_leave(&t->place);
        go_on(t, &steps);
        left -= t->is_over;
    }
    for (size_t i = 0; i < TEXTS; i++) grammar_place_deinit(&texts[i].place);
}

static void assert_same(const struct text *a, const struct text *b) {
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->tokens, b->tokens, a->count * sizeof *a->tokens);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->hash, b->hash);
}

static const struct {
    enum grammar_kind kind;
    const char *source;
    size_t bytes_max; /* so that states have to be forgotten */
    bool fails;       /* some texts do */
} cases[] = {
    {GRAMMAR_REGEX, "[ab]*a[ab]{60}", 200000, false},
    {GRAMMAR_REGEX, "[ab]*a[ab]{500}", 60000, true},
    {GRAMMAR_REGEX, "(a|b{3,50}|[a-c]{2,30}c)*", 200000, false},
    {GRAMMAR_GBNF, "root ::= \"(\" root \")\" | \"a\" root \"b\" | [x-z]+ (root | \"!\")", 200000, false},
    {GRAMMAR_GBNF, "root ::= (\"a\" | \"aa\" | \"a\" root)* \"b\"", 150000, true},
    {GRAMMAR_JSON_SCHEMA,
     "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"maxLength\":300},\"b\":{\"$ref\":\"#"
     "\"},"
     "\"c\":{\"type\":\"string\",\"pattern\":\"^(a|ab)*c\",\"minLength\":9}},\"additionalProperties\":true}",
     700000, false},
};

static void texts_do_not_know_of_each_other(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static struct text alone[TEXTS], together[TEXTS];
        size_t failed = 0, steps[] = {100000, 4000};
        for (size_t t = 0; t < TEXTS; t++) {
            struct grammar *g = compile(cases[i].kind, cases[i].source, cases[i].bytes_max, NULL);
            run_alone(&alone[t], g, 100 + t);
            grammar_release(g);
            failed += alone[t].status != STATUS_OK;
            if (alone[t].status != STATUS_OK && !cases[i].fails)
                fail_msg("%s: text %zu, behind %zu tokens: %s", cases[i].source, t, alone[t].count,
                         alone[t].error.text);
            if (alone[t].status != STATUS_OK) assert_int_equal(alone[t].status, STATUS_LIMIT);
        }
        assert_int_equal(failed > 0, cases[i].fails);
        for (size_t s = 0; s < STEP_BOUNDS; s++) {
            struct grammar *g = compile(cases[i].kind, cases[i].source, cases[i].bytes_max, NULL);
            run_together(together, g, steps[s], 7 + s);
            for (size_t t = 0; t < TEXTS; t++) assert_same(&alone[t], &together[t]);
            grammar_release(g);
        }
    }
}

/* And the masks are those of a grammar that never had to forget anything. */
static void what_is_forgotten_is_found_again(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static struct text narrow, roomy;
        struct grammar *small = compile(cases[i].kind, cases[i].source, cases[i].bytes_max, NULL);
        struct grammar *large = compile(cases[i].kind, cases[i].source, 64 << 20, NULL);
        if (cases[i].fails) assert_true(grammar_bytes(small) > 0);
        run_alone(&narrow, small, 3);
        run_alone(&roomy, large, 3);
        if (!cases[i].fails) assert_same(&narrow, &roomy);
        assert_true(grammar_bytes(small) <= cases[i].bytes_max * 3 / 2 + 4096);
        grammar_release(small);
        grammar_release(large);
    }
}

/* Grammars whose memory together is too small for them: each gets what it needs, one after the other. */
static void all_get_on_where_memory_is_short(void **state) {
    (void)state;
    enum { BYTES = 150000, GRAMMARS = 3 };
    static struct text alone[GRAMMARS], together[GRAMMARS];
    struct grammar_budget budget = {.bytes_max = 2 * BYTES, .reserve = BYTES};
    struct grammar *g[GRAMMARS];
    uint64_t seed = 5;
    atomic_init(&budget.used, 0);
    for (size_t i = 0; i < GRAMMARS; i++) {
        g[i] = compile(GRAMMAR_REGEX, "[ab]*a[ab]{150}", BYTES, NULL);
        run_alone(&alone[i], g[i], i);
        grammar_release(g[i]);
        assert_int_equal(alone[i].status, STATUS_OK);
    }
    for (size_t i = 0; i < GRAMMARS; i++) {
        g[i] = compile(GRAMMAR_REGEX, "[ab]*a[ab]{150}", BYTES, &budget);
        begin(&together[i], g[i], i);
    }
    size_t left = GRAMMARS;
    for (size_t turn = 0; left > 0; turn++) {
        struct text *t = &together[next_random(&seed) % GRAMMARS];
        struct grammar_steps steps = {.left = 20000};
        assert_true(turn < TURNS_MAX);
        if (t->is_over) continue;
        go_on(t, &steps);
        left -= t->is_over;
        assert_true(atomic_load(&budget.used) <= budget.bytes_max);
    }
    for (size_t i = 0; i < GRAMMARS; i++) {
        assert_same(&alone[i], &together[i]);
        grammar_place_deinit(&together[i].place);
        grammar_release(g[i]);
    }
    assert_int_equal(atomic_load(&budget.used), 0);
}

/* Of grammars whose masks come of each other's, and some that need many states. */
static const struct {
    enum grammar_kind kind;
    const char *source;
    size_t first, end, step; /* of memory: too little, and enough */
} narrow[] = {
    {GRAMMAR_REGEX, "[ab]*a[ab]{200}", 38000, 46000, 500},
    {GRAMMAR_REGEX, "[ab]*a[ab]{200}", 45000, 115000, 5000},
    {GRAMMAR_REGEX, "([ab]{0,40}c?){1,6}", 20000, 60000, 1000},
    {GRAMMAR_REGEX, "[ab]{0,90}a[ab]{0,90}b[ab]{0,70}", 40000, 140000, 5000},
};

/* Whether masks could be kept, which others' use of the budget decides, does not decide what is too much. */
static void kept_masks_are_not_in_the_way(void **state) {
    (void)state;
    size_t failed = 0, ended = 0;
    for (size_t i = 0; i < sizeof narrow / sizeof *narrow; i++)
        for (size_t bytes = narrow[i].first; bytes < narrow[i].end; bytes += EVERY * narrow[i].step) {
            static struct text texts[2];
            size_t compiled[2] = {0, 0};
            for (size_t k = 0; k < 2; k++) { /* with room for masks, and without */
                struct grammar_budget budget = {.bytes_max = 64 << 20};
                struct grammar *g;
                atomic_init(&budget.used, k * (60 << 20));
                texts[k] = (struct text){0};
                texts[k].status =
                    try_compile(narrow[i].kind, narrow[i].source, bytes, &budget, &g, &texts[k].error);
                if (!g) continue;
                compiled[k] = g->compiled_bytes;
                run_alone(&texts[k], g, 5);
                grammar_release(g);
            }
            assert_int_equal(compiled[0], compiled[1]);
            assert_same(&texts[0], &texts[1]);
            failed += texts[0].status != STATUS_OK;
            ended += texts[0].status == STATUS_OK;
        }
    assert_true(failed > 10 / EVERY && ended > 10 / EVERY);
}

/* Of what is asked for with so many steps no more is done, but for the last operation. */
static void no_more_is_done_than_there_are_steps(void **state) {
    (void)state;
    enum { STEPS = 100, ONE_OPERATION = 300 };
    struct grammar *g = compile(GRAMMAR_REGEX, "[ab]*a[ab]{1000}", 8 << 20, NULL);
    static struct text t;
    size_t pieces = 0;
    begin(&t, g, 1);
    while (!t.is_over && t.count < 40) {
        struct grammar_steps steps = {.left = STEPS};
        go_on(&t, &steps);
        assert_in_range(steps.used, 0, STEPS + ONE_OPERATION);
        pieces++;
    }
    assert_true(pieces > 200);
    grammar_place_deinit(&t.place);
    grammar_release(g);
}

/* Another text of the same grammar waits meanwhile, and no longer than the first one asks. */
static void who_leaves_holds_up_nobody(void **state) {
    (void)state;
    struct grammar *g = compile(GRAMMAR_REGEX, "[ab]*a[ab]{1000}", 8 << 20, NULL);
    static struct text slow, other;
    struct grammar_steps few = {.left = 1}, many = {.left = 100000000};
    begin(&slow, g, 1);
    begin(&other, g, 2);
    go_on(&slow, &few); /* what comes first is known */
    go_on(&other, &few);
    go_on(&slow, &few);
    go_on(&other, &many);
    assert_int_equal(slow.count, 1);
    assert_int_equal(other.count, 1);
    grammar_place_leave(&slow.place);
    go_on(&other, &many);
    assert_int_equal(other.count, 2);
    go_on(&slow, &few);
    grammar_place_deinit(&slow.place); /* with its question open */
    go_on(&other, &many);
    assert_int_equal(other.count, 3);
    grammar_place_deinit(&other.place);
    grammar_release(g);
}

/* With a beginning of its own, so that behind it no state is known that another has met. */
static void begin_differently(struct text *t, struct grammar *g, unsigned number) {
    enum { BITS = 4 };
    begin(t, g, number);
    for (t->count = 0; t->count < 3 * BITS; t->count++)
        t->tokens[t->count] = number >> t->count % BITS & 1 ? 'a' : 'b';
    struct grammar_outlook outlook;
    struct error e;
    assert_ok(grammar_place_read(&t->place, t->tokens, t->count, NULL, NULL, &outlook, &e));
}

/* Those that need the grammar to themselves have it in the order in which they were told to wait. */
static void who_waited_first_goes_first(void **state) {
    (void)state;
    struct grammar *g = compile(GRAMMAR_REGEX, "[ab]*a[ab]{200}", 8 << 20, NULL);
    static struct text texts[TEXTS];
    for (unsigned i = 0; i < TEXTS; i++) begin_differently(&texts[i], g, 9 * i + 5);
    for (size_t i = 0; i < TEXTS; i++) {
        struct grammar_steps few = {.left = 1};
        assert_false(grammar_place_is_behind(&texts[i].place));
        go_on(&texts[i], &few);
    }
    for (size_t turn = 0; turn < 3 * TEXTS; turn++) {
        struct text *first = &texts[turn % TEXTS];
        struct grammar_steps few = {.left = 1}, all = {.left = 100000000};
        size_t count = first->count;
        for (size_t i = 0; i < TEXTS; i++)
            assert_int_equal(grammar_place_is_behind(&texts[i].place), &texts[i] != first);
        go_on(first, &all);
        assert_int_equal(first->count, count + 1);
        go_on(first, &few); /* its next token has to wait, though nobody is at it */
        assert_int_equal(first->count, count + 1);
    }
    grammar_place_leave(&texts[0].place); /* which makes room in the line */
    for (size_t i = 0; i < TEXTS; i++) assert_int_equal(grammar_place_is_behind(&texts[i].place), i == 2);
    for (size_t i = 0; i < TEXTS; i++) grammar_place_deinit(&texts[i].place);
    grammar_release(g);
}

/* Nobody works at what somebody has asked for and then left, whether it was begun or not. */
static void what_is_left_is_not_done(void **state) {
    (void)state;
    enum { STEPS = 5, ONE_OPERATION = 60 };
    struct grammar *g = compile(GRAMMAR_REGEX, "[ab]*a[ab]{1000}", 8 << 20, NULL);
    static struct text t;
    begin_differently(&t, g, 37);
    for (size_t pieces = 1; pieces < 6; pieces++) {
        for (size_t i = 0; i < pieces; i++) {
            struct grammar_steps few = {.left = STEPS};
            go_on(&t, &few);
        }
        size_t before = g->matcher->rules->steps;
        assert_ptr_equal(g->job.owner, &t.place);
        grammar_place_leave(&t.place);
        assert_null(g->job.owner);
        assert_in_range(g->matcher->rules->steps - before, 0, ONE_OPERATION);
    }
    size_t before = g->matcher->rules->steps;
    go_on(&t, NULL);
    assert_true(g->matcher->rules->steps - before > 2 * ONE_OPERATION); /* so it would have shown */
    grammar_place_deinit(&t.place);
    grammar_release(g);
}

/* Wherever the work of one text rests others come and go. */
static void places_come_and_go_meanwhile(void **state) {
    (void)state;
    struct grammar *g = compile(GRAMMAR_REGEX, "[ab]*a[ab]{500}", 200000, NULL);
    static struct text slow;
    struct text *passing = NULL;
    begin(&slow, g, 2);
    while (!slow.is_over && slow.count < 12) {
        struct grammar_steps few = {.left = 50}, more = {.left = 5000};
        go_on(&slow, &few);
        if (passing) grammar_place_deinit(&passing->place);
        free(passing);
        passing = malloc(sizeof *passing);
        assert_non_null(passing);
        begin(passing, g, slow.count);
        for (size_t i = 0; i < 3; i++) go_on(passing, &more);
    }
    assert_int_equal(slow.status, STATUS_OK);
    grammar_place_deinit(&passing->place);
    free(passing);
    grammar_place_deinit(&slow.place);
    grammar_release(g);
}

/* What a text that may come leads to, without reading it. */
static void ahead_of_a_text(void **state) {
    (void)state;
    struct grammar *g = compile(GRAMMAR_REGEX, "ab(c|dd)", 1 << 20, NULL);
    struct grammar_place p;
    struct grammar_outlook outlook;
    struct grammar_steps steps = {.left = 100000};
    uint32_t bits[FIXTURE_WORDS];
    struct error e;
    char forced[8];
    const int32_t tokens[] = {'a', 'b', 'd', 'd', 'x'};
    grammar_place_init(&p, g);
    assert_int_equal(grammar_place_forced(&p, &steps, forced, sizeof forced), 2);
    assert_ok(grammar_place_read(&p, tokens, 1, &steps, bits, &outlook, &e));
    assert_int_equal(p.count, 1);
    assert_ok(grammar_place_try(&p, tokens, 2, 'c', &steps, bits, &outlook, &e));
    assert_true(outlook.may_end && !outlook.is_dead);
    assert_int_equal(pick(bits, 0), -1);
    assert_ok(grammar_place_try(&p, tokens, 2, 'x', &steps, bits, &outlook, &e));
    assert_true(outlook.is_dead);
    assert_ok(grammar_place_try(&p, tokens, 3, -1, &steps, bits, &outlook, &e));
    assert_int_equal(pick(bits, 0), 'd');
    assert_int_equal(grammar_place_fitting(&p, tokens + 1, 4, &steps), 3);
    assert_int_equal(p.count, 1);
    steps.left = 0;
    assert_int_equal(grammar_place_try(&p, tokens, 4, -1, &steps, bits, &outlook, &e), STATUS_OK); /* known */
    assert_true(outlook.may_end);
    grammar_place_deinit(&p);
    grammar_release(g);
}

/* Where it takes little it is read, else there is no question that others would wait for. */
static void reading_on_asks_nothing(void **state) {
    (void)state;
    struct grammar *g = compile(GRAMMAR_REGEX, "ab[cd]{3}", 1 << 20, NULL);
    struct grammar_place p, other;
    struct grammar_outlook outlook;
    struct grammar_steps none = {.left = 0}, steps = {.left = 100000};
    uint32_t bits[FIXTURE_WORDS];
    struct error e;
    const int32_t tokens[] = {'a', 'b', 'c'};
    grammar_place_init(&p, g);
    grammar_place_init(&other, g);
    assert_int_equal(grammar_place_read_on(&p, tokens, 3, &none, bits, &outlook, &e), STATUS_BUSY);
    assert_false(grammar_place_is_behind(&p));
    assert_int_equal(grammar_place_read(&other, tokens, 3, &none, bits, &outlook, &e), STATUS_BUSY);
    assert_int_equal(grammar_place_read_on(&p, tokens, 3, &steps, bits, &outlook, &e),
                     STATUS_BUSY); /* other's */
    grammar_place_leave(&other);
    assert_ok(grammar_place_read_on(&p, tokens, 3, &steps, bits, &outlook, &e));
    assert_int_equal(p.count, 3);
    assert_int_equal(pick(bits, 0), 'c');
    grammar_place_deinit(&other);
    grammar_place_deinit(&p);
    grammar_release(g);
}

static enum status read_with_failures(size_t n, bool *failed) {
    struct grammar *g = compile(GRAMMAR_REGEX, "[ab]*a[ab]{30}", 70000, NULL);
    static struct text t;
    begin(&t, g, 1);
    failing_malloc_arm(n);
    for (size_t i = 0; i < 60 && !t.is_over; i++) {
        struct grammar_steps steps = {.left = 4000};
        go_on(&t, &steps);
    }
    *failed = failing_malloc_disarm();
    if (t.status == STATUS_NO_MEMORY) t.is_over = false;
    while (!t.is_over) go_on(&t, NULL); /* where there is memory it goes on */
    grammar_place_deinit(&t.place);
    grammar_release(g);
    return t.status;
}

static void any_allocation_may_fail(void **state) {
    (void)state;
    bool failed = true;
    for (size_t n = 1; failed; n += 1 + n / FAILURES_A_DOUBLING)
        assert_int_equal(read_with_failures(n, &failed), STATUS_OK);
}

static int setup(void **state) {
    (void)state;
    vocabulary = fixture_vocabulary();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    grammar_vocabulary_destroy(vocabulary);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_do_not_know_of_each_other),
        cmocka_unit_test(what_is_forgotten_is_found_again),
        cmocka_unit_test(all_get_on_where_memory_is_short),
        cmocka_unit_test(kept_masks_are_not_in_the_way),
        cmocka_unit_test(no_more_is_done_than_there_are_steps),
        cmocka_unit_test(who_leaves_holds_up_nobody),
        cmocka_unit_test(who_waited_first_goes_first),
        cmocka_unit_test(what_is_left_is_not_done),
        cmocka_unit_test(places_come_and_go_meanwhile),
        cmocka_unit_test(ahead_of_a_text),
        cmocka_unit_test(reading_on_asks_nothing),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
