/* The input is a file; or, where it begins with '{', a header, which gets the right length in front and some
 * data. */
#include <stdlib.h>
#include <string.h>

#include "engine/checkpoint/safetensors.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/touch_tensors.h"

#define DATA_SIZE 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || data[0] != '{') {
        read_tensors(safetensors_read, data, size);
        return 0;
    }
    uint64_t header = size;
    unsigned char *bytes = calloc(1, 8 + size + DATA_SIZE);
    if (!bytes) return 0;
    memcpy(bytes, &header, 8);
    memcpy(bytes + 8, data, size);
    read_tensors(safetensors_read, bytes, 8 + size + DATA_SIZE);
    free(bytes);
    return 0;
}
