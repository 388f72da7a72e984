/* The input is a regular expression that an answer has to match. */
#include "tests/fuzz/fuzz_grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_compile(GRAMMAR_REGEX, data, size);
    return 0;
}
