/* Compiling and rendering: what is refused and where, limits, what a client wrote, several threads. What templates
 * render to is compared with the transformers library in tests/golden/test_chat_templates.c. */
#include "tests/support/test_support.h"

#include <pthread.h>

#include "engine/text/template/template.h"

static struct template *compile(const char *text) {
    struct template *t;
    struct error e;
    assert_ok(template_create(text, strlen(text), &t, &e));
    return t;
}

/* json: the client's variables. */
static enum status render_within(size_t steps_max, const char *source, const char *json,
                                 struct template_text *out, struct error *e) {
    struct template *t = compile(source);
    json_t *client = json_loads(json, JSON_ALLOW_NUL, NULL), *model = json_pack("{s:s}", "bos_token", "<s>");
    assert_non_null(client);
    const struct template_input input = {.client = client, .model = model, .steps_max = steps_max};
    enum status status = template_render(t, &input, out, e);
    if (status != STATUS_OK) assert_null(out->text);
    json_decref(client);
    json_decref(model);
    template_destroy(t);
    return status;
}

static enum status render(const char *source, const char *json, struct template_text *out, struct error *e) {
    return render_within(0, source, json, out, e);
}

/* ---- compiling ----------------------------------------------------------------------------------------- */

static void refuse_source(const char *text, size_t length, enum status status, const char *where,
                          const char *words) {
    struct template *t;
    struct error e;
    assert_int_equal(template_create(text, length, &t, &e), status);
    assert_null(t);
    assert_string_equal(e.where, where);
    assert_says(e.text, words);
}

static void what_cannot_be_compiled_is_named_with_its_line(void **state) {
    (void)state;
    static const struct {
        const char *source;
        enum status status;
        const char *where, *words;
    } cases[] = {
        {"a\n{% include 'b' %}", STATUS_UNSUPPORTED, "chat template, line 2", "include"},
        {"\n\n{{ x|xmlattr }}", STATUS_UNSUPPORTED, "chat template, line 3", "xmlattr"},
        {"{{ lipsum() }}", STATUS_UNSUPPORTED, "chat template, line 1", "lipsum"},
        {"{% block a %}{% endblock %}", STATUS_UNSUPPORTED, "chat template, line 1", "block"},
        {"{{ 99999999999999999999 }}", STATUS_UNSUPPORTED, "chat template, line 1", "64 bits"},
        {"{{ '\\N{BULLET}' }}", STATUS_UNSUPPORTED, "chat template, line 1", "escape"},
        {"{{ x|foo }}", STATUS_MALFORMED, "chat template, line 1", "No filter named|foo"},
        {"{{ x is foo }}", STATUS_MALFORMED, "chat template, line 1", "No test named|foo"},
        {"{% do x %}", STATUS_MALFORMED, "chat template, line 1", "unknown tag|do"},
        {"{% if x %}\n{% for i in x %}\n{% endif %}", STATUS_MALFORMED, "chat template, line 3", "endif"},
        {"{% if x %}\n", STATUS_MALFORMED, "chat template, line 1", "endif"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuse_source(cases[i].source, strlen(cases[i].source), cases[i].status, cases[i].where,
                      cases[i].words);
    refuse_source("a\xff", 2, STATUS_MALFORMED, "chat template", "UTF-8");
    refuse_source("a\0b", 3, STATUS_MALFORMED, "chat template", "NUL");
}

/* A text of count times part, with head and tail. */
static char *repeated(const char *head, const char *part, size_t count, const char *tail) {
    size_t length = strlen(part);
    char *text = malloc(strlen(head) + count * length + strlen(tail) + 1);
    assert_non_null(text);
    char *at = stpcpy(text, head);
    for (size_t i = 0; i < count; i++) at = stpcpy(at, part);
    stpcpy(at, tail);
    return text;
}

static void refuse_repeated(const char *head, const char *part, size_t count, const char *tail,
                            const char *words) {
    char *text = repeated(head, part, count, tail);
    struct template *t;
    struct error e;
    assert_int_equal(template_create(text, strlen(text), &t, &e), STATUS_LIMIT);
    assert_says(e.text, words);
    free(text);
}

static void sources_have_limits(void **state) {
    (void)state;
    refuse_repeated("{{ ", "[", 100000, "", "brackets");
    refuse_repeated("{{ ", "not ", 100000, "x }}", "nested deeper");
    refuse_repeated("{{ ", "- ", 100000, "x }}", "nested deeper");
    refuse_repeated("{{ ", "x if x else ", 50000, "x }}", "nested deeper");
    refuse_repeated("", "{% if x %}", 50000, "", "nested deeper");
    refuse_repeated("", "{{x}}", 200000, "", "nodes");
    refuse_repeated("", "x", TEMPLATE_SOURCE_BYTES_MAX + 1, "", "bytes");
    char *names = malloc(1 << 20), *at = names;
    for (int i = 0; i < 5000; i++) at += sprintf(at, "{{ n%d }}", i);
    refuse_source(names, strlen(names), STATUS_LIMIT, "chat template, line 1", "different names");
    free(names);
}

/* ---- limits of a rendering ----------------------------------------------------------------------------- */

/* Those that end by their steps, within a twentieth of what they have otherwise: some take a second. */
static void hostile_templates_end_within_their_limits(void **state) {
    (void)state;
    enum { STEPS = TEMPLATE_STEPS_MAX / 20 };
    static const struct {
        const char *source, *words;
    } cases[] = {
        {"{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "memory"},
        {"{% set r = range(99999) %}{% for i in r %}{% for j in r %}{% endfor %}{% endfor %}", "steps"},
        {"{{ ('a' * 1000000).rfind('a' * 500000 ~ 'b') }}", "steps"},
        {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "deeper"},
        {"{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}", "deeper"},
        {"{{ 'x' * 10**9 }}", "steps|limit|memory"},
        {"{{ [0] * 10**9 }}", "steps|limit|memory"},
        {"{{ 'x' * 10**18 }}", "steps|limit|memory"},
        {"{% set ns = namespace(x='xxxxxxxx') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% "
         "endfor %}",
         "memory"},
        {"{% set ns = namespace(x=[]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x "
         "}}",
         "deeper"},
        {"{% set ns = namespace(x=[]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}{% endfor %}"
         "{{ ns.x|tojson }}",
         "deeper"},
        {"{% set ns = namespace(x=[], y=[]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}"
         "{% set ns.y = [ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
         "deeper"},
        {"{% for i in range(99999) %}{{ "
         "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' * 30 "
         "}}{% endfor %}",
         "MiB|memory"},
        {"{{ '%1000000000d' % 1 }}", "width"},
        {"{{ '{:1000000000}'.format(1) }}", "width"},
        {"{{ 'a'.ljust(10**12) }}", "steps|memory"},
        {"{{ 'a'|indent(10**12) }}", "steps|memory"},
        {"{{ [1]|batch(10**12, 0)|list }}", "steps|memory"},
        {"{{ []|slice(10**12)|list }}", "steps|memory"},
        {"{{ ('a' * 1000000).replace('a', 'a' * 1000) }}", "memory"},
        {"{{ ('é' * 100000)|list|join('é' * 1000) }}", "memory"},
        {"{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}", "deeper"},
        {"{% set a = 'a' * 4000000 %}{{ a.strip('b' * 4000000 ~ 'a') }}", "steps"},
        {"{% set a = 'a' * 4000000 %}{{ (a ~ 'c').startswith((a ~ 'b',) * 100000) }}", "steps"},
        {"{% set a = 'a' * 4000000 %}{% set b = 'a' * 4000000 %}{% set r = range(90000) %}"
         "{% for i in r %}{{ a.removesuffix(b) }}{% endfor %}",
         "steps"},
        {"{% set a = 'a' * 4000000 %}{% set b = 'a' * 4000000 %}{% set r = range(90000) %}"
         "{% for i in r %}{{ a.removeprefix(b) }}{% endfor %}",
         "steps"},
        {"{% set a = 'a' * 2000000 %}{% set d = {a ~ 'b': 1, a ~ 'c': 2} %}{% set k = a ~ 'd' %}"
         "{% set r = range(90000) %}{% for i in r %}{{ d[k] }}{% endfor %}",
         "steps"},
        {"{% set a = 'a' * 1000000 %}{% for i in range(90) %}{{ a|wordcount }}{% endfor %}", "steps"},
        {"{% set a = 'a' * 1000000 %}{% for i in range(400) %}{{ a.isalpha() }}{% endfor %}", "steps"},
        {"{% set a = 'a' * 1000000 %}{% for i in range(400) %}{{ a.islower() }}{% endfor %}", "steps"},
        {"{% set a = 'é' * 1000000 %}{% set r = range(90000) %}"
         "{% for i in r %}{% if a|truncate(900000) %}{% endif %}{% endfor %}",
         "steps|memory"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct template_text text;
        struct error e;
        const size_t steps = strstr(cases[i].words, "steps") ? STEPS : 0;
        if (render_within(steps, cases[i].source, "{}", &text, &e) != STATUS_LIMIT)
            fail_msg("%s: %s", cases[i].source, e.text);
        bool said = false;
        char *words = strdup(cases[i].words), *rest = words;
        for (char *word; (word = strsep(&rest, "|"));) said |= strstr(e.text, word) != NULL;
        if (!said) fail_msg("%s: '%s' says none of %s", cases[i].source, e.text, cases[i].words);
        free(words);
    }
}

/* Texts with a number in each, one behind the other, and an end. Returns how many bytes. */
static size_t write_numbered(char *out, const char *format, int from, int to, const char *end) {
    char *at = out;
    for (int i = from; i != to; i += from < to ? 1 : -1) at += sprintf(at, format, i);
    return (size_t)(at - out) + (size_t)sprintf(at, "%s", end);
}

static void assert_takes_more_steps(const char *source, const char *json, size_t steps) {
    struct template_text text;
    struct error e;
    assert_int_equal(render_within(steps, source, json, &text, &e), STATUS_LIMIT);
    assert_non_null(strstr(e.text, "steps"));
}

/* What is looked at character by character counts as more than what is only copied. */
static void looking_at_characters_takes_steps(void **state) {
    (void)state;
    enum { CHARACTERS = 1000000 };
    assert_takes_more_steps("{% set s = ' ' * 1000000 %}{{ s.strip() }}", "{}", CHARACTERS / 20);
    assert_takes_more_steps("{% set s = 'é' * 1000 %}{{ s.strip('è' * 1000 ~ 'é') }}", "{}", CHARACTERS / 10);
}

/* Names of a scope and arguments by name are looked for one after the other. */
static void looking_for_names_takes_steps(void **state) {
    (void)state;
    enum { NAMES = 4000, LOOKED_AT = NAMES * NAMES / 2 / 8, SOURCE = 1 << 18 };
    char *source = malloc(SOURCE), *json = malloc(SOURCE);
    write_numbered(source, "{%% set n%d = 1 %%}", 0, NAMES, "");
    assert_takes_more_steps(source, "{}", LOOKED_AT / 2);

    size_t length = write_numbered(source, "{%% set n%d = 1 %%}", 0, NAMES, "");
    sprintf(source + length, "{%% for i in range(%d) %%}{{ n%d }}{%% endfor %%}", NAMES, NAMES - 1);
    assert_takes_more_steps(source, "{}", 2 * LOOKED_AT);

    length = (size_t)sprintf(source, "{%% macro m(z");
    length += write_numbered(source + length, ", p%d=1", 0, NAMES - 10, ") %}{% endmacro %}{{ m(1");
    write_numbered(source + length, ", p%d=2", NAMES - 11, -1, ") }}");
    assert_takes_more_steps(source, "{}", LOOKED_AT + LOOKED_AT / 2);

    length = (size_t)sprintf(json, "{\"d\": {\"a\": 0");
    write_numbered(json + length, ", \"k%d\": 1", 0, NAMES, "}}");
    sprintf(source, "{%% set t = '{k%d}' * %d %%}{{ t.format(**d) }}", NAMES - 1, NAMES);
    assert_takes_more_steps(source, json, LOOKED_AT);
    free(source);
    free(json);
}

static void so_many_steps_are_allowed(void **state) {
    (void)state;
    struct template_text text;
    struct error e;
    assert_int_equal(
        render("{% set r = range(99999) %}{% for i in r %}{% for j in r %}{% endfor %}{% endfor %}", "{}",
               &text, &e),
        STATUS_LIMIT);
    assert_says(e.text, "more than 20971520 steps");
}

static void fewer_steps_may_be_allowed(void **state) {
    (void)state;
    struct template *t = compile("{% for i in range(100) %}{{ i }}{% endfor %}");
    struct template_input input = {.steps_max = 100};
    struct template_text text;
    struct error e;
    assert_int_equal(template_render(t, &input, &text, &e), STATUS_LIMIT);
    assert_says(e.text, "more than 100 steps");
    input.steps_max = SIZE_MAX;
    assert_ok(template_render(t, &input, &text, &e));
    template_text_deinit(&text);
    template_destroy(t);
}

static void long_chains_are_evaluated_or_refused(void **state) {
    (void)state;
    struct template_text text;
    struct error e;
    char *source = repeated("{{ 1", " + 1", 500, " }}");
    assert_ok(render(source, "{}", &text, &e));
    assert_string_equal(text.text, "501");
    template_text_deinit(&text);
    free(source);
    source = repeated("{{ 1", " + 1", 50000, " }}");
    assert_int_equal(render(source, "{}", &text, &e), STATUS_LIMIT);
    free(source);
    source = repeated("{{ x", "|string", 50000, " }}");
    assert_int_equal(render(source, "{}", &text, &e), STATUS_LIMIT);
    free(source);
}

static void whole_numbers_have_64_bits(void **state) {
    (void)state;
    static const char *const sources[] = {"{{ 2 ** 63 }}",
                                          "{{ 9223372036854775807 + 1 }}",
                                          "{{ -9223372036854775807 - 2 }}",
                                          "{{ 3037000500 * 3037000500 }}",
                                          "{{ '9223372036854775808'|int }}",
                                          "{{ 1e30|int }}",
                                          "{{ (-9223372036854775807 - 1) // -1 }}",
                                          "{{ range(0, 9223372036854775807, 9223372036854775806)[:] }}"};
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct template_text text;
        struct error e;
        assert_int_equal(render(sources[i], "{}", &text, &e), STATUS_UNSUPPORTED);
        assert_says(e.text, "64 bits");
    }
}

/* n and m: the ends of what a whole number may be. */
static void the_ends_of_whole_numbers_are_arguments_like_others(void **state) {
    (void)state;
    static const struct {
        const char *source, *expected;
    } cases[] = {
        {"{{ 'x'.zfill(n) }}{{ '-x'.zfill(n) }}{{ 'x'.ljust(n) }}{{ 'x'|center(n) }}", "x-xxx"},
        {"{{ 'abc'|truncate(m) }}{{ 'abc'|truncate(m, true, '', m) }}{{ 'abc'|truncate(0, true, '', m) }}",
         "abcabcabc"},
        {"{{ 'abcdef'|truncate(4, true, '-', 1) }}{{ 'abcdef'|truncate(4, true, '-', 2) }}", "abc-abcdef"},
        {"{{ [1]|truncate(3) }}{{ 1.5|round(m) }}{{ 1.5|round(n) }}", "[1]1.50.0"},
        {"{{ 'abc'[n:m:m] }}{{ 'abc'[m:n:n] }}{{ range(5)[n:m:m] }}", "acrange(0, 5, 6)"},
        {"{{ 'abc'[n] }}{{ 'abc'[m] }}{{ [1][n] }}{{ 'abc'.find('b', n, m) }}", "1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct template_text text;
        struct error e;
        if (render(cases[i].source, "{\"n\":-9223372036854775808,\"m\":9223372036854775807}", &text, &e) !=
            STATUS_OK)
            fail_msg("%s: %s", cases[i].source, e.text);
        assert_string_equal(text.text, cases[i].expected);
        template_text_deinit(&text);
    }
    struct template_text text;
    struct error e;
    assert_int_equal(render("{{ '%*5d' % (n, 1) }}", "{\"n\":-9223372036854775808}", &text, &e),
                     STATUS_LIMIT);
    assert_int_equal(render("{{ '%*5d' % (3, 1) }}", "{}", &text, &e), STATUS_INVALID_ARGUMENT);
    assert_says(e.text, "unsupported format character '5'");
}

static void errors_tell_the_templates_own_words_apart(void **state) {
    (void)state;
    struct template_text text;
    struct error e;
    assert_int_equal(render("\n{{ raise_exception('No ' ~ x) }}", "{\"x\":\"way\"}", &text, &e),
                     STATUS_INVALID_ARGUMENT);
    assert_string_equal(e.where, "raise_exception");
    assert_string_equal(e.text, "No way");
    assert_int_equal(render("\n{{ a.b.c }}", "{\"a\":{}}", &text, &e), STATUS_INVALID_ARGUMENT);
    assert_string_equal(e.where, "chat template, line 2");
    assert_says(e.text, "'b'");
}

/* ---- what a client wrote -------------------------------------------------------------------------------- */

static void assert_marked(const char *source, const char *json, const char *expected) {
    struct template_text text;
    struct error e;
    char marked[1024];
    size_t length = 0, range = 0;
    if (render(source, json, &text, &e) != STATUS_OK) fail_msg("%s: %s", source, e.text);
    for (size_t i = 0; i <= text.length; i++) {
        if (range < text.client_count && text.client[range].end == i) {
            marked[length++] = ']';
            range++;
        }
        if (range < text.client_count && text.client[range].start == i) marked[length++] = '[';
        if (i < text.length) marked[length++] = text.text[i];
        assert_true(length < sizeof marked - 4);
    }
    marked[length] = '\0';
    if (strcmp(marked, expected) != 0) fail_msg("%s: '%s' is not '%s'", source, marked, expected);
    template_text_deinit(&text);
}

static void what_a_client_wrote_is_known_wherever_it_goes(void **state) {
    (void)state;
    static const struct {
        const char *source, *expected;
    } cases[] = {
        {"a{{ x }}b", "a[Hi <b>]b"},
        {"{{ x }}{{ x }}", "[Hi <b>Hi <b>]"},
        {"{{ '<' + x + '>' }}", "<[Hi <b>]>"},
        {"{{ ('<' + x + '>')[1:4] }}", "[Hi ]"},
        {"{{ ('<' + x + '>')[::-1] }}", ">[>b< iH]<"},
        {"{{ ('<' ~ x ~ '>')|upper }}", "<[HI <B>]>"},
        {"{{ ('a' ~ x ~ 'a').replace('a', 'bc') }}", "bc[Hi <b>]bc"},
        {"{{ 'abc'.replace('b', x) }}", "a[Hi <b>]c"},
        {"{{ x.split(' ')|join('|') }}", "[Hi]|[<b>]"},
        {"{{ x.join(['a', 'b']) }}", "a[Hi <b>]b"},
        {"{{ {'k': x}|tojson }}", "{\"k\": \"[Hi <b>]\"}"},
        {"{{ d|tojson }}", "{\"[k\\n]\": [\"[v\\\"]\", 1]}"},
        {"{{ [x] }}", "['[Hi <b>]']"},
        {"{{ x|e }}", "[Hi &lt;b&gt;]"},
        {"{{ '%s-%5s' % (x, 'a') }}", "[Hi <b>]-    a"},
        {"{{ '{}-{:>8}'.format('a', x) }}", "a-  [Hi <b>]"},
        {"{{ x.center(10, '*') }}", "**[Hi <b>]**"},
        {"{{ strftime_now(x) }}{{ strftime_now('a') }}", "[Hi <b>]a"},
        {"{{ '%c' % 60 }}{{ ('{:' ~ '*' ~ '>3}').format(1) }}{{ ('%5d' ~ x) % 1 }}", "[<]**1[    ]1[Hi <b>]"},
        {"{{ ('a\\n' ~ x)|indent }}", "a\n    [Hi <b>]"},
        {"{{ x|title }}{{ x|capitalize }}", "[Hi <B>Hi <b>]"},
        {"{{ x|list|first }}{{ x|reverse }}{{ x|last }}", "[H>b< iH>]"},
        {"{% set y %}<{{ x }}>{% endset %}{{ y|trim('<>') }}", "[Hi <b]"},
        {"{% macro m(a) %}({{ a }}){% endmacro %}{{ m(x)|upper }}", "([HI <B>])"},
        {"{% filter upper %}a{{ x }}{% endfilter %}", "A[HI <B>]"},
        {"{% for c in x %}{{ c }}.{% endfor %}", "[H].[i].[ ].[<].[b].[>]."},
        {"{% for k, v in d.items() %}{{ k }}={{ v[0] }}{% endfor %}", "[k\n]=[v\"]"},
        {"{% set ns = namespace(t='') %}{% for i in [x, '|', x] %}{% set ns.t = ns.t + i %}{% endfor %}{{ "
         "ns.t }}",
         "[Hi <b>]|[Hi <b>]"},
        {"{{ x|urlencode }}", "[Hi%20%3Cb%3E]"},
        {"{{ x|truncate(5, true, '…', 0) }}", "[Hi <]…"},
        {"{{ x * 2 }}{{ x|length }}{{ x == 'Hi' }}", "[Hi <b>Hi <b>]6False"},
        {"{{ bos_token }}{{ x if x else bos_token }}", "<s>[Hi <b>]"},
        {"{{ m.role }} {{ m.content }} {{ m.other }}", "user [user] [user]"},
        {"{{ n.role }}", "[users]"},
        {"{{ missing|default(x) }}{{ none|default(x) }}", "[Hi <b>]None"},
        {"{{ (x ~ '')|safe + '<' }}", "[Hi <b>]&lt;"},
        {"{{ x.splitlines()|map('upper')|join }}", "[HI <B>]"},
        {"{{ x|groupby(0)|length }}{{ [x, 'a']|sort|join }}{{ [x, 'a']|max }}", "6a[Hi <b>Hi <b>]"},
    };
    static const char json[] = "{\"x\":\"Hi <b>\",\"d\":{\"k\\n\":[\"v\\\"\",1]},"
                               "\"m\":{\"role\":\"user\",\"content\":\"user\",\"other\":\"user\"},"
                               "\"n\":{\"role\":\"users\"}}";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_marked(cases[i].source, json, cases[i].expected);
}

static void a_client_may_hide_a_variable_of_the_model(void **state) {
    (void)state;
    assert_marked("{{ bos_token }}", "{\"bos_token\":\"</s>\"}", "[</s>]");
}

/* ---- time, threads -------------------------------------------------------------------------------------- */

static void the_time_is_that_of_the_input(void **state) {
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    struct template *t = compile("{{ strftime_now('%d %b %Y') }}");
    const struct template_input input = {.now = 86400};
    struct template_text text;
    struct error e;
    assert_ok(template_render(t, &input, &text, &e));
    assert_string_equal(text.text, "02 Jan 1970");
    template_text_deinit(&text);
    template_destroy(t);
}

struct job {
    const struct template *template;
    long number;
    bool right;
};

static void *run_job(void *context) {
    struct job *job = context;
    job->right = true;
    for (int i = 0; i < 200; i++) {
        json_t *client = json_pack("{s:i}", "n", (int)job->number);
        const struct template_input input = {.client = client};
        struct template_text text;
        struct error e;
        char expected[64];
        snprintf(expected, sizeof expected, "%ld: a%ldéa%ldé", job->number, job->number, job->number);
        job->right &= template_render(job->template, &input, &text, &e) == STATUS_OK &&
                      strcmp(text.text, expected) == 0;
        template_text_deinit(&text);
        json_decref(client);
    }
    return NULL;
}

static void one_template_is_rendered_by_several_threads(void **state) {
    (void)state;
    struct template *t = compile("{% macro m(x) %}a{{ x }}é{% endmacro %}{{ n }}: {{ (m(n) ~ m(n))[0:] }}");
    struct job jobs[4];
    pthread_t threads[4];
    for (long i = 0; i < 4; i++) {
        jobs[i] = (struct job){.template = t, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, run_job, &jobs[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_true(jobs[i].right);
    }
    template_destroy(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_compiled_is_named_with_its_line),
        cmocka_unit_test(sources_have_limits),
        cmocka_unit_test(hostile_templates_end_within_their_limits),
        cmocka_unit_test(looking_for_names_takes_steps),
        cmocka_unit_test(looking_at_characters_takes_steps),
        cmocka_unit_test(so_many_steps_are_allowed),
        cmocka_unit_test(fewer_steps_may_be_allowed),
        cmocka_unit_test(long_chains_are_evaluated_or_refused),
        cmocka_unit_test(whole_numbers_have_64_bits),
        cmocka_unit_test(the_ends_of_whole_numbers_are_arguments_like_others),
        cmocka_unit_test(errors_tell_the_templates_own_words_apart),
        cmocka_unit_test(what_a_client_wrote_is_known_wherever_it_goes),
        cmocka_unit_test(a_client_may_hide_a_variable_of_the_model),
        cmocka_unit_test(the_time_is_that_of_the_input),
        cmocka_unit_test(one_template_is_rendered_by_several_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
