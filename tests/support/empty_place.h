/* A folder of the test's own, and the path of a model in it that is not there yet: setup and teardown for cmocka. */
#pragma once

#include "tests/support/test_support.h"

struct empty_place {
    char *folder, model[1200];
};

static inline int empty_place_setup(void **state) {
    struct empty_place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    place->folder = test_folder_create();
    snprintf(place->model, sizeof place->model, "%s/model", place->folder);
    *state = place;
    return 0;
}

static inline int empty_place_teardown(void **state) {
    struct empty_place *place = *state;
    test_folder_remove(place->folder);
    free(place);
    return 0;
}
