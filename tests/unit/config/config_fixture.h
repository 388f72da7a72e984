/* Loading a configuration from words, variables and a file, as the program does. */
#pragma once

#include "config/option.h"
#include "tests/support/test_support.h"

#define WORDS_MAX 16

struct fixture {
    struct config config;
    struct error error;
    char message[ERROR_LINE_BYTES]; /* where: text */
    char *folder;                   /* for files; NULL until the first */
};

static inline int fixture_setup(void **state) {
    *state = calloc(1, sizeof(struct fixture));
    return *state ? 0 : -1;
}

static inline int fixture_teardown(void **state) {
    struct fixture *f = *state;
    config_deinit(&f->config);
    if (f->folder) test_folder_remove(f->folder);
    free(f);
    return 0;
}

/* A file of options; its path is borrowed until the next call. */
static inline const char *fixture_file(struct fixture *f, const char *name, const char *text) {
    static char path[1200];
    if (!f->folder) f->folder = test_folder_create();
    test_file_write(f->folder, name, text, strlen(text));
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    return path;
}

static inline size_t words_count(const char *const *words) {
    size_t count = 0;
    while (words[count]) count++;
    return count;
}

/* words and variables end with NULL. What was loaded before is forgotten. */
static inline enum status fixture_load(struct fixture *f, enum command command, const char *const *words,
                                       const char *const *variables) {
    struct error e;
    config_deinit(&f->config);
    assert_ok(config_init(&f->config, &e));
    enum status status =
        config_load(&f->config, command, (char **)words, words_count(words), (char **)variables, &f->error);
    f->message[0] = '\0';
    if (status != STATUS_OK) error_format(&f->error, f->message, sizeof f->message);
    return status;
}

#define WORDS(...) ((const char *const[WORDS_MAX]){__VA_ARGS__})
#define NO_WORDS   WORDS(NULL)

#define CONFIG_TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)
