#include "tests/support/test_support.h"

#include "engine/checkpoint/pickle.h"

static const char *const globals[] = {"torch make", "torch Storage"};

static enum status open_bytes(const char *bytes, size_t length, struct pickle *p, struct error *e) {
    return pickle_open((const unsigned char *)bytes, length, "a pickle", globals, 2, p, e);
}

#define OPEN(text, p, e) open_bytes(text, sizeof(text) - 1, p, e)

/* A pickle, its length, the status, and a part of the message. */
#define CASE(text, status, fragment)                                                                         \
    { text, sizeof(text) - 1, status, fragment }

static const struct {
    const char *bytes;
    size_t length;
    enum status status;
    const char *fragment;
} cases[] = {
    CASE("\x80\x02}.", STATUS_OK, ""),
    CASE("}.trailing", STATUS_OK, ""),
    CASE("\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff}.", STATUS_OK,
         ""), /* a frame's length is only a hint */
    CASE("}N0.", STATUS_OK, ""),
    CASE("}(NN1.", STATUS_OK, ""),
    CASE("]2a.", STATUS_OK, ""),  /* a list that contains itself */
    CASE("}2Ns.", STATUS_OK, ""), /* a dictionary that has itself as a key */
    CASE("ccollections\nOrderedDict\n)R}b.", STATUS_OK, ""),
    /* ends */
    CASE("", STATUS_MALFORMED, "empty"),
    CASE("}", STATUS_MALFORMED, "byte 1 of the pickle: it ends without a stop"),
    CASE(".", STATUS_MALFORMED, "0 values"),
    CASE("}}.", STATUS_MALFORMED, "2 values"),
    CASE("}(.", STATUS_MALFORMED, "1 marks"),
    /* arguments */
    CASE("K", STATUS_MALFORMED, "cut short"),
    CASE("J\1\2\3", STATUS_MALFORMED, "cut short"),
    CASE("X\5\0\0\0abcd", STATUS_MALFORMED, "5 bytes; only 4"),
    CASE("X\xff\xff\xff\xff.", STATUS_MALFORMED, "4294967295 bytes"),
    CASE("\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", STATUS_MALFORMED, "18446744073709551615 bytes"),
    CASE("B\xff\xff\xff\x7f.", STATUS_MALFORMED, "only 1"),
    CASE("\x8a\x09\1\1\1\1\1\1\1\1\1.", STATUS_UNSUPPORTED, "9 bytes"),
    CASE("\x8b\xff\xff\xff\xff.", STATUS_MALFORMED, "only 1"),
    CASE("ctorch\nmake", STATUS_MALFORMED, "cut short"),
    CASE("ctorch", STATUS_MALFORMED, "cut short"),
    CASE("c", STATUS_MALFORMED, "cut short"),
    /* the stack */
    CASE("0.", STATUS_MALFORMED, "0 values; expected 1"),
    CASE("2.", STATUS_MALFORMED, "expected 1"),
    CASE("1.", STATUS_MALFORMED, "no mark"),
    CASE("t.", STATUS_MALFORMED, "no mark"),
    CASE("u.", STATUS_MALFORMED, "no mark"),
    CASE("\x87.", STATUS_MALFORMED, "0 values; expected 3"),
    CASE("N(\x85.", STATUS_MALFORMED, "0 values; expected 1"), /* not through the mark */
    CASE("](0.", STATUS_MALFORMED, "expected 1"),
    CASE("(]Ne.", STATUS_MALFORMED, "items without the list"),
    CASE("N(Ne.", STATUS_MALFORMED, "items without the list"),
    CASE("](NNu.", STATUS_MALFORMED, "items without the dictionary"),
    CASE("}(Nu.", STATUS_MALFORMED, "no value"),
    CASE("(Nd.", STATUS_MALFORMED, "no value"),
    CASE("Ns.", STATUS_MALFORMED, "expected 3"),
    /* the memo */
    CASE("h\0.", STATUS_MALFORMED, "nothing was put under memo number 0"),
    CASE("Nj\xff\xff\xff\xff.", STATUS_MALFORMED, "4294967295"),
    CASE("Nr\xff\xff\xff\xff.", STATUS_MALFORMED, "memo number 4294967295"),
    CASE("Nq\x04.", STATUS_MALFORMED, "memo number 4 in a pickle of 4 bytes"),
    CASE("q\0.", STATUS_MALFORMED, "expected 1"),
    CASE("\x94.", STATUS_MALFORMED, "expected 1"),
    /* globals and calls */
    CASE("ctorch\nmake\n.", STATUS_OK, ""),
    CASE("cos\nsystem\n.", STATUS_UNSUPPORTED, "'os.system'"),
    CASE("ctorch\nmaker\n.", STATUS_UNSUPPORTED, "'torch.maker'"),
    CASE("ctorch make\n\n.", STATUS_UNSUPPORTED, "'torch.make "),
    CASE("ctorch\n\n.", STATUS_UNSUPPORTED, "'torch.'"),
    CASE("U\2osU\6system\x93.", STATUS_UNSUPPORTED, "'os.system'"),
    CASE("U\5torchU\4make\x93.", STATUS_OK, ""),
    CASE("NU\6system\x93.", STATUS_MALFORMED, "not text"),
    CASE("N)R.", STATUS_MALFORMED, "other than a global"),
    CASE("ctorch\nmake\n]R.", STATUS_MALFORMED, "without a tuple"),
    CASE("ccollections\nOrderedDict\n]\x85R.", STATUS_UNSUPPORTED, "an empty one"),
    CASE("ctorch\nmake\n)R}b.", STATUS_UNSUPPORTED, "attributes"),
    CASE("R.", STATUS_MALFORMED, "expected 2"),
    CASE("b.", STATUS_MALFORMED, "expected 2"),
    CASE("Q.", STATUS_MALFORMED, "expected 1"),
    /* what is not needed */
    CASE("\x80\x01.", STATUS_UNSUPPORTED, "protocol 1"),
    CASE("\x80\x06.", STATUS_UNSUPPORTED, "protocol 6"),
    CASE("ctorch\nStorage\n)\x81.", STATUS_UNSUPPORTED, "opcode 0x81"),
    CASE("(itorch\nmake\n.", STATUS_UNSUPPORTED, "opcode 0x69"),
    CASE("\x82\1.", STATUS_UNSUPPORTED, "opcode 0x82"),
    CASE("P1\n.", STATUS_UNSUPPORTED, "opcode 0x50"),
    CASE("I1\n.", STATUS_UNSUPPORTED, "opcode 0x49"),
};

static void test_cases(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e = {0};
        struct pickle p;
        char *copy = malloc(cases[i].length + 1); /* sanitizers see reads beyond its end */
        memcpy(copy, cases[i].bytes, cases[i].length);
        enum status status = open_bytes(copy, cases[i].length, &p, &e);
        if (status != cases[i].status || (status && !strstr(e.text, cases[i].fragment)))
            fail_msg("case %zu: status '%s', '%s'; expected '%s'", i, status_name(status), e.text,
                     cases[i].fragment);
        if (status == STATUS_OK) pickle_close(&p);
        free(copy);
    }
}

static int64_t integer_of(const char *bytes, size_t length) {
    struct error e;
    struct pickle p;
    assert_ok(open_bytes(bytes, length, &p, &e));
    assert_int_equal(p.root->kind, PICKLE_INTEGER);
    int64_t value = p.root->integer;
    pickle_close(&p);
    return value;
}

#define INTEGER(text) integer_of(text, sizeof(text) - 1)

static void test_integers(void **state) {
    (void)state;
    assert_int_equal(INTEGER("K\xff."), 255);
    assert_int_equal(INTEGER("M\xfe\xff."), 65534);
    assert_int_equal(INTEGER("J\xff\xff\xff\x7f."), INT32_MAX);
    assert_int_equal(INTEGER("J\xff\xff\xff\xff."), -1);
    assert_int_equal(INTEGER("\x8a\0."), 0);
    assert_int_equal(INTEGER("\x8a\1\x80."), -128);
    assert_int_equal(INTEGER("\x8a\2\x80\0."), 128);
    assert_int_equal(INTEGER("\x8a\5\0\0\0\0\1."), 1ll << 32);
    assert_true(INTEGER("\x8a\x08\0\0\0\0\0\0\0\x80.") == INT64_MIN);
    assert_int_equal(INTEGER("\x8b\1\0\0\0\x07."), 7);
}

static void test_call_is_described(void **state) {
    (void)state;
    struct error e;
    struct pickle p;
    const struct pickle_node *items[3];
    size_t length;
    /* make(persistent id ("storage", Storage), 5, "text") */
    assert_ok(OPEN("\x80\x02"
                   "ctorch\nmake\n((U\7storagectorch\nStorage\ntQK\5X\4\0\0\0texttR.",
                   &p, &e));
    assert_int_equal(p.root->kind, PICKLE_CALL);
    assert_int_equal(pickle_callee(&p, p.root)->kind, PICKLE_GLOBAL);
    assert_int_equal(pickle_callee(&p, p.root)->global, 0);
    assert_int_equal(pickle_items(&p, pickle_arguments(&p, p.root), items, 3), 3);
    assert_int_equal(items[1]->integer, 5);
    assert_memory_equal(pickle_text(&p, items[2], &length), "text", 4);
    assert_int_equal(length, 4);
    assert_int_equal(items[0]->kind, PICKLE_PERSISTENT);
    assert_int_equal(pickle_items(&p, pickle_arguments(&p, items[0]), items, 1),
                     2); /* says that there are more */
    assert_int_equal(pickle_items(&p, pickle_arguments(&p, p.root), items, 3), 3);
    const struct pickle_node *id = pickle_arguments(&p, items[0]);
    assert_int_equal(pickle_items(&p, id, items, 3), 2);
    assert_true(pickle_text_is(&p, items[0], "storage"));
    assert_false(pickle_text_is(&p, items[0], "storages"));
    assert_false(pickle_text_is(&p, items[1], "storage"));
    assert_int_equal(items[1]->global, 1);
    assert_int_equal(pickle_items(&p, items[1], items, 3), 0);
    pickle_close(&p);
}

static void test_dictionary_keeps_its_order(void **state) {
    (void)state;
    struct error e;
    struct pickle p;
    static const char keys[] = "bacd";
    const struct pickle_item *cursor = NULL;
    const struct pickle_node *key, *value;
    assert_ok(OPEN("}(U\1bK\0U\1aK\1uU\1cK\2sU\1dq\0K\3s.", &p, &e));
    for (int i = 0; i < 4; i++) {
        char expected[2] = {keys[i]};
        assert_true(pickle_next(&p, p.root, &cursor, &key, &value));
        assert_true(pickle_text_is(&p, key, expected));
        assert_int_equal(value->integer, i);
    }
    assert_false(pickle_next(&p, p.root, &cursor, &key, &value));
    pickle_close(&p);
}

/* As many nodes, items and marks as there can be in a pickle of its length. */
static void test_densest_pickles(void **state) {
    (void)state;
    static const char opcodes[] = "N(])}2";
    for (const char *opcode = opcodes; *opcode; opcode++) {
        struct error e;
        struct pickle p;
        char bytes[1000];
        memset(bytes, *opcode, sizeof bytes);
        if (*opcode == '2') bytes[0] = 'N';
        assert_int_equal(open_bytes(bytes, sizeof bytes, &p, &e), STATUS_MALFORMED);
        bytes[0] = '(';
        bytes[1] = 'N';
        bytes[sizeof bytes - 2] = 't';
        bytes[sizeof bytes - 1] = '.';
        enum status status = open_bytes(bytes, sizeof bytes, &p, &e);
        if (status == STATUS_OK) pickle_close(&p);
    }
}

static void test_limit(void **state) {
    (void)state;
    struct error e;
    struct pickle p;
    char *bytes = calloc(PICKLE_BYTES_MAX + 1, 1);
    assert_int_equal(open_bytes(bytes, PICKLE_BYTES_MAX + 1, &p, &e), STATUS_LIMIT);
    assert_non_null(strstr(e.text, "the limit is 16777216"));
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_call_is_described),
        cmocka_unit_test(test_dictionary_keeps_its_order),
        cmocka_unit_test(test_densest_pickles),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
