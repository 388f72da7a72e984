/* Whichever allocation fails while a tokenizer is opened or a chat template compiled, it is said, and nothing is lost (the
 * leak checker looks at that): every golden tokenizer, of whatever files it is. */
#include "tests/support/failing_malloc.h"
#include "tests/support/test_support.h"

#include "engine/base/log.h"
#include "engine/files/json_file.h"
#include "engine/text/sources/chat_source.h"
#include "engine/text/template/template.h"
#include "engine/text/tokenizer.h"

/* Of the allocations of one folder so many are tried, spread over all; the next folder has others. */
enum { TRIED = TEST_SHARE ? 15 : 60 };

/* Opens with the n-th allocation failing; false: there are fewer. */
static bool open_without(const char *path, size_t n) {
    struct error e = {0};
    struct tokenizer *tokenizer = NULL;
    failing_malloc_arm(n);
    enum status status = tokenizer_open(path, &tokenizer, &e);
    bool failed = failing_malloc_disarm();
    if (status == STATUS_OK)
        tokenizer_close(tokenizer);
    else if (!failed || status != STATUS_NO_MEMORY || e.code != status || !e.text[0])
        fail_msg("%s, allocation %zu: %s, '%s: %s'", path, n, status_name(status), e.where, e.text);
    return failed;
}

static size_t count_allocations(const char *path) {
    if (open_without(path, SIZE_MAX)) fail_msg("%s: too many allocations", path);
    return failing_malloc_count();
}

static void try_folder(const char *path, const char *name, void *context) {
    size_t *folders = context, count = count_allocations(path), stride = count / TRIED + 1;
    (void)name;
    for (size_t n = 1 + *folders % stride; n <= count; n += stride) open_without(path, n);
    assert_true(count > 10);
    ++*folders;
}

static void memory_may_end_anywhere(void **state) {
    (void)state;
    size_t folders = 0;
    test_each_folder(test_source_path("tests/golden/tokenizers"), try_folder, &folders);
    assert_true(folders > 50);
}

/* What a template is given is all there, or an error. */
static void memory_may_end_in_the_variables_of_a_chat(void **state) {
    (void)state;
    const char *folder = test_source_path("tests/golden/tokenizers/hf-more-specials");
    struct error e = {0};
    json_t *whole, *source;
    bool failed = true;
    assert_ok(chat_source_load(folder, &whole, &e));
    assert_true(json_array_size(
                    json_object_get(json_object_get(whole, "variables"), "additional_special_tokens")) == 2);
    for (size_t n = 1; failed; n++) {
        failing_malloc_arm(n);
        enum status status = chat_source_load(folder, &source, &e);
        failed = failing_malloc_disarm();
        if (status == STATUS_OK ? !json_equal(source, whole) : status != STATUS_NO_MEMORY || e.code != status)
            fail_msg("allocation %zu: %s, '%s'", n, status_name(status), e.text);
        json_decref(source);
    }
    json_decref(whole);
}

/* Nodes are taken from a few large allocations: which of them meets the end of one is by what stands before. */
static void compile_without_memory(size_t padding, const char *part) {
    enum { PARTS = 200 };
    char *text = calloc(5 * padding + PARTS * strlen(part) + 1, 1), *at = text;
    struct template *t = NULL;
    struct error e = {0};
    bool failed = true;
    for (size_t i = 0; i < padding; i++) at = stpcpy(at, "{{a}}");
    for (size_t i = 0; i < PARTS; i++) at = stpcpy(at, part);
    for (size_t n = 1; failed; n++) {
        failing_malloc_arm(n);
        enum status status = template_create(text, (size_t)(at - text), &t, &e);
        failed = failing_malloc_disarm();
        if (status != (failed ? STATUS_NO_MEMORY : STATUS_OK) || (failed && e.code != status))
            fail_msg("%zu of padding, allocation %zu: %s, '%s'", padding, n, status_name(status), e.text);
    }
    template_destroy(t);
    free(text);
}

static void memory_may_end_in_any_part_of_a_chat_template(void **state) {
    (void)state;
    static const char *const parts[] = {
        "{{a[1:2]}}",    "{{a<b<c<d<e}}", "{{a.b('c',d=e)|join(f)}}",  "{{'a' 'b'}}",
        "{%set a,b=c%}", "{{[a,{b:c}]}}", "{%if a is in b%}{%endif%}", "{%for a in b%}{%endfor%}"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (size_t padding = 0; padding < 60; padding++) compile_without_memory(padding, parts[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_may_end_anywhere),
        cmocka_unit_test(memory_may_end_in_the_variables_of_a_chat),
        cmocka_unit_test(memory_may_end_in_any_part_of_a_chat_template),
    };
    json_file_process_init();
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
