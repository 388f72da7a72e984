#include "tests/unit/engine/checkpoint/compare.h"

#include "engine/files/json_file.h"
#include "engine/checkpoint/torch_bin.h"

#define CASES "tests/cases/torch-bin"

static void assert_loads(const char *input, const char *expect) {
    struct error e;
    struct checkpoint *found, *expected;
    assert_ok(checkpoint_open(input, &found, &e));
    assert_ok(checkpoint_open(expect, &expected, &e));
    assert_same_checkpoint(found, expected);
    checkpoint_close(found);
    checkpoint_close(expected);
}

static void assert_refused(const char *input, const json_t *reason) {
    struct error e = {0};
    struct checkpoint *c;
    char message[ERROR_LINE_BYTES];
    size_t index;
    json_t *word;
    enum status status = checkpoint_open(input, &c, &e);
    error_format(&e, message, sizeof message);
    if (strcmp(status_name(status), json_string_value(json_object_get(reason, "status"))) != 0)
        fail_msg("status '%s': %s", status_name(status), message);
    json_array_foreach(json_object_get(reason, "reason_contains"), index,
                       word) if (!strcasestr(message, json_string_value(word)))
        fail_msg("'%s' is not in: %s", json_string_value(word), message);
    if (status == STATUS_UNSUPPORTED) assert_non_null(strstr(message, "save its weights with safetensors"));
}

static void run_case(const char *path, const char *name, void *context) {
    struct error e;
    char input[2048], expect[2048];
    json_t *reason = NULL;
    (void)context;
    print_message("%s\n", name);
    snprintf(input, sizeof input, "%s/input", path);
    snprintf(expect, sizeof expect, "%s/expect", path);
    if (json_file_load(expect, "error.json", 4096, &reason, &e) == STATUS_OK)
        assert_refused(input, reason);
    else
        assert_loads(input, expect);
    json_decref(reason);
}

static void test_cases(void **state) {
    (void)state;
    assert_true(test_each_folder(test_source_path(CASES), run_case, NULL) > 0);
}

static void touch_all(const struct tensor_list *list) {
    volatile double sum = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct tensor *t = &list->tensors[i];
        size_t count = t->dtype == DTYPE_OTHER ? 0 : 1;
        for (size_t axis = 0; axis < t->rank; axis++) count *= t->shape[axis];
        if (count > 0) sum += element_of(t, 0) + element_of(t, count - 1);
    }
    (void)sum;
}

static enum status read_bytes(const char *bytes, size_t length) {
    static char path[] = "pytorch_model.bin";
    struct mapped_file file = {
        .data = (const unsigned char *)bytes, .size = length, .path = path, .name = path};
    struct tensor_list list = {0};
    struct error e;
    enum status status = torch_bin_read(&file, &list, &e);
    if (status == STATUS_OK) touch_all(&list);
    tensor_list_deinit(&list);
    return status;
}

/* Each prefix in a buffer of just its size, so that a sanitizer sees any read beyond. */
static void cut_at_every_byte(const char *bytes, size_t length) {
    for (size_t cut = 0; cut < length; cut++) {
        char *copy = malloc(cut + !cut);
        memcpy(copy, bytes, cut);
        assert_int_not_equal(read_bytes(copy, cut), STATUS_OK);
        free(copy);
    }
}

static void flip_every_bit(char *bytes, size_t length) {
    size_t refused = 0;
    for (size_t bit = 0; bit < 8 * length; bit++) {
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        refused += read_bytes(bytes, length) != STATUS_OK;
        bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_true(refused > length); /* the rest is weights, checksums, times, padding */
    assert_int_equal(read_bytes(bytes, length), STATUS_OK);
}

static void test_damaged_files(void **state) {
    (void)state;
    static const char *const cases[] = {"good-zip64", "good-views", "good-views-protocol-5"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char folder[2048];
        size_t length;
        snprintf(folder, sizeof folder, "%s/%s/input", test_source_path(CASES), cases[i]);
        char *bytes = test_file_read(folder, "pytorch_model.bin", &length);
        cut_at_every_byte(bytes, length);
        flip_every_bit(bytes, length);
        free(bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_damaged_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
