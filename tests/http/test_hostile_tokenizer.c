/* A model whose decoder cannot make the text: it is refused when it is loaded where a token shows it, and else told to
 * the one whose prompt shows it, while the daemon goes on. */
#include <string.h>

#include "tests/http/support_command.h"
#include "tests/http/support_http.h"

/* The tales' folder with another step behind its decoder: what the pattern finds becomes the content. */
static char *make_folder(const char *kind, const char *pattern, const char *content) {
    static const char *const copied[] = {"config.json", "model.safetensors"};
    const char *source = test_source_path("deploy/models/tales");
    char *folder = test_folder_create();
    size_t length;
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++) {
        char *bytes = test_file_read(source, copied[i], &length);
        test_file_write(folder, copied[i], bytes, length);
        free(bytes);
    }
    char *text = test_file_read(source, "tokenizer.json", &length);
    json_t *tokenizer = json_loadb(text, length, 0, NULL);
    json_t *replace =
        json_pack("{s:s, s:{s:s}, s:s}", "type", "Replace", "pattern", kind, pattern, "content", content);
    json_t *steps = json_pack("[O, o]", json_object_get(tokenizer, "decoder"), replace);
    json_object_set_new(tokenizer, "decoder", json_pack("{s:s, s:o}", "type", "Sequence", "decoders", steps));
    free(text);
    text = json_dumps(tokenizer, 0);
    test_file_write(folder, "tokenizer.json", text, strlen(text));
    free(text);
    json_decref(tokenizer);
    return folder;
}

/* As other mistakes of the model are: by the option that names it. */
static void test_a_decoder_that_no_token_passes(void **state) {
    (void)state;
    char content[5001], expected[1200];
    memset(content, 'x', sizeof content - 1);
    content[sizeof content - 1] = '\0';
    char *folder = make_folder("String", "e", content);
    struct command c = {.words = {PRENORMD, "generate", "--log-level", "error", "--model", folder, "Once"}};
    assert_int_equal(command_run(&c), 2);
    snprintf(expected, sizeof expected, "prenormd: --model %s: tokenizer: token ", folder);
    assert_non_null(strstr(c.error_text, expected));
    assert_non_null(strstr(c.error_text, "the decoder makes more than"));
    command_free(&c);
    test_folder_remove(folder);
}

/* The expression takes the cube of the text's length. */
static void test_a_prompt_that_takes_the_decoder_too_long(void **state) {
    (void)state;
    enum { TIMES = 100 };
    static const char part[] = "once upon a time ";
    char prompt[TIMES * sizeof part] = "", *body;
    struct daemon d;
    char *folder = make_folder("Regex", "[a-z ]*[a-z ]*[!?]", "");
    const char *flags[] = {"serve", "--port", "0", "--model", folder, NULL};
    for (int i = 0; i < TIMES; i++) strcat(prompt, part);
    assert_true(asprintf(&body, "{\"prompt\":\"%s\",\"max_tokens\":1}", prompt) > 0);
    daemon_start(&d, PRENORMD, flags);
    daemon_wait_ready(&d);
    struct answer a = http_post(&d, "/v1/completions", body);
    assert_int_equal(a.status, 500);
    assert_non_null(strstr(a.body, "takes too long on this text"));
    answer_free(&a);
    json_decref(complete(&d, "{\"prompt\":\"once\",\"max_tokens\":1}"));
    daemon_stop(&d);
    free(body);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_decoder_that_no_token_passes),
        cmocka_unit_test(test_a_prompt_that_takes_the_decoder_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
