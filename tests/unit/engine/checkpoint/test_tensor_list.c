#include "tests/support/test_support.h"

#include "engine/checkpoint/tensor_list.h"

static void add(struct tensor_list *list, const char *name, const char *file, size_t extent) {
    struct error e;
    struct tensor t = {.file = file, .rank = 1, .shape = {extent}};
    assert_ok(tensor_list_add(list, &t, name, strlen(name), &e));
}

static void test_finds_every_name(void **state) {
    (void)state;
    struct error e;
    struct tensor_list list = {0};
    char name[32];
    assert_null(tensor_list_find(&list, "t0"));
    for (size_t i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "t%zu", i * 7919 % 1000);
        add(&list, name, "file", i * 7919 % 1000);
    }
    assert_ok(tensor_list_sort(&list, "folder", &e));
    for (size_t i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "t%zu", i);
        const struct tensor *t = tensor_list_find(&list, name);
        assert_non_null(t);
        assert_int_equal(t->shape[0], i);
    }
    assert_null(tensor_list_find(&list, "t1000"));
    assert_null(tensor_list_find(&list, ""));
    tensor_list_deinit(&list);
    assert_int_equal(list.count, 0);
}

static void test_names_are_copied_to_their_length(void **state) {
    (void)state;
    struct error e;
    struct tensor_list list = {0};
    struct tensor t = {.file = "file"};
    char text[] = "weight and more";
    assert_ok(tensor_list_add(&list, &t, text, 6, &e));
    memset(text, 'x', sizeof text - 1);
    assert_string_equal(list.tensors[0].name, "weight");
    tensor_list_deinit(&list);
}

static void test_names_are_unique(void **state) {
    (void)state;
    struct error e;
    struct tensor_list list = {0};
    add(&list, "b", "first", 1);
    add(&list, "a", "first", 1);
    add(&list, "b", "second", 1);
    assert_int_equal(tensor_list_sort(&list, "folder", &e), STATUS_MALFORMED);
    assert_string_equal(e.where, "folder");
    assert_non_null(strstr(e.text, "'b' occurs twice"));
    assert_non_null(strstr(e.text, "first"));
    assert_non_null(strstr(e.text, "second"));
    tensor_list_deinit(&list);
}

/* The first of equal ones stays, in whatever order they came; an empty list has nothing to sort. */
static void test_copies(void **state) {
    (void)state;
    struct error e = {0};
    struct tensor_list list = {0};
    static const float values[] = {1, 2, 1, 2, 1, 3};
    assert_ok(tensor_list_sort(&list, "folder", &e));
    struct tensor t = {.dtype = DTYPE_F32, .rank = 1, .shape = {2}, .stride = {1}};
    for (size_t i = 0; i < 2; i++) {
        t.file = i ? "first" : "second";
        t.data = values + 2 * i;
        assert_ok(tensor_list_add(&list, &t, "a", 1, &e));
    }
    t.file = "third";
    assert_ok(tensor_list_add(&list, &t, "b", 1, &e));
    assert_ok(tensor_list_sort(&list, "folder", &e));
    assert_int_equal(list.count, 2);
    assert_string_equal(list.tensors[0].file, "first");
    assert_true(list.tensors[0].has_copies);
    assert_false(list.tensors[1].has_copies);
    t.data = values + 4; /* of the same shape, with other bytes */
    assert_ok(tensor_list_add(&list, &t, "a", 1, &e));
    assert_int_equal(tensor_list_sort(&list, "folder", &e), STATUS_MALFORMED);
    assert_int_equal(list.count, 3);
    tensor_list_deinit(&list);
}

static void test_contiguous_strides(void **state) {
    (void)state;
    struct tensor t = {.rank = 3, .shape = {2, 3, 5}};
    tensor_set_contiguous(&t);
    assert_int_equal(t.stride[0], 15);
    assert_int_equal(t.stride[1], 5);
    assert_int_equal(t.stride[2], 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_every_name),   cmocka_unit_test(test_names_are_copied_to_their_length),
        cmocka_unit_test(test_names_are_unique),   cmocka_unit_test(test_copies),
        cmocka_unit_test(test_contiguous_strides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
