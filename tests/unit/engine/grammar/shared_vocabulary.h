/* One vocabulary for all tests of a program: setup and teardown for cmocka. */
#pragma once

#include "tests/unit/engine/grammar/grammar_fixture.h"

static struct grammar_vocabulary *vocabulary;

static inline int vocabulary_setup(void **state) {
    (void)state;
    vocabulary = fixture_vocabulary();
    return 0;
}

static inline int vocabulary_teardown(void **state) {
    (void)state;
    grammar_vocabulary_destroy(vocabulary);
    return 0;
}
