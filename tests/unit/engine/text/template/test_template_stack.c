/* The deepest templates find room on a stack of what the memory plan counts for a thread; beyond it the program would end. */
#include "tests/support/test_support.h"

#include <pthread.h>

#include "engine/base/thread.h"
#include "engine/text/template/template.h"

static void *render_deep(void *source) {
    struct template *t;
    struct template_text out;
    struct error e = {0};
    json_t *nothing = json_object();
    const struct template_input input = {.client = nothing, .model = nothing};
    assert_ok(template_create(source, strlen(source), &t, &e));
    assert_int_equal(template_render(t, &input, &out, &e), STATUS_LIMIT);
    assert_says(e.text, "deeper");
    template_destroy(t);
    json_decref(nothing);
    return NULL;
}

static void test_deepest(void **state) {
    (void)state;
    if (SANITIZED) skip(); /* frames are larger */
    static const char *const sources[] = {
        "{{ ['a']|map(*(['map'] * 1500 + ['upper']))|list }}",
        "{% macro m(n) %}{% for i in [1] if m(n + 1) %}{{ i }}{% endfor %}{% endmacro %}{{ m(0) }}",
    };
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    assert_int_equal(pthread_attr_setstacksize(&attributes, THREAD_STACK_USED), 0);
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        pthread_t thread;
        void *source = (void *)(uintptr_t)sources[i];
        assert_int_equal(pthread_create(&thread, &attributes, render_deep, source), 0);
        pthread_join(thread, NULL);
    }
    pthread_attr_destroy(&attributes);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_deepest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
