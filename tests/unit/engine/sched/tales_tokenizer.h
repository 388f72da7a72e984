/* For tests of what sequences say: the tokenizer of the bundled model, open for a group of tests; and the rotary length of a
 * model whose frequencies change with every length. */
#pragma once

#include "engine/text/tokenizer.h"
#include "tests/support/test_support.h"

static struct tokenizer *tokenizer;

static inline int open_tokenizer(void **state) {
    (void)state;
    struct error e;
    assert_ok(tokenizer_open(test_source_path("deploy/models/tales"), &tokenizer, &e));
    return 0;
}

static inline int close_tokenizer(void **state) {
    (void)state;
    tokenizer_close(tokenizer);
    return 0;
}

static inline size_t rotary_length(void *context, size_t length) {
    (void)context;
    return length;
}
