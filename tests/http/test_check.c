/* `prenormd check`: says whether serve would start, and loads nothing. */
#include "tests/http/support_command.h"

#include <jansson.h>
#include <netinet/in.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
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
    assert_true(json_is_false(json_object_get(root, "chat_template")));
    assert_true(json_integer_value(json_object_get(root, "reserved_bytes")) > 1 << 20);
    json_decref(root);
    command_free(&c);
}

static long long reserved_bytes(struct command c) {
    assert_int_equal(command_run(&c), 0);
    json_t *root = json_loads(c.output_text, 0, NULL);
    long long bytes = json_integer_value(json_object_get(root, "reserved_bytes"));
    json_decref(root);
    command_free(&c);
    return bytes;
}

/* The table of clients, of two entries at least for each of two requests of a connection: 2^16 of 16 bytes. What else is
 * reserved follows the memory at hand, which is the same for both. */
static void clients_that_are_counted_take_memory(void **state) {
    (void)state;
#define COUNTING(most)                                                                                       \
    {                                                                                                        \
        .words = {PRENORMD,  "check",     "--port", "0",                                                     \
                  "--model", MODEL,       "--json", "--connections-max",                                     \
                  "10000",   "--threads", "1",      "--max-requests-per-client",                             \
                  most},                                                                                     \
        .address_space = (size_t)3 << 29                                                                     \
    }
    if (SANITIZED) skip(); /* takes more addresses */
    struct command without = COUNTING("0"), with = COUNTING("2");
    assert_in_range(reserved_bytes(with) - reserved_bytes(without), (1 << 20) - 10000, (1 << 20) + 10000);
#undef COUNTING
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
        {"--tls-cert", "/nowhere", "--tls-cert"},
        {"--access-log", "/nowhere/log", "--access-log /nowhere/log|cannot be opened for writing"},
        {"--chat-template", "/nowhere", "--chat-template /nowhere|there is no such file"},
        {"--trusted-proxy", "nobody", "--trusted-proxy nobody"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct command c = CHECK("--model", MODEL, mistakes[i].option, mistakes[i].value);
        assert_int_equal(command_run(&c), 2);
        assert_says(c.error_text, mistakes[i].words);
        assert_string_equal(c.output_text, "");
        command_free(&c);
    }
}

/* Beside the figures. */
static void a_cache_that_is_too_small(void **state) {
    (void)state;
    struct command c = CHECK("--model", MODEL, "--kv-cache-mib", "1");
    assert_int_equal(command_run(&c), 2);
    assert_says(c.error_text, "--kv-cache-mib 1|one full context of 512 tokens");
    assert_says(c.output_text, "one sequence of 512 tokens");
    command_free(&c);
}

/* A model's own template that is not run is no mistake, and serving goes on without it; one that was named is. */
static void chat_templates(void **state) {
    (void)state;
    char *folder = test_folder_create(), path[PATH_MAX];
    static const char text[] = "{{ messages }}\n{% include 'other' %}";
    test_file_write(folder, "chat.jinja", text, strlen(text));
    snprintf(path, sizeof path, "%s/chat.jinja", folder);
    struct command none = CHECK("--model", MODEL), refused = CHECK("--model", MODEL, "--chat-template", path),
                   good = CHECK("--model", MODEL, "--chat-template",
                                PRENORM_SOURCE_DIR "/tests/clients/chat.jinja");
    assert_int_equal(command_run(&none) | command_run(&good), 0);
    assert_int_equal(command_run(&refused), 2);
    assert_says(none.output_text, "chat template  none: the model has no chat template");
    assert_says(refused.error_text,
                "--chat-template |chat.jinja: |line 2: the statement 'include' is not supported");
    assert_says(good.output_text, "chat template  " PRENORM_SOURCE_DIR "/tests/clients/chat.jinja\n");
    command_free(&none);
    command_free(&refused);
    command_free(&good);
    test_folder_remove(folder);
}

/* Nothing that was not there is left behind, and nothing is written to what was. */
static void access_logs_stay_as_they_were(void **state) {
    (void)state;
    char *folder = test_folder_create(), there[PATH_MAX], absent[PATH_MAX];
    size_t length;
    test_file_write(folder, "there", "a line", 6);
    snprintf(there, sizeof there, "%s/there", folder);
    snprintf(absent, sizeof absent, "%s/absent", folder);
    struct command one = CHECK("--model", MODEL, "--access-log", there),
                   other = CHECK("--model", MODEL, "--access-log", absent);
    assert_int_equal(command_run(&one) | command_run(&other), 0);
    char *text = test_file_read(folder, "there", &length);
    assert_int_equal(length, 6);
    assert_int_equal(access(absent, F_OK), -1);
    free(text);
    command_free(&one);
    command_free(&other);
    test_folder_remove(folder);
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

static void a_unix_socket_that_is_taken(void **state) {
    (void)state;
    char *folder = test_folder_create();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.90s/socket", folder);
    struct command c = CHECK("--model", MODEL, "--unix-socket", address.sun_path);
    test_file_write(folder, "socket", "", 0);
    assert_int_equal(command_run(&c), 1);
    assert_says(c.error_text, "socket: cannot listen: |; a file that is no socket is there");
    command_free(&c);
    unlink(address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(command_run(&c), 1);
    assert_says(c.error_text,
                "socket: cannot listen: |; another program listens there, or has left a socket");
    command_free(&c);
    /* One that hangs, so that nobody more can wait for it. */
    int waiting[8], count = 0;
    for (bool is_full = false; !is_full; count++) {
        assert_true(count < 8);
        waiting[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        is_full = connect(waiting[count], (struct sockaddr *)&address, sizeof address) != 0;
    }
    assert_int_equal(command_run(&c), 1);
    assert_says(c.error_text, "socket: cannot listen: |; another program listens there");
    command_free(&c);
    while (count--) close(waiting[count]);
    close(fd);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_that_fits),
        cmocka_unit_test(as_json),
        cmocka_unit_test(clients_that_are_counted_take_memory),
        cmocka_unit_test(mistakes_end_with_2),
        cmocka_unit_test(a_cache_that_is_too_small),
        cmocka_unit_test(chat_templates),
        cmocka_unit_test(access_logs_stay_as_they_were),
        cmocka_unit_test(an_address_in_use_ends_with_1),
        cmocka_unit_test(a_unix_socket_that_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
