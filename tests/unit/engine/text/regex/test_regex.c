#include "tests/support/test_support.h"

#include "engine/text/regex/regex.h"

/* Matches in order, joined by '|'. Expected values are Oniguruma's. */
static const struct {
    const char *pattern, *text, *matches;
} cases[] = {
    {"a|b", "xaby", "a|b"},
    {"\\s+",
     "a \xC2\x85\xE3\x80\x80"
     "b\xE1\xA0\x8E"
     "c",
     " \xC2\x85\xE3\x80\x80"}, /* U+180E is not a blank */
    {"\\h+", "0aFg9", "0aF|9"},
    {"\\v", "a\vb\n", "\v"},
    {"\\w+", "a\xC2\xB2_é٣-b", "a\xC2\xB2_é٣|b"},
    {"[\\w]+", "a\xC2\xB2_", "a|_"}, /* within a set \w lacks the superscript */
    {"\\bfoo\\b", "foo foo1 (foo)", "foo|foo"},
    {"\\Boo", "foo oo", "oo"},
    {"a{,2}b", "aaab b", "aab|b"},
    {"a{2}+", "aaaaa", "aaaa"}, /* repeats, is not possessive */
    {"a++b", "aab", "aab"},
    {"a++ab", "aaab", ""},
    {"x{", "ax{", "x{"},
    {"x{a}", "x{a}", "x{a}"},
    {"(?i:'S)", "'s 'S '\xC5\xBF", "'s|'S|'\xC5\xBF"},
    {"(?i)abc|x", "ABC X", "ABC|X"},
    {"(?m:a.)", "a\n", "a\n"},
    {"a.", "a\nab", "ab"},
    {"^b", "a\nb", "b"},
    {"a$", "a\nba", "a|a"},
    {"\\Aa|a\\z", "aba", "a|a"},
    {"[^(\\s|[.,!?])]+", "a(b|c. d)", "a|b|c|d"}, /* a set within a set */
    {"[a-c[0-9]]+", "b7d", "b7"},
    {"[a-z&&[^b-y]]+", "abyz", "a|z"},
    {"[^a-z&&[b-y]]", "ab1", "a|1"},
    {"[^\\S\\n]+", "a \t\nb", " \t"},
    {"[\\W\\d]+", "a-1b", "-1"},
    {"[[^a]]+", "abca", "bc"},
    {"[[:alpha:]]+", "ab1é", "ab|é"},
    {"[[:^digit:]]+", "ab1c", "ab|c"},
    {"[[:punct:]]+", "a+-b\xC2\xA2", "+-|\xC2\xA2"},
    {"[\\]\\-a-]+", "]-ab", "]-a"},
    {"\\p{^L}+", "a12b", "12"},
    {"\\P{L}+", "a12b", "12"},
    {"\\p{Han}+", "a中文b", "中文"},
    {"\\p{Letter}+", "1ab", "ab"},
    {"\\u0041|\\x42|\\x{1F600}", "AB😀", "A|B|😀"},
    {"(?<name>a)(b)", "ab", "ab"},
    {"(?<!a)b(?=c)", "abcbc", "b"},
    {"(?<=a{62}|c{2})b", "ccb", "b"},
    {"(?>a+)b", "aab", "aab"},
    {"\\.\\$\\\\", ".$\\", ".$\\"},
    {"a*", "baac", "|aa|"}, /* empty, "aa", and not directly behind it; then at the end */
};

static void check_case(size_t i) {
    struct error e = {0};
    struct regex *r;
    struct regex_run *run;
    struct regex_scan scan;
    char joined[256] = "";
    bool found;
    assert_ok(regex_create(cases[i].pattern, strlen(cases[i].pattern), &r, &e));
    assert_ok(regex_run_create(REGEX_STEPS_ENCODING, &run, &e));
    regex_scan_init(&scan, r, run, cases[i].text, strlen(cases[i].text));
    for (size_t count = 0;; count++) {
        assert_ok(regex_scan_next(&scan, &found, &e));
        if (!found) break;
        if (count > 0) strcat(joined, "|");
        strncat(joined, cases[i].text + scan.start, scan.end - scan.start);
    }
    if (strcmp(joined, cases[i].matches) != 0)
        fail_msg("/%s/ in '%s': '%s', expected '%s'", cases[i].pattern, cases[i].text, joined,
                 cases[i].matches);
    regex_run_destroy(run);
    regex_destroy(r);
}

static void test_matches(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) check_case(i);
}

static const struct {
    const char *pattern, *fragment;
} refused[] = {
    {"a(b", "offset 3"},
    {"a)b", "offset 1"},
    {"(?", "offset 2"},
    {"[a", "offset 2"},
    {"[]", "offset 1"},
    {"[a&&]", "offset 4"},
    {"[z-a]", "offset 4"},
    {"[a-\\d]", "offset 3"},
    {"*a", "offset 0"},
    {"a**", "offset 2"},
    {"a{2}?", "offset 4"},
    {"a{2}{3}", "offset 4"},
    {"\\1", "offset 0"},
    {"\\k<a>", "offset 0"},
    {"\\G", "offset 0"},
    {"\\K", "offset 0"},
    {"\\R", "offset 0"},
    {"\\X", "offset 0"},
    {"\\", "offset 0"},
    {"\\p{L", "offset 4"},
    {"\\pL", "offset 2"},
    {"\\p{}", "offset 3"},
    {"\\p{No_such_script}", "near offset"},
    {"\\x{110000}", "offset 9"},
    {"\\xff", "offset 4"},
    {"\\ud800", "offset 6"},
    {"(?x:a)", "offset 2"},
    {"a(?i)b", "options are supported at the start"},
    {"(?~a)", "offset 2"},
    {"(?<=a+)b", "near offset"},
    {"(?<n)", "offset 4"},
    {"(?<=za{64})b", "looks 65 characters back, and 64 are the most"},
    {"(?<!z(?:a{200}){200})b", "looks 40001 characters back"},
    {"a{99999}", "near offset"},
};

static void test_refused_patterns(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct error e = {0};
        struct regex *r;
        if (regex_create(refused[i].pattern, strlen(refused[i].pattern), &r, &e) == STATUS_OK)
            fail_msg("/%s/ was accepted", refused[i].pattern);
        if (!strstr(e.text, refused[i].fragment)) fail_msg("/%s/: '%s'", refused[i].pattern, e.text);
    }
}

static void test_deep_patterns(void **state) {
    (void)state;
    struct error e = {0};
    struct regex *r;
    char pattern[4000];
    memset(pattern, '(', sizeof pattern);
    assert_int_equal(regex_create(pattern, sizeof pattern, &r, &e), STATUS_UNSUPPORTED);
    memset(pattern, '[', sizeof pattern);
    assert_int_equal(regex_create(pattern, sizeof pattern, &r, &e), STATUS_UNSUPPORTED);
    assert_int_equal(regex_create(pattern, REGEX_PATTERN_BYTES_MAX + 1, &r, &e), STATUS_LIMIT);
}

/* All matches of a text that repeats `part` up to `length` bytes. */
static enum status scan(const char *pattern, const char *part, size_t length, size_t steps) {
    struct error e = {0};
    struct regex *r;
    struct regex_run *run;
    struct regex_scan s;
    char *text = malloc(length);
    bool found = true;
    enum status status = STATUS_OK;
    assert_non_null(text);
    for (size_t i = 0; i < length; i++) text[i] = part[i % strlen(part)];
    assert_ok(regex_create(pattern, strlen(pattern), &r, &e));
    assert_ok(regex_run_create(steps, &run, &e));
    regex_scan_init(&s, r, run, text, length);
    while (status == STATUS_OK && found) status = regex_scan_next(&s, &found, &e);
    if (status != STATUS_OK) assert_false(found);
    regex_run_destroy(run);
    regex_destroy(r);
    free(text);
    return status;
}

/* Patterns that take the square of the text's length or more, each by a way of its own: within a match, from each place of
 * the text, through what must all be there, through groups, alternatives, options, what is ahead. */
static const struct {
    const char *pattern, *part;
    size_t length;
} runaways[] = {
    {"(?:a|aa)+[!?]", "a", 200},
    {"[a-z]*e[a-z]*[!?]", "e", 64000},
    {"[a-z]*e[a-z]*[!?]", "zzzzzzze", 64000},
    {"[a-z]{30000}[!?]", "a", 64000},
    {"[a-z]{2,30000}[!?]", "a", 64000},
    {"(?:[a-z]{50}){50}[!?]", "a", 64000},
    {"(?:[a-z]{3})*[!?]", "a", 64000},
    {"\\w{7}+[^e]++[a-z]+?[!?]", "a", 64000},
    {"a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?[!?]", "a", 64},
    {"(?:(?:a|aa){10}){4}[!?]", "a", 200},
    {"(?:a|aa)(?:a|aa)(?:a|aa)(?:a|aa)(?:a|aa)(?:a|aa)(?:a|aa)(?:a|aa)(?:a|aa)(?:a|aa)(?:a|aa)(?:a|aa)[!?]",
     "a", 64000},
    {"(?i:[a-z]*)(?i:e[a-z]*)[!?]", "e", 64000},
    {"(?=[a-z]*)\\w?\\w?\\w?[!?]", "a", 64000},
    {"(?![a-z]*[!?])\\w?\\w?\\w?[!?]", "a", 64000},
    {"[a-z&&[^y]]*[!?]", "a", 64000},
};

static void test_runaway_patterns(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof runaways / sizeof runaways[0]; i++)
        if (scan(runaways[i].pattern, runaways[i].part, runaways[i].length, REGEX_STEPS_DECODING) !=
            STATUS_LIMIT)
            fail_msg("/%s/ was not limited", runaways[i].pattern);
}

/* The same of many alternatives, each of which fails before any callout of its own. */
static void test_runaway_alternatives(void **state) {
    (void)state;
    static const char *const alternatives[] = {"a?a?a?a{57}zx*", "(?:a?a?a?a{57}zx*)", "ab"};
    for (size_t i = 0; i < sizeof alternatives / sizeof alternatives[0]; i++) {
        char pattern[40000] = "";
        size_t used = 0;
        for (size_t j = 0; used + 50 < sizeof pattern && j < (i == 2 ? 6000 : 600); j++)
            used += (size_t)snprintf(pattern + used, sizeof pattern - used, "%s%s%c", j ? "|" : "",
                                     alternatives[i], (char)('b' + j % 25));
        if (scan(pattern, "a", 64000, REGEX_STEPS_DECODING) != STATUS_LIMIT)
            fail_msg("many times /%s/ was not limited", alternatives[i]);
    }
}

/* And those of sets that take as long for a character as a thousand others, whether they are repeated or not. */
static void test_large_sets(void **state) {
    (void)state;
    static const char *const sets[] = {"%s{60}[!?]", "%s%s%s%s[!?]", "(?:%s?)%s[!?]", "%s+"};
    static char set[60000], pattern[60000];
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        /* Each second character from U+4E00 on, of which the one that is tried is the last. */
        size_t characters = i == 1 ? 2500 : i == 2 ? 5000 : 10000, used = 1;
        set[0] = '[';
        for (size_t j = 0; j < characters; j++) {
            unsigned point = 0x4e00 + 2 * (unsigned)j;
            used += (size_t)snprintf(set + used, sizeof set - used, "%c%c%c", 0xe0 | point >> 12,
                                     0x80 | (point >> 6 & 0x3f), 0x80 | (point & 0x3f));
        }
        snprintf(set + used, sizeof set - used, "]");
        unsigned last = 0x4e00 + 2 * (unsigned)(characters - 1) + (i == 3); /* or none of the set */
        const char part[] = {(char)(0xe0 | last >> 12), (char)(0x80 | (last >> 6 & 0x3f)),
                             (char)(0x80 | (last & 0x3f)), '\0'};
        snprintf(pattern, sizeof pattern, sets[i], set, set, set, set);
        if (scan(pattern, part, 90000, REGEX_STEPS_DECODING) != STATUS_LIMIT)
            fail_msg("/%s/ was not limited", sets[i]);
    }
}

static const char *const in_use[] = {
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+"
    "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    "\\w+|[^\\w\\s]+",
    "\\b\\w+\\b|[^\\w\\s]|\\s+",
};

/* Those of models take no more steps than a text gives by its length, whatever stands in it. */
static void test_patterns_in_use_are_not_limited(void **state) {
    (void)state;
    static const char *const parts[] = {" ",   "A",    "a",  "1",       "!",          "\n",
                                        " \n", "! \n", " 1", "a b1!\n", "A\xC3\xA9 ", "\xE4\xB8\xAD"};
    for (size_t i = 0; i < sizeof in_use / sizeof in_use[0]; i++)
        for (size_t j = 0; j < sizeof parts / sizeof parts[0]; j++)
            if (scan(in_use[i], parts[j], strlen(parts[j]) * 20000, 0) != STATUS_OK)
                fail_msg("/%s/ over '%s' was limited", in_use[i], parts[j]);
    /* As many turns back from one place. */
    assert_int_equal(scan(in_use[1], " ", 12 << 20, 0), STATUS_OK);
    assert_int_equal(scan(in_use[2], "A", 12 << 20, 0), STATUS_OK);
    /* This one looks from every third digit to the end of the number. */
    assert_int_equal(scan("\\p{N}{1,3}(?=(?:\\p{N}{3})*\\b)|\\s", "1", 6000, REGEX_STEPS_ENCODING),
                     STATUS_OK);
}

static void test_literals(void **state) {
    (void)state;
    static const size_t places[] = {2, 4090, 4095, 8190, 20000};
    struct error e = {0};
    struct regex *r;
    struct regex_scan scan;
    char text[20003];
    bool found;
    assert_ok(regex_create_literal("a.(", 3, &r, &e));
    assert_true(regex_is_literal(r));
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        memset(text, 'a', sizeof text);
        memcpy(text + places[i], "a.(", 3);
        regex_scan_init(&scan, r, NULL, text, sizeof text);
        assert_ok(regex_scan_next(&scan, &found, &e));
        assert_true(found && scan.start == places[i] && scan.end == places[i] + 3);
        assert_ok(regex_scan_next(&scan, &found, &e));
        assert_false(found);
    }
    regex_destroy(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_refused_patterns),
        cmocka_unit_test(test_deep_patterns),
        cmocka_unit_test(test_runaway_patterns),
        cmocka_unit_test(test_runaway_alternatives),
        cmocka_unit_test(test_large_sets),
        cmocka_unit_test(test_patterns_in_use_are_not_limited),
        cmocka_unit_test(test_literals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
