/* The input is a chat template, a zero byte, and the JSON of a client's variables (else a few that are always there).
 * What compiles must render within its limits, to UTF-8, with ranges of whole characters. */
#include <assert.h>
#include <string.h>

#include "engine/files/json_file.h"
#include "engine/text/template/template.h"
#include "engine/text/unicode/unicode.h"
#include "tests/fuzz/fuzz.h"

#define VALUES_MAX 5000

/* Memory of a rendering: enough to be refused for, not so much that an input takes long. */
#define MEMORY_MAX ((size_t)2 << 20)

static const char variables[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi \xc3\xa9 "
                                "<b>\"},{\"role\":\"assistant\",\"content\":null,"
                                "\"tool_calls\":[{\"name\":\"f\",\"arguments\":{\"x\":[1,2.5]}}]}],\"add_"
                                "generation_prompt\":true,\"n\":7}";

static void check_text(const struct template_text *text) {
    size_t end = 0;
    assert(utf8_valid_prefix(text->text, text->length) == text->length);
    for (size_t i = 0; i < text->client_count; i++) {
        const struct text_range *range = &text->client[i];
        assert(range->start < range->end && range->end <= text->length && (i == 0 || range->start > end));
        assert((text->text[range->start] & 0xC0) != 0x80);
        assert(range->end == text->length || (text->text[range->end] & 0xC0) != 0x80);
        end = range->end;
    }
}

static void render(const struct template *t, const json_t *client) {
    const struct template_input input = {.client = client, .now = 1, .memory_max = MEMORY_MAX};
    struct template_text text, again;
    struct error e, other;
    enum status status = template_render(t, &input, &text, &e);
    assert(template_render(t, &input, &again, &other) == status);
    if (status == STATUS_OK) {
        check_text(&text);
        assert(text.length == again.length && memcmp(text.text, again.text, text.length) == 0);
        assert(text.client_count == again.client_count);
    } else {
        assert(!text.text && !text.client && strlen(e.where) > 0);
    }
    template_text_deinit(&text);
    template_text_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *bytes = (const char *)data, *zero = memchr(data, 0, size), *json = variables;
    size_t length = zero ? (size_t)(zero - bytes) : size, json_length = sizeof variables - 1;
    struct template *t;
    struct error e;
    json_t *client;
    if (zero) {
        json = zero + 1;
        json_length = size - length - 1;
    }
    if (template_create(bytes, length, &t, &e) != STATUS_OK) return 0;
    if (json_file_parse_as(json, json_length, "fuzz", VALUES_MAX, JSON_FILE_AS_PYTHON, &client, &e) ==
        STATUS_OK) {
        render(t, client);
        json_decref(client);
    }
    template_destroy(t);
    return 0;
}
