/* Any bytes: whatever jansson accepts has as many values, nested as deep, as were counted before. */
#include <assert.h>
#include <jansson.h>

#include "server/json/scan.h"
#include "tests/fuzz/fuzz.h"

static size_t count(const json_t *value, size_t depth, size_t *deepest) {
    size_t values = 1, index;
    const char *key;
    json_t *child;
    if ((json_is_array(value) || json_is_object(value)) && depth + 1 > *deepest) *deepest = depth + 1;
    json_array_foreach(value, index, child) values += count(child, depth + 1, deepest);
    json_object_foreach((json_t *)value, key, child) values += count(child, depth + 1, deepest);
    return values;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct json_scan scan;
    size_t deepest = 0;
    json_scan((const char *)data, size, &scan);
    assert(json_scan_values(&scan) <= size && scan.longest_string <= size && scan.string_bytes <= size);
    json_t *root =
        json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
    if (!root) return 0;
    size_t values = count(root, 0, &deepest);
    assert(values == json_scan_values(&scan));
    assert(deepest == scan.depth);
    json_decref(root);
    return 0;
}
