/* The input is a file. */
#include "engine/checkpoint/torch_bin.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/touch_tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_tensors(torch_bin_read, data, size);
    return 0;
}
