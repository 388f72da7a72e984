/* A converted file keeps the chat template of its folder. */
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

static struct engine *convert(const char *folder) {
    char out[PATH_MAX];
    struct convert_result result;
    struct error e;
    snprintf(out, sizeof out, "%s/model.prenorm", folder);
    const struct convert_options options = {.model = folder,
                                            .out = out,
                                            .norm_form = NORM_FORM_CRMSNORM,
                                            .any_form = true,
                                            .weights = WEIGHT_TYPE_F32,
                                            .threads = 1};
    assert_ok(convert_model(&options, &result, &e));
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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(with_a_template), cmocka_unit_test(without_one)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
