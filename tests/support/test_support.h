/* What every cmocka test includes, and small helpers for files and folders of cases. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine/base/error.h"

/* For which a condition is waited for: what a loaded machine under a sanitizer does not reach. */
enum { PATIENCE_SECONDS = 240 };

/* Whether the program has a sanitizer in it: its heap and its maps are not the system's, and what a kernel does takes some
 * twenty times as long. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* Whether what only repeats itself is done in part: under a sanitizer, or where a processor is emulated; but for
 * tests/nightly.sh. */
#if (SANITIZED || defined(PRENORM_CROSS_COMPILED)) && !defined(PRENORM_WHOLE)
#define TEST_SHARE 1
#else
#define TEST_SHARE 0
#endif

/* Whether every combination is tried, where else each choice is, with others in turn: tests/nightly.sh does. */
#ifdef PRENORM_WHOLE
#define TEST_WHOLE 1
#else
#define TEST_WHOLE 0
#endif

/* Path below the source tree, e.g. test_source_path("tests/golden"). Static storage, valid until the next 8
 * calls. */
const char *test_source_path(const char *relative);

/* A new empty folder under $TMPDIR or /tmp; removed with its content by test_folder_remove. Caller frees the
 * name. */
char *test_folder_create(void);
void test_folder_remove(char *folder);

/* Such a folder with links to the files of the bundled model, so that more can lie beside them. */
char *test_folder_of_tales(void);

/* Writes length bytes to folder/name; fails the test if it cannot. */
void test_file_write(const char *folder, const char *name, const void *bytes, size_t length);

/* Reads a whole file, NUL-terminated; fails the test if it cannot. Caller frees. */
char *test_file_read(const char *folder, const char *name, size_t *length);

/* Whether text contains every one of words, which '|' separates. */
bool test_says(const char *text, const char *words);

/* Calls each for every sub-folder of folder, in alphabetical order; returns how many. */
size_t test_each_folder(const char *folder, void (*each)(const char *path, const char *name, void *context),
                        void *context);

/* Fails the test with the error's text unless the expression is STATUS_OK; needs a local `struct error e`. */
#define assert_ok(expression)                                                                                \
    do {                                                                                                     \
        if ((expression) != STATUS_OK) {                                                                     \
            char message_[ERROR_LINE_BYTES];                                                                 \
            error_format(&e, message_, sizeof message_);                                                     \
            fail_msg("%s: %s", #expression, message_);                                                       \
        }                                                                                                    \
    } while (0)

/* Fails the test unless text contains every one of words, which '|' separates. */
#define assert_says(text, words)                                                                             \
    do {                                                                                                     \
        if (!test_says(text, words)) fail_msg("'%s' does not say '%s'", text, words);                        \
    } while (0)
