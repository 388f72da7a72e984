/* Messages as a template is given them; what is refused is among the cases of tests/cases/http. */
#include "tests/support/test_support.h"

#include "server/api/chat_messages.h"

static void expect(const char *given, bool keeps_parts, const char *expected) {
    struct api_error e = {0};
    json_t *body = json_pack("{s:o}", "messages", json_loads(given, 0, NULL)), *messages = NULL,
           *wanted = json_loads(expected, JSON_ALLOW_NUL, NULL);
    assert_non_null(body);
    assert_non_null(wanted);
    if (chat_messages_read(body, keeps_parts, &messages, &e) != API_OK) fail_msg("%s: %s", given, e.message);
    if (!json_equal(messages, wanted)) {
        char *text = json_dumps(messages, 0);
        fail_msg("%s, not %s", text, expected);
    }
    json_decref(messages);
    json_decref(wanted);
    json_decref(body);
}

#define PARTS                                                                                                \
    "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"\"}," \
    "{\"type\":\"text\",\"text\":\"b\",\"x\":1}],\"name\":\"n\"}]"

/* Whatever else a message has stays; the client's own tree is as it was. */
static void test_parts(void **state) {
    (void)state;
    expect(PARTS, false, "[{\"role\":\"user\",\"content\":\"a\\n\\nb\",\"name\":\"n\"}]");
    expect(PARTS, true, PARTS);
    expect("[{\"role\":\"user\",\"content\":[]}]", false, "[{\"role\":\"user\",\"content\":\"\"}]");
    expect("[{\"role\":\"user\",\"content\":[]}]", true, "[{\"role\":\"user\",\"content\":[]}]");
    json_t *body = json_pack("{s:o}", "messages", json_loads(PARTS, 0, NULL)), *copy = json_deep_copy(body),
           *messages;
    struct api_error e = {0};
    assert_int_equal(chat_messages_read(body, false, &messages, &e), API_OK);
    assert_true(json_equal(body, copy));
    json_decref(messages);
    json_decref(copy);
    json_decref(body);
}

static void test_other_contents(void **state) {
    (void)state;
    static const char *const same[] = {
        "[]", "[{\"role\":\"user\",\"content\":\"a\"}]", "[{\"role\":\"assistant\",\"content\":null}]",
        "[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"1\"}]},{\"role\":\"tool\",\"content\":\"\"}]"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        expect(same[i], false, same[i]);
        expect(same[i], true, same[i]);
    }
}

/* As libraries of clients write an answer that they send back. */
static void test_keys_that_are_null_are_absent(void **state) {
    (void)state;
    static const char
        given[] = "[{\"role\":\"assistant\",\"content\":\"a\",\"refusal\":null,\"annotations\":null,"
                  "\"function_call\":null,\"tool_calls\":null,\"name\":\"n\"}]",
        parts[] =
            "[{\"role\":\"user\",\"tool_calls\":null,\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}]",
        none[] = "[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":null}],\"audio\":null}]";
    for (int keeps_parts = 0; keeps_parts < 2; keeps_parts++) {
        expect(given, keeps_parts, "[{\"role\":\"assistant\",\"content\":\"a\",\"name\":\"n\"}]");
        expect(none, keeps_parts,
               "[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":null}]}]");
    }
    expect(parts, false, "[{\"role\":\"user\",\"content\":\"a\"}]");
    expect(parts, true, "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}]");
    json_t *body = json_pack("{s:o}", "messages", json_loads(given, 0, NULL)), *copy = json_deep_copy(body),
           *messages;
    struct api_error e = {0};
    assert_int_equal(chat_messages_read(body, false, &messages, &e), API_OK);
    assert_true(json_equal(body, copy)); /* the client's own tree is as it was */
    json_decref(messages);
    json_decref(copy);
    json_decref(body);
}

/* Parts of other types are refused whether the template would read them or not. */
static void test_other_types(void **state) {
    (void)state;
    struct api_error e = {0};
    json_t *messages = NULL,
           *body = json_pack("{s:[{s:s,s:[{s:s}]}]}", "messages", "role", "user", "content", "type", "image");
    for (int keeps_parts = 0; keeps_parts < 2; keeps_parts++) {
        assert_int_equal(chat_messages_read(body, keeps_parts, &messages, &e), API_INVALID);
        assert_non_null(strstr(e.message, "'messages[0].content[0]' is of type 'image'"));
        assert_null(messages);
    }
    assert_true(chat_messages_have_parts(body));
    json_decref(body);
}

static void test_whether_there_are_parts(void **state) {
    (void)state;
    static const char *const without[] = {"{}", "{\"messages\":1}", "{\"messages\":[1,null]}",
                                          "{\"messages\":[{\"content\":\"a\"}]}"};
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        json_t *body = json_loads(without[i], 0, NULL);
        assert_false(chat_messages_have_parts(body));
        json_decref(body);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_other_contents),
        cmocka_unit_test(test_keys_that_are_null_are_absent),
        cmocka_unit_test(test_other_types),
        cmocka_unit_test(test_whether_there_are_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
