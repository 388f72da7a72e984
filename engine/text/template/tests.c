#include "engine/text/template/tests.h"

#include "engine/text/template/eval.h"
#include "engine/text/template/filters.h"
#include "engine/text/template/methods.h"
#include "engine/text/template/print.h"

typedef bool test_function(struct render *r, const struct value *v, const struct value *argument, bool *out);

struct test_row {
    const char *name;
    test_function *run;
    const char *parameters;
};

#define TEST(name, holds)                                                                                    \
    static bool name(struct render *r, const struct value *v, const struct value *argument, bool *out) {     \
        (void)r;                                                                                             \
        (void)argument;                                                                                      \
        *out = (holds);                                                                                      \
        return true;                                                                                         \
    }

TEST(is_defined, v->kind != VALUE_UNDEFINED)
TEST(is_undefined, v->kind == VALUE_UNDEFINED)
TEST(is_none, v->kind == VALUE_NONE)
TEST(is_boolean, v->kind == VALUE_BOOL)
TEST(is_false, v->kind == VALUE_BOOL && !v->boolean)
TEST(is_true, v->kind == VALUE_BOOL && v->boolean)
TEST(is_integer, v->kind == VALUE_INT)
TEST(is_float, v->kind == VALUE_FLOAT)
TEST(is_number, value_is_number(v))
TEST(is_string, v->kind == VALUE_STRING)
TEST(is_mapping, v->kind == VALUE_DICT)
TEST(is_iterable, value_is_iterable(v) || v->kind == VALUE_LOOP)
TEST(is_callable, v->kind == VALUE_CALLABLE || v->kind == VALUE_LOOP || v->kind == VALUE_UNDEFINED)
TEST(is_escaped, v->kind == VALUE_STRING && v->string->safe)
TEST(is_same, value_same(v, argument))

/* A sequence has a length and takes subscripts. An undefined value pretends to. */
TEST(is_sequence, v->kind == VALUE_STRING || v->kind == VALUE_DICT || v->kind == VALUE_UNDEFINED ||
                      (v->kind == VALUE_LIST && v->list->kind <= LIST_RANGE))

static bool check_name(struct render *r, const struct value *v) {
    if (v->kind != VALUE_DICT && !value_is_list(v, LIST_LIST)) return true;
    return render_error(r, "unhashable type: '%s'", value_type(v));
}

static bool is_filter(struct render *r, const struct value *v, const struct value *argument, bool *out) {
    (void)argument;
    *out = v->kind == VALUE_STRING && filters_find(v->string);
    return check_name(r, v);
}

static bool is_test(struct render *r, const struct value *v, const struct value *argument, bool *out) {
    (void)argument;
    *out = v->kind == VALUE_STRING && tests_find(v->string);
    return check_name(r, v);
}

static bool rest_of(struct render *r, const struct value *v, const struct value *by, bool *zero) {
    struct value rest;
    const struct value nothing = INTEGER(0);
    return operator_binary(r, NODE_MODULO, v, by, &rest) && value_equal(r, &rest, &nothing, zero);
}

static bool is_divisible(struct render *r, const struct value *v, const struct value *argument, bool *out) {
    return rest_of(r, v, argument, out);
}

static bool is_even(struct render *r, const struct value *v, const struct value *argument, bool *out) {
    const struct value two = INTEGER(2);
    (void)argument;
    return rest_of(r, v, &two, out);
}

static bool is_odd(struct render *r, const struct value *v, const struct value *argument, bool *out) {
    struct value rest;
    const struct value two = INTEGER(2), one = INTEGER(1);
    (void)argument;
    return operator_binary(r, NODE_MODULO, v, &two, &rest) && value_equal(r, &rest, &one, out);
}

static bool ask_method(struct render *r, const struct value *v, const char *name, bool *out) {
    const struct string *text;
    struct value self, method, answer;
    const struct string method_name = {.bytes = name, .length = 7, .characters = 7};
    if (!print_value(r, v, &text)) return false;
    self = STRING(text);
    if (!methods_get(r, &self, &method_name, &method) ||
        !call_value(r, &method, &(struct arguments){0}, &answer))
        return false;
    *out = answer.boolean;
    return true;
}

static bool is_lower(struct render *r, const struct value *v, const struct value *argument, bool *out) {
    (void)argument;
    return ask_method(r, v, "islower", out);
}

static bool is_upper(struct render *r, const struct value *v, const struct value *argument, bool *out) {
    (void)argument;
    return ask_method(r, v, "isupper", out);
}

#define COMPARISON(name, kind)                                                                               \
    static bool name(struct render *r, const struct value *v, const struct value *argument, bool *out) {     \
        return operator_compare(r, kind, v, argument, out);                                                  \
    }

COMPARISON(is_equal, COMPARE_EQ)
COMPARISON(is_unequal, COMPARE_NE)
COMPARISON(is_greater, COMPARE_GT)
COMPARISON(is_greater_or_equal, COMPARE_GE)
COMPARISON(is_less, COMPARE_LT)
COMPARISON(is_less_or_equal, COMPARE_LE)
COMPARISON(is_in, COMPARE_IN)

static const struct test_row rows[] = {
    {"defined", is_defined, ""},
    {"undefined", is_undefined, ""},
    {"none", is_none, ""},
    {"boolean", is_boolean, ""},
    {"false", is_false, ""},
    {"true", is_true, ""},
    {"integer", is_integer, ""},
    {"float", is_float, ""},
    {"number", is_number, ""},
    {"string", is_string, ""},
    {"mapping", is_mapping, ""},
    {"sequence", is_sequence, ""},
    {"iterable", is_iterable, ""},
    {"callable", is_callable, ""},
    {"escaped", is_escaped, ""},
    {"filter", is_filter, ""},
    {"test", is_test, ""},
    {"lower", is_lower, ""},
    {"upper", is_upper, ""},
    {"even", is_even, ""},
    {"odd", is_odd, ""},
    {"divisibleby", is_divisible, "num"},
    {"sameas", is_same, "other"},
    {"in", is_in, "seq"},
    {"eq", is_equal, "b"},
    {"equalto", is_equal, "b"},
    {"==", is_equal, "b"},
    {"ne", is_unequal, "b"},
    {"!=", is_unequal, "b"},
    {"gt", is_greater, "b"},
    {"greaterthan", is_greater, "b"},
    {">", is_greater, "b"},
    {"ge", is_greater_or_equal, "b"},
    {">=", is_greater_or_equal, "b"},
    {"lt", is_less, "b"},
    {"lessthan", is_less, "b"},
    {"<", is_less, "b"},
    {"le", is_less_or_equal, "b"},
    {"<=", is_less_or_equal, "b"},
};

const struct test_row *tests_find(const struct string *name) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (string_is(name, rows[i].name)) return &rows[i];
    return NULL;
}

bool tests_apply(struct render *r, const struct test_row *row, const struct value *v,
                 const struct arguments *a, bool *out) {
    struct value p[PARAMETERS_MAX];
    size_t required = row->parameters[0] != '\0';
    return call_bind(r, row->name, row->parameters, required, true, a, p) && row->run(r, v, &p[0], out);
}
