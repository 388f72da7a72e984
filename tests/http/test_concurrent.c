/* Many clients at once, each with another prompt, streaming and not, get exactly the bytes that each gets
 * alone, but for what names the answer: id and created, and how much of the prompt was found in the cache. */
#include <pthread.h>

#include "tests/http/support_http.h"

enum { CLIENTS = TEST_SHARE ? 16 : 32 };

struct client {
    const struct daemon *daemon;
    pthread_t thread;
    pthread_barrier_t *barrier; /* NULL: alone */
    char body[512];
    struct answer answer;
};

static void *run_client(void *context) {
    struct client *c = context;
    if (c->barrier) pthread_barrier_wait(c->barrier);
    c->answer = http_post(c->daemon, "/v1/completions", c->body);
    return NULL;
}

/* Each kind of request in turn; prompts of different lengths. */
static void set_body(struct client *c, int i) {
    static const char *const texts[] = {
        "Once upon a time", "The king", "A little girl went to the", "In the dark forest", "Tom and his dog",
        "One day the sun",  "She said", "There was a big red"};
    static const char *const kinds[] = {
        "\"temperature\":0,\"seed\":1",
        "\"temperature\":0,\"seed\":2,\"stream\":true,\"stream_options\":{\"include_usage\":true}",
        "\"seed\":77,\"logprobs\":3,\"echo\":true", "\"seed\":78,\"n\":2,\"stream\":true,\"logprobs\":1"};
    snprintf(c->body, sizeof c->body, "{\"prompt\":\"%s %d\",\"max_tokens\":%d,%s}", texts[i % 8], i, 8 + i,
             kinds[i % 4]);
}

/* Overwrites what may differ, wherever it stands. */
static void blank(char *text) {
    static const char *const names[] = {"\"id\":\"cmpl-", "\"created\":", "\"cached_tokens\":"};
    for (size_t i = 0; i < 3; i++)
        for (char *at = text; (at = strstr(at, names[i]));) {
            at += strlen(names[i]);
            size_t length = strspn(at, "0123456789abcdef");
            memset(at, '0', length);
            if (i == 2) memmove(at, at + length, strlen(at + length) + 1);
        }
}

/* A stream's events of different choices may come in another order: only those of one choice are compared, in
 * order. */
static void split(const char *text, int index, char *out) {
    char mark[32];
    snprintf(mark, sizeof mark, "\"choices\":[{\"index\":%d,", index);
    *out = '\0';
    for (const char *at = text, *end; (end = strstr(at, "\n\n")); at = end + 2) {
        const char *found = strstr(at, mark);
        if (found && found < end) strncat(out, at, (size_t)(end - at) + 2);
    }
}

static void check_same(struct client *together, struct client *alone) {
    assert_int_equal(together->answer.error, 0);
    assert_int_equal(together->answer.status, 200);
    assert_int_equal(alone->answer.status, 200);
    blank(together->answer.body);
    blank(alone->answer.body);
    if (!strstr(together->body, "\"stream\":true,\"logprobs\"")) {
        assert_string_equal(together->answer.body, alone->answer.body);
        return;
    }
    char *a = malloc(together->answer.length + 1), *b = malloc(alone->answer.length + 1);
    for (int index = 0; index < 2; index++) {
        split(together->answer.body, index, a);
        split(alone->answer.body, index, b);
        assert_true(*a);
        assert_string_equal(a, b);
    }
    free(a);
    free(b);
}

static void check_daemon(struct daemon *d) {
    static struct client alone[CLIENTS], together[CLIENTS];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        alone[i] = (struct client){.daemon = d};
        set_body(&alone[i], i);
        run_client(&alone[i]);
    }
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < CLIENTS; i++) {
            together[i] = (struct client){.daemon = d, .barrier = &barrier};
            set_body(&together[i], i);
            assert_int_equal(pthread_create(&together[i].thread, NULL, run_client, &together[i]), 0);
        }
        for (int i = 0; i < CLIENTS; i++) pthread_join(together[i].thread, NULL);
        for (int i = 0; i < CLIENTS; i++) {
            check_same(&together[i], &alone[i]);
            answer_free(&together[i].answer);
        }
    }
    for (int i = 0; i < CLIENTS; i++) answer_free(&alone[i].answer);
    pthread_barrier_destroy(&barrier);
    wait_metric(d, "prenorm_kv_pages_used", 0);
    wait_metric(d, "prenorm_sequences_running", 0);
}

static void test_fake(void **state) {
    (void)state;
    struct daemon d;
    daemon_start_fake(&d, "token-ms=1", "--max-sequences", "7", NULL);
    check_daemon(&d);
    daemon_stop(&d);
}

static void test_model(void **state) {
    (void)state;
    struct daemon d;
    daemon_start_tales(&d, NULL);
    check_daemon(&d);
    daemon_stop(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fake),
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
