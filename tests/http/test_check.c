/* `prenormd check`: says whether serve would start, and loads nothing. */
#include "tests/http/support_command.h"

#include <jansson.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MODEL PRENORM_SOURCE_DIR "/deploy/models/tales"
#define CHECK(...)                                                                                           \
    {                                                                                                        \
        .words = { PRENORMD, "check", "--port", "0", __VA_ARGS__ }                                           \
    }

static void a_model_that_fits(void **state) {
    (void)state;
    struct command c = CHECK("--model", MODEL, "--weights", "int8", "--context", "256");
    assert_int_equal(command_run(&c), 0);
    assert_says(c.output_text, "gpt2, 6 layers of 256|tokenizer      read|weights        int8|bf16 "
                               "|one sequence of 256 tokens|http://127.0.0.1:|: free");
    assert_string_equal(c.error_text, "");
    command_free(&c);
}

static void as_json(void **state) {
    (void)state;
    struct command c = CHECK("--model", MODEL, "--json");
    assert_int_equal(command_run(&c), 0);
    json_t *root = json_loads(c.output_text, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(root, "family")), "gpt2");
    assert_string_equal(json_string_value(json_object_get(root, "kv_type")), "f32");
    assert_int_equal(json_integer_value(json_object_get(root, "context")), 512);
    assert_int_equal(json_object_size(json_object_get(root, "weight_bytes")), 4);
    assert_true(json_is_true(json_object_get(root, "tokenizer")));
    json_decref(root);
    command_free(&c);
}

static void mistakes_end_with_2(void **state) {
    (void)state;
    static const struct {
        const char *option, *value, *words;
    } mistakes[] = {
        {"--model", "/nowhere", "--model /nowhere|cannot be read"},
        {"--api-key-file", "/nowhere", "--api-key-file /nowhere"},
        {"--context", "99999", "--context 99999|positions of the model's table"},
        {"--tls-priorities", "NOTHING", "tls-priorities"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct command c = CHECK("--model", MODEL, mistakes[i].option, mistakes[i].value);
        assert_int_equal(command_run(&c), 2);
        assert_says(c.error_text, mistakes[i].words);
        assert_string_equal(c.output_text, "");
        command_free(&c);
    }
}

/* What the machine lacks, not the configuration. */
static void an_address_in_use_ends_with_1(void **state) {
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    char port[16];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    snprintf(port, sizeof port, "%u", ntohs(address.sin_port));
    struct command c = {.words = {PRENORMD, "check", "--model", MODEL, "--port", port}};
    assert_int_equal(command_run(&c), 1);
    assert_says(c.error_text, "cannot listen|choose another --port");
    command_free(&c);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_that_fits),
        cmocka_unit_test(as_json),
        cmocka_unit_test(mistakes_end_with_2),
        cmocka_unit_test(an_address_in_use_ends_with_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
