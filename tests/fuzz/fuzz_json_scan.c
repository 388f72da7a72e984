/* Any bytes: whatever jansson accepts has as many values, nested as deep, as were counted before; and an object's members are
 * those that were found before, in their order. */
#include <assert.h>
#include <jansson.h>
#include <string.h>

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

/* A key with escapes is only known to be one. */
static void compare_members(const char *text, size_t length, const json_t *object) {
    struct json_scan_member member;
    size_t at = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        struct json_scan scan;
        size_t deepest = 0;
        assert(json_scan_next(text, length, &at, &member));
        bool has_escapes = memchr(member.key, '\\', member.key_length);
        assert(has_escapes ||
               (member.key_length == strlen(key) && memcmp(member.key, key, member.key_length) == 0));
        json_scan(member.value, member.value_length, &scan);
        assert(count(value, 0, &deepest) == json_scan_values(&scan));
        assert(deepest == scan.depth);
    }
    assert(!json_scan_next(text, length, &at, &member));
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
    if (json_is_object(root)) compare_members((const char *)data, size, root);
    json_decref(root);
    return 0;
}
