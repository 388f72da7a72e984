/* Places in the queue, and admission. */
#include "completion_fixture.h"

/* Without places in the queue no text is encoded and nothing is made; what was refused holds no places. */
static void test_a_full_queue_makes_nothing(void **state) {
    (void)state;
    struct completion *full[4];
    struct api_error e = {0};
    for (int i = 0; i < 4; i++) full[i] = prepare("{\"prompt\":\"ab\",\"n\":16,\"max_tokens\":2}");
    size_t made = fake_engine_requests_made(), encoded = fake_engine_texts_encoded();
    assert_int_equal(completion_check_room(engine, &e), API_QUEUE_FULL);
    assert_int_equal(prepare_refused("{\"prompt\":[\"ab\",\"cd\"],\"n\":16,\"stop\":[\"long\"]}", &e),
                     API_QUEUE_FULL);
    assert_int_equal(fake_engine_requests_made(), made);
    assert_int_equal(fake_engine_texts_encoded(), encoded);
    completion_destroy(full[3]);
    assert_int_equal(completion_check_room(engine, &e), API_OK);
    assert_int_equal(prepare_refused("{\"prompt\":[\"ab\",\"cd\"],\"n\":16}", &e), API_QUEUE_FULL);
    full[3] = prepare("{\"prompt\":\"ab\",\"n\":16}"); /* there is room for it */
    assert_int_equal(completion_submit(full[3], &e), API_OK);
    for (int i = 0; i < 4; i++) completion_destroy(full[i]);
    struct engine_stats stats;
    engine_stats(engine, &stats);
    assert_int_equal(stats.running + stats.waiting, 0);
}

/* Handles are given back by completion_destroy, whatever state it is in. */
static void test_submit_and_destroy(void **state) {
    (void)state;
    struct api_error e;
    struct completion *c = prepare("{\"prompt\":[\"ab\",\"cd\"],\"max_tokens\":500}");
    assert_int_equal(completion_submit(c, &e), API_OK);
    completion_destroy(c);
    struct engine_stats stats;
    engine_stats(engine, &stats);
    assert_int_equal(stats.running + stats.waiting, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_queue_makes_nothing),
        cmocka_unit_test(test_submit_and_destroy),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
