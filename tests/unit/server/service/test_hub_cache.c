/* Names of models on the hub, and a cache as the hub's own tools leave it: links into a folder of blobs. */
#include "tests/support/test_support.h"

#include <sys/stat.h>
#include <unistd.h>

#include "server/service/hub_cache.h"

enum { PATH_BYTES = 4096 };

static void make_folder(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void make_folder(const char *format, ...) {
    char path[PATH_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    assert_int_equal(mkdir(path, 0700), 0);
}

/* A cache with one model, fetched as main and as the branch pr/1. */
static int make_cache(void **state) {
    char *folder = test_folder_create(), refs[PATH_BYTES];
    make_folder("%s/models--some-org--small.model", folder);
    make_folder("%s/models--some-org--small.model/refs", folder);
    make_folder("%s/models--some-org--small.model/refs/pr", folder);
    make_folder("%s/models--some-org--small.model/snapshots", folder);
    make_folder("%s/models--some-org--small.model/snapshots/0a1b", folder);
    make_folder("%s/models--some-org--small.model/snapshots/2c3d", folder);
    snprintf(refs, sizeof refs, "%s/models--some-org--small.model/refs", folder);
    test_file_write(refs, "main", "0a1b", 4);
    test_file_write(refs, "pr/1", "2c3d\n", 5);
    test_file_write(refs, "odd", "../../..", 8);
    snprintf(refs, sizeof refs, "%s/models--some-org--small.model/refs/pipe", folder);
    assert_int_equal(mkfifo(refs, 0600), 0);
    *state = folder;
    return 0;
}

static int remove_cache(void **state) {
    static const char *const variables[] = {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME",
                                            "XDG_CACHE_HOME"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) unsetenv(variables[i]);
    test_folder_remove(*state);
    return 0;
}

static void names_are_told_from_paths(void **state) {
    (void)state;
    static const char *const names[] = {"org/name", "some-org/Model_1.5-b", "org/name@v1", "o/n@refs/pr/1",
                                        "org/name@0123abcd"};
    static const char *const others[] = {
        "",          "name",      "/org/name", "./name",     "../name",  "org/name/more", "org/",
        "org/name@", "org/na me", "org/.git",  "org/n@../x", "org/n@/x", "~/folder/x"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) assert_true(hub_cache_is_name(names[i]));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) assert_false(hub_cache_is_name(others[i]));
}

static void expect_found(const char *folder, const char *name, const char *commit) {
    struct error e;
    char found[PATH_BYTES], expected[2 * PATH_BYTES];
    assert_ok(hub_cache_find(name, found, sizeof found, &e));
    snprintf(expected, sizeof expected, "%s/models--some-org--small.model/snapshots/%s", folder, commit);
    assert_string_equal(found, expected);
}

static void revisions_lead_to_their_snapshots(void **state) {
    setenv("HF_HUB_CACHE", *state, 1);
    expect_found(*state, "some-org/small.model", "0a1b");
    expect_found(*state, "some-org/small.model@main", "0a1b");
    expect_found(*state, "some-org/small.model@pr/1", "2c3d");
    expect_found(*state, "some-org/small.model@2c3d", "2c3d");
}

static void expect_missing(const char *name, const char *words) {
    struct error e;
    char found[PATH_BYTES];
    assert_int_equal(hub_cache_find(name, found, sizeof found, &e), STATUS_OPTION);
    assert_string_equal(e.where, "model");
    assert_says(e.text, words);
}

static void what_is_missing_is_told_with_the_command_that_fetches_it(void **state) {
    setenv("HF_HUB_CACHE", *state, 1);
    expect_missing("some-org/other", "'hf download some-org/other'");
    expect_missing("some-org/small.model@v9", "'hf download some-org/small.model --revision v9'");
    /* A file of the cache that leads out of it. */
    expect_missing("some-org/small.model@odd", "hf download");
    /* One that nobody writes to. */
    expect_missing("some-org/small.model@pipe", "hf download");
}

static void variables_say_where_it_is(void **state) {
    char home[PATH_BYTES / 4], below[PATH_BYTES / 2], former[PATH_BYTES], moved[PATH_BYTES];
    snprintf(home, sizeof home, "%s/home", (const char *)*state);
    make_folder("%s", home);
    setenv("HUGGINGFACE_HUB_CACHE", *state, 1);
    setenv("HF_HOME", home, 1);
    expect_found(*state, "some-org/small.model", "0a1b");
    unsetenv("HUGGINGFACE_HUB_CACHE");
    snprintf(below, sizeof below, "%s/hub", home);
    expect_missing("some-org/small.model", below);
    snprintf(former, sizeof former, "%s/models--some-org--small.model", (const char *)*state);
    make_folder("%s", below);
    snprintf(moved, sizeof moved, "%s/models--some-org--small.model", below);
    assert_int_equal(symlink(former, moved), 0);
    expect_found(below, "some-org/small.model", "0a1b");
    setenv("HF_HUB_CACHE", "", 1); /* as if it were not set */
    expect_found(below, "some-org/small.model", "0a1b");
}

/* A download would not mend it. */
static void a_cache_that_cannot_be_looked_into_is_not_an_empty_one(void **state) {
    char cache[PATH_BYTES], found[PATH_BYTES];
    struct error e;
    test_file_write(*state, "file", "", 0);
    snprintf(cache, sizeof cache, "%s/file", (const char *)*state);
    setenv("HF_HUB_CACHE", cache, 1);
    assert_int_equal(hub_cache_find("some-org/small.model", found, sizeof found, &e), STATUS_OPTION);
    assert_non_null(strstr(e.text, "cannot be read: Not a directory"));
    assert_non_null(strstr(e.text, cache));
    assert_null(strstr(e.text, "hf download"));
}

static void a_path_into_a_cache_has_the_models_name(void **state) {
    (void)state;
    char name[64] = "before", small[8];
    assert_true(hub_cache_name_of("/c/hub/models--some-org--small.model/snapshots/0a1b", name, sizeof name));
    assert_string_equal(name, "some-org/small.model");
    assert_false(hub_cache_name_of("/models/small.model", name, sizeof name));
    assert_false(hub_cache_name_of("/c/hub/models--some-org--small/snapshots/0a1b/onnx", name, sizeof name));
    assert_false(hub_cache_name_of("/c/snapshots/0a1b", name, sizeof name));
    assert_false(hub_cache_name_of("/c/models--alone/snapshots/0a1b", name, sizeof name));
    assert_false(hub_cache_name_of("/c/models--org--name/snapshots/0a1b", small, sizeof small));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_told_from_paths),
        cmocka_unit_test_setup_teardown(revisions_lead_to_their_snapshots, make_cache, remove_cache),
        cmocka_unit_test_setup_teardown(what_is_missing_is_told_with_the_command_that_fetches_it, make_cache,
                                        remove_cache),
        cmocka_unit_test_setup_teardown(variables_say_where_it_is, make_cache, remove_cache),
        cmocka_unit_test_setup_teardown(a_cache_that_cannot_be_looked_into_is_not_an_empty_one, make_cache,
                                        remove_cache),
        cmocka_unit_test(a_path_into_a_cache_has_the_models_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
