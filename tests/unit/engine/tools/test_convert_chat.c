/* A converted file keeps the chat template of its folder, or is none where there is no memory for that. */
#include "tests/support/failing_malloc.h"
#include "tests/support/test_support.h"

#include <limits.h>

#include "engine/api/engine.h"
#include "engine/tools/tools.h"

static const char template[] = "{{ bos_token }}{% for m in messages %}({{ m.content }}){% endfor %}";

static struct engine *open_file(const char *file) {
    const struct engine_options options = {.model = file,
                                           .norm_form = NORM_FORM_CRMSNORM,
                                           .any_form = true,
                                           .any_weights = true,
                                           .weights = WEIGHT_TYPE_F32,
                                           .kv_type = KV_TYPE_AUTO,
                                           .matmul = MATMUL_OWN,
                                           .isa = KERNEL_ISA_AUTO,
                                           .threads = 1,
                                           .context = 64,
                                           .kv_page_tokens = 16,
                                           .sequences_max = 1,
                                           .queue_max = 1,
                                           .step_tokens = 16,
                                           .max_pending_events = 2};
    struct engine *engine;
    struct error e;
    assert_ok(engine_open(&options, &engine, &e));
    return engine;
}

static enum status convert_to(const char *folder, const char *out, struct error *e) {
    struct convert_result result;
    const struct convert_options options = {.model = folder,
                                            .out = out,
                                            .norm_form = NORM_FORM_CRMSNORM,
                                            .any_form = true,
                                            .weights = WEIGHT_TYPE_F32,
                                            .threads = 1};
    return convert_model(&options, &result, e);
}

static struct engine *convert(const char *folder) {
    char out[PATH_MAX];
    struct error e;
    snprintf(out, sizeof out, "%s/model.prenorm", folder);
    assert_ok(convert_to(folder, out, &e));
    return open_file(out);
}

static void with_a_template(void **state) {
    (void)state;
    char *folder = test_folder_of_tales();
    test_file_write(folder, "chat_template.jinja", template, strlen(template));
    struct engine *engine = convert(folder);
    json_t *messages = json_pack("[{s:s}]", "content", "Hi");
    struct engine_chat_text text;
    struct error e;
    assert_null(engine_no_chat_template(engine));
    assert_ok(engine_apply_chat_template(engine, &(struct engine_chat){.messages = messages}, &text, &e));
    assert_string_equal(text.text, "<|endoftext|>(Hi)");
    engine_chat_text_deinit(&text);
    json_decref(messages);
    engine_close(engine);
    test_folder_remove(folder);
}

static void without_one(void **state) {
    (void)state;
    char *folder = test_folder_of_tales();
    struct engine *engine = convert(folder);
    assert_says(engine_no_chat_template(engine), "no chat template");
    engine_close(engine);
    test_folder_remove(folder);
}

/* Texts are read before anything else: each of the first allocations, of which they take fewer. */
static void whole_or_not_at_all(void **state) {
    (void)state;
    enum { TRIED = 300 };
    static const char generation[] = "{\"temperature\": 0.25}";
    char *folder = test_folder_of_tales(), out[PATH_MAX], again[PATH_MAX];
    size_t length, found, failures = 0;
    struct error e;
    test_file_write(folder, "chat_template.jinja", template, strlen(template));
    test_file_write(folder, "generation_config.json", generation, strlen(generation));
    snprintf(out, sizeof out, "%s/model.prenorm", folder);
    snprintf(again, sizeof again, "%s/again.prenorm", folder);
    assert_ok(convert_to(folder, out, &e));
    char *whole = test_file_read(folder, "model.prenorm", &length);
    for (size_t n = 1; n <= TRIED; n++) {
        failing_malloc_arm(n);
        enum status status = convert_to(folder, again, &e);
        failing_malloc_disarm();
        if (status != STATUS_OK) {
            if (status != STATUS_NO_MEMORY || e.code != status)
                fail_msg("allocation %zu: %s, '%s'", n, status_name(status), e.text);
            failures++;
            continue;
        }
        char *bytes = test_file_read(folder, "again.prenorm", &found);
        if (found != length || memcmp(bytes, whole, length) != 0) fail_msg("allocation %zu: another file", n);
        free(bytes);
    }
    assert_true(failures > TRIED / 2);
    free(whole);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(with_a_template), cmocka_unit_test(without_one),
                                       cmocka_unit_test(whole_or_not_at_all)};
    engine_process_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
