#include "tests/unit/engine/checkpoint/build.h"

#include "engine/checkpoint/safetensors.h"

#define ENTRY(name, dtype, shape, begin, end)                                                                \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static enum status read_bytes(const unsigned char *bytes, size_t length, struct tensor_list *list,
                              struct error *e) {
    static char path[] = "folder/model.safetensors";
    struct mapped_file file = {.data = bytes, .size = length, .path = path, .name = path + 7};
    return safetensors_read(&file, list, e);
}

static enum status read_header(const char *header, size_t data_size, struct error *e) {
    size_t length;
    unsigned char *bytes = build_safetensors(header, data_size, &length);
    struct tensor_list list = {0};
    enum status status = read_bytes(bytes, length, &list, e);
    tensor_list_deinit(&list);
    free(bytes);
    return status;
}

/* fragment: what the message must contain; separate words by '|' */
static const struct {
    const char *header;
    size_t data_size;
    enum status status;
    const char *fragments;
} cases[] = {
    /* good */
    {"{}", 0, STATUS_OK, ""},
    {"{}   \n\n ", 0, STATUS_OK, ""},
    {"{\"__metadata__\":{\"format\":\"pt\"}}", 0, STATUS_OK, ""},
    {"{" ENTRY("a", "F32", "[2,3]", "0", "24") "}", 24, STATUS_OK, ""},
    {"{" ENTRY("a", "F64", "[]", "0", "8") "}", 8, STATUS_OK, ""},
    {"{" ENTRY("a", "F32", "[0,5]", "0", "0") "," ENTRY("b", "F16", "[2]", "0", "4") "}", 4, STATUS_OK, ""},
    {"{" ENTRY("b", "F16", "[2]", "0", "4") "," ENTRY("a", "F32", "[7,0]", "4", "4") "}", 4, STATUS_OK, ""},
    {"{" ENTRY("b", "BF16", "[2]", "2", "6") "," ENTRY("a", "U8", "[2]", "0", "2") "}", 6, STATUS_OK, ""},
    {"{" ENTRY("a", "BOOL", "[3]", "0", "3") "," ENTRY("b", "I64", "[1]", "3", "11") "}", 11, STATUS_OK, ""},
    {"{" ENTRY("a", "F4", "[3,2]", "0", "3") "," ENTRY("b", "F6_E2M3", "[4]", "3", "6") "}", 6, STATUS_OK,
     ""},
    {"{" ENTRY("a", "F8_E4M3", "[1,1,1,1,1,1,1,2]", "0", "2") "}", 2, STATUS_OK, ""},
    /* the header as a whole */
    {"", 0, STATUS_MALFORMED, "begin with '{'"},
    {" {}", 0, STATUS_MALFORMED, "begin with '{'"},
    {"[]", 0, STATUS_MALFORMED, "begin with '{'"},
    {"{", 0, STATUS_MALFORMED, "line 1"},
    {"{} {}", 0, STATUS_MALFORMED, "line 1"},
    {"{\"a\":{\"b\":{\"c\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 0,
     STATUS_LIMIT, "nested"},
    {"{" ENTRY("a", "U8", "[1]", "0", "1") "," ENTRY("a", "U8", "[1]", "1", "2") "}", 2, STATUS_MALFORMED,
     "duplicate"},
    {"{\"__metadata__\":{\"format\":1}}", 0, STATUS_MALFORMED, "__metadata__"},
    {"{\"__metadata__\":[]}", 0, STATUS_MALFORMED, "__metadata__"},
    {"{\"a\":5}", 0, STATUS_MALFORMED, "'a'|expected an object"},
    /* dtype */
    {"{" ENTRY("a", "F31", "[1]", "0", "4") "}", 4, STATUS_UNSUPPORTED, "'a'|'F31'|expected F32"},
    {"{" ENTRY("a", "f32", "[1]", "0", "4") "}", 4, STATUS_UNSUPPORTED, "'a'|'f32'"},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, STATUS_MALFORMED, "'a'|'dtype' is missing"},
    {"{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, STATUS_MALFORMED,
     "'dtype' is not a string"},
    /* shape */
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, STATUS_MALFORMED, "'a'|'shape' is missing"},
    {"{" ENTRY("a", "F32", "{}", "0", "4") "}", 4, STATUS_MALFORMED, "'shape' is not an array"},
    {"{" ENTRY("a", "F32", "[-1]", "0", "4") "}", 4, STATUS_MALFORMED, "'shape' holds -1"},
    {"{" ENTRY("a", "F32", "[1.0]", "0", "4") "}", 4, STATUS_MALFORMED, "'shape' holds something other"},
    {"{" ENTRY("a", "F32", "[\"1\"]", "0", "4") "}", 4, STATUS_MALFORMED, "'shape' holds something other"},
    {"{" ENTRY("a", "F32", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, STATUS_LIMIT,
     "9 dimensions; the limit is 8"},
    {"{" ENTRY("a", "F32", "[4294967296,4294967296]", "0", "4") "}", 4, STATUS_MALFORMED, "overflows"},
    {"{" ENTRY("a", "F32", "[4611686018427387904,4]", "0", "0") "}", 0, STATUS_MALFORMED, "overflows"},
    {"{" ENTRY("a", "F32", "[0,9223372036854775807,9223372036854775807]", "0", "0") "}", 0, STATUS_MALFORMED,
     "overflows"},
    {"{" ENTRY("a", "F4", "[3]", "0", "2") "}", 2, STATUS_MALFORMED, "12 bits|not whole bytes"},
    /* offsets */
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, STATUS_MALFORMED, "'data_offsets' is missing"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}", 4, STATUS_MALFORMED,
     "expected an array of 2"},
    {"{" ENTRY("a", "F32", "[1]", "-4", "0") "}", 4, STATUS_MALFORMED, "holds -4"},
    {"{" ENTRY("a", "F32", "[1]", "0.0", "4") "}", 4, STATUS_MALFORMED,
     "'data_offsets' holds something other"},
    {"{" ENTRY("a", "F32", "[1]", "4", "0") "}", 4, STATUS_MALFORMED, "[4, 0]"},
    {"{" ENTRY("a", "F32", "[1]", "0", "8") "}", 4, STATUS_MALFORMED, "[0, 8]|has 4 bytes"},
    {"{" ENTRY("a", "F32", "[1]", "9223372036854775803", "9223372036854775807") "}", 4, STATUS_MALFORMED,
     "has 4 bytes"},
    {"{" ENTRY("a", "F32", "[2]", "0", "4") "}", 4, STATUS_MALFORMED, "are 4 bytes; dtype and shape make 8"},
    {"{" ENTRY("a", "F16", "[2]", "0", "4") "," ENTRY("b", "F16", "[2]", "2", "6") "}", 6, STATUS_MALFORMED,
     "'b'|begin at 2; expected 4|overlap"},
    {"{" ENTRY("a", "F16", "[2]", "0", "4") "," ENTRY("b", "F16", "[2]", "0", "4") "}", 4, STATUS_MALFORMED,
     "overlap"},
    {"{" ENTRY("a", "F16", "[2]", "0", "4") "," ENTRY("b", "F16", "[2]", "6", "10") "}", 10, STATUS_MALFORMED,
     "'b'|begin at 6; expected 4|gap"},
    {"{" ENTRY("a", "F16", "[2]", "2", "6") "}", 6, STATUS_MALFORMED, "begin at 2; expected 0"},
    {"{" ENTRY("a", "F16", "[2]", "0", "4") "}", 6, STATUS_MALFORMED, "end at byte 4|has 6"},
    {"{" ENTRY("a", "F16", "[2]", "0", "4") "," ENTRY("b", "F16", "[0]", "2", "2") "}", 4, STATUS_MALFORMED,
     "overlap"},
    {"{}", 1, STATUS_MALFORMED, "end at byte 0|has 1"},
};

static void test_cases(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e = {0};
        enum status status = read_header(cases[i].header, cases[i].data_size, &e);
        if (status != cases[i].status || !test_says(e.text, cases[i].fragments))
            fail_msg("%s: status %d, '%s'; expected '%s'", cases[i].header, status, e.text,
                     cases[i].fragments);
        if (status != STATUS_OK) assert_string_equal(e.where, "folder/model.safetensors");
    }
}

static const char good_header[] =
    "{\"__metadata__\":{\"format\":\"pt\"}," ENTRY("norm", "F32", "[3]", "12", "24") "," ENTRY(
        "empty", "F32", "[0]", "12", "12") "," ENTRY("table", "BF16", "[3,2]", "0",
                                                     "12") "," ENTRY("mask", "BOOL", "[1,1]", "24", "25") "}";
#define GOOD_DATA_SIZE 25

static void test_tensors_are_views(void **state) {
    (void)state;
    struct error e;
    size_t length;
    unsigned char *bytes = build_safetensors(good_header, GOOD_DATA_SIZE, &length);
    const unsigned char *data = bytes + length - GOOD_DATA_SIZE;
    struct tensor_list list = {0};
    assert_ok(read_bytes(bytes, length, &list, &e));
    assert_ok(tensor_list_sort(&list, "folder", &e));
    assert_int_equal(list.count, 4);
    const struct tensor *t = tensor_list_find(&list, "table");
    assert_ptr_equal(t->data, data);
    assert_int_equal(t->dtype, DTYPE_BF16);
    assert_int_equal(t->rank, 2);
    assert_int_equal(t->shape[0], 3);
    assert_int_equal(t->shape[1], 2);
    assert_int_equal(t->stride[0], 2);
    assert_int_equal(t->stride[1], 1);
    assert_string_equal(t->file, "model.safetensors");
    assert_ptr_equal(tensor_list_find(&list, "norm")->data, data + 12);
    assert_int_equal(tensor_list_find(&list, "mask")->dtype, DTYPE_OTHER);
    assert_int_equal(tensor_list_find(&list, "empty")->shape[0], 0);
    tensor_list_deinit(&list);
    free(bytes);
}

/* Every prefix of a good file, each in a buffer of just its size so that a sanitizer sees any read beyond. */
static void test_cut_at_every_byte(void **state) {
    (void)state;
    struct error e;
    size_t length;
    unsigned char *bytes = build_safetensors(good_header, GOOD_DATA_SIZE, &length);
    for (size_t cut = 0; cut < length; cut++) {
        unsigned char *copy = malloc(cut + !cut);
        struct tensor_list list = {0};
        memcpy(copy, bytes, cut);
        assert_int_equal(read_bytes(copy, cut, &list, &e), STATUS_MALFORMED);
        tensor_list_deinit(&list);
        free(copy);
    }
    free(bytes);
}

/* Reads the first and last byte of what was accepted. */
static void touch(const struct tensor_list *list) {
    volatile unsigned char byte;
    for (size_t i = 0; i < list->count; i++) {
        const struct tensor *t = &list->tensors[i];
        size_t count = 1;
        for (size_t axis = 0; axis < t->rank; axis++) count *= t->shape[axis];
        if (count == 0 || t->dtype == DTYPE_OTHER) continue;
        byte = *(const unsigned char *)t->data;
        byte = ((const unsigned char *)t->data)[count * dtype_size(t->dtype) - 1];
    }
    (void)byte;
}

static void test_every_bit_flipped(void **state) {
    (void)state;
    struct error e;
    size_t length, accepted = 0;
    unsigned char *bytes = build_safetensors(good_header, GOOD_DATA_SIZE, &length);
    for (size_t bit = 0; bit < 8 * (length - GOOD_DATA_SIZE); bit++) {
        struct tensor_list list = {0};
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        if (read_bytes(bytes, length, &list, &e) == STATUS_OK) accepted++, touch(&list);
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        tensor_list_deinit(&list);
    }
    free(bytes);
    assert_true(accepted > 0); /* other names are as good */
}

static void test_huge_header_lengths(void **state) {
    (void)state;
    static const uint64_t lengths[] = {3,
                                       1000,
                                       SAFETENSORS_HEADER_BYTES_MAX,
                                       SAFETENSORS_HEADER_BYTES_MAX + 1,
                                       1ull << 63,
                                       UINT64_MAX - 7,
                                       UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct error e;
        unsigned char bytes[10] = {[8] = '{', '}'};
        struct tensor_list list = {0};
        memcpy(bytes, &lengths[i], 8);
        enum status expected = lengths[i] > SAFETENSORS_HEADER_BYTES_MAX ? STATUS_LIMIT : STATUS_MALFORMED;
        assert_int_equal(read_bytes(bytes, sizeof bytes, &list, &e), expected);
        assert_non_null(strstr(e.text, "header length"));
    }
}

/* Empty objects take 100 times their text: their number is limited before any is made. */
static void test_too_many_values(void **state) {
    (void)state;
    struct error e;
    size_t count = SAFETENSORS_VALUES_MAX + 10;
    char *header = malloc(8 + 3 * count);
    strcpy(header, "{\"a\":[");
    for (size_t i = 0; i < count; i++) memcpy(header + 6 + 3 * i, "{},", 4);
    assert_int_equal(read_header(header, 0, &e), STATUS_LIMIT);
    assert_non_null(strstr(e.text, "values"));
    free(header);
}

static void test_hostile_names_in_messages(void **state) {
    (void)state;
    struct error e;
    char header[3000] = "{\"", name[2001];
    memset(name, 'n', 2000);
    name[2000] = '\0';
    strcat(header, name);
    strcat(header, "\\u001b[31m\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,9]}}");
    assert_int_equal(read_header(header, 4, &e), STATUS_MALFORMED);
    assert_non_null(strstr(
        e.text,
        "the data section has 4 bytes, so the file may have been cut short")); /* not cut off by the name */
    assert_int_equal(read_header("{\"\\u001b[31m\":1}", 0, &e), STATUS_MALFORMED);
    assert_null(strchr(e.text, 0x1b));
}

static void test_metadata(void **state) {
    (void)state;
    static const char *const headers[] = {"{\"__metadata__\":{\"format\":\"pt\"}}", "{}", "{\"a\":5}"};
    static char path[] = "folder/model.safetensors";
    struct error e = {0};
    for (size_t i = 0; i < 3; i++) {
        size_t length;
        unsigned char *bytes = build_safetensors(headers[i], 0, &length);
        struct mapped_file file = {.data = bytes, .size = length, .path = path, .name = path + 7};
        struct tensor_list list = {0};
        json_t *metadata;
        enum status status = safetensors_read_with_metadata(&file, &list, &metadata, &e);
        assert_int_equal(status, i < 2 ? STATUS_OK : STATUS_MALFORMED);
        if (i > 0)
            assert_null(metadata);
        else
            assert_string_equal(json_string_value(json_object_get(metadata, "format")), "pt");
        json_decref(metadata);
        tensor_list_deinit(&list);
        free(bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_tensors_are_views),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_every_bit_flipped),
        cmocka_unit_test(test_huge_header_lengths),
        cmocka_unit_test(test_too_many_values),
        cmocka_unit_test(test_hostile_names_in_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
