/* Rules that a group of tests writes and leaves to the end: setup and teardown for cmocka, and the shortest ways to say them. */
#pragma once

#include "tests/support/test_support.h"

#include "engine/grammar/rules/expression.h"

static struct rules *rules;

static inline int rules_setup(void **state) {
    struct error e;
    (void)state;
    return rules_create((size_t)1 << 24, NULL, &rules, &e) == STATUS_OK ? 0 : 1;
}

static inline int rules_teardown(void **state) {
    (void)state;
    rules_destroy(rules);
    return 0;
}

static inline rules_expression text(const char *bytes) {
    return rules_text(rules, bytes, strlen(bytes));
}

static inline rules_expression sequence(rules_expression a, rules_expression b) {
    const rules_expression parts[] = {a, b};
    return rules_sequence(rules, parts, 2);
}
