/* Describes a config.json given as text, for the tests of this folder. */
#pragma once

#include <math.h>

#include "engine/model/describe.h"
#include "tests/support/test_support.h"

/* Equal but for the rounding of one operation. */
static inline void assert_number(double found, double expected) {
    if (!(fabs(found - expected) <= 1e-15 * fabs(expected)))
        fail_msg("found %.17g, expected %.17g", found, expected);
}

/* text is JSON with ' for ", so that it reads well in C. */
static inline void write_config(const char *folder, const char *text) {
    char *json = strdup(text);
    for (char *c = json; *c; c++)
        if (*c == '\'') *c = '"';
    test_file_write(folder, "config.json", json, strlen(json));
    free(json);
}

static inline enum status describe_text(const char *text, struct model_description *d, struct error *e) {
    char *folder = test_folder_create();
    write_config(folder, text);
    const struct family *family = NULL;
    enum status status = describe_model(folder, d, &family, e);
    test_folder_remove(folder);
    return status;
}

/* It must be a model; description_deinit it. */
static inline struct model_description described(const char *text) {
    struct model_description d;
    struct error e = {0};
    assert_ok(describe_text(text, &d, &e));
    return d;
}

/* Refused, with every one of the words ('|' between them) in the message. */
static inline void assert_refused(const char *text, const char *words) {
    struct model_description d;
    struct error e = {0};
    char message[ERROR_LINE_BYTES];
    if (describe_text(text, &d, &e) == STATUS_OK)
        fail_msg("%s\n  is not refused; expected '%s'", text, words);
    description_deinit(&d);
    error_format(&e, message, sizeof message);
    if (!test_says(message, words)) fail_msg("%s\n  gives '%s'; expected '%s' in it", text, message, words);
}

struct refusal {
    const char *text, *words;
};

static inline void assert_each_refused(const struct refusal *refusals, size_t count) {
    for (size_t i = 0; i < count; i++) assert_refused(refusals[i].text, refusals[i].words);
}
