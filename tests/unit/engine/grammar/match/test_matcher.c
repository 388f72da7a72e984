/* Random rules against a naive reading of them. A text that the naive reading takes must be taken, byte by byte, and
 * from where the matcher says that a text may go on, it must get to an end that the naive reading takes too. */
#include "tests/support/test_support.h"

#include "engine/grammar/match/matcher.h"

enum { DEPTH_MAX = 3, PARTS_MAX = 3, NODES_MAX = 200, TEXT_MAX = 6, WITNESS_MAX = 1000, ROUNDS = 2000 };

/* Texts are over this alphabet. */
static const char alphabet[] = "ab";

enum kind { TEXT, SET, SEQUENCE, CHOICE, REPEAT, BOTH, WITHOUT, RECURSE, KINDS };

/* An expression in the form that the naive reading takes. */
struct node {
    enum kind kind;
    char text[4];
    size_t count, least, most;
    const struct node *parts[PARTS_MAX];
};

static struct node nodes[NODES_MAX];
static size_t node_count;
static uint64_t seed;

static uint64_t number_below(uint64_t end) {
    uint64_t x = seed += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return (x ^ (x >> 31)) % end;
}

static const struct node *make_node(int depth, bool regular) {
    struct node *n = &nodes[node_count++];
    assert_true(node_count < NODES_MAX);
    *n = (struct node){.kind = depth == 0 ? (enum kind)number_below(2) : (enum kind)number_below(KINDS)};
    if (n->kind == RECURSE && regular) n->kind = CHOICE;
    n->count = n->kind == SEQUENCE || n->kind == CHOICE ? 1 + number_below(PARTS_MAX)
               : n->kind == REPEAT                      ? 1
                                                        : 2;
    n->least = number_below(3);
    n->most = number_below(4) == 0 ? SIZE_MAX : n->least + number_below(3);
    for (size_t i = number_below(3); i-- > 0;) n->text[i] = alphabet[number_below(sizeof alphabet - 1)];
    bool inside = regular || n->kind == BOTH || n->kind == WITHOUT;
    if (n->kind == RECURSE || n->kind == TEXT || n->kind == SET) n->count = 0;
    for (size_t i = 0; i < n->count; i++) n->parts[i] = make_node(depth - 1, inside);
    return n;
}

/* ---- the naive reading: where a match that begins at `at` may end, as bits ------------------------------------------ */

static const struct node *naive_root;

static uint64_t ends_of(const struct node *n, const char *text, size_t length, size_t at);

static uint64_t ends_from(const struct node *n, const char *text, size_t length, uint64_t starts) {
    uint64_t ends = 0;
    for (size_t at = 0; at <= length; at++)
        if ((starts >> at) & 1) ends |= ends_of(n, text, length, at);
    return ends;
}

static uint64_t repeat_ends(const struct node *n, const char *text, size_t length, size_t at) {
    uint64_t now = (uint64_t)1 << at, all = n->least == 0 ? now : 0;
    /* More than length + least times adds nothing. */
    for (size_t i = 1; i <= n->most && i <= length + n->least + 1; i++) {
        now = ends_from(n->parts[0], text, length, now);
        if (i >= n->least) all |= now;
    }
    return all;
}

static uint64_t ends_of(const struct node *n, const char *text, size_t length, size_t at) {
    uint64_t ends = 0, now = (uint64_t)1 << at;
    size_t size = strlen(n->text);
    switch (n->kind) {
    case TEXT:
        return length - at >= size && memcmp(text + at, n->text, size) == 0 ? now << size : 0;
    case SET:
        return at < length && strchr(n->text, text[at]) ? now << 1 : 0;
    case SEQUENCE:
        for (size_t i = 0; i < n->count; i++) now = ends_from(n->parts[i], text, length, now);
        return now;
    case CHOICE:
        for (size_t i = 0; i < n->count; i++) ends |= ends_of(n->parts[i], text, length, at);
        return ends;
    case REPEAT:
        return repeat_ends(n, text, length, at);
    case BOTH:
        return ends_of(n->parts[0], text, length, at) & ends_of(n->parts[1], text, length, at);
    case WITHOUT:
        return ends_of(n->parts[0], text, length, at) & ~ends_of(n->parts[1], text, length, at);
    default: /* "(" root ")" */
        if (at == length || text[at] != '(') return 0;
        ends = ends_of(naive_root, text, length, at + 1);
        for (size_t end = 0; end < length; end++)
            if (((ends >> end) & 1) && text[end] == ')') now |= (uint64_t)1 << (end + 1);
        return now & ~((uint64_t)1 << at);
    }
}

static bool naive_takes(const char *text, size_t length) {
    return (ends_of(naive_root, text, length, 0) >> length) & 1;
}

/* ---- the same as rules ------------------------------------------------------------------------------------------------ */

static rules_expression write_set(struct rules *r, const char *bytes) {
    struct rules_range ranges[4];
    size_t count = strlen(bytes);
    for (size_t i = 0; i < count; i++) ranges[i] = (struct rules_range){(uint8_t)bytes[i], (uint8_t)bytes[i]};
    return rules_points(r, ranges, count);
}

static rules_expression write_node(struct rules *r, const struct node *n, rules_name root) {
    rules_expression parts[PARTS_MAX];
    for (size_t i = 0; i < n->count; i++) parts[i] = write_node(r, n->parts[i], root);
    switch (n->kind) {
    case TEXT:
        return rules_text(r, n->text, strlen(n->text));
    case SET:
        return write_set(r, n->text);
    case SEQUENCE:
        return rules_sequence(r, parts, n->count);
    case CHOICE:
        return rules_choice(r, parts, n->count);
    case REPEAT:
        return rules_repeat(r, parts[0], (uint32_t)n->least,
                            n->most == SIZE_MAX ? RULES_UNLIMITED : (uint32_t)n->most);
    case BOTH:
        return rules_intersection(r, parts[0], parts[1]);
    case WITHOUT:
        return rules_difference(r, parts[0], parts[1]);
    default:
        parts[0] = rules_text(r, "(", 1);
        parts[1] = rules_call(r, root);
        parts[2] = rules_text(r, ")", 1);
        return rules_sequence(r, parts, 3);
    }
}

static enum status make(const struct node *n, struct matcher **m, struct error *out) {
    struct rules *r;
    struct error e;
    assert_ok(rules_create((size_t)64 << 20, NULL, &r, &e));
    rules_name root = rules_declare(r, "root");
    rules_define(r, root, write_node(r, n, root));
    enum status status = rules_finish(r, rules_call(r, root), out);
    if (status == STATUS_OK) return matcher_create(r, m, out);
    rules_destroy(r);
    return status;
}

/* ---- the comparison ---------------------------------------------------------------------------------------------------- */

static configuration step(struct matcher *m, configuration at, char byte) {
    if (at == CONFIGURATION_DEAD) return at;
    configuration to = matcher_step(m, at, m->rules->class_of[(unsigned char)byte]);
    if (to == CONFIGURATION_FAILED) fail_msg("%s", m->rules->error.text);
    return to;
}

static configuration read_text(struct matcher *m, const char *text, size_t length) {
    configuration at = 0;
    for (size_t i = 0; i < length; i++) at = step(m, at, text[i]);
    return at;
}

/* Goes on from a configuration in some way that comes to an end, found by breadth. Returns the text's length; SIZE_MAX
 * where the queue is full before. */
static size_t complete(struct matcher *m, configuration from, char *text, size_t length) {
    enum { QUEUE_MAX = 200 };
    static struct place {
        configuration at;
        size_t before;
        char byte;
    } queue[QUEUE_MAX];
    size_t count = 1;
    queue[0] = (struct place){from, SIZE_MAX, 0};
    for (size_t i = 0; i < count; i++) {
        if (m->configurations[queue[i].at].may_end) {
            char back[WITNESS_MAX];
            size_t size = 0;
            for (size_t k = i; queue[k].before != SIZE_MAX; k = queue[k].before) back[size++] = queue[k].byte;
            while (size > 0) text[length++] = back[--size];
            return length;
        }
        for (const char *byte = "ab()"; *byte && count < QUEUE_MAX; byte++) {
            configuration to = step(m, queue[i].at, *byte);
            bool known = to == CONFIGURATION_DEAD;
            for (size_t k = 0; k < count && !known; k++) known = queue[k].at == to;
            if (!known) queue[count++] = (struct place){to, i, *byte};
        }
    }
    if (count < QUEUE_MAX) fail_msg("'%.*s' may go on, and comes to no end", (int)length, text);
    return SIZE_MAX;
}

static size_t completed;
/* Configurations that were brought to an end already, once for each. */
static bool brought[100000];

/* All texts up to a length, in order. */
static void check_all(struct matcher *m, char *text, size_t length) {
    configuration at = read_text(m, text, length);
    bool takes = at != CONFIGURATION_DEAD && m->configurations[at].may_end;
    if (takes != naive_takes(text, length)) fail_msg("'%.*s': taken %d", (int)length, text, takes);
    if (length == TEXT_MAX) return;
    if (at < sizeof brought && !brought[at]) {
        char whole[TEXT_MAX + WITNESS_MAX];
        memcpy(whole, text, length);
        size_t size = complete(m, at, whole, length);
        completed += size < 62;
        brought[at] = true;
        if (size < 62 && !naive_takes(whole, size)) fail_msg("'%.*s' is none", (int)size, whole);
    }
    for (const char *byte = "ab()"; *byte; byte++) {
        if (at == CONFIGURATION_DEAD && (*byte == '(' || *byte == ')')) continue;
        text[length] = *byte;
        check_all(m, text, length + 1);
    }
}

static void random_rules_match_what_they_say(void **state) {
    size_t checked = 0, refused = 0;
    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct matcher *m;
        struct error e;
        char text[TEXT_MAX + 1];
        seed = round * 1000003;
        node_count = 0;
        naive_root = make_node(DEPTH_MAX, false);
        enum status status = make(naive_root, &m, &e);
        if (status != STATUS_OK) {
            assert_int_equal(status, STATUS_INVALID_ARGUMENT);
            assert_says(e.text, "no text");
            refused++;
            for (const char *byte = "ab"; *byte; byte++) assert_false(naive_takes(byte, 1));
            continue;
        }
        memset(brought, 0, sizeof brought);
        check_all(m, text, 0);
        matcher_destroy(m);
        checked++;
    }
    assert_true(checked > ROUNDS / 2);
    assert_true(refused > 0);
    assert_true(completed > checked);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_rules_match_what_they_say)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
