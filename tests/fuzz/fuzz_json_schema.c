/* The input is a JSON schema. */
#include "tests/fuzz/fuzz_grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_compile(GRAMMAR_JSON_SCHEMA, data, size);
    return 0;
}
