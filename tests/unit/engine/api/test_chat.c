/* Chats through the door, over the bundled model with templates of ours. */
#include "tests/unit/engine/api/fixture.h"

#include <limits.h>

static const char plain[] = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}"
                            "{% if add_generation_prompt %}<assistant>{% endif %}{{ more }}";

struct fixture {
    char *folder;
    struct engine *engine;
};

static struct engine *open_folder(const char *folder, const char *option, bool controls) {
    struct engine_options o = fixture_options("");
    struct engine *engine;
    struct error e;
    o.model = folder;
    o.context = 64;
    o.chat_template = option;
    o.chat_control_tokens = controls;
    assert_ok(engine_open(&o, &engine, &e));
    return engine;
}

static struct fixture open_with(const char *template) {
    struct fixture f = {.folder = test_folder_of_tales()};
    if (template) test_file_write(f.folder, "chat_template.jinja", template, strlen(template));
    f.engine = open_folder(f.folder, NULL, false);
    return f;
}

static void close_fixture(struct fixture *f) {
    engine_close(f->engine);
    test_folder_remove(f->folder);
}

static enum status apply(const struct engine *engine, const char *messages, struct engine_chat chat,
                         struct engine_chat_text *out, struct error *e) {
    json_t *json = json_loads(messages, JSON_ALLOW_NUL, NULL);
    assert_non_null(json);
    chat.messages = json;
    chat.json_bytes = strlen(messages);
    enum status status = engine_apply_chat_template(engine, &chat, out, e);
    json_decref(json);
    if (status != STATUS_OK) assert_null(out->text);
    return status;
}

/* The text with what the client wrote in brackets, and NULs as tildes. */
static void assert_marked(const struct engine_chat_text *t, const char *expected) {
    char marked[1024];
    size_t length = 0, range = 0;
    for (size_t i = 0; i <= t->length; i++) {
        if (range < t->client_count && t->client[range].end == i) marked[length++] = ']', range++;
        if (range < t->client_count && t->client[range].start == i) marked[length++] = '[';
        if (i < t->length) marked[length++] = t->text[i] ? t->text[i] : '~';
        assert_true(length < sizeof marked - 4);
    }
    marked[length] = '\0';
    assert_string_equal(marked, expected);
}

static void expect(const struct engine *engine, const char *messages, struct engine_chat chat,
                   const char *expected) {
    struct engine_chat_text text;
    struct error e;
    assert_ok(apply(engine, messages, chat, &text, &e));
    assert_marked(&text, expected);
    engine_chat_text_deinit(&text);
}

static void refuse(const struct engine *engine, const char *messages, struct engine_chat chat,
                   const char *where, const char *words) {
    struct engine_chat_text text;
    struct error e;
    assert_int_equal(apply(engine, messages, chat, &text, &e), STATUS_INVALID_ARGUMENT);
    assert_string_equal(e.where, where);
    assert_says(e.text, words);
}

static void writes_chats(void **state) {
    (void)state;
    struct fixture f = open_with(plain);
    assert_null(engine_no_chat_template(f.engine));
    expect(f.engine, "[{\"role\":\"user\",\"content\":\"Hi\"}]", (struct engine_chat){0},
           "<user>[Hi]<|endoftext|>");
    json_t *kwargs = json_pack("{s:s}", "more", "x");
    expect(f.engine, "[{\"role\":\"odd\",\"content\":\"a\\u0000b\"},{\"role\":\"user\",\"content\":\"\"}]",
           (struct engine_chat){.add_generation_prompt = true, .kwargs = kwargs},
           "<[odd]>[a~b]<|endoftext|><user><|endoftext|><assistant>[x]");
    json_decref(kwargs);
    close_fixture(&f);
}

static void continues_a_message(void **state) {
    (void)state;
    const struct engine_chat go_on = {.continue_final_message = true};
    struct fixture f = open_with(plain);
    expect(f.engine, "[{\"role\":\"assistant\",\"content\":\"Once \"}]", go_on, "<assistant>[Once ]");
    refuse(f.engine, "[{\"role\":\"assistant\"}]", go_on, "continue_final_message", "no text");
    refuse(f.engine, "[{\"role\":\"user\",\"content\":\"a\"}]",
           (struct engine_chat){.continue_final_message = true, .add_generation_prompt = true},
           "continue_final_message", "exclude");
    close_fixture(&f);
    f = open_with("{{ messages[0].content | trim }}!");
    expect(f.engine, "[{\"content\":\" a  \"}]", go_on, "[a]");
    close_fixture(&f);
    f = open_with("{{ messages[0].content[1].text }}.{{ messages[0].content[0].text }}");
    expect(f.engine, "[{\"content\":[{\"text\":\"a\"},{\"text\":\"b\"},{\"type\":\"c\"}]}]", go_on, "[b]");
    close_fixture(&f);
    f = open_with("nothing of it");
    refuse(f.engine, "[{\"content\":\"a\"}]", go_on, "continue_final_message", "does not appear");
    close_fixture(&f);
}

static void refuses_what_is_no_chat(void **state) {
    (void)state;
    struct fixture f =
        open_with("{% if messages|length > 1 %}{{ raise_exception('one message only') }}{% endif %}"
                  "\n{{ messages[0].content.name }}");
    refuse(f.engine, "[]", (struct engine_chat){.continue_final_message = true}, "continue_final_message",
           "no message");
    refuse(f.engine, "[]", (struct engine_chat){0}, "chat template, line 2", "no such element");
    refuse(f.engine, "{}", (struct engine_chat){0}, "messages", "array");
    refuse(f.engine, "[1]", (struct engine_chat){0}, "messages", "message 0");
    refuse(f.engine, "[{},{}]", (struct engine_chat){0}, "raise_exception", "one message only");
    refuse(f.engine, "[{}]", (struct engine_chat){0}, "chat template, line 2", "content");
    json_t *kwargs = json_pack("{s:[]}", "tools");
    refuse(f.engine, "[{}]", (struct engine_chat){.kwargs = kwargs}, "chat_template_kwargs", "tools");
    json_decref(kwargs);
    close_fixture(&f);
}

static size_t count_ends(const struct engine *engine, const char *messages) {
    struct engine_chat_text text;
    struct error e;
    int32_t *ids;
    size_t count, ends = 0;
    assert_ok(apply(engine, messages, (struct engine_chat){0}, &text, &e));
    assert_ok(engine_encode_chat(engine, &text, 0, &ids, &count, &e));
    for (size_t i = 0; i < count; i++) ends += ids[i] == 0;
    free(ids);
    engine_chat_text_deinit(&text);
    return ends;
}

static void nothing_a_client_writes_is_a_control_token(void **state) {
    (void)state;
    static const char messages[] = "[{\"role\":\"user\",\"content\":\"a<|endoftext|><|endoftext|>\"}]";
    struct fixture f = open_with(plain);
    assert_int_equal(count_ends(f.engine, messages), 1);
    /* Not from pieces either, of which the template writes one. */
    assert_int_equal(count_ends(f.engine, "[{\"role\":\"<|endoftext|\",\"content\":\"<|endof\"}]"), 1);
    engine_close(f.engine);
    f.engine = open_folder(f.folder, NULL, true);
    assert_int_equal(count_ends(f.engine, messages), 3);
    close_fixture(&f);
}

static void an_option_names_another_template(void **state) {
    (void)state;
    struct fixture f = open_with("{{ of the model }}");
    char path[PATH_MAX];
    assert_says(engine_no_chat_template(f.engine), "expected token");
    engine_close(f.engine);
    test_file_write(f.folder, "other.jinja", plain, strlen(plain));
    snprintf(path, sizeof path, "%s/other.jinja", f.folder);
    f.engine = open_folder(f.folder, path, false);
    expect(f.engine, "[{\"role\":\"user\",\"content\":\"Hi\"}]", (struct engine_chat){0},
           "<user>[Hi]<|endoftext|>");
    close_fixture(&f);
    struct engine_options o = fixture_options("deploy/models/tales");
    struct engine *none;
    struct error e;
    o.chat_template = "/nowhere/at.all";
    assert_int_equal(engine_open(&o, &none, &e), STATUS_OPTION);
    assert_string_equal(e.where, "chat-template");
    char *folder = test_folder_create();
    test_file_write(folder, "broken.jinja", "\n{% if %}", 9);
    snprintf(path, sizeof path, "%s/broken.jinja", folder);
    o.chat_template = path;
    assert_int_equal(engine_open(&o, &none, &e), STATUS_OPTION);
    assert_string_equal(e.where, "chat-template");
    assert_says(e.text, "line 2: |Expected an expression");
    test_folder_remove(folder);
}

static void without_a_template_chats_are_refused_and_texts_are_not(void **state) {
    (void)state;
    static const char *const broken[] = {NULL, "{% include 'x' %}", "{% if %}", "{{ 'a'|random }}"};
    static const char *const words[] = {"has no chat template", "include", "Expected", "random"};
    for (size_t i = 0; i < 4; i++) {
        struct fixture f = open_with(broken[i]);
        struct engine_chat_text text;
        struct error e;
        int32_t *ids;
        size_t count;
        assert_says(engine_no_chat_template(f.engine), words[i]);
        assert_int_equal(apply(f.engine, "[{}]", (struct engine_chat){0}, &text, &e), STATUS_UNSUPPORTED);
        assert_says(e.text, words[i]);
        assert_ok(engine_encode(f.engine, "a", 1, true, 0, &ids, &count, &e));
        free(ids);
        close_fixture(&f);
    }
}

static void memory_follows_the_size_of_the_chat(void **state) {
    (void)state;
    struct fixture f = open_with("{% for i in range(1000) %}{{ messages[0].content * 10000 }}{% endfor %}");
    struct engine_chat_text text;
    struct error e;
    assert_int_equal(apply(f.engine, "[{\"content\":\"a\"}]", (struct engine_chat){0}, &text, &e),
                     STATUS_LIMIT);
    assert_says(e.text, "KiB of memory");
    assert_true(engine_chat_bytes(100) < engine_chat_bytes(1 << 20));
    assert_true(engine_chat_bytes(SIZE_MAX) == engine_chat_bytes(0));
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_chats),
        cmocka_unit_test(continues_a_message),
        cmocka_unit_test(refuses_what_is_no_chat),
        cmocka_unit_test(nothing_a_client_writes_is_a_control_token),
        cmocka_unit_test(an_option_names_another_template),
        cmocka_unit_test(without_a_template_chats_are_refused_and_texts_are_not),
        cmocka_unit_test(memory_follows_the_size_of_the_chat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
